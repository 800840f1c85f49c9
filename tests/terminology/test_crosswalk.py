import pytest

from terminology import crosswalk as systems
from terminology.concept import DICOM, Coding, Laterality
from terminology.crosswalk import Crosswalk
from terminology.errors import TableError, UnknownSystemError
from terminology.mapping import MappingSet, SemanticMapping


@pytest.fixture(scope="module")
def crosswalk():
    return Crosswalk.load()


@pytest.mark.parametrize(
    ("system", "code", "target", "predicate", "laterality"),
    [
        (systems.DICOM_BODY_PART, "CHEST", "816094009", "skos:exactMatch", None),
        (systems.DICOM_BODY_PART, "chest", "816094009", "skos:exactMatch", None),
        (systems.DICOM_BODY_PART, "HAND", "85562004", "skos:exactMatch", None),
        (systems.IRMA_ANATOMY, "414", "85151006", "skos:exactMatch", Laterality.LEFT),
        (systems.IRMA_ANATOMY, "61", None, "skos:exactMatch", Laterality.RIGHT),
        (systems.IRMA_ANATOMY, "62", None, "skos:exactMatch", Laterality.LEFT),
        (systems.IRMA_ANATOMY, "5", "816094009", "skos:exactMatch", None),
        (systems.UNIFESP, "3", "816094009", "skos:exactMatch", None),
        (systems.UMLS, "C0024109", "39607008", "skos:exactMatch", None),
    ],
)
def test_a_code_translates_best_target_first(
    crosswalk, system, code, target, predicate, laterality
):
    best = crosswalk.translate(Coding(system, code)).targets[0]
    assert target in (None, best.code)
    assert best.predicate == predicate
    assert best.laterality is laterality
    assert best.rows[0].partition(":")[2].isdigit()


def test_a_sided_code_gives_the_sided_concept_and_the_unsided_one_with_its_side(crosswalk):
    targets = crosswalk.translate(Coding(systems.IRMA_ANATOMY, "415")).targets
    assert [target.laterality for target in targets] == [Laterality.RIGHT] * len(targets)
    assert "85562004" in {
        target.code for target in targets if target.predicate == "skos:broadMatch"
    }


@pytest.mark.parametrize(
    ("system", "code", "reason"),
    [
        (systems.IRMA_ANATOMY, "0", "unspecified"),
        (systems.IRMA_ANATOMY, "zz9", "not in irma-anatomy-2008"),
        (systems.UNIFESP, "14", "unifesp"),
        (systems.UMLS, "C0376152", "umls-cui"),  # captions say "arrow"
        (systems.DICOM_BODY_PART, "KNUCKLEDUSTER", "not in dicom-body-part-examined"),
    ],
)
def test_no_target_comes_with_its_reason(crosswalk, system, code, reason):
    translation = crosswalk.translate(Coding(system, code))
    assert translation.targets == ()
    assert translation.reason is not None
    assert reason in translation.reason


def test_an_unknown_system_is_named(crosswalk):
    with pytest.raises(UnknownSystemError, match=r"'http://loinc\.org' is not mapped from"):
        crosswalk.translate(Coding("http://loinc.org", "LP7"))


def test_reverse_turns_the_predicate_round(crosswalk):
    hands = crosswalk.reverse("85562004", systems.IRMA_ANATOMY)
    by_code = {target.coding.code: target for target in hands}
    assert by_code["41"].predicate == "skos:exactMatch"
    # 414 left hand broadMatch 85562004 |Hand|: seen from the hand, the left hand is narrower.
    assert by_code["414"].predicate == "skos:narrowMatch"
    assert by_code["414"].laterality is Laterality.LEFT
    assert hands[0].coding.code == "41"


def test_reverse_spans_all_systems(crosswalk):
    found = {target.coding.system for target in crosswalk.reverse("39607008")}
    assert {systems.DICOM_BODY_PART, systems.IRMA_ANATOMY, systems.UMLS} <= found


def test_every_bad_table_is_reported_at_once(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.sssom.tsv").write_text("no header\n", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        Crosswalk.load(tmp_path)
    assert {problem.file for problem in caught.value.problems} == {
        "one.sssom.tsv",
        "two.sssom.tsv",
    }


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(TableError, match="no mapping table"):
        Crosswalk.load(tmp_path)


def _table(name: str, version: str | None, *rows: SemanticMapping) -> MappingSet:
    about = {"subject_source": "http://example.org/codes", "subject_source_version": version}
    return MappingSet(name, about, rows)


def _row(code: str, target: str, **slots) -> SemanticMapping:
    return SemanticMapping(
        subject_id=f"x:{code}",
        subject_label=None,
        subject_type=None,
        predicate_id="skos:exactMatch",
        predicate_modifier=None,
        object_id=target,
        object_label="x",
        object_laterality=None,
        mapping_justification="semapv:ManualMappingCuration",
        **slots,
    )


def test_the_same_code_may_mean_another_part_in_another_version():
    crosswalk = Crosswalk(
        [
            _table("new", "2008", _row("451", "snomedct:40983000")),
            _table("old", "2003", _row("451", "snomedct:85562004")),
        ]
    )
    source = "http://example.org/codes"
    assert crosswalk.versions(source) == ("2003", "2008")
    assert crosswalk.translate(Coding(source, "451")).targets[0].code == "40983000"
    old = crosswalk.translate(Coding(source, "451", version="2003"))
    assert old.targets[0].code == "85562004"
    with pytest.raises(UnknownSystemError, match="2003 or 2008"):
        crosswalk.translate(Coding(source, "451", version="1999"))
    assert [one.coding.version for one in crosswalk.reverse("85562004")] == ["2003"]


def test_the_first_table_that_decides_a_code_decides_it_alone():
    crosswalk = Crosswalk(
        [
            _table("own", None, _row("1", "snomedct:85562004")),
            _table("shipped", None, _row("1", "snomedct:40983000"), _row("2", "dcm:CT")),
        ]
    )
    source = "http://example.org/codes"
    assert [one.code for one in crosswalk.translate(Coding(source, "1")).targets] == ["85562004"]
    assert crosswalk.reverse("40983000") == ()
    second = crosswalk.translate(Coding(source, "2")).targets[0]
    assert (second.system, second.code) == (DICOM, "CT")
    assert [one.coding.code for one in crosswalk.reverse("CT", target_system=DICOM)] == ["2"]


def test_a_sites_tables_are_exchanged_and_the_shipped_ones_kept():
    shipped = Crosswalk([_table("shipped", None, _row("1", "snomedct:40983000"))])
    own = shipped.decided_by([_table("own", None, _row("1", "snomedct:85562004"))])
    source = Coding("http://example.org/codes", "1")
    assert [one.code for one in own.translate(source).targets] == ["85562004"]
    assert [one.code for one in shipped.translate(source).targets] == ["40983000"]
    again = own.decided_by([])
    assert [one.code for one in again.translate(source).targets] == ["40983000"]
