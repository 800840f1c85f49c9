"""Join what the header says with what a model saw into one `BodySiteAnnotation`.

The header's answer is kept where there is one: it is never overwritten, and a contradiction by
the image is a flag for review (`Relation.CONFLICT`). The image answers where the header does not.
"""

from __future__ import annotations

from typing import Final

from classifier.prediction import Prediction
from terminology.annotation import (
    BodySiteAnnotation,
    Evidence,
    ExaminedSite,
    HeaderReading,
    Instance,
    Relation,
    RouterGroup,
    Site,
    Source,
)
from terminology.graph import BodyStructureGraph

NO_MODEL: Final = (
    "No model is loaded: the answer rests on the header alone, the pixels were not read."
)

# DICOM Imaging Router (five groups); a child is under 16 years.
ADULT_FROM_YEARS: Final = 16.0
_CHEST: Final = ("816094009",)  # |Chest|; its former codes count through `current`
# |Abdomen|, |Abdominopelvic cavity, contents and anterior abdominal wall|, |Abdomen and Pelvis|.
# The last stands for itself alone: what lies below it, the pelvis, is a group of "other".
_ABDOMEN: Final = ("818981001", "818983003")
_ABDOMEN_AND_PELVIS: Final = "818982008"
_SPINE: Final = ("421060004",)  # |Spine|


def fuse(
    instance: Instance | None,
    header: HeaderReading | None,
    prediction: Prediction | None,
    graph: BodyStructureGraph,
) -> BodySiteAnnotation:
    """Return the annotation of one instance.

    Parameters
    ----------
    instance
        Its identifiers; `None` for a plain picture.
    header
        What its header says; `None` for a plain picture.
    prediction
        What a model saw; `None` when no model is loaded, which the annotation then says.
    graph
        The release in use; sites of header and prediction are concepts of it.
    """
    header = header or HeaderReading()
    seen = prediction.examined if prediction else ()
    examined = [ExaminedSite(site, Source.HEADER) for site in header.sites]
    if not examined and seen:
        examined.append(ExaminedSite(seen[0], Source.IMAGE))
    best = examined[0].site if examined else None
    evidence = header.evidence
    if prediction is not None:
        evidence = (*evidence, Evidence(source=prediction.model))
    return BodySiteAnnotation(
        instance=instance,
        modality=header.modality,
        examined=tuple(examined),
        visible=prediction.visible if prediction else (),
        view=header.view or (prediction.view if prediction else None),
        laterality=header.laterality or (best.laterality if best else None),
        router_group=router_group(best, header.age_years, graph) if best else None,
        relation=relation(header.sites, seen, graph),
        header=header.statements,
        image=seen,
        evidence=evidence,
        conflicts=header.conflicts,
        flags=header.flags,
        notes=() if prediction is not None else (NO_MODEL,),
    )


def relation(
    header: tuple[Site, ...], image: tuple[Site, ...], graph: BodyStructureGraph
) -> Relation:
    """Return how the header's first site stands to the image's first site.

    Two sites are neighbours when one concept lies directly above both. Sides that differ are a
    conflict, whatever the sites are.
    """
    if not header or not image:
        if header:
            return Relation.HEADER_ONLY
        return Relation.IMAGE_ONLY if image else Relation.NONE
    ours, theirs = header[0], image[0]
    if ours.laterality and theirs.laterality and ours.laterality != theirs.laterality:
        return Relation.CONFLICT
    if theirs.code in graph.equivalents(ours.code):
        return Relation.EQUAL
    if graph.subsumes(ours.code, theirs.code):
        return Relation.HEADER_BROADER
    if graph.subsumes(theirs.code, ours.code):
        return Relation.HEADER_NARROWER
    if set(graph.parents(ours.code)) & set(graph.parents(theirs.code)):
        return Relation.NEIGHBOUR
    return Relation.CONFLICT


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
