"""What a mapping table decides: how many subjects, with which outcome, in which region."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from terminology import sssom
from terminology.mapping import MappingSet, SemanticMapping

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

# The parts that a person looks for, the particular before what it lies in: codes of PS3.16 Annex L.
REGIONS: Final = {
    "spine": "421060004",
    "neck": "45048000",
    "head": "69536005",
    "upper limb": "53120007",
    "lower limb": "61685007",
    "breast": "76752008",
    "pelvis": "816092008",
    "abdomen": "818981001",
    "chest": "816094009",
}
ELSEWHERE: Final = "elsewhere"


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """The subjects of one table by what was decided about them.

    `mapped` have a target, `no_match` were looked at and have none, `refused` have only pairs that
    are known to be wrong. `regions` counts the body structures that are pointed at.
    """

    name: str
    subjects: int
    mapped: int
    no_match: int
    refused: int
    regions: Mapping[str, int]

    def as_dict(self) -> dict[str, object]:
        """Return it, ready for JSON."""
        return {
            "subjects": self.subjects,
            "mapped": self.mapped,
            "no_match": self.no_match,
            "refused": self.refused,
            "regions": dict(self.regions),
        }

    def __str__(self) -> str:
        return (
            f"{self.subjects} subjects: {self.mapped} mapped, {self.no_match} without a"
            f" counterpart, {self.refused} refused"
        )


def coverage_of(table: MappingSet, graph: BodyStructureGraph) -> TableCoverage:
    """Return what `table` decides."""
    by_subject: dict[tuple[str, str], list[SemanticMapping]] = defaultdict(list)
    for row in table.mappings:
        by_subject[sssom.subject_code(row), row.subject_field or ""].append(row)
    outcomes = Counter(_outcome(rows) for rows in by_subject.values())
    regions = Counter(
        region_of(code, graph)
        for code in {
            sssom.object_code(row)
            for row in table.mappings
            if not row.no_match and not row.negated and not row.object_category
        }
    )
    return TableCoverage(
        table.name,
        len(by_subject),
        outcomes["mapped"],
        outcomes["no_match"],
        outcomes["refused"],
        {name: regions[name] for name in (*REGIONS, ELSEWHERE) if regions[name]},
    )


def region_of(code: str, graph: BodyStructureGraph) -> str:
    """Return the first of `REGIONS` that holds `code`, or "elsewhere"."""
    if code in graph:
        for name, region in REGIONS.items():
            if region in graph and (region == code or graph.subsumes(region, code)):
                return name
    return ELSEWHERE


def _outcome(rows: Iterable[SemanticMapping]) -> str:
    asserted = [row for row in rows if not row.negated]
    if any(not row.no_match for row in asserted):
        return "mapped"
    return "no_match" if asserted else "refused"
