"""Labels of the UNIFESP X-ray data set: strings of codes and names, and what they say together."""

from __future__ import annotations

import pytest

from terminology.crosswalk import UNIFESP, Crosswalk
from terminology.sources.codes import CodeReader
from terminology.sources.unifesp import LONGEST_STRING, UnifespLabels
from terminology.words import HeaderWords

LABELS = UnifespLabels.of(Crosswalk.load().mapping_sets(UNIFESP))
ABDOMEN_AND_PELVIS = "818982008"
ABDOMEN, PELVIS, CHEST, KNEE = "818981001", "816092008", "816094009", "72696002"


@pytest.fixture(scope="module")
def reader() -> CodeReader:
    return CodeReader(Crosswalk.load(), HeaderWords.load().regions)


@pytest.mark.parametrize(
    ("text", "codes", "unknown", "why"),
    [
        ("3", ("3",), (), "one label"),
        ("3 11", ("3", "11"), (), "as train.csv writes it"),
        ("3 11 ", ("3", "11"), (), "a blank at the end"),
        (" 3 ", ("3",), (), "blanks around it"),
        ("3,11", ("3", "11"), (), "commas"),
        ("[3, 11]", ("3", "11"), (), "a list as Python writes it"),
        ("['Chest', 'Knee']", ("3", "11"), (), "a list of names"),
        ("{3;11}", ("3", "11"), (), "a set"),
        ("3|11", ("3", "11"), (), "bars"),
        ("3.0", ("3",), (), "a number that went through a float column"),
        ("3. 11.", ("3", "11"), (), "the short form of the same"),
        ("03", ("3",), (), "a leading zero"),
        ("11 3 11", ("11", "3"), (), "each label once, in the order of the string"),
        ("CHEST", ("3",), (), "a name in upper case"),
        ("cervical spine", ("2",), (), "a name of two words"),
        ("Cervical_Spine", ("2",), (), "joined by an underscore"),
        ("CervicalSpine", ("2",), (), "joined by nothing"),
        ("lower leg knee", ("12", "11"), (), "names parted by blanks only"),
        ("Clavicle", ("4",), (), "the singular of a plural label"),
        ("Abdomen + Pelvis", ("0", "15"), (), "names and a plus"),
        ("3 Knee", ("3", "11"), (), "codes and names mixed"),
        ("21", ("21",), (), "the last code"),
        ("22", (), ("22",), "the first number that is no code"),
        ("-1", (), ("-1",), "a negative number is not its opposite"),
        ("3.5", (), ("3.5",), "a fraction is no code"),
        ("3-11", ("3",), ("-11",), "a hyphen parts nothing"),
        ("311", (), ("311",), "two codes without a blank are not guessed"),
        ("spine", (), ("spine",), "half a name is no name"),
        ("3 99 head", ("3",), ("99", "head"), "what is no label is named"),
        ("", (), (), "an empty string"),
        ("[]", (), (), "an empty list"),
    ],
)
def test_a_string_is_taken_apart_into_codes(
    text: str, codes: tuple[str, ...], unknown: tuple[str, ...], why: str
) -> None:
    assert LABELS.codes(text) == (codes, unknown), why


def test_a_string_that_is_no_list_of_labels_is_not_searched() -> None:
    codes, (unknown,) = LABELS.codes("3 " * LONGEST_STRING)
    assert codes == ()
    assert unknown.endswith("...")


@pytest.mark.parametrize("code", range(22))
def test_a_code_and_its_name_say_the_same(reader: CodeReader, code: int) -> None:
    by_code = reader.read("unifesp", str(code))
    by_name = reader.read("unifesp", LABELS.names[str(code)].upper())
    assert by_code.targets == by_name.targets
    assert by_code.parts == by_name.parts
    assert by_code.parts[0].display == LABELS.names[str(code)]
    assert bool(by_code.targets) == (LABELS.names[str(code)] != "Others")


def test_every_label_of_a_string_keeps_its_site(reader: CodeReader) -> None:
    reading = reader.read("unifesp", "3 11")
    assert [(part.system, part.code) for part in reading.parts] == [(UNIFESP, "3"), (UNIFESP, "11")]
    assert [target.code for target in reading.targets] == [CHEST, KNEE]
    assert reading.reason is None
    assert [row.partition(":")[0] for part in reading.evidence for row in part.rows] == [
        "unifesp.sssom.tsv",
        "unifesp.sssom.tsv",
    ]


@pytest.mark.parametrize(
    ("text", "first", "own", "why"),
    [
        ("0 15", ABDOMEN_AND_PELVIS, {ABDOMEN, PELVIS}, "abdomen and pelvis"),
        ("15 0", ABDOMEN_AND_PELVIS, {ABDOMEN, PELVIS}, "in any order"),
        ("0 11 15", ABDOMEN_AND_PELVIS, {ABDOMEN, PELVIS, KNEE}, "beside another label"),
        ("0 3 15", "416775004", {ABDOMEN, PELVIS, CHEST}, "the most labels that are one concept"),
        ("2 13 20", "421060004", {"122494005", "122496007", "122495006"}, "the whole spine"),
        ("13 20", "1217256009", {"122496007", "122495006"}, "the thoraco-lumbar spine"),
    ],
)
def test_labels_that_are_one_concept_give_it_first(
    reader: CodeReader, text: str, first: str, own: set[str], why: str
) -> None:
    combined, *others = reader.read("unifesp", text).targets
    assert combined.code == first, why
    assert own <= {target.code for target in others}
    assert any(row.startswith("header-combined-regions.tsv:") for row in combined.rows)


def test_best_targets_of_all_labels_come_before_lesser_ones(reader: CodeReader) -> None:
    reading = reader.read("unifesp", "10 21")
    assert [target.code for target in reading.targets[:2]] == ["29836001", "8205005"]
    assert {target.code for target in reading.targets[2:]} == {"24136001", "74670003"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("14", "A rest class"),
        ("99", "'99' is no UNIFESP label (0 to 21)"),
        ("14 99", "'99' is no UNIFESP label (0 to 21)"),
        ("", "no UNIFESP label is in the string"),
    ],
)
def test_a_string_without_a_site_says_why(reader: CodeReader, text: str, reason: str) -> None:
    reading = reader.read("unifesp", text)
    assert reading.targets == ()
    assert reading.reason is not None
    assert reason in reading.reason


def test_what_is_no_label_is_named_beside_those_that_are(reader: CodeReader) -> None:
    reading = reader.read("unifesp", "3 99")
    assert [target.code for target in reading.targets] == [CHEST]
    assert "'99' is no UNIFESP label (0 to 21)" in [part.note for part in reading.evidence]


def test_no_label_has_a_side(reader: CodeReader) -> None:
    assert all(reader.read("unifesp", str(code)).laterality is None for code in range(22))
