"""A store of studies, and a person who writes into it, without HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from api.indexing import indexed
from api.phi import PhiPolicy
from api.records import Criterion, Query, Resource, Stored
from api.resources import ANNOTATION, ResourceBuilder, study_id
from api.review.tasks import task_id
from api.review.writes import Review
from api.security.actor import Actor
from api.store import SqlStore
from terminology.annotation import (
    BodySiteAnnotation,
    ExaminedSite,
    Instance,
    Site,
    Source,
)
from terminology.concept import SNOMED, Laterality, View
from terminology.library import Terminology

STUDY = "1.2.3"
SERIES = "1.2.3.1"
OTHER_SERIES = "1.2.3.2"
KNEE, FOOT, HAND, CHEST = "72696002", "56459004", "85562004", "816094009"
LEFT = Laterality.LEFT
REVIEWER = Actor("reviewer", "static", ("*",), {"display": "Dr. Reader"})


def image(
    number: int,
    site: str | None,
    side: Laterality | None = None,
    *,
    series: str = SERIES,
    review: tuple[str, ...] = ("low-confidence",),
    view: View | None = None,
) -> BodySiteAnnotation:
    """What the machine says of an image."""
    names = {KNEE: "Knee", FOOT: "Foot", HAND: "Hand", CHEST: "Chest"}
    examined = ()
    if site is not None:
        examined = (ExaminedSite(Site(site, names[site], side, 0.5), Source.HEADER),)
    instance = Instance(STUDY, series, f"{series}.{number}", modality="DX")
    return BodySiteAnnotation(instance, "DX", examined, review=review, view=view)


def coded(code: str, display: str = "a site") -> dict[str, Any]:
    return {"coding": [{"system": SNOMED, "code": code, "display": display}]}


@dataclass
class Desk:
    """What the machine and a person do with one study."""

    store: SqlStore
    builder: ResourceBuilder
    review: Review

    @classmethod
    def over(cls, store: SqlStore, terminology: Terminology) -> Desk:
        builder = ResourceBuilder(terminology.graph, PhiPolicy.HASH)
        return cls(store, builder, Review(builder, lambda: terminology))

    def annotate(self, *annotations: BodySiteAnnotation) -> list[Stored]:
        def build(bodies: Any, verdicts: Any) -> list[Resource]:
            known = [ANNOTATION.validate_json(body) for body in bodies]
            return self.builder.study(known, verdicts)

        bodies = {
            one.instance.sop_instance_uid: ANNOTATION.dump_json(one).decode()
            for one in annotations
            if one.instance
        }
        return self.store.update_study(study_id(STUDY), bodies, build)

    def write(self, content: dict[str, Any]) -> dict[str, Any]:
        kind, name = content["resourceType"], content.get("id", "new")

        def work(tx: Any) -> Stored:
            before = tx.read(kind, name)
            made = self.review.prepare(tx, kind, {**content, "id": name}, before, REVIEWER)
            resource = indexed(kind, made.content, graph=self.builder.graph, origin="person")
            after = tx.put(resource, made.study_id)
            self.review.follow(tx, before, after, REVIEWER)
            found: Stored = tx.read(kind, name)
            return found

        return json.loads(self.store.run(work).body)

    def delete(self, kind: str, name: str) -> None:
        def work(tx: Any) -> None:
            before = tx.read(kind, name)
            after = tx.delete(kind, name)
            self.review.follow(tx, before, after, REVIEWER)

        self.store.run(work)

    def change(self, content: dict[str, Any], **elements: Any) -> dict[str, Any]:
        return self.write({**content, **elements})

    def read(self, kind: str, name: str) -> dict[str, Any] | None:
        found = self.store.read(kind, name)
        return None if found is None or found.deleted else json.loads(found.body)

    @property
    def study(self) -> dict[str, Any]:
        found = self.read("ImagingStudy", study_id(STUDY))
        assert found is not None
        return found

    @property
    def task(self) -> dict[str, Any] | None:
        return self.read("Task", task_id(study_id(STUDY)))

    def sites(self) -> list[tuple[str | None, str | None]]:
        """Site and side of each series."""
        return [
            (one.get("bodySite", {}).get("code"), one.get("laterality", {}).get("display"))
            for one in self.study["series"]
        ]

    def found_by(self) -> set[str]:
        """The codes that a search finds the study by."""
        in_use = self.store.codes_in_use("ImagingStudy", "bodysite", SNOMED)
        return {
            code
            for code, key in in_use.items()
            if self.store.search(Query("ImagingStudy", (Criterion((key,)),)), 1).matches
        }

    def observations(self) -> dict[str, dict[str, Any]]:
        """The Observations of the study by the code of their site."""
        found = [json.loads(o.body) for o in self.store.search(Query("Observation"), 50).matches]
        return {one["bodySite"]["coding"][0]["code"]: one for one in found}
