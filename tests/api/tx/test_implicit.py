"""Value sets and concept maps that a SNOMED CT url stands for."""

from typing import Any
from urllib.parse import quote

import pytest

from api.tx.context import StaticRegistry, TxContext
from api.tx.implicit import (
    implicit_concept_map,
    implicit_concept_maps,
    implicit_value_set,
    snomed_provider,
)
from api.tx.snomed import SnomedProvider
from terminology.concept import SNOMED
from terminology.release.embedded import embedded_index
from tests.api.tx.small_release import VERSION, small_provider

EDITION = VERSION.rpartition("/version/")[0]


def context(*parameters: tuple[str, str]) -> TxContext:
    entries = [{"name": name, "valueUri": value} for name, value in parameters]
    registry = StaticRegistry(
        providers=[small_provider(), SnomedProvider(embedded_index())],
        value_set_resolvers=[implicit_value_set],
        defaults={SNOMED: VERSION},
    )
    return TxContext.of(registry, {"resourceType": "Parameters", "parameter": entries})


def include(url: str) -> dict[str, Any] | None:
    found = implicit_value_set(url, None, context())
    if found is None:
        return None
    assert found["url"] == url
    assert found["status"] == "active"
    one: dict[str, Any]
    (one,) = found["compose"]["include"]
    assert one.pop("system") == SNOMED
    return one


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", {}),
        (
            "=isa/85562004",
            {"filter": [{"property": "concept", "op": "is-a", "value": "85562004"}]},
        ),
        (
            "=descendant-of/85562004",
            {"filter": [{"property": "concept", "op": "descendent-of", "value": "85562004"}]},
        ),
        (
            "=refset/723264001",
            {"filter": [{"property": "concept", "op": "in", "value": "723264001"}]},
        ),
        (
            "=ecl/" + quote("<< 85562004 |Hand| : 272741003 = *", safe=""),
            {
                "filter": [
                    {
                        "property": "constraint",
                        "op": "=",
                        "value": "<< 85562004 |Hand| : 272741003 = *",
                    }
                ]
            },
        ),
        (
            "=refset",
            {
                "concept": [
                    {"code": code}
                    for code in (
                        "447562003",
                        "723264001",
                        "734139008",
                        "900000000000523009",
                        "900000000000526001",
                    )
                ]
            },
        ),
    ],
)
def test_the_forms_of_implicit_value_sets(form: str, expected: dict[str, Any]) -> None:
    assert include(f"{SNOMED}?fhir_vs{form}") == expected
    for version in (EDITION, VERSION):
        assert include(f"{version}?fhir_vs{form}") == expected | {"version": version}


@pytest.mark.parametrize(
    "url",
    [
        f"{SNOMED}?fhir_vs=isa/85562005",
        f"{SNOMED}?fhir_vs=isa/",
        f"{SNOMED}?fhir_vs=isa/85562004 |Hand|",
        f"{SNOMED}?fhir_vs=refset/85562004",
        f"{SNOMED}?fhir_vs=ecl/",
        f"{SNOMED}?fhir_vs=colour/85562004",
        f"{SNOMED}?fhir_vsisa/85562004",
        f"{SNOMED}?other",
        f"{SNOMED}/731000124108?fhir_vs",
        f"{EDITION}/version/20200131?fhir_vs",
        "http://loinc.org?fhir_vs",
        "http://snomed.info/sctx?fhir_vs",
    ],
)
def test_urls_that_stand_for_no_value_set(url: str) -> None:
    assert implicit_value_set(url, None, context()) is None


def test_the_value_set_of_all_concepts_has_the_name_that_hl7_tests_ask_for() -> None:
    found = implicit_value_set(f"{SNOMED}?fhir_vs", None, context())
    assert found is not None
    assert found["name"] == "ALLSNOMEDCT"
    assert found["title"] == "SNOMED CT Reference Set (All of SNOMED CT)"


def test_the_release_is_chosen_by_the_request() -> None:
    chosen = snomed_provider(context(), None)
    assert chosen is not None
    assert chosen.version == VERSION
    embedded = embedded_index().version
    for name in ("system-version", "force-system-version"):
        other = snomed_provider(context((name, f"{SNOMED}|{embedded}")), None)
        assert other is not None
        assert other.version == embedded
    stated = snomed_provider(context(("system-version", f"{SNOMED}|{embedded}")), EDITION)
    assert stated is not None
    assert stated.version == VERSION
    assert snomed_provider(context(), "http://snomed.info/sct/731000124108") is None


def mapped(refset: str, code: str, *, reverse: bool = False) -> list[tuple[str, str | None, str]]:
    found = implicit_concept_map(f"{SNOMED}?fhir_cm={refset}", None, context())
    assert found is not None
    rows = found.reverse(code) if reverse else found.forward(code)
    return [(one.source, one.target, one.relationship.r5) for one in rows]


def test_association_reference_sets_are_maps() -> None:
    assert mapped("900000000000526001", "51185008") == [("51185008", "816094009", "equivalent")]
    assert mapped("900000000000526001", "816094009") == []
    assert mapped("900000000000526001", "816094009", reverse=True) == [
        ("51185008", "816094009", "equivalent")
    ]
    assert sorted(mapped("900000000000523009", "155729003")) == [
        ("155729003", "128241005", "related-to"),
        ("155729003", "40468003", "related-to"),
    ]
    assert mapped("734139008", "10200004") == [
        ("10200004", "119216005", "source-is-broader-than-target")
    ]


def test_relationships_have_their_words_in_r4_too() -> None:
    found = implicit_concept_map(f"{SNOMED}?fhir_cm=734139008", None, context())
    assert found is not None
    (one,) = found.mappings()
    assert (one.relationship.r5, one.relationship.r4) == (
        "source-is-broader-than-target",
        "narrower",
    )
    assert one.display == "Liver part"


def test_map_reference_sets_lead_to_other_code_systems_and_back() -> None:
    found = implicit_concept_map(f"{SNOMED}?fhir_cm=447562003", None, context())
    assert found is not None
    assert (found.source_system, found.target_system) == (
        SNOMED,
        "http://hl7.org/fhir/sid/icd-10",
    )
    (one,) = found.forward("128241005")
    assert one.target == "K75.9"
    assert one.comment == "IFA 64572001 | Disease |; IF DISEASE CHOOSE K75.9"
    (back,) = found.reverse("B15.9")
    assert back.source == "40468003"
    assert found.reverse("B15") == ()
    (nothing,) = found.forward("64572001")
    assert (nothing.target, nothing.relationship.r5) == (None, "not-related-to")


@pytest.mark.parametrize(
    "url",
    [
        f"{SNOMED}?fhir_cm=723264001",
        f"{SNOMED}?fhir_cm=85562004",
        f"{SNOMED}?fhir_cm=",
        f"{SNOMED}?fhir_cm",
        f"{SNOMED}/731000124108?fhir_cm=900000000000526001",
        "http://loinc.org?fhir_cm=900000000000526001",
    ],
)
def test_urls_that_stand_for_no_map(url: str) -> None:
    assert implicit_concept_map(url, None, context()) is None


def test_all_maps_of_a_release_are_known() -> None:
    found = implicit_concept_maps(small_provider())
    assert [one.refset for one in found] == [
        "447562003",
        "734139008",
        "900000000000523009",
        "900000000000526001",
    ]
    resource = found[3].resource()
    assert resource["url"] == f"{SNOMED}?fhir_cm=900000000000526001"
    assert resource["version"] == VERSION
    assert resource["group"] == [{"source": SNOMED, "target": SNOMED}]


def test_the_embedded_subset_has_its_successors_as_a_map() -> None:
    provider = SnomedProvider(embedded_index())
    (found,) = [
        one for one in implicit_concept_maps(provider) if one.refset == "900000000000526001"
    ]
    assert [one.target for one in found.forward("51185008")] == ["816094009"]
