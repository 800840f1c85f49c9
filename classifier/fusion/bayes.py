"""Bayes: what header and image say together, each by how reliable it is.

p(y | x, h) ∝ [p(y | x) / π_train(y)] · P(h | y) · π_site(y), where y is a part of the body, x the
image and h what the header says. "Missing" and "not understood" are values of h too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from classifier.fusion.nearness import Nearness
from classifier.fusion.reliability import MISSING, UNMAPPED, HeaderReliability
from classifier.fusion.settings import FusionSettings
from classifier.prediction import Prediction
from terminology.annotation import HeaderReading, HeaderStatement, Site
from terminology.graph import BodyStructureGraph
from terminology.settings import TRUST

# No probability is so small that nothing could speak against it.
_LEAST: Final = 1e-6
# How often a header says nothing, or what nobody understands, of any part, until a site counted.
_NO_SITE: Final = 0.1
_SITE_KEYWORDS: Final = frozenset(TRUST)
# Values of a header that name no site.
_SILENT: Final = frozenset({(MISSING,), (UNMAPPED,)})
_KEPT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a header says, in as many tags as repeat it.

    Attributes
    ----------
    values
        For each tag, the codes that it names, as labels have them, or `MISSING` or `UNMAPPED`
        alone, and the confidence of its reading in [0, 1]. A tag with several codes is right where
        one of them is.
    """

    values: tuple[tuple[tuple[str, ...], float], ...]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What header and image make of each part together.

    Attributes
    ----------
    near
        Of the graph in use.
    posterior
        By SCTID of a class, or of a site of the header that no class stands for, the most probable
        first; sums to 1.
    image
        The same of the image alone.
    """

    near: Nearness
    posterior: Mapping[str, float]
    image: Mapping[str, float]

    def mass(self, site: Site) -> float:
        """Return how probable it is, by header and image, that `site` is right."""
        return self._mass(site, self.posterior)

    def image_mass(self, site: Site) -> float:
        """Return how probable it is, by the image alone, that `site` is right."""
        return self._mass(site, self.image)

    def _mass(self, site: Site, probabilities: Mapping[str, float]) -> float:
        held = self.near.held(tuple(sorted(probabilities)), self.near.canonical(site.code))
        return min(1.0, sum(probabilities[code] for code in held))


def facts_of(header: HeaderReading, near: Nearness) -> tuple[Fact, ...]:
    """Return what a header says of the site, tags that repeat one fact together.

    Two tags repeat one fact when sites of theirs are one, or one holds the other.
    """
    groups: list[list[tuple[tuple[str, ...], float]]] = []
    named = [one.sites for one in header.statements if one.sites]
    for sites in named or ([header.sites] if header.sites else []):
        codes = tuple(dict.fromkeys(near.canonical(site.code) for site in sites))
        value = (codes, min(_sureness(site) for site in sites))
        for group in groups:
            if _repeats(group[0][0], codes, near):
                group.append(value)
                break
        else:
            groups.append([value])
    if not groups:
        said = any(_says(one) for one in header.statements)
        groups = [[((UNMAPPED if said else MISSING,), 1.0)]]
    return tuple(Fact(tuple(group)) for group in groups)


def weigh(
    header: HeaderReading,
    prediction: Prediction,
    graph: BodyStructureGraph,
    settings: FusionSettings,
    reliability: HeaderReliability,
) -> Weighed | None:
    """Return what a header and a model's posterior make of each part together.

    `None` where the model gives no posterior, or none of a part that the graph holds.

    A site that the header names and no class stands for joins the classes: the less sure the
    model is of its best class, the more probable it may be.
    """
    near = Nearness.of(graph)
    classes = tuple(sorted(code for code in prediction.posterior if code in graph))
    if not classes:
        return None
    image = _normal({code: max(prediction.posterior[code], _LEAST) for code in classes})
    facts = facts_of(header, near)
    others = _outside(facts, classes, near)
    if others:
        unsure = max(settings.outside * (1.0 - max(image.values())), _LEAST)
        image = _normal({**image, **dict.fromkeys(others, unsure / len(others))})
    prior = _normal({code: max(prediction.prior.get(code, 0.0), _LEAST) for code in classes})
    table = _tables_of(near).of(tuple(image), settings, reliability)
    logs = {code: math.log(image[code]) + table.shift(code, prior) for code in image}
    for fact in facts:
        for value, sureness in fact.values:
            gains = table.gains(value, round(sureness, 3))
            for code in logs:
                logs[code] += gains[code] / len(fact.values)
    top = max(logs.values())
    joined = _normal({code: math.exp(log - top) for code, log in logs.items()})
    return Weighed(near, _sorted(joined), _sorted(image))


class _Table:
    """P(h | y) and π_site of one set of classes."""

    def __init__(
        self,
        codes: tuple[str, ...],
        near: Nearness,
        settings: FusionSettings,
        reliability: HeaderReliability,
    ) -> None:
        self.codes = codes
        self.near = near
        self.settings = settings
        self.gains = lru_cache(_KEPT)(self._gains)
        self._neighbours = {code: self._beside(code) for code in codes}
        self._totals: dict[str, float] = {}
        self._by_value: dict[frozenset[str], dict[str, float]] = {}
        for (value, truth), count in reliability.counts.items():
            shares = near.held(codes, truth)
            row = self._by_value.setdefault(self._allowed((value,)), {})
            for code in shares:
                # A verdict that is broader than the classes is any of them.
                share = count / len(shares)
                self._totals[code] = self._totals.get(code, 0.0) + share
                row[code] = row.get(code, 0.0) + share

    def shift(self, code: str, prior: Mapping[str, float]) -> float:
        """Return log π_site(y) − log π_train(y), at most `cap` either way.

        0 where nothing was counted or trained on.
        """
        counted = sum(self._totals.values())
        if not counted or code not in prior:
            return 0.0
        weight = self.settings.smoothing
        own = (self._totals.get(code, 0.0) + weight * prior[code]) / (counted + weight)
        return self._capped(math.log(own) - math.log(prior[code]))

    def _gains(self, value: tuple[str, ...], sureness: float) -> Mapping[str, float]:
        """Return log P(h | y) − log P(h), at most `cap` either way.

        What is read with less sureness says accordingly less.
        """
        likelihood = {code: self._likelihood(value, code) for code in self.codes}
        mean = sum(likelihood.values()) / len(self.codes)
        return {
            code: self._capped(math.log((sureness * one + (1 - sureness) * mean) / mean))
            for code, one in likelihood.items()
        }

    def _allowed(self, value: tuple[str, ...]) -> frozenset[str]:
        """Return the classes that a value allows: values that allow the same count together.

        What names no site stands for itself.
        """
        if value in _SILENT:
            return frozenset(value)
        return frozenset().union(*(self.near.held(self.codes, code) for code in value))

    def _likelihood(self, value: tuple[str, ...], code: str) -> float:
        """Return P(h | y): counted, over the default as so many counts more.

        Of a value that was never counted the default alone is told: that it is rare says nothing
        of the part, only that parts which were counted often had more chances to have it.
        """
        row = self._by_value.get(self._allowed(value))
        if row is None:
            return self._default(value, code)
        weight = self.settings.smoothing
        counted = row.get(code, 0.0) + weight * self._default(value, code)
        return counted / (self._totals.get(code, 0.0) + weight)

    def _default(self, value: tuple[str, ...], code: str) -> float:
        """Return P(h | y) before anything is counted.

        Wrong headers name a neighbour or any part; a neighbour the sooner, the fewer steps of the
        graph it is away: each step halves it.
        """
        if value in _SILENT:
            return _NO_SITE
        allowed = self._allowed(value)
        settings = self.settings
        if code in allowed:
            return 1.0 - settings.header_error
        near, any_part = self._neighbours[code], 1.0 / max(1, len(self.codes) - 1)
        spread = sum(
            settings.near_errors * near.get(one, 0.0) + (1.0 - settings.near_errors) * any_part
            for one in allowed
        )
        return settings.header_error * min(1.0, max(spread, _LEAST))

    def _beside(self, code: str) -> Mapping[str, float]:
        """Return the classes beside `code`, with shares that sum to 1; all others if none is."""
        near, others = self.near, [one for one in self.codes if one != code]
        shares = {
            one: 0.5 ** near.steps(code, one) for one in others if near.beside(code, one)
        } or dict.fromkeys(others, 1.0)
        return _normal(shares)

    def _capped(self, value: float) -> float:
        return max(-self.settings.cap, min(self.settings.cap, value))


class _Tables:
    """The tables of one graph; each is made once."""

    def __init__(self, near: Nearness) -> None:
        self._near = near
        self.of = lru_cache(64)(self._of)

    def _of(
        self, codes: tuple[str, ...], settings: FusionSettings, reliability: HeaderReliability
    ) -> _Table:
        return _Table(codes, self._near, settings, reliability)


# As many graphs as `Nearness.of` keeps: a graph that was replaced must not stay in memory.
_tables_of = lru_cache(maxsize=2)(_Tables)


def _repeats(one: tuple[str, ...], other: tuple[str, ...], near: Nearness) -> bool:
    return any(near.covers(a, b) or near.covers(b, a) for a in one for b in other)


def _outside(facts: Iterable[Fact], classes: tuple[str, ...], near: Nearness) -> tuple[str, ...]:
    """Return the codes that the header names and that no class stands for, each once, sorted."""
    named = {
        code for fact in facts for value, _ in fact.values if value not in _SILENT for code in value
    }
    return tuple(sorted(code for code in named if not near.held(classes, code)))


def _says(statement: HeaderStatement) -> bool:
    return statement.keyword in _SITE_KEYWORDS and bool(statement.value.strip())


def _sureness(site: Site) -> float:
    return 1.0 if site.confidence is None else site.confidence


def _normal(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {key: value / total for key, value in values.items()} if total else dict(values)


def _sorted(values: Mapping[str, float]) -> dict[str, float]:
    """Return `values`, the largest first; by code where equal."""
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))
