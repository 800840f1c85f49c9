import warnings

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR

from classifier.training.schedule import Schedule, apply

STEPS, EPOCH = 40, 10


def optimizer(kind: type[SGD] | type[AdamW] = SGD) -> SGD | AdamW:
    return kind([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def test_one_cycle_is_that_of_torch() -> None:
    ours = Schedule("one-cycle", warmup=0.25, start=0.04, end=1e-5)
    other = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = OneCycleLR(
        other, 1.0, total_steps=401, pct_start=0.25, div_factor=25, final_div_factor=1e5 / 25
    )
    for step in range(401):
        phase = ours.phase(step, 401, EPOCH)
        # torch's turning point lies at 0.25 N - 1, ours at 0.25 N.
        assert phase.factor == pytest.approx(theirs.get_last_lr()[0], abs=0.02)
        assert phase.momentum == pytest.approx(other.param_groups[0]["momentum"], abs=0.002)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step()


def test_warm_restarts_are_those_of_torch() -> None:
    ours = Schedule("warm-restarts", end=0.1, restart_epochs=2, restart_factor=2)
    other = optimizer()
    theirs = CosineAnnealingWarmRestarts(other, T_0=2, T_mult=2, eta_min=0.1)
    for step in range(14 * EPOCH):
        theirs.step(step / EPOCH)
        factor = ours.phase(step, 14 * EPOCH, EPOCH).factor
        assert factor == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        (Schedule("constant"), 17, 1.0),
        (Schedule("cosine", warmup=0.25, start=0.1, end=0.0), 0, 0.1),
        (Schedule("cosine", warmup=0.25, start=0.1, end=0.0), 5, 0.55),
        (Schedule("cosine", warmup=0.25, start=0.1, end=0.0), 10, 1.0),
        (Schedule("cosine", warmup=0.0, end=0.5), 0, 1.0),
        (Schedule("cosine", warmup=0.0, end=0.5), STEPS - 1, 0.5),
        (Schedule("one-cycle", warmup=0.25, start=0.04), 0, 0.04),
        (Schedule("one-cycle", warmup=0.25, end=1e-5), STEPS - 1, 1e-5),
        (Schedule("one-cycle", warmup=0.0), 0, 1.0),
        (Schedule("warm-restarts", end=0.0, restart_epochs=1), EPOCH, 1.0),
    ],
)
def test_factor_at_a_step(schedule: Schedule, step: int, factor: float) -> None:
    assert schedule.phase(step, STEPS, EPOCH).factor == pytest.approx(factor)


def test_a_run_of_one_step_has_a_rate() -> None:
    for name in ("one-cycle", "cosine", "warm-restarts", "constant"):
        assert 0 < Schedule(name).phase(0, 1, 1).factor <= 1


def test_momentum_turns_in_sgd_and_in_the_first_beta() -> None:
    phase = Schedule("one-cycle").phase(0, STEPS, EPOCH)
    sgd = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    adam, plain = optimizer(AdamW), optimizer()
    for one in (sgd, adam, plain):
        apply(one, 0.5, phase)
        assert one.param_groups[0]["lr"] == pytest.approx(0.5 * 0.04)
    assert sgd.param_groups[0]["momentum"] == pytest.approx(0.95)
    assert adam.param_groups[0]["betas"] == (pytest.approx(0.95), 0.999)
    assert plain.param_groups[0]["momentum"] == 0
