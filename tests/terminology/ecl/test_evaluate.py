import pytest

from terminology.ecl import expand
from terminology.errors import EclError

ALL = {
    "Body structure", "Body region", "Upper limb", "Hand", "Left hand", "Finger", "Thumb",
    "Trunk", "Chest", "Thoracic structure", "Lung",
}  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("85562004", {"Hand"}),
        ("85562004 |Hand structure|", {"Hand"}),
        ("< 85562004", {"Left hand", "Finger", "Thumb"}),
        ("descendantOf 85562004", {"Left hand", "Finger", "Thumb"}),
        ("<<85562004", {"Hand", "Left hand", "Finger", "Thumb"}),
        ("DESCENDANTORSELFOF 85562004", {"Hand", "Left hand", "Finger", "Thumb"}),
        ("<! 85562004", {"Left hand", "Finger"}),
        ("<<! 85562004", {"Hand", "Left hand", "Finger"}),
        ("> 85562004", {"Upper limb", "Body region", "Body structure"}),
        (">> 85562004", {"Hand", "Upper limb", "Body region", "Body structure"}),
        (">! 85562004", {"Upper limb"}),
        (">>! 85562004", {"Hand", "Upper limb"}),
        ("*", ALL),
        ("<< *", ALL),
        ("< *", ALL - {"Body structure"}),
        ("<< 85562004 AND > 76505004", {"Hand", "Finger"}),
        ("<< 85562004 , > 76505004", {"Hand", "Finger"}),
        ("85562004 or 39607008", {"Hand", "Lung"}),
        ("<< 85562004 MINUS << 7569003", {"Hand", "Left hand"}),
        ("(<< 85562004 AND << 7569003) OR 39607008", {"Finger", "Thumb", "Lung"}),
        ("<< (85562004 OR 816094009)", {"Hand", "Left hand", "Finger", "Thumb", "Chest",
                                         "Thoracic structure", "Lung"}),
        ("!!> (<< 85562004)", {"Hand"}),
        ("!!< (<< 85562004)", {"Left hand", "Thumb"}),
        ("top (85562004 OR 39607008)", {"Hand", "Lung"}),
        ("/* the hand */ 85562004 /* with\n|no parts| */", {"Hand"}),
        ("85562004 AND 39607008", set()),
    ],
)  # fmt: skip
def test_expression(small, expression, expected):
    assert {concept.display for concept in expand(expression, small)} == expected


def test_the_answer_is_sorted_by_code(small):
    codes = [concept.code for concept in expand("*", small)]
    assert codes == sorted(codes)


@pytest.mark.parametrize(
    ("expression", "position", "message"),
    [
        ("", 0, "the expression ends"),
        ("<<", 2, "the expression ends"),
        ("(85562004", 9, r"expected '\)'"),
        ("85562004)", 8, "does not belong there"),
        ("85562004 85562004", 9, "does not belong there"),
        ("85562004 AND 7569003 OR 39607008", 21, "'OR' does not belong there"),
        ("85562004 MINUS 7569003 MINUS 39607008", 23, "does not belong there"),
        ("hand", 0, "'h' does not belong there"),
        ("<< 85562005", 3, "fails the SNOMED CT check digit"),
        ("<< 64033007", 3, "unknown concept '64033007'"),
        ("^ 700043003", 0, r"a reference set \(\^\) is not supported"),
        ("< 85562004 : 272741003 = 7771000", 11, r"a refinement \(:\) is not supported"),
        ('< 85562004 {{ term = "x" }}', 11, "a filter or group"),
        ("85562004 . 272741003", 9, "a dotted attribute"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_position(small, expression, position, message):
    with pytest.raises(EclError, match=message) as caught:
        expand(expression, small)
    assert caught.value.position == position


def test_brackets_without_end_are_refused_and_do_not_crash(small):
    with pytest.raises(EclError):
        expand("(" * 5000 + "85562004" + ")" * 5000 + "x", small)
    deep = "<<(" * 3000 + "85562004" + ")" * 3000
    with pytest.raises(EclError, match="nested too deep"):
        expand(deep, small)
