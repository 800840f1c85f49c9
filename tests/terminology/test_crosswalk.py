import pytest

from terminology import crosswalk as systems
from terminology.concept import Coding, Laterality
from terminology.crosswalk import Crosswalk
from terminology.errors import TableError, UnknownSystemError


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
    with pytest.raises(TableError) as caught:
        Crosswalk.load(tmp_path)
    assert len(caught.value.problems) == len(systems.TABLES)
