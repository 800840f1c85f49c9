"""Elements that R4 and R5 have in different shapes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.errors import RequestError
from api.rendering import rendered, taken_in
from tests.api.rendering.test_round_trip import valid

KNEE = {"system": "http://snomed.info/sct", "code": "72696002", "display": "Knee"}
LEFT = {"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"}
DX = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"}
STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "subject": {"reference": "Patient/1"},
}
SERIES = {"uid": "1.2.3", "modality": DX}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "Site"}}
TASK = {"resourceType": "Task", "status": "requested", "intent": "order"}
EVENT: dict[str, Any] = {
    "resourceType": "AuditEvent",
    "type": {"system": "urn:t", "code": "rest"},
    "recorded": "2026-03-01T10:00:00Z",
    "agent": [{"requestor": True, "who": {"display": "A"}}],
    "source": {"observer": {"display": "B"}},
}
PROVENANCE = {
    "resourceType": "Provenance",
    "target": [{"reference": "Observation/1"}],
    "recorded": "2026-03-01T10:00:00Z",
    "agent": [{"who": {"display": "A"}}],
}
DEVICE = {"resourceType": "Device"}
STRUCTURE: dict[str, Any] = {"resourceType": "BodyStructure", "patient": {"reference": "Patient/1"}}


def concept(*codings: dict[str, str]) -> dict[str, Any]:
    return {"coding": list(codings)}


# R4, R5: both ways.
SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({**STUDY, "modality": [DX]}, {**STUDY, "modality": [concept(DX)]}),
    (
        {**STUDY, "series": [{**SERIES, "bodySite": KNEE, "laterality": LEFT}]},
        {
            **STUDY,
            "series": [
                {
                    "uid": "1.2.3",
                    "modality": concept(DX),
                    "bodySite": {"concept": concept(KNEE)},
                    "laterality": concept(LEFT),
                }
            ],
        },
    ),
    (
        {**STUDY, "procedureCode": [concept(KNEE)], "reasonReference": [{"reference": "C/1"}]},
        {
            **STUDY,
            "procedure": [{"concept": concept(KNEE)}],
            "reason": [{"reference": {"reference": "C/1"}}],
        },
    ),
    (
        {**STRUCTURE, "location": concept(KNEE), "locationQualifier": [concept(LEFT)]},
        {
            **STRUCTURE,
            "includedStructure": [{"structure": concept(KNEE), "laterality": concept(LEFT)}],
        },
    ),
    (
        {**DEVICE, "deviceName": [{"name": "N", "type": "user-friendly-name"}]},
        {**DEVICE, "name": [{"value": "N", "type": "user-friendly-name"}]},
    ),
    (
        {
            **DEVICE,
            "property": [{"type": concept(DX), "valueCode": [concept(KNEE), concept(LEFT)]}],
        },
        {
            **DEVICE,
            "property": [
                {"type": concept(DX), "valueCodeableConcept": concept(KNEE)},
                {"type": concept(DX), "valueCodeableConcept": concept(LEFT)},
            ],
        },
    ),
    ({**DEVICE, "type": concept(KNEE)}, {**DEVICE, "type": [concept(KNEE)]}),
    (
        {**PROVENANCE, "reason": [concept(KNEE)]},
        {**PROVENANCE, "authorization": [{"concept": concept(KNEE)}]},
    ),
    (
        {**TASK, "reasonCode": concept(KNEE), "statusReason": concept(LEFT)},
        {
            **TASK,
            "reason": [{"concept": concept(KNEE)}],
            "statusReason": {"concept": concept(LEFT)},
        },
    ),
    (
        {**EVENT, "subtype": [{"code": "read"}], "outcome": "8", "outcomeDesc": "No."},
        {
            **{key: value for key, value in EVENT.items() if key != "type"},
            "category": [concept(EVENT["type"])],
            "code": concept({"code": "read"}),
            "outcome": {
                "code": {"system": "http://hl7.org/fhir/issue-severity", "code": "error"},
                "detail": [{"text": "No."}],
            },
        },
    ),
    (
        {
            "resourceType": "Practitioner",
            "communication": [{"text": "German"}],
        },
        {"resourceType": "Practitioner", "communication": [{"language": {"text": "German"}}]},
    ),
]


@pytest.mark.parametrize(("r4", "r5"), SAME, ids=[str(place) for place in range(len(SAME))])
def test_what_both_releases_have_needs_no_extension(r4: dict[str, Any], r5: dict[str, Any]) -> None:
    assert valid(rendered(r4, "R5"), "R5") == r5
    assert valid(taken_in(r5, r5["resourceType"], "R5"), "R4") == r4


_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
_R4 = "http://hl7.org/fhir/4.0/StructureDefinition/extension-"
# R5, the extension of R4 that keeps what R4 has no element for.
ONLY_R5: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {**STUDY, "partOf": [{"reference": "Procedure/1"}]},
        {
            "url": f"{_R5}ImagingStudy.partOf",
            "valueReference": {"reference": "Procedure/1"},
        },
    ),
    (
        {**OBSERVATION, "bodyStructure": {"reference": "BodyStructure/1"}},
        {
            "url": f"{_R5}Observation.bodyStructure",
            "valueReference": {"reference": "BodyStructure/1"},
        },
    ),
    (
        {**OBSERVATION, "instantiatesCanonical": "http://example.org/d"},
        {"url": f"{_R5}Observation.instantiates", "valueCanonical": "http://example.org/d"},
    ),
    (
        {
            **OBSERVATION,
            "triggeredBy": [{"observation": {"reference": "Observation/2"}, "type": "repeat"}],
        },
        {
            "url": f"{_R5}Observation.triggeredBy",
            "extension": [
                {"url": "observation", "valueReference": {"reference": "Observation/2"}},
                {"url": "type", "valueCode": "repeat"},
            ],
        },
    ),
    (
        {**PROVENANCE, "patient": {"reference": "Patient/1"}},
        {"url": f"{_R5}Provenance.patient", "valueReference": {"reference": "Patient/1"}},
    ),
    (
        {
            **{key: value for key, value in EVENT.items() if key != "type"},
            "category": [concept(EVENT["type"])],
            "code": concept(EVENT["type"]),
            "severity": "error",
        },
        {"url": f"{_R5}AuditEvent.severity", "valueCode": "error"},
    ),
]


@pytest.mark.parametrize(
    ("r5", "kept"), ONLY_R5, ids=[kept["url"].rpartition("-")[2] for _, kept in ONLY_R5]
)
def test_what_only_r5_has_is_kept_in_an_extension(r5: dict[str, Any], kept: dict[str, Any]) -> None:
    stored = valid(taken_in(r5, r5["resourceType"], "R5"), "R4")
    assert stored["extension"] == [kept]
    assert rendered(stored, "R5") == r5


def test_what_only_r4_has_is_kept_in_an_extension() -> None:
    stored = {**STUDY, "interpreter": [{"reference": "Practitioner/1"}]}
    shown = valid(rendered(stored, "R5"), "R5")
    assert shown["extension"] == [
        {
            "url": f"{_R4}ImagingStudy.interpreter",
            "valueReference": {"reference": "Practitioner/1"},
        }
    ]
    assert taken_in(shown, "ImagingStudy", "R5") == stored


def test_an_element_that_changes_the_meaning_is_a_modifier_in_r4_too() -> None:
    asked = {**TASK, "doNotPerform": True}
    stored = valid(taken_in(asked, "Task", "R5"), "R4")
    assert stored["modifierExtension"][0]["valueBoolean"] is True
    assert "extension" not in stored
    assert rendered(stored, "R5") == asked


def test_what_an_extension_keeps_gives_way_to_the_element_beside_it() -> None:
    whole = concept(KNEE, {"system": "urn:other", "code": "K"})
    asked = {
        **STUDY,
        "series": [{**SERIES, "modality": concept(DX), "bodySite": {"concept": whole}}],
    }
    stored = taken_in(asked, "ImagingStudy", "R5")
    assert stored["series"][0]["bodySite"] == KNEE
    assert rendered(stored, "R5") == asked
    changed = copy.deepcopy(stored)
    changed["series"][0]["bodySite"] = LEFT
    assert rendered(changed, "R5")["series"][0]["bodySite"] == {"concept": concept(LEFT)}


def test_a_site_with_a_reference_shows_both_in_r5() -> None:
    site = {"concept": concept(KNEE), "reference": {"reference": "BodyStructure/1"}}
    asked = {**STUDY, "series": [{**SERIES, "modality": concept(DX), "bodySite": site}]}
    stored = valid(taken_in(asked, "ImagingStudy", "R5"), "R4")
    assert stored["series"][0]["bodySite"] == KNEE
    assert rendered(stored, "R5") == asked


# What is no resource of R5 reaches the check of R4 as it was, which then refuses it.
MALFORMED: list[dict[str, Any]] = [
    {**STUDY, "modality": "DX"},
    {**STUDY, "modality": [{"coding": "DX"}]},
    {**STUDY, "modality": [["DX"]]},
    {**STUDY, "series": "none"},
    {**STUDY, "series": [{"bodySite": {"concept": [KNEE]}}]},
    {**STUDY, "series": [7, None]},
    {**STUDY, "extension": "x"},
    {**STUDY, "extension": [None, {"url": 7}, {"url": f"{_R4}ImagingStudy.interpreter"}]},
    {**STUDY, "extension": [{"url": f"{_R4}ImagingStudy.interpreter", "extension": [3]}]},
    {
        **STUDY,
        "extension": [{"url": "u", "extension": [{"url": "_datatype", "valueString": "Timing"}]}],
    },
    {**STUDY, "_status": 7, "_modality": "x"},
    {**STUDY, "contained": [3, {"resourceType": 4}]},
    {**STUDY, "meta": {"profile": "p"}},
    {**STUDY, "meta": 7},
]


@pytest.mark.parametrize("content", MALFORMED, ids=str)
def test_what_is_malformed_breaks_nothing(content: dict[str, Any]) -> None:
    taken_in(content, "ImagingStudy", "R5")
    rendered(content, "R5")


def test_endless_nesting_is_refused() -> None:
    deep: dict[str, Any] = {"url": "u"}
    for _ in range(5000):
        deep = {"url": "u", "extension": [deep]}
    with pytest.raises(RequestError, match="nested too deeply"):
        taken_in({**STUDY, "extension": [deep]}, "ImagingStudy", "R5")


def test_profiles_of_ours_are_claimed_by_their_release() -> None:
    ours = "https://w3id.org/bodysite/StructureDefinition/imaging-study"
    mii = "https://www.medizininformatik-initiative.de/fhir/ext/modul-bildgebung/S/x"
    stored = {**STUDY, "meta": {"profile": [ours, mii], "versionId": "3"}}
    shown = rendered(stored, "R5")
    assert shown["meta"]["profile"] == [f"{ours}-r5"]
    assert shown["meta"]["versionId"] == "3"
    assert taken_in(shown, "ImagingStudy", "R5") == stored
