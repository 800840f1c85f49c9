import cv2
import matplotlib
import numpy as np
import pytest

from classifier.evaluation.overlays import beside, explanation, overlay, place, plasma, png
from classifier.preprocess.pipeline import Preprocessing

SHAPES = [(64, 64), (90, 40), (40, 90), (200, 31), (300, 211)]


def smooth(shape: tuple[int, int]) -> np.ndarray:
    """Return uint8 (H, W): a bright blob at a quarter of the height and three of the width."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    squared = ((y / height - 0.25) / 0.12) ** 2 + ((x / width - 0.75) / 0.12) ** 2
    return (255 * np.exp(-squared / 2)).astype(np.uint8)


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_network_was_shown_lies_back_on_the_image(shape, fit):
    image = smooth(shape)
    preprocessing = Preprocessing("A", size=128, fit=fit, channels=1)
    seen = preprocessing.fit_image(image).astype(np.float32) / 255
    placed = place(seen, shape, preprocessing)
    assert placed.shape == shape
    assert placed.dtype == np.float32
    # A pixel or two of shift would make more on the flank of the blob.
    assert np.abs(placed * 255 - image).max() < 20
    assert np.abs(placed * 255 - image).mean() < 2


def test_no_saliency_leaves_the_image_and_full_saliency_is_the_last_colour_of_plasma():
    grey = smooth((30, 40))
    nothing = overlay(grey, np.zeros((30, 40), np.float32))
    assert (nothing == grey[..., None]).all()
    full = overlay(grey, np.ones((30, 40), np.float32), strength=1)
    yellow = np.rint(np.array(matplotlib.colormaps["plasma"](1.0)[:3]) * 255)
    assert (full == yellow).all()
    assert full.dtype == np.uint8


def test_the_image_shows_through():
    grey = np.zeros((4, 4), np.uint8)
    grey[:, 2:] = 200
    drawn = overlay(grey, np.full((4, 4), 0.5, np.float32))
    assert (drawn[:, 3].astype(int) - drawn[:, 0] > 40).all()


def test_panels_stand_in_a_row():
    grey = smooth((50, 100))
    row = beside(grey, np.repeat(grey[..., None], 3, axis=2), height=25, gap=4)
    assert row.shape == (25, 104, 3)
    assert np.array_equal(row[:, :50], row[:, 54:])


def test_the_colours_are_those_of_matplotlib():
    levels = np.arange(256, dtype=np.float32)[None] / 255
    expected = np.rint(np.array(matplotlib.colormaps["plasma"](levels))[..., :3] * 255)
    assert (plasma(levels) == expected).all()


@pytest.mark.parametrize("shape", [(60, 20), (20, 2000), (3000, 400)])
def test_an_explanation_has_a_caption_of_any_script_and_a_modest_size(shape):
    grey = smooth(shape)
    caption = "足 $p = 0.5$ " + "word " * 60 + "\nmore"
    page = explanation(grey, overlay(grey, grey.astype(np.float32) / 255), caption)
    assert page.dtype == np.uint8
    assert max(page.shape) < 2000
    # Words stand in the margin above the pictures, and nowhere beyond it.
    assert (page[:60] < 128).any()
    assert (page[:, -10:] == 255).all()
    assert np.array_equal(cv2.imdecode(np.frombuffer(png(page), np.uint8), 1)[..., ::-1], page)
