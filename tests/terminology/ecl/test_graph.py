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
        ("< 85562004", {"Left hand", "Finger", "Thumb"}),
        ("descendantOf 85562004", {"Left hand", "Finger", "Thumb"}),
        ("<! 85562004", {"Left hand", "Finger"}),
        ("> 85562004", {"Upper limb", "Body region", "Body structure"}),
        (">! 85562004", {"Upper limb"}),
        ("*", ALL),
        ("<< 85562004 AND > 76505004", {"Hand", "Finger"}),
        ("<< 85562004 MINUS << 7569003", {"Hand", "Left hand"}),
        ("!!> (<< 85562004)", {"Hand"}),
        ("!!< (<< 85562004)", {"Left hand", "Thumb"}),
        ("* : 272741003 = 7771000", {"Left hand"}),
        ('* {{ term = "arm" }}', {"Upper limb"}),
        ("85562004 AND 39607008", set()),
    ],
)
def test_an_expression_names_body_structures_of_the_graph(small, expression, expected):
    assert {concept.display for concept in expand(expression, small)} == expected


def test_the_answer_is_sorted_by_code(small):
    codes = [concept.code for concept in expand("*", small)]
    assert codes == sorted(codes)


def test_an_unknown_concept_is_named_with_its_position(small):
    with pytest.raises(EclError, match="unknown concept '64033007'") as caught:
        expand("<< 64033007", small)
    assert caught.value.position == 3
