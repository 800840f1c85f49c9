"""How the header's site and the image's site stand to each other in the graph."""

from __future__ import annotations

from typing import Final

from classifier.fusion.nearness import Nearness
from terminology.annotation import Relation, Site
from terminology.graph import BodyStructureGraph

#: Relations of two sites of which neither holds the other.
APART: Final = frozenset({Relation.NEIGHBOUR, Relation.CONFLICT})


def relation(
    header: tuple[Site, ...], image: tuple[Site, ...], graph: BodyStructureGraph
) -> Relation:
    """Return how the header's first site stands to the image's first site.

    A joint and the region of that joint are one site, as are a former code and that of today. Two
    sites are neighbours when they may share the frame of an image, or lie directly in one region.
    Sides that differ are a conflict, whatever the sites are. How sure either is plays no part
    here: see `fuse`.
    """
    if not header or not image:
        if header:
            return Relation.HEADER_ONLY
        return Relation.IMAGE_ONLY if image else Relation.NONE
    if sides_differ(header[0], image[0]):
        return Relation.CONFLICT
    near = Nearness.of(graph)
    ours, theirs = near.canonical(header[0].code), near.canonical(image[0].code)
    if ours == theirs or theirs in graph.equivalents(ours):
        return Relation.EQUAL
    if near.covers(ours, theirs):
        return Relation.HEADER_BROADER
    if near.covers(theirs, ours):
        return Relation.HEADER_NARROWER
    return Relation.NEIGHBOUR if near.beside(ours, theirs) else Relation.CONFLICT


def sides_differ(one: Site, other: Site) -> bool:
    """Return whether both sites have a side, and not the same."""
    sides = {one.laterality, other.laterality}
    return None not in sides and len(sides) > 1
