"""Starts runs and has each killed with SIGKILL: ``python -m tests.classifier.training.killed``.

Reads jobs from stdin as JSON and writes how each process ended. What is slow to load is loaded
once; each run is a process of its own, forked from this one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from classifier.training import schedule, state
from classifier.training.distributed import Group
from classifier.training.logs import Reporter
from classifier.training.runs import run_training
from terminology.library import Terminology
from tests.classifier.training.small import config_of

# What a run imports late, a second or two of it.
LATE = (
    "torch._dynamo",
    "matplotlib.figure",
    "classifier.pixels.read",
    "classifier.data.roco",
    "classifier.data.imageclef",
    "classifier.data.unifesp",
    "classifier.data.dicom_folder",
    "classifier.data.manifest",
)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(step: int) -> None:
    """Be killed when `step` steps are done, before the next one."""
    apply, calls = schedule.apply, []

    def counted(*given: Any) -> None:
        if len(calls) == step:
            die()
        calls.append(None)
        apply(*given)

    schedule.apply = counted


def die_while_saving(number: int) -> None:
    """Be killed when the `number`-th state is half written."""
    save, calls = torch.save, []

    def half(payload: Any, stream: Any) -> None:
        calls.append(None)
        if len(calls) < number:
            save(payload, stream)
            return
        with tempfile.TemporaryFile() as whole:
            save(payload, whole)
            size = whole.tell()
            whole.seek(0)
            stream.write(whole.read(size // 2))
            stream.flush()
        die()

    state.torch.save = half


def run(job: dict[str, Any], terminology: Terminology) -> int:
    child = os.fork()
    if not child:
        {"step": die_at_step, "save": die_while_saving}[job["at"]](job["number"])
        config = config_of(job["preset"], Path(job["data"]), *job["changes"])
        group = Group(torch.device("cpu"))
        run_training(config, Path(job["run"]), terminology, group, Reporter(), resume=False)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for name in LATE:
        import_module(name)
    loaded = Terminology.load()
    ended = [run(job, loaded) for job in json.load(sys.stdin)]
    json.dump(ended, sys.stdout)
