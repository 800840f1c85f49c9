"""What resources are found by.

`PARAMETERS` says what each type of resource is searched by, `indexed` takes that out of a resource
in its R4 form, and `api.search` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.indexing.parameter import R4, R5, Parameter
from api.indexing.paths import elements
from api.indexing.sites import SPECIAL
from api.indexing.tables import COMMON, PARAMETERS, parameters_of
from api.indexing.values import Index, index_of
from api.indexing.words import content_of, narrative_of
from api.records import Amount, DateRange, Origin, Resource, Text, Token
from terminology.concept import SNOMED
from terminology.graph import BodyStructureGraph

__all__ = ["COMMON", "PARAMETERS", "R4", "R5", "Parameter", "indexed", "parameters_of"]


def indexed(
    kind: str,
    content: Mapping[str, Any],
    *,
    graph: BodyStructureGraph,
    extra: Iterable[Token] = (),
    origin: Origin = "machine",
) -> Resource:
    """Return a resource with everything that searches find it by.

    Parameters
    ----------
    content
        The resource in its R4 form, with its `id`.
    extra
        Tokens that its elements do not show.
    origin
        Whose word it is: "machine" or "person".
    """
    found: list[Index] = list(extra)
    for parameter in (*COMMON, *PARAMETERS[kind]):
        special = SPECIAL.get((kind, parameter.name))
        if special is not None:
            found += special(parameter, content, graph)
        elif parameter.name not in {"_id", "_lastUpdated"} and parameter.paths:
            found += _plain(parameter, content)
    tokens = tuple(sorted({one for one in found if isinstance(one, Token)}))
    sited = {one.name for one in PARAMETERS[kind] if one.body_site}
    sites = [one.code for one in tokens if one.param in sited and one.system == SNOMED]
    return Resource(
        kind,
        str(content["id"]),
        content,
        tokens,
        tuple(dict.fromkeys(one for one in found if isinstance(one, DateRange))),
        tuple(sorted({one for one in found if isinstance(one, Text)})),
        tuple(sorted({one for one in found if isinstance(one, Amount)})),
        narrative_of(content),
        content_of(content, sites, graph),
        origin,
    )


def _plain(parameter: Parameter, content: Mapping[str, Any]) -> Iterable[Index]:
    if parameter.type == "composite" and not parameter.paths[0]:
        # Its parts are parameters of their own: a resource has one of each.
        return
    for path in parameter.paths:
        for value in elements(content, path):
            yield from index_of(parameter, value)
