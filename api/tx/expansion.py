"""The expansion element: its parameters, properties and concepts, flat or as a tree."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from api.tx.compose import Findings, Segment
from api.tx.context import Deadline
from api.tx.languages import LanguagePreference
from api.tx.naming import shown_designation
from api.tx.options import ExpandOptions
from api.tx.property_names import CONCEPT_PROPERTIES
from api.tx.provider import Concept, Designation, Json

UNCLOSED_URL: Final = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_SD: Final = "http://hl7.org/fhir/StructureDefinition/"
_MAX_LEVELS: Final = 100
# Extensions that an expansion shows as properties: url → code of the property, type of its value.
_AS_PROPERTY: Final[dict[str, tuple[str, str]]] = {
    f"{_SD}codesystem-label": ("label", "String"),
    f"{_SD}valueset-label": ("label", "String"),
    f"{_SD}codesystem-conceptOrder": ("order", "Decimal"),
    f"{_SD}valueset-conceptOrder": ("order", "Decimal"),
    f"{_SD}itemWeight": ("weight", "Decimal"),
}
_PROPERTY_URI: Final = {"weight": f"{CONCEPT_PROPERTIES}itemWeight"}
_FROM_CODE_SYSTEM: Final = frozenset(
    _SD + name
    for name in (
        "coding-sctdescid",
        "rendering-style",
        "rendering-xhtml",
        "codesystem-alternate",
    )
)
_FROM_VALUE_SET: Final = frozenset(
    _SD + name
    for name in (
        "valueset-supplement",
        "valueset-deprecated",
        "structuredefinition-standards-status",
        "valueset-concept-definition",
        "coding-sctdescid",
        "rendering-style",
        "rendering-xhtml",
    )
)
_OF_DESIGNATION: Final = frozenset(
    _SD + name
    for name in (
        "coding-sctdescid",
        "rendering-style",
        "rendering-xhtml",
        "structuredefinition-standards-status",
        "codesystem-alternate",
    )
)


class ExpansionBuilder:
    """Writes the concepts of one expansion and gathers the properties that they have."""

    def __init__(
        self,
        options: ExpandOptions,
        languages: LanguagePreference,
        findings: Findings,
        deadline: Deadline,
    ) -> None:
        self._options = options
        self._languages = languages
        self._findings = findings
        self._deadline = deadline
        self._properties: dict[str, Json] = {}

    def page(self, segments: Sequence[Segment]) -> list[Json]:
        """Return the concepts that `offset` and `count` ask for, none inside another."""
        return [self._entry(s, c) for s, c in self._paged(segments)]

    def tree(self, segments: Sequence[Segment]) -> list[Json]:
        """Return all concepts, each inside its nearest parent that is there too.

        A concept with parents on several branches has no one place in a tree, and few readers take
        JSON of more than a hundred levels; then all come flat.
        """
        entries: dict[str, Json] = {}
        roots: list[Json] = []
        inside: list[tuple[Json, Json]] = []
        for segment in segments:
            entries.clear()
            for concept in segment.selection.iterate():
                entries[concept.code] = self._entry(segment, concept)
            for concept in segment.selection.iterate():
                self._deadline.check()
                above = self._nearest(segment, concept, entries)
                if len(above) > 1:
                    return self.page(segments)
                if above:
                    inside.append((entries[above[0]], entries[concept.code]))
                else:
                    roots.append(entries[concept.code])
        for parent, child in inside:
            parent.setdefault("contains", []).append(child)
        if _levels(roots) <= _MAX_LEVELS:
            return roots
        for parent, _ in inside:
            parent.pop("contains", None)
        return self.page(segments)

    def properties(self) -> list[Json]:
        """Return the definitions of the properties that the concepts written so far have."""
        return list(self._properties.values())

    def _paged(self, segments: Iterable[Segment]) -> Iterator[tuple[Segment, Concept]]:
        skip = self._options.offset or 0
        left = self._options.count
        for segment in segments:
            total = segment.selection.total
            if skip >= total:
                skip -= total
                continue
            found = 0
            for concept in islice(segment.selection.iterate(skip, left), left):
                found += 1
                yield segment, concept
            skip = 0
            if left is not None:
                left -= found
                if left <= 0:
                    return

    @staticmethod
    def _nearest(segment: Segment, concept: Concept, entries: Mapping[str, Json]) -> list[str]:
        """Return the codes of the nearest ancestors that are in the expansion."""
        found: dict[str, None] = {}
        pending = list(segment.provider.parents(concept))
        seen = {concept.code}
        while pending:
            parent = pending.pop(0)
            if parent.code in seen:
                continue
            seen.add(parent.code)
            if parent.code in entries:
                found[parent.code] = None
            else:
                pending += segment.provider.parents(parent)
        return list(found)

    def _entry(self, segment: Segment, concept: Concept) -> Json:
        self._deadline.check()
        provider = segment.provider
        status = provider.status(concept)
        entry: Json = {"system": provider.url}
        extensions = provider.extensions(concept)
        reference = segment.references.get(concept.code, {})
        own = reference.get("extension") or ()
        kept = [e for e in extensions if e.get("url") in _FROM_CODE_SYSTEM]
        kept += [e for e in own if e.get("url") in _FROM_VALUE_SET]
        if kept:
            entry["extension"] = [dict(e) for e in kept]
        if self._findings.versioned and provider.version:
            entry["version"] = provider.version
        if status.abstract:
            entry["abstract"] = True
        if status.inactive:
            entry["inactive"] = True
        entry["code"] = concept.code
        designations = segment.designations(concept)
        shown = segment.own_name(concept, self._languages) or shown_designation(
            provider, concept, designations, self._languages
        )
        if shown is not None and shown.value:
            entry["display"] = shown.value
        if self._options.include_designations:
            listed = [
                _designation_json(d)
                for d in designations
                if not _same(d, shown) and d.value and self._wanted(d)
            ]
            if listed:
                entry["designation"] = listed
        self._add_properties(entry, segment, concept, (*extensions, *own))
        return entry

    def _add_properties(
        self,
        entry: Json,
        segment: Segment,
        concept: Concept,
        extensions: Iterable[Mapping[str, Any]],
    ) -> None:
        provider = segment.provider
        status = provider.status(concept).status
        if status and status.lower() != "active":
            self._define(entry, "status", f"{CONCEPT_PROPERTIES}status", "Code", status)
        for extension in extensions:
            url = extension.get("url")
            value = next((v for k, v in extension.items() if k.startswith("value")), None)
            if url in _AS_PROPERTY and value is not None:
                code, kind = _AS_PROPERTY[url]
                uri = _PROPERTY_URI.get(code, CONCEPT_PROPERTIES + code)
                self._define(entry, code, uri, kind, value)
        asked = self._options.properties
        if "definition" in asked:
            definition = provider.definition(concept)
            if definition:
                uri = f"{CONCEPT_PROPERTIES}definition"
                self._define(entry, "definition", uri, "String", definition)
        if not set(asked) - {"definition"}:
            return
        uris = {definition.code: definition.uri for definition in provider.properties}
        for prop in provider.concept_properties(concept):
            if prop.code in asked or "*" in asked:
                kind = prop.kind[0].upper() + prop.kind[1:]
                self._define(entry, prop.code, uris.get(prop.code), kind, prop.value, many=True)

    def _define(
        self, entry: Json, code: str, uri: str | None, kind: str, value: Any, *, many: bool = False
    ) -> None:
        """Give a concept a property; of those with one value only, the last is kept."""
        known = next((p for p in self._properties.values() if uri and p.get("uri") == uri), None)
        definition = known or self._properties.setdefault(code, {"code": code})
        if uri:
            definition.setdefault("uri", uri)
        found = {"code": definition["code"], f"value{kind}": value}
        listed = entry.setdefault("property", [])
        if not many:
            listed[:] = [p for p in listed if p["code"] != found["code"]]
        if found not in listed:
            listed.append(found)

    def _wanted(self, designation: Designation) -> bool:
        if not self._options.designations:
            return True
        use = designation.use or {}
        tokens = {f"{use.get('system')}|{use.get('code')}", use.get("code")}
        if designation.language:
            tokens |= {f"urn:ietf:bcp:47|{designation.language}", designation.language}
        return not tokens.isdisjoint(self._options.designations)


def expansion_header(
    options: ExpandOptions,
    languages: LanguagePreference,
    findings: Findings,
    rules: Iterable[tuple[str, str]],
) -> Json:
    """Return the expansion without its concepts: identifier, time, extensions, parameters."""
    parameters: list[Json] = []
    if options.filter:
        parameters.append({"name": "filter", "valueString": options.filter})
    if languages.text:
        parameters.append({"name": "displayLanguage", "valueCode": languages.text})
    parameters += [{"name": "designation", "valueString": d} for d in options.designations]
    flags = {
        "excludeNested": options.exclude_nested,
        "activeOnly": options.active_only,
        "includeDesignations": options.include_designations,
        "includeDefinition": options.include_definition,
        "excludeNotForUI": options.exclude_not_for_ui,
        "excludePostCoordinated": options.exclude_post_coordinated,
    }
    for name, flag in flags.items():
        if flag is not None:
            parameters.append({"name": name, "valueBoolean": flag})
    for name, number in (("offset", options.offset), ("count", options.count)):
        if number is not None:
            parameters.append({"name": name, "valueInteger": number})
    parameters += [{"name": "exclude-system", "valueUri": s} for s in options.exclude_systems]
    parameters += [{"name": n, "valueUri": c} for n, c in (*findings.parameters, *rules)]
    header: Json = {
        "identifier": f"urn:uuid:{uuid.uuid4()}",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    extensions: list[Json] = []
    if findings.unclosed or findings.reasons:
        extensions.append({"url": UNCLOSED_URL, "valueBoolean": True})
    extensions += [{"url": f"{UNCLOSED_URL}-reason", "valueString": r} for r in findings.reasons]
    if extensions:
        header["extension"] = extensions
    if options.offset is not None:
        header["offset"] = options.offset
    header["parameter"] = parameters
    return header


def _levels(entries: Sequence[Json]) -> int:
    """Return how deep the entries of an expansion lie inside one another."""
    levels = 0
    while entries:
        levels += 1
        entries = [inner for entry in entries for inner in entry.get("contains", ())]
    return levels


def _designation_json(designation: Designation) -> Json:
    found: Json = {}
    kept = [dict(e) for e in designation.extension if e.get("url") in _OF_DESIGNATION]
    if kept:
        found["extension"] = kept
    if designation.language:
        found["language"] = designation.language
    if designation.use:
        found["use"] = dict(designation.use)
    found["value"] = designation.value
    return found


def _same(designation: Designation, shown: Designation | None) -> bool:
    """Return whether a designation is the one that is shown as the display."""
    return shown is not None and (designation.value, designation.language, designation.use) == (
        shown.value,
        shown.language,
        shown.use,
    )
