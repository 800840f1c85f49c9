"""Concept maps that the association and map reference sets of a release imply.

Association reference sets lead from concept to concept, most of them from inactive ones to what is
used now; map reference sets lead to other code systems. Rows that are inactive map nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from api.tx.snomed import SnomedProvider, is_number
from terminology.concept import SNOMED
from terminology.release.refsets import RefsetTable
from terminology.release.values import (
    ALTERNATIVE,
    MOVED_FROM,
    MOVED_TO,
    PARTIALLY_EQUIVALENT_TO,
    POSSIBLY_EQUIVALENT_TO,
    POSSIBLY_REPLACED_BY,
    REFERS_TO,
    REPLACED_BY,
    SAME_AS,
    SIMILAR_TO,
    STRUCTURE_AND_ENTIRE,
    STRUCTURE_AND_PART,
    WAS_A,
)
from terminology.rf2.rows import TextColumn

Json = dict[str, Any]
_TARGET_COMPONENT: Final = "targetComponentId"
_MAP_TARGET: Final = "mapTarget"
_MAP_SOURCE: Final = "mapSource"


@dataclass(frozen=True, slots=True)
class Relationship:
    """How the source concept of a mapping stands to its target, in R5 and in R4 words."""

    r5: str
    r4: str


EQUIVALENT: Final = Relationship("equivalent", "equivalent")
EQUAL: Final = Relationship("equivalent", "equal")
# R4: the target is wider; R5: the source is narrower. Both say the same.
NARROWER_SOURCE: Final = Relationship("source-is-narrower-than-target", "wider")
BROADER_SOURCE: Final = Relationship("source-is-broader-than-target", "narrower")
INEXACT: Final = Relationship("related-to", "inexact")
RELATED: Final = Relationship("related-to", "relatedto")
NOT_RELATED: Final = Relationship("not-related-to", "disjoint")

# FHIR, "Using SNOMED CT with FHIR", implicit concept maps, for the first four. The others follow
# from what the reference sets mean: a part and an entire structure are kinds of the structure.
ASSOCIATIONS: Final = {
    POSSIBLY_EQUIVALENT_TO: ("POSSIBLY EQUIVALENT TO", INEXACT),
    REPLACED_BY: ("REPLACED BY", EQUIVALENT),
    SAME_AS: ("SAME AS", EQUAL),
    ALTERNATIVE: ("ALTERNATIVE", INEXACT),
    POSSIBLY_REPLACED_BY: ("POSSIBLY REPLACED BY", INEXACT),
    PARTIALLY_EQUIVALENT_TO: ("PARTIALLY EQUIVALENT TO", INEXACT),
    WAS_A: ("WAS A", NARROWER_SOURCE),
    SIMILAR_TO: ("SIMILAR TO", INEXACT),
    STRUCTURE_AND_ENTIRE: ("anatomy structure and entire", BROADER_SOURCE),
    STRUCTURE_AND_PART: ("anatomy structure and part", BROADER_SOURCE),
}
# Association reference sets whose targets are no replacement of the source: they name a module or a
# namespace, or lead from descriptions.
_NO_MAPS: Final = frozenset({MOVED_TO, MOVED_FROM, REFERS_TO})

# Map reference set → the code system that its targets come from.
TARGET_SYSTEMS: Final = {
    "447562003": "http://hl7.org/fhir/sid/icd-10",
    "6011000124106": "http://hl7.org/fhir/sid/icd-10-cm",
    "446608001": "http://terminology.hl7.org/CodeSystem/icd-o-3",
    "900000000000497000": "http://read.info/ctv3",
    "450993002": "http://hl7.org/fhir/sid/icpc-2",
    "784008009": "http://www.orpha.net",
}
# Correlation of a map row (mapped from SNOMED CT) → relationship.
_CORRELATIONS: Final = {
    447557004: EQUIVALENT,
    447558009: BROADER_SOURCE,
    447559001: NARROWER_SOURCE,
    447560006: INEXACT,
    447556008: NOT_RELATED,
}
_ALWAYS_TRUE: Final = frozenset({"", "TRUE", "OTHERWISE TRUE"})


@dataclass(frozen=True, slots=True)
class ImplicitMapping:
    """One row: what `source` is mapped to.

    Parameters
    ----------
    target
        The code, `None` where the row says that there is none.
    display
        Of the target, where it is a SNOMED CT concept.
    comment
        Rule and advice of a complex map; a rule that is not always true makes the mapping
        conditional.
    """

    source: str
    target: str | None
    relationship: Relationship
    display: str | None = None
    comment: str | None = None


class ImplicitMap:
    """A concept map over one reference set; its rows are read when they are asked for.

    Attributes
    ----------
    url, version, title
        As in a ConceptMap resource; `version` is that of the release.
    source_system, target_system
        Code systems; the foreign one is `None` where this module does not know what the map
        reference set maps to.
    """

    def __init__(
        self, provider: SnomedProvider, table: RefsetTable, url: str, target_field: str
    ) -> None:
        self._provider = provider
        self._table = table
        self._other = table.field(target_field)
        label, self._relationship = ASSOCIATIONS.get(table.refset, (None, RELATED))
        foreign = TARGET_SYSTEMS.get(table.refset)
        self.source_system: str | None = SNOMED
        self.target_system: str | None = SNOMED if target_field == _TARGET_COMPONENT else foreign
        # A map *to* SNOMED CT has the foreign code in mapSource and the concept as component.
        self._leads_home = target_field == _MAP_SOURCE
        if self._leads_home:
            self.source_system, self.target_system = foreign, SNOMED
        self.url = url
        self.version = provider.version
        term = label or provider.term(table.refset) or table.refset
        self.title = f"SNOMED CT {term} concept map"

    def __len__(self) -> int:
        return int(np.count_nonzero(self._table.active))

    @property
    def refset(self) -> str:
        """SCTID of the reference set."""
        return self._table.refset

    def forward(self, code: str) -> tuple[ImplicitMapping, ...]:
        """Return what a code of the source system is mapped to, in the order of the release."""
        rows = self._rows_with(code) if self._leads_home else self._rows_of(code)
        return tuple(map(self._mapping, rows))

    def reverse(self, code: str) -> tuple[ImplicitMapping, ...]:
        """Return the mappings that lead to a code of the target system, read forward."""
        rows = self._rows_of(code) if self._leads_home else self._rows_with(code)
        return tuple(map(self._mapping, rows))

    def mappings(self) -> Iterator[ImplicitMapping]:
        """Yield every mapping."""
        yield from map(self._mapping, np.flatnonzero(self._table.active).tolist())

    def resource(self) -> Json:
        """Return the ConceptMap resource in R5 form, without its elements."""
        group = {"source": self.source_system, "target": self.target_system}
        return {
            "resourceType": "ConceptMap",
            "url": self.url,
            "version": self.version,
            "name": f"SNOMEDCTMap{self.refset}",
            "title": self.title,
            "status": "active",
            "description": f"The {len(self)} active rows of the reference set {self.refset}.",
            "group": [{name: value for name, value in group.items() if value is not None}],
        }

    def _rows_of(self, component: str) -> Iterator[int]:
        """Yield the active rows of a concept."""
        if is_number(component):
            rows = self._table.rows_of(component)
            yield from (row for row in rows if self._table.active[row])

    def _rows_with(self, code: str) -> Iterator[int]:
        """Yield the active rows whose further column holds `code`."""
        if isinstance(self._other, TextColumn):
            same = _equal(self._other, code)
        elif is_number(code):
            same = self._other == int(code)
        else:
            return
        yield from np.flatnonzero(self._table.active & same).tolist()

    def _mapping(self, row: int) -> ImplicitMapping:
        component, other = str(self._table.component[row]), str(self._other[row]) or None
        source, target = (other or "", component) if self._leads_home else (component, other)
        display = None
        if self.target_system == SNOMED and target is not None:
            display = self._provider.term(target)
        return ImplicitMapping(
            source, target, self._relationship_of(row), display, self._comment(row)
        )

    def _relationship_of(self, row: int) -> Relationship:
        if "correlationId" not in self._table.fields:
            return self._relationship
        correlation = self._table.field("correlationId")[row]
        return _CORRELATIONS.get(int(correlation), RELATED)

    def _comment(self, row: int) -> str | None:
        said = []
        for name in ("mapRule", "mapAdvice"):
            if name in self._table.fields:
                text = str(self._table.field(name)[row])
                if text not in _ALWAYS_TRUE and text not in said:
                    said.append(text)
        return "; ".join(said) or None


def implicit_map(provider: SnomedProvider, refset: str, url: str) -> ImplicitMap | None:
    """Return the map over a reference set, `None` when there is none or it maps nothing."""
    table = provider.refset_table(refset)
    target = _target_field(table) if table is not None else None
    if table is None or target is None:
        return None
    return ImplicitMap(provider, table, url, target)


def map_refsets(provider: SnomedProvider) -> Sequence[str]:
    """Return the reference sets of a release that imply a map, by code."""
    tables = ((code, provider.refset_table(code)) for code in provider.refset_codes())
    return [code for code, table in tables if table is not None and _target_field(table)]


def _target_field(table: RefsetTable) -> str | None:
    if table.refset in _NO_MAPS:
        return None
    return next(
        (name for name in (_TARGET_COMPONENT, _MAP_TARGET, _MAP_SOURCE) if name in table.fields),
        None,
    )


def _equal(column: TextColumn, text: str) -> NDArray[np.bool_]:
    """Return bool (rows,): where the column says `text`, without decoding any row."""
    wanted = np.frombuffer(text.encode(), dtype=np.uint8)
    same: NDArray[np.bool_] = column.lengths == len(wanted)
    rows = np.flatnonzero(same)
    places = column.starts[rows][:, np.newaxis] + np.arange(len(wanted))
    same[rows] = (column.data[places] == wanted).all(axis=1)
    return same
