import cv2
import numpy as np
import pytest

from classifier.preprocess.pipeline import Preprocessing
from classifier.preprocess.trim import content_box, stretched

from .pictures import natural


@pytest.mark.parametrize("level", [0, 90, 255])
def test_uniform_margins_are_cut_off(level: int) -> None:
    framed = np.full((400, 300), level, np.uint8)
    framed[100:280, 60:260] = natural(180, 200)
    top, bottom, left, right = content_box(framed)
    assert 80 <= top <= 100
    assert 280 <= bottom <= 300
    assert 45 <= left <= 60
    assert 260 <= right <= 275


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (40, 40)])
@pytest.mark.parametrize("level", [0, 128])
def test_a_picture_of_one_level_is_kept_whole(shape: tuple[int, int], level: int) -> None:
    assert content_box(np.full(shape, level, np.uint8)) == (0, shape[0], 0, shape[1])


def test_a_tenth_of_a_picture_does_not_become_the_whole() -> None:
    small = np.zeros((400, 400), np.uint8)
    small[0:20, 380:400] = natural(20, 20)
    top, bottom, left, right = content_box(small)
    assert (top, right) == (0, 400)
    assert bottom - top >= 0.3 * 400
    assert right - left >= 0.3 * 400


def test_what_fills_the_picture_is_left_as_it_is() -> None:
    assert content_box(natural(200, 300)) == (0, 200, 0, 300)


def test_levels_are_spread_from_black_to_white_in_every_type() -> None:
    dull = 100 + natural(64, 64) // 8
    for one in (dull, dull.astype(np.uint16) * 100, dull.astype(np.float32) / 255):
        found = stretched(one)
        top = 1.0 if one.dtype.kind == "f" else float(np.iinfo(one.dtype).max)
        assert found.dtype == one.dtype
        assert found.min() == 0
        assert found.max() == pytest.approx(top)
        assert np.corrcoef(found.ravel(), one.ravel())[0, 1] > 0.98
    flat = np.full((8, 8), 7, np.uint8)
    assert np.array_equal(stretched(flat), flat)


def test_fitting_trims_and_stretches_where_it_is_asked_to() -> None:
    framed = cv2.copyMakeBorder(80 + natural(100, 100) // 4, 60, 60, 60, 60, cv2.BORDER_CONSTANT)
    plain = Preprocessing("A", 64, "pad", 1)
    trimmed = Preprocessing("A", 64, "pad", 1, trim=True, stretch=True)
    assert (plain.fit_image(framed) > 0).mean() < 0.35
    assert (trimmed.fit_image(framed) > 0).mean() > 0.7
    assert Preprocessing.from_json(trimmed.to_json()) == trimmed
