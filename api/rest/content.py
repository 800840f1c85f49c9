"""JSON as FHIR has it: read strictly, written so that a decimal keeps the digits it came with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from api.errors import LimitError, RequestError

Json = dict[str, Any]
MAX_DEPTH: Final = 64
# An ImagingStudy has two for each of its instances.
MAX_CONTAINERS: Final = 200_000
_MAX_DIGITS: Final = 100
# What a double holds: a search by quantity compares doubles.
_MAX_EXPONENT: Final = 300
_ESCAPED: Final = re.compile(r'"\\u0000([-+.0-9E]+)"')
# FHIR R4, 2.24.0.1: what a string may not contain.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def parse(body: bytes, kind: str | None = None) -> Json:
    """Return a resource out of JSON, its fractions as `Decimal`.

    Parameters
    ----------
    kind
        The type that it has to be; any type without one.

    Raises
    ------
    RequestError
        No UTF-8, no JSON, a name twice in one object, a number that is none in JSON or beyond a
        double, nested too deeply, or no resource of this type. No value is repeated.
    """
    return expected(parse_json(body), kind)


def parse_json(body: bytes, most: int = MAX_CONTAINERS) -> Any:
    """Return what strict JSON has, its fractions as `Decimal`; `RequestError` (400) for others.

    Raises
    ------
    LimitError
        413: it may have more than `most` objects and arrays. Few bytes of nothing but brackets
        take long to read.
    """
    if body.count(b"{") + body.count(b"[") > most:
        raise LimitError(
            "request body",
            "the body has too many objects and arrays",
            f"at most {most}",
            "Send less in one request.",
        )
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_float=_decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise _refused("the body is nested too deeply", f"at most {MAX_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise _refused("the body is not UTF-8", "JSON in UTF-8") from error
    except ValueError as error:
        raise _refused("the body is not JSON", "JSON as FHIR has it") from error


def expected(resource: Any, kind: str | None = None) -> Json:
    """Return `resource` when it is one, of type `kind`, else raise `RequestError`."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise _refused("the body is no resource", "an object with a resourceType")
    if kind is not None and resource["resourceType"] != kind:
        raise _refused("the resource is of another type", f"resourceType '{kind}'")
    check_values(resource)
    return resource


def check_values(resource: Json) -> None:
    """Refuse what JSON has and FHIR has not: nesting without end, null, empty, control characters.

    FHIR R4, 2.6.2: an array or object is never empty, and null stands only in an array of simple
    values, beside its extensions.
    """
    waiting: list[tuple[Any, str, int]] = [(resource, str(resource.get("resourceType", "")), 1)]
    while waiting:
        node, place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _refused("the body is nested too deeply", f"at most {MAX_DEPTH} levels")
        if isinstance(node, dict):
            if not node:
                raise _refused("an object is empty", "an object with elements", place)
            for name, value in node.items():
                if value is None:
                    raise _refused("an element is null", "a value, or no element", place)
                if _CONTROL.search(name):
                    raise _refused("a name has a control character", "a FHIR element", place)
                waiting.append((value, f"{place}.{name[:64]}", depth + 1))
        elif isinstance(node, list):
            if not node:
                raise _refused("an array is empty", "an array with values", place)
            waiting += [
                (one, f"{place}[{number}]", depth + 1)
                for number, one in enumerate(node)
                if one is not None
            ]
        elif isinstance(node, str):
            if not node.strip():
                raise _refused("a string is empty", "text, or no element", place)
            if _CONTROL.search(node) or not _encodes(node):
                raise _refused("a string has a character that FHIR has not", "text", place)


def dump(content: Mapping[str, Any], *, pretty: bool = False) -> str:
    """Return a resource as JSON; a `Decimal` is written with the digits that it has."""
    found: list[bool] = []

    def number(value: object) -> str:
        if not isinstance(value, Decimal):
            raise TypeError(type(value).__name__)
        found.append(True)
        # No string of FHIR has this character, so that it marks what is no string.
        return f"\0{value}"

    if pretty:
        text = json.dumps(content, ensure_ascii=False, indent=2, default=number)
    else:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=number)
    return _ESCAPED.sub(r"\1", text) if found else text


def loads(text: str) -> Json:
    """Return JSON of our own as it is in the store, its fractions as `Decimal`."""
    found: Json = json.loads(text, parse_float=Decimal)
    return found


def _encodes(text: str) -> bool:
    """Return whether UTF-8 can hold `text`: an escape can stand for half a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("a name stands twice in one object", "each element once")
    return found


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if len(text) > _MAX_DIGITS or (value and abs(value.adjusted()) > _MAX_EXPONENT):
        raise _refused("a number is too large, or has too many digits", "a number of 64 bits")
    return value


def _no_constant(name: str) -> None:
    """Refuse what Python reads and JSON has not: NaN and infinity."""
    raise ValueError(name)


def _refused(what: str, expected: str, place: str | None = None) -> RequestError:
    return RequestError(
        place or "request body", what, expected, "Correct the body.", issue="structure"
    )
