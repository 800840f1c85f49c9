"""What comes with Bodysite as CodeSystem, ValueSet and ConceptMap, and the maps behind them.

Every code that a table maps from is a concept, so that the codes themselves can be looked up,
validated and expanded, not only translated. A code system of ours is complete, one of others a
fragment: the codes that our tables know. Heads are made at the start, concepts and groups when
somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from api.concept_maps import (
    CONCEPT_MAPS,
    PUBLISHER,
    computable_name,
    concept_map_head,
    date_of,
    groups_of,
    version_of,
)
from api.tx import header_words, irma, irma_axes, irma_map
from api.tx.catalog import Builtin
from api.tx.header_words import HeaderWordsMap, WordTables
from api.tx.maps import BuiltinMap
from api.tx.own_systems import own_systems
from api.tx.provider import CodeSystemProvider
from api.tx.resource_provider import ResourceProvider
from api.tx.table_maps import TableGroup, TableMap
from terminology import sssom
from terminology.concept import SNOMED
from terminology.crosswalk import DICOM_BODY_PART, UMLS, Crosswalk
from terminology.library import Terminology
from terminology.mapping import EXACT, MappingSet, SemanticMapping
from terminology.sources.body_part import ANIMALS_ONLY, FORMER, VETERINARY, term_flags
from terminology.sources.irma_lists import embedded_lists
from terminology.wholes import LOCAL_PREFIX

Json = dict[str, Any]
_BASE: Final = "https://w3id.org/bodysite"
# The id of what a site's own table becomes; the shipped one may have the same name.
_LOCAL: Final = "local-"
_TITLES: Final = {
    DICOM_BODY_PART: "DICOM Body Part Examined (0018,0015), defined terms",
    UMLS: "UMLS concept unique identifiers of body structures",
}
_CASE_INSENSITIVE: Final = frozenset({DICOM_BODY_PART})
# Flags of a DICOM term → the property that says so.
_MARKS: Final = {VETERINARY: "veterinary", ANIMALS_ONLY: "animalsOnly"}
_DICOM_PROPERTIES: Final = (
    {
        "code": "veterinary",
        "description": "Whether PS3.16 lists the term for animals alone.",
        "type": "boolean",
    },
    {
        "code": "animalsOnly",
        "description": "Whether people do not have the structure.",
        "type": "boolean",
    },
    {
        "code": "formerCode",
        "description": "A SNOMED CT code that DICOM gave the term before.",
        "type": "Coding",
    },
)


@dataclass(frozen=True, slots=True)
class Shipped:
    """Everything that comes with Bodysite and a site's own tables, beside SNOMED CT.

    `providers` are the code systems of `resources`, `maps` what $translate asks.
    """

    resources: tuple[Builtin, ...]
    providers: tuple[CodeSystemProvider, ...]
    maps: tuple[BuiltinMap, ...]

    @classmethod
    def of(cls, terminology: Terminology) -> Shipped:
        """Return what stands behind a terminology."""
        made = _Maker(terminology)
        return cls(
            tuple(sorted(made.resources, key=lambda one: (one.type, one.id))),
            tuple(made.providers),
            tuple(made.maps),
        )

    @property
    def urls(self) -> Iterator[tuple[str, str]]:
        """Type and url of what no resource of a site may have, because it is ours."""
        for one in self.resources:
            url = str(one.head["url"])
            if url.startswith(_BASE):
                yield one.type, url


class _Maker:
    """Makes resources, providers and maps out of the tables."""

    def __init__(self, terminology: Terminology) -> None:
        self.resources: list[Builtin] = []
        self.providers: list[CodeSystemProvider] = []
        self.maps: list[BuiltinMap] = []
        self._local = terminology.local.tables
        self._urls: set[str] = set()
        crosswalk = terminology.crosswalk
        for system in crosswalk.systems:
            self._add_system(system, crosswalk)
        self._add_words(terminology)
        self._add_irma(terminology)
        for head, concepts in own_systems():
            self._add(head, partial(list, concepts))

    def _add_system(self, system: str, crosswalk: Crosswalk) -> None:
        versions = {
            version_of(tables[0]): tables
            for version in crosswalk.versions(system)
            for tables in (_tables(crosswalk, system, version),)
        }
        newest = list(versions)[-1]
        for version, tables in versions.items():
            self._add_code_system(system, version, tables, newest=version == newest)
        mapped = {
            version: [self._table_map(table) for table in tables]
            for version, tables in versions.items()
        }
        group = TableGroup(system, mapped, partial(irma_axes.listed_code, system))
        for one in group.maps:
            one.group = group
        self.maps += group.maps

    def _table_map(self, table: MappingSet, *, quiet: bool = False) -> TableMap:
        """Return the map of a table; its ConceptMap is added."""
        local = quiet or any(table is one for one in self._local)
        resource_id = f"{_LOCAL}{table.name}" if local else table.name
        url = str(table.metadata["mapping_set_id"]) if local else ""
        if not url.startswith(("http:", "https:", "urn:")) or url in self._urls:
            url = CONCEPT_MAPS + resource_id
        self._urls.add(url)
        head = concept_map_head(table, resource_id, url)
        self.resources.append(Builtin(head, partial(groups_of, table)))
        return TableMap(table, url, folder=LOCAL_PREFIX if local else "", quiet=quiet)

    def _add_code_system(
        self, system: str, version: str | None, tables: Sequence[MappingSet], *, newest: bool
    ) -> None:
        shipped = [one for one in tables if not any(one is own for own in self._local)]
        last = (shipped or tables)[-1]
        own = system.startswith(_BASE)
        # A code system of ours is called as its address ends, another's as the table.
        plain = min((shipped or tables), key=lambda one: len(one.name)).name
        name = system.rpartition("/")[2] if own else plain
        title = str(last.metadata.get("mapping_set_title", name)).split(" to SNOMED")[0]
        complete = own and bool(shipped)
        head: Json = {
            "resourceType": "CodeSystem",
            "id": name if newest else f"{name}-{version}",
            "url": system,
            "version": version,
            "name": computable_name(name),
            "title": _TITLES.get(system, title),
            "status": "active",
            "experimental": False,
            "date": date_of(last),
            "publisher": PUBLISHER,
            "description": "The codes that these tables map from: "
            + ", ".join(one.name for one in tables)
            + ".",
            "copyright": str(last.metadata["license"]),
            "caseSensitive": system not in _CASE_INSENSITIVE,
            "valueSet": f"{_BASE}/ValueSet/{name}",
            "compositional": False,
            "content": "complete" if complete else "fragment",
            "count": len(_codes(tables)) if complete else None,
            "property": list(_DICOM_PROPERTIES) if system == DICOM_BODY_PART else None,
        }
        axis = irma_axes.AXES.get(system)
        if axis is not None and version in embedded_lists().versions:
            head["title"] = f"IRMA code, {axis} axis, list of {version}"
            head["description"] = f"The {axis} axis of the IRMA code, as listed in {version}."
            head["hierarchyMeaning"] = "grouped-by"
            head["count"] = irma_axes.axis_count(axis, version)
            self._add(head, partial(irma_axes.axis_concepts, axis, version), irma_axes.AxisProvider)
        else:
            self._add(head, partial(_concepts, system, tables))

    def _add_irma(self, terminology: Terminology) -> None:
        """Add whole codes, by the list of each version."""
        versions = embedded_lists().versions
        for version in versions:
            head = irma.code_system_head(version, newest=version == versions[-1])
            self.providers.append(irma.IrmaProvider(head))
            self.resources += [Builtin(head), Builtin(_value_set(head))]
        tables = [
            table
            for system in irma_axes.AXES
            if system in terminology.crosswalk.systems
            for table in terminology.crosswalk.mapping_sets(system)
        ]
        changed = max((str(one.metadata["mapping_set_version"]) for one in tables), default="none")
        self.resources.append(Builtin(irma_map.concept_map_head(changed)))
        self.maps.append(irma_map.IrmaMap(terminology.codes, changed))

    def _add_words(self, terminology: Terminology) -> None:
        words = WordTables.of(terminology)
        if words is None:
            return
        self._add(header_words.code_system_head(words), partial(header_words.concepts, words))
        head = header_words.concept_map_head_of(words)
        self.resources.append(Builtin(head, partial(groups_of, words.shipped)))
        self.maps.append(HeaderWordsMap(terminology, words))
        if words.decisions is not None:
            self.maps.append(self._table_map(words.decisions, quiet=True))

    def _add(
        self,
        head: Json,
        concepts: partial[list[Json]],
        provider: type[ResourceProvider] = ResourceProvider,
    ) -> None:
        """Add a CodeSystem, its provider, and the value set of all its codes."""
        head = {key: value for key, value in head.items() if value is not None}
        self.providers.append(provider(head, concepts))
        self.resources.append(Builtin(head, lambda: {"concept": concepts()}))
        self.resources.append(Builtin(_value_set(head)))


def _tables(crosswalk: Crosswalk, system: str, version: str | None) -> tuple[MappingSet, ...]:
    """Return the tables of one version, which may be that of no name."""
    return tuple(
        table
        for table in crosswalk.mapping_sets(system)
        if (str(table.metadata.get("subject_source_version") or "") or None) == version
    )


def _codes(tables: Iterable[MappingSet]) -> set[str]:
    return {sssom.subject_code(row) for table in tables for row in table.mappings}


def _concepts(system: str, tables: Iterable[MappingSet]) -> list[Json]:
    """Return the concepts in the order of the tables, each code once."""
    found: dict[str, Json] = {}
    for table in tables:
        for row in table.mappings:
            code = " ".join(sssom.subject_code(row).split())
            concept = found.setdefault(code, {"code": code})
            label = row.subject_label
            if row.subject_type == sssom.LITERAL:
                # The string is the code; what PS3.16 calls it is the display.
                label = row.object_label if row.predicate_id == EXACT and not row.no_match else None
            if label and "display" not in concept:
                concept["display"] = label
            if system == DICOM_BODY_PART:
                _mark(concept, row)
    return list(found.values())


def _mark(concept: Json, row: SemanticMapping) -> None:
    """Add what the comment of a row of a DICOM term says of the term."""
    flags = term_flags(row.comment)
    listed = concept.get("property", [])
    for flag, code in _MARKS.items():
        if flag in flags and not any(one["code"] == code for one in listed):
            listed = [*listed, {"code": code, "valueBoolean": True}]
    if FORMER in flags and not row.no_match:
        former = {"system": SNOMED, "code": sssom.object_code(row), "display": row.object_label}
        listed = [*listed, {"code": "formerCode", "valueCoding": former}]
    if listed:
        concept["property"] = listed


def _value_set(code_system: Mapping[str, Any]) -> Json:
    """Return the value set of all codes of a code system."""
    names = ("version", "name", "title", "status", "experimental", "date", "publisher", "copyright")
    found: Json = {
        "resourceType": "ValueSet",
        "id": code_system["id"],
        "url": code_system["valueSet"],
        **{name: code_system[name] for name in names if name in code_system},
        "immutable": True,
    }
    include = {"system": code_system["url"]}
    if "version" in code_system:
        include["version"] = code_system["version"]
    else:
        found["version"] = code_system["date"]
    found["compose"] = {"include": [include]}
    return found
