"""The embedded body structures as the programs need them: by name, and as targets of rows.

Names are compared word by word in their order, unlike in `terminology.sources.umls_names`: the
lists of anatomy that are compared here write whole names, in the singular.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.concept import Laterality
from terminology.errors import RowProblem, TableError
from terminology.graph import BodyStructureGraph
from terminology.mapping import NO_TERM_FOUND, SemanticMapping
from terminology.structures import CONCEPTS_TABLE
from terminology.tables import read_rows

TOOL: Final = "curation/anatomy.py"
COMPOSITE: Final = "semapv:CompositeMatching"
CHAINING: Final = "semapv:MappingChaining"
LEXICAL: Final = "semapv:LexicalMatching"
LOGICAL: Final = "semapv:LogicalReasoning"

_COLUMNS: Final = ("code", "display", "synonyms", "laterality", "unsided", "source")
_FILLERS: Final = re.compile(r"\bstructure of\b|\bstructure\b|\bset of\b|\(.*?\)")
_WORD: Final = re.compile(r"[a-z0-9]+")
_SIDE: Final = re.compile(r"\b(left|right)\b", re.IGNORECASE)
# Names that several concepts have, or another one than the lists of anatomy mean.
_MEANT: Final = {
    "abdomen": "Abdomen",
    "abdomen and pelvis": "Abdomen and Pelvis",
    "carpus": "Carpus",
    "chest": "Chest",
    "descending aorta": "Descending aorta",
    "ear": "Ear",
    "elbow": "Elbow region",
    "internal auditory canal": "Internal Auditory Canal",
    "mouth": "Mouth",
    "nasopharynx": "Nasopharynx",
    "pelvis": "Pelvis",
    "sacrum": "Sacrum",
    "spine": "Spine",
    "submandibular gland": "Submandibular gland",
    "thigh": "Thigh",
    "thorax": "Chest",
    "ureter": "Ureter",
    "vascular graft": "Vascular graft",
}
# A name of DICOM's for the umbilical portion of the portal vein; the lists mean the fetal vein.
_ELSEWHERE: Final = frozenset({"umbilical vein"})
# What says nothing: no answer for a part of the body.
_TOO_WIDE: Final = frozenset({"Body structure", "Body region", "Anatomical structure"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row asserts: `code` of the subset (empty: no counterpart), how, and by what."""

    code: str
    predicate: str
    confidence: float
    justification: str
    source: str
    side: Laterality | None = None
    comment: str = ""


class Subset:
    """The embedded body structures of a folder of tables.

    Raises
    ------
    TableError
        A table of the folder is missing or has bad rows.
    """

    def __init__(self, folder: Path) -> None:
        self.graph: Final = BodyStructureGraph.load(folder)
        self._sources: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._by_display: dict[str, str] = {}
        former = set(self.graph.former())
        for row in read_rows(folder / CONCEPTS_TABLE, _COLUMNS):
            code, display = row["code"], row["display"]
            names = [display, *filter(None, row["synonyms"].split("|"))]
            self._sources[code] = row["source"]
            self._names[code] = {normalised(name) for name in names}
            self._by_display[display] = code
            if code not in former and "former code" not in display:
                for name in self._names[code]:
                    self._by_name[name].add(code)

    def __contains__(self, code: object) -> bool:
        return code in self._names

    def called(self, display: str) -> str:
        """Return the concept that the subset shows as `display`.

        Raises
        ------
        TableError
            It shows none so; a program that names a structure has to follow the table.
        """
        if display not in self._by_display:
            expected = "a concept with that display, which the curator's programs name"
            raise TableError(
                [RowProblem(CONCEPTS_TABLE, 1, "display", f"no '{display}'", expected)]
            )
        return self._by_display[display]

    def named(self, name: str) -> str | None:
        """Return the one concept with the name, what is shown so before synonyms, or `None`."""
        words = normalised(name)
        if words in _ELSEWHERE:
            return None
        if words in _MEANT:
            return self.called(_MEANT[words])
        found = self._by_name.get(words, set())
        if len(found) > 1:
            found = {code for code in found if normalised(self.display(code)) == words}
        return next(iter(found)) if len(found) == 1 else None

    def has_name(self, code: str, name: str) -> bool:
        """Return whether the subset has `name` for `code`, and means by it what others do."""
        words = normalised(name)
        return words in self._names[code] and words not in _ELSEWHERE

    def display(self, code: str) -> str:
        """Return what the subset shows for `code`."""
        return self.graph.lookup(code).display

    def of_dicom(self, code: str) -> bool:
        """Return whether DICOM is a source of the concept."""
        return "DICOM" in self._sources[code]

    def too_wide(self, code: str) -> bool:
        """Return whether the concept says nothing as an answer."""
        return self.display(code) in _TOO_WIDE

    def side(self, code: str) -> Laterality | None:
        """Return the side of a sided concept."""
        return self.graph.unsided(code)[1]

    def on_side(self, code: str, side: Laterality | None) -> str:
        """Return the concept of `code` for `side` where there is one, else `code`."""
        return code if side is None else self.graph.sided(code, side) or code

    def most_specific(self, codes: Collection[str]) -> set[str]:
        """Return those of `codes` that hold no other of them, without what says nothing."""
        wide = {code for code in codes if self.too_wide(code)}
        return {
            code
            for code in codes
            if code not in wide
            and not any(code != other and self.graph.subsumes(code, other) for other in codes)
        }

    def row(self, subject: str, label: str, claim: Claim) -> SemanticMapping:
        """Return the row that asserts `claim` of the subject.

        Its side is the object's, else the one stated, unless the object's own name has it ("Right
        atrium" has no side).
        """
        display = self.display(claim.code) if claim.code else None
        side = self.side(claim.code) if claim.code else None
        if side is None and not stated_sides(display or ""):
            side = claim.side
        return SemanticMapping(
            subject_id=subject,
            subject_label=label,
            subject_type=None,
            predicate_id=claim.predicate,
            predicate_modifier=None,
            object_id=sssom.SNOMED_PREFIX + claim.code if claim.code else NO_TERM_FOUND,
            object_label=display,
            object_laterality=side,
            mapping_justification=claim.justification,
            mapping_tool=TOOL,
            mapping_source=claim.source,
            confidence=claim.confidence,
            comment=claim.comment or None,
        )


def normalised(name: str) -> str:
    """Return a name in lower case and American spelling, without "structure of" and brackets."""
    lowered = name.lower().replace("oesoph", "esoph").replace("haem", "hem")
    return " ".join(_WORD.findall(_FILLERS.sub(" ", lowered)))


def stated_sides(name: str) -> list[Laterality]:
    """Return the sides that a name states, in order, each as often as it stands there."""
    return [Laterality(word.lower()) for word in _SIDE.findall(name)]


def one_side(name: str) -> Laterality | None:
    """Return the only side that a name states, else `None`."""
    sides = set(stated_sides(name))
    return sides.pop() if len(sides) == 1 else None
