"""ECL over the body structures of a `BodyStructureGraph`."""

from __future__ import annotations

from pyroaring import BitMap

from terminology.concept import Concept
from terminology.ecl.evaluation import evaluate
from terminology.graph import BodyStructureGraph


def expand(expression: str, graph: BodyStructureGraph) -> tuple[Concept, ...]:
    """Return the body structures that `expression` names, sorted by code; errors as in `evaluate`.

    What is no body structure, an attribute or a qualifier for instance, is left out.
    """
    found = graph.index.codes(ordinals(expression, graph))
    return tuple(graph.lookup(code) for code in sorted(found) if code in graph)


def ordinals(expression: str, graph: BodyStructureGraph) -> BitMap:
    """Return the ordinals in `graph.index` that `expression` names; errors as in `evaluate`."""
    return evaluate(expression, graph.index)
