import numpy as np
import pytest

from classifier.evaluation import bootstrap
from classifier.evaluation.bootstrap import (
    Counted,
    draw_weights,
    intervals,
    mean_of_defined,
    ratio,
    weighted_intervals,
)


def accuracy(right):
    rows = np.column_stack([right, np.ones(len(right))]).astype(float)
    return Counted(("accuracy",), rows, lambda s: ratio(s[:, :1], s[:, 1:]))


def test_weights_are_how_often_each_group_is_drawn():
    weights = np.concatenate(list(draw_weights(7, 50, 1)))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.rint(weights)).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.5)


def test_what_is_drawn_depends_on_the_seed_and_not_on_the_blocks(monkeypatch):
    whole = np.concatenate(list(draw_weights(9, 40, 3)))
    monkeypatch.setattr(bootstrap, "_BLOCK_CELLS", 30)
    blocks = list(draw_weights(9, 40, 3))
    assert len(blocks) > 10
    assert (np.concatenate(blocks) == whole).all()
    assert (np.concatenate(list(draw_weights(9, 40, 4))) != whole).any()


def test_the_interval_equals_one_from_rows_drawn_one_by_one():
    rng = np.random.default_rng(0)
    right = rng.random(90) < 0.7
    groups = [f"p{one:02d}" for one in rng.integers(0, 30, 90)]
    names = sorted(set(groups))
    found = intervals(accuracy(right), groups, draws=400, seed=8)["accuracy"]
    means = []
    for weights in np.concatenate(list(draw_weights(len(names), 400, 8))):
        rows = [
            row
            for name, times in zip(names, weights, strict=True)
            for _ in range(int(times))
            for row in range(90)
            if groups[row] == name
        ]
        means.append(right[rows].mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert found.draws == 400


def test_images_of_one_patient_count_as_one_observation():
    right = np.repeat(np.arange(20) % 4 > 0, 25)
    apart = intervals(accuracy(right), [str(at) for at in range(500)], draws=2000)["accuracy"]
    together = intervals(accuracy(right), [str(at // 25) for at in range(500)], draws=2000)[
        "accuracy"
    ]
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 500), rel=0.1)
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_the_same_seed_gives_the_same_interval():
    right, groups = np.arange(50) % 3 > 0, [str(at) for at in range(50)]
    assert intervals(accuracy(right), groups, draws=100) == intervals(
        accuracy(right), groups, draws=100
    )


@pytest.mark.parametrize(("groups", "draws"), [(["a", "a"], 100), ([], 100), (["a", "b"], 0)])
def test_there_is_no_interval_without_two_groups_or_draws(groups, draws):
    counted = accuracy(np.ones(len(groups), dtype=bool))
    assert intervals(counted, groups, draws=draws) == {"accuracy": None}
    weighted = weighted_intervals(lambda weights: np.ones((len(weights), 1)), groups, draws=draws)
    assert weighted == [None]


def test_draws_that_leave_a_statistic_undefined_are_left_out():
    # Only one patient has a positive: about a third of the draws miss it.
    rows = np.column_stack([np.arange(30) == 0, np.arange(30) == 0]).astype(float)
    counted = Counted(("recall",), rows, lambda s: ratio(s[:, :1], s[:, 1:]))
    found = intervals(counted, [str(at) for at in range(30)], draws=1000)["recall"]
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.draws == pytest.approx(1000 * (1 - (29 / 30) ** 30), abs=60)


def test_weighted_statistics_see_the_weight_of_each_row():
    values = np.arange(40) % 7 / 7
    groups = [str(at // 2) for at in range(40)]
    rows = np.column_stack([values, np.ones(40)])
    counted = Counted(("mean",), rows, lambda s: ratio(s[:, :1], s[:, 1:]))
    by_sums = intervals(counted, groups, draws=300, seed=2)["mean"]
    (by_rows,) = weighted_intervals(
        lambda weights: (weights @ values / weights.sum(axis=1))[:, None],
        groups,
        draws=300,
        seed=2,
    )
    assert (by_rows.low, by_rows.high) == pytest.approx((by_sums.low, by_sums.high))


def test_a_ratio_over_nothing_is_not_a_number():
    assert ratio(np.array([1, 0]), np.array([2, 0]))[0] == 0.5
    assert np.isnan(ratio(np.array([1, 0]), np.array([2, 0]))[1])
    assert mean_of_defined(np.array([[1.0, np.nan, 3.0]])).tolist() == [2.0]
    assert np.isnan(mean_of_defined(np.array([[np.nan]]))).all()
