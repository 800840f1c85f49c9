"""The five answers: what header and image say, each alone and joined in three ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from classifier.fusion.bayes import Weighed
from classifier.fusion.nearness import Nearness
from classifier.fusion.settings import FusionSettings
from classifier.prediction import Prediction
from terminology.annotation import Answers, HeaderReading, Site
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

# Of the parts that Bayes' rule leaves possible, so many are told, and none less probable.
_SHOWN: Final = 5
_SHOWN_FROM: Final = 0.01


def five_answers(
    header: HeaderReading,
    prediction: Prediction,
    weighed: Weighed | None,
    graph: BodyStructureGraph,
    settings: FusionSettings,
) -> Answers:
    """Return the answers of header, image, union, intersection and Bayes, kept apart.

    The union has the header's sites, the image's answer and what else the image finds possible:
    its prediction set, or where there is none what is at least as probable as `settings.tau_lo`.
    Without a posterior there is no answer by Bayes' rule.
    """
    side = header.laterality or prediction.laterality
    near = Nearness.of(graph)
    return Answers(
        header=header.sites,
        image=prediction.examined,
        union=_distinct(near, [*header.sites, *_possible(prediction, graph, settings)]),
        intersection=_agreed(near, header.sites, prediction.examined[:1]),
        bayes=() if weighed is None else _probable(weighed, graph, side),
    )


def _possible(
    prediction: Prediction, graph: BodyStructureGraph, settings: FusionSettings
) -> list[Site]:
    """Return the image's answer and what else it finds possible."""
    posterior = prediction.posterior
    if prediction.prediction_set or posterior:
        likely = sorted((-value, code) for code, value in posterior.items())
        codes = prediction.prediction_set or [
            code for negative, code in likely if -negative >= settings.tau_lo
        ]
        others = [site_of(code, graph, posterior.get(code)) for code in codes if code in graph]
    else:
        others = [
            site
            for site in prediction.examined[1:]
            if site.confidence is not None and site.confidence >= settings.tau_lo
        ]
    return [*prediction.examined[:1], *others]


def _distinct(near: Nearness, sites: Iterable[Site]) -> tuple[Site, ...]:
    """Return `sites`, each part once: the first that names it."""
    found: dict[str, Site] = {}
    for site in sites:
        found.setdefault(near.canonical(site.code), site)
    return tuple(found.values())


def _agreed(near: Nearness, header: tuple[Site, ...], image: tuple[Site, ...]) -> tuple[Site, ...]:
    """Return, of each two sites of which one is or holds the other, the more specific one."""
    agreed: list[Site] = []
    for ours in header:
        for theirs in image:
            mine, other = near.canonical(ours.code), near.canonical(theirs.code)
            if near.covers(other, mine):
                agreed.append(ours)
            elif near.covers(mine, other):
                agreed.append(on_side(theirs, ours.laterality, near.graph))
    return _distinct(near, agreed)


def _probable(
    weighed: Weighed, graph: BodyStructureGraph, side: Laterality | None
) -> tuple[Site, ...]:
    best = list(weighed.posterior.items())[:_SHOWN]
    return tuple(
        on_side(site_of(code, graph, value), side, graph)
        for at, (code, value) in enumerate(best)
        if value >= _SHOWN_FROM or at == 0
    )


def site_of(code: str, graph: BodyStructureGraph, confidence: float | None) -> Site:
    """Return a site of the graph."""
    return Site(code, graph.lookup(code).display, confidence=confidence)


def on_side(site: Site, side: Laterality | None, graph: BodyStructureGraph) -> Site:
    """Return `site` with the side, if it is a part with sides and has none yet."""
    if side is None or site.laterality is not None or not _is_paired(site.code, graph):
        return site
    return replace(site, laterality=side)


def _is_paired(code: str, graph: BodyStructureGraph) -> bool:
    return code in graph and any(
        graph.sided(code, side) is not None for side in (Laterality.LEFT, Laterality.RIGHT)
    )
