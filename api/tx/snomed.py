"""SNOMED CT as a code system of the terminology engine: a provider over a release index.

Concepts are ordinals, sets are bitmaps (`api.tx.snomed_selection`); filters are in
`api.tx.snomed_filters`, properties in `api.tx.snomed_properties`. Post-coordinated expressions are
codes as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from api.tx import snomed_filters, snomed_properties
from api.tx.provider import (
    DISPLAY_USE,
    Concept,
    ConceptStatus,
    Content,
    Designation,
    PropertyDefinition,
    PropertyValue,
    Selection,
)
from api.tx.snomed_editions import Edition
from api.tx.snomed_expressions import (
    InvalidExpressionError,
    PostCoordinated,
    read_expression,
)
from api.tx.snomed_selection import (
    SearchedSelection,
    SnomedSelection,
    any_expression,
    is_in_use,
    no_expression,
    plain,
)
from terminology.concept import SNOMED
from terminology.expressions import compare, describe
from terminology.release.index import ReleaseIndex
from terminology.release.refsets import RefsetTable
from terminology.release.values import DEFINITION, FSN, SYNONYM, Description

Json = Mapping[str, Any]
# 900000000000455006 |Reference set|
_REFSET: Final = "900000000000455006"
_LANGUAGE: Final = "en"
_LONGEST_SCTID: Final = 18
_TEXT_DEFINITION: Final = int(DEFINITION)
_DEFAULT_DIALECT: Final = "en-US"
_TYPE_NAMES: Final = {FSN: "Fully specified name", SYNONYM: "Synonym"}


class SnomedProvider:
    """One release of SNOMED CT, or the embedded subset.

    A `Concept` of this provider has an ordinal as its `ref`, or a `PostCoordinated`.
    """

    def __init__(self, index: ReleaseIndex) -> None:
        self.index = index
        self._edition = Edition.parse(index.version)

    # The code system

    @property
    def url(self) -> str:
        """The canonical of SNOMED CT."""
        return SNOMED

    @property
    def version(self) -> str:
        """The URI of the edition and version."""
        return self.index.version

    @property
    def version_label(self) -> str | None:
        """What the edition is called."""
        return self._edition.label

    @cached_property
    def metadata(self) -> Json:
        """The CodeSystem resource; without a `name`, so that the canonical stands for it."""
        found = {
            "resourceType": "CodeSystem",
            "url": SNOMED,
            "version": self.version,
            "title": " ".join(("SNOMED CT", self._edition.label or "body structures")),
            "status": "active",
            "experimental": False,
            "date": self._edition.iso_date,
            "publisher": "SNOMED International",
            "copyright": (
                "SNOMED CT is copyright of the International Health Terminology Standards"
                " Development Organisation; to use it takes the SNOMED CT Affiliate Licence or one"
                " of like effect."
            ),
            "caseSensitive": True,
            "hierarchyMeaning": "is-a",
            "compositional": True,
            "versionNeeded": False,
            "content": "fragment" if self.index.embedded else self.content,
            "count": len(self.index),
            "valueSet": f"{SNOMED}?fhir_vs",
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def content(self) -> Content:
        """Everything of this version is here.

        That holds for the embedded subset too, under the version of its own: a code that it lacks
        is refused, and not taken for one of some other fragment. `metadata` calls it a fragment.
        """
        return "complete"

    @property
    def case_sensitive(self) -> bool:
        """Whether codes that differ in case are different; they are digits and expressions."""
        return True

    @property
    def language(self) -> str:
        """The language of displays that state none."""
        return _LANGUAGE

    @property
    def hierarchical(self) -> bool:
        """Whether an expansion is shown as a tree; a concept with many parents has no one place."""
        return False

    @property
    def unclosed_reason(self) -> str:
        """Why nobody can list all codes."""
        return f"The code System '{SNOMED}' has a grammar and so has infinite members"

    @cached_property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The properties that concepts may have, every attribute of the release among them."""
        return snomed_properties.definitions(self)

    # Concepts

    def find(self, code: str) -> Concept | None:
        """Return the concept of a code or of a valid expression; inactive concepts are found."""
        ordinal = self.index.find(code)
        if ordinal >= 0:
            return Concept(code, ordinal)
        if is_number(code):
            return None
        try:
            return self._of_expression(code)
        except InvalidExpressionError:
            return None

    def why_unknown(self, code: str) -> str | None:
        """Return what is wrong with an expression; of an identifier there is no more to say."""
        if is_number(code):
            return None
        try:
            self._of_expression(code)
        except InvalidExpressionError as error:
            return error.reason
        return None

    def concept_of(self, ref: int | PostCoordinated) -> Concept:
        """Return the concept of an ordinal, or the expression as a concept."""
        return Concept(ref.code if isinstance(ref, PostCoordinated) else self.index.code(ref), ref)

    def focus(self, concept: Concept) -> tuple[int, ...]:
        """Return the ordinals of an expression's focus concepts; of a concept, its own."""
        if isinstance(concept.ref, PostCoordinated):
            return tuple(self.index.ordinal(one.code) for one in concept.ref.expression.focus)
        return (int(concept.ref),)

    def term(self, code: str, languages: Sequence[str] = ()) -> str | None:
        """Return the preferred term of a code, `None` when the release does not hold it."""
        ordinal = self.index.find(code)
        return self.index.display(ordinal, languages) if ordinal >= 0 else None

    def display(self, concept: Concept) -> str:
        """Return the preferred term; of an expression, the expression with preferred terms."""
        if isinstance(concept.ref, PostCoordinated):
            return describe(concept.ref.expression, self.index)
        return self.index.display(concept.ref)

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the term that the language reference sets of `languages` (BCP-47) prefer."""
        if isinstance(concept.ref, PostCoordinated):
            text = describe(concept.ref.expression, self.index, _dialects(languages))
            return Designation(text, languages[0] if languages else _DEFAULT_DIALECT)
        table = self.index.descriptions_table
        row = table.best_row(concept.ref, SYNONYM, table.refsets_for(_dialects(languages)))
        if row is None:
            return None
        return self._designation(table.description(row, concept.code))

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the terms that are in use: the preferred one, the FSN, the other synonyms.

        Those of the default language come first. A synonym that only the language reference set of
        another dialect prefers has the tag of that dialect, such as en-GB.
        """
        if isinstance(concept.ref, PostCoordinated):
            return [Designation(self.display(concept), _DEFAULT_DIALECT, DISPLAY_USE)]
        return [self._designation(one) for one in self._descriptions(concept.ref)]

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the terms that are no longer to be used."""
        if isinstance(concept.ref, PostCoordinated):
            return []
        found = self.index.descriptions(concept.ref, inactive=True)
        return [
            self._designation(one)
            for one in found
            if not one.active and one.type in {"fsn", "synonym"}
        ]

    def definition(self, concept: Concept) -> str | None:
        """Return the text definition, in English where there is one, `None` where there is none."""
        if isinstance(concept.ref, PostCoordinated):
            return None
        table = self.index.descriptions_table
        kinds, codes = table.coded("type")
        found = [
            (table.languages[table.language[row]] != _LANGUAGE, row)
            for row in table.rows(concept.ref)
            if codes[kinds[row]] == _TEXT_DEFINITION and table.active[row]
        ]
        return table.term(min(found)[1]) if found else None

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the properties but for those that take reasoning; `lookup_properties` has them."""
        return snomed_properties.listed(self, concept)

    def lookup_properties(
        self, concept: Concept, wanted: frozenset[str] = frozenset()
    ) -> Sequence[PropertyValue]:
        """Return the properties `wanted` (``*``: all), or those that are shown without asking.

        There may be others among them; parents and children are never.
        """
        if wanted:
            return snomed_properties.asked_for(self, concept, wanted)
        return snomed_properties.shown_by_default(self, concept)

    def extensions(self, concept: Concept) -> Sequence[Json]:
        """Return FHIR extensions of the concept: none."""
        return ()

    def status(self, concept: Concept) -> ConceptStatus:
        """Return whether the concept is in use."""
        ref = concept.ref
        inactive = (
            ref.inactive if isinstance(ref, PostCoordinated) else not self.index.is_active(ref)
        )
        return ConceptStatus(inactive=inactive, status="inactive" if inactive else None)

    def process_note(self, concept: Concept) -> str | None:
        """Return what could not be checked about an expression; `None` when all was."""
        if isinstance(concept.ref, PostCoordinated):
            return "; ".join(concept.ref.notes) or None
        return None

    # Hierarchy

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right above, by code; of an expression, those of its focus."""
        found = BitMap()
        for ordinal in self.focus(concept):
            found |= self.index.parents(ordinal)
        return list(self._plain(found).iterate())

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right below, by code; of an expression, those of its focus."""
        found = BitMap()
        for ordinal in self.focus(concept):
            found |= self.index.children(ordinal)
        return list(self._plain(found).iterate())

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return whether `ancestor` lies strictly above `descendant`."""
        return self.compare(ancestor, descendant) == "subsumes"

    def compare(self, a: Concept, b: Concept) -> str:
        """Return FHIR's outcome for two concepts or expressions, by what they mean.

        One of "equivalent", "subsumes" (A is above B), "subsumed-by", "not-subsumed".
        """
        if isinstance(a.ref, int) and isinstance(b.ref, int):
            return self.index.compare(a.code, b.code)
        return compare(a.code, b.code, self.index)

    # Sets

    def all_concepts(self) -> Selection:
        """Return every concept, active or not."""
        return SnomedSelection(self, BitMap(self.index.all), any_expression, open_ended=True)

    def active_concepts(self) -> Selection:
        """Return the active concepts, and the expressions over active concepts."""
        return SnomedSelection(self, BitMap(self.index.active), is_in_use, open_ended=True)

    def abstract_concepts(self) -> Selection:
        """Return the concepts that are not selectable: none."""
        return self._plain(BitMap())

    def select(self, codes: Sequence[str]) -> Selection:
        """Return the concepts and expressions of these codes that exist, in the order given."""
        found = (self.find(code) for code in codes)
        refs = tuple(dict.fromkeys(one.ref for one in found if one is not None))
        members = BitMap([ref for ref in refs if isinstance(ref, int)])
        return SnomedSelection(self, members, no_expression, open_ended=False, listed=refs)

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Return the concepts that meet one filter of `compose.include.filter`."""
        return snomed_filters.selection(self, prop, op, value)

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return the concepts of `within` whose terms fit what a user typed, best first."""
        return SearchedSelection(self, text, plain(within), languages)

    @cached_property
    def leaves(self) -> BitMap:
        """Ordinals of the concepts that nothing is below."""
        return BitMap(np.flatnonzero(np.diff(self.index.arrays["isa.children.starts"]) == 0))

    # Reference sets

    @cached_property
    def _refset_codes(self) -> tuple[str, ...]:
        return tuple(self.index.codes(self.index.refsets))

    def refset_codes(self) -> tuple[str, ...]:
        """Return the reference sets of the release, by code."""
        return self._refset_codes

    def refset_table(self, code: str) -> RefsetTable | None:
        """Return the members of a reference set, `None` where the release has no such."""
        ordinal = self.index.find(code)
        return self.index.refsets.get(ordinal) if ordinal >= 0 else None

    def is_refset(self, ordinal: int) -> bool:
        """Return whether a concept is a reference set, be it one without rows in this release."""
        kind = self.index.find(_REFSET)
        below = kind >= 0 and self.index.is_above(kind, ordinal)
        return below or ordinal in self.index.refsets

    def _plain(self, members: BitMap) -> SnomedSelection:
        return SnomedSelection(self, members)

    def _of_expression(self, code: str) -> Concept:
        found = read_expression(code, self.index)
        if isinstance(found, PostCoordinated):
            return self.concept_of(found)
        only = found.focus[0].code
        return Concept(only, self.index.ordinal(only))

    def _descriptions(self, ordinal: int) -> list[Description]:
        shown = self.index.display(ordinal)
        names = [one for one in self.index.descriptions(ordinal) if one.type in {"fsn", "synonym"}]
        return sorted(names, key=lambda one: self._place(one, shown))

    def _place(self, one: Description, shown: str) -> tuple[bool, str, int, bool]:
        """Return where a name stands: its language, the preferred term, the FSN, the others.

        English has a preferred term in each dialect: the one that is shown comes first, one that
        only another dialect prefers after the FSN. Other languages have no dialects here.
        """
        if one.type == "synonym" and one.term == shown:
            rank = 0
        elif one.type == "synonym" and "preferred" in one.acceptability.values():
            rank = 0 if one.language != _LANGUAGE else 2
        else:
            rank = 1 if one.type == "fsn" else 3
        return one.language != _LANGUAGE, one.language, rank, one.term != shown

    def _designation(self, one: Description) -> Designation:
        use = {
            "system": SNOMED,
            "code": one.type_id,
            "display": self.term(one.type_id) or _TYPE_NAMES.get(one.type_id, one.type_id),
        }
        return Designation(one.term, self._tag(one), use)

    def _tag(self, one: Description) -> str:
        """Return the description's language, or the one dialect whose reference set prefers it."""
        default = self.index.descriptions_table.default_refset
        if one.type != "synonym" or one.acceptability.get(default or "") is not None:
            return one.language
        tags = [
            tag
            for tag, refset in self.index.dialects.items()
            if one.acceptability.get(refset) == "preferred"
            and tag.partition("-")[0] == one.language
            and "-" in tag
        ]
        return _cased(tags[0]) if len(tags) == 1 else one.language


def _dialects(languages: Sequence[str]) -> list[str]:
    """Return the tags with the default dialect in place of English without a region."""
    return [_DEFAULT_DIALECT if tag.lower() == _LANGUAGE else tag for tag in languages]


def _cased(tag: str) -> str:
    language, _, region = tag.partition("-")
    return f"{language}-{region.upper()}" if len(region) == 2 else tag


def is_number(code: str) -> bool:
    """Return whether a code is an identifier by its characters, and no expression."""
    return code.isascii() and code.isdecimal() and len(code) <= _LONGEST_SCTID
