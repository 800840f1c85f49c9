"""A second, slow reader of RF2, row by row: what `read_release` must say of a release."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from terminology.rf2.kinds import Kind, reason

CHARACTERISTIC = {"900000000000011006", "900000000000227009"}
EXISTENTIAL = "900000000000451002"
KINDS = {
    "effectiveTime": Kind.TIME,
    "active": Kind.FLAG,
    "relationshipGroup": Kind.GROUP,
    "languageCode": Kind.LANGUAGE,
    "term": Kind.TERM,
    "value": Kind.VALUE,
    "alternateIdentifier": Kind.TERM,
    "referencedComponentId": Kind.COMPONENT,
    "grouped": Kind.INTEGER,
    "attributeCardinality": Kind.TEXT,
    "attributeInGroupCardinality": Kind.TEXT,
    "rangeConstraint": Kind.TEXT,
    "attributeRule": Kind.TEXT,
    "sourceEffectiveTime": Kind.TEXT,
    "targetEffectiveTime": Kind.TEXT,
}
FIELDS = ("targetComponentId", "valueId", "acceptabilityId", "domainId", "ruleStrengthId")

Row = dict[str, str]


class Release(NamedTuple):
    """The current rows by file part, or a sign that some row breaks a rule."""

    broken: bool
    rows: dict[str, list[Row]]


@lru_cache(maxsize=64)
def parsed(part: str, header: str, data: bytes) -> tuple[Row, ...] | None:
    """Return the rows of a file, or `None` when one breaks a rule."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    names = header.split("\t")
    rows = []
    for line in lines[1:]:
        try:
            cells = line.removesuffix(b"\r").decode().split("\t")
        except UnicodeDecodeError:
            return None
        if len(cells) != len(names):
            return None
        row = dict(zip(names, cells, strict=True))
        if any(reason(kind_of(part, name), cell) for name, cell in row.items()):
            return None
        rows.append(row)
    return tuple(rows)


def kind_of(part: str, name: str) -> Kind:
    if name == "id":
        if part.startswith("der2"):
            return Kind.UUID
        if "Description" in part or "TextDefinition" in part:
            return Kind.DESCRIPTION
        return Kind.RELATIONSHIP if "Relationship" in part else Kind.CONCEPT
    if part.startswith("der2") and (name in FIELDS or name == "contentTypeId"):
        return Kind.COMPONENT
    return KINDS.get(name, Kind.CONCEPT)


def current(rows: list[Row], *key: str) -> list[Row]:
    latest: dict[tuple[str, ...], Row] = {}
    for row in rows:
        name = tuple(row[one].lower() for one in key)
        if name not in latest or row["effectiveTime"] >= latest[name]["effectiveTime"]:
            latest[name] = row
    return list(latest.values())


def read(folder: Path, headers: dict[str, str]) -> Release:
    """Return what a release holds; `headers` has the right header of each file name."""
    raw: dict[str, list[Row]] = {}
    for path in sorted(folder.rglob("*.txt"), key=lambda path: path.relative_to(folder).as_posix()):
        if "OWL" in path.name or "Stated" in path.name:
            continue
        rows = parsed(path.name, headers[path.name], path.read_bytes())
        if rows is None:
            return Release(True, {})
        raw.setdefault(group_of(path.name), []).extend(rows)
    key = ("identifierSchemeId", "alternateIdentifier")
    rows = {
        group: current(found, *(key if group == "identifiers" else ("id",)))
        for group, found in raw.items()
    }
    concepts = {row["id"] for row in rows["concepts"]}
    components = {
        row["id"]
        for group in ("concepts", "descriptions", "relationships", "concrete")
        for row in rows[group]
    }
    needed = {
        "descriptions": ("conceptId", "typeId", "caseSignificanceId"),
        "relationships": ("sourceId", "destinationId", "typeId"),
        "concrete": ("sourceId", "typeId"),
    }
    broken = any(
        row[name] not in concepts
        for group, names in needed.items()
        for row in rows[group]
        for name in names
    )
    broken |= any(
        row["definitionStatusId"] not in {"900000000000074008", "900000000000073002"}
        for row in rows["concepts"]
    )
    for group in rows:
        if group == "identifiers":
            rows[group] = [row for row in rows[group] if row["referencedComponentId"] in components]
        elif "Refset" in group:
            broken |= any(
                reason(Kind.TIME, row[name])
                for row in rows[group]
                if row["refsetId"] == "900000000000534007" and row["active"] == "1"
                for name in ("sourceEffectiveTime", "targetEffectiveTime")
                if name in row
            )
            rows[group] = [
                row
                for row in rows[group]
                if row["refsetId"] in concepts and row["referencedComponentId"] in components
            ]
        elif group in {"relationships", "concrete"}:
            rows[group] = [
                row
                for row in rows[group]
                if row["characteristicTypeId"] in CHARACTERISTIC
                and row["modifierId"] == EXISTENTIAL
            ]
    broken |= any(
        row["acceptabilityId"] not in {"900000000000548007", "900000000000549004"}
        for row in rows["Refset Language"]
    )
    return Release(broken, rows)


def group_of(name: str) -> str:
    for part, group in (
        ("sct2_Concept_", "concepts"),
        ("sct2_Description_", "descriptions"),
        ("sct2_TextDefinition_", "descriptions"),
        ("sct2_Relationship_", "relationships"),
        ("sct2_RelationshipConcreteValues_", "concrete"),
        ("sct2_Identifier_", "identifiers"),
    ):
        if name.startswith(part):
            return group
    return f"Refset {name.split('_')[2].partition('Snapshot')[0]}"
