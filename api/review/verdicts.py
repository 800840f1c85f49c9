"""What persons have said of the series of a study, and what of the machine's answers then stands.

A verdict is an Observation of an examined site that a person has written. Which rules hold:

- *It is about what it was written on.* An update of one of the machine's Observations judges that
  answer, under that site and side, in that series, however often and by whatever model it is given
  again: ``final``, ``amended`` and ``corrected`` say what the site is, ``cancelled`` and
  ``entered-in-error`` that it is wrong. What the machine said beside it at the time still stands;
  what it comes to say later does not, once a person has named a site of the series.
- *A new Observation is about the whole series*, or about every series of the study that has no
  verdict of its own: what only the machine says of them no longer counts.
- *A person's site names the series*, the latest one where there are several.
- ``preliminary``, ``registered`` and ``unknown`` decide nothing yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.fhir import logical_id
from api.findings import Finding, Key, vote
from api.profiles.names import JUDGED_ANSWER
from api.records import PERSON, Stored
from api.review.statement import Statement, is_examined, key_of, site_of, view_of
from terminology.annotation import BodySiteAnnotation, ExaminedSite, Source
from terminology.concept import SNOMED, Laterality
from terminology.graph import BodyStructureGraph

# FHIR R4, ObservationStatus.
POSITIVE: Final = frozenset({"final", "amended", "corrected"})
NEGATIVE: Final = frozenset({"cancelled", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one person said.

    Attributes
    ----------
    observation
        Logical id of the Observation.
    series
        Series Instance UID; `None` for every series of the study.
    positive
        Whether `site` is an examined site; else what was judged is wrong.
    site
        Site and side, `None` where the Observation names none that the release holds.
    view
        The view as a CodeableConcept, where it names one.
    judged, beside
        The answer of the machine that it was written on, `None` for a verdict on its own, and
        what the machine said beside it.
    settles
        Whether it was written into the study, which has room for one site a series: verdicts on
        the series of before it no longer count.
    """

    observation: str
    series: str | None
    positive: bool
    site: Key | None
    view: Mapping[str, Any] | None
    judged: Key | None
    beside: frozenset[Key]
    settles: bool
    at: datetime

    @classmethod
    def of(cls, stored: Stored, graph: BodyStructureGraph) -> Verdict | None:
        """Return the verdict of a person's Observation; `None` where it is none."""
        if stored.type != "Observation" or stored.deleted or stored.origin != PERSON:
            return None
        content = json.loads(stored.body)
        status = content.get("status")
        if status not in POSITIVE | NEGATIVE or not is_examined(content):
            return None
        said = Statement.of(content)
        judged, beside = judged_answer(content)
        if status in NEGATIVE and judged is None:
            # A person's own statement, taken back.
            return None
        site = key_of(said.site or said.value, graph)
        if site is not None and site[1] is None:
            site = site[0], said.side
        return cls(
            observation=stored.id,
            series=said.series,
            positive=status in POSITIVE and site is not None,
            site=site,
            view=view_of(content),
            judged=judged,
            beside=beside,
            settles=stored.id == settling_id(said.study, said.series),
            at=stored.last_updated,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A series after the verdicts.

    Attributes
    ----------
    standing
        Answers of the machine that still count, each an Observation of its own.
    sites
        All that the series examines: those, and what persons say.
    answer
        What names the series.
    view
        The view that a person named, as a CodeableConcept.
    reasons
        Why a person should still look, in the order in which the instances say so.
    """

    standing: tuple[Finding, ...]
    sites: tuple[Finding, ...]
    answer: Finding | None
    view: Mapping[str, Any] | None
    reasons: tuple[str, ...]


class Verdicts:
    """The verdicts on one study.

    Parameters
    ----------
    stored
        What persons own of it; what is no verdict is passed over.
    """

    def __init__(self, stored: Iterable[Stored], graph: BodyStructureGraph) -> None:
        found = [(one, Verdict.of(one, graph)) for one in stored]
        self._graph = graph
        self._owned = {(one.type, one.id): one for one, _ in found if one.origin == PERSON}
        self.all: Final = sorted(
            (verdict for _, verdict in found if verdict is not None),
            key=lambda one: (one.at, one.observation),
        )

    def owned(self, kind: str, resource_id: str) -> Stored | None:
        """Return a resource that a person owns, `None` where the machine does."""
        return self._owned.get((kind, resource_id))

    def on_series(
        self,
        uid: str | None,
        members: Sequence[BodySiteAnnotation],
        findings: Sequence[Finding],
        id_of: Callable[[Finding], str],
    ) -> Judged:
        """Return what stands of the machine's `findings` of a series, and what persons say.

        Parameters
        ----------
        uid
            Of the series; `None` for a picture, which has none.
        members
            The annotations of its instances, at least one.
        id_of
            The logical id that the Observation of a finding has.
        """
        own = [one for one in self.all if one.series == uid]
        named = self._named(uid)
        standing = tuple(one for one in findings if not _superseded(one, id_of(one), own, named))
        stated: dict[Key, Finding] = {}
        for verdict in named:
            assert verdict.site is not None  # noqa: S101
            stated[verdict.site] = self._finding(verdict.site, members)
        mine = {one.key: one for one in standing if one.key not in stated}
        views = [one.view for one in named if one.view is not None]
        return Judged(
            standing=standing,
            sites=(*mine.values(), *stated.values()),
            answer=stated[named[-1].site] if named and named[-1].site else vote(standing),
            view=views[-1] if views else None,
            reasons=_reasons(members, findings, standing, settled=bool(named)),
        )

    def about(self, uid: str | None, answer: Key | None) -> Verdict | None:
        """Return the verdict that counts for images of a series of which the machine says `answer`.

        It is the latest on that answer, else the one that names the series; `None` without any.
        """
        own = [one for one in self.all if one.series == uid]
        on_it = [one for one in own if one.judged == answer and answer is not None]
        return next(reversed(on_it or self._named(uid)), None)

    def _named(self, uid: str | None) -> list[Verdict]:
        """Return the verdicts that name a series, the latest last."""
        own = [one for one in self.all if one.series == uid and one.positive]
        last = max((place for place, one in enumerate(own) if one.settles), default=0)
        return own[last:] or [one for one in self.all if one.series is None and one.positive]

    def _finding(self, key: Key, members: Sequence[BodySiteAnnotation]) -> Finding:
        """Return what a person says, in the form of what instances say; none of them led to it."""
        site = ExaminedSite(site_of(key, self._graph), Source.FUSED)
        return Finding(site, members[0], key[1], tuple(members), ())


def settling_id(study: str | None, series: str | None) -> str:
    """Return the id of the Observation of a site that was written into ImagingStudy.series."""
    return logical_id("verdict", study or "", series or "")


def _superseded(
    finding: Finding, resource_id: str, own: Sequence[Verdict], named: Sequence[Verdict]
) -> bool:
    """Return whether an answer of the machine was judged, or no longer counts."""
    for verdict in own:
        if verdict.observation == resource_id or verdict.judged == finding.key:
            return True
        if not verdict.positive and verdict.site == finding.key:
            return True
    if any(one.judged is None for one in named):
        return True
    return bool(named) and not any(finding.key in one.beside for one in named)


def _reasons(
    members: Sequence[BodySiteAnnotation],
    findings: Sequence[Finding],
    standing: Sequence[Finding],
    *,
    settled: bool,
) -> tuple[str, ...]:
    """Return the reasons of those instances whose first answer nobody has judged yet."""
    judged = {one.key for one in findings} - {one.key for one in standing}
    open_ = {id(one) for finding in standing for one in finding.led_by}
    found: dict[str, None] = {}
    for member in members:
        nameless = not member.examined and not settled and not judged
        if id(member) in open_ or nameless:
            found.update(dict.fromkeys(member.review))
    return tuple(found)


def judged_answer(content: Mapping[str, Any]) -> tuple[Key | None, frozenset[Key]]:
    """Return the answer of the machine that a verdict was written on, and those beside it."""
    judged: Key | None = None
    beside: set[Key] = set()
    for extension in content.get("extension", ()):
        if extension.get("url") != JUDGED_ANSWER:
            continue
        for part in extension.get("extension", ()):
            key = _key(part.get("valueCodeableConcept", {}))
            if key is None:
                continue
            if part.get("url") == "judged":
                judged = key
            else:
                beside.add(key)
    return judged, frozenset(beside)


def judged_extension(
    judged: Key, beside: Iterable[Key], graph: BodyStructureGraph
) -> dict[str, Any]:
    """Return the extension that `judged_answer` reads."""
    parts = [("judged", judged), *(("beside", one) for one in sorted(beside, key=str))]
    return {
        "url": JUDGED_ANSWER,
        "extension": [
            {"url": name, "valueCodeableConcept": _concept(key, graph)} for name, key in parts
        ],
    }


def _concept(key: Key, graph: BodyStructureGraph) -> dict[str, Any]:
    site = site_of(key, graph)
    codings = [{"system": SNOMED, "code": site.code, "display": site.display}]
    if key[1] is not None:
        side = key[1].coding
        codings.append({"system": SNOMED, "code": side.code, "display": side.display or ""})
    return {"coding": codings}


def _key(concept: Mapping[str, Any]) -> Key | None:
    codes_ = [one.get("code") for one in concept.get("coding", ())]
    if not codes_ or not isinstance(codes_[0], str):
        return None
    sides = {side.coding.code: side for side in Laterality}
    return codes_[0], sides.get(codes_[1]) if len(codes_) > 1 else None
