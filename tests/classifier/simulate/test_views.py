"""Frames and the parts in them, on the phantom of a trunk."""

import numpy as np
import pytest

from classifier.errors import SimulationError
from classifier.simulate.labels import REGIONS, STRUCTURES, visible_parts
from classifier.simulate.phantom import KINDS, phantom
from classifier.simulate.views import RECIPES, recipes_for, shoot
from classifier.simulate.volume import Volume
from terminology.library import Terminology
from terminology.vocabulary import canonical

ABDOMEN, PELVIS, LUMBAR, HIP = "818981001", "816092008", "122496007", "29836001"


@pytest.fixture(scope="module")
def trunk() -> Volume:
    return phantom("trunk")


def seen(volume: Volume, name: str, seed: int) -> tuple[str, ...]:
    shot = shoot(volume, RECIPES[name], np.random.default_rng(seed))
    return visible_parts(shot.shadows, shot.frame)


@pytest.mark.parametrize(
    ("view", "shown", "missing"),
    [
        ("pelvis-ap", {PELVIS, HIP}, set()),
        ("abdomen-ap", {ABDOMEN, LUMBAR, PELVIS}, set()),
        ("hip-ap-left", {HIP}, {LUMBAR}),
        ("thigh-ap-right", {"68367000", "71341001"}, {LUMBAR, ABDOMEN}),
        ("lumbar-ap", {LUMBAR}, {HIP, "68367000"}),
    ],
)
def test_what_a_view_shows_is_named(
    trunk: Volume, view: str, shown: set[str], missing: set[str]
) -> None:
    for seed in range(4):
        found = set(seen(trunk, view, seed))
        assert shown <= found
        assert not missing & found


def test_a_side_is_in_its_own_picture(trunk: Volume) -> None:
    for side, other in (("left", "right"), ("right", "left")):
        shot = shoot(trunk, RECIPES[f"hip-ap-{side}"], np.random.default_rng(1))
        shares = {
            one: np.mean(shot.frame[shot.shadows[f"hip_joint_{one}"]]) for one in (side, other)
        }
        assert shares[side] > 0.9
        assert shares[other] < 0.5


def test_the_mirrored_body_has_its_sides_exchanged(trunk: Volume) -> None:
    low, _ = trunk.mirrored().box(["femur_left"]) or pytest.fail("no femur")
    before, _ = trunk.box(["femur_left"]) or pytest.fail("no femur")
    assert low == pytest.approx(before, abs=2 * trunk.spacing)
    liver, turned = trunk.box(["liver"]), trunk.mirrored().box(["liver"])
    assert liver is not None
    assert turned is not None
    assert turned[0][0] == pytest.approx(-liver[1][0])


def test_nothing_is_visible_outside_the_frame(trunk: Volume) -> None:
    shot = shoot(trunk, RECIPES["pelvis-ap"], np.random.default_rng(0))
    assert visible_parts(shot.shadows, np.zeros_like(shot.frame)) == ()


def test_single_structures_are_named_when_asked_for(trunk: Volume) -> None:
    shot = shoot(trunk, RECIPES["lumbar-ap"], np.random.default_rng(0))
    more = set(visible_parts(shot.shadows, shot.frame, structures=True))
    assert {STRUCTURES["vertebrae_L3"], STRUCTURES["vertebrae_L2"]} <= more
    assert STRUCTURES["urinary_bladder"] not in more


def test_every_code_is_a_body_structure_of_today(terminology: Terminology) -> None:
    codes = {region.code for region in REGIONS} | set(STRUCTURES.values())
    codes |= {recipe.examined for recipe in RECIPES.values()}
    for code in codes:
        assert canonical(terminology.graph, code) == (code, None)


def test_every_view_is_a_word_of_the_terminology(terminology: Terminology) -> None:
    for word in {recipe.view for recipe in RECIPES.values()}:
        assert len({view.code for view in terminology.text.read(word).views}) == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_phantom_has_views_of_its_own_parts(kind: str) -> None:
    body = phantom(kind)
    recipes = recipes_for(body)
    assert recipes
    for recipe in recipes:
        shot = shoot(body, recipe, np.random.default_rng(2), pixels=64)
        assert max(shot.camera.size) == 64
        assert shot.frame.any()


def test_a_view_that_the_volume_has_not_is_refused(trunk: Volume) -> None:
    with pytest.raises(SimulationError, match="'skull-ap'; expected views of this volume: abdomen"):
        recipes_for(trunk, ["skull-ap"])


def test_an_unknown_phantom_is_refused() -> None:
    with pytest.raises(SimulationError, match="'foot'; expected one of hand, knee, trunk"):
        phantom("foot")
