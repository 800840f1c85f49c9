"""What resources are found by.

`PARAMETERS` says what each type of resource is searched by, `indexed` takes that out of a resource
in its R4 form, and `api.search` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from api.indexing.parameter import R4, R5, Parameter
from api.indexing.paths import followed, is_name, listed, steps_of
from api.indexing.sites import SPECIAL, Extract
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
    plan = _plan_of(kind)
    found: list[Index] = list(extra)
    for parameter, special in plan.special:
        found += special(parameter, content, graph)
    # Most resources have few of the elements that they may be searched by.
    for name, element in content.items():
        values: Sequence[Any] = ()
        for parameter, steps in plan.named.get(name, ()):
            values = values or listed(element)
            for value in followed(values, steps):
                found += index_of(parameter, value)
    for parameter, steps in plan.other:
        for value in followed((content,), steps):
            found += index_of(parameter, value)
    tokens = tuple(sorted({one for one in found if isinstance(one, Token)}))
    sites = [one.code for one in tokens if one.param in plan.sited and one.system == SNOMED]
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


_Places = tuple[tuple[Parameter, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a type of resource is indexed.

    Attributes
    ----------
    named
        Element of the resource → the parameters that it is found by, each with the steps of a path
        behind that element.
    other
        Parameters with the steps of a path that begins with no name of an element.
    sited
        Names of parameters whose values are body sites.
    """

    special: tuple[tuple[Parameter, Extract], ...]
    named: Mapping[str, _Places]
    other: _Places
    sited: frozenset[str]


@cache
def _plan_of(kind: str) -> _Plan:
    special = []
    named: dict[str, _Places] = {}
    other: _Places = ()
    for parameter in (*COMMON, *PARAMETERS[kind]):
        extract = SPECIAL.get((kind, parameter.name))
        if extract is not None:
            special.append((parameter, extract))
        # The parts of a composite without an element are parameters of their own.
        elif parameter.name not in {"_id", "_lastUpdated"} and parameter.paths != ("",):
            for first, *steps in map(steps_of, parameter.paths):
                if is_name(first):
                    named[first] = (*named.get(first, ()), (parameter, tuple(steps)))
                else:
                    other += ((parameter, (first, *steps)),)
    sited = frozenset(one.name for one in PARAMETERS[kind] if one.body_site)
    return _Plan(tuple(special), named, other, sited)
