"""The mapping tables as maps of $translate: ranked targets, sides, refusals with their reason.

Of several tables of one version of a code system, the first that decides a code decides it alone,
as in `terminology.crosswalk`; of several versions, the newest is meant where none is named. A table
that a request names by its url answers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Generic, Protocol, TypeVar

from api.concept_maps import (
    CATEGORY,
    EQUIVALENT_OF,
    FIELD,
    LATERALITY,
    RELATED_TO,
    VIEW,
    version_of,
    view_coding,
)
from api.tx.maps import Attribute, BuiltinMap, Found, Match, as_json, found_of, no_match
from api.tx.r4_maps import RELATIONSHIP
from api.tx.versions import join_canonical
from terminology import sssom
from terminology.concept import SNOMED, Coding, Laterality, View
from terminology.crosswalk import Crosswalk
from terminology.mapping import MappingSet, SemanticMapping

_FIELD_CODE: Final = "field"


class _Map(BuiltinMap, Protocol):
    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from `source` to `target` (`None`: any)."""


_Led = TypeVar("_Led", bound=_Map)


class TableGroup:
    """The tables of one code system, in all its versions.

    Parameters
    ----------
    system
        Its url.
    versions
        The versions as FHIR writes them, the newest last, each with its tables in the order in
        which they decide.
    listed
        version, code → the code as the tables have it, where it may be written otherwise.
    """

    def __init__(
        self,
        system: str,
        versions: Mapping[str | None, Sequence[TableMap]],
        listed: Callable[[str | None, str], str] = lambda _, code: code,
    ) -> None:
        self.system = system
        self.listed = listed
        self._versions = versions

    @property
    def maps(self) -> tuple[TableMap, ...]:
        """Every table, the newest version first."""
        newest_first = reversed(tuple(self._versions.values()))
        return tuple(table for tables in newest_first for table in tables)

    def of(self, table: TableMap) -> TableGroup:
        """Return the group as it is for a table that answers alone."""
        return TableGroup(self.system, {table.source_version: (table,)}, self.listed)

    def why_not_here(self, version: str | None) -> str | None:
        """Return why no table is about `version`, `None` when one is."""
        if version is None or None in self._versions or version in self._versions:
            return None
        held = "' or '".join(str(one) for one in self._versions)
        return f"version '{version}' is not mapped; expected '{held}'"

    def speaker(self, version: str | None, code: str) -> TableMap:
        """Return the table that answers for a code: the first that has it, else the first."""
        held = self._versions
        tables = held.get(version) or held.get(None) or tuple(held.values())[-1]
        return next((one for one in tables if one.has(code)), tables[0])


class TableMap:
    """One table: the map of its ConceptMap resource.

    Parameters
    ----------
    table
        Its rows.
    url
        The canonical of its ConceptMap.
    folder
        What its file is called after, where a row is named.
    quiet
        Whether it answers only where it is named: another map has read it already.
    """

    def __init__(
        self, table: MappingSet, url: str, *, folder: str = "", quiet: bool = False
    ) -> None:
        self.table = table
        self.file = f"{folder}{table.name}.sssom.tsv"
        self.quiet = quiet
        self.url: str | None = url
        self.version: str | None = str(table.metadata["mapping_set_version"])
        self.canonical = join_canonical(url, self.version)
        self.system = str(table.metadata["subject_source"])
        self.source_version = version_of(table)
        self.group = TableGroup(self.system, {self.source_version: (self,)})

    @cached_property
    def targets(self) -> frozenset[str]:
        """The code systems that it leads to."""
        rows = self.table.mappings
        return frozenset({SNOMED, *(sssom.object_system(row) for row in rows if not row.no_match)})

    @cached_property
    def crosswalk(self) -> Crosswalk:
        """The table alone, indexed when it is first asked."""
        return Crosswalk((self.table,))

    @cached_property
    def lines(self) -> Mapping[int, SemanticMapping]:
        """The rows by their line in the file."""
        return {row.line: row for row in self.table.mappings}

    @cached_property
    def _codes(self) -> frozenset[str]:
        return frozenset(sssom.subject_code(row).casefold() for row in self.table.mappings)

    def has(self, code: str) -> bool:
        """Return whether the table decides a code; case is the business of the code system."""
        return code.casefold() in self._codes

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the table leads from `source` to `target` (`None`: any)."""
        return source == self.system and (target is None or target in self.targets)

    def asked(self, dependencies: Mapping[str, Any], *, alone: bool) -> AskedTable:
        """Return the table as one request sees it."""
        return AskedTable(self, dependencies, alone)


@dataclass(frozen=True, slots=True)
class AskedMap(Generic[_Led]):
    """A map as one request sees it; see `BuiltinMap.asked`."""

    map: _Led
    dependencies: Mapping[str, Any]
    alone: bool

    @property
    def url(self) -> str | None:
        """The canonical of the ConceptMap."""
        return self.map.url

    @property
    def version(self) -> str | None:
        """The version of the ConceptMap."""
        return self.map.version

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from `source` to `target` (`None`: any)."""
        return self.map.leads(source, target)


class AskedTable(AskedMap[TableMap]):
    """A table as one request sees it."""

    __slots__ = ()

    @property
    def targets(self) -> frozenset[str]:
        """The code systems that the table leads to."""
        return self.map.targets

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return what the table says of a code, best first; nothing where another one does."""
        one = self.map
        if not one.leads(coding.system, target):
            return Found(reason=f"the ConceptMap does not map from '{coding.system}'")
        group = one.group.of(one) if self.alone else one.group
        if one.quiet and not self.alone:
            return Found()
        why_not = group.why_not_here(coding.version)
        if why_not is not None:
            # The same code may mean something else there, as in the two lists of IRMA.
            return Found(reason=why_not)
        version = one.source_version if self.alone else coding.version
        code = one.group.listed(version, coding.code)
        if group.speaker(version, code) is not one:
            return Found()
        answer = one.crosswalk.translate(Coding(coding.system, code))
        matched: list[Match] = []
        depending = False
        for found in answer.targets:
            row = self._row(found.rows)
            if row is not None and not self._applies(row):
                depending = True
            elif target in (None, found.system):
                concept = Coding(found.system, found.code, found.display or None)
                matched.append(self._match(concept, found.predicate, found.confidence, row))
        if answer.targets:
            if depending and not matched:
                return Found(reason=f"the mapping of '{coding.code}' depends on another value")
            return found_of(matched, [], f"'{coding.code}' has no counterpart in '{target}'")
        refused = [no_match(one.canonical, answer.reason)] if one.has(code) else []
        return Found(tuple(refused), answer.reason or f"'{coding.code}' is not in {one.table.name}")

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return the codes that are mapped to a concept, best first."""
        one = self.map
        if one.quiet and not self.alone:
            return Found()
        if coding.system not in one.targets or source not in (None, one.system):
            return Found(reason=f"nothing is mapped to '{coding.system}'")
        matched = []
        for found in one.crosswalk.reverse(coding.code, target_system=coding.system):
            if (
                not self.alone
                and one.group.speaker(one.source_version, found.coding.code) is not one
            ):
                continue
            concept = replace(found.coding, version=one.source_version)
            row = self._row(found.rows)
            matched.append(self._match(concept, found.predicate, found.confidence, row))
        return found_of(matched, [], f"no table maps to '{coding.code}'")

    def _row(self, refs: Sequence[str]) -> SemanticMapping | None:
        """Return the row that ``file:line`` names."""
        return self.map.lines.get(int(refs[0].rpartition(":")[2])) if refs else None

    def _applies(self, row: SemanticMapping) -> bool:
        """Return whether no given value contradicts what the mapping depends on."""
        given = text_of(self.dependencies, FIELD, _FIELD_CODE)
        return row.subject_field is None or given in (None, row.subject_field)

    def _match(
        self,
        concept: Coding,
        predicate: str,
        confidence: float | None,
        row: SemanticMapping | None,
    ) -> Match:
        equivalence = EQUIVALENT_OF.get(predicate, RELATED_TO)
        made = Match(
            as_json(concept),
            RELATIONSHIP[equivalence],
            equivalence,
            self.map.canonical,
            confidence=confidence,
        )
        if row is None:
            return made
        field = row.subject_field
        depends = () if field is None else (Attribute(FIELD, {"valueString": field}),)
        ref = f"{self.map.file}:{row.line}"
        return replace(
            made,
            products=products_of(row.object_laterality, row.object_view),
            depends_on=depends,
            properties=category_of(row.category),
            comments=(f"{ref} {row.comment}" if row.comment else ref,),
        )


def products_of(side: Laterality | None, view: View | str | None) -> tuple[Attribute, ...]:
    """Return side and projection, the latter a `View` or a bare code, as products."""
    found = []
    if side is not None:
        found.append(Attribute(LATERALITY, {"valueCoding": as_json(side.coding)}))
    if isinstance(view, View):
        found.append(
            Attribute(VIEW, {"valueCoding": as_json(Coding(SNOMED, view.code, view.display))})
        )
    elif view is not None:
        found.append(Attribute(VIEW, {"valueCoding": as_json(view_coding(view))}))
    return tuple(found)


def category_of(category: str | None) -> tuple[Attribute, ...]:
    """Return what kind of thing a target is, where it is no body structure, as a property."""
    return () if category is None else (Attribute(CATEGORY, {"valueString": category}),)


def text_of(dependencies: Mapping[str, Any], *names: str) -> str | None:
    """Return a value that a request gave under one of `names`, as text."""
    for name in names:
        value = dependencies.get(name)
        if isinstance(value, Mapping):
            codings = value.get("coding") or [value]
            value = value.get("text") or codings[0].get("code")
        if isinstance(value, str) and value:
            return value
    return None
