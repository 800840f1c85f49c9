"""Files of parameters: reading them without running what they hold, and fitting them to a net."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from classifier.errors import CheckpointError
from classifier.models.backbones import first_convolution

FORMAT: Final = "bodysite-model"
# Raised when a file of the new form would be misread by the code of before.
FORMAT_VERSION: Final = 1
# Classifiers of torchvision's networks: the heads here are others.
_FOREIGN_HEADS: Final = ("fc.", "classifier.")
_OWN_TRUNK: Final = "trunk."
# What DataParallel puts before every name.
_PARALLEL: Final = "module."
# Where training scripts keep the state dict within what they save.
_WRAPPERS: Final = ("state_dict", "model", "model_state_dict")
# A counter that training alone uses; files of before torch 0.4.1 have none.
_COUNTER: Final = "num_batches_tracked"
_SHOWN: Final = 6
# What torch's own reader of pickles raises on bytes that were changed.
_DAMAGE: Final = (
    AssertionError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_payload(path: Path) -> Any:
    """Return what torch saved in `path`, on the CPU: tensors, containers and plain values.

    Raises
    ------
    CheckpointError
        The file is missing, or not a whole file of torch, or it holds code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(
            str(path),
            f"cannot be read ({error.strerror or error})",
            "a file of parameters",
            "Correct the path.",
        ) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            str(path),
            "holds more than parameters, or is no file of torch",
            "tensors and plain values, which can be read without running code",
            "Take a model saved by 'bodysite train', or save the state dict alone, "
            "with torch.save(net.state_dict(), path).",
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(
            str(path),
            f"is damaged or no file of torch ({_first_line(error)})",
            "a whole file as torch.save writes it",
            "Copy or download it again.",
        ) from error


def model_parts(path: Path, payload: Any) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """Return the description and the parameters of a model that `save_model` wrote.

    Raises
    ------
    CheckpointError
        `payload` is of another program or of a newer Bodysite, or not what was written.
    """
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(
            str(path),
            "is no model of Bodysite",
            "a file that 'bodysite train' wrote",
            "Parameters of another program can start a training: name the file as 'weights' "
            "of the network.",
        )
    written = payload.get("format_version")
    if not isinstance(written, int) or written > FORMAT_VERSION:
        raise CheckpointError(
            str(path),
            f"is of format '{written}'",
            f"format {FORMAT_VERSION} or an earlier one",
            "Use the Bodysite it was trained with, or a later one.",
        )
    header, weights = payload.get("header"), payload.get("weights")
    if (
        not isinstance(header, str)
        or payload.get("header_sha256") != text_digest(header)
        or not isinstance(weights, dict)
        or not all(isinstance(value, Tensor) for value in weights.values())
    ):
        raise _damaged(path, "its description is not what was written")
    told: dict[str, Any] = json.loads(header)
    if told.get("weights_sha256") != digest(weights):
        raise _damaged(path, "its parameters are not what was written")
    return told, weights


def load_trunk(trunk: nn.Sequential, path: str | Path) -> None:
    """Fill `trunk` with the parameters in `path`; what the file holds of heads is left out.

    Parameters
    ----------
    trunk
        Of `build_trunk`. One that takes one channel gets the sum over the channels of a first
        convolution for three: it then sees a grey picture as the original sees it in each channel.
    path
        A state dict of torchvision, or a model saved by `save_model`.

    Raises
    ------
    CheckpointError
        The file cannot be read, or its parameters are others than the trunk's: they are named.
    """
    path = Path(path)
    given = _trunk_parameters(path, read_payload(path))
    name, first = first_convolution(trunk)
    stem = given.get(f"{name}.weight")
    if stem is not None and stem.ndim == 4 and first.in_channels == 1 and stem.shape[1] == 3:
        given[f"{name}.weight"] = stem.sum(1, keepdim=True)
    for key, value in trunk.state_dict().items():
        if key.endswith(_COUNTER):
            given.setdefault(key, value)
    fill(trunk, given, path)


def fill(module: nn.Module, given: Mapping[str, Tensor], path: Path) -> None:
    """Copy `given` into `module`, all of it or nothing.

    Raises
    ------
    CheckpointError
        A parameter is missing, unknown or of another shape: they are named.
    """
    wanted = module.state_dict()
    problems = []
    if missing := wanted.keys() - given.keys():
        problems.append(f"lacks {_some(missing)}")
    if unknown := given.keys() - wanted.keys():
        problems.append(f"has {_some(unknown)} besides")
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    if shapes:
        problems.append(f"has {_some(shapes)}")
    if problems:
        raise CheckpointError(
            str(path),
            "; ".join(problems),
            "the parameters of this network",
            "Choose the backbone, width and channels that the file was saved from.",
        )
    module.load_state_dict(dict(given))


def digest(parameters: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values of `parameters`, in hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(parameters):
        # A copy: of one value, `contiguous` would keep whatever stride it came with.
        value = parameters[name].detach().cpu().clone(memory_format=torch.contiguous_format)
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, in hexadecimal."""
    # A damaged file may hold halves of characters.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _trunk_parameters(path: Path, payload: Any) -> dict[str, Tensor]:
    """Return the parameters of the trunk under torchvision's names."""
    if isinstance(payload, dict) and payload.get("format") == FORMAT:
        _, own = model_parts(path, payload)
        return {
            name.removeprefix(_OWN_TRUNK): value
            for name, value in own.items()
            if name.startswith(_OWN_TRUNK)
        }
    if isinstance(payload, dict):
        payload = next(
            (payload[name] for name in _WRAPPERS if isinstance(payload.get(name), dict)), payload
        )
    if not (
        isinstance(payload, dict)
        and payload
        and all(isinstance(name, str) for name in payload)
        and all(isinstance(value, Tensor) for value in payload.values())
    ):
        raise CheckpointError(
            str(path),
            "is no state dict",
            "names with their tensors, or a model saved by 'bodysite train'",
            "Save the state dict alone, with torch.save(net.state_dict(), path).",
        )
    named = {name.removeprefix(_PARALLEL): value for name, value in payload.items()}
    return {name: value for name, value in named.items() if not name.startswith(_FOREIGN_HEADS)}


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        str(path), f"is damaged: {what}", "a file as 'bodysite train' wrote it", "Copy it again."
    )


def _some(names: Iterable[str]) -> str:
    """Return the first of `names`, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
