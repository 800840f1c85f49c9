"""The axes of the IRMA code for FHIR: the codes of each are listed, and may be written in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.tx.provider import Concept
from api.tx.resource_provider import ResourceProvider
from terminology.errors import IdentifierError
from terminology.sources.irma import UNKNOWN, Axis, specified
from terminology.sources.irma_lists import embedded_lists

Json = dict[str, Any]
AXES: Final[Mapping[str, Axis]] = {axis.system: axis for axis in Axis}
_UNSPECIFIED: Final = "unspecified"


def axis_concepts(axis: Axis, version: str) -> list[Json]:
    """Return the codes of an axis as the tree that they are, in the order of the codes."""
    listed = embedded_lists().of(version)

    def below(code: str) -> list[Json]:
        return [made(one) for one in listed.children(axis, code)]

    def made(code: str) -> Json:
        entry = listed.entries[axis, code]
        display = entry.text
        if display == _UNSPECIFIED and entry.parent:
            # "unspecified" alone would not say of what.
            display = f"{listed.entries[axis, entry.parent].text}, {display}"
        concept: Json = {
            "code": code,
            "display": display,
            "definition": listed.path(axis, code),
        }
        # A 0 leaves everything after it unspecified: nothing stands below it.
        inside = below(code) if specified(code) == code else []
        return {**concept, "concept": inside} if inside else concept

    return below("")


def axis_count(axis: Axis, version: str) -> int:
    """Return how many codes an axis has."""
    return sum(one is axis for one, _ in embedded_lists().of(version).entries)


def listed_code(system: str, version: str | None, code: str) -> str:
    """Return a code as the list has it: 930 stands there, 700 as 7. Others come back as they are.

    `system` may be any code system; only the axes have codes of several widths.
    """
    axis = AXES.get(system)
    if axis is None or version not in (None, *embedded_lists().versions):
        return code
    listed = embedded_lists().of(version)
    if (axis, code) in listed.entries:
        return code
    try:
        full = axis.parse(code)
    except IdentifierError:
        return code
    entry = None if UNKNOWN in full else listed.entry(axis, full)
    return code if entry is None else entry.code


class AxisProvider(ResourceProvider):
    """The provider of an axis: a code may be written at full width."""

    def find(self, code: str) -> Concept | None:
        """Return the concept of `code`, short or filled up with 0."""
        return super().find(code) or super().find(listed_code(self.url, self.version, code))
