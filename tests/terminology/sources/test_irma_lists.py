"""The lists of the IRMA code: what they hold, how a text is put together, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminology.errors import IdentifierError, TableError, UnknownSystemError
from terminology.sources.irma import Axis, IrmaCode
from terminology.sources.irma_lists import IrmaLists, embedded_lists

SHOULDER = "upper extremity (arm) > shoulder"
PUBLISHED = "upper extremity / arm > shoulder"
HEADER = "axis\tcode\tparent\ttext\tversion\tsource\tcomment\n"


@pytest.mark.parametrize(
    ("axis", "code", "version", "text"),
    [
        (Axis.TECHNICAL, "1121", "2008", "x-ray > plain radiography > analog > overview image"),
        (Axis.TECHNICAL, "1120", "2008", "x-ray > plain radiography > analog"),
        (Axis.ANATOMICAL, "463", "2008", f"{SHOULDER} > right humero-scapular joint"),
        (Axis.ANATOMICAL, "463", "2003", f"{PUBLISHED} > acromio-scapula joint"),
        (Axis.ANATOMICAL, "93*", "2008", "lower extremity (leg) > lower leg"),
        (Axis.BIOLOGICAL, "700", "2008", "musculosceletal system"),
        (Axis.BIOLOGICAL, "000", "2008", "unspecified"),
        (Axis.BIOLOGICAL, "d00", "2008", "ACR-1: fat tranparent system"),
        (Axis.ANATOMICAL, "414", "2003", None),
        (Axis.ANATOMICAL, "***", "2008", None),
    ],
)
def test_the_text_of_a_code_is_its_path(
    axis: Axis, code: str, version: str, text: str | None
) -> None:
    assert embedded_lists().of(version).path(axis, code) == text


def test_without_a_version_the_newest_list_answers() -> None:
    lists = embedded_lists()
    assert lists.versions == ("2003", "2008")
    assert lists.of() is lists.of("2008")


def test_a_version_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownSystemError, match="'2005' of the IRMA code; expected 2003 or 2008"):
        embedded_lists().of("2005")


def test_a_list_knows_what_stands_below_a_code() -> None:
    codes = embedded_lists().of()
    assert codes.children(Axis.ANATOMICAL, "96") == ("960", "961", "962")
    assert codes.children(Axis.ANATOMICAL, "") == tuple("0123456789a")
    assert codes.children(Axis.ANATOMICAL, "961") == ()


@pytest.mark.parametrize(
    ("code", "version", "where", "expected"),
    [
        ("1121-120-414-700", "2003", "code, anatomical axis, position 3", "410, 411, 412, 413"),
        ("1121-120-b-700", "2008", "code, anatomical axis, position 1", "0, 1, 2, 3"),
        ("9999-120-414-700", "2008", "code, technical axis, position 3", "990, 991, 992"),
        ("1121-12z-414-700", "2008", "code, directional axis, position 3", "120, 121"),
    ],
)
def test_a_code_that_the_list_lacks_is_refused_at_its_position(
    code: str, version: str, where: str, expected: str
) -> None:
    codes = embedded_lists().of(version)
    with pytest.raises(IdentifierError) as caught:
        codes.check(IrmaCode.parse(code))
    assert caught.value.where == where
    assert version in caught.value.what
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize(
    ("row", "slot"),
    [
        ("anatomy\t4\t\tarm\t2008\ttest\t", "axis"),
        ("anatomical\t4150\t415\tarm\t2008\ttest\t", "code"),
        ("anatomical\t41\t5\thand\t2008\ttest\t", "parent"),
        ("anatomical\t41\t4\thand\t2008\ttest\t", "parent"),
        ("anatomical\t4\t\t\t2008\ttest\t", "text"),
        ("anatomical\t4\t\tarm\t2008\ttest\t\nanatomical\t4\t\tarm\t2008\ttest\t", "code"),
    ],
)
def test_a_bad_row_of_the_table_is_named(tmp_path: Path, row: str, slot: str) -> None:
    (tmp_path / "irma-codes.tsv").write_text(f"{HEADER}{row}\n", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        IrmaLists.load(tmp_path)
    assert [problem.slot for problem in caught.value.problems] == [slot]


@pytest.mark.parametrize("code", ["1121-120-414-700", "112d-12*-9*-***", "0-0-0-0"])
def test_a_code_that_the_list_holds_as_far_as_it_is_known_passes(code: str) -> None:
    embedded_lists().of().check(IrmaCode.parse(code))
