from collections.abc import Iterator

import numpy as np
import pytest
import torch

from classifier.calibration.calibration import identity
from classifier.calibration.guards import GuardSettings
from classifier.data.labels import LabelSpace
from classifier.models.checkpoint import TrainedModel
from classifier.serving.artefact import Artefact
from classifier.serving.export import head_weights_of, onnx_of
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import drawn_space, tiny_model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return drawn_space(graph)


@pytest.fixture(scope="session")
def model(space: LabelSpace) -> TrainedModel:
    """A small net that was never trained, its batch normalisation as after some training."""
    made = tiny_model(space)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in made.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=draw)
                module.running_var.uniform_(0.5, 2, generator=draw)
                module.weight.uniform_(0.5, 1.5, generator=draw)
            elif isinstance(module, torch.nn.Linear):
                module.weight.mul_(4)
    return made


def artefact_of(model: TrainedModel, *, half: bool = False) -> Artefact:
    codes = model.space.columns(model.space.heads[0])
    return Artefact(
        name=model.name,
        version=model.version,
        space=model.space,
        preprocessing=model.preprocessing,
        calibration=identity(model.space),
        guards=GuardSettings(),
        prior=dict.fromkeys(codes, 1 / len(codes)),
        metrics={"test": {"examined": {"accuracy": 0.5}}},
        sources=({"name": "drawn", "images": 3, "licences": {"CC0 1.0": 3}},),
        config={"name": "tiny"},
        card="# Tiny net\n\nÄrmel, 手.\n",
        onnx=onnx_of(model, half=half),
        head_weights=head_weights_of(model),
    )


@pytest.fixture(scope="session")
def artefact(model: TrainedModel) -> Artefact:
    return artefact_of(model)


@pytest.fixture
def tensors(model: TrainedModel) -> np.ndarray:
    size = model.preprocessing.size
    return np.random.default_rng(5).random((3, 1, size, size), dtype=np.float32)
