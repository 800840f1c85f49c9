"""The vocabulary of header words: which phrase names which body part, side, view or nothing.

Four tables are read: `header-words.sssom.tsv` (body parts), `header-tokens.tsv` (sides, noise,
techniques, context), `header-combined-regions.tsv` (sets of parts that have one concept) and
`views.tsv`. They are indexed by folded tokens (see `fold`); how a value is read with them is the
business of `terminology.text`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.concept import Laterality, View
from terminology.errors import RowProblem, TableError
from terminology.identifiers import sctid_problem
from terminology.mapping import MappingSet, SemanticMapping
from terminology.tables import Row, mappings_folder, read_rows

WORDS_TABLE: Final = "header-words.sssom.tsv"
TOKENS_TABLE: Final = "header-tokens.tsv"
REGIONS_TABLE: Final = "header-combined-regions.tsv"
VIEWS_TABLE: Final = "views.tsv"
_TOKEN_COLUMNS: Final = ("kind", "token", "value", "language", "source")
_REGION_COLUMNS: Final = ("parts", "parts_display", "region", "region_display", "source")
_VIEW_COLUMNS: Final = (
    "phrase",
    "code",
    "display",
    "dicom",
    "broader",
    "laterality",
    "when",
    "language",
    "source",
)

# A word at or below this confidence gives way to any other body part of the same value.
WEAK: Final = 0.6
# Misspellings are looked for in the languages whose words the curators know best.
FUZZY_LANGUAGES: Final = frozenset({"en", "de", "fr", "es", "pt", "it", "nl", "la"})
# Only words as sure as this are compared with misspellings.
FUZZY_FROM: Final = 0.95
# What a character that was lost in a wrong decoding is written as in the index of damaged words.
LOST: Final = "\0"

# Letters that NFKD leaves whole, and how they are written without their stroke or ligature.
_STROKES: Final = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "’": "'"}
)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_PIECE = re.compile(r"[^\W\d_]+|\d+")
# Above this code point marks are part of the letter (Japanese dakuten), not accents.
_LAST_ACCENTED: Final = "\u0530"


class Kind(StrEnum):
    """What a phrase of the vocabulary is."""

    SITE = "site"
    NO_SITE = "no-site"  # looked at and refused: OTHER, XXX, PARTIALBODY
    LATERALITY = "laterality"
    VIEW = "view"
    TECHNIQUE = "technique"  # value: the modality, where the word implies one
    NOISE = "noise"
    CONTEXT = "context"  # what follows was not examined: history of, rule out
    NEGATION = "negation"  # the next word does not hold
    RANGE = "range"  # from one part to another
    AFFIX = "affix"  # may be written together with a body part
    SITE_AFFIX = "site-affix"  # a short body-part word that may be written together with others
    PAIRED_AFFIX = "paired-affix"  # a body-part word that a single letter of a side is joined to
    TRUNCATED = "truncated"  # a word that values are often cut in
    UNPAIRED = "unpaired"  # token: the code of a structure that has no left and right twin


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the vocabulary, as the reader meets it.

    `code` and `confidence` are set for sites, `view` and `when` for views, `value` for the
    others.
    """

    kind: Kind
    phrase: str
    ref: str
    languages: frozenset[str] = frozenset()
    code: str = ""
    display: str = ""
    confidence: float = 0.0
    laterality: Laterality | None = None
    view: View | None = None
    when: str = ""
    value: str = ""

    @property
    def weak(self) -> bool:
        """Whether the word names a body part only when nothing else in the value does."""
        return self.confidence <= WEAK


@dataclass(frozen=True, slots=True)
class Region:
    """A concept that stands for several parts imaged together."""

    code: str
    display: str
    ref: str


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Return `text` without case and accents: NFKC, case fold, marks of European letters off."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_STROKES)
    if folded.isascii():
        return folded
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", folded):
        if unicodedata.combining(char) and kept and kept[-1] < _LAST_ACCENTED:
            continue
        kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def spell_out(text: str) -> str:
    """Return `text` folded with umlauts spelt as two letters: Hüfte → huefte."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    return fold(composed.translate(_UMLAUTS))


def tokens_of(folded: str) -> tuple[str, ...]:
    """Return the runs of letters and the runs of digits of an already folded string."""
    return tuple(_PIECE.findall(folded))


@dataclass
class HeaderWords:
    """The indexed vocabulary; built by `load`, read by `terminology.text.TextReader`.

    `sites` and `others` go from folded tokens to the row; `joined` from the same tokens written
    as one word; `accented` holds words of up to three letters that count only with their
    accents; `damaged` and `dropped` hold words whose accented letter was replaced or lost.
    `broader_views` goes from the code of a view to that of the one which says less of the same
    projection: from left lateral to lateral.
    """

    sites: dict[tuple[str, ...], Entry] = field(default_factory=dict)
    others: dict[tuple[str, ...], Entry] = field(default_factory=dict)
    joined: dict[str, Entry] = field(default_factory=dict)
    accented: dict[str, Entry] = field(default_factory=dict)
    damaged: dict[str, Entry] = field(default_factory=dict)
    dropped: dict[str, Entry] = field(default_factory=dict)
    affixes: dict[str, Entry] = field(default_factory=dict)
    paired_affixes: frozenset[str] = frozenset()
    truncated: dict[str, Entry] = field(default_factory=dict)
    regions: dict[frozenset[str], Region] = field(default_factory=dict)
    broader_views: dict[str, str] = field(default_factory=dict)
    unpaired: frozenset[str] = frozenset()
    longest: int = 1

    @classmethod
    def load(cls, folder: Path | None = None, decisions: MappingSet | None = None) -> HeaderWords:
        """Return the vocabulary of the tables in `folder`, by default the embedded ones.

        The rows of `decisions`, a site's own, override those of the tables.

        Raises
        ------
        TableError
            A table is missing or has bad rows; all bad rows of that table are named.
        """
        folder = folder or mappings_folder()
        words = cls()
        words._add_tokens(read_rows(folder / TOKENS_TABLE, _TOKEN_COLUMNS))
        words._add_views(read_rows(folder / VIEWS_TABLE, _VIEW_COLUMNS))
        words._add_sites(sssom.read(folder / WORDS_TABLE).mappings)
        words._add_regions(read_rows(folder / REGIONS_TABLE, _REGION_COLUMNS))
        return words

    @cached_property
    def fuzzy_words(self) -> tuple[str, ...]:
        """Sure single words of five and more letters that misspellings are compared with."""
        return tuple(
            sorted(
                key[0]
                for key, entry in self.sites.items()
                if len(key) == 1
                and len(key[0]) >= 5
                and key[0] < _LAST_ACCENTED
                and entry.kind is Kind.SITE
                and entry.confidence >= FUZZY_FROM
                and not entry.languages.isdisjoint(FUZZY_LANGUAGES)
            )
        )

    @cached_property
    def other_words(self) -> tuple[str, ...]:
        """Single words of four and more letters that are known and are no body part."""
        return tuple(sorted(key[0] for key in self.others if len(key) == 1 and len(key[0]) >= 4))

    def _add_sites(self, rows: Iterable[SemanticMapping]) -> None:
        for row in rows:
            label = row.subject_label or ""
            entry = Entry(
                kind=Kind.NO_SITE if row.no_match or row.negated else Kind.SITE,
                phrase=label,
                ref=f"{WORDS_TABLE}:{row.line}",
                languages=frozenset((row.subject_language or "und").split("|")),
                code="" if row.no_match else sssom.object_code(row),
                display=row.object_label or "",
                confidence=row.confidence if row.confidence is not None else 0.9,
                laterality=row.object_laterality,
            )
            self._index_site(label, entry)

    def _index_site(self, label: str, entry: Entry) -> None:
        plain = fold(label)
        composed = unicodedata.normalize("NFKC", label).casefold()
        keys = {tokens_of(plain), tokens_of(spell_out(label))}
        if plain != composed and len(plain) <= 3 and plain < _LAST_ACCENTED:
            self.accented[composed] = entry
            keys = set()
        for key in sorted(keys):
            if key and _better(entry, self.sites.get(key)):
                self.sites[key] = entry
                self.longest = max(self.longest, len(key))
            whole = "".join(key)
            if (
                len(key) > 1
                and len(key[-1]) > 1
                and len(whole) >= 4
                and _better(entry, self.joined.get(whole))
            ):
                self.joined[whole] = entry
        if plain != composed and len(plain) >= 5 and len(tokens_of(plain)) == 1:
            self._index_damage(composed, entry)

    def _index_damage(self, composed: str, entry: Entry) -> None:
        lost = "".join(LOST if fold(char) != char else char for char in composed)
        if lost.count(LOST) == 1:
            self.damaged.setdefault(lost, entry)
            if len(lost) >= 7 or (len(lost) >= 5 and "de" in entry.languages):
                self.dropped.setdefault(lost.replace(LOST, ""), entry)

    def _add_tokens(self, rows: list[Row]) -> None:
        problems: list[RowProblem] = []
        unpaired: set[str] = set()
        for row in rows:
            try:
                kind = Kind(row["kind"])
            except ValueError:
                problems.append(row.problem("kind", f"'{row['kind']}'", "a kind of token"))
                continue
            if kind is Kind.UNPAIRED:
                unpaired.add(row["token"])
                continue
            side = row["value"] if kind is Kind.LATERALITY else ""
            if kind is Kind.LATERALITY and side not in set(Laterality):
                problems.append(row.problem("value", f"'{side}'", "left, right or bilateral"))
                continue
            entry = Entry(
                kind=kind,
                phrase=row["token"],
                ref=row.ref,
                languages=frozenset((row["language"] or "und").split("|")),
                value=row["value"],
                laterality=Laterality(side) if side else None,
            )
            for text in {fold(row["token"]), spell_out(row["token"])}:
                self._index_token(text, entry)
        if problems:
            raise TableError(problems)
        self.unpaired = frozenset(unpaired)

    def _index_token(self, text: str, entry: Entry) -> None:
        key = tokens_of(text)
        if entry.kind is Kind.PAIRED_AFFIX:
            self.paired_affixes |= {text}
        elif entry.kind in {Kind.AFFIX, Kind.SITE_AFFIX}:
            self.affixes[text] = entry
        elif entry.kind is Kind.TRUNCATED:
            self.truncated[text] = entry
        else:
            self.others[key] = entry
            self.longest = max(self.longest, len(key))

    def _add_views(self, rows: list[Row]) -> None:
        problems: list[RowProblem] = []
        for row in rows:
            if reason := sctid_problem(row["code"]):
                problems.append(row.problem("code", f"'{row['code']}' {reason}", "an SCTID"))
                continue
            if row["broader"]:
                if reason := sctid_problem(row["broader"]):
                    what = f"'{row['broader']}' {reason}"
                    problems.append(row.problem("broader", what, "an SCTID or nothing"))
                    continue
                self.broader_views[row["code"]] = row["broader"]
            if row["laterality"] not in {"", *Laterality}:
                problems.append(
                    row.problem("laterality", f"'{row['laterality']}'", "left, right or bilateral")
                )
                continue
            entry = Entry(
                kind=Kind.VIEW,
                phrase=row["phrase"],
                ref=row.ref,
                languages=frozenset((row["language"] or "und").split("|")),
                laterality=Laterality(row["laterality"]) if row["laterality"] else None,
                view=View(row["code"], row["display"], row["dicom"] or None),
                when=row["when"],
            )
            for text in {fold(row["phrase"]), spell_out(row["phrase"])}:
                key = tokens_of(text)
                self.others[key] = entry
                self.longest = max(self.longest, len(key))
        if problems:
            raise TableError(problems)

    def _add_regions(self, rows: list[Row]) -> None:
        problems = [
            row.problem(slot, f"'{code}' {reason}", "SCTIDs, parts joined by +")
            for row in rows
            for slot in ("parts", "region")
            for code in row[slot].split("+")
            if (reason := sctid_problem(code))
        ]
        if problems:
            raise TableError(problems)
        for row in rows:
            parts = frozenset(row["parts"].split("+"))
            self.regions[parts] = Region(row["region"], row["region_display"], row.ref)


def _better(entry: Entry, present: Entry | None) -> bool:
    return present is None or entry.confidence > present.confidence


def lookup_view(words: HeaderWords, value: str) -> Entry | None:
    """Return the row of a ViewPosition value or view name, or `None` when no row has it."""
    entry = words.others.get(tokens_of(fold(value)))
    return entry if entry is not None and entry.kind is Kind.VIEW else None


def affix_table(words: HeaderWords) -> Mapping[str, Entry]:
    """Return what a word may be put together from: body parts, sides and joined-on words."""
    table = {
        key[0]: entry
        for key, entry in words.sites.items()
        if len(key) == 1 and len(key[0]) >= 4 and entry.kind is Kind.SITE and not entry.weak
    }
    table.update({whole: entry for whole, entry in words.joined.items() if not entry.weak})
    for text, entry in words.affixes.items():
        if entry.kind is Kind.SITE_AFFIX:
            site = words.sites.get(tokens_of(fold(entry.value or text)))
            if site is not None:
                table[text] = site
        else:
            table[text] = entry
    return table
