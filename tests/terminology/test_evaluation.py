import pytest

from terminology.concept import Laterality
from terminology.evaluation import Expected, Figures, evaluate, read_observed
from terminology.library import load_terminology

KNEE, HAND = "72696002", "85562004"


@pytest.mark.parametrize(
    ("row", "outcome", "reason"),
    [
        (Expected("knee", frozenset({KNEE})), (1, 0, 0), "the expected site"),
        (Expected("knee", frozenset({HAND, KNEE})), (1, 0, 0), "one of several"),
        (Expected("chest", frozenset({"51185008"})), (1, 0, 0), "a former code"),
        (Expected("knee", frozenset({HAND})), (0, 1, 0), "another site"),
        (Expected("knee", frozenset()), (0, 1, 0), "a site where there is none"),
        (Expected("xyzzy", frozenset({KNEE})), (0, 0, 1), "no answer"),
        (Expected("OTHER", frozenset()), (1, 0, 0), "no site, rightly"),
        (
            Expected("knee re", frozenset({KNEE}), None, Laterality.LEFT, True),
            (0, 1, 0),
            "the wrong side",
        ),
        (
            Expected("knee re", frozenset({KNEE}), None, Laterality.LEFT, False),
            (1, 0, 0),
            "the side is not asked for",
        ),
    ],
)
def test_right_wrong_and_none_are_told_apart(row, outcome, reason):
    figures = evaluate(load_terminology().text, [row])
    assert (figures.right, figures.wrong, figures.none) == outcome, reason
    assert bool(figures.misses) == (outcome[0] == 0)


def test_figures_are_said_in_one_line():
    assert str(Figures(200, 190, 4, 6)) == (
        "200 values: 190 right (95.0 %), 4 wrong (2.0 %), 6 without an answer (3.0 %)"
    )


def test_an_empty_table_has_no_shares():
    assert Figures(0, 0, 0, 0).share(0) == 0


def test_a_value_with_two_meanings_accepts_both():
    rows = [row for row in read_observed() if row.value.casefold() == "oberarm"]
    assert len(rows) == 2
    assert rows[0].codes == rows[1].codes == {"40983000", "85050009"}
