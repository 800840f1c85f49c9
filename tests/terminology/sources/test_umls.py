"""CUIs as people write them, alone and in lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology.crosswalk import UMLS, Crosswalk
from terminology.identifiers import cui_problem
from terminology.mapping import SemanticMapping
from terminology.sources.codes import CodeReader
from terminology.sources.umls import cuis_of, is_blocked


@pytest.fixture(scope="module")
def reader() -> CodeReader:
    return CodeReader(Crosswalk.load())


@pytest.mark.parametrize(
    ("value", "cuis", "others"),
    [
        ("C0817096", ("C0817096",), ()),
        ("  c0817096\n", ("C0817096",), ()),
        ("UMLS:C0817096", ("C0817096",), ()),
        ("umls: C0817096", ("C0817096",), ()),
        ("CUI=C0817096", ("C0817096",), ()),
        ("https://uts.nlm.nih.gov/uts/umls/concept/C0817096", ("C0817096",), ()),
        ("http://linkedlifedata.com/resource/umls/id/C0817096", ("C0817096",), ()),
        ("C0817096;C0024109", ("C0817096", "C0024109"), ()),
        ("C0817096, C0024109 | C0022742", ("C0817096", "C0024109", "C0022742"), ()),
        ("['C0817096', 'C0024109']", ("C0817096", "C0024109"), ()),
        ("ROCO_00020\tC0817096\tC0024109", ("C0817096", "C0024109"), ()),
        ("C0024109 C0817096 C0024109", ("C0024109", "C0817096"), ()),
        ("C0817096/C0024109", ("C0817096", "C0024109"), ()),
        ("C081709", (), ("C081709",)),
        ("C0817096 C08170966", ("C0817096",), ("C08170966",)),
        ("CHEST", (), ("CHEST",)),
        ("", (), ()),
        (" ;\t", (), ()),
    ],
)
def test_a_string_gives_its_cuis(
    value: str, cuis: tuple[str, ...], others: tuple[str, ...]
) -> None:
    found = cuis_of(value)
    assert (found.cuis, found.others) == (cuis, others)


@given(st.text(max_size=300))
def test_any_string_is_taken_apart_into_cuis_and_others(value: str) -> None:
    found = cuis_of(value)
    assert [cui for cui in found.cuis if cui_problem(cui)] == []
    assert len(set(found.cuis)) == len(found.cuis)


def test_a_cui_is_read_whatever_its_case_and_prefix(reader: CodeReader) -> None:
    for value in ("C0022742", "umls:c0022742", " C0022742 "):
        reading = reader.read("umls", value)
        assert reading.targets[0].code == "72696002", value
        assert [part.code for part in reading.parts] == ["C0022742"]
        assert reading.reason is None


def test_the_first_target_of_each_cui_comes_before_second_ones(reader: CodeReader) -> None:
    # C0003086 has the ankle, then the ankle joint.
    targets = [target.code for target in reader.read("umls", "C0003086;C0024109").targets]
    assert targets == ["344001", "39607008", "70258002"]


def test_a_blocked_cui_of_a_list_is_in_the_evidence_and_not_in_the_targets(
    reader: CodeReader,
) -> None:
    reading = reader.read(UMLS, "ROCO_1\tC0376152\tC0024109")
    assert [target.code for target in reading.targets] == ["39607008"]
    (blocked,) = [one for one in reading.evidence if one.words == ("C0376152",)]
    assert "arrow" in (blocked.note or "")
    assert reading.reason is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "'' holds no CUI"),
        ("hand", "'hand' is no CUI"),
        ("C9999999", "'C9999999' is not in"),
    ],
)
def test_what_maps_nowhere_says_why(reader: CodeReader, value: str, reason: str) -> None:
    reading = reader.read("umls", value)
    assert reading.targets == ()
    assert reason in (reading.reason or "")


def test_the_side_of_a_list_is_the_one_that_all_targets_share(reader: CodeReader) -> None:
    assert reader.read("umls", "C0222600").laterality == "right"
    assert reader.read("umls", "C0222600;C0024109").laterality is None


def row(object_id: str, *, negated: bool = False, comment: str | None = None) -> SemanticMapping:
    return SemanticMapping(
        subject_id="UMLS:C0000001",
        subject_label=None,
        subject_type=None,
        predicate_id="skos:exactMatch",
        predicate_modifier="Not" if negated else None,
        object_id=object_id,
        object_label=None,
        object_laterality=None,
        mapping_justification="semapv:ManualMappingCuration",
        comment=comment,
    )


@pytest.mark.parametrize(
    ("rows", "blocked", "why"),
    [
        ([row("snomedct:85562004", negated=True)], True, "only a refused pair"),
        ([row("sssom:NoTermFound", comment="Blocked: arrow")], True, "says that it blocks"),
        ([row("sssom:NoTermFound", comment="A direction")], False, "only no counterpart"),
        ([row("snomedct:85562004")], False, "asserted"),
        (
            [row("snomedct:85562004"), row("snomedct:7569003", negated=True)],
            False,
            "one pair is refused, another holds",
        ),
        ([], False, "not in the tables"),
    ],
)
def test_which_rows_block_a_cui(rows: list[SemanticMapping], blocked: bool, why: str) -> None:
    assert is_blocked(rows) is blocked, why
