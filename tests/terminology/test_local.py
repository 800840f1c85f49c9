"""A site's own folder of tables, as it is read."""

import shutil

import pytest

from terminology.decisions import Decisions
from terminology.errors import TableError
from terminology.library import Terminology, load_terminology
from terminology.local import LocalMappings
from terminology.proposals import Proposal, Rules
from terminology.tables import mappings_folder


@pytest.fixture(scope="module")
def library():
    return load_terminology()


@pytest.fixture
def decided(library, tmp_path):
    """Return a function that decides about values and gives the site's terminology."""
    rules = Rules(library.graph, library.text.words.views)

    def decided(*proposals):
        rows = [rules.check(one, "person:jane", "2026-11-20").rows for one in proposals]
        Decisions(tmp_path).decide(rows, "person:jane", "add")
        return Terminology.over(library.graph, local=LocalMappings.read(tmp_path))

    return decided


def sites(reading):
    return [(site.code, site.laterality) for site in reading.sites]


def test_an_empty_folder_decides_nothing(tmp_path):
    local = LocalMappings.read(tmp_path)
    assert (local.decisions, local.tables) == (None, ())


def test_other_files_of_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "journal.ndjson").write_text("x")
    (tmp_path / ".header-words.sssom.tsv.building-1").write_text("x")
    assert LocalMappings.read(tmp_path).decisions is None


@pytest.mark.parametrize(
    ("proposal", "keyword", "value", "expected"),
    [
        (Proposal("QWX", ("72696002",)), None, "qwx", [("72696002", None)]),
        (Proposal("QWX", ("72696002",)), "StudyDescription", "Q-W-X", []),
        (Proposal("QWX A", ("72696002",)), "StudyDescription", "qwx_a", [("72696002", None)]),
        (Proposal("CHEST", ("818981001",)), "BodyPartExamined", "CHEST", [("818981001", None)]),
        (Proposal("CHEST", ()), "BodyPartExamined", "CHEST", []),
        (
            Proposal("CHEST", (), field="StudyDescription"),
            "BodyPartExamined",
            "CHEST",
            [("816094009", None)],
        ),
        (Proposal("CHEST", (), field="StudyDescription"), "StudyDescription", "chest", []),
        (Proposal("QWX", ("72696002",), side="left"), None, "QWX", [("72696002", "left")]),
        (Proposal("QWX LI", ("72696002",)), None, "QWX LI", [("72696002", "left")]),
        (Proposal("qwx", ("72696002",), scope="word"), None, "QWX re", [("72696002", "right")]),
        (Proposal("knie", ("70258002",), scope="word"), None, "Knie li", [("70258002", "left")]),
        (Proposal("QWX", ("72696002",)), None, "QWX dings", []),
    ],
)
def test_a_decision_overrides_reading(decided, proposal, keyword, value, expected):
    site = decided(proposal)
    reading = site.header.read_value(keyword, value) if keyword else site.text.read(value)
    assert sites(reading) == expected


def test_a_decision_for_one_attribute_wins_over_one_for_all(decided):
    site = decided(
        Proposal("QWX", ("72696002",)), Proposal("QWX", ("85562004",), field="StudyDescription")
    )
    assert sites(site.header.read_value("StudyDescription", "QWX")) == [("85562004", None)]
    assert sites(site.header.read_value("SeriesDescription", "QWX")) == [("72696002", None)]


def test_a_decided_view_is_answered(decided):
    reading = decided(Proposal("QWX", ("816094009",), view="PA")).text.read("QWX")
    assert reading.view is not None
    assert reading.view.dicom == "PA"


def test_evidence_names_the_own_row(decided):
    reading = decided(Proposal("QWX", ("72696002",))).text.read("QWX")
    assert reading.evidence[0].rows[0].startswith("local/header-words.sssom.tsv:")


def test_the_shipped_tables_are_not_changed(decided, library):
    decided(Proposal("KNIE", ()), Proposal("qwx", ("72696002",), scope="word"))
    assert sites(library.text.read("KNIE")) == [("72696002", None)]
    assert sites(library.text.read("qwx")) == []


def test_bad_rows_of_all_tables_are_named(decided, tmp_path):
    decided(Proposal("QWX", ("72696002",)))
    for name in ("header-words", "other"):
        if name == "other":
            shutil.copy(mappings_folder() / "unifesp.sssom.tsv", tmp_path / "other.sssom.tsv")
        path = tmp_path / f"{name}.sssom.tsv"
        text = path.read_text("utf-8")
        path.write_text(text.replace("skos:exactMatch", "skos:sameAs", 1), "utf-8")
    with pytest.raises(TableError) as refused:
        LocalMappings.read(tmp_path)
    files = {problem.file for problem in refused.value.problems}
    assert files == {f"{tmp_path.name}/{name}.sssom.tsv" for name in ("header-words", "other")}
