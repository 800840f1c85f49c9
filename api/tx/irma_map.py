"""The map from whole IRMA codes to SNOMED CT and DICOM: each axis is asked for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from api.concept_maps import CONCEPT_MAPS, PUBLISHER, RELATED_TO
from api.tx.header_words import COMPUTED
from api.tx.irma import IRMA_ID, LICENSE
from api.tx.maps import Found, Match, as_json, found_of
from api.tx.r4_maps import RELATIONSHIP
from api.tx.table_maps import category_of, products_of
from api.tx.versions import join_canonical
from terminology.annotation import Evidence
from terminology.concept import DICOM, SNOMED, Coding
from terminology.crosswalk import MappedTarget
from terminology.errors import IdentifierError
from terminology.mapping import BROAD, EXACT
from terminology.sources.codes import CodeReader
from terminology.sources.irma import IRMA, IrmaCode, is_whole
from terminology.sources.irma_lists import embedded_lists
from terminology.sources.reading import CodeReading

Json = dict[str, Any]
# The TARGET is wider: a whole code says more than one of its axes.
_WIDER: Final = "wider"


def concept_map_head(version: str) -> Json:
    """Return the ConceptMap of whole codes, which says that its answers are computed."""
    return {
        "resourceType": "ConceptMap",
        "id": IRMA_ID,
        "extension": [COMPUTED],
        "url": f"{CONCEPT_MAPS}{IRMA_ID}",
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
        "copyright": LICENSE,
        "sourceScopeUri": "https://w3id.org/bodysite/ValueSet/irma",
    }


class IrmaMap:
    """The map from whole codes; see `api.tx.maps.BuiltinMap`."""

    def __init__(self, codes: CodeReader, version: str) -> None:
        self._codes = codes
        self.url: str | None = f"{CONCEPT_MAPS}{IRMA_ID}"
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
            comments=tuple(_found_by(one.rows, reading.evidence)),
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


def _found_by(rows: Sequence[str], evidence: Iterable[Evidence]) -> Iterable[str]:
    """Yield the rows of a target, with the axis and the code that they were found by."""
    for one in evidence:
        if one.rows and one.rows == tuple(rows):
            yield f"{', '.join(rows)} ({one.source.rpartition('-')[2]} {' '.join(one.words)})"
            return
    yield from rows
