"""The groups of the DICOM Imaging Router: what follows from a site and an age."""

from __future__ import annotations

from typing import Final

from terminology.annotation import RouterGroup, Site
from terminology.graph import BodyStructureGraph

# DICOM Imaging Router (five groups); a child is under 16 years.
ADULT_FROM_YEARS: Final = 16.0
_CHEST: Final = ("816094009",)  # |Chest|; its former codes count through `current`
# |Abdomen|, |Abdominopelvic cavity, contents and anterior abdominal wall|, |Abdomen and Pelvis|.
# The last stands for itself alone: what lies below it, the pelvis, is a group of "other".
_ABDOMEN: Final = ("818981001", "818983003")
_ABDOMEN_AND_PELVIS: Final = "818982008"
_SPINE: Final = ("421060004",)  # |Spine|
_CHESTS: Final = frozenset({RouterGroup.ADULT_CHEST, RouterGroup.PAEDIATRIC_CHEST})


def router_group(site: Site, age_years: float | None, graph: BodyStructureGraph) -> RouterGroup:
    """Return the group of the DICOM Imaging Router that an image of `site` belongs to.

    The spine comes before the regions that hold parts of it. A chest without an age counts as an
    adult's. What shows chest and abdomen together is neither, and "other".
    """

    def within(regions: tuple[str, ...]) -> bool:
        above = graph.ancestors_or_self(site.code) | {graph.current(site.code)}
        return any(region in above for region in regions)

    if within(_SPINE):
        return RouterGroup.SPINE
    if within(_CHEST):
        child = age_years is not None and age_years < ADULT_FROM_YEARS
        return RouterGroup.PAEDIATRIC_CHEST if child else RouterGroup.ADULT_CHEST
    if within(_ABDOMEN) or graph.current(site.code) == _ABDOMEN_AND_PELVIS:
        return RouterGroup.ABDOMEN
    return RouterGroup.OTHER


def fused_group(
    site: Site | None,
    age_years: float | None,
    seen: RouterGroup | None,
    graph: BodyStructureGraph,
) -> RouterGroup | None:
    """Return the group of the fused site; what a model saw, `seen`, fills in what is not known.

    That is the age of a chest whose header has none, and the whole group where there is no site,
    or none that the graph holds.
    """
    if site is None or site.code not in graph:
        return seen
    group = router_group(site, age_years, graph)
    if age_years is None and group in _CHESTS and seen in _CHESTS:
        return seen
    return group
