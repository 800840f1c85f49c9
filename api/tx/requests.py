"""A terminology request → one Parameters resource with every value in its FHIR type.

A query string has only text, and clients are loose with types in a body too; what the engine gets
is typed by the name of the parameter, so that it reads and echoes one form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.errors import RequestError
from api.tx.parameters import as_text

Json = dict[str, Any]
_BOOLEAN: Final = frozenset(
    {
        "abstract",
        "activeOnly",
        "excludeNested",
        "excludeNotForUI",
        "excludePostCoordinated",
        "includeDefinition",
        "includeDesignations",
        "inferSystem",
        "lenient-display-validation",
        "reverse",
        "valueset-membership-only",
    }
)
_INTEGER: Final = frozenset({"count", "offset"})
_CODING: Final = frozenset(
    {"coding", "codingA", "codingB", "sourceCoding", "targetCoding", "concept"}
)
_CONCEPT: Final = frozenset({"codeableConcept", "sourceCodeableConcept", "targetCodeableConcept"})
_URI: Final = frozenset(
    {
        "sourceScope",
        "sourceSystem",
        "system",
        "target",
        "targetScope",
        "targetSystem",
        "targetsystem",
        "url",
    }
)
_CODE: Final = frozenset(
    {"code", "codeA", "codeB", "displayLanguage", "sourceCode", "targetCode", "mode"}
)
_CANONICAL: Final = frozenset(
    {
        "check-system-version",
        "default-valueset-version",
        "exclude-system",
        "force-system-version",
        "system-version",
        "useSupplement",
    }
)
# Of HTTP and of the format, not of an operation.
_OF_HTTP: Final = frozenset({"_format", "_pretty", "_elements", "_summary"})
_CODING_FIELDS: Final = ("system", "version", "code", "display")
_MAX_INTEGER: Final = 2**31 - 1
# FHIR R4, 2.24.0.1: what a string may not contain.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def of_query(operation: str, pairs: Iterable[tuple[str, str]]) -> list[Json]:
    """Return the parameters of a query string.

    Raises
    ------
    RequestError
        A value is not of the type that its name wants.
    """
    return [_typed(operation, name, value) for name, value in pairs if name not in _OF_HTTP]


def of_parameters(operation: str, resource: Mapping[str, Any]) -> list[Json]:
    """Return the entries of a Parameters resource, checked and typed."""
    listed = resource.get("parameter", [])
    if not isinstance(listed, list):
        raise _malformed("Parameters.parameter", "is no list")
    return [
        _checked(operation, entry, f"Parameters.parameter[{number}]")
        for number, entry in enumerate(listed)
    ]


def parse(body: bytes, kind: str | None = None) -> Json:
    """Return a resource out of JSON; `kind` is the type that it has to be.

    Raises
    ------
    RequestError
        The body is not JSON, or no resource of this type.
    """
    try:
        resource = json.loads(body, parse_constant=_no_constant)
        if b"\\u" in body:
            # An escape can stand for half a surrogate pair, which no answer could repeat.
            json.dumps(resource, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _malformed("request body", "is nested too deeply") from error
    except ValueError as error:
        raise RequestError(
            "request body",
            "the body is not JSON",
            f"a {kind or 'FHIR'} resource in JSON",
            "Send Content-Type: application/fhir+json and a JSON body.",
            issue="structure",
        ) from error
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise _malformed("request body resourceType", f"is not '{kind or 'a FHIR type'}'")
    if kind is not None:
        expected(resource, kind)
    if b"null" in body or b"\\u" in body:
        _check_values(resource)
    return resource


def _no_constant(name: str) -> None:
    """Refuse what Python reads and JSON has not: NaN and infinity."""
    raise ValueError(name)


def expected(resource: Json, kind: str) -> Json:
    """Return `resource` when it is of type `kind`, else raise `RequestError`."""
    if resource.get("resourceType") != kind:
        raise _malformed("request body resourceType", f"is not '{kind}'")
    return resource


def _check_values(resource: Json) -> None:
    """Refuse what JSON has and FHIR has not: elements that are null, and control characters.

    FHIR knows null only in lists of simple values.
    """
    waiting: list[Any] = [resource]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if None in node.values():
                raise _malformed("request body", "has an element that is null")
            waiting += node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and _CONTROL.search(node):
            raise _malformed("request body", "has a control character")


def check_codings(operation: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse codings without a code, and concepts without a coding."""
    for entry in entries:
        name = entry["name"]
        if name in _CODING:
            _check_code(operation, name, entry.get("valueCoding"))
        elif name in _CONCEPT:
            codings = (entry.get("valueCodeableConcept") or {}).get("coding")
            if not codings:
                raise wrong(operation, name, "has no coding", "a CodeableConcept with a coding")
            for coding in codings:
                _check_code(operation, name, coding)


def wrong(operation: str, name: str, what: str, expected: str) -> RequestError:
    """Return the error for a parameter with a wrong value."""
    return RequestError(
        f"{operation} {name}", what, expected, "Correct the parameter.", issue="value"
    )


def _check_code(operation: str, name: str, coding: Any) -> None:
    if not isinstance(coding, Mapping) or not coding.get("code"):
        raise wrong(operation, name, "has no code", "a Coding with system and code")


def _typed(operation: str, name: str, value: str) -> Json:
    """Return the parameter that a text means by its name."""
    if _CONTROL.search(value):
        raise wrong(operation, name[:40], "has a control character", "text as FHIR has it")
    if name in _BOOLEAN:
        if value not in {"true", "false"}:
            raise wrong(operation, name, f"'{value}' is no boolean", "true or false")
        return {"name": name, "valueBoolean": value == "true"}
    if name in _INTEGER:
        return {"name": name, "valueInteger": _whole(operation, name, value)}
    if name in _CODING:
        system, _, code = value.rpartition("|")
        if not system or not code:
            expected = "a Coding, or system|code in an address"
            raise wrong(operation, name, "is no Coding", expected)
        return {"name": name, "valueCoding": {"system": system, "code": code}}
    if name in _CONCEPT:
        expected = "a CodeableConcept in a Parameters body"
        raise wrong(operation, name, "is no CodeableConcept", expected)
    kind = "String"
    if name in _URI:
        kind = "Uri"
    elif name in _CODE:
        kind = "Code"
    elif name in _CANONICAL:
        kind = "Canonical"
    # A name or a filter is taken as it is; white space around a code or an address is a slip.
    return {"name": name, f"value{kind}": value if kind == "String" else value.strip()}


def _whole(operation: str, name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 11 and int(value) <= _MAX_INTEGER):
        raise wrong(operation, name, f"'{value}' is no whole number", "0 or more")
    return int(value)


def _checked(operation: str, entry: Any, place: str) -> Json:
    """Return an entry of a body with its value in the type that its name wants."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _malformed(place, "has no name")
    name = entry["name"]
    values = [key for key in entry if key.startswith("value") and len(key) > 5]
    if len(values) + ("resource" in entry) + ("part" in entry) != 1:
        raise _malformed(place, f"has {len(values)} values, not one")
    if "resource" in entry:
        inner = entry["resource"]
        if not isinstance(inner, dict) or not isinstance(inner.get("resourceType"), str):
            raise _malformed(place, "has a resource without a type")
        return entry
    if "part" in entry:
        if not isinstance(entry["part"], list):
            raise _malformed(place, "has parts that are no list")
        parts = [
            _checked(operation, one, f"{place}.part[{number}]")
            for number, one in enumerate(entry["part"])
        ]
        return {**entry, "part": parts}
    value = entry[values[0]]
    if isinstance(value, str) and name in _BOOLEAN | _INTEGER | _CODING | _CONCEPT:
        return _typed(operation, name, value)
    if isinstance(value, str) and values[0] == "valueString":
        return _typed(operation, name, value)
    _check_value(operation, name, value, place)
    return entry


def _check_value(operation: str, name: str, value: Any, place: str) -> None:
    if isinstance(value, str):
        return
    if name in _BOOLEAN and not isinstance(value, bool):
        raise wrong(operation, name, f"'{as_text(value)}' is no boolean", "true or false")
    if name in _INTEGER:
        _whole(operation, name, as_text(value) or "")
    if name in _CODING:
        _check_coding(operation, name, value)
    if name in _CONCEPT:
        codings = value.get("coding", []) if isinstance(value, dict) else None
        if not isinstance(codings, list):
            raise wrong(operation, name, "has no coding", "a CodeableConcept with a coding")
        for coding in codings:
            _check_coding(operation, name, coding)
    if name in _URI | _CODE | _CANONICAL and not isinstance(value, bool | int | float):
        raise wrong(operation, name, "is no simple value", "text")
    if not isinstance(value, bool | int | float | dict):
        raise _malformed(place, "has a value of no known type")


def _check_coding(operation: str, name: str, value: Any) -> None:
    expected = "a Coding with system and code"
    if not isinstance(value, dict):
        raise wrong(operation, name, "is no Coding", expected)
    if any(not isinstance(value.get(key, ""), str) for key in _CODING_FIELDS):
        raise wrong(operation, name, "has a field that is no text", expected)


def _malformed(place: str, what: str) -> RequestError:
    of_parameters = place.startswith("Param")
    return RequestError(
        place,
        f"the Parameters resource {what}" if of_parameters else f"the body {what}",
        "a Parameters resource as FHIR has it" if of_parameters else "the resource asked for",
        "Correct the body.",
        issue="structure",
    )
