"""The IRMA code for FHIR: its four axes, the whole code as a grammar, and the map of whole codes.

The codes of the axes are listed (`terminology.sources.irma_lists`), those of images are built of
them: 1121-120-930-700. A whole code can be looked up, validated and compared, but not listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from api.concept_maps import CONCEPT_MAPS, PUBLISHER, RELATED_TO
from api.tx.errors import TxError
from api.tx.header_words import COMPUTED
from api.tx.issues import Issue
from api.tx.maps import Found, Match, as_json, found_of
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
from api.tx.r4_maps import RELATIONSHIP
from api.tx.resource_provider import ResourceProvider
from api.tx.selections import ListSelection
from api.tx.table_maps import category_of, products_of
from api.tx.versions import join_canonical
from terminology.annotation import Evidence
from terminology.concept import DICOM, SNOMED, Coding
from terminology.crosswalk import MappedTarget
from terminology.errors import IdentifierError
from terminology.mapping import BROAD, EXACT
from terminology.sources.codes import CodeReader
from terminology.sources.irma import IRMA, UNKNOWN, Axis, IrmaCode, is_whole, specified
from terminology.sources.irma_lists import IrmaList, embedded_lists
from terminology.sources.reading import CodeReading

Json = dict[str, Any]
AXES: Final[Mapping[str, Axis]] = {axis.system: axis for axis in Axis}
_ID: Final = "irma"
_LICENSE: Final = "https://creativecommons.org/publicdomain/zero/1.0/"
_UNLISTED: Final = "codes are built of four axes, TTTT-DDD-AAA-BBB; only those can be listed"
_UNSPECIFIED: Final = "unspecified"
# The TARGET is wider: a whole code says more than one of its axes.
_WIDER: Final = "wider"


# -- the axes --------------------------------------------------------------------------------------


def axis_concepts(axis: Axis, version: str) -> list[Json]:
    """Return the codes of an axis as the tree that they are, in the order of the codes."""
    listed = embedded_lists().of(version)

    def below(code: str) -> list[Json]:
        return [made(one) for one in listed.children(axis, code)]

    def made(code: str) -> Json:
        entry = listed.entries[axis, code]
        display = entry.text
        if display == _UNSPECIFIED and entry.parent:
            # "unspecified" alone would not say of what.
            display = f"{listed.entries[axis, entry.parent].text}, {display}"
        concept: Json = {
            "code": code,
            "display": display,
            "definition": listed.path(axis, code),
        }
        # A 0 leaves everything after it unspecified: nothing stands below it.
        inside = below(code) if specified(code) == code else []
        return {**concept, "concept": inside} if inside else concept

    return below("")


def axis_count(axis: Axis, version: str) -> int:
    """Return how many codes an axis has."""
    return sum(one is axis for one, _ in embedded_lists().of(version).entries)


def listed_code(system: str, version: str | None, code: str) -> str:
    """Return a code as the list has it: 930 stands there, 700 as 7. Others come back as they are.

    `system` may be any code system; only the axes have codes of several widths.
    """
    axis = AXES.get(system)
    if axis is None or version not in (None, *embedded_lists().versions):
        return code
    listed = embedded_lists().of(version)
    if (axis, code) in listed.entries:
        return code
    try:
        full = axis.parse(code)
    except IdentifierError:
        return code
    entry = None if UNKNOWN in full else listed.entry(axis, full)
    return code if entry is None else entry.code


class AxisProvider(ResourceProvider):
    """The provider of an axis: a code may be written at full width."""

    def find(self, code: str) -> Concept | None:
        """Return the concept of `code`, short or filled up with 0."""
        return super().find(code) or super().find(listed_code(self.url, self.version, code))


# -- the whole code --------------------------------------------------------------------------------


def code_system_head(version: str, *, newest: bool) -> Json:
    """Return the CodeSystem of whole codes by the list of a version."""
    return {
        "resourceType": "CodeSystem",
        "id": _ID if newest else f"{_ID}-{version}",
        "url": IRMA,
        "version": version,
        "name": "Irma",
        "title": "IRMA code TTTT-DDD-AAA-BBB",
        "status": "active",
        "experimental": False,
        "publisher": PUBLISHER,
        "description": (
            "The code of an image: technique, direction, anatomy and biological system, each a code"
            " of its own code system, joined by hyphens (Lehmann et al. 2003). Short axes are"
            " filled up with 0 (unspecified); * stands for what is not known. A code subsumes those"
            " that are more specific on some axes and equal on the others. The codes follow a"
            " grammar and are not listed."
        ),
        "copyright": _LICENSE,
        "caseSensitive": False,
        "valueSet": "https://w3id.org/bodysite/ValueSet/irma",
        "hierarchyMeaning": "grouped-by",
        "compositional": True,
        "content": "not-present",
        "property": [
            {
                "code": axis.value,
                "description": f"The code of the {axis} axis.",
                "type": "Coding",
            }
            for axis in Axis
        ],
    }


class IrmaProvider:
    """Whole IRMA codes by the list of one version; the `ref` of a concept is its `IrmaCode`."""

    def __init__(self, head: Json) -> None:
        self.metadata: Mapping[str, Any] = head
        self._version = str(head["version"])
        self._list: IrmaList = embedded_lists().of(self._version)

    @property
    def url(self) -> str:
        """The canonical of whole codes."""
        return IRMA

    @property
    def version(self) -> str | None:
        """The version of the list."""
        return self._version

    @property
    def content(self) -> Content:
        """Everything: the grammar knows all codes."""
        return "complete"

    @property
    def case_sensitive(self) -> bool:
        """Letters count in either case."""
        return False

    @property
    def language(self) -> str | None:
        """The language of the texts."""
        return "en"

    @property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The four axes."""
        return [PropertyDefinition(axis.value, "Coding") for axis in Axis]

    @property
    def version_label(self) -> str | None:
        """Nothing: the version says it."""
        return None

    @property
    def unclosed_reason(self) -> str | None:
        """Why codes are not listed."""
        return _UNLISTED

    @property
    def hierarchical(self) -> bool:
        """No tree is shown."""
        return False

    def find(self, code: str) -> Concept | None:
        """Return the concept of a whole code whose axes are in the list."""
        try:
            found = self._parsed(code)
        except IdentifierError:
            return None
        return Concept(str(found), found)

    def why_unknown(self, code: str) -> str | None:
        """Return the axis and the position at which a code goes wrong."""
        try:
            self._parsed(code)
        except IdentifierError as error:
            return str(error)
        return None

    def _parsed(self, code: str) -> IrmaCode:
        found = IrmaCode.parse(code)
        self._list.check(found)
        return found

    def display(self, concept: Concept) -> str | None:
        """Return the texts of the axes, each at its most specific."""
        return "; ".join(
            self._list.path(axis, concept.ref.part(axis)) or f"{axis} axis not known"
            for axis in Axis
        )

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the display."""
        return [Designation(self.display(concept) or concept.code, self.language, DISPLAY_USE)]

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return nothing."""
        return ()

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the display where English is wanted."""
        wanted = {one.partition("-")[0] for one in languages}
        return self.designations(concept)[0] if "en" in wanted else None

    def process_note(self, concept: Concept) -> str | None:
        """Return nothing: all of a code was checked."""
        return None

    def definition(self, concept: Concept) -> str | None:
        """Return nothing: the display says it all."""
        return None

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the codes of the axes, as their lists have them."""
        found = []
        for axis in Axis:
            code = listed_code(axis.system, self._version, concept.ref.part(axis))
            text = self._list.path(axis, code)
            coding = as_json(Coding(axis.system, code, text, self._version))
            found.append(PropertyValue(axis.value, "Coding", coding))
        return found

    def extensions(self, concept: Concept) -> Sequence[Mapping[str, Any]]:
        """Return nothing."""
        return ()

    def status(self, concept: Concept) -> ConceptStatus:
        """Return that a code may be used."""
        return ConceptStatus()

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return the codes that are one level less specific on one axis."""
        above = (concept.ref.parent(axis) for axis in Axis)
        return [Concept(str(one), one) for one in above if one is not None]

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return the codes that are one level more specific on one axis."""
        code: IrmaCode = concept.ref
        below = [
            replace(code, **{axis.value: axis.parse(child)})
            for axis in Axis
            for child in self._list.children(axis, code.part(axis))
            if specified(child) == child
        ]
        return [Concept(str(one), one) for one in below]

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return whether `ancestor` is less specific on some axes and equal on all others."""
        above: IrmaCode = ancestor.ref
        below: IrmaCode = descendant.ref
        return above.subsumes(below) and not below.subsumes(above)

    def all_concepts(self) -> Selection:
        """Return nothing that can be listed."""
        return ListSelection((), unclosed=True)

    def active_concepts(self) -> Selection:
        """Return nothing that can be listed."""
        return self.all_concepts()

    def abstract_concepts(self) -> Selection:
        """Return nothing: every code may be used."""
        return ListSelection(())

    def select(self, codes: Sequence[str]) -> Selection:
        """Return the codes that are right, in the order given."""
        return ListSelection(one for one in map(self.find, codes) if one is not None)

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Raise: a filter would have to list what it leaves.

        Raises
        ------
        TxError
            Always.
        """
        text = f"IRMA codes cannot be filtered by {prop} {op} '{value}': {_UNLISTED}"
        raise TxError(Issue("error", "not-supported", None, text), status=422)

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return those of `within` whose code or text holds `text`."""
        wanted = text.casefold()
        return ListSelection(
            one
            for one in within.iterate()
            if wanted in one.code or wanted in str(self.display(one)).casefold()
        )


# -- the map ---------------------------------------------------------------------------------------


def concept_map_head(version: str) -> Json:
    """Return the ConceptMap of whole codes, which says that its answers are computed."""
    return {
        "resourceType": "ConceptMap",
        "id": _ID,
        "extension": [COMPUTED],
        "url": f"{CONCEPT_MAPS}{_ID}",
        "version": version,
        "name": "Irma",
        "title": "IRMA code to SNOMED CT and DICOM, computed",
        "status": "active",
        "experimental": False,
        "publisher": PUBLISHER,
        "description": (
            "An algorithmic map: $translate takes a whole code TTTT-DDD-AAA-BBB apart and asks the"
            " map of each axis. Body structures come first; side and projection are products; a"
            " target of another kind (modality, plane, posture, body system) has a category. A"
            " whole code says more than any of its targets."
        ),
        "copyright": _LICENSE,
        "sourceScopeUri": "https://w3id.org/bodysite/ValueSet/irma",
    }


class IrmaMap:
    """The map from whole codes; see `api.tx.maps.BuiltinMap`."""

    def __init__(self, codes: CodeReader, version: str) -> None:
        self._codes = codes
        self.url: str | None = f"{CONCEPT_MAPS}{_ID}"
        self.version: str | None = version
        self.targets = frozenset({SNOMED, DICOM})

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from `source` to `target` (`None`: any)."""
        return source == IRMA and (target is None or target in self.targets)

    def asked(self, dependencies: Mapping[str, Any], *, alone: bool) -> IrmaMap:
        """Return the map: no request changes it."""
        return self

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return what the axes of a code say: body structures first, then all else."""
        if not self.leads(coding.system, target):
            return Found(reason=f"the ConceptMap does not map from '{coding.system}'")
        versions = embedded_lists().versions
        if coding.version not in (None, *versions):
            held = "' or '".join(versions)
            return Found(reason=f"version '{coding.version}' is not mapped; expected '{held}'")
        why_not = _problem(coding)
        if why_not is not None:
            return Found(reason=why_not)
        reading = self._codes.read(IRMA, coding.code, coding.version)
        matched = [
            self._match(one, reading)
            for one in (*reading.targets, *reading.others)
            if target in (None, one.system)
        ]
        return found_of(
            matched, [], reading.reason or f"'{coding.code}' says nothing of '{target}'"
        )

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return nothing: the axes lead back, each for itself."""
        return Found()

    def _match(self, one: MappedTarget, reading: CodeReading) -> Match:
        equivalence = _WIDER if one.predicate in {EXACT, BROAD} else RELATED_TO
        view = reading.view if one.category is None else None
        return Match(
            as_json(Coding(one.system, one.code, one.display or None)),
            RELATIONSHIP[equivalence],
            equivalence,
            join_canonical(self.url or "", self.version),
            products_of(one.laterality, view),
            properties=category_of(one.category),
            confidence=one.confidence,
            comments=tuple(_comments(one.rows, reading.evidence)),
        )


def _problem(coding: Coding) -> str | None:
    """Return why a whole code is none; a code without hyphens may be of the anatomical axis."""
    if not is_whole(coding.code):
        return None
    try:
        embedded_lists().of(coding.version).check(IrmaCode.parse(coding.code))
    except IdentifierError as error:
        return str(error)
    return None


def _comments(rows: Sequence[str], evidence: Iterable[Evidence]) -> Iterable[str]:
    """Yield the rows of a target, with the axis and the code that they were found by."""
    for one in evidence:
        if one.rows and one.rows == tuple(rows):
            yield f"{', '.join(rows)} ({one.source.rpartition('-')[2]} {' '.join(one.words)})"
            return
    yield from rows
