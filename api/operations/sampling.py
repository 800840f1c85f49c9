"""Where several processes answer, each notes its figures for the one that Prometheus asks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from api.metrics import Metrics
from api.operations.lifecycle import Lifecycle

_EVERY_S: Final = 2.0


def keep_sampling(metrics: Metrics, lifecycle: Lifecycle) -> None:
    """Note the figures of this process for as long as it lives; nothing, where it is the only one.

    Its own are always up to date when it is asked itself.
    """
    if not metrics.several:
        return
    tasks: list[asyncio.Task[None]] = []

    async def sample() -> None:
        while True:
            metrics.sample()
            await asyncio.sleep(_EVERY_S)

    async def begin() -> None:
        tasks.append(asyncio.create_task(sample()))

    async def end() -> None:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    lifecycle.at_start(begin)
    lifecycle.at_stop(end)
