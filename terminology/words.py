"""The vocabulary of header words: which phrase names which body part, side, view or nothing.

Four tables are read: `header-words.sssom.tsv` (body parts), `header-tokens.tsv` (sides, noise,
techniques, context), `header-combined-regions.tsv` (sets of parts that have one concept) and
`views.tsv`. They are indexed by folded tokens (see `fold`). A site's own rows of scope "word" come
before those of the same phrase; its decisions about whole values are in `terminology.wholes`. How
a value is read with all this is the business of `terminology.text`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.concept import Laterality, View
from terminology.entries import Entry, Kind, Level, Region
from terminology.errors import RowProblem, TableError
from terminology.folding import LAST_ACCENTED, fold, spell_out, tokens_of, without_articles
from terminology.identifiers import sctid_problem
from terminology.mapping import MappingSet, SemanticMapping
from terminology.numbered import NumberedParts
from terminology.tables import Row, mappings_folder, read_rows
from terminology.wholes import LOCAL_PREFIX, WholeValues

WORDS_TABLE: Final = "header-words.sssom.tsv"
TOKENS_TABLE: Final = "header-tokens.tsv"
REGIONS_TABLE: Final = "header-combined-regions.tsv"
VIEWS_TABLE: Final = "views.tsv"
_TOKEN_COLUMNS: Final = ("kind", "token", "value", "language", "source")
_REGION_COLUMNS: Final = ("parts", "parts_display", "region", "region_display", "source")
VIEW_COLUMNS: Final = (
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

# Misspellings are looked for in the languages whose words the curators know best.
FUZZY_LANGUAGES: Final = frozenset({"en", "de", "fr", "es", "pt", "it", "nl", "la"})
# Only words as sure as this are compared with misspellings.
FUZZY_FROM: Final = 0.95
# What a character that was lost in a wrong decoding is written as in the index of damaged words.
LOST: Final = "\0"
_SIDES: Final = frozenset(Laterality)
# A view that a phrase means beside some parts only.
_OF: Final = "of:"


@dataclass
class HeaderWords:
    """The indexed vocabulary; built by `load`, read by `terminology.text.TextReader`.

    `sites` and `others` go from folded tokens to the row; `joined` from the same tokens written
    as one word; `accented` holds words of up to three letters that count only with their
    accents; `damaged` and `dropped` hold words whose accented letter was replaced or lost.
    `broader_views` goes from the code of a view to that of the one which says less of the same
    projection: from left lateral to lateral; `sided_views` the other way, by code and side.
    `views` has the views by their code. `table` is the table of body parts as it was read.
    `shipped` is the vocabulary without a site's own rows, where there are such rows.
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
    sided_views: dict[tuple[str, Laterality], View] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    numbered: NumberedParts = field(default_factory=NumberedParts)
    wholes: WholeValues = field(default_factory=WholeValues)
    table: MappingSet | None = None
    levels: dict[str, Level] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    unpaired: frozenset[str] = frozenset()
    longest: int = 1
    shipped: HeaderWords | None = None

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
        words._add_views(read_rows(folder / VIEWS_TABLE, VIEW_COLUMNS))
        words.table = sssom.read(folder / WORDS_TABLE)
        for row in words.table.mappings:
            entry = _site_entry(row, WORDS_TABLE)
            if row.object_view is not None:
                entry = replace(entry, view=words.views.get(row.object_view), when="any")
            words._index_site(row.subject_label or "", entry)
        words._add_regions(read_rows(folder / REGIONS_TABLE, _REGION_COLUMNS))
        words.numbered = NumberedParts.load(folder)
        return words if decisions is None else words.decided_by(decisions)

    def decided_by(self, decisions: MappingSet) -> HeaderWords:
        """Return this vocabulary with a site's own rows on top; this one stays as it is.

        Words override those of the same phrase, values are kept apart. Where there are values
        only, the indexes are shared and not copied.

        Raises
        ------
        TableError
            Rows without a label, or with a view that `views.tsv` does not have.
        """
        name = f"{LOCAL_PREFIX}{decisions.name}.sssom.tsv"
        problems = [
            RowProblem(name, row.line, slot, what, expected)
            for row in decisions.mappings
            for slot, what, expected in _decision_problems(row, self.views)
        ]
        if problems:
            raise TableError(problems)
        whole = [row for row in decisions.mappings if row.subject_scope == "value"]
        found = replace(self, wholes=WholeValues.of(whole, name, self.views), shipped=self)
        own_words = [row for row in decisions.mappings if row.subject_scope != "value"]
        if own_words:
            for index in ("sites", "others", "joined", "accented", "damaged", "dropped"):
                setattr(found, index, dict(getattr(self, index)))
        for row in own_words:
            found._override(row, name)
        return found

    def _override(self, row: SemanticMapping, name: str) -> None:
        """Put a site's own word in the place of whatever its phrase meant before."""
        label = row.subject_label or ""
        entry = _site_entry(row, name)
        for key in _keys(label):
            for index in (self.sites, self.others):
                index.pop(key, None)
            self.joined.pop("".join(key), None)
        self.accented.pop(unicodedata.normalize("NFKC", label).casefold(), None)
        view = self.views.get(_stated_view(row) or "")
        side = row.object_laterality
        if entry.kind is Kind.NO_SITE and (view is not None or side is not None):
            kind = Kind.LATERALITY if view is None else Kind.VIEW
            entry = replace(entry, kind=kind, view=view, when="any" if view else "")
            for key in _keys(label):
                self.others[key] = entry
                self.longest = max(self.longest, len(key))
        else:
            self._index_site(label, replace(entry, view=view))

    @cached_property
    def fuzzy_words(self) -> tuple[str, ...]:
        """Sure single words of five and more letters that misspellings are compared with."""
        return tuple(
            sorted(
                key[0]
                for key, entry in self.sites.items()
                if len(key) == 1
                and len(key[0]) >= 5
                and key[0] < LAST_ACCENTED
                and entry.kind is Kind.SITE
                and entry.confidence >= FUZZY_FROM
                and not entry.languages.isdisjoint(FUZZY_LANGUAGES)
            )
        )

    @cached_property
    def other_words(self) -> tuple[str, ...]:
        """Single words of four and more letters that are known and are no body part."""
        return tuple(sorted(key[0] for key in self.others if len(key) == 1 and len(key[0]) >= 4))

    def _index_site(self, label: str, entry: Entry) -> None:
        if label.isascii():
            self._index_keys(_keys(label), entry)
            return
        plain = fold(label)
        composed = unicodedata.normalize("NFKC", label).casefold()
        keys = _keys(label)
        if plain != composed and len(plain) <= 3 and plain < LAST_ACCENTED:
            self.accented[composed] = entry
            keys = set()
        self._index_keys(keys, entry)
        if plain != composed and len(plain) >= 3 and len(tokens_of(plain)) == 1:
            self._index_damage(composed, entry)

    def _index_keys(self, keys: set[tuple[str, ...]], entry: Entry) -> None:
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
            if kind is Kind.STANDS_FOR:
                self.stands_for[row["token"]] = row["value"]
                continue
            if kind is Kind.LEVEL:
                level = Level.of(row)
                if level is None:
                    problems.append(
                        row.problem("value", f"'{row['value']}'", "SCTID:vertebrae:rank")
                    )
                else:
                    self.levels[fold(row["token"])] = level
                continue
            side = row["value"] if kind is Kind.LATERALITY else ""
            if kind is Kind.LATERALITY and side not in set(Laterality):
                problems.append(row.problem("value", f"'{side}'", "left, right or bilateral"))
                continue
            entry = Entry(
                kind=kind,
                phrase=row["token"],
                ref=row.ref,
                languages=_languages(row["language"] or "und"),
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
            present = self.others.get(key)
            if (
                present is not None
                and present.kind is not entry.kind
                and present.languages.isdisjoint(entry.languages)
            ):
                entry = replace(present, homonyms=(*present.homonyms, entry))
            self.others[key] = entry
            self.longest = max(self.longest, len(key))

    def _add_views(self, rows: list[Row]) -> None:
        problems: list[RowProblem] = []
        of_parts: dict[tuple[str, ...], list[Entry]] = {}
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
            view = View(row["code"], row["display"], row["dicom"] or None)
            entry = Entry(
                kind=Kind.VIEW,
                phrase=row["phrase"],
                ref=row.ref,
                languages=_languages(row["language"] or "und"),
                laterality=Laterality(row["laterality"]) if row["laterality"] else None,
                view=view,
                when=row["when"],
            )
            if row["when"].startswith(_OF):
                if any(sctid_problem(code) for code in _parts(row["when"])):
                    problems.append(row.problem("when", f"'{row['when']}'", "of: and SCTIDs"))
                    continue
                entry = replace(entry, when="any", parts=_parts(row["when"]))
                for key in _keys(row["phrase"]):
                    of_parts.setdefault(key, []).append(entry)
            else:
                for key in _keys(row["phrase"]):
                    self.others[key] = entry
                    self.longest = max(self.longest, len(key))
            if view.dicom or view.code not in self.views:
                self.views[view.code] = view
        if problems:
            raise TableError(problems)
        for key, options in of_parts.items():
            first = options[0]
            unknown = Entry(Kind.NOISE, first.phrase, first.ref, first.languages)
            self.others[key] = replace(self.others.get(key, unknown), options=tuple(options))
            self.longest = max(self.longest, len(key))
        for code, broader in self.broader_views.items():
            # Left lateral is the lateral view of the left side.
            side, _, projection = self.views[code].display.partition(" ")
            general = self.views.get(broader)
            if side in _SIDES and general is not None and projection == general.display:
                self.sided_views[broader, Laterality(side)] = self.views[code]

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


def _parts(when: str) -> frozenset[str]:
    """Return the codes of a view that is one of some parts only: ``of:85562004+7569003``."""
    codes = when.removeprefix(_OF)
    return frozenset() if codes == "any" else frozenset(codes.split("+"))


@lru_cache(maxsize=4096)
def _languages(tags: str) -> frozenset[str]:
    return frozenset(tags.split("|"))


def _keys(label: str) -> set[tuple[str, ...]]:
    """Return the folded tokens of a phrase, with umlauts as one letter and as two."""
    if label.isascii():
        keys = {tokens_of(label.lower())}
    else:
        keys = {tokens_of(fold(label)), tokens_of(spell_out(label))}
    plain = without_articles(label)
    return keys if plain is label else keys | _keys(plain)


def _site_entry(row: SemanticMapping, name: str) -> Entry:
    return Entry(
        kind=Kind.NO_SITE if row.no_match or row.negated or _is_view(row) else Kind.SITE,
        phrase=row.subject_label or "",
        ref=f"{name}:{row.line}",
        languages=_languages(row.subject_language or "und"),
        code="" if row.no_match else sssom.object_code(row),
        display=row.object_label or "",
        confidence=row.confidence if row.confidence is not None else 0.9,
        laterality=row.object_laterality,
    )


def _decision_problems(
    row: SemanticMapping, views: Mapping[str, View]
) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a site's own row: slot, what, expected."""
    if not row.subject_label:
        yield "subject_label", "no label", "the header value or word that the row decides"
    view = _stated_view(row)
    if view is not None and view not in views:
        yield "object_view", f"'{view}'", f"the code of a view in {VIEWS_TABLE}"


def _is_view(row: SemanticMapping) -> bool:
    return row.category == "view"


def _stated_view(row: SemanticMapping) -> str | None:
    """Return the code of the view that a row states, beside a site or as its object."""
    if _is_view(row) and not row.no_match:
        return sssom.object_code(row)
    return row.object_view


def _better(entry: Entry, present: Entry | None) -> bool:
    return present is None or entry.confidence > present.confidence


def lookup_view(words: HeaderWords, value: str) -> Entry | None:
    """Return the row of a ViewPosition value or view name, or `None` when no row has it."""
    entry = words.others.get(tokens_of(fold(value)))
    return entry if entry is not None and entry.kind is Kind.VIEW else None


def paired_words(words: HeaderWords) -> frozenset[str]:
    """Return the words that a single letter of a side is joined to, L or R mostly.

    English words of parts with two sides are among them, but not Latin ones in a vowel: "patellar"
    is no right patella.
    """
    return words.paired_affixes | {
        key[0]
        for key, entry in words.sites.items()
        if len(key) == 1
        and len(key[0]) >= 4
        and key[0][-1] not in "aiou"
        and "en" in entry.languages
        and entry.kind is Kind.SITE
        and not entry.weak
        and entry.code not in words.unpaired
    }


def affix_table(words: HeaderWords) -> Mapping[str, Entry]:
    """Return what a word may be put together from: body parts, sides and joined-on words."""
    table = {
        key[0]: entry
        for key, entry in words.sites.items()
        if len(key) == 1 and len(key[0]) >= 4 and entry.kind is Kind.SITE and not entry.weak
    }
    table.update(
        {
            key[0]: entry
            for key, entry in words.others.items()
            if len(key) == 1 and len(key[0]) >= 4 and entry.kind is Kind.LATERALITY
        }
    )
    table.update({whole: entry for whole, entry in words.joined.items() if not entry.weak})
    for text, entry in words.affixes.items():
        if entry.kind is Kind.SITE_AFFIX:
            site = words.sites.get(tokens_of(fold(entry.value or text)))
            if site is not None:
                table[text] = site
        else:
            table[text] = entry
    return table
