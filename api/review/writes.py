"""What becomes of an Observation, ImagingStudy or Task that a person writes.

`Review.prepare` is asked ahead of a write: it refuses what is no verdict, completes one, and says
which study it belongs to. `Review.follow` comes behind it, in the same transaction: the study is
built again, a site that was written into an ImagingStudy becomes a verdict, a Provenance says who
changed what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.errors import RequestError
from api.findings import Key, findings_of
from api.indexing import indexed
from api.records import MACHINE, PERSON, Resource, Stored
from api.resources import ANNOTATION, ResourceBuilder
from api.review.completing import completed
from api.review.provenance import provenance_of
from api.review.sites import SiteCheck
from api.review.statement import Statement, is_examined
from api.review.studies import changed_series, missing_series, verdict_on_series
from api.review.tasks import with_managed
from api.review.verdicts import POSITIVE
from api.security.actor import Actor
from api.store import Transaction
from terminology.library import Terminology

Json = dict[str, Any]
_REVIEWED: Final = frozenset({"Observation", "ImagingStudy", "Task"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A resource as it is to be stored, and the study that it belongs to, if any."""

    content: Json
    study_id: str | None = None


class Review:
    """Follows what persons write about the studies of the store.

    Parameters
    ----------
    builder
        Builds the resources of a study.
    terminology
        Returns the terminology in use.
    """

    def __init__(self, builder: ResourceBuilder, terminology: Callable[[], Terminology]) -> None:
        self._builder = builder
        self._graph = builder.graph
        self._check = SiteCheck(terminology)

    # -- ahead of a write ---------------------------------------------------------------------

    def prepare(
        self, tx: Transaction, kind: str, content: Json, before: Stored | None, who: Actor
    ) -> Prepared:
        """Return what is to be stored of `content`, a valid resource in R4.

        Parameters
        ----------
        before
            What is under its id, a deleted resource included.

        Raises
        ------
        RequestError
            422: no body structure, or a verdict that contradicts itself.
        """
        former = before if before is not None and not before.deleted else None
        if kind == "Observation":
            return self._observation(tx, content, former, who)
        if former is None:
            return Prepared(content)
        if kind == "ImagingStudy":
            self._check_study(tx, content, former)
            return Prepared(content)
        if kind == "Task" and tx.study_of("Task", former.id) is not None:
            return Prepared(_task(content, json.loads(former.body)))
        return Prepared(content)

    def _observation(
        self, tx: Transaction, content: Json, former: Stored | None, who: Actor
    ) -> Prepared:
        was = json.loads(former.body) if former is not None else None
        home = tx.study_of("Observation", former.id) if former is not None else None
        said = Statement.of(content)
        study = home or said.study
        if study is None or not tx.instances(study):
            return Prepared(content)
        if was is not None and home is not None:
            content = _bound(content, was)
        if not is_examined(content):
            if was is not None and is_examined(was):
                raise _refused("Observation.code", "it no longer says an examined site", "as it is")
            return Prepared(content, study)
        beside = self._answers(tx, study, said.series)
        if said.series is not None and beside is None:
            raise _refused(
                "Observation.extension", "the study has no such series", "a series of the study"
            )
        status = str(content.get("status"))
        if status in POSITIVE:
            for element in ("bodySite", "valueCodeableConcept"):
                if element in content:
                    self._check.site(content[element], f"Observation.{element}")
            if not {"bodySite", "valueCodeableConcept"} & content.keys():
                self._check.site({}, "Observation.bodySite")
            self._check.view(content, "Observation.component")
        machine = former is not None and former.origin == MACHINE
        others = beside or frozenset()
        return Prepared(
            completed(content, was, who, self._graph, others, by_machine=machine), study
        )

    def _answers(self, tx: Transaction, study: str, series: str | None) -> frozenset[Key] | None:
        """Return what the machine says of a series, `None` where it has no such series."""
        annotations = [
            annotation
            for body in tx.instances(study).values()
            if (annotation := ANNOTATION.validate_json(body)).instance is not None
            and annotation.instance.series_uid == series
        ]
        return frozenset(one.key for one in findings_of(annotations)) if annotations else None

    def _check_study(self, tx: Transaction, content: Json, former: Stored) -> None:
        if not tx.instances(former.id):
            return
        was = json.loads(former.body)
        gone = missing_series(content, was)
        if gone:
            raise _refused(
                "ImagingStudy.series",
                f"{len(gone)} of the series that the service has annotated are not in it",
                "every series that is there",
            )
        for place, one in changed_series(content, was):
            where = f"ImagingStudy.series[{place}].bodySite"
            self._check.site({"coding": [one["bodySite"]]} if "bodySite" in one else {}, where)

    # -- behind a write -----------------------------------------------------------------------

    def follow(self, tx: Transaction, before: Stored | None, after: Stored, who: Actor) -> None:
        """Rebuild the study that a write was about, and record who changed what.

        Raises
        ------
        RequestError
            409: one of the machine's own resources of a study cannot be deleted.
        """
        if after.type not in _REVIEWED:
            return
        former = before if before is not None and not before.deleted else None
        study = after.id if after.type == "ImagingStudy" else tx.study_of(after.type, after.id)
        if study is None or not tx.instances(study):
            return
        if after.type == "ImagingStudy":
            self._follow_study(tx, former, after, who)
            return
        if after.deleted and former is not None and former.origin == MACHINE:
            raise _kept(after.type)
        if after.type == "Observation":
            for provenance in provenance_of(former, after, who, self._graph):
                tx.put(provenance)
        whole = tx.read("ImagingStudy", study)
        if whole is None or not whole.deleted:
            self._rebuild(tx, study)

    def _follow_study(
        self, tx: Transaction, former: Stored | None, after: Stored, who: Actor
    ) -> None:
        if after.deleted:
            # What the machine has made of it goes with it.
            tx.rebuild_study(after.id, lambda _bodies, _verdicts: [])
            return
        if former is None:
            self._rebuild(tx, after.id)
            return
        content, was = json.loads(after.body), json.loads(former.body)
        for _, series in changed_series(content, was):
            verdict = verdict_on_series(content, series, who, self._graph)
            known = tx.read("Observation", verdict["id"])
            made = indexed("Observation", verdict, graph=self._graph, origin=PERSON)
            stored = tx.put(made, after.id)
            for provenance in provenance_of(known, stored, who, self._graph):
                tx.put(provenance)
        self._rebuild(tx, after.id)

    def _rebuild(self, tx: Transaction, study: str) -> None:
        def build(bodies: Sequence[str], verdicts: Sequence[Stored]) -> list[Resource]:
            annotations = [ANNOTATION.validate_json(body) for body in bodies]
            if annotations[0].instance is not None:
                return self._builder.study(annotations, verdicts)
            return self._builder.picture(annotations[0], _digest(tx, study), verdicts)

        tx.rebuild_study(study, build, revive=True)


def _digest(tx: Transaction, picture: str) -> str:
    """Return the digest of a picture: what its annotation is kept under."""
    return next(iter(tx.instances(picture)))


def _bound(content: Json, was: Mapping[str, Any]) -> Json:
    """Return an update of an Observation of ours with what it is about.

    An update that leaves out study or series is about the same ones; one that names others is none.
    """
    said, before = Statement.of(content), Statement.of(was)
    for name, now, then in (
        ("derivedFrom", said.study, before.study),
        ("extension", said.series, before.series),
    ):
        if now is not None and now != then:
            raise _refused(
                f"Observation.{name}", "it is about another study or series", "the same one"
            )
    found = dict(content)
    if said.study is None and "derivedFrom" in was:
        found["derivedFrom"] = was["derivedFrom"]
    if said.series is None and before.series is not None:
        found["extension"] = [*_series_extensions(was), *found.get("extension", ())]
    return found


def _series_extensions(was: Mapping[str, Any]) -> Iterator[Any]:
    for one in was.get("extension", ()):
        if Statement.of({"extension": [one]}).series is not None:
            yield one


def _task(content: Json, was: Mapping[str, Any]) -> Json:
    """Return a Task of ours as a person has changed it."""
    if content.get("status") == "completed" and "input" in was:
        raise _refused(
            "Task.status",
            "not every Observation of it has a verdict",
            "'completed' comes by itself with the last one; 'rejected' or 'cancelled' leaves it",
        )
    return with_managed(content, was)


def _refused(where: str, what: str, expected: str) -> RequestError:
    return RequestError(
        where, what, expected, "Correct the resource.", status=422, issue="business-rule"
    )


def _kept(kind: str) -> RequestError:
    other = "'entered-in-error'" if kind == "Observation" else "'cancelled'"
    return RequestError(
        kind,
        "the service has made it out of images, and would make it again",
        f"an update to the status {other}, or to delete the ImagingStudy",
        "Update it instead.",
        status=409,
        issue="business-rule",
    )
