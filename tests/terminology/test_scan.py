"""Header values: what is taken, what is hidden, how it is counted, what it means."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence

from terminology import scan_report
from terminology.annotation import Method
from terminology.decisions import Decisions
from terminology.library import Terminology, load_terminology
from terminology.local import LocalMappings
from terminology.proposals import Proposal, Rules
from terminology.scan import ATTRIBUTES, HeaderValues, Inventory
from terminology.scan_answers import answer_of
from terminology.scan_html import page
from terminology.scan_report import COLUMNS, is_open, report_of, summary
from terminology.suggestions import Companion, Suggestions


@pytest.fixture(scope="module")
def library():
    return load_terminology()


@pytest.fixture(scope="module")
def values(library):
    return HeaderValues.of(library.text.words)


def header(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def coded(value, meaning, scheme="SCT"):
    item = Dataset()
    item.CodeValue, item.CodeMeaning, item.CodingSchemeDesignator = value, meaning, scheme
    return Sequence([item])


def test_the_values_of_a_header_are_taken_in_one_order(values):
    request = Dataset()
    request.RequestedProcedureDescription = "XR hand"
    taken = values.take(
        header(
            Modality="DX",
            StudyDescription=" Hand  links ",
            BodyPartExamined="HAND",
            ViewPosition="PA",
            ImageLaterality="L",
            AnatomicRegionSequence=coded("85562004", "Hand"),
            RequestAttributesSequence=Sequence([request]),
            InstitutionName="Clinic",
            PatientName="Mustermann^Erika",
        )
    )
    assert taken == (
        ("AnatomicRegionSequence", "85562004^Hand^SCT"),
        ("BodyPartExamined", "HAND"),
        ("RequestAttributesSequence", "XR hand"),
        ("StudyDescription", "Hand links"),
        ("ImageLaterality", "L"),
        ("ViewPosition", "PA"),
        ("Modality", "DX"),
    )


@pytest.mark.parametrize(
    ("identity", "value", "kept"),
    [
        ({"PatientName": "Mustermann^Erika"}, "Thorax MUSTERMANN, erika", "Thorax #, #"),
        ({"PatientName": "Hand^Anna"}, "Hand links Anna", "Hand links #"),
        ({"PatientName": "Li^Wu"}, "Knie li", "Knie li"),
        ({"PatientName": "Li^Wu"}, "Wu Knie", "# Knie"),
        ({"PatientName": "Müller^Jörg"}, "MULLER Knie", "# Knie"),
        ({"PatientName": "Müller^Jörg"}, "Mueller Knie", "# Knie"),
        ({"PatientName": "Mueller^Joerg"}, "Müller, Jörg Knie", "#, # Knie"),
        ({"PatientName": "Meier^Eva"}, "MeierEva Meiers Knie_Meier", "# # Knie_#"),
        ({"PatientName": "Bauer^Eva"}, "Becken BAUER stehend", "Becken # stehend"),
        ({"PatientName": "Knie^Eva"}, "Kniegelenk Eva", "Kniegelenk #"),
        ({"PatientName": "Beck^Eva"}, "Beckenkamm Eva", "Beckenkamm #"),
        ({"PatientID": "AB-12345"}, "Knie AB12345", "Knie #"),
        ({"PatientID": "P47-11"}, "Knie P47-11", "Knie #-11"),
        ({"AccessionNumber": "A815"}, "A815 Knie", "# Knie"),
        ({"ReferringPhysicianName": "Sauer^Dr"}, "Knie (Sauer)", "Knie (#)"),
        ({"PatientBirthDate": "19640812"}, "Knie 19640812", "Knie #"),
        ({}, "Knie 12.03.1958 12.3.58 1958-03-12", "Knie # # #"),
        ({}, "LWS 1-2-3 L4/5/6 C3-4", "LWS 1-2-3 L4/5/6 C3-4"),
        ({}, "Knie 123456", "Knie #"),
        ({}, "Knie 12345 90kV", "Knie 12345 90kV"),
        ({}, "Knie\r\nlinks\x00", "Knie links"),
    ],
)
def test_what_says_who_somebody_is_is_hidden(values, identity, value, kept):
    taken = dict(values.take(header(SeriesDescription=value, **identity)))
    assert taken["SeriesDescription"] == kept


def test_codes_are_no_numbers_to_hide(values):
    (taken,) = values.take(header(AnatomicRegionSequence=coded("818983003", "Abdomen")))
    assert taken == ("AnatomicRegionSequence", "818983003^Abdomen^SCT")
    (taken,) = values.take(header(ProcedureCodeSequence=coded("47110815", "Knee 1234567", "99X")))
    assert taken == ("ProcedureCodeSequence", "47110815^Knee #^99X")


def test_an_identifying_attribute_is_never_taken():
    assert not {"PatientName", "PatientID", "AccessionNumber"} & set(ATTRIBUTES)


def inventory_of(*rows):
    inventory = Inventory()
    for images, pairs in rows:
        inventory.add(tuple(pairs.items()), images, images)
    return inventory


def test_values_are_counted_with_their_modality():
    inventory = inventory_of(
        (3, {"BodyPartExamined": "HAND", "Modality": "DX"}),
        (2, {"BodyPartExamined": "HAND", "Modality": "CR"}),
        (1, {"BodyPartExamined": "FOOT", "Modality": "DX"}),
    )
    hand = inventory.values["BodyPartExamined", "HAND"]
    assert (hand.rows, hand.images, hand.modality) == (5, 5, None)
    assert inventory.values["BodyPartExamined", "FOOT"].modality == "DX"
    assert (inventory.rows, len(inventory.combinations)) == (6, 3)


def test_memory_is_bounded_and_what_is_left_out_is_counted():
    inventory = Inventory(most_values=2, most_combinations=1)
    for value, images in (("A", 5), ("B", 4), ("C", 3), ("A", 2)):
        inventory.add((("SeriesDescription", value),), images, images)
    assert [value for _, value in inventory.values] == ["A", "B"]
    assert (inventory.values_left_out, inventory.combinations_left_out) == (3, 7)
    assert inventory.images == 14


@given(
    st.lists(
        st.tuples(
            st.integers(1, 9),
            st.dictionaries(
                st.sampled_from(["BodyPartExamined", "Modality", "StudyDescription"]),
                st.text(min_size=1, max_size=5),
            ),
        ),
        max_size=8,
    )
)
def test_an_inventory_survives_being_saved(rows):
    inventory = inventory_of(*rows)
    again = Inventory.from_dict(json.loads(json.dumps(inventory.as_dict())))
    assert again.as_dict() == inventory.as_dict()
    assert again.combinations.keys() == inventory.combinations.keys()


@pytest.mark.parametrize(
    ("keyword", "value", "code", "side", "view"),
    [
        ("BodyPartExamined", "HAND", "85562004", None, None),
        ("StudyDescription", "Knie links a.p.", "72696002", "left", "399348003"),
        ("AnatomicRegionSequence", "T-D8700^Hand^SRT", "85562004", None, None),
        ("ProcedureCodeSequence", "X1^Knee right^99X", "72696002", "right", None),
        ("ViewCodeSequence", "R-10206^antero-posterior^SRT", None, None, "399348003"),
        ("ViewPosition", "PA", None, None, "272479007"),
        ("ImageLaterality", "R", None, "right", None),
        ("a column", "KNIE LI", "72696002", "left", None),
        ("SeriesDescription", "qwertz", None, None, None),
    ],
)
def test_what_a_value_says(library, keyword, value, code, side, view):
    found = answer_of(library, keyword, value)
    assert (found.sites[0].code if found.sites else None) == code
    assert found.laterality == side
    assert (found.view.code if found.view else None) == view


ARCHIVE = (
    (90, {"BodyPartExamined": "KNEE", "StudyDescription": "XR ZQK", "Modality": "DX"}),
    (10, {"BodyPartExamined": "ANKLE", "StudyDescription": "XR ZQK", "Modality": "DX"}),
    (40, {"BodyPartExamined": "HND L", "Modality": "CR"}),
    (5, {"StudyDescription": "KNEEE", "Modality": "none of these"}),
    (20, {"BodyPartExamined": "Chest", "ViewPosition": "PA", "ImageLaterality": "U"}),
)


@pytest.fixture(scope="module")
def report(library):
    return report_of(inventory_of(*ARCHIVE), library)


def row_of(report, keyword, value):
    return next(row for row in report.rows if (row.field, row.value) == (keyword, value))


def test_coverage_counts_values_rows_and_images(report):
    coverage = {one.field: one for one in report.coverage}
    body = coverage["BodyPartExamined"]
    assert (body.values, body.images, body.rows) == (4, 160, 160)
    assert (body.defined, body.defined_images) == (2, 100)
    assert body.images_understood == sum(
        row.count.images
        for row in report.rows
        if row.field == "BodyPartExamined" and row.understood
    )
    assert coverage["Modality"].values_understood == 2
    assert coverage["ImageLaterality"].values_understood == 0
    assert coverage["ViewPosition"].images_understood == 20
    assert report.images == 165


def test_rows_are_ordered_by_attribute_and_frequency(report):
    body = [row.value for row in report.rows if row.field == "BodyPartExamined"]
    assert body == ["KNEE", "HND L", "Chest", "ANKLE"]
    assert report.rows[0].field == "BodyPartExamined"
    assert report.rows[0].answer.rows[0].split(":")[0].endswith(".tsv")


def test_an_open_value_is_explained_by_its_companions(report):
    row = row_of(report, "StudyDescription", "XR ZQK")
    assert not row.answer.sites
    best = row.suggestions[0]
    assert best.code == "72696002"
    assert best.reasons[0] == "on 90% of the images, BodyPartExamined is 'KNEE'"
    assert all(one.code != "70258002" for one in row.suggestions)


def test_whole_headers_give_sites_and_regions(report):
    sites = {(one.code, one.laterality): one.images for one in report.sites}
    assert sites["72696002", None] >= 90
    assert report.regions["lower limb"] >= 100
    assert report.regions["chest"] == 20
    assert sum(report.regions.values()) == report.images_answered
    assert report.images_known == 165


def test_values_below_the_least_count_are_counted_but_not_listed(library):
    found = report_of(inventory_of(*ARCHIVE), library, min_count=15)
    assert {row.count.images for row in found.rows if row.count.images < 15} == set()
    body = next(one for one in found.coverage if one.field == "BodyPartExamined")
    assert body.values == 4
    assert found.hidden == 3
    assert any("below --min-count" in line for line in summary(found))


def test_cells_have_the_columns_of_the_report(report):
    for row in report.rows:
        assert tuple(row.cells()) == COLUMNS
        json.dumps(row.as_dict())


def test_a_decision_is_the_method_of_its_value(library, tmp_path):
    rules = Rules(library.graph, library.text.words.views)
    rows = [
        rules.check(Proposal(value, codes), "person:joe", "2026-11-20").rows
        for value, codes in (("XR ZQK", ("72696002",)), ("HND L", ()))
    ]
    Decisions(tmp_path).decide(rows, "person:joe", "import")
    site = Terminology.over(library.graph, local=LocalMappings.read(tmp_path))
    found = report_of(inventory_of(*ARCHIVE), site)
    decided = row_of(found, "StudyDescription", "XR ZQK")
    assert decided.answer.method is Method.DECISION
    assert decided.answer.rows[0].startswith("local/header-words")
    none = row_of(found, "BodyPartExamined", "HND L")
    assert none.decided_none
    assert none.understood
    assert not none.suggestions


def test_the_page_holds_no_markup_of_a_header(library):
    value = "<script>alert(1)</script>&\"'"
    found = report_of(inventory_of((3, {"StudyDescription": value})), library)
    html = page(found, "scan of <b>", [("<i>.dcm", "no & yes")])
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;" in html
    assert "&lt;i&gt;.dcm" in html
    assert "scan of &lt;b&gt;" in html
    assert "http:" not in html
    assert "https:" not in html


def test_the_page_shows_bars_and_the_body(report):
    html = page(report, "ours")
    assert html.count('class="bar"') > 5
    assert "<title>lower limb: 1" in html
    assert "Values to decide" in html


@pytest.mark.parametrize("rows", [(), ((1, {"Modality": "DX"}),)])
def test_an_archive_without_words_is_a_report_too(library, rows):
    found = report_of(inventory_of(*rows), library)
    assert found.images_answered == 0
    assert "0 codes" in summary(found)[0]
    assert page(found, "empty")


@pytest.fixture(scope="module")
def suggestions(library):
    return Suggestions(library.text.words, library.graph)


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("SCHULTTER", "16982005", "is near"),
        ("XKNIEGELENKX", "72696002", "is in"),
        ("HANDGELENKSDINGS", "74670003", "is in"),
    ],
)
def test_near_words_and_parts_of_words_are_suggested(suggestions, library, value, code, reason):
    found = suggestions.of(value)
    codes = {one.code for one in found} | {
        up for one in found for up in library.graph.ancestors(one.code)
    }
    assert code in codes
    assert any(reason in text for one in found for text in one.reasons)


def test_suggestions_are_ranked_and_few(suggestions):
    companions = [
        Companion("72696002", "Knee", 0.9, ("BodyPartExamined", "KNEE"), 0.9),
        Companion("70258002", "Ankle", 0.3, ("BodyPartExamined", "ANKLE"), 0.1),
        Companion("85562004", "Hand", 0.05, ("BodyPartExamined", "HAND"), 0.05),
    ]
    found = suggestions.of("ZZQ", companions)
    assert [one.code for one in found] == ["72696002", "70258002"]
    assert found[0].score > found[1].score > 0
    assert all(0 < one.score < 1 for one in found)
    assert found[0].reasons == ("on 90% of the images, BodyPartExamined is 'KNEE'",)
    assert found[1].reasons == (
        "30% of the images name it; on 10% of the images, BodyPartExamined is 'ANKLE'",
    )


@pytest.mark.parametrize(
    ("value", "siteless"),
    [("a.p. links 2", True), ("p.a. stehend", True), ("qwertz a.p.", False), ("Knie a.p.", False)],
)
def test_a_value_of_known_words_without_a_site_is_not_open(library, value, siteless):
    found = report_of(inventory_of((7, {"SeriesDescription": value})), library)
    (row,) = found.rows
    assert row.answer.siteless == siteless
    assert (row.cells()["method"] == "no site named") == siteless
    assert is_open(row) == (not siteless and not row.answer.sites)
    assert found.coverage[0].images_siteless == (7 if siteless else 0)


def test_near_decisions_are_suggested(library):
    rules = Rules(library.graph, library.text.words.views)
    rows = rules.check(Proposal("ZQK OPD 2", ("72696002",)), "person:joe", "2026-11-20").rows
    found = Suggestions(library.text.words, library.graph, rows).of("OPD ZQK 3")
    assert found[0].code == "72696002"
    assert "'ZQK OPD 2' was decided so" in found[0].reasons


@pytest.mark.parametrize("value", ["k" * 1_000_000, "knie" * 250_000, "q1 " * 300_000])
def test_a_value_of_a_million_letters_is_no_task(suggestions, value):
    assert len(suggestions.of(value)) <= 3


@pytest.mark.parametrize("value", ["T-D9200", "T-D9200^Foot", "113257007^x^SCT^y", "^^"])
def test_a_column_of_codes_need_not_be_whole(library, value):
    inventory = Inventory()
    inventory.add((("AnatomicRegionSequence", value),))
    assert [row.value for row in report_of(inventory, library).rows] == [value]


def test_any_value_has_suggestions_or_none(library):
    suggestions = Suggestions(library.text.words, library.graph)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def holds(value):
        for one in suggestions.of(value):
            assert one.code in library.graph

    holds()


def test_only_the_most_frequent_open_values_have_suggestions(monkeypatch):
    monkeypatch.setattr(scan_report, "SUGGESTED", 1)
    inventory = Inventory()
    for value, images in (("femurzz qqw", 5), ("schulterzz qqqw wwx", 9)):
        inventory.add((("StudyDescription", value),), rows=images, images=images)
    report = report_of(inventory, load_terminology())
    suggested = {row.value: bool(row.suggestions) for row in report.rows}
    assert suggested == {"femurzz qqw": False, "schulterzz qqqw wwx": True}
    assert report.unsuggested == 1
