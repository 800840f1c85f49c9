"""Annotations of instances → the resources of their study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.phi import PhiPolicy
from api.profiles import profiles
from api.rendering import rendered
from api.resources import ANNOTATION, ResourceBuilder
from classifier.fusion import fuse
from classifier.prediction import Prediction
from terminology.annotation import (
    Answers,
    BodySiteAnnotation,
    Evidence,
    ExaminedSite,
    Instance,
    Relation,
    RouterGroup,
    Site,
    Source,
)
from terminology.concept import Laterality, View
from terminology.library import Terminology
from tests.api.checks import checked

HAND = Site("85562004", "Hand", confidence=0.9)
FOOT = Site("56459004", "Foot", confidence=0.8)
LIMB = Site("53120007", "Upper limb", confidence=0.95)


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


def seen(number: int, **posterior: float) -> BodySiteAnnotation:
    """An instance that a model saw: the first site is its answer."""
    sites = {"hand": HAND, "foot": FOOT, "limb": LIMB}
    offered = [replace(sites[name], confidence=sure) for name, sure in posterior.items()]
    return replace(
        annotation(number),
        examined=(ExaminedSite(offered[0], Source.FUSED),),
        evidence=(Evidence("Test net 7"),),
        answers=Answers(bayes=tuple(offered)),
    )


# Instances' probabilities, the site of the series, why.
PRODUCTS = [
    ([{"hand": 0.6, "foot": 0.4}] * 2 + [{"foot": 0.99, "hand": 0.01}], "56459004", "surer"),
    ([{"hand": 0.6, "foot": 0.4}] * 2 + [{"foot": 1.0}], "56459004", "a floor is no veto"),
    ([{"hand": 0.9, "foot": 0.1}] * 5 + [{"foot": 1.0}], "85562004", "nor is certainty"),
    ([{"limb": 0.97, "hand": 0.8}, {"hand": 0.96, "limb": 0.02}], "85562004", "the part"),
]


@pytest.mark.parametrize(("instances", "winner", "why"), PRODUCTS, ids=[row[2] for row in PRODUCTS])
def test_instances_that_a_model_saw_are_witnesses_of_one_answer(
    builder: ResourceBuilder, instances: list[dict[str, float]], winner: str, why: str
) -> None:
    annotations = [seen(number, **one) for number, one in enumerate(instances)]
    assert series(builder, *annotations)["bodySite"]["code"] == winner, why


def test_where_a_model_did_not_see_all_the_majority_decides(builder: ResourceBuilder) -> None:
    sure = seen(1, foot=1.0)
    assert series(builder, sure, annotation(2, HAND), annotation(3, HAND))["bodySite"]["code"] == (
        HAND.code
    )


def test_a_series_shows_what_any_instance_shows_as_surely_as_that_one(
    builder: ResourceBuilder,
) -> None:
    def showing(number: int, *sites: Site) -> BodySiteAnnotation:
        return replace(seen(number, hand=0.9), visible=sites)

    built = builder.study(
        [
            showing(1, replace(HAND, confidence=0.6)),
            showing(2, replace(HAND, confidence=0.9), replace(FOOT, confidence=0.7)),
            showing(3),
        ]
    )
    (visible,) = (
        dict(one.content)
        for one in built
        if one.type == "Observation" and "bodySite" not in one.content
    )
    checked(visible)
    shown = [
        (one["code"]["coding"][0]["code"], one["valueQuantity"]["value"])
        for one in visible["component"]
    ]
    assert shown == [("85562004", 90.0), ("56459004", 70.0)]


def test_the_sites_of_a_study_are_those_of_its_series_without_what_contains_them(
    builder: ResourceBuilder,
) -> None:
    def of(uid: str, *sites: Site) -> BodySiteAnnotation:
        return annotation(1, *sites, instance={"series_uid": uid, "sop_instance_uid": uid})

    study = builder.study([of("1.1", HAND), of("1.2", LIMB), of("1.3", FOOT), of("1.4")])[0]
    sites = [one["valueCodeableConcept"]["coding"][0]["code"] for one in study.content["extension"]]
    assert sites == ["56459004", "85562004"]


def test_the_modality_of_a_series_is_that_of_most_instances(builder: ResourceBuilder) -> None:
    annotations = [
        replace(annotation(number, HAND), modality=code)
        for number, code in enumerate(("CR", "DX", "DX", "no modality!"))
    ]
    assert series(builder, *annotations)["modality"]["code"] == "DX"


def test_review_codes_and_answers_are_components(builder: ResourceBuilder) -> None:
    whole = replace(
        seen(1, foot=0.8),
        review=("conflict", "view-conflict"),
        relation=Relation.CONFLICT,
        conflicts=("BodyPartExamined says HAND, ProtocolName FOOT",),
        router_group=RouterGroup.OTHER,
        answers=Answers(header=(HAND,), image=(FOOT,), union=(FOOT, HAND), bayes=(FOOT,)),
    )
    (observation,) = (
        dict(one.content) for one in builder.study([whole]) if one.type == "Observation"
    )
    checked(observation)
    assert observation["status"] == "preliminary"
    assert observation["interpretation"][0]["coding"][0]["code"] == "review-needed"
    said = [
        (one["code"]["coding"][0]["code"], one["valueCodeableConcept"]["coding"][0]["code"])
        for one in observation["component"]
        if "valueCodeableConcept" in one
    ]
    assert said == [
        ("router-group", "other"),
        ("relation", "CONFLICT"),
        ("answer-header", "85562004"),
        ("answer-image", "56459004"),
        ("answer-union", "56459004"),
        ("answer-union", "85562004"),
        ("answer-bayes", "56459004"),
        ("review", "conflict"),
        ("review", "view-conflict"),
    ]
    assert {"text": whole.conflicts[0]} in observation["note"]


def test_what_another_model_said_stays_its_own(terminology: Terminology) -> None:
    built = ResourceBuilder(terminology.graph, PhiPolicy.HASH, _Model()).study(
        [
            seen(1, hand=0.9),
            replace(seen(2, foot=0.9), evidence=(Evidence("Old net 1"),)),
        ]
    )
    names = {one.id: one.content["deviceName"][0]["name"] for one in built if one.type == "Device"}
    assert set(names.values()) == {"Bodysite header reader", "Test net", "Old net 1"}
    said = {
        one.content["bodySite"]["coding"][0]["code"]: names[
            one.content["device"]["reference"].removeprefix("Device/")
        ]
        for one in built
        if one.type == "Observation"
    }
    assert said == {"85562004": "Test net", "56459004": "Old net 1"}


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


def test_sites_are_body_structures_that_observations_and_series_refer_to(
    builder: ResourceBuilder,
) -> None:
    left = replace(HAND, laterality=Laterality.LEFT)
    built = builder.study([annotation(1, left), annotation(2, left), annotation(3, FOOT)])
    structures = {one.id: dict(one.content) for one in built if one.type == "BodyStructure"}
    said = sorted(
        (one["location"]["coding"][0]["code"], len(one.get("locationQualifier", ())))
        for one in structures.values()
    )
    assert said == [("56459004", 0), ("85562004", 1)]
    for one in built:
        if one.type == "Observation":
            (extension,) = one.content["bodySite"]["extension"]
            named = extension["valueReference"]["reference"].removeprefix("BodyStructure/")
            location = structures[named]["location"]["coding"][0]
            assert location == one.content["bodySite"]["coding"][0]
    # 85151006 |Left hand| finds the structure of a hand with the side as its qualifier.
    tokens = {token.code for one in built if one.type == "BodyStructure" for token in one.tokens}
    assert "85151006" in tokens
    shown = rendered(dict(built[0].content), "R5")["series"][0]["bodySite"]
    codes = [one["code"] for one in shown["concept"]["coding"]]
    assert codes == ["85562004", "85151006"]
    assert shown["reference"]["reference"].removeprefix("BodyStructure/") in structures


def test_resources_claim_our_profiles_and_no_others(builder: ResourceBuilder) -> None:
    built = builder.study([replace(seen(1, hand=0.9), visible=(HAND,))])
    claimed = {one.type: one.content["meta"]["profile"] for one in built if "meta" in one.content}
    assert set(claimed) == {"ImagingStudy", "Observation"}
    urls = {url for profiles in claimed.values() for url in profiles}
    assert urls <= {one["url"] for one in profiles("R4")}


def test_under_mii_an_unknown_modality_is_other(terminology: Terminology) -> None:
    builder = ResourceBuilder(terminology.graph, PhiPolicy.HASH, profiles=frozenset({"mii"}))
    odd = replace(annotation(1, HAND), modality="XRAY")
    assert series(builder, odd)["modality"]["code"] == "OT"


def test_a_stored_patient_with_the_identifier_is_referred_to(terminology: Terminology) -> None:
    asked: list[tuple[str | None, str]] = []

    def patients(system: str | None, value: str) -> str | None:
        asked.append((system, value))
        return "p1" if value == "4711" else None

    builder = ResourceBuilder(terminology.graph, PhiPolicy.KEEP, patients=patients)
    for value, reference in (("4711", "Patient/p1"), ("4712", None)):
        study = builder.study([annotation(1, HAND, instance={"patient_id": value})])[0]
        assert study.content["subject"].get("reference") == reference
        assert study.content["subject"]["identifier"] == {"value": value}
    assert asked == [(None, "4711"), (None, "4712")]


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
