"""Our StructureDefinitions: whole, true to their release, and followed by their examples."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class

from api.errors import RequestError
from api.profiles import chosen, examples, profiles
from api.review import verdicts
from api.settings import Settings
from terminology.concept import SNOMED
from terminology.library import Terminology
from tests.api.client import Client
from tests.api.rendering.profiles import Checker

_CLASSES = {"R4": r4_class, "R5": r5_class}
RELEASES = ("R4", "R5")


@pytest.fixture
def member(terminology: Terminology) -> Any:
    def of(url: str, system: str, code: str) -> bool | None:
        if url == "http://snomed.info/sct?fhir_vs=isa/123037004":
            return system == SNOMED and code in terminology.graph
        return None

    return of


@pytest.mark.parametrize("release", RELEASES)
def test_definitions_are_resources_of_their_release(release: str) -> None:
    for one in profiles(release):
        _CLASSES[release]("StructureDefinition").model_validate(copy.deepcopy(one))
        assert one["fhirVersion"] == {"R4": "4.0.1", "R5": "5.0.0"}[release]
        assert one["id"] == one["url"].rpartition("/")[2]
    urls = [one["url"] for one in profiles(release)]
    assert len(urls) == len(set(urls))


@pytest.mark.parametrize("release", RELEASES)
def test_a_snapshot_has_every_element_of_the_differential(release: str) -> None:
    for one in profiles(release):
        found = {element["id"]: element for element in one["snapshot"]["element"]}
        assert len(found) == len(one["snapshot"]["element"])
        for element in one["differential"]["element"]:
            whole = found[element["id"]]
            assert element.items() <= whole.items()
        for element in found.values():
            # FHIR R4, StructureDefinition, invariant sdf-3.
            assert {"definition", "min", "max", "base"} <= element.keys(), element["id"]
            assert "type" in element or "contentReference" in element or "." not in element["id"]


@pytest.mark.parametrize("release", RELEASES)
def test_slices_stand_behind_what_they_are_slices_of(release: str) -> None:
    for one in profiles(release):
        ids = [element["id"] for element in one["snapshot"]["element"]]
        for place, element_id in enumerate(ids):
            above = element_id.rpartition(".")[0]
            before = (
                {element_id.rpartition(":")[0]} if ":" in element_id.rpartition(".")[2] else set()
            )
            for wanted in ({above} if above else set()) | before:
                assert wanted in ids[:place], element_id


@pytest.mark.parametrize("release", RELEASES)
def test_examples_follow_their_profile(release: str, member: Any) -> None:
    checker = Checker({one["url"]: one for one in profiles(release)}, member)
    found = examples(release)
    assert [one["resourceType"] for one in found] == ["ImagingStudy", "Observation", "Observation"]
    for one in found:
        _CLASSES[release](one["resourceType"]).model_validate(copy.deepcopy(one))
        (url,) = one["meta"]["profile"]
        assert checker.problems(one, url) == []
    assert "ImagingStudy.extension:examinedSite" in checker.seen
    assert "Observation.component:laterality" in checker.seen


@pytest.mark.parametrize("release", RELEASES)
def test_what_does_not_follow_is_seen(release: str, member: Any) -> None:
    checker = Checker({one["url"]: one for one in profiles(release)}, member)
    study, examined, visible = (copy.deepcopy(one) for one in examples(release))
    study["identifier"][0]["system"] = "urn:other"
    del examined["bodySite"]
    visible["component"][0]["code"]["coding"][0]["code"] = "404684003"
    for broken in (study, examined, visible):
        assert checker.problems(broken, broken["meta"]["profile"][0])


def test_what_a_verdict_rests_on_has_a_definition() -> None:
    assert verdicts.JUDGED_ANSWER in {one["url"] for one in profiles("R4")}


CHOSEN = [("", frozenset()), ("mii", {"mii"}), (" mii, mii", {"mii"}), ("isik", None)]


@pytest.mark.parametrize(("value", "expected"), CHOSEN, ids=str)
def test_national_profiles_are_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: set[str] | None
) -> None:
    monkeypatch.setenv("BODYSITE_PROFILES", value)
    if expected is None:
        with pytest.raises(RequestError, match="'isik' is no profile"):
            chosen()
    else:
        assert chosen() == expected
        assert set(Settings().profiles) == expected


def test_the_service_publishes_them(client: Client) -> None:
    for release in RELEASES:
        for one in profiles(release):
            answer = client.get(f"/{release.lower()}/StructureDefinition/{one['id']}")
            assert answer.status_code == 200, one["id"]
            assert answer.json()["url"] == one["url"]
            assert answer.json()["fhirVersion"] == one["fhirVersion"]
