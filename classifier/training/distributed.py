"""One run in several processes of one machine, as ``torchrun --nproc-per-node N`` starts them.

Every process holds the whole model and takes its share of every batch; gradients are averaged.
The process of rank 0 writes files and speaks; the others are silent.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import torch
from torch import distributed, nn

from classifier.errors import TrainingError

_Item = TypeVar("_Item")
# The others wait while rank 0 decodes images for the first time.
_PATIENCE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Group:
    """The processes of a run, seen from one of them: `rank` of `size`, on `device`."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return `net` with its gradients averaged over the processes."""
        if self.size == 1:
            return net
        ids = [self.device.index] if self.device.type == "cuda" else None
        # A head that no image of a batch has a label for gets no gradient. Buffers are shared by
        # `share_buffers`, after the step: what is scored must be the same everywhere.
        return nn.parallel.DistributedDataParallel(
            net, device_ids=ids, find_unused_parameters=True, broadcast_buffers=False
        )

    def share_buffers(self, net: nn.Module) -> None:
        """Give the running statistics of rank 0 to all."""
        if self.size > 1:
            for buffer in net.buffers():
                distributed.broadcast(buffer, 0)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether one of the processes holds it."""
        if self.size == 1:
            return flags
        held = torch.tensor(flags, dtype=torch.int32, device=self.device)
        distributed.all_reduce(held, op=distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in held.tolist())

    def mean(self, value: float) -> float:
        """Return the mean of `value` over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.size

    def told(self, value: _Item) -> _Item:
        """Return the `value` of rank 0."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0, device=self.device)
        return box[0]

    def gather(self, items: Sequence[_Item]) -> list[_Item]:
        """Return the items of all processes in turn: the first of each, then the second.

        What `share` gave out comes back in its order.
        """
        if self.size == 1:
            return list(items)
        parts: list[list[_Item]] = [[] for _ in range(self.size)]
        distributed.all_gather_object(parts, list(items))
        longest = max(len(part) for part in parts)
        return [part[at] for at in range(longest) for part in parts if at < len(part)]

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return every `size`-th of `items`: what this process has to do."""
        return items[self.rank :: self.size]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Run the block in rank 0, and in the others when it is through there."""
        if self.size > 1 and not self.main and not self.told(False):
            raise TrainingError(
                "training",
                "the first process failed",
                "a run that starts in every process",
                "Its message says why.",
            )
        done = False
        try:
            yield
            done = True
        finally:
            if self.size > 1 and self.main:
                self.told(done)


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Yield the group that this process is in, alone or started by torchrun.

    Parameters
    ----------
    device
        ``auto`` takes a GPU where there is one.

    Raises
    ------
    TrainingError
        A GPU is asked for and there is none for this process.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = _device(device, local)
    if size == 1:
        yield Group(chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Group(chosen, rank, size)
        # A process that leaves early closes connections that others still read from.
        distributed.barrier()
    finally:
        # What wraps the network holds the group, and is part of cycles: gloo's threads would
        # outlive the interpreter, which ends the process with SIGABRT.
        gc.collect()
        distributed.destroy_process_group()
        gc.collect()


def _device(wanted: str, local: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    if local >= count:
        raise TrainingError(
            "--device",
            f"'{wanted}' for process {local + 1}, and {count} GPUs are there",
            "a GPU for every process",
            "Start fewer processes, or take --device cpu.",
        )
    return torch.device("cuda", local)
