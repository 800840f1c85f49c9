"""Annotations of one series → its examined sites, and the one that names the series."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from terminology.annotation import BodySiteAnnotation, Evidence, ExaminedSite
from terminology.concept import Laterality

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean(text: str) -> str:
    """Return `text` without control characters, which FHIR strings may not hold."""
    return _CONTROL.sub(" ", text).strip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined site of a series with its side, and the instances that state it."""

    best: ExaminedSite
    laterality: Laterality | None
    stated_by: tuple[BodySiteAnnotation, ...]

    @property
    def notes(self) -> list[str]:
        """What the site rests on, in words, each once."""
        texts = [
            _evidence_text(one) for annotation in self.stated_by for one in annotation.evidence
        ]
        return [text for text in dict.fromkeys(texts) if text]


def findings_of(members: Sequence[BodySiteAnnotation]) -> tuple[Finding, ...]:
    """Return every examined site of a series with its side, ordered by code and side."""
    best: dict[tuple[str, Laterality | None], ExaminedSite] = {}
    stated: dict[tuple[str, Laterality | None], list[BodySiteAnnotation]] = defaultdict(list)
    for annotation in members:
        for examined in annotation.examined:
            key = _site_key(annotation, examined)
            if key not in best or _certainty(examined) > _certainty(best[key]):
                best[key] = examined
            if not stated[key] or stated[key][-1] is not annotation:
                stated[key].append(annotation)
    return tuple(
        Finding(best[key], key[1], tuple(stated[key]))
        for key in sorted(best, key=lambda key: (key[0], key[1] or ""))
    )


def vote(members: Sequence[BodySiteAnnotation], findings: Sequence[Finding]) -> Finding | None:
    """Return the finding that most instances put first; a tie goes to the more certain one."""
    votes: dict[tuple[str, Laterality | None], int] = defaultdict(int)
    for annotation in members:
        if annotation.examined:
            votes[_site_key(annotation, annotation.examined[0])] += 1
    voted = [one for one in findings if (one.best.site.code, one.laterality) in votes]
    return min(
        voted,
        key=lambda one: (
            -votes[one.best.site.code, one.laterality],
            -_certainty(one.best),
            one.best.site.code,
            one.laterality or "",
        ),
        default=None,
    )


def _site_key(
    annotation: BodySiteAnnotation, examined: ExaminedSite
) -> tuple[str, Laterality | None]:
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
