"""The IRMA code as a value: how it is written, what it agrees with, what stands above it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology.errors import IdentifierError
from terminology.sources.irma import Axis, IrmaCode, is_whole, specified


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("1121-120-930-700", "1121-120-930-700", "as the image sets write it"),
        (" 1121-4B0-233-700 ", "1121-4b0-233-700", "upper case and blanks around it"),
        ("1121120930700", "1121-120-930-700", "13 characters are clear without hyphens"),
        ("112D121500000", "112d-121-500-000", "the same in upper case"),
        ("1121-12-93-7", "1121-120-930-700", "short axes end unspecified"),
        ("1-1-0-0", "1000-100-000-000", "one character an axis"),
        ("1121-1*0-414-***", "1121-1**-414-***", "below an unknown position nothing is known"),
        ("1121-*-414-7", "1121-***-414-700", "a short axis that ends unknown"),
        ("1121-3*1-414-700", "1121-3**-414-700", "ImageCLEF: what follows a * is not specified"),
        ("1121-10*-414-700", "1121-100-414-700", "below a 0 all is unspecified"),
    ],
)
def test_a_code_is_read_as_people_write_it(text: str, code: str, why: str) -> None:
    assert str(IrmaCode.parse(text)) == code, why


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("112112093070", "code", "'112112093070' has 12 characters and no hyphens"),
        ("1121-120-930", "code", "'1121-120-930' has 3 axes"),
        ("1121-120-930-700-1", "code", "has 5 axes"),
        ("", "code", "has 0 characters"),
        ("1121--930-700", "code, directional axis", "no code"),
        ("1121-1200-930-700", "code, directional axis", "'1200' has 4 characters"),
        ("1121-120-9?0-700", "code, anatomical axis, position 2", "'?' of '9?0'"),
        ("1121-120-930-7ö0", "code, biological axis, position 2", "'ö' of '7ö0'"),
        ("1121-120-903-700", "code, anatomical axis, position 3", "'3' of '903' stands below a 0"),
        ("1021-120-930-700", "code, technical axis, position 3", "'2' of '1021' stands below a 0"),
    ],
)
def test_a_malformed_code_is_refused_where_it_is_wrong(text: str, where: str, what: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        IrmaCode.parse(text)
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.expected
    assert caught.value.remedy


def test_the_caller_says_where_a_code_stood() -> None:
    with pytest.raises(IdentifierError, match=r"^line 7, anatomical axis: no code; expected"):
        IrmaCode.parse("1121-120--700", where="line 7")


@pytest.mark.parametrize(
    ("axis", "text", "code"),
    [
        (Axis.ANATOMICAL, "414", "414"),
        (Axis.ANATOMICAL, "93", "930"),
        (Axis.ANATOMICAL, "91A", "91a"),
        (Axis.ANATOMICAL, "9*", "9**"),
        (Axis.TECHNICAL, "112", "1120"),
        (Axis.TECHNICAL, "*", "****"),
        (Axis.BIOLOGICAL, "0", "000"),
    ],
)
def test_an_axis_reads_its_code_alone(axis: Axis, text: str, code: str) -> None:
    assert axis.parse(text) == code


def test_the_axes_name_their_code_systems() -> None:
    assert [axis.system.rpartition("/")[2] for axis in Axis] == [
        "irma-technical",
        "irma-directional",
        "irma-anatomy",
        "irma-biological",
    ]


@pytest.mark.parametrize(("code", "said"), [("930", "93"), ("9**", "9"), ("000", ""), ("***", "")])
def test_what_a_code_says_ends_at_the_first_open_position(code: str, said: str) -> None:
    assert specified(code) == said


@pytest.mark.parametrize(
    ("one", "two", "agree", "why"),
    [
        ("1121-120-930-700", "1121-120-930-700", True, "the same"),
        ("1121-***-930-700", "1121-120-930-700", True, "* agrees with anything"),
        ("1121-120-930-700", "1121-120-9**-700", True, "on either side"),
        ("1121-120-930-700", "1121-120-931-700", False, "unspecified is not any"),
        ("1121-2**-930-700", "1121-120-930-700", False, "a known position differs"),
    ],
)
def test_codes_match_where_both_are_known(one: str, two: str, agree: bool, why: str) -> None:
    assert IrmaCode.parse(one).matches(IrmaCode.parse(two)) is agree, why


@pytest.mark.parametrize(
    ("above", "below", "holds"),
    [
        ("1121-120-930-700", "1121-120-930-700", True),
        ("1121-120-930-700", "1121-127-931-711", True),
        ("1121-120-931-700", "1121-120-930-700", False),
        ("0-0-9-0", "1121-120-930-700", True),
        ("0-0-9*-0", "1121-120-930-700", True),
        ("0-0-4-0", "1121-120-930-700", False),
    ],
)
def test_a_less_specific_code_subsumes(above: str, below: str, holds: bool) -> None:
    assert IrmaCode.parse(above).subsumes(IrmaCode.parse(below)) is holds


def test_the_parent_is_one_level_up_on_one_axis() -> None:
    code = IrmaCode.parse("1121-127-931-700")
    above = [str(one) for one in code.ancestors(Axis.ANATOMICAL)]
    assert above == ["1121-127-930-700", "1121-127-900-700", "1121-127-000-700"]
    assert code.parent(Axis.BIOLOGICAL) == IrmaCode.parse("1121-127-931-000")
    assert IrmaCode.parse("1121-127-000-700").parent(Axis.ANATOMICAL) is None
    assert IrmaCode.parse("1121-127-9*-700").parent(Axis.ANATOMICAL) == IrmaCode.parse(
        "1121-127-000-700"
    )


def test_codes_are_values() -> None:
    assert IrmaCode.parse("1121-12-93-7") == IrmaCode.parse("1121120930700")
    assert len({IrmaCode.parse("1121-12-93-7"), IrmaCode.parse("1121120930700")}) == 1


@pytest.mark.parametrize(
    ("text", "whole"), [("414", False), ("1121", False), ("1121-120", True), ("11211", True)]
)
def test_what_fits_an_axis_is_not_a_whole_code(text: str, whole: bool) -> None:
    assert is_whole(text) is whole


@given(st.text(max_size=20) | st.text("0129abz*-", max_size=20))
def test_any_string_is_a_code_or_refused_by_name(text: str) -> None:
    try:
        code = IrmaCode.parse(text)
    except IdentifierError:
        return
    assert IrmaCode.parse(str(code)) == code
    assert IrmaCode.parse(str(code).upper()) == code
    assert code.matches(code)
    assert code.subsumes(code)
