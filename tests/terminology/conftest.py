import pytest

from terminology.concept import Concept, Laterality
from terminology.graph import BodyStructureGraph
from terminology.structures import BodyStructures

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
