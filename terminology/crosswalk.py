"""`Crosswalk`: from a foreign code or word to SNOMED CT body sites, and back, with evidence.

One mapping table stands behind each source code system. The crosswalk knows the systems by the
tables' metadata; nothing about IRMA, UMLS or DICOM is written here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.concept import SNOMED, Coding, Laterality
from terminology.errors import RowProblem, TableError, UnknownSystemError
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, RELATED, MappingSet, SemanticMapping
from terminology.tables import mappings_folder

IRMA_ANATOMY: Final = "https://w3id.org/bodysite/CodeSystem/irma-anatomy"
UNIFESP: Final = "https://w3id.org/bodysite/CodeSystem/unifesp"
UMLS: Final = "http://www.nlm.nih.gov/research/umls"
DICOM_BODY_PART: Final = "https://w3id.org/bodysite/CodeSystem/dicom-body-part-examined"

TABLES: Final = (
    "dicom-body-part-examined.sssom.tsv",
    "irma-anatomy-2008.sssom.tsv",
    "umls-cui.sssom.tsv",
    "unifesp.sssom.tsv",
)

# Ranked: how well the object stands for the subject. With broadMatch the OBJECT is broader.
_RANK: Final = {EXACT: 0, CLOSE: 1, BROAD: 2, NARROW: 3, RELATED: 4}
_INVERSE: Final = {EXACT: EXACT, CLOSE: CLOSE, BROAD: NARROW, NARROW: BROAD, RELATED: RELATED}


@dataclass(frozen=True, slots=True)
class MappedTarget:
    """One SNOMED CT answer. With `skos:broadMatch` the target is broader than the source."""

    code: str
    display: str
    laterality: Laterality | None
    predicate: str
    confidence: float | None
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """The ranked targets of one source code; `reason` says why there are none."""

    source: Coding
    targets: tuple[MappedTarget, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReverseTarget:
    """One foreign code for a SNOMED CT concept; `predicate` is read from SNOMED CT outwards."""

    coding: Coding
    laterality: Laterality | None
    predicate: str
    confidence: float | None
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """One code system: its table and the rows by source code or string."""

    mapping_set: MappingSet
    version: str | None
    fold_case: bool
    rows: dict[str, list[SemanticMapping]]

    def key(self, code: str) -> str:
        return code.casefold() if self.fold_case else code

    def ref(self, row: SemanticMapping) -> str:
        return f"{self.mapping_set.name}.sssom.tsv:{row.line}"


class Crosswalk:
    """Translate codes of the source systems into SNOMED CT body structures.

    Parameters
    ----------
    mapping_sets
        Tables whose metadata names `subject_source`, the URI of the code system. A table of
        literal mappings (DICOM body part words) is looked up by its strings, in any case.
    """

    def __init__(self, mapping_sets: Iterable[MappingSet]) -> None:
        self._sources = {
            str(mapping_set.metadata["subject_source"]): _source(mapping_set)
            for mapping_set in mapping_sets
        }
        self._reverse: dict[str, list[tuple[str, SemanticMapping]]] = defaultdict(list)
        for system, source in self._sources.items():
            for rows in source.rows.values():
                for row in rows:
                    if not row.negated and not row.no_match:
                        self._reverse[sssom.object_code(row)].append((system, row))

    @classmethod
    def load(cls, folder: Path | None = None) -> Crosswalk:
        """Return the crosswalk of the tables in `folder`, by default the embedded ones.

        Raises
        ------
        TableError
            With the bad rows of all tables.
        """
        folder = folder or mappings_folder()
        sets: list[MappingSet] = []
        problems: list[RowProblem] = []
        for name in TABLES:
            try:
                sets.append(sssom.read(folder / name))
            except TableError as error:
                problems.extend(error.problems)
        if problems:
            raise TableError(problems)
        return cls(sets)

    @property
    def systems(self) -> tuple[str, ...]:
        """The URIs of the source code systems, sorted."""
        return tuple(sorted(self._sources))

    def mapping_set(self, system: str) -> MappingSet:
        """Return the table behind `system`; `UnknownSystemError` when there is none."""
        return self._source(system).mapping_set

    def version(self, system: str) -> str | None:
        """Return the version of the source code system that the table maps from."""
        return self._source(system).version

    def translate(self, source: Coding) -> Translation:
        """Return the SNOMED CT targets of `source`, best first.

        Ranked by predicate (exact, close, broader, narrower, related), then confidence, then
        code. No target is an answer as well, and `reason` says whether the code is unknown, was
        found to have no counterpart, or is blocked.

        Raises
        ------
        UnknownSystemError
            No table maps from the system of `source`.
        """
        table = self._source(source.system)
        rows = table.rows.get(table.key(source.code), [])
        if not rows:
            return Translation(source, (), f"'{source.code}' is not in {table.mapping_set.name}")
        targets = [
            MappedTarget(
                code=sssom.object_code(row),
                display=row.object_label or "",
                laterality=row.object_laterality,
                predicate=row.predicate_id,
                confidence=row.confidence,
                rows=(table.ref(row),),
            )
            for row in rows
            if not row.negated and not row.no_match
        ]
        if not targets:
            reasons = [f"{table.ref(row)} {row.comment or 'no counterpart'}" for row in rows]
            return Translation(source, (), "; ".join(reasons))
        targets.sort(
            key=lambda target: (_RANK[target.predicate], -(target.confidence or 0), target.code)
        )
        return Translation(source, tuple(targets))

    def reverse(self, code: str, system: str | None = None) -> tuple[ReverseTarget, ...]:
        """Return the foreign codes whose tables name the SNOMED CT concept `code`, best first.

        `system` restricts the answer to one code system.
        """
        if system is not None:
            self._source(system)
        found = [
            ReverseTarget(
                coding=Coding(
                    source_system,
                    sssom.subject_code(row),
                    row.subject_label,
                    self._sources[source_system].version,
                ),
                laterality=row.object_laterality,
                predicate=_INVERSE[row.predicate_id],
                confidence=row.confidence,
                rows=(self._sources[source_system].ref(row),),
            )
            for source_system, row in self._reverse.get(code, [])
            if system in (None, source_system)
        ]
        found.sort(
            key=lambda target: (
                _RANK[target.predicate],
                -(target.confidence or 0),
                target.coding.system,
                target.coding.code,
            )
        )
        return tuple(found)

    def _source(self, system: str) -> _Source:
        try:
            return self._sources[system]
        except KeyError:
            raise UnknownSystemError(
                "system",
                f"'{system}' is not mapped from",
                " or ".join((*self.systems, SNOMED)),
                "Name one of these code systems; 'bodysite mappings check' lists their tables.",
            ) from None


def _source(mapping_set: MappingSet) -> _Source:
    literal = any(row.subject_type == sssom.LITERAL for row in mapping_set.mappings)
    rows: dict[str, list[SemanticMapping]] = defaultdict(list)
    for row in mapping_set.mappings:
        code = sssom.subject_code(row)
        rows[code.casefold() if literal else code].append(row)
    version = mapping_set.metadata.get("subject_source_version")
    return _Source(mapping_set, str(version) if version else None, literal, dict(rows))
