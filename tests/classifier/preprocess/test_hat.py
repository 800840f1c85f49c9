import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from classifier.errors import PreprocessingError
from classifier.preprocess.hat import hat, scaled_element
from tests.classifier.preprocess.pictures import examples, natural

SIDES = st.integers(1, 30)
ODD = st.sampled_from([1, 3, 5, 15, 31])


def plainly(image, size, low, high):
    """The hat with scipy's opening and closing, which mirror at the border, in float64."""
    exact = image.astype(np.float64)
    bright = exact - ndimage.grey_opening(exact, (size, size))
    dark = ndimage.grey_closing(exact, (size, size)) - exact
    return np.clip(exact + bright - dark, low, high)


def test_a_bright_and_a_dark_dot_by_hand():
    image = np.full((9, 9), 100, np.uint8)
    image[2, 2], image[6, 6] = 130, 80
    expected = image.copy()
    # Opening removes the bright dot, 130 - 100 = 30, and closing the dark one, 100 - 80 = 20.
    expected[2, 2], expected[6, 6] = 130 + 30, 80 - 20
    np.testing.assert_array_equal(hat(image, 3), expected)


def test_one_row_by_hand():
    row = np.array([[10, 10, 10, 60, 10, 10, 10, 40, 40, 40, 0, 40, 40, 40]], np.uint8)
    # Three wide: the 60 is opened to 10, the 0 closed to 40; the plateaus are left.
    expected = [[10, 10, 10, 110, 10, 10, 10, 40, 40, 40, 0, 40, 40, 40]]
    np.testing.assert_array_equal(hat(row, 3), expected)


def test_it_is_clipped_once():
    row = np.array([[100, 100, 250, 240, 250, 100, 100]], np.uint8)
    # Five wide, in the middle: opened to 100, closed to 250, so 240 + 140 - 10 = 370. Term by term
    # in uint8, 240 + 140 saturates at 255, and 245 is left.
    assert hat(row, 5)[0, 3] == 255


@examples(80)
@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES)), ODD)
def test_eight_bits_are_what_scipy_gives(image, size):
    np.testing.assert_array_equal(hat(image, size), plainly(image, size, 0, 255))


@examples(80)
@given(arrays.arrays(np.uint16, st.tuples(SIDES, SIDES)), ODD)
def test_sixteen_bits_are_what_scipy_gives(image, size):
    found = hat(image, size)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, plainly(image, size, 0, 65535))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floating_point_is_what_scipy_gives(kind):
    image = (natural() / 255).astype(kind)
    found = hat(image, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plainly(image, 7, 0, 1), atol=2e-7)


def test_a_picture_is_what_scipy_gives_with_the_default_element():
    image = natural(224, 224)
    np.testing.assert_array_equal(hat(image), plainly(image, 15, 0, 255))


@pytest.mark.parametrize("size", [1, 3, 9, 33, 135])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (70, 33), (301, 260)])
def test_small_and_large_elements_and_images_are_what_scipy_gives(size, shape):
    image = np.random.default_rng(size).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(hat(image, size), plainly(image, size, 0, 255))


def test_twelve_bits_in_sixteen_are_clipped_to_twelve_on_demand():
    image = natural().astype(np.uint16) * 16
    np.testing.assert_array_equal(hat(image, 9, limits=(0, 4095)), plainly(image, 9, 0, 4095))


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_a_constant_image_stays_as_it_is(kind):
    image = np.full((30, 20), 1, kind)
    np.testing.assert_array_equal(hat(image), image)


def test_a_black_border_stays_black():
    image = np.zeros((120, 120), np.uint8)
    image[30:90, 30:90] = natural(60, 60)
    found = hat(image, 9)
    assert not found[:30].any()
    assert not found[:, 90:].any()


def test_the_types_agree_up_to_scale():
    image = natural()
    found = hat(image, 9)
    np.testing.assert_array_equal(hat(image.astype(np.uint16) * 257, 9), found.astype(int) * 257)
    np.testing.assert_allclose(hat(image / 255, 9), found / 255, atol=1e-6)


def test_another_element_gives_what_scipy_gives_with_it():
    image = natural()
    cross = np.zeros((5, 5), np.uint8)
    cross[2], cross[:, 2] = 1, 1
    exact = image.astype(int)
    opened, closed = (
        way(exact, footprint=cross, mode="reflect")
        for way in (ndimage.grey_opening, ndimage.grey_closing)
    )
    expected = np.clip(3 * exact - opened - closed, 0, 255)
    np.testing.assert_array_equal(hat(image, cross), expected)


@pytest.mark.parametrize(
    ("size", "side"), [(224, 15), (448, 31), (512, 35), (128, 9), (64, 5), (2000, 133), (16, 3)]
)
def test_the_element_is_scaled_and_odd(size, side):
    assert scaled_element(size) == side


def test_a_large_image_is_done_in_strips_and_threads_alike():
    image = natural(700, 900)
    np.testing.assert_array_equal(hat(image), plainly(image, 61, 0, 255))
    found = hat(np.ascontiguousarray(image.T).T, 15)
    np.testing.assert_array_equal(found, plainly(image, 15, 0, 255))


def test_an_array_that_is_not_contiguous_works():
    image = natural()
    expected = hat(np.ascontiguousarray(image[::-1, ::2]), 7)
    np.testing.assert_array_equal(hat(image[::-1, ::2], 7), expected)


def test_the_image_given_is_left_alone():
    image = natural()
    before = image.copy()
    hat(image, 9)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("element", [0, 4, np.ones((3, 2), np.uint8), np.zeros((3, 3), np.uint8)])
def test_an_element_without_a_centre_or_a_pixel_is_refused(element):
    with pytest.raises(PreprocessingError, match="odd sides"):
        hat(natural(), element)


def test_floating_point_outside_0_and_1_is_refused_without_limits():
    image = natural().astype(np.float32)
    with pytest.raises(PreprocessingError, match=r"outside \[0, 1\]"):
        hat(image)
    np.testing.assert_allclose(hat(image, 9, limits=(0, 255)), plainly(image, 9, 0, 255))
