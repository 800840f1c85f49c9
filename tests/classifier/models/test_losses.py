import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.errors import NetworkError
from classifier.models.coherence import Coherence
from classifier.models.losses import (
    LabelStatistics,
    LossSettings,
    class_loss,
    total_loss,
    visible_loss,
)
from tests.classifier.models.made import DIAMOND, SPACE, vocabularies, vocabulary

PLAIN = LossSettings()


def flags(*rows):
    return torch.tensor([[one == "1" for one in row] for row in rows])


def logit(*shares):
    return torch.tensor([[math.log(share / (1 - share)) for share in shares]])


PROBABLE = torch.tensor([[0.5, 0.3, 0.2]]).log()


@pytest.mark.parametrize(
    ("allowed", "expected", "reason"),
    [
        ("100", -math.log(0.5), "a plain label"),
        ("011", -math.log(0.5), "a coarse one: .3 + .2"),
        ("101", -math.log(0.7), "a coarse one: .5 + .2"),
        ("000", 0.0, "nothing known"),
        ("111", 0.0, "everything possible"),
    ],
)
def test_loss_of_a_label_is_that_of_all_it_allows(allowed, expected, reason):
    scores = PROBABLE.clone().requires_grad_()
    loss = class_loss(scores, flags(allowed), PLAIN)
    assert loss.item() == pytest.approx(expected, abs=1e-6), reason
    loss.backward()
    assert scores.grad.isfinite().all()


def test_gradient_of_a_coarse_label_keeps_the_shares_below_it():
    scores = PROBABLE.clone().requires_grad_()
    class_loss(scores, flags("011"), PLAIN).backward()
    # softmax less softmax within {.3, .2}
    torch.testing.assert_close(scores.grad, torch.tensor([[0.5, 0.3 - 0.6, 0.2 - 0.4]]))


def test_rows_that_say_nothing_are_no_part_of_the_mean():
    allowed = flags("100", "000", "111", "011")
    loss = class_loss(PROBABLE.expand(4, -1), allowed, PLAIN)
    assert loss.item() == pytest.approx(-math.log(0.5))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_plain_labels_cost_what_cross_entropy_costs(smoothing):
    scores = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    right = torch.arange(16) % 5
    expected = functional.cross_entropy(scores, right, label_smoothing=smoothing)
    settings = LossSettings(label_smoothing=smoothing)
    found = class_loss(scores, functional.one_hot(right, 5).bool(), settings)
    torch.testing.assert_close(found, expected)


def test_smoothing_says_nothing_on_what_lies_below_a_coarse_label():
    # Two divisions of the same mass among the allowed classes cost the same.
    settings = LossSettings(label_smoothing=0.2)
    even, uneven = (torch.tensor([row]).log() for row in ([0.4, 0.4, 0.2], [0.7, 0.1, 0.2]))
    costs = [class_loss(row, flags("110"), settings).item() for row in (even, uneven)]
    # (1 - .2 / 3) of -log .8 and .2 / 3 of -log .2
    expected = -(1 - 0.2 / 3) * math.log(0.8) - 0.2 / 3 * math.log(0.2)
    assert costs == pytest.approx([expected, expected], abs=1e-6)
    everything = class_loss(even, flags("111"), settings)
    assert everything.item() == 0


def test_focal_loss_of_one_label_by_hand():
    loss = class_loss(PROBABLE, flags("100"), LossSettings(focal=2.0))
    assert loss.item() == pytest.approx(0.25 * math.log(2))


@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_and_gradients_of_extreme_scores_are_finite(focal, smoothing):
    settings = LossSettings(label_smoothing=smoothing, focal=focal)
    for extreme in ([1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, 0.0]):
        scores = torch.tensor([extreme] * 4, requires_grad=True)
        loss = class_loss(scores, flags("100", "011", "000", "111"), settings)
        loss = loss + visible_loss(
            scores,
            flags("100", "110", "000", "111"),
            flags("110", "110", "111", "101"),
            Coherence(vocabulary((), (0,), (0,))),
            settings,
        )
        loss.backward()
        assert loss.isfinite()
        assert scores.grad.isfinite().all()


def test_small_losses_keep_their_digits():
    # log(1 + e^-20), which a difference of two logarithms of sums would lose in single precision.
    loss = class_loss(torch.tensor([[20.0, 0.0]]), flags("10"), PLAIN)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-5)


def test_head_with_one_class_costs_nothing():
    scores = torch.randn(3, 1, requires_grad=True)
    loss = class_loss(scores, flags("1", "0", "1"), LossSettings(label_smoothing=0.1, focal=1.0))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(scores.grad, torch.zeros(3, 1))


# A above B; the picture shows A, and not B.
TWO = vocabulary((), (0,))


def test_wrong_part_earns_no_credit_for_its_region():
    # Giunchiglia & Lukasiewicz 2020, section 3: h_A = .3, h_B = .4, A right and B wrong. The
    # constrained score of A is .4 by B: -ln .4 - ln .6 would have B raised. MCLoss is
    # -ln .3 - ln .6, so that A rises and B falls.
    scores = logit(0.3, 0.4).requires_grad_()
    loss = visible_loss(scores, flags("10"), flags("11"), Coherence(TWO), PLAIN)
    assert loss.item() == pytest.approx((-math.log(0.3) - math.log(0.6)) / 2)
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[-0.7, 0.4]]) / 2)


def test_right_part_earns_credit_for_its_region():
    # Both right: A is covered by .4 of B, and B gets the gradient of both.
    scores = logit(0.3, 0.4).requires_grad_()
    loss = visible_loss(scores, flags("11"), flags("11"), Coherence(TWO), PLAIN)
    assert loss.item() == pytest.approx(-math.log(0.4))
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[0.0, -0.6]]))


def test_absent_region_answers_for_the_highest_below_it():
    scores = logit(0.3, 0.4).requires_grad_()
    loss = visible_loss(scores, flags("00"), flags("11"), Coherence(TWO), PLAIN)
    assert loss.item() == pytest.approx(-math.log(0.6))
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[0.0, 0.4]]))


def test_unknown_part_neither_earns_credit_nor_is_taught():
    # A coarse label: A is there, of B nothing is known. B would be ahead.
    scores = logit(0.3, 0.9).requires_grad_()
    loss = visible_loss(scores, flags("10"), flags("10"), Coherence(TWO), PLAIN)
    assert loss.item() == pytest.approx(-math.log(0.3))
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[-0.7, 0.0]]))


def test_unknown_region_above_an_absent_part_is_left_alone():
    scores = logit(0.3, 0.9).requires_grad_()
    loss = visible_loss(scores, flags("00"), flags("01"), Coherence(TWO), PLAIN)
    assert loss.item() == pytest.approx(-math.log(0.1), rel=1e-5)
    loss.backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[0.0, 0.9]]))


def test_present_counts_only_where_it_is_known():
    scores = logit(0.3, 0.9)
    known = flags("10")
    losses = [
        visible_loss(scores, present, known, Coherence(TWO), PLAIN)
        for present in (flags("10"), flags("11"))
    ]
    assert torch.equal(*losses)


def test_nothing_known_costs_nothing():
    scores = torch.randn(2, 6, requires_grad=True)
    unknown = torch.zeros(2, 6, dtype=torch.bool)
    loss = visible_loss(scores, unknown, unknown, Coherence(DIAMOND), PLAIN)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(scores.grad, torch.zeros(2, 6))


@given(vocabularies(), st.integers(0, 2**32 - 1))
def test_visible_loss_is_the_published_one_where_all_is_known(names, seed):
    chance = np.random.default_rng(seed)
    scores = torch.from_numpy(chance.normal(size=(4, len(names))))
    present = torch.zeros(4, len(names), dtype=torch.bool)
    for row in range(4):
        present[row, sorted(names.closed([int(chance.integers(len(names)))]))] = True
    shares = scores.sigmoid()
    total = 0.0
    for row in range(4):
        for column in range(len(names)):
            below = sorted({column, *names.descendants[column]})
            if present[row, column]:
                total -= math.log(max(shares[row, c] * present[row, c] for c in below))
            else:
                total -= math.log(1 - max(shares[row, c] for c in below))
    found = visible_loss(scores, present, torch.ones_like(present), Coherence(names), PLAIN)
    assert found.item() == pytest.approx(total / present.numel(), rel=1e-4)


def made_targets():
    """Return four samples: examined c1, c1, c1 or c3 or c4, unknown."""
    examined = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    present = np.zeros((4, 6), dtype=bool)
    known = np.zeros((4, 6), dtype=bool)
    present[:3, :2] = known[:3, :2] = True
    known[:3, 5] = True
    present[3, 5] = known[3, 5] = True
    known[3, :5] = True
    return Targets(
        {
            Head.EXAMINED: examined,
            Head.VIEW: np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool),
            Head.MODALITY: np.ones((4, 1), dtype=bool),
        },
        present,
        known,
    )


def batch(targets):
    arrays = {str(head): flags_ for head, flags_ in targets.allowed.items()}
    arrays |= {"present": targets.present, "known": targets.known}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def test_statistics_share_coarse_labels_and_leave_none_impossible():
    found = LabelStatistics.of(made_targets())
    # 2 + 1/3, 1/3, 1/3, 0 and one more for each
    expected = torch.tensor([10 / 3, 4 / 3, 4 / 3, 1.0]) / 7
    torch.testing.assert_close(found.prior(Head.EXAMINED), expected)
    torch.testing.assert_close(found.prior(Head.VIEW), torch.tensor([0.5, 0.5]))
    assert found.present.tolist() == [3, 3, 0, 0, 0, 1]
    assert found.absent.tolist() == [1, 1, 1, 1, 1, 3]


def test_logit_adjustment_adds_log_priors():
    prior = torch.tensor([0.7, 0.2, 0.1])
    scores = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    allowed = flags("100", "010", "001", "011")
    found = class_loss(scores, allowed, LossSettings(logit_adjustment=0.5), prior)
    expected = class_loss(scores + 0.5 * prior.log(), allowed, PLAIN)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("exponent", "cap"), [(1.0, 1.0), (0.5, 1.0), (1.0, 1.5)])
def test_class_weights_are_those_of_cross_entropy(exponent, cap):
    prior = torch.tensor([0.7, 0.2, 0.1])
    weight = (3 * prior) ** -exponent
    if cap > 1:
        weight = weight.clamp(1 / cap, cap)
    scores = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    right = torch.arange(6) % 3
    expected = functional.cross_entropy(scores, right, weight=weight)
    settings = LossSettings(class_weight=exponent, balance_cap=cap)
    found = class_loss(scores, functional.one_hot(right, 3).bool(), settings, prior)
    torch.testing.assert_close(found, expected)


def test_rare_visible_labels_count_more_up_to_the_cap():
    counts = LabelStatistics({}, torch.tensor([10, 1, 0]), torch.tensor([40, 1000, 50]))
    scores = torch.zeros(1, 3)
    loss = visible_loss(
        scores,
        flags("110"),
        flags("111"),
        Coherence(vocabulary((), (), ())),
        LossSettings(balance_cap=20),
        counts,
    )
    # 4 times, 20 times instead of 1000, and a negative as it is
    assert loss.item() == pytest.approx((4 + 20 + 1) * math.log(2) / 3)


def test_total_is_the_weighted_sum_of_the_heads():
    outputs = {head: torch.zeros(4, len(SPACE.columns(head))) for head in SPACE.heads}
    settings = LossSettings(head_weights={"visible": 0.5, "view": 0.0})
    total, each = total_loss(outputs, batch(made_targets()), SPACE, settings, Coherence(DIAMOND))
    assert each == pytest.approx(
        {
            "examined": (2 * math.log(4) + math.log(4 / 3)) / 3,
            "visible": math.log(2),
            "view": math.log(2),
            "modality": 0.0,
        },
        abs=1e-6,
    )
    assert total.item() == pytest.approx(each["examined"] + 0.5 * each["visible"])


def test_all_settings_at_once_give_finite_gradients_in_half_precision():
    targets = made_targets()
    settings = LossSettings(0.1, 2.0, 1.0, 0.5, 20.0)
    outputs = {
        head: torch.randn(4, len(SPACE.columns(head))).bfloat16().requires_grad_()
        for head in SPACE.heads
    }
    arguments = (batch(targets), SPACE, settings, Coherence(DIAMOND), LabelStatistics.of(targets))
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = total_loss(outputs, *arguments)
    single, _ = total_loss({head: one.float() for head, one in outputs.items()}, *arguments)
    assert total.dtype is torch.float32
    torch.testing.assert_close(total, single)
    total.backward()
    assert all(one.grad.isfinite().all() for one in outputs.values())


def test_space_without_visible_head_needs_no_visible_targets():
    space = LabelSpace(DIAMOND, {Head.VIEW: ("frontal", "lateral")}, visible=False)
    targets = {"view": flags("10", "01")}
    outputs = {Head.VIEW: torch.zeros(2, 2)}
    total, each = total_loss(outputs, targets, space, PLAIN, Coherence(DIAMOND))
    assert each == {"view": pytest.approx(math.log(2))}
    assert total.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "settings",
    [LossSettings(logit_adjustment=1), LossSettings(class_weight=1), LossSettings(balance_cap=20)],
)
def test_settings_that_need_statistics_do_not_go_without(settings):
    assert settings.needs_statistics
    outputs = {head: torch.zeros(4, len(SPACE.columns(head))) for head in SPACE.heads}
    with pytest.raises(NetworkError, match=r"Pass LabelStatistics\.of\(targets\)"):
        total_loss(outputs, batch(made_targets()), SPACE, settings, Coherence(DIAMOND))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label_smoothing": 1.0}, "loss label_smoothing: '1.0'"),
        ({"focal": -1.0}, "loss focal: '-1.0'"),
        ({"logit_adjustment": math.inf}, "loss logit_adjustment: 'inf'"),
        ({"class_weight": 2.0}, "loss class_weight: '2.0'"),
        ({"balance_cap": 0.5}, "loss balance_cap: '0.5'; expected 1 or more"),
        ({"head_weights": {"seen": 1.0}}, "loss head_weights: 'seen'; expected one of examined"),
        ({"head_weights": {"view": -1.0}}, "loss head_weights view: '-1.0'"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(NetworkError, match=message):
        LossSettings(**values)
