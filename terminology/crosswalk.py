"""`Crosswalk`: from a foreign code or word to SNOMED CT body sites, and back, with evidence.

One or more mapping tables stand behind each version of a source code system. The crosswalk knows
the systems by the tables' metadata; nothing about IRMA, UMLS or DICOM is written here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.concept import SNOMED, Coding, Laterality
from terminology.errors import RowProblem, TableError, UnknownSystemError
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, RELATED, MappingSet, SemanticMapping
from terminology.sssom import MappingFile
from terminology.tables import mappings_folder

IRMA_ANATOMY: Final = "https://w3id.org/bodysite/CodeSystem/irma-anatomy"
UNIFESP: Final = "https://w3id.org/bodysite/CodeSystem/unifesp"
UMLS: Final = "http://www.nlm.nih.gov/research/umls"
DICOM_BODY_PART: Final = "https://w3id.org/bodysite/CodeSystem/dicom-body-part-examined"

# Words of headers are read by `terminology.text`, not looked up as codes.
_HEADER_WORDS: Final = "header-words"

# Ranked: how well the object stands for the subject. With broadMatch the OBJECT is broader.
_RANK: Final = {EXACT: 0, CLOSE: 1, BROAD: 2, NARROW: 3, RELATED: 4}
_INVERSE: Final = {EXACT: EXACT, CLOSE: CLOSE, BROAD: NARROW, NARROW: BROAD, RELATED: RELATED}


@dataclass(frozen=True, slots=True)
class MappedTarget:
    """One answer. With `skos:broadMatch` the target is broader than the source.

    `system` is SNOMED CT but for what DICOM alone has codes for, such as modalities. `category`
    names what kind of thing the target is, and is `None` for body structures.
    """

    code: str
    display: str
    laterality: Laterality | None
    predicate: str
    confidence: float | None
    rows: tuple[str, ...]
    system: str = SNOMED
    category: str | None = None


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
class _Row:
    """A row and the table it stands in."""

    mapping: SemanticMapping
    ref: str


class _Source:
    """One version of a code system: its tables, and the rows by source code or string."""

    def __init__(
        self, system: str, version: str | None, tables: Sequence[MappingSet | MappingFile]
    ) -> None:
        self.system = system
        self.version = version
        self._tables = tables

    @property
    def names(self) -> str:
        """The names of the tables, for a message."""
        return " or ".join(one.name for one in self._tables)

    @cached_property
    def tables(self) -> tuple[MappingSet, ...]:
        """The tables with their rows."""
        return tuple(
            one if isinstance(one, MappingSet) else one.mapping_set for one in self._tables
        )

    def find(self, code: str) -> tuple[_Row, ...]:
        """Return the rows of the first table that decides `code`."""
        return self.rows.get(code.casefold() if self._is_literal else code, ())

    @cached_property
    def rows(self) -> Mapping[str, tuple[_Row, ...]]:
        """The rows by source code; by the string without case where subjects are strings."""
        found: dict[str, tuple[_Row, ...]] = {}
        for table in self.tables:
            own: dict[str, list[_Row]] = defaultdict(list)
            for row in table.mappings:
                code = sssom.subject_code(row)
                ref = f"{table.name}.sssom.tsv:{row.line}"
                own[code.casefold() if self._is_literal else code].append(_Row(row, ref))
            found.update({code: tuple(rows) for code, rows in own.items() if code not in found})
        return found

    @cached_property
    def _is_literal(self) -> bool:
        return any(row.subject_type == sssom.LITERAL for one in self.tables for row in one.mappings)


class Crosswalk:
    """Translate codes of the source systems into SNOMED CT body structures.

    Parameters
    ----------
    mapping_sets
        Tables whose metadata names `subject_source`, the URI of the code system, and its
        `subject_source_version` where the table holds for one version only. Of several tables of
        one version, the first that decides a code decides it alone. A table of literal mappings
        (DICOM body part words) is looked up by its strings, in any case.
    local
        A site's own tables; they come before all others.
    """

    def __init__(
        self,
        mapping_sets: Iterable[MappingSet | MappingFile],
        local: Iterable[MappingSet] = (),
    ) -> None:
        self._shipped = tuple(mapping_sets)
        by_source: dict[str, dict[str | None, list[MappingSet | MappingFile]]] = defaultdict(dict)
        for mapping_set in (*local, *self._shipped):
            system = str(mapping_set.metadata["subject_source"])
            version = mapping_set.metadata.get("subject_source_version")
            by_source[system].setdefault(str(version) if version else None, []).append(mapping_set)
        self._sources = {
            system: {
                version: _Source(system, version, found[version])
                for version in sorted(found, key=lambda one: one or "")
            }
            for system, found in by_source.items()
        }

    @classmethod
    def load(cls, folder: Path | None = None, local: Iterable[MappingSet] = ()) -> Crosswalk:
        """Return the crosswalk of the tables in `folder`, by default the embedded ones.

        Tables of `local` come before those of the folder: what they decide is decided. The rows of
        a table are read when its system is first asked for; a table with bad rows then raises
        `TableError`.

        Raises
        ------
        TableError
            There are no tables, or the metadata of some cannot be read.
        """
        folder = folder or mappings_folder()
        tables: list[MappingSet | MappingFile] = []
        problems: list[RowProblem] = []
        paths = crosswalk_tables(folder)
        if not paths:
            problems.append(
                RowProblem("*.sssom.tsv", 1, "file", f"no mapping table in {folder}", "tables")
            )
        for path in paths:
            try:
                tables.append(MappingFile(path))
            except TableError as error:
                problems.extend(error.problems)
        if problems:
            raise TableError(problems)
        return cls(tables, local)

    def decided_by(self, local: Iterable[MappingSet]) -> Crosswalk:
        """Return this crosswalk with `local` in the place of a site's own tables.

        The shipped tables are shared: what was read of them is not read again.
        """
        return Crosswalk(self._shipped, local)

    @property
    def systems(self) -> tuple[str, ...]:
        """The URIs of the source code systems, sorted."""
        return tuple(sorted(self._sources))

    @property
    def tables(self) -> tuple[MappingSet, ...]:
        """Every table, by name; each is read if it was not yet."""
        found = (one for system in self._sources for one in self.mapping_sets(system))
        return tuple(sorted(found, key=lambda one: one.name))

    def versions(self, system: str) -> tuple[str | None, ...]:
        """Return the versions of `system` that tables map from, the newest last."""
        return tuple(self._versions(system))

    def version(self, system: str) -> str | None:
        """Return the newest version of `system`, the one that is meant when none is named."""
        return self.versions(system)[-1]

    def mapping_sets(self, system: str, version: str | None = None) -> tuple[MappingSet, ...]:
        """Return the tables behind `system`, of one `version` or, without one, of all."""
        if version is not None:
            return self._source(system, version).tables
        return tuple(table for source in self._versions(system).values() for table in source.tables)

    def mapping_set(self, system: str, version: str | None = None) -> MappingSet:
        """Return the first table behind `system`; `UnknownSystemError` when there is none."""
        return self._source(system, version).tables[0]

    def translate(self, source: Coding) -> Translation:
        """Return the targets of `source`, best first.

        Ranked by predicate (exact, close, broader, narrower, related), then confidence, then
        code. No target is an answer as well, and `reason` says whether the code is unknown, was
        found to have no counterpart, or is blocked.

        Raises
        ------
        UnknownSystemError
            No table maps from the system of `source`, or none from its version where the system
            has several.
        """
        table = self._source(source.system, source.version)
        rows = table.find(source.code)
        if not rows:
            return Translation(source, (), f"'{source.code}' is not in {table.names}")
        targets = [
            MappedTarget(
                code=sssom.object_code(row.mapping),
                display=row.mapping.object_label or "",
                laterality=row.mapping.object_laterality,
                predicate=row.mapping.predicate_id,
                confidence=row.mapping.confidence,
                rows=(row.ref,),
                system=sssom.object_system(row.mapping),
                category=row.mapping.category,
            )
            for row in rows
            if not row.mapping.negated and not row.mapping.no_match
        ]
        if not targets:
            reasons = [f"{row.ref} {row.mapping.comment or 'no counterpart'}" for row in rows]
            return Translation(source, (), "; ".join(reasons))
        targets.sort(
            key=lambda target: (_RANK[target.predicate], -(target.confidence or 0), target.code)
        )
        return Translation(source, tuple(targets))

    def reverse(
        self,
        code: str,
        system: str | None = None,
        version: str | None = None,
        *,
        target_system: str = SNOMED,
    ) -> tuple[ReverseTarget, ...]:
        """Return the foreign codes whose tables name the concept `code`, best first.

        `code` is of `target_system`. `system` restricts the answer to one code system, and
        `version` to one version of it; without it, all versions answer.
        """
        if system is not None:
            self._source(system, version)
        found = [
            ReverseTarget(
                coding=Coding(
                    source.system,
                    sssom.subject_code(row.mapping),
                    row.mapping.subject_label,
                    source.version,
                ),
                laterality=row.mapping.object_laterality,
                predicate=_INVERSE[row.mapping.predicate_id],
                confidence=row.mapping.confidence,
                rows=(row.ref,),
            )
            for source, row in self._reverse.get((target_system, code), ())
            if system in (None, source.system)
            and (version is None or source is self._source(source.system, version))
        ]
        found.sort(
            key=lambda target: (
                _RANK[target.predicate],
                -(target.confidence or 0),
                target.coding.system,
                target.coding.code,
                target.coding.version or "",
            )
        )
        return tuple(found)

    @cached_property
    def _reverse(self) -> Mapping[tuple[str, str], Sequence[tuple[_Source, _Row]]]:
        """The rows that name a concept as their target, of all tables."""
        found: dict[tuple[str, str], list[tuple[_Source, _Row]]] = defaultdict(list)
        for versions in self._sources.values():
            for source in versions.values():
                for row in chain.from_iterable(source.rows.values()):
                    if not row.mapping.negated and not row.mapping.no_match:
                        target = sssom.object_system(row.mapping), sssom.object_code(row.mapping)
                        found[target].append((source, row))
        return dict(found)

    def _versions(self, system: str) -> Mapping[str | None, _Source]:
        try:
            return self._sources[system]
        except KeyError:
            raise UnknownSystemError(
                "system",
                f"'{system}' is not mapped from",
                " or ".join((*self.systems, SNOMED)),
                "Name one of these code systems; 'bodysite mappings check' lists their tables.",
            ) from None

    def _source(self, system: str, version: str | None) -> _Source:
        """Return the tables of `version`; where there is one version only, a code is of that."""
        versions = self._versions(system)
        if version in versions:
            return versions[version]
        newest = list(versions.values())[-1]
        if version is None or len(versions) == 1:
            return newest
        raise UnknownSystemError(
            "version",
            f"'{version}' of {system} is not mapped from",
            " or ".join(str(one) for one in versions),
            "Name one of these versions, or none for the newest.",
        )


def crosswalk_tables(folder: Path) -> list[Path]:
    """Return the tables of `folder` that map codes, sorted; header words are no codes."""
    return [
        path
        for path in sorted(folder.glob("*.sssom.tsv"))
        if not path.name.startswith(_HEADER_WORDS)
    ]
