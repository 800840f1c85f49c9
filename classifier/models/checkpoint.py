"""`TrainedModel`: a network with all that its answers depend on, as one file.

Parameters never travel alone: the label space, the preprocessing and the network's specification
are in the same file, with the measurements and the configuration it was trained by.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

from classifier.data.labels import LabelSpace
from classifier.errors import CheckpointError, NetworkError
from classifier.models.network import BodySiteNet, NetworkSpec
from classifier.models.weights import (
    FORMAT,
    FORMAT_VERSION,
    digest,
    fill,
    model_parts,
    read_payload,
    text_digest,
)
from classifier.preprocess.pipeline import Preprocessing
from terminology.files import written_whole

_PACKAGES: Final = ("bodysite", "torch", "torchvision", "numpy", "opencv-python-headless")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a model's answers depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A network and what its answers depend on.

    Attributes
    ----------
    net
        The network; in evaluation mode when it was loaded.
    spec
        Its specification. One that was loaded has no `weights`: they are in `net`.
    metrics, config
        What was measured of it, and what it was trained by: JSON values.
    packages
        Versions of what it was trained with, by name.
    """

    net: BodySiteNet
    space: LabelSpace
    preprocessing: Preprocessing
    spec: NetworkSpec
    name: str
    version: str
    metrics: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=package_versions)

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the parameters: who this model is, whatever it is called."""
        return digest(self.net.state_dict())


def save_model(path: Path, model: TrainedModel) -> None:
    """Write `model` to `path`, whole or not at all.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    TypeError, ValueError
        `metrics` or `config` holds what JSON does not have.
    """
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.net.state_dict().items()
    }
    header = json.dumps(
        {
            "name": model.name,
            "version": model.version,
            "space": model.space.to_json(),
            "preprocessing": model.preprocessing.to_json(),
            # The file it started from is one of the machine that trained it.
            "spec": replace(model.spec, weights=None).to_json(),
            "metrics": model.metrics,
            "config": model.config,
            "packages": model.packages,
            "weights_sha256": digest(weights),
        },
        allow_nan=False,
    )
    payload = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "header": header,
        "header_sha256": text_digest(header),
        "weights": weights,
    }
    with written_whole(path, binary=True) as stream:
        torch.save(payload, stream)


def load_model(path: Path, *, device: torch.device | str = "cpu") -> TrainedModel:
    """Return the model in `path`, in evaluation mode on `device`.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, of another program, of a newer Bodysite, or its parts do not
        fit together.
    """
    header, weights = model_parts(path, read_payload(path))
    try:
        space = LabelSpace.from_json(header["space"])
        preprocessing = Preprocessing.from_json(header["preprocessing"])
        spec = NetworkSpec.from_json(header["spec"])
        net = BodySiteNet(spec, space)
        model = TrainedModel(
            net,
            space,
            preprocessing,
            spec,
            header["name"],
            header["version"],
            header["metrics"],
            header["config"],
            header["packages"],
        )
    except (KeyError, TypeError, ValueError, NetworkError) as error:
        raise CheckpointError(
            str(path),
            f"describes a model that cannot be built ({error})",
            f"a model of format {FORMAT_VERSION}",
            "Train it again with this Bodysite, or use the one it was trained with.",
        ) from error
    fill(net, weights, path)
    net.to(device).eval()
    return model
