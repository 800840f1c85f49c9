"""A service over the file of a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from api.app import create_app
from api.model.loading import Model, open_model
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.model.tiny import write_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory, terminology: Terminology) -> Path:
    folder: Path = tmp_path_factory.mktemp("model")
    return write_model(folder / "tiny.bodysite", terminology.graph)


@pytest.fixture(scope="module")
def model(model_file: Path, terminology: Terminology) -> Iterator[Model]:
    with open_model(Settings(model=model_file), terminology.graph) as model:
        yield model


@pytest.fixture
def reading(model: Model, store: SqlStore, terminology: Terminology) -> Callable[..., Client]:
    """A function that makes a client of a service that reads pixels."""

    def make(**settings: Any) -> Client:
        return Client(
            create_app(
                Settings(**settings),
                terminology=terminology,
                store=store,
                predictor=model.predictor,
                absent=model.problem,
            )
        )

    return make


def xray(grey: NDArray[np.uint8], **elements: Any) -> bytes:
    """Return a DICOM file of an image, uint8 (H, W); other elements as of `make_dicom`."""
    rows, columns = grey.shape
    return make_dicom(
        **{
            "Rows": rows,
            "Columns": columns,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "WindowCenter": 128,
            "WindowWidth": 256,
            "PixelData": grey.tobytes(),
            **elements,
        }
    )
