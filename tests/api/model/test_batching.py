"""Questions of several threads go through the network at once, and each gets its own answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from api.model.batching import BatchingNet
from api.model.cancel import AbandonedError, cancellable
from classifier.data.labels import Head
from classifier.serving.runtime import NetOutput

BAD = 666.0


class Net:
    """Answers each frame with its mean; waits for `gate`, and fails on a bad frame."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = threading.Event()
        self.batches: list[int] = []

    def run(self, x: NDArray[np.float32]) -> NetOutput:
        self.batches.append(len(x))
        self.asked.set()
        assert self.gate.wait(10)
        means = x.mean(axis=(1, 2, 3))
        if (means == BAD).any():
            raise ValueError("a bad frame")
        return NetOutput({Head.EXAMINED: means[:, None]}, means[:, None], x)


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def batching(net: Net) -> Iterator[BatchingNet]:
    made = BatchingNet(net, most=6, wait_s=0)
    yield made
    net.gate.set()
    made.close()


def frames(value: float, count: int = 1) -> NDArray[np.float32]:
    return np.full((count, 1, 2, 2), value, np.float32)


def waits(batching: BatchingNet, count: int) -> None:
    """Return when `count` questions wait."""
    for _ in range(2000):
        if len(batching._waiting) == count:
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{len(batching._waiting)} questions wait")


def asked_while_busy(
    net: Net, batching: BatchingNet, questions: list[NDArray[np.float32]]
) -> list[NetOutput | Exception]:
    """Ask `questions` in threads while the network works, then let it go."""

    def ask(x: NDArray[np.float32]) -> NetOutput | Exception:
        try:
            return batching.run(x)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(len(questions) + 1) as pool:
        busy = pool.submit(ask, frames(0.0))
        assert net.asked.wait(10)
        answers = []
        for number, x in enumerate(questions, 1):
            answers.append(pool.submit(ask, x))
            waits(batching, number)
        net.gate.set()
        assert isinstance(busy.result(), NetOutput)
        return [one.result() for one in answers]


def test_what_waits_goes_through_at_once_and_each_gets_its_own(
    net: Net, batching: BatchingNet
) -> None:
    questions = [frames(1.0), frames(2.0, 3), frames(3.0)]
    answers = asked_while_busy(net, batching, questions)
    assert net.batches == [1, 5]
    for x, answer in zip(questions, answers, strict=True):
        assert isinstance(answer, NetOutput)
        assert answer.scores[Head.EXAMINED].tolist() == [[x.mean()]] * len(x)
        assert answer.pooled.shape == (len(x), 1)
        assert np.array_equal(answer.maps, x)


def test_a_batch_is_no_larger_than_allowed_and_one_question_is_never_cut(
    net: Net, batching: BatchingNet
) -> None:
    questions = [frames(1.0, 4), frames(2.0, 4), frames(3.0, 9), frames(4.0)]
    asked_while_busy(net, batching, questions)
    assert net.batches == [1, 4, 4, 9, 1]


def test_a_question_that_fails_concerns_no_other(net: Net, batching: BatchingNet) -> None:
    good, bad, other = asked_while_busy(net, batching, [frames(1.0), frames(BAD), frames(2.0)])
    assert isinstance(bad, ValueError)
    assert isinstance(good, NetOutput)
    assert isinstance(other, NetOutput)
    assert (good.pooled.item(), other.pooled.item()) == (1.0, 2.0)


def test_what_nobody_waits_for_is_not_asked(net: Net, batching: BatchingNet) -> None:
    gone = threading.Event()

    def abandoned() -> None:
        with cancellable(gone), pytest.raises(AbandonedError):
            batching.run(frames(1.0))

    with ThreadPoolExecutor(3) as pool:
        busy = pool.submit(batching.run, frames(0.0))
        assert net.asked.wait(10)
        left = pool.submit(abandoned)
        waits(batching, 1)
        wanted = pool.submit(batching.run, frames(2.0))
        waits(batching, 2)
        gone.set()
        net.gate.set()
        left.result()
        assert wanted.result().pooled.item() == 2.0
        busy.result()
    assert net.batches == [1, 1]


def test_a_question_waits_for_images_that_are_on_their_way(net: Net) -> None:
    net.gate.set()
    batching = BatchingNet(net, most=6, wait_s=30)
    try:
        with ThreadPoolExecutor(1) as pool, batching.coming():
            with batching.coming():
                first = pool.submit(batching.run, frames(1.0))
                waits(batching, 1)
                assert not net.batches
                assert batching.run(frames(2.0)).pooled.item() == 2.0
            assert first.result().pooled.item() == 1.0
        assert net.batches == [2]
        with batching.coming():
            batching.run(frames(3.0))
        assert net.batches == [2, 1]
    finally:
        batching.close()


def test_after_the_end_questions_are_answered_one_by_one(net: Net) -> None:
    net.gate.set()
    batching = BatchingNet(net)
    batching.close()
    assert batching.run(frames(4.0)).pooled.item() == 4.0
