"""Annotations of one series → its examined sites, the one that names it, and what it shows.

The rules are those of `classifier.voting`, on answers instead of probabilities:

- *The site of a series.* Its instances are witnesses of one answer. Where a model saw each of them
  that has an answer, the answer with the largest product of its probabilities wins, none of which
  counts as less than a floor, so that no single instance has a veto. Otherwise the answer that most
  instances put first wins; a tie goes to the more certain one. A side is part of the answer.
- *The modality of a series* is what most of its instances have.
- *What a series shows* is what any of its instances shows, as surely as in that one.
- *The sites of a study* are those of its series, but none that contains another of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from terminology.annotation import BodySiteAnnotation, Evidence, ExaminedSite, Site
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# As of classifier.voting: an instance that is sure against a site counts as at most this sure.
_FLOOR: Final = 1e-4

Key = tuple[str, Laterality | None]


def clean(text: str) -> str:
    """Return `text` without control characters, which FHIR strings may not hold."""
    return _CONTROL.sub(" ", text).strip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined site of a series with its side, and the instances that state it.

    Attributes
    ----------
    best
        The surest statement of it, which is that of `best_of`.
    led_by
        Those of `stated_by` whose first answer it is.
    """

    best: ExaminedSite
    best_of: BodySiteAnnotation
    laterality: Laterality | None
    stated_by: tuple[BodySiteAnnotation, ...]
    led_by: tuple[BodySiteAnnotation, ...]

    @property
    def key(self) -> Key:
        """Site and side: what tells findings of one series apart."""
        return self.best.site.code, self.laterality

    @property
    def notes(self) -> list[str]:
        """What the site rests on, and what contradicts it, in words, each once."""
        texts = [
            _evidence_text(one) for annotation in self.stated_by for one in annotation.evidence
        ]
        texts += [clean(text) for annotation in self.led_by for text in annotation.conflicts]
        return [text for text in dict.fromkeys(texts) if text]


def findings_of(members: Sequence[BodySiteAnnotation]) -> tuple[Finding, ...]:
    """Return every examined site of a series with its side, ordered by code and side."""
    best: dict[Key, tuple[ExaminedSite, BodySiteAnnotation]] = {}
    stated: dict[Key, list[BodySiteAnnotation]] = defaultdict(list)
    led: dict[Key, list[BodySiteAnnotation]] = defaultdict(list)
    for annotation in members:
        for place, examined in enumerate(annotation.examined):
            key = _site_key(annotation, examined)
            if key not in best or _certainty(examined) > _certainty(best[key][0]):
                best[key] = (examined, annotation)
            if not stated[key] or stated[key][-1] is not annotation:
                stated[key].append(annotation)
            if place == 0:
                led[key].append(annotation)
    return tuple(
        Finding(*best[key], key[1], tuple(stated[key]), tuple(led[key]))
        for key in sorted(best, key=lambda key: (key[0], key[1] or ""))
    )


def vote(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding that names the series (see the top of this file), `None` without any."""
    voted = [one for one in findings if one.led_by]
    posteriors = [_posterior(annotation) for one in voted for annotation in one.led_by]
    weights = _products(voted, posteriors) if all(posteriors) else [0.0] * len(voted)
    ranked = sorted(
        zip(weights, voted, strict=True),
        key=lambda pair: (
            -pair[0],
            -len(pair[1].led_by),
            -_certainty(pair[1].best),
            pair[1].best.site.code,
            pair[1].laterality or "",
        ),
    )
    return ranked[0][1] if ranked else None


def _products(
    findings: Sequence[Finding], posteriors: Sequence[Mapping[str, float]]
) -> list[float]:
    """Return for each finding the mean log probability that the instances give its site."""
    return [
        sum(math.log(max(one.get(finding.best.site.code, 0.0), _FLOOR)) for one in posteriors)
        / len(posteriors)
        for finding in findings
    ]


def _posterior(annotation: BodySiteAnnotation) -> dict[str, float]:
    """Return how probable header and image, or the image alone, make each site; may be empty."""
    sites = annotation.image
    if annotation.answers is not None and annotation.answers.bayes:
        sites = annotation.answers.bayes
    found: dict[str, float] = {}
    for site in sites:
        if site.confidence is not None:
            found.setdefault(site.code, site.confidence)
    return found


def most_common(values: Iterable[str | None]) -> str | None:
    """Return the most frequent value; the first of several, `None` where there is none."""
    counted = Counter(value for value in values if value is not None)
    return max(counted, key=lambda value: counted[value], default=None)


def visible_in(members: Sequence[BodySiteAnnotation]) -> tuple[Site, ...]:
    """Return what any of the instances shows, each site as surely as it is shown best."""
    best: dict[str, Site] = {}
    for annotation in members:
        for site in annotation.visible:
            if site.code not in best or (site.confidence or 0) > (best[site.code].confidence or 0):
                best[site.code] = site
    return tuple(sorted(best.values(), key=lambda one: (-(one.confidence or 0), one.display)))


def sites_of_study(
    findings: Iterable[Finding | None], graph: BodyStructureGraph
) -> tuple[Finding, ...]:
    """Return the sites of a study: those of its series, but none that contains another."""
    found = {(one.best.site.code, one.laterality): one for one in findings if one is not None}
    # What was stored may have left the release since.
    codes = {code for code, _ in found if code in graph}
    return tuple(
        one
        for (code, _), one in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        if code not in codes or not any(graph.subsumes(code, other) for other in codes)
    )


def _site_key(annotation: BodySiteAnnotation, examined: ExaminedSite) -> Key:
    """Return site and side; the side of the instance counts for its first site."""
    side = examined.site.laterality
    if side is None and examined is annotation.examined[0]:
        side = annotation.laterality
    return examined.site.code, side


def _certainty(examined: ExaminedSite) -> float:
    return -1.0 if examined.site.confidence is None else examined.site.confidence


def _evidence_text(evidence: Evidence) -> str:
    parts = [evidence.source]
    if evidence.words:
        parts.append("read " + ", ".join(f"'{word}'" for word in evidence.words))
    if evidence.rows:
        parts.append("by " + ", ".join(evidence.rows))
    if evidence.note:
        parts.append(evidence.note)
    return clean("; ".join(parts))
