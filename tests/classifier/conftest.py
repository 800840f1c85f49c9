import os
from pathlib import Path

import pytest

from terminology.graph import BodyStructureGraph
from terminology.library import Terminology


@pytest.fixture(scope="session")
def graph() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@pytest.fixture(scope="session")
def terminology() -> Terminology:
    return Terminology.load()


@pytest.fixture(scope="session")
def real_images() -> Path:
    """A folder of real radiographs with a manifest.csv; the repository holds no images."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("BODYSITE_SHARED", beside)) / "images"
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no images in {folder}; BODYSITE_SHARED names the folder that has them")
    return folder
