"""Names of body structures compared by the words that tell them apart."""

from __future__ import annotations

import pytest

from terminology.graph import BodyStructureGraph
from terminology.sources.umls_names import Names, normalised, side_of


@pytest.fixture(scope="module")
def graph() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Structure of the hand", "hand", True),
        ("Hands", "Hand", True),
        ("lobe of left lung", "left lobe of lung", True),
        ("1st rib", "First rib", True),
        ("left hand", "right hand", False),
        ("hand", "hand bone", False),
        ("pelvis", "pelvi", False),
    ],
)
def test_names_are_compared_by_the_words_that_tell_them_apart(
    one: str, other: str, same: bool
) -> None:
    assert (normalised(one) == normalised(other)) is same


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("radius bone", "62413002", "a bone may be named so"),
        ("sartorius", "12595009", "a muscle may go without the word"),
        ("muscle of face", None, "is no face"),
        ("limb bone", None, "is no limb"),
        ("pelvis", "816092008", "the region shown so, not the bones with that synonym"),
        ("nothing at all", None, "unknown"),
    ],
)
def test_a_name_finds_its_concept(
    graph: BodyStructureGraph, name: str, code: str | None, why: str
) -> None:
    assert Names(graph).lookup(name) == code, why


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("left hand", "left"),
        ("hand, right", "right"),
        ("left and right", None),
        ("hand", None),
        ("both eyes", "bilateral"),
    ],
)
def test_a_name_states_a_side(name: str, side: str | None) -> None:
    assert side_of(name) == side
