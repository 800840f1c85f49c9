import itertools

import numpy as np
import pytest

from classifier.evaluation.irma_error import (
    Branching,
    axis_error,
    error_matrix,
    hedge,
    image_error,
    run_score,
)
from terminology.errors import IdentifierError
from terminology.sources.irma import Axis, IrmaCode
from terminology.sources.irma_lists import embedded_lists

# The table in print, for the true anatomical code 463; an axis weighs one quarter.
WORKED = [
    ("463", 0.0),
    ("46*", 0.025531),
    ("461", 0.051061),
    ("4**", 0.069297),
    ("***", 0.125000),
    ("47*", 0.138594),
    ("473", 0.138594),
    ("477", 0.138594),
    ("731", 0.250000),
]


def branching(version="2008"):
    return Branching.of(embedded_lists().of(version))


def codes(*anatomical):
    return [IrmaCode("1121", "120", one, "700") for one in anatomical]


@pytest.mark.parametrize(("answer", "error"), WORKED)
def test_the_printed_table_follows_from_the_definition(answer, error):
    assert axis_error("463", answer, (11, 7, 8)) / 4 == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize(("answer", "error"), [*WORKED, ("4*1", 0.069297), ("4*3", 0.069297)])
def test_the_printed_table_follows_from_the_list_of_2008(answer, error):
    truth, said = (IrmaCode.parse(f"1121-120-{one}-700") for one in ("463", answer))
    assert image_error(truth, said, branching()) == pytest.approx(error, abs=1e-6)


def test_what_follows_a_star_is_not_known_whatever_is_written_there():
    assert axis_error("463", "4*3", (11, 7, 8)) == axis_error("463", "4**", (11, 7, 8))


def test_branching_comes_from_the_list_in_use():
    assert branching("2008").along(Axis.ANATOMICAL, "463") == (11, 7, 8)
    assert branching("2003").along(Axis.ANATOMICAL, "463") == (10, 7, 4)


@pytest.mark.parametrize(
    ("axis", "code", "along"),
    [
        (Axis.ANATOMICAL, "400", (11, 7, 1)),
        (Axis.ANATOMICAL, "000", (11, 1, 1)),
        (Axis.TECHNICAL, "1121", (10, 7, 7, 19)),
    ],
)
def test_below_an_unspecified_position_there_is_one_choice(axis, code, along):
    assert branching().along(axis, code) == along


@pytest.mark.parametrize(("code", "position"), [("4z3", 2), ("46*", 3), ("z00", 1)])
def test_a_truth_that_the_list_lacks_is_refused(code, position):
    with pytest.raises(IdentifierError, match=f"anatomical axis, position {position}"):
        branching().along(Axis.ANATOMICAL, code)


def test_axes_of_different_widths_are_refused():
    with pytest.raises(ValueError, match="not equally long"):
        axis_error("463", "46", (11, 7, 8))


def test_all_stars_cost_half_and_all_wrong_costs_one():
    truth = IrmaCode.parse("1121-127-463-711")
    assert image_error(truth, IrmaCode.parse("****-***-***-***"), branching()) == 0.5
    assert image_error(truth, IrmaCode.parse("2000-200-700-200"), branching()) == 1.0


def test_the_score_of_a_run_is_the_sum_of_its_images():
    truths = codes("463", "463", "463")
    answers = codes("463", "461", "***")
    assert run_score(truths, answers, branching()) == pytest.approx(0.051061 + 0.125, abs=1e-6)
    assert run_score([], [], branching()) == 0


def test_a_star_for_an_unspecified_position_is_free_only_on_request():
    assert axis_error("400", "4**", (11, 7, 1)) > 0
    assert axis_error("400", "4**", (11, 7, 1), unspecified_free=True) == 0
    # A mistake above is still a mistake.
    assert axis_error("400", "7**", (11, 7, 1), unspecified_free=True) == 1


def test_the_matrix_holds_the_error_of_every_pair():
    truths, answers = codes("463", "400", "700"), codes("463", "46*", "731", "000")
    table = error_matrix(truths, answers, branching())
    for (row, truth), (column, answer) in itertools.product(enumerate(truths), enumerate(answers)):
        assert table[row, column] == pytest.approx(image_error(truth, answer, branching()))


def all_answers(alphabet):
    """Every code of three characters, with ``*`` anywhere it can stand."""
    for width in range(4):
        for said in itertools.product(alphabet, repeat=width):
            yield "".join(said).ljust(3, "*")


@pytest.mark.parametrize("free", [False, True])
def test_no_answer_at_all_has_a_smaller_expected_error_than_the_hedge(free):
    rng = np.random.default_rng(5)
    anatomical = ["463", "461", "411", "400", "731", "700"]
    classes = codes(*anatomical)
    # Characters of no class, too: the hedge never looks at them.
    every = [IrmaCode("1121", "120", one, "700") for one in all_answers("0134679")]
    table = error_matrix(classes, every, branching(), unspecified_free=free)
    for sharpness in (0.3, 1.0, 3.0):
        posterior = rng.dirichlet(np.full(len(classes), sharpness), size=150)
        said = hedge(posterior, classes, branching(), unspecified_free=free)
        costs = error_matrix(classes, said, branching(), unspecified_free=free)
        expected = (posterior * costs.T).sum(axis=1)
        assert np.allclose(expected, (posterior @ table).min(axis=1), atol=1e-9)


def by_rule_of_half(posterior, anatomical):
    """A character where its posterior, given those before it, is at least one half; else ``*``."""
    said, inside = "", np.ones(len(anatomical), dtype=bool)
    for at in range(3):
        mass = {}
        for code, p, within in zip(anatomical, posterior, inside, strict=True):
            if within:
                mass[code[at]] = mass.get(code[at], 0.0) + p
        best = max(mass, key=mass.__getitem__)
        if mass[best] / sum(mass.values()) < 0.5:
            break
        said += best
        inside &= [code.startswith(said) for code in anatomical]
    return said.ljust(3, "*")


def test_the_rule_of_half_is_right_at_the_last_position_and_not_above_it():
    # Two codes that part at the last position: there, the rule is exactly the minimiser.
    classes = codes("463", "461", "462")
    for share in (0.40, 0.49, 0.51, 0.60):
        posterior = np.array([share, (1 - share) / 2, (1 - share) / 2])
        (said,) = hedge(posterior[None], classes, branching())
        assert said.anatomical == by_rule_of_half(posterior, ["463", "461", "462"])
    # Above it, a character that leaves the rest open must be surer than one half.
    anatomical = ["461", "462", "463", "700"]
    posterior = np.array([0.17, 0.17, 0.17, 0.49])
    ruled = by_rule_of_half(posterior, anatomical)
    (said,) = hedge(posterior[None], codes(*anatomical), branching())
    assert (ruled, said.anatomical) == ("46*", "***")
    costs = error_matrix(codes(*anatomical), codes(ruled, said.anatomical), branching())
    by_rule, by_hedge = posterior @ costs
    assert by_hedge < by_rule


def test_a_certain_posterior_is_answered_in_full_and_an_even_one_with_stars():
    classes = codes("463", "700", "200", "911")
    (sure,) = hedge(np.array([[1.0, 0, 0, 0]]), classes, branching())
    (even,) = hedge(np.full((1, 4), 0.25), classes, branching())
    assert str(sure) == "1121-120-463-700"
    assert str(even) == "1121-120-***-700"


def test_no_rows_give_no_answers():
    assert hedge(np.zeros((0, 2)), codes("463", "700"), branching()) == ()
