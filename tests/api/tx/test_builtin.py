"""The tables as CodeSystem, ValueSet and ConceptMap, and their exchange while the service runs."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.concept_maps import CATEGORY, CONCEPT_MAPS, concept_map
from api.tx.builtin import Shipped
from api.tx.r4 import resource_to_r4, resource_to_r5
from api.tx.service import TerminologyService
from api.tx.translate import translate
from terminology.crosswalk import UMLS
from terminology.library import Terminology
from terminology.local import LocalMappings
from terminology.release.embedded import embedded_index
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import DICOM, IRMA, SCT, all_values, matches, request, value

HEADER_WORDS = "https://w3id.org/bodysite/CodeSystem/header-words"
DCM = "http://dicom.nema.org/resources/ontology/DCM"


@pytest.fixture(scope="session")
def shipped(terminology: Terminology) -> Shipped:
    return Shipped.of(terminology)


def model(release: str, kind: str) -> Any:
    return getattr(importlib.import_module(f"fhir.resources{release}.{kind.lower()}"), kind)


def codes_in(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for one in concepts:
        yield one["code"]
        yield from codes_in(one.get("concept", []))


def test_every_resource_is_valid_in_both_releases(shipped: Shipped) -> None:
    for one in shipped.resources:
        model("", one.type).model_validate(one.r5)
        model(".R4B", one.type).model_validate(one.r4)
        assert resource_to_r4(one.r5) == one.r4


def test_codes_are_unique_and_counted(shipped: Shipped) -> None:
    for one in shipped.resources:
        if one.type == "CodeSystem":
            # FHIR, invariant csd-1, also where case does not count.
            fold = one.head["caseSensitive"] is False
            codes = [c.casefold() if fold else c for c in codes_in(one.r5.get("concept", []))]
            assert len(codes) == len(set(codes))
            assert one.head.get("count", len(codes)) == len(codes)
            # FHIR, datatype code: no white space but single spaces inside.
            assert all(" ".join(code.split()) == code for code in codes)


@pytest.mark.parametrize(
    ("name", "code", "display"),
    [
        ("annotation", "visible", "Body sites that an image shows"),
        ("relation", "CONFLICT", "They contradict each other"),
        ("router-group", "adult chest", "Adult chest"),
        ("review", "low-confidence", "Low confidence"),
        ("review", "unlike-training", "Unlike training"),
    ],
)
def test_what_observations_are_coded_with_can_be_looked_up(
    client: Client, name: str, code: str, display: str
) -> None:
    system = f"https://w3id.org/bodysite/CodeSystem/{name}"
    read = checked(client.get(f"/r4/CodeSystem/{name}").json())
    assert (read["url"], read["content"]) == (system, "complete")
    found = client.get("/r4/CodeSystem/$lookup", params={"system": system, "code": code})
    assert found.status_code == 200, found.text
    said = {one["name"]: one.get("valueString") for one in found.json()["parameter"]}
    assert said["display"] == display


def test_targets_that_need_a_comment_have_one(shipped: Shipped) -> None:
    # FHIR R4 and R5, invariant cmd-1.
    for one in shipped.resources:
        for target in targets_of(one.r5 if one.type == "ConceptMap" else {}):
            if target["relationship"] in {"source-is-broader-than-target", "not-related-to"}:
                assert target["comment"], (one.id, target)
        for target in targets_of(one.r4 if one.type == "ConceptMap" else {}):
            if target["equivalence"] in {"narrower", "inexact"}:
                assert target["comment"], (one.id, target)


def targets_of(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in resource.get("group", []):
        for element in group["element"]:
            yield from element.get("target", [])


def test_canonicals_have_no_spaces(shipped: Shipped) -> None:
    for one in shipped.resources:
        assert " " not in f"{one.head['url']}|{one.head.get('version')}"
        for group in one.r5.get("group", []) if one.type == "ConceptMap" else ():
            assert " " not in group["source"]


def test_a_head_says_what_the_whole_says(shipped: Shipped) -> None:
    for one in shipped.resources:
        assert set(one.r5) - set(one.head) <= {"concept", "group"}
        assert one.head_form("R4")["id"] == one.r4["id"]


def test_a_map_of_two_kinds_of_targets_has_a_group_for_each(terminology: Terminology) -> None:
    table = terminology.crosswalk.mapping_set(f"{IRMA.removesuffix('anatomy')}directional")
    groups = concept_map(table)["group"]
    assert [group["target"] for group in groups] == [SCT, DCM][: len(groups)]
    properties = [one["property"][0] for one in targets_of({"group": groups}) if "property" in one]
    assert {"view", "plane"} <= {one["valueString"] for one in properties}


def test_r4_keeps_the_category_in_an_extension(terminology: Terminology) -> None:
    table = terminology.crosswalk.mapping_set(f"{IRMA.removesuffix('anatomy')}technical")
    r4 = resource_to_r4(concept_map(table))
    model(".R4B", "ConceptMap").model_validate(r4)
    again = next(one for one in targets_of(resource_to_r5(r4)) if one["code"] == "CT")
    assert again["property"] == [{"code": "category", "valueString": "modality"}]


@pytest.mark.parametrize(
    ("version", "display"),
    [("2003", "acromio-scapula joint"), ("2008", "right humero-scapular joint"), (None, "right")],
)
def test_a_code_of_irma_means_what_its_version_says(
    client: Client, version: str | None, display: str
) -> None:
    asked = {"system": IRMA, "code": "463", **({"version": version} if version else {})}
    answer = client.get("/r4/CodeSystem/$lookup", params=asked).json()
    assert value(answer, "display").startswith(display)
    assert value(answer, "version") == version or version is None


def test_the_axes_are_trees(client: Client) -> None:
    answer = client.get("/r4/CodeSystem/$lookup", params={"system": IRMA, "code": "41"}).json()
    found = [(one["code"], one["value"]) for one in all_values(answer, "property")]
    assert ("parent", "4") in found
    assert {("child", "411"), ("child", "414")} <= set(found)
    asked = {"system": IRMA, "codeA": "4", "codeB": "414"}
    outcome = client.get("/r4/CodeSystem/$subsumes", params=asked).json()
    assert value(outcome, "outcome") == "subsumes"
    below = {"property": "concept", "op": "is-a", "value": "46"}
    compose = {"include": [{"system": IRMA, "version": "2003", "filter": [below]}]}
    value_set = {"resourceType": "ValueSet", "status": "active", "compose": compose}
    body = request(valueSet=value_set, excludeNested=True)
    expansion = client.post("/r4/ValueSet/$expand", json=body).json()["expansion"]
    assert [one["code"] for one in expansion["contains"]] == ["46", "460", "461", "462", "463"]


def test_a_code_of_an_axis_may_be_written_at_full_width(client: Client) -> None:
    system = f"{IRMA.removesuffix('anatomy')}biological"
    short, full = (
        client.get("/r5/ConceptMap/$translate", params={"sourceSystem": system, "sourceCode": code})
        for code in ("7", "700")
    )
    assert matches(short.json()) == matches(full.json()) != []
    found = client.get("/r4/CodeSystem/$lookup", params={"system": system, "code": "700"})
    assert value(found.json(), "display").startswith("muscul")


def test_dicom_terms_are_marked(client: Client) -> None:
    def properties(code: str) -> dict[str, Any]:
        asked = {"system": DICOM, "code": code}
        answer = client.get("/r4/CodeSystem/$lookup", params=asked).json()
        return {one["code"]: one["value"] for one in all_values(answer, "property")}

    assert properties("ATLANTOAXIAL")["veterinary"] is True
    assert "veterinary" not in properties("ABDOMEN")
    assert properties("ABDOMEN")["formerCode"]["code"] == "113345001"


def test_a_summary_has_no_concepts_and_no_groups(client: Client) -> None:
    for kind, left_out in (("CodeSystem", "concept"), ("ConceptMap", "group")):
        for root in ("/r4", "/r5"):
            bundle = client.get(f"{root}/{kind}?_summary=true&_count=100").json()
            assert len(bundle["entry"]) == bundle["total"]
            assert not any(left_out in one["resource"] for one in bundle["entry"])


def test_a_resource_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    first = client.get("/r4/ConceptMap/unifesp")
    again = client.get("/r4/ConceptMap/unifesp", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_modality_of_dicom_leads_back_to_irma(client: Client) -> None:
    system = f"{IRMA.removesuffix('anatomy')}technical"
    asked = {"targetSystem": DCM, "targetCode": "CT", "sourceSystem": system}
    found = matches(client.get("/r5/ConceptMap/$translate", params=asked).json())
    assert ("2008", "14", "equivalent") in [
        (one["concept"]["version"], one["concept"]["code"], one["relationship"]) for one in found
    ]
    assert found[0]["property"] == {"uri": CATEGORY, "value": "modality"}


def test_a_code_of_dicom_that_no_table_leads_to_has_no_answer(client: Client) -> None:
    asked = {"system": DCM, "code": "XYZ"}
    answer = client.get("/r4/ConceptMap/$translate", params=asked)
    assert answer.status_code == 200
    assert value(answer.json(), "result") is False


def test_an_explicit_no_match_is_unmatched_in_r4_and_no_match_in_r5(client: Client) -> None:
    asked = {"sourceSystem": UMLS, "sourceCode": "C0376152"}
    r5 = client.get("/r5/ConceptMap/$translate", params=asked).json()
    r4 = checked_unmatched(client.get("/r4/ConceptMap/$translate", params=asked).json())
    for answer in (r4, r5):
        assert value(answer, "result") is False
        assert "umls-cui" in value(answer, "message")
    assert matches(r5) == []
    (match,) = matches(r4)
    assert match["equivalence"] == "unmatched"
    assert "concept" not in match
    assert match["originMap"].startswith(f"{CONCEPT_MAPS}umls-cui|")


def checked_unmatched(answer: dict[str, Any]) -> dict[str, Any]:
    model(".R4B", "Parameters").model_validate(answer)
    return answer


def test_a_match_says_what_it_rests_on_and_how_sure_it_is(client: Client) -> None:
    asked = {"system": IRMA, "code": "414"}
    answer = checked(client.get("/r4/ConceptMap/$translate", params=asked).json())
    first = matches(answer)[0]
    assert 0 < first["confidence"] <= 1
    assert first["comment"].startswith("irma-anatomy-2008.sssom.tsv:")


# -- a site's own tables ---------------------------------------------------------------------------

BLOCK = """\
#mapping_set_id: https://hospital.example/mappings/{name}
#mapping_set_version: "{version}"
#license: https://creativecommons.org/publicdomain/zero/1.0/
#curie_map:
#  irma: https://w3id.org/bodysite/irma-anatomy/
#  site: https://hospital.example/
#  snomedct: http://snomed.info/id/
#subject_source: {source}
{more}#object_source: http://snomed.info/sct
"""
CODES = """\
subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\tauthor_id
irma:414\tour hands\tskos:closeMatch\tsnomedct:{target}\tWrist\tsemapv:ManualMappingCuration\tsite:a
"""
WORDS = """\
subject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\tauthor_id\tsubject_type\
\tconfidence\tsubject_scope
Zimmer 7\tskos:exactMatch\tsnomedct:85562004\tHand\tsemapv:ManualMappingCuration\tsite:a\
\trdfs literal\t1\tvalue
"""


def local(
    folder: Path, terminology: Terminology, *, target: str = "74670003", version: str = "1"
) -> Terminology:
    folder.mkdir(exist_ok=True)
    codes = BLOCK.format(
        name="irma", version=version, source=IRMA, more='#subject_source_version: "2008"\n'
    )
    (folder / "irma-anatomy-2008.sssom.tsv").write_text(codes + CODES.format(target=target))
    words = BLOCK.format(name="words", version=version, source=HEADER_WORDS, more="")
    (folder / "header-words.sssom.tsv").write_text(words + WORDS)
    return Terminology.over(terminology.graph, local=LocalMappings.read(folder))


def answered(service: TerminologyService, system: str, code: str, **more: str) -> Any:
    body = request(sourceSystem=system, sourceCode=code, **more)
    return translate(body, service.context(body, "R5"))


@pytest.fixture
def service(terminology: Terminology) -> TerminologyService:
    return TerminologyService((embedded_index(),), terminology)


def test_a_sites_table_decides_its_codes_and_no_others(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    before = answered(service, IRMA, "415")
    service.replace(local(tmp_path / "own", terminology))
    (match,) = matches(answered(service, IRMA, "414"))
    assert match["concept"]["code"] == "74670003"
    assert match["originMap"] == "https://hospital.example/mappings/irma|1"
    assert match["comment"].startswith("local/irma-anatomy-2008.sssom.tsv:")
    assert answered(service, IRMA, "415") == before
    shipped = answered(service, IRMA, "414", url=f"{CONCEPT_MAPS}irma-anatomy-2008")
    assert {one["concept"]["code"] for one in matches(shipped)} == {"85151006", "85562004"}


def test_a_decided_code_leads_back_through_the_decision_alone(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    service.replace(local(tmp_path / "own", terminology))
    body = request(targetSystem=SCT, targetCode="85151006", sourceSystem=IRMA)
    found = matches(translate(body, service.context(body, "R5")))
    assert [one["concept"] for one in found if one["concept"]["code"] == "414"] == []


def test_a_sites_tables_are_concept_maps_that_change_with_them(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    service.replace(local(tmp_path / "own", terminology))
    first = service.find("ConceptMap", "local-irma-anatomy-2008")
    words = service.find("CodeSystem", "header-words")
    assert first is not None
    assert words is not None
    assert first.r5["version"] == "1"
    service.replace(local(tmp_path / "own", terminology, target="85562004", version="2"))
    second = service.find("ConceptMap", "local-irma-anatomy-2008")
    again = service.find("CodeSystem", "header-words")
    assert second is not None
    assert again is not None
    assert second.r5["version"] == "2"
    assert second.etag != first.etag  # type: ignore[union-attr]
    assert "+1." in str(words.r5["version"])
    assert "+2." in str(again.r5["version"])


def test_an_edit_changes_the_version_of_the_words_also_on_the_same_day(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    service.replace(local(tmp_path / "own", terminology))
    before = service.find("CodeSystem", "header-words")
    (site,) = matches(answered(service, HEADER_WORDS, "ZIMMER 7"))
    assert site["concept"]["code"] == "85562004"
    assert site["comment"].startswith("local/header-words.sssom.tsv:")
    path = tmp_path / "own" / "header-words.sssom.tsv"
    path.write_text(path.read_text().replace("Zimmer 7", "Zimmer 8"))
    changed = Terminology.over(terminology.graph, local=LocalMappings.read(tmp_path / "own"))
    service.replace(changed)
    after = service.find("CodeSystem", "header-words")
    assert before is not None
    assert after is not None
    assert before.r5["version"] != after.r5["version"]
    assert value(answered(service, HEADER_WORDS, "ZIMMER 7"), "result") is False


def test_a_site_s_decisions_are_a_map_that_answers_where_it_is_named(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    service.replace(local(tmp_path / "own", terminology))
    url = "https://hospital.example/mappings/words"
    named = matches(answered(service, HEADER_WORDS, "Zimmer 7", url=url))
    assert [one["originMap"] for one in named] == [f"{url}|1"]
    everything = matches(answered(service, HEADER_WORDS, "Zimmer 7"))
    assert [one["originMap"].partition("|")[0] for one in everything] == [
        f"{CONCEPT_MAPS}header-words"
    ]


def test_a_request_under_way_goes_on_with_what_it_has(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    body = request(sourceSystem=IRMA, sourceCode="414")
    context = service.context(body, "R5")
    service.replace(local(tmp_path / "own", terminology))
    assert matches(translate(body, context))[0]["concept"]["code"] == "85151006"
    assert matches(translate(body, service.context(body, "R5")))[0]["concept"]["code"] != "85151006"


def test_readers_see_one_state_or_the_other_while_tables_are_replaced(
    service: TerminologyService, terminology: Terminology, tmp_path: Path
) -> None:
    first = local(tmp_path / "first", terminology)
    second = local(tmp_path / "second", terminology, target="85562004", version="2")
    service.replace(first)
    stop = threading.Event()

    def write() -> None:
        for number in range(40):
            service.replace(second if number % 2 else first)
        stop.set()

    def read(_: int) -> set[tuple[str, str]]:
        seen: set[tuple[str, str]] = set()
        while not stop.is_set() or not seen:
            for match in matches(answered(service, IRMA, "414")):
                seen.add((match["concept"]["code"], match["originMap"].rpartition("|")[2]))
        return seen

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read, number) for number in range(2)]
        threads.submit(write).result()
        for one in readers:
            assert one.result() <= {("74670003", "1"), ("85562004", "2")}


def test_a_site_may_bring_the_code_system_of_another_publisher(site: Client) -> None:
    url = "http://radlex.org"
    own = {
        "resourceType": "CodeSystem",
        "id": "radlex-own",
        "url": url,
        "version": "4.2",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "RID0", "display": "our own"}],
    }
    assert site.request("PUT", "/r4/CodeSystem/radlex-own", json=own).status_code == 201
    found = site.get("/r4/CodeSystem/$lookup", params={"system": url, "code": "RID0"}).json()
    assert value(found, "display") == "our own"
