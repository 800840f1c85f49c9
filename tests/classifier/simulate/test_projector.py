"""What a camera sees of bodies whose shadows can be told without it."""

from dataclasses import replace

import numpy as np
import pytest

from classifier.simulate.phantom import Solid, cast
from classifier.simulate.projector import Camera, project, shadows
from classifier.simulate.volume import Volume

FAR = 1e5


@pytest.fixture(scope="module")
def ball() -> Volume:
    """A ball of soft tissue, 40 mm across, its centre at (0, 0, 0)."""
    return cast([Solid("ball", (0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (20.0, 20.0, 20.0))], 1.0)


@pytest.fixture(scope="module")
def corner() -> Volume:
    """Three small balls: on the right, in front, and at the head of the middle."""
    places = {"right": (30.0, 0.0, 0.0), "front": (0.0, 30.0, 0.0), "head": (0.0, 0.0, 30.0)}
    return cast(
        [
            Solid(name, place, tuple(p + 0.1 for p in place), (6.0, 6.0, 6.0))
            for name, place in places.items()
        ],
        1.0,
    )


@pytest.mark.parametrize("azimuth", [0.0, 30.0, 45.0, 90.0, 200.0, 300.0])
@pytest.mark.parametrize("elevation", [0.0, 25.0, 70.0])
def test_a_ball_is_as_thick_from_every_side(ball: Volume, azimuth: float, elevation: float) -> None:
    camera = Camera(
        (0.0, 0.0, 0.0), azimuth, elevation, source=FAR, detector=0.0, pixel=1.0, size=(61, 61)
    )
    sums = project(ball, camera)
    # Soft tissue of 45 HU.
    assert sums[30, 30, 0] == pytest.approx(40 * 1.045, rel=0.04)
    assert sums[..., 0].sum() == pytest.approx(4 / 3 * np.pi * 20**3 * 1.045, rel=0.04)
    assert not sums[0].any()
    assert not sums[..., 1].any()


def test_a_near_tube_enlarges(ball: Volume) -> None:
    far = Camera((0.0, 0.0, 0.0), source=FAR, detector=0.0, pixel=1.0, size=(121, 121))
    near = replace(far, source=500.0, detector=500.0)
    areas = [int(shadows(ball, one)["ball"].sum()) for one in (far, near)]
    assert areas[1] / areas[0] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("azimuth", "mirrored", "seen"),
    [
        (0.0, False, {"right": "left"}),
        (180.0, True, {"right": "left"}),
        (90.0, False, {"front": "left"}),
        (270.0, False, {"front": "right"}),
        (90.0, True, {"front": "right"}),
    ],
    ids=["AP", "PA", "from the left", "from the right", "turned over"],
)
def test_pictures_are_hung_as_films_are(
    corner: Volume, azimuth: float, mirrored: bool, seen: dict[str, str]
) -> None:
    camera = Camera((0.0, 0.0, 0.0), azimuth, mirrored=mirrored, pixel=1.0, size=(101, 101))
    found = shadows(corner, camera)
    centres = {name: np.argwhere(found[name]).mean(axis=0) - 50 for name in found}
    assert centres["head"][0] < -20
    for name, edge in seen.items():
        assert (centres[name][1] < -20) == (edge == "left")
        assert abs(centres[name][1]) > 20


def test_a_tube_above_throws_the_front_down(corner: Volume) -> None:
    camera = Camera((0.0, 0.0, 0.0), elevation=30.0, pixel=1.0, size=(101, 101))
    front = np.argwhere(shadows(corner, camera)["front"]).mean(axis=0)
    assert front[0] > 60


@pytest.mark.parametrize("roll", [0.0, 20.0, -35.0])
def test_points_are_seen_where_their_shadow_is(corner: Volume, roll: float) -> None:
    camera = Camera(
        (5.0, 0.0, 4.0), 25.0, 10.0, roll, pixel=1.0, size=(161, 141), centre=(9.0, -7.0)
    )
    expected = camera.pixels(np.array([[30.0, 0.0, 0.0], [0.0, 30.0, 0.0], [0.0, 0.0, 30.0]]))
    found = shadows(corner, camera)
    for name, (column, row) in zip(("right", "front", "head"), expected, strict=True):
        assert np.argwhere(found[name]).mean(axis=0) == pytest.approx([row, column], abs=1.0)
