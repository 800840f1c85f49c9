"""Annotations of instances → the resources of their study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.phi import PhiPolicy
from api.resources import ANNOTATION, ResourceBuilder
from classifier.fusion import fuse
from classifier.prediction import Prediction
from terminology.annotation import (
    BodySiteAnnotation,
    Evidence,
    ExaminedSite,
    Instance,
    Site,
    Source,
)
from terminology.concept import Laterality, View
from terminology.library import Terminology
from tests.api.checks import checked

HAND = Site("85562004", "Hand", confidence=0.9)
FOOT = Site("56459004", "Foot", confidence=0.8)


def annotation(number: int, *sites: Site, **fields: Any) -> BodySiteAnnotation:
    instance = Instance("1.2", "1.2.3", f"1.2.3.{number}", modality="DX", instance_number=number)
    instance = replace(instance, **fields.pop("instance", {}))
    examined = tuple(ExaminedSite(site, Source.HEADER) for site in sites)
    return BodySiteAnnotation(
        instance,
        modality="DX",
        examined=examined,
        evidence=(Evidence("BodyPartExamined", ("HAND",), ("t.tsv:7",)),),
        **fields,
    )


@pytest.fixture
def builder(terminology: Terminology) -> ResourceBuilder:
    return ResourceBuilder(terminology.graph, PhiPolicy.HASH)


def series(builder: ResourceBuilder, *annotations: BodySiteAnnotation) -> dict[str, Any]:
    study = builder.study(annotations)[0]
    checked(dict(study.content))
    (only,) = study.content["series"]
    return only


VOTES = [
    ([[HAND], [HAND], [FOOT]], "85562004", "the majority"),
    ([[FOOT], [HAND]], "85562004", "a tie goes to the more certain"),
    ([[FOOT, HAND], [FOOT, HAND], [HAND]], "56459004", "only first sites vote"),
    ([[replace(FOOT, confidence=None)], [HAND]], "85562004", "no confidence is the least"),
    ([[], [], [FOOT]], "56459004", "instances that know nothing do not vote"),
]


@pytest.mark.parametrize(("sites", "winner", "why"), VOTES, ids=[row[2] for row in VOTES])
def test_the_series_site_is_voted(
    builder: ResourceBuilder, sites: list[list[Site]], winner: str, why: str
) -> None:
    annotations = [annotation(number, *one) for number, one in enumerate(sites)]
    assert series(builder, *annotations)["bodySite"]["code"] == winner, why
    assert series(builder, *reversed(annotations))["bodySite"]["code"] == winner


def test_sides_are_kept_apart(builder: ResourceBuilder) -> None:
    left = replace(HAND, laterality=Laterality.LEFT)
    right = replace(HAND, laterality=Laterality.RIGHT)
    built = builder.study([annotation(1, left), annotation(2, right), annotation(3, right)])
    observations = [dict(one.content) for one in built if one.type == "Observation"]
    sided = [one["bodySite"]["coding"][1]["code"] for one in observations]
    # 85151006 |Left hand|, 78791008 |Right hand|.
    assert sorted(sided) == ["78791008", "85151006"]
    assert built[0].content["series"][0]["laterality"]["code"] == "24028007"
    # The study is found by both sides, though its series has room for one.
    codes = {token.code for token in built[0].tokens if token.param == "bodysite"}
    assert codes == {"85562004", "78791008", "85151006"}


def test_the_same_annotations_give_the_same_resources(builder: ResourceBuilder) -> None:
    annotations = [annotation(number, HAND) for number in range(5)]
    once, again = (builder.study(one) for one in (annotations, annotations[::-1]))
    assert [one for one in once if one.type != "Provenance"] == [
        one for one in again if one.type != "Provenance"
    ]


ODD: list[dict[str, Any]] = [
    {"started": "2026-02-31"},
    {"started": "2026-03-01T10:00:00-94:00"},
    {"started": "yesterday"},
    {"modality": "ct scan!"},
    {"modality": None},
    {"sop_class_uid": "not a UID"},
    {"series_number": -1, "instance_number": -7},
    {"patient_id": "  \x00 "},
    {"patient_id": "P\x071", "accession_number": "\x1f"},
    {"series_uid": "1" * 64},
]


@pytest.mark.parametrize("fields", ODD, ids=[str(row) for row in ODD])
def test_odd_values_never_break_a_resource(
    builder: ResourceBuilder, fields: dict[str, Any]
) -> None:
    odd = annotation(1, HAND, instance=fields)
    odd = replace(odd, modality=fields.get("modality", "DX"))
    for resource in builder.study([odd]):
        checked(dict(resource.content))


def test_an_annotation_survives_storage() -> None:
    view = View("272479007", "Posteroanterior projection", "PA")
    whole = annotation(1, replace(HAND, laterality=Laterality.LEFT), view=view)
    assert ANNOTATION.validate_json(ANNOTATION.dump_json(whole)) == whole


class _Model:
    name = "Test net"
    version = "7"

    def predict(self, source: bytes) -> Prediction:
        return Prediction("Test net 7", examined=(FOOT,))


def test_a_model_is_a_device_of_its_own(terminology: Terminology) -> None:
    model = _Model()
    seen = fuse(annotation(1).instance, None, model.predict(b""), terminology.graph)
    built = ResourceBuilder(terminology.graph, PhiPolicy.HASH, model).study([seen])
    devices = {
        one.content["deviceName"][0]["name"]: one.id for one in built if one.type == "Device"
    }
    (observation,) = (one for one in built if one.type == "Observation")
    assert observation.content["device"]["reference"] == f"Device/{devices['Test net']}"
    for resource in built:
        checked(dict(resource.content))
