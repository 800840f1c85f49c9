"""Verdicts as rows to learn from: what a person said of an image, beside machine and header.

One row is one image. The rows are a manifest, as `classifier.data.manifest` reads it, with the
person's site, side and view for labels; and a table of agreement for `bodysite reliability learn`
in its columns `header` and `verdict`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from api.findings import Key, findings_of
from api.phi import PhiGuard, PhiPolicy
from api.records import PERSON, Criterion, Query, Stored
from api.resources import ANNOTATION
from api.review.statement import site_of
from api.review.verdicts import NEGATIVE, POSITIVE, Verdict, Verdicts
from api.series import observation_id
from api.store import ResourceStore
from classifier.fusion.reliability import MISSING, UNMAPPED
from terminology.annotation import BodySiteAnnotation, Instance, Site
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

COLUMNS: Final = (
    "path", "source", "group", "modality", "sct", "examined", "laterality", "view",
    "decision", "old_sct", "old_examined", "old_laterality", "old_view", "header", "verdict",
    "study_uid", "series_uid", "sop_instance_uid", "sha256", "by", "at", "observation",
)  # fmt: skip
_PAGE: Final = 500
_STATUS: Final = "http://hl7.org/fhir/observation-status"
_SIDES: Final = {Laterality.LEFT: "L", Laterality.RIGHT: "R", Laterality.BILATERAL: "B"}
# In hexadecimal: so much of the pseudonym of a person tells the persons of a site apart.
_SHOWN: Final = 16
# Where an image is if nobody says: named by what it is known by, beside the table.
_SUFFIX: Final = ".dcm"
_BLOCK: Final = 1 << 20

Row = dict[str, str]


class Corrections:
    """Reads the verdicts of a store.

    Parameters
    ----------
    guard
        The PHI policy of the store: by ``hash``, who said it is a pseudonym; by ``drop``, nobody.
    """

    def __init__(self, store: ResourceStore, graph: BodyStructureGraph, guard: PhiGuard) -> None:
        self._store = store
        self._graph = graph
        self._guard = guard

    def rows(self) -> Iterator[Row]:
        """Yield a row an image that a verdict is about, study by study."""
        for study_id, observations in self._by_study().items():

            def read(tx: Any, study: str = study_id) -> dict[str, str]:
                found: dict[str, str] = tx.instances(study)
                return found

            yield from self._of_study(study_id, self._store.run(read), observations)

    def _by_study(self) -> dict[str, list[Stored]]:
        found: dict[str, list[Stored]] = defaultdict(list)
        for one in self._observations():
            study = self._store.run(lambda tx, of=one: tx.study_of(of.type, of.id))  # type: ignore[misc]
            if study is not None:
                found[study].append(one)
        return found

    def _observations(self) -> Iterator[Stored]:
        keys = [
            key
            for status in sorted(POSITIVE | NEGATIVE)
            for key in self._store.find_values("Observation", "status", system=None, code=status)
        ]
        if not keys:
            return
        query = Query("Observation", (Criterion(tuple(keys)),))
        after = None
        while True:
            page = self._store.search(query, _PAGE, after=after)
            yield from (one for one in page.matches if one.origin == PERSON)
            if not page.has_next:
                return
            after = page.matches[-1].rid

    def _of_study(
        self, study: str, bodies: Mapping[str, str], owned: Sequence[Stored]
    ) -> Iterator[Row]:
        verdicts = Verdicts(owned, self._graph)
        series: dict[str | None, list[tuple[str, BodySiteAnnotation]]] = defaultdict(list)
        for uid, body in bodies.items():
            annotation = ANNOTATION.validate_json(body)
            instance = annotation.instance
            series[instance.series_uid if instance else None].append((uid, annotation))
        by = {one.id: self._person(json.loads(one.body)) for one in owned}
        for name, members in series.items():
            annotations = [annotation for _, annotation in members]
            findings = findings_of(annotations)
            part, of = (study, name) if name else ("picture", members[0][0])

            def id_of(finding: Any, part: str = part, of: str = of or "") -> str:
                return observation_id(part, of, finding)

            judged = verdicts.on_series(name, annotations, findings, id_of)
            standing = {one.key for one in judged.standing}
            said = {id(led): one.key for one in findings for led in one.led_by}
            for uid, annotation in members:
                answer = said.get(id(annotation))
                verdict = None if answer in standing else verdicts.about(name, answer)
                if verdict is not None:
                    yield self._row(uid, annotation, answer, verdict, by[verdict.observation])

    def _row(
        self,
        uid: str,
        annotation: BodySiteAnnotation,
        answer: Key | None,
        verdict: Verdict,
        by: str,
    ) -> Row:
        instance = annotation.instance
        site = verdict.site if verdict.positive else None
        row = dict.fromkeys(COLUMNS, "")
        row.update(
            path=uid + _SUFFIX if instance else uid,
            source="review",
            group=(instance.patient_id or instance.study_uid) if instance else uid,
            modality=annotation.modality or "",
            view=_view_code(verdict.view) if verdict.positive else "",
            decision=_decision(answer, verdict),
            old_view=annotation.view.code if annotation.view else "",
            header=_header(annotation),
            by=by,
            at=verdict.at.isoformat(timespec="seconds"),
            observation=verdict.observation,
        )
        row.update(self._cells("", site))
        row.update(self._cells("old_", answer))
        row["verdict"] = row["sct"]
        if instance is None:
            return {**row, "sha256": uid}
        return {
            **row,
            "study_uid": instance.study_uid,
            "series_uid": instance.series_uid,
            "sop_instance_uid": uid,
        }

    def _cells(self, prefix: str, key: Key | None) -> Row:
        if key is None:
            return {}
        return {
            f"{prefix}sct": key[0],
            f"{prefix}examined": site_of(key, self._graph).display,
            f"{prefix}laterality": _SIDES[key[1]] if key[1] else "",
        }

    def _person(self, observation: Mapping[str, Any]) -> str:
        """Return who said it, as the policy lets it out."""
        performers = observation.get("performer") or [{}]
        who = performers[0]
        name = str(
            who.get("reference")
            or who.get("identifier", {}).get("value")
            or who.get("display")
            or ""
        )
        if not name or self._guard.policy is PhiPolicy.DROP:
            return ""
        if self._guard.policy is PhiPolicy.KEEP:
            return name
        secret = f"reviewer\0{name}".encode()
        return hmac.new(self._guard.salt, secret, hashlib.sha256).hexdigest()[:_SHOWN]


def with_paths(rows: Iterable[Row], images: Path, beside: Path, guard: PhiGuard) -> Iterator[Row]:
    """Yield `rows` with the paths of the files below `images`, relative to the folder `beside`.

    A file is known by its SOP Instance UID as the policy lets it out, a picture by its digest. An
    image that is not there keeps the name that it would have beside the table.
    """
    known = {
        key: os.path.relpath(path, beside)
        for path in sorted(images.rglob("*"))
        if path.is_file()
        for key in _names(path, guard)
    }
    for row in rows:
        path = known.get(row["sop_instance_uid"] or row["sha256"])
        yield {**row, "path": path} if path is not None else row


def _names(path: Path, guard: PhiGuard) -> Iterator[str]:
    """Yield what a file is known by in the store."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            # What is odd about a header is not of interest here.
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        uid = str(dataset.get("SOPInstanceUID", ""))
    except (InvalidDicomError, OSError, ValueError, KeyError, EOFError, AttributeError):
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        yield guard.picture(digest.hexdigest())
        return
    annotation = guard.protect(BodySiteAnnotation(Instance("", "", uid)))
    if annotation.instance is not None:
        yield annotation.instance.sop_instance_uid


def _header(annotation: BodySiteAnnotation) -> str:
    """Return what the header alone says: a code, or in which way it says nothing."""
    site: Site | None
    if annotation.answers is not None:
        site = next(iter(annotation.answers.header), None)
    else:
        site = next((one for said in annotation.header for one in said.sites), None)
    if site is not None:
        return site.code
    said = any(statement.value.strip() for statement in annotation.header)
    return UNMAPPED if said else MISSING


def _decision(answer: Key | None, verdict: Verdict) -> str:
    if not verdict.positive:
        return "rejected"
    return "confirmed" if verdict.site == answer else "corrected"


def _view_code(view: Mapping[str, Any] | None) -> str:
    codings = (view or {}).get("coding") or [{}]
    return str(codings[0].get("code", ""))
