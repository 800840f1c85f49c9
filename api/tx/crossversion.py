"""Elements that one release of FHIR has and another lacks, in HL7's cross-version extensions.

``http://hl7.org/fhir/5.0/StructureDefinition/extension-Type.element`` holds what R5 has beyond R4,
the same under 4.0 what only R4 says. `lower` puts elements into extensions, `lift` takes them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.tx.parameters import value_of

Json = dict[str, Any]
X5: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
X4: Final = "http://hl7.org/fhir/4.0/StructureDefinition/extension-"


@dataclass(frozen=True, slots=True)
class Field:
    """An element that only R5 has: its name, its type, or its parts where it is made of some."""

    name: str
    kind: str = ""
    many: bool = False
    parts: tuple[Field, ...] = ()


def fields(text: str) -> tuple[Field, ...]:
    """Read ``name:type`` entries; ``*`` after the type allows many."""
    found = (entry.partition(":") for entry in text.split())
    return tuple(Field(name, kind.rstrip("*"), kind.endswith("*")) for name, _, kind in found)


# R5 5.0.0, CanonicalResource and MetadataResource: what all three types have beyond R4.
COMMON: Final = fields(
    "versionAlgorithm:[x] copyrightLabel:string approvalDate:date lastReviewDate:date"
    " effectivePeriod:Period topic:CodeableConcept* author:ContactDetail* editor:ContactDetail*"
    " reviewer:ContactDetail* endorser:ContactDetail* relatedArtifact:RelatedArtifact*"
)


def lower(node: Json, prefix: str, fields: Sequence[Field]) -> Json:
    """Return `node` with elements that only R5 has as extensions."""
    found = dict(node)
    extensions: list[Json] = []
    for field in fields:
        extensions += _lowered(found, field, f"{X5}{prefix}.")
    extend(found, extensions)
    return found


def _lowered(found: Json, field: Field, prefix: str) -> list[Json]:
    """Take `field` out of `found` and return the extensions that stand for it."""
    if field.kind == "[x]":
        keys = [key for key in found if _is_choice(key, field.name)]
        url = prefix + (field.name if not prefix else f"{field.name}[x]")
        return [{"url": url, f"value{key[len(field.name) :]}": found.pop(key)} for key in keys]
    if field.name not in found:
        return []
    value = found.pop(field.name)
    values = value if isinstance(value, list) else [value]
    url = prefix + field.name
    if not field.parts:
        key = f"value{field.kind[0].upper()}{field.kind[1:]}"
        return [{"url": url, key: one} for one in values]
    made = []
    for one in values:
        rest = dict(one)
        inner = [extension for part in field.parts for extension in _lowered(rest, part, "")]
        made.append({"url": url, "extension": inner})
    return made


def lift(node: Json, prefix: str, fields: Sequence[Field]) -> Json:
    """Return `node` with what stood in cross-version extensions as elements."""
    found = dict(node)
    extensions = found.get("extension")
    if not isinstance(extensions, list):
        return found
    by_url = {f"{X5}{prefix}.{field.name}": field for field in fields}
    rest: list[Json] = []
    for extension in extensions:
        url = str(extension.get("url", "")) if isinstance(extension, Mapping) else ""
        field = by_url.get(url.removesuffix("[x]"))
        if field is None:
            rest.append(extension)
        else:
            _raise(found, field, extension)
    if rest:
        found["extension"] = rest
    else:
        del found["extension"]
    return found


def _raise(found: Json, field: Field, extension: Mapping[str, Any]) -> None:
    """Put what one extension says into `found`."""
    if field.kind == "[x]":
        for key, chosen in extension.items():
            if key.startswith("value"):
                found[field.name + key[len("value") :]] = chosen
        return
    value: Any = {}
    if field.parts:
        by_url = {part.name: part for part in field.parts}
        for inner in extension.get("extension", ()):
            part = by_url.get(str(inner.get("url", "")).removesuffix("[x]"))
            if part is not None:
                _raise(value, part, inner)
    else:
        value = value_of(extension)
    if field.many:
        found[field.name] = [*found.get(field.name, ()), value]
    else:
        found[field.name] = value


def _is_choice(key: str, name: str) -> bool:
    return key.startswith(name) and key[len(name) : len(name) + 1].isupper()


def extend(node: Json, extensions: Sequence[Json]) -> None:
    """Add extensions to `node`."""
    if extensions:
        node["extension"] = [*node.get("extension", ()), *extensions]


def all_taken(node: Json, url: str) -> list[Any]:
    """Take the extensions `url` out of `node` and return their values."""
    extensions = node.get("extension", ())
    values = [value_of(one) for one in extensions if one.get("url") == url]
    if values:
        rest = [one for one in extensions if one.get("url") != url]
        node.pop("extension")
        extend(node, rest)
    return values


def taken(node: Json, url: str) -> Any:
    """Take the extension `url` out of `node` and return its value, `None` where there is none."""
    return next(iter(all_taken(node, url)), None)
