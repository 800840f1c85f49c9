import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fhir.resources.R4B.conceptmap import ConceptMap

from api.cli import main
from api.concept_maps import CONCEPT_MAPS
from terminology.tables import mappings_folder
from tests.api.client import Client

TABLES = sorted(
    path.name.removesuffix(".sssom.tsv")
    for path in mappings_folder().glob("*.sssom.tsv")
    if path.name != "header-words.sssom.tsv"
)
# Those whose answers are computed.
NAMES = sorted([*TABLES, "header-words", "irma"])


def element(resource, code):
    (found,) = [one for one in resource["group"][0]["element"] if one["code"] == code]
    return found


def test_every_crosswalk_is_a_concept_map(client: Client) -> None:
    bundle = client.get("/r4/ConceptMap?_count=100").json()
    assert bundle["total"] == len(NAMES)
    resources = [entry["resource"] for entry in bundle["entry"]]
    assert [resource["id"] for resource in resources] == NAMES
    for resource in resources:
        ConceptMap.model_validate(resource)
        assert client.get(f"/r4/ConceptMap/{resource['id']}").json() == resource


def test_a_concept_map_is_found_by_its_canonical_address(client: Client) -> None:
    bundle = client.get("/r4/ConceptMap", params={"url": CONCEPT_MAPS + "unifesp"}).json()
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["unifesp"]
    assert client.get("/r4/ConceptMap", params={"url": "http://x.org"}).json()["total"] == 0
    assert client.get("/r4/ConceptMap/no-such-map").status_code == 404


def test_predicates_sides_and_refusals_survive(client: Client) -> None:
    irma = client.get("/r4/ConceptMap/irma-anatomy-2008").json()
    by_code = {target["code"]: target for target in element(irma, "414")["target"]}
    assert by_code["85151006"]["equivalence"] == "equivalent"
    # R4 reads equivalence from the target: 85562004 |Hand| is wider than the left hand.
    assert by_code["85562004"]["equivalence"] == "wider"
    assert by_code["85562004"]["product"][0]["value"] == "7771000"
    assert element(irma, "0")["target"][0]["equivalence"] == "unmatched"
    umls = client.get("/r4/ConceptMap/umls-cui").json()
    assert element(umls, "C0376152")["target"][0]["equivalence"] == "unmatched"


def test_export_writes_concept_maps_and_csv(tmp_path: Path) -> None:
    maps = CliRunner().invoke(main, ["mappings", "export"])
    assert [json.loads(line)["id"] for line in maps.stdout.splitlines()] == TABLES
    target = tmp_path / "unifesp.csv"
    arguments = [
        "mappings",
        "export",
        "--format",
        "csv",
        "--table",
        "unifesp",
        "--out",
        str(target),
    ]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    by_code = {row["code"]: row for row in rows if row["predicate"] == "skos:exactMatch"}
    assert len(by_code) == 22
    assert by_code["3"]["sct"] == "816094009"
    assert by_code["14"]["sct"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "loinc"], "'loinc' is no crosswalk; expected one of dicom-body-part"),
        (["--out", "/no/such/folder/maps.json"], "cannot be written"),
    ],
)
def test_export_refuses_what_it_cannot_do(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["mappings", "export", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_help_page_needs_no_other_host(client: Client) -> None:
    page = client.get("/docs").text
    assert "swagger-ui-bundle.js" in page
    assert "https://" not in page
    script = page.partition('<script src="')[2].partition('"')[0]
    assert client.get(script).status_code == 200
