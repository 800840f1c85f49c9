"""What is emitted under the setting "mii" follows the profiles of the module imaging."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from api.phi import PhiPolicy
from api.profiles import mii
from terminology.concept import DICOM, SNOMED
from terminology.library import Terminology
from tests.api.checks import checked, of_type
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.rendering.corpus import GENERATED, PYDICOM_FILES
from tests.api.rendering.profiles import Checker

_ROOT = Path(__file__).parents[3]
_NEMA = "http://dicom.nema.org/medical/dicom/current/output/chtml/part16/sect_CID_"
_PROFILES = {
    "ImagingStudy": mii.STUDY,
    "Observation": mii.OBSERVATION,
    "BodyStructure": mii.BODY_STRUCTURE,
    "Device": mii.DEVICE,
}


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    folder = Path(os.environ.get("BODYSITE_SHARED", _ROOT.parent / "shared")) / "mii-bildgebung"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; BODYSITE_SHARED names the folder that has mii-bildgebung/")
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return {one["url"]: one for one in found if "url" in one}


@pytest.fixture
def checker(definitions: dict[str, Any], terminology: Terminology) -> Checker:
    def member(url: str, system: str, code: str) -> bool | None:
        if url.startswith(_NEMA):
            context = getattr(codes, f"cid{url.removeprefix(_NEMA).removesuffix('.html')}")
            found = [getattr(context, name) for name in context.dir()]
            names = {"SCT": SNOMED, "DCM": DICOM}
            return any((names[one.scheme_designator], one.value) == (system, code) for one in found)
        if url in {
            "http://hl7.org/fhir/ValueSet/body-site",
            f"{mii.MII}/ValueSet/mii-vs-bildgebung-observation-body-site-sct",
        }:
            return system == SNOMED and code in terminology.graph
        if url == "http://hl7.org/fhir/ValueSet/device-nametype":
            return code in {"user-friendly-name", "model-name"}
        if url not in definitions:
            return None
        included = definitions[url]["compose"]["include"]
        if any("filter" in one or "valueSet" in one for one in included):
            return None
        return any(
            one["system"] == system
            and code in {each["code"] for each in one.get("concept") or _all(one["system"])}
            for one in included
        )

    def _all(system: str) -> Iterator[dict[str, Any]]:
        def below(concepts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            for concept in concepts:
                yield concept
                yield from below(concept.get("concept", []))

        return below(definitions[system]["concept"])

    return Checker(definitions, member)


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    return serve(profiles=("mii",))


def annotated(client: Client, data: bytes) -> dict[str, Any]:
    answer = client.annotate(data)
    assert answer.status_code == 200, answer.text
    return checked(answer.json())


def problems(checker: Checker, bundle: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for kind, url in _PROFILES.items():
        for one in of_type(bundle, kind):
            assert url in one["meta"]["profile"]
            found += checker.problems(one, url)
    return found


@pytest.mark.parametrize("modality", GENERATED)
def test_generated_images_follow_the_profiles(
    client: Client, checker: Checker, modality: str
) -> None:
    bundle = annotated(client, make_dicom(Modality=modality, **GENERATED[modality]))
    assert problems(checker, bundle) == []
    name = {"CR": "MG_CR_DX", "DX": "MG_CR_DX", "MG": "MG_CR_DX"}.get(modality, modality)
    assert f"ImagingStudy.series.extension:modalitaet{name}" in checker.seen
    assert "Extension.extension:imageType.value[x].coding:pixelData" in checker.seen
    # Its value set is one of another guide.
    assert checker.unknown <= {"http://hl7.eu/fhir/base/ValueSet/siteQualifier-eu"}


def test_every_slot_of_the_extensions_is_filled(
    client: Client, checker: Checker, definitions: dict[str, Any]
) -> None:
    for modality, elements in GENERATED.items():
        problems(checker, annotated(client, make_dicom(Modality=modality, **elements)))
    slots = {
        element["id"]
        for one in definitions.values()
        if one["resourceType"] == "StructureDefinition"
        and one["type"] == "Extension"
        and "ImagingStudy" in one["context"][0]["expression"]
        for element in one["differential"]["element"]
        if element["id"].count(":") == 1 and element["id"].count(".") == 1
    }
    # A reference to a medication that no header has.
    assert slots - checker.seen == {"Extension.extension:contrastBolusDetails"}


def test_the_files_of_pydicom_follow_the_profiles(client: Client, checker: Checker) -> None:
    seen = 0
    for path in PYDICOM_FILES:
        answer = client.annotate(path.read_bytes())
        if answer.status_code == 200:
            seen += 1
            assert problems(checker, checked(answer.json())) == [], path.name
    assert seen > 30


EXPOSURE = [("KVP", 70), ("exposureTime", 12), ("exposure", 3.2), ("xRayTubeCurrent", 250)]


def test_exposure_and_view_are_those_of_the_header(client: Client) -> None:
    bundle = annotated(client, make_dicom(Modality="DX", **GENERATED["DX"]))
    (study,) = of_type(bundle, "ImagingStudy")
    (series,) = study["series"]
    slots = {one["url"]: one for one in series["extension"][0]["extension"]}
    for name, value in EXPOSURE:
        assert slots[name]["valueQuantity"]["value"] == value
    assert slots["viewPosition"]["valueCodeableConcept"]["coding"][0]["code"] == "399348003"
    details = {one["url"]: one for one in series["instance"][0]["extension"][0]["extension"]}
    # DICOM says the distance of rows first.
    assert details["pixelSpacingY"]["valueQuantity"]["value"] == 0.2
    assert details["pixelSpacingX"]["valueQuantity"]["value"] == 0.3


def test_what_images_of_a_series_do_not_agree_on_is_not_said(client: Client) -> None:
    for number, volts in enumerate(("60", "70")):
        data = make_dicom(
            Modality="DX",
            BodyPartExamined="CHEST",
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.4",
            SOPInstanceUID=f"1.2.3.4.{number}",
            KVP=volts,
            Exposure="3",
        )
        bundle = annotated(client, data)
    (series,) = of_type(bundle, "ImagingStudy")[0]["series"]
    assert [one["url"] for one in series["extension"][0]["extension"]] == ["exposure"]


@pytest.mark.parametrize(
    ("phi", "lets_out"), [(PhiPolicy.KEEP, True), (PhiPolicy.HASH, False), (PhiPolicy.DROP, False)]
)
def test_words_of_the_header_leave_only_under_keep(
    serve: Callable[..., Client], phi: PhiPolicy, lets_out: bool
) -> None:
    elements = {**GENERATED["NM"], "SeriesDescription": "Thorax Mustermann"}
    reason = "Pain, see Mustermann file"
    data = make_dicom(Modality="NM", ReasonForTheRequestedProcedure=reason, **elements)
    answer = serve(profiles=("mii",), phi=phi).annotate(data)
    assert ("Mustermann" in answer.text) is lets_out
    assert (mii.REASON in answer.text) is lets_out
    assert "radionuclideTotalDose" in answer.text


def test_without_the_setting_nothing_of_it_is_claimed(serve: Callable[..., Client]) -> None:
    bundle = annotated(serve(), make_dicom(Modality="CT", **GENERATED["CT"]))
    claims = [one for entry in bundle["entry"] for one in _claims(entry["resource"])]
    assert claims
    assert not [one for one in claims if one.startswith(mii.MII)]
    assert "kontrastmittel" not in json.dumps(bundle)


def _claims(resource: dict[str, Any]) -> list[str]:
    return list(resource.get("meta", {}).get("profile", []))


def test_the_headers_are_read_by_both_readers() -> None:
    # The fast reader steps over what is not listed: what is listed must be what is read.
    from terminology.instance import instance_of

    data = make_dicom(Modality="PT", **GENERATED["PT"])
    stated = {one.keyword for one in instance_of(dcmread(io.BytesIO(data))).acquisition}
    assert {"RadionuclideTotalDose", "TracerExposureTime", "Units", "SeriesType"} <= stated
