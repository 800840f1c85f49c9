"""Elements of a resource by their path.

A path is names of elements with dots between them: ``series.bodySite``. ``extension(URL)`` is the
extensions of that URL, of which ``valueCodeableConcept`` and the like are elements; where a URL
begins with ``r5:`` the rest is the path of an R5 element that R4 keeps in an extension. A path ends
in ``[x]`` where an element has values of several types, all of which are meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

# Where R5 elements are kept in R4 resources: https://hl7.org/fhir/R4/versions.html#extensions
_R5_ELEMENT: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
_STEP: Final = re.compile(r"extension\(([^)]*)\)|([A-Za-z0-9_]+(?:\[x\])?)")


def elements(content: Any, path: str) -> Sequence[Any]:
    """Return every value at `path`, in the order of the resource; none of them is a list."""
    return followed((content,), steps_of(path))


def followed(values: Sequence[Any], steps: Iterable[str]) -> Sequence[Any]:
    """Return every value behind `values` at some steps of a path."""
    for step in steps:
        if not values:
            break
        values = _taken(values, step)
    return values


@cache
def steps_of(path: str) -> tuple[str, ...]:
    """Return the steps of a path; one into an extension is its URL in parentheses."""
    return tuple(f"({extension})" if extension else name for extension, name in _STEP.findall(path))


def is_name(step: str) -> bool:
    """Return whether a step is the name of an element."""
    return not step.startswith("(") and not step.endswith("[x]")


def _taken(values: Iterable[Any], step: str) -> list[Any]:
    found: list[Any] = []
    if is_name(step):
        for value in values:
            if isinstance(value, dict) and (child := value.get(step)) is not None:
                found += listed(child)
        return found
    for value in values:
        if isinstance(value, dict):
            found += _children(value, step)
    return found


def _children(value: dict[str, Any], step: str) -> Iterable[Any]:
    if step.startswith("("):
        url = step[1:-1]
        url = f"{_R5_ELEMENT}{url[3:]}" if url.startswith("r5:") else url
        return [
            one
            for one in listed(value.get("extension"))
            if isinstance(one, dict) and one.get("url") == url
        ]
    start = step[:-3]
    return [
        one
        for name, child in value.items()
        if name.startswith(start) and name[len(start) : len(start) + 1].isupper()
        for one in listed(child)
    ]


def listed(value: Any) -> Sequence[Any]:
    """Return the values of an element, of which a resource may have one or several."""
    if isinstance(value, list):
        return [one for one in value if one is not None]
    return () if value is None else (value,)
