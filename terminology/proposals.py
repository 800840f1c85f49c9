"""From what a person says of a header value to a row of the table of decisions, or to a refusal.

Nothing is written here. A code is checked against the release in use: a former code becomes the
current one, a sided concept becomes the unsided one and its side, and each change is a note.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from terminology import sssom
from terminology.concept import BODY_STRUCTURE, Laterality, View
from terminology.errors import BodySiteError, UnknownConceptError
from terminology.identifiers import check_sctid
from terminology.mapping import EXACT, NO_TERM_FOUND, SemanticMapping
from terminology.wholes import whole_key

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

VALUE: Final = "value"
WORD: Final = "word"
# DICOM LT has 10,240 characters; nothing so long is one header value that somebody decides.
LONGEST: Final = 1024
_CURATED: Final = "semapv:ManualMappingCuration"
_PASTED = re.compile(
    r"(?:http://snomed\.info/(?:sct\||id/)|snomedct:)?(\d+)\s*(?:\|.*\|)?", re.ASCII
)
_ORCID = re.compile(r"(?:https?://orcid\.org/|orcid:)?((?:\d{4}-){3}\d{3}[\dX])", re.ASCII)
_EMAIL = re.compile(r"(?:mailto:|email:)?([^\s@|:]+@[^\s@|]+)")
_PREFIXED = re.compile(r"(github|person):([^\s|]+)")
# How the identifiers of people are written out; declared in a table when one of them edits it.
AUTHOR_PREFIXES: Final = {
    "email": "mailto:",
    "github": "https://github.com/",
    "orcid": "https://orcid.org/",
    "person": "urn:bodysite:person:",
}


class DecisionError(BodySiteError):
    """A decision about a header value that cannot be accepted, or an edit that cannot be made."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person says of a header value; no `codes` when it names no site.

    `field` is the DICOM keyword that it holds in, `None` for all. `side` and `view` are as they
    were typed; the view is an SCTID or a ViewPosition value.
    """

    value: str
    codes: tuple[str, ...]
    field: str | None = None
    side: str | None = None
    view: str | None = None
    scope: str = VALUE
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows of one decision, one a site, and what was changed on the way to them."""

    rows: tuple[SemanticMapping, ...]
    notes: tuple[str, ...] = ()


DecisionKey = tuple[str, tuple[str, ...]]


def decision_key(value: str, field: str | None) -> DecisionKey:
    """Return what tells one decision from another: the attribute, and the words of the value.

    Case, accents and separators do not count.
    """
    return field or "", whole_key(value)


def row_key(row: SemanticMapping) -> DecisionKey:
    """Return the `decision_key` of a row of the table."""
    return decision_key(row.subject_label or "", row.subject_field)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision must keep to: the body structures of `graph`, the projections `views`."""

    graph: BodyStructureGraph
    views: Mapping[str, View]

    def check(self, proposal: Proposal, author: str, day: str) -> Checked:
        """Return the rows of `proposal` by `author` (a CURIE) on `day` (ISO 8601).

        Raises
        ------
        BodySiteError
            The value is empty, the code is none or no body structure of the release, the sides
            contradict each other, or the view or the attribute is not known.
        """
        notes: list[str] = []
        side = _side(proposal.side)
        found = [self._site(code, side, notes) for code in proposal.codes]
        objects: list[tuple[str, str | None, Laterality | None]] = [
            (f"{sssom.SNOMED_PREFIX}{code}", self.graph.lookup(code).display, own)
            for code, own in dict.fromkeys(found)
        ]
        if proposal.field is not None and (
            not proposal.field or tag_for_keyword(proposal.field) is None
        ):
            raise DecisionError(
                "--field",
                f"'{proposal.field}' is no DICOM keyword",
                "a keyword of PS3.6 such as BodyPartExamined",
                "Correct it, or leave it out: the decision then holds in every attribute.",
            )
        if proposal.scope not in sssom.SCOPES:
            raise DecisionError(
                "--scope", f"'{proposal.scope}'", " or ".join(sssom.SCOPES), "Correct it."
            )
        if proposal.scope == WORD and proposal.field is not None:
            raise DecisionError(
                "--field",
                f"'{proposal.field}' with a decision about a word",
                "a word, which holds in every attribute, or a whole value of one attribute",
                "Leave out --field, or use --scope value.",
            )
        view = self._view(proposal.view)
        if proposal.scope == WORD and len(objects) > 1:
            raise DecisionError(
                "CODE",
                f"{len(objects)} sites for one word",
                "one site a word",
                "Use --scope value, or the concept that stands for all of them.",
            )
        label = _label(proposal.value)
        comment = _plain(proposal.comment, "--comment") if proposal.comment else None
        rows = tuple(
            SemanticMapping(
                subject_id=None,
                subject_label=label,
                subject_type=sssom.LITERAL,
                predicate_id=EXACT,
                predicate_modifier=None,
                object_id=object_id,
                object_label=display,
                object_laterality=own,
                mapping_justification=_CURATED,
                author_id=author,
                mapping_date=day,
                confidence=1.0,
                comment=comment or None,
                subject_field=proposal.field,
                subject_scope=proposal.scope,
                object_view=view,
            )
            for object_id, display, own in objects or [(NO_TERM_FOUND, None, side)]
        )
        return Checked(rows, tuple(dict.fromkeys(notes)))

    def check_row(self, row: SemanticMapping) -> Checked:
        """Return a row that somebody else decided, checked in the same way; it stays theirs.

        Raises
        ------
        BodySiteError
            As for `check`.
        """
        proposal = Proposal(
            value=row.subject_label or "",
            codes=() if row.no_match else (sssom.object_code(row),),
            field=row.subject_field,
            side=row.object_laterality,
            view=row.object_view,
            scope=row.subject_scope or WORD,
            comment=row.comment,
        )
        checked = self.check(proposal, row.author_id or "", row.mapping_date or "")
        kept = replace(
            checked.rows[0],
            author_id=row.author_id,
            mapping_tool=row.mapping_tool,
            mapping_date=row.mapping_date,
            mapping_source=row.mapping_source,
            mapping_justification=row.mapping_justification,
            predicate_id=row.predicate_id,
            predicate_modifier=row.predicate_modifier,
            confidence=None if row.confidence is None else float(f"{row.confidence:g}"),
            subject_language=row.subject_language,
        )
        return Checked((kept,), checked.notes)

    def _site(
        self, given: str, side: Laterality | None, notes: list[str]
    ) -> tuple[str, Laterality | None]:
        pasted = _PASTED.fullmatch(given.strip())
        code = check_sctid(pasted[1] if pasted is not None else given.strip(), "CODE")
        current = self._current(code)
        if current != code:
            notes.append(f"{code} is a former code; {self.graph.lookup(current)} is used today")
        if current == BODY_STRUCTURE:
            raise DecisionError(
                "CODE",
                f"'{code}' is the root of the body structures and names no site",
                "a concept below 123037004 |Body structure|",
                "Use --no-site for a value that names none.",
            )
        unsided, own = self.graph.unsided(current)
        if own is None:
            return current, side
        if side is not None and side is not own:
            raise DecisionError(
                "--side",
                f"'{side}' with {self.graph.lookup(current)}",
                f"{own}, the side of the concept",
                "Correct the side or the code.",
            )
        if unsided != current:
            shown = self.graph.lookup(unsided)
            notes.append(f"{self.graph.lookup(current)} is kept as {shown}, {own}")
        return unsided, own

    def _current(self, code: str) -> str:
        """Return the code to use today, which the release holds."""
        try:
            current = self.graph.current(code)
        except UnknownConceptError:
            current = ""
        if current in self.graph:
            return current
        if code in self.graph:
            return code
        successors = self.graph.history(code).successors if current else ()
        if len(successors) > 1:
            raise DecisionError(
                "CODE",
                f"'{code}' is no longer in use, and has several successors",
                f"one of {', '.join(successors)}",
                "Choose one of them.",
            )
        raise DecisionError(
            "CODE",
            f"'{code}' is no body structure of {self.graph.version}",
            "a concept under 123037004 |Body structure|",
            "Find one with 'bodysite terminology search'; --release names a full release.",
        )

    def _view(self, given: str | None) -> str | None:
        if given is None:
            return None
        text = given.strip()
        if text in self.views:
            return text
        found = sorted(
            code
            for code, view in self.views.items()
            if text.upper() == view.dicom or text.casefold() == view.display.casefold()
        )
        if len(found) == 1:
            return found[0]
        known = sorted({view.dicom for view in self.views.values() if view.dicom})
        raise DecisionError(
            "--view",
            f"'{given}' is " + (f"one of {', '.join(found)}" if found else "no known projection"),
            f"an SCTID of DICOM CID 4010, 4012 or 4014, or one of {', '.join(known)}",
            "Correct it; mappings/views.tsv lists them.",
        )


def author_curie(given: str) -> str:
    """Return who decides as a CURIE: an ORCID iD, an e-mail address, ``github:`` or ``person:``.

    Raises
    ------
    DecisionError
        It is none of these, or the check digit of the ORCID iD is wrong.
    """
    text = given.strip()
    if found := _ORCID.fullmatch(text):
        if not _orcid_ok(found[1]):
            raise _no_author(f"'{given}' fails the check digit of an ORCID iD")
        return f"orcid:{found[1]}"
    if found := _EMAIL.fullmatch(text):
        return f"email:{found[1]}"
    if found := _PREFIXED.fullmatch(text):
        return text
    raise _no_author(f"'{given}' identifies nobody")


def _no_author(what: str) -> DecisionError:
    return DecisionError(
        "--author",
        what,
        "an ORCID iD, an e-mail address, github:NAME or person:NAME",
        "Correct it, or set BODYSITE_AUTHOR.",
    )


def _orcid_ok(text: str) -> bool:
    """Return whether the last character is the ISO 7064 MOD 11-2 check of the others."""
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return text[-1] == ("X" if check == 10 else str(check))


def _side(given: str | None) -> Laterality | None:
    if given is None or not given.strip():
        return None
    try:
        return Laterality(given.strip().casefold())
    except ValueError:
        raise DecisionError(
            "--side", f"'{given}'", "left, right or bilateral", "Correct it."
        ) from None


def _label(value: str) -> str:
    label = _plain(value, "VALUE")
    if not label or len(label) > LONGEST:
        raise DecisionError(
            "VALUE",
            "it is empty" if not label else f"it has {len(label)} characters",
            f"a header value of 1 to {LONGEST} characters",
            "Correct it.",
        )
    return label


def _plain(text: str, where: str) -> str:
    """Return `text` as a cell of a TSV may hold it: one line, no control characters or quotes."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise DecisionError(
            where, "it has bytes that are not UTF-8", "UTF-8 text", "Set the terminal to UTF-8."
        )
    shown = (" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return " ".join("".join(shown).replace('"', " ").split())
