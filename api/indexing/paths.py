"""Elements of a resource by their path.

A path is names of elements with dots between them: ``series.bodySite``. ``extension(URL)`` is the
extensions of that URL, of which ``valueCodeableConcept`` and the like are elements; where a URL
begins with ``r5:`` the rest is the path of an R5 element that R4 keeps in an extension. A path ends
in ``[x]`` where an element has values of several types, all of which are meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

# Where R5 elements are kept in R4 resources: https://hl7.org/fhir/R4/versions.html#extensions
_R5_ELEMENT: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
_STEP: Final = re.compile(r"extension\(([^)]*)\)|([A-Za-z0-9_]+(?:\[x\])?)")


def elements(content: Any, path: str) -> Iterator[Any]:
    """Yield every value at `path`, in the order of the resource; none of them is a list."""
    found: Iterator[Any] = iter((content,))
    for step in _steps(path):
        found = _taken(found, step)
    return found


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(f"({extension})" if extension else name for extension, name in _STEP.findall(path))


def _taken(values: Iterator[Any], step: str) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Mapping):
            yield from _children(value, step)


def _children(value: Mapping[str, Any], step: str) -> Iterator[Any]:
    if step.startswith("("):
        url = step[1:-1]
        url = f"{_R5_ELEMENT}{url[3:]}" if url.startswith("r5:") else url
        yield from (
            one
            for one in _each(value.get("extension"))
            if isinstance(one, Mapping) and one.get("url") == url
        )
    elif step.endswith("[x]"):
        start = step[:-3]
        for name, child in value.items():
            if name.startswith(start) and name[len(start) : len(start) + 1].isupper():
                yield from _each(child)
    else:
        yield from _each(value.get(step))


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from (one for one in value if one is not None)
    elif value is not None:
        yield value
