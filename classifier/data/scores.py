"""Scores as a file: what a model said of a set of samples, whole in one ``.npz``."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.errors import DataSetError
from terminology.files import written_whole

_FORMAT: Final = "bodysite-scores-1"
_TEXTS: Final = ("keys", "groups", "sources", "paths")


def save_scores(path: Path, scores: Scores) -> None:
    """Write `scores` to `path`, whole or not at all; nothing in the file is pickled.

    Raises
    ------
    DataSetError
        An array has not one row a sample, or not one column a class.
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    if problem := _problem(scores):
        raise _refused(path, problem)
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(_FORMAT),
        "space": np.array(json.dumps(scores.space.to_json())),
        "present": scores.targets.present,
        "known": scores.targets.known,
    }
    for name in _TEXTS:
        arrays[name] = np.array(getattr(scores, name), dtype=np.str_)
    for head, values in scores.probabilities.items():
        arrays[f"probabilities.{head}"] = np.asarray(values, dtype=np.float32)
    for head, flags in scores.targets.allowed.items():
        arrays[f"allowed.{head}"] = flags
    with written_whole(path, binary=True) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def load_scores(path: Path) -> Scores:
    """Return the scores that `save_scores` wrote to `path`.

    Raises
    ------
    DataSetError
        The file is missing, damaged, of another format, or its arrays do not fit together.
    """
    try:
        # What is no archive numpy would take for a pickle, and say how to load it unsafely.
        if path.is_file() and not zipfile.is_zipfile(path):
            raise _refused(path, "it is no .npz file, or a part of one")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if str(arrays["format"]) != _FORMAT:
                raise _refused(path, f"its format is '{arrays['format']}'")
            scores = _scores({name: arrays[name] for name in arrays.files})
    except FileNotFoundError:
        raise _refused(path, "there is no such file") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise _refused(path, f"it cannot be read ({type(error).__name__}: {error})") from error
    if problem := _problem(scores):
        raise _refused(path, problem)
    return scores


def _scores(arrays: dict[str, NDArray[Any]]) -> Scores:
    def of_heads(prefix: str) -> dict[Head, NDArray[Any]]:
        named = {name.removeprefix(prefix): array for name, array in arrays.items()}
        return {head: named[head] for head in Head if f"{prefix}{head}" in arrays}

    keys, groups, sources, paths = (tuple(map(str, arrays[name])) for name in _TEXTS)
    return Scores(
        space=LabelSpace.from_json(json.loads(str(arrays["space"]))),
        keys=keys,
        groups=groups,
        sources=sources,
        paths=paths,
        probabilities=of_heads("probabilities."),
        targets=Targets(of_heads("allowed."), arrays["present"], arrays["known"]),
    )


def _problem(scores: Scores) -> str | None:
    """Return the first thing that does not fit, in words."""
    count = len(scores.keys)
    for name in _TEXTS:
        if len(getattr(scores, name)) != count:
            return f"{len(getattr(scores, name))} {name} for {count} samples"
    width = len(scores.space.vocabulary)
    shapes: list[tuple[str, NDArray[Any], int]] = [
        ("present", scores.targets.present, width),
        ("known", scores.targets.known, width),
    ]
    by_head: list[tuple[str, Mapping[Head, NDArray[Any]]]] = [
        ("probabilities", scores.probabilities),
        ("allowed", scores.targets.allowed),
    ]
    for prefix, found in by_head:
        shapes += [
            (f"{prefix} of {head}", array, len(scores.space.columns(head)))
            for head, array in found.items()
        ]
    for name, array, columns in shapes:
        if array.shape != (count, columns):
            return f"{name} is {array.shape}, not {(count, columns)}"
    return None


def _refused(path: Path, what: str) -> DataSetError:
    return DataSetError(
        str(path), what, "a file of scores", "Evaluate the model again: the file is then new."
    )
