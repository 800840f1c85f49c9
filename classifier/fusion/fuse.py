"""`fuse`: one `BodySiteAnnotation` from a header and what a model saw.

A header is never overwritten: every statement of it stays in the annotation. It is followed unless
the image is sure enough that it is wrong; then the image's answer is told, and a person is asked
to look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from classifier.fusion.answers import five_answers, on_side
from classifier.fusion.bayes import Weighed, weigh
from classifier.fusion.relation import APART, relation, sides_differ
from classifier.fusion.reliability import NOTHING_COUNTED, HeaderReliability
from classifier.fusion.review import Review, reviewed
from classifier.fusion.router import fused_group
from classifier.fusion.settings import FusionSettings, Policy
from classifier.fusion.views import fused_view
from classifier.prediction import Prediction
from terminology.annotation import (
    Answers,
    BodySiteAnnotation,
    Evidence,
    ExaminedSite,
    HeaderReading,
    Instance,
    Relation,
    Site,
    Source,
)
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

NO_MODEL: Final = (
    "No model is loaded: the answer rests on the header alone, the pixels were not read."
)
_DEFAULTS: Final = FusionSettings()
# DICOM PS3.3 C.7.3.1.1.1: CR, DX and RG are one kind of picture, a projection radiograph.
_RADIOGRAPH: Final = {"CR": "DX", "RG": "DX"}
# PS3.16 CID 33: not how a picture was made. The image may tell it.
_NO_MODALITY: Final = frozenset({"OT", "SC", "SR", "PR", "KO", "DOC", "AU", "REG", "SEG"})
# From here on a header is more probably right than wrong.
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The answer for the site, where it comes from, and how the two stand to each other."""

    examined: tuple[ExaminedSite, ...] = ()
    relation: Relation = Relation.NONE
    review: tuple[Review, ...] = ()
    notes: tuple[str, ...] = ()


def fuse(
    instance: Instance | None,
    header: HeaderReading | None,
    prediction: Prediction | None,
    graph: BodyStructureGraph,
    settings: FusionSettings | None = None,
    reliability: HeaderReliability | None = None,
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
    settings
        By default those of `FusionSettings`.
    reliability
        What the site counted; by default the headers are as reliable as `settings` say.
    """
    header = header or HeaderReading()
    if prediction is None:
        return _header_alone(instance, header, graph, settings or _DEFAULTS)
    settings, reliability = settings or _DEFAULTS, reliability or NOTHING_COUNTED
    weighed: Weighed | None = None
    if not prediction.reasons:
        discounted = _discounted(prediction, header.modality, settings)
        weighed = weigh(header, discounted, graph, settings, reliability)
    answers = five_answers(header, prediction, weighed, graph, settings)
    verdict = _verdict(header, prediction, weighed, answers, graph, settings)
    best = verdict.examined[0].site if verdict.examined else None
    sure = {name: value >= settings.flag_from for name, value in prediction.confidences.items()}
    view, views_differ = fused_view(header.view, prediction.view, sure=sure.get("view", False))
    denied = Review.CONFLICT in verdict.review and _is_of_image(verdict)
    side, review = _side(
        None if denied else header.laterality, prediction, best, sure=sure.get("laterality", False)
    )
    modality, modalities_differ = _modality(
        header.modality, prediction.modality, sure=sure.get("modality", False)
    )
    found = [*verdict.review, *review, *_of_header(header)]
    if views_differ:
        found.append(Review.VIEW_CONFLICT)
    if modalities_differ:
        found.append(Review.MODALITY_CONFLICT)
    return BodySiteAnnotation(
        instance=instance,
        modality=modality,
        examined=verdict.examined,
        visible=prediction.visible,
        view=view,
        laterality=side,
        router_group=fused_group(best, header.age_years, prediction.router, graph),
        relation=verdict.relation,
        header=header.statements,
        image=prediction.examined,
        evidence=(*header.evidence, Evidence(source=prediction.model)),
        conflicts=header.conflicts,
        flags=header.flags,
        notes=verdict.notes,
        answers=answers,
        review=reviewed(found, prediction.reasons, settings),
        view_confidence=prediction.confidences.get("view") if view == prediction.view else None,
        reasons=prediction.reasons,
    )


def _discounted(
    prediction: Prediction, modality: str | None, settings: FusionSettings
) -> Prediction:
    """Return `prediction` with its posterior less sure, for what the model hardly knows."""
    if modality is None or modality in (*settings.read_modalities, *_NO_MODALITY):
        return prediction
    powers = {code: p**settings.other_weight for code, p in prediction.posterior.items()}
    total = sum(powers.values())
    return replace(prediction, posterior={code: p / total for code, p in powers.items()})


def _header_alone(
    instance: Instance | None,
    header: HeaderReading,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> BodySiteAnnotation:
    best = header.sites[0] if header.sites else None
    found = [*_of_header(header), *([] if best else [Review.NO_ANSWER])]
    return BodySiteAnnotation(
        instance=instance,
        modality=header.modality,
        examined=_sited(header.sites, Source.HEADER),
        view=header.view,
        laterality=header.laterality or (best.laterality if best else None),
        router_group=fused_group(best, header.age_years, None, graph),
        relation=relation(header.sites, (), graph),
        header=header.statements,
        evidence=header.evidence,
        conflicts=header.conflicts,
        flags=header.flags,
        notes=(NO_MODEL,),
        review=reviewed(found, (), settings),
    )


def _verdict(
    header: HeaderReading,
    prediction: Prediction,
    weighed: Weighed | None,
    answers: Answers,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> _Verdict:
    """Return the answer by the policy of the settings."""
    fused = _weighed_verdict(header, prediction, weighed, graph, settings)
    if settings.policy is Policy.FUSED:
        return fused
    sites = answers.union if settings.policy is Policy.ANY else answers.intersection
    seen = {site.code for site in prediction.examined[:1]} | set(prediction.prediction_set)
    named = {site.code for site in header.sites}, seen
    examined = []
    for site in sites:
        by_header, by_image = (site.code in codes for codes in named)
        source = Source.HEADER if by_header else Source.IMAGE
        if settings.policy is Policy.BOTH or (by_header and by_image):
            source = Source.FUSED
        examined.append(ExaminedSite(site, source))
    review: list[Review] = [one for one in fused.review if one is not Review.NO_ANSWER]
    if not examined:
        review.append(Review.NO_ANSWER)
    return replace(fused, examined=tuple(examined), review=tuple(review))


def _weighed_verdict(
    header: HeaderReading,
    prediction: Prediction,
    weighed: Weighed | None,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> _Verdict:
    seen = prediction.examined[:1]
    if prediction.reasons or not seen:
        return _without_image(header, prediction, weighed, graph, settings)
    if not header.sites:
        site = on_side(seen[0], header.laterality or prediction.laterality, graph)
        return _checked(site, Source.IMAGE, Relation.IMAGE_ONLY, settings)
    if seen[0].code not in graph:
        return _unknown(header, seen[0], graph)
    header = _agreeing_first(header, seen, graph)
    ours, theirs = header.sites[0], seen[0]
    stands = relation(header.sites, seen, graph)
    if stands is Relation.CONFLICT and sides_differ(ours, theirs):
        # A side that differs is a conflict of its own; the header's stays.
        return _Verdict(_sited(header.sites, Source.HEADER), stands, (Review.LATERALITY_CONFLICT,))
    if weighed is None:
        return _unweighed(header, theirs, stands, graph, settings)
    if stands is Relation.HEADER_BROADER:
        site = on_side(theirs, ours.laterality or header.laterality, graph)
        return _checked(_sure(site, weighed), Source.FUSED, stands, settings)
    right = weighed.mass(ours)
    improbable = weighed.image_mass(ours) < settings.tau_lo and right < _EVEN
    if stands not in APART and not (stands is Relation.HEADER_NARROWER and improbable):
        return _with_header(header, weighed, stands, Source.FUSED, settings)
    site = _sure(on_side(theirs, header.laterality, graph), weighed)
    if 1.0 - right >= settings.tau_hi:
        found = _checked(site, Source.IMAGE, stands, settings)
        return replace(found, review=(Review.CONFLICT, *found.review))
    # Neither is sure enough to be set against the other: the likelier one answers alone.
    if weighed.mass(theirs) > right:
        alone = Relation.IMAGE_ONLY if stands is Relation.CONFLICT else stands
        found = _checked(site, Source.IMAGE, alone, settings)
        return replace(found, review=(Review.LOW_CONFIDENCE,))
    alone = Relation.HEADER_ONLY if stands is Relation.CONFLICT else stands
    return _with_header(header, weighed, alone, Source.HEADER, settings)


def _agreeing_first(
    header: HeaderReading, seen: tuple[Site, ...], graph: BodyStructureGraph
) -> HeaderReading:
    """Return `header` with the first of its sites first that the image's answer does not deny."""
    if len(header.sites) < 2:
        return header
    denied = {one: relation((one,), seen, graph) in APART for one in header.sites}
    return replace(header, sites=tuple(sorted(header.sites, key=lambda one: denied[one])))


def _with_header(
    header: HeaderReading,
    weighed: Weighed,
    stands: Relation,
    source: Source,
    settings: FusionSettings,
) -> _Verdict:
    """Return the answer of a header that is followed; its other sites stay behind the first."""
    found = _checked(_sure(header.sites[0], weighed), source, stands, settings)
    others = _sited(header.sites[1:], Source.HEADER)
    return replace(found, examined=(*found.examined, *others))


def _without_image(
    header: HeaderReading,
    prediction: Prediction,
    weighed: Weighed | None,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> _Verdict:
    """Return the answer where the model has none: the header's, unless there is no body to see.

    What the model finds possible may bear the header out, or not, although it is no answer.
    """
    stands = relation(header.sites, (), graph)
    nobody = [code for code in prediction.reasons if code in settings.no_body]
    if nobody:
        note = f"The image shows no human body ({', '.join(nobody)}): the header is not followed."
        return _Verdict((), stands, (Review.NO_ANSWER,), (note,))
    why = ", ".join(prediction.reasons) or "it is not sure enough of any region"
    if not header.sites:
        unsure = () if prediction.reasons else (Review.LOW_CONFIDENCE,)
        note = f"The model has no answer for the image ({why}), and the header names no site."
        return _Verdict((), stands, (*unsure, Review.NO_ANSWER), (note,))
    note = f"The model has no answer for the image ({why}): the answer rests on the header alone."
    if weighed is not None:
        found = _with_header(header, weighed, stands, Source.HEADER, settings)
    else:
        unsure = () if prediction.reasons else (Review.LOW_CONFIDENCE,)
        found = _Verdict(_sited(header.sites, Source.HEADER), stands, unsure)
    return replace(found, notes=(note,))


def _unknown(header: HeaderReading, theirs: Site, graph: BodyStructureGraph) -> _Verdict:
    """Return the answer where the model speaks of what the release in use does not hold."""
    note = (
        f"The model's answer {theirs.code} |{theirs.display}| is not in the release in use"
        f" ({graph.version}): it cannot be compared, and the answer rests on the header alone."
    )
    alone = relation(header.sites, (), graph)
    return _Verdict(_sited(header.sites, Source.HEADER), alone, (Review.LOW_CONFIDENCE,), (note,))


def _unweighed(
    header: HeaderReading,
    theirs: Site,
    stands: Relation,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> _Verdict:
    """Return the answer of a model without a posterior: its confidence alone can speak."""
    if stands is Relation.HEADER_BROADER:
        site = on_side(theirs, header.sites[0].laterality or header.laterality, graph)
        return _checked(site, Source.FUSED, stands, settings)
    if stands not in APART:
        return _Verdict(_sited(header.sites, Source.FUSED), stands)
    if theirs.confidence is not None and theirs.confidence >= settings.image_from:
        site = on_side(theirs, header.laterality, graph)
        return _Verdict((ExaminedSite(site, Source.IMAGE),), stands, (Review.CONFLICT,))
    return _Verdict(_sited(header.sites, Source.HEADER), stands, (Review.CONFLICT,))


def _checked(site: Site, source: Source, stands: Relation, settings: FusionSettings) -> _Verdict:
    unsure = site.confidence is not None and site.confidence < settings.review_from
    review = (Review.LOW_CONFIDENCE,) if unsure else ()
    return _Verdict((ExaminedSite(site, source),), stands, review)


def _sure(site: Site, weighed: Weighed) -> Site:
    """Return `site` as sure as header and image together are of it."""
    return replace(site, confidence=weighed.mass(site))


def _sited(sites: tuple[Site, ...], source: Source) -> tuple[ExaminedSite, ...]:
    return tuple(ExaminedSite(site, source) for site in sites)


def _of_header(header: HeaderReading) -> list[Review]:
    return [Review.HEADER_CONFLICT] if header.conflicts else []


def _is_of_image(verdict: _Verdict) -> bool:
    return bool(verdict.examined) and verdict.examined[0].source is Source.IMAGE


def _side(
    header: Laterality | None, prediction: Prediction, best: Site | None, *, sure: bool
) -> tuple[Laterality | None, list[Review]]:
    """Return the side: the header's, which no marker in the image overrules, else the image's.

    The side of a header that is not followed is that of another part: it counts as far as the
    answer has taken it over.
    """
    told = header or (best.laterality if best else None)
    if told is None:
        return prediction.laterality, []
    differs = prediction.laterality is not None and prediction.laterality is not told
    return told, [Review.LATERALITY_CONFLICT] if differs and sure else []


def _modality(header: str | None, image: str | None, *, sure: bool) -> tuple[str | None, bool]:
    """Return the modality, and whether header and image contradict each other.

    The header's, unless it does not say how the picture was made.
    """
    if image is None or header is None:
        return header or image, False
    if header in _NO_MODALITY:
        return (image, False) if sure else (header, False)
    return header, sure and _RADIOGRAPH.get(header, header) != _RADIOGRAPH.get(image, image)
