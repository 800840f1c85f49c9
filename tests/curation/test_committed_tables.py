"""The programs make the tables that are committed; the folder of reference tables is not in the
repository, and these tests skip where BODYSITE_SHARED names none that has it."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

from curation import anatomy, umls
from curation.computed import ComputedTable
from curation.umls_judge import Judgement
from terminology import sssom
from terminology.tables import mappings_folder

SHARED = Path(os.environ.get("BODYSITE_SHARED", Path(__file__).parents[3] / "shared"))
REFERENCE = SHARED / "reference"
OF_ANATOMY = (
    "radlex.sssom.tsv",
    "uberon.sssom.tsv",
    "fma.sssom.tsv",
    "snomed-entire.tsv",
    "snomed-rt.tsv",
)
# A row of README's table of outcomes: the outcome as the program prints it, what it means, pairs.
_OUTCOME = re.compile(r"^\| `([a-zA-Z,: ]+)` \|.*\| ([\d,]+) \|$", re.MULTILINE)
CURATED_TABLES = ("icd-o-3-topography", "umls-cui", "unifesp", "dicom-body-part-examined")


@pytest.fixture(scope="module")
def reference() -> Path:
    if not (REFERENCE / "uberon_xrefs.csv").is_file():
        pytest.skip("no reference tables; BODYSITE_SHARED names the folder that has them")
    return REFERENCE


@cache
def of_anatomy() -> dict[str, ComputedTable]:
    return {table.file: table for table in anatomy.tables(REFERENCE, mappings_folder())}


@cache
def judgement() -> Judgement:
    return umls.derive(REFERENCE, mappings_folder())


def committed(name: str) -> str:
    return (mappings_folder() / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OF_ANATOMY)
def test_the_anatomy_tables_are_what_the_program_makes(reference: Path, name: str) -> None:
    present = committed(name)
    assert of_anatomy()[name].text(present, "2999-01-01") == present


def test_the_program_of_anatomy_makes_no_other_table(reference: Path) -> None:
    assert tuple(of_anatomy()) == OF_ANATOMY


def test_the_derived_table_of_cuis_is_what_the_program_makes(reference: Path) -> None:
    present = committed(umls.DERIVED_TABLE)
    assert umls.table(judgement()).text(present, "2999-01-01") == present


def test_readme_counts_the_outcomes_as_the_program_does(reference: Path) -> None:
    printed = dict(_OUTCOME.findall(committed("README.md")))
    counts = judgement().counts()
    assert printed == {outcome: f"{count:,}" for outcome, count in counts.items() if count}
    assert f"{sum(counts.values()):,} pairs" in committed("README.md")


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("fma", "curation/anatomy.py"),
        ("radlex", "curation/anatomy.py"),
        ("uberon", "curation/anatomy.py"),
        ("umls-derived", "curation/umls.py"),
        *((name, None) for name in CURATED_TABLES),
    ],
)
def test_rows_name_the_program_that_made_them_and_it_is_there(
    name: str, program: str | None
) -> None:
    made_by = {
        row.mapping_tool for row in sssom.read(mappings_folder() / f"{name}.sssom.tsv").mappings
    }
    assert made_by == {program}
    if program is not None:
        assert (Path(__file__).parents[2] / program).is_file()
