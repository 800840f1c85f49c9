import os
from pathlib import Path

import pytest

from terminology.concept import Concept, Laterality
from terminology.graph import BodyStructureGraph
from terminology.release.index import ReleaseIndex
from terminology.structures import BodyStructures

from .writer import index_of

SUBSET_VERSION = "http://snomed.info/xsct/31000003106/version/20250909"
CONCEPTS = (
    Concept("123037004", "Body structure"),
    Concept("52530000", "Body region"),
    Concept("53120007", "Upper limb", ("Arm", "Upper extremity")),
    Concept("85562004", "Hand"),
    Concept("85151006", "Left hand", (), "85562004", Laterality.LEFT),
    Concept("7569003", "Finger"),
    Concept("76505004", "Thumb"),
    Concept("22943007", "Trunk"),
    Concept("816094009", "Chest", ("Thorax",)),
    Concept("51185008", "Thoracic structure"),
    Concept("39607008", "Lung"),
)
EDGES = (
    ("52530000", "123037004", "is-a", "test"),
    ("53120007", "52530000", "is-a", "test"),
    ("85562004", "53120007", "part-of", "test"),
    ("85151006", "85562004", "is-a", "test"),
    ("7569003", "85562004", "part-of", "test"),
    ("76505004", "7569003", "is-a", "test"),
    ("22943007", "52530000", "is-a", "test"),
    ("816094009", "22943007", "part-of", "test"),
    ("51185008", "816094009", "is-a", "test"),
    ("39607008", "51185008", "part-of", "test"),
)


@pytest.fixture(scope="session")
def small() -> BodyStructureGraph:
    """Eleven concepts, enough for every rule of the graph."""
    return BodyStructureGraph.of(
        BodyStructures.of(CONCEPTS, EDGES, {"51185008": ["816094009"]}, "test release")
    )


@pytest.fixture(scope="session")
def example() -> ReleaseIndex:
    """The index of the example release, which has German terms."""
    return index_of(Path(__file__).parents[1] / "data" / "rf2-example", None)


@pytest.fixture(scope="session")
def subset_folder() -> Path:
    """The RF2 subset of HL7's terminology tests, which the repository does not carry."""
    base = Path(__file__).parents[3] / "shared"
    folder = Path(os.environ.get("BODYSITE_SHARED", base)) / "tx-ecosystem" / "rf2"
    if not folder.is_dir():
        pytest.skip(f"no RF2 subset in {folder}; BODYSITE_SHARED names the folder that has it")
    return folder


@pytest.fixture(scope="session")
def subset(subset_folder: Path) -> ReleaseIndex:
    """The index of the subset."""
    return index_of(subset_folder, SUBSET_VERSION)
