"""Steps at the start, when the end is near, and at the end."""

from __future__ import annotations

import asyncio

import pytest

from api.operations.lifecycle import Lifecycle, State


def test_the_steps_are_called_in_their_order() -> None:
    lifecycle = Lifecycle()
    said: list[str] = []

    async def begin() -> None:
        said.append("begin")

    lifecycle.at_start(begin)
    for name in ("a", "b"):
        lifecycle.at_drain(lambda name=name: said.append(f"drain {name}"))
        lifecycle.at_stop(lambda name=name: said.append(f"stop {name}"))

    async def live() -> None:
        async with lifecycle.lifespan(None):
            assert lifecycle.state is State.RUNNING
            await lifecycle.drain()
            assert lifecycle.state is State.DRAINING
            await lifecycle.drain()
        assert lifecycle.state is State.STOPPING

    asyncio.run(live())
    assert said == ["begin", "drain a", "drain b", "stop b", "stop a"]


def test_an_end_without_a_warning_drains_first() -> None:
    lifecycle = Lifecycle()
    said: list[str] = []
    lifecycle.at_drain(lambda: said.append("drain"))

    async def live() -> None:
        async with lifecycle.lifespan(None):
            pass

    asyncio.run(live())
    assert said == ["drain"]


def test_a_step_that_fails_keeps_no_other_from_being_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lifecycle = Lifecycle()
    said: list[str] = []

    def fail() -> None:
        raise ValueError("Mustermann")

    lifecycle.at_stop(lambda: said.append("first named"))
    lifecycle.at_stop(fail)
    lifecycle.at_drain(fail)

    async def live() -> None:
        async with lifecycle.lifespan(None):
            pass

    asyncio.run(live())
    assert said == ["first named"]
    assert "ValueError" in caplog.text
    assert "Mustermann" not in caplog.text


def test_a_start_that_fails_is_none() -> None:
    lifecycle = Lifecycle()

    def fail() -> None:
        raise OSError

    lifecycle.at_start(fail)

    async def live() -> None:
        async with lifecycle.lifespan(None):
            raise AssertionError("it must not run")

    with pytest.raises(OSError):
        asyncio.run(live())
