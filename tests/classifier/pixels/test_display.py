"""What is shown where nothing says how, in numbers."""

import numpy as np
import pytest

from classifier.errors import ImageError, PixelLimitError
from classifier.pixels.display import Stored, luminance, show
from classifier.pixels.limits import PixelLimits
from classifier.pixels.read import open_image, read_image
from tests.classifier.pixels.build import radiograph

NAN, INFINITY = float("nan"), float("inf")

SHOWN = [
    ("bytes as they are", np.array([[3, 7, 250]], np.uint8), [3, 7, 250]),
    ("bool is black and white", np.array([[True, False]]), [255, 0]),
    ("signed bytes stretched", np.array([[-128, 0, 127]], np.int8), [0, 128, 255]),
    ("deep integers stretched", np.array([[1000, 1100, 1200]], np.uint16), [0, 128, 255]),
    ("negative ones too", np.array([[-1000, -500, 0]], np.int16), [0, 128, 255]),
    ("32 bits", np.array([[0, 1 << 20, 1 << 21]], np.uint32), [0, 128, 255]),
    ("64 bits", np.array([[-(1 << 40), 0, 1 << 40]], np.int64), [0, 128, 255]),
    ("big endian", np.array([[1000, 1100, 1200]], ">u2"), [0, 128, 255]),
    ("floats of [0, 1]", np.array([[0.25, 0.5, 0.75]]), [64, 128, 191]),
    ("single", np.array([[0.0, 1.0]], np.float32), [0, 255]),
    ("half", np.array([[0.0, 1.0]], np.float16), [0, 255]),
    ("other floats stretched", np.array([[-10.0, 0.0, 10.0]]), [0, 128, 255]),
    ("0 to 255 as floats stretched", np.array([[100.0, 150.0, 200.0]]), [0, 128, 255]),
    ("constant bytes", np.full((1, 2), 9, np.uint8), [9, 9]),
    ("constant deep", np.full((1, 2), 900, np.uint16), [0, 0]),
    ("constant 32 bits", np.full((1, 2), 900, np.int32), [0, 0]),
    ("constant float", np.full((1, 2), 900.0), [0, 0]),
    ("constant float in [0, 1]", np.full((1, 2), 0.4), [102, 102]),
    ("NaN is black", np.array([[NAN, 5.0, 10.0]]), [0, 0, 255]),
    ("only NaN", np.array([[NAN, NAN]]), [0, 0]),
    ("infinities are the ends", np.array([[-INFINITY, 5.0, 10.0, INFINITY]]), [0, 0, 255, 255]),
    ("huge floats", np.array([[-1.5e308, 0.0, 1.5e308]]), [0, 128, 255]),
    ("one pixel", np.array([[7000]], np.uint16), [0]),
]


@pytest.mark.parametrize(("reason", "values", "expected"), SHOWN, ids=[row[0] for row in SHOWN])
def test_array_without_a_window(reason, values, expected):
    shown = read_image(values)
    assert shown.dtype == np.uint8
    assert shown.tolist() == [expected], reason


TYPES = [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]


@pytest.mark.parametrize("dtype", TYPES)
def test_one_hot_pixel_does_not_decide_the_brightness(dtype):
    values = radiograph((200, 200), top=2000)
    hot = values.copy()
    hot[17, 23] = 32000
    shown, usual = read_image(hot.astype(dtype)), read_image(values.astype(dtype))
    assert shown[17, 23] == 255
    away = np.ones(values.shape, bool)
    away[17, 23] = False
    # The other 0.1 % at either end are clipped with it, no more.
    assert np.abs(shown.astype(int) - usual)[away].max() < 15


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("share", [0, 1, 20, 39, 40, 41, 200])
def test_extremes_are_those_that_fewer_than_one_pixel_in_a_thousand_holds(dtype, share):
    values = np.tile(np.arange(200), (200, 1))  # 40,000 pixels: 40 are one in 1,000
    values.ravel()[np.random.default_rng(0).permutation(values.size)[:share]] = 20_000
    shown = read_image(values.astype(dtype))
    middle = shown[values == 100][0]
    assert middle == (1 if share >= 40 else 128)


@pytest.mark.parametrize("dtype", TYPES)
def test_few_bright_pixels_on_black_are_seen(dtype):
    values = np.zeros((100, 100))
    values[3, 4] = 700
    shown = read_image(values.astype(dtype))
    assert shown[3, 4] == 255
    assert shown.sum() == 255


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("hot", [0, 3, 400])
def test_sampling_rows_gives_what_counting_all_pixels_gives(seed, hot):
    chance = np.random.default_rng(seed)
    values = (chance.standard_normal((600, 300)) * 200 + 3000).clip(0, 4095).astype(np.uint16)
    values.ravel()[chance.permutation(values.size)[:hot]] = 65535
    # Signed values are always counted.
    assert np.array_equal(read_image(values), read_image(values.astype(np.int32)))


def test_every_type_that_holds_the_values_shows_the_same():
    values = radiograph(top=3000)
    shown = [read_image(values.astype(dtype)) for dtype in TYPES]
    assert all(np.array_equal(shown[0], other) for other in shown[1:])


def test_array_that_is_not_contiguous_is_shown_as_its_copy():
    values = radiograph((60, 60)).astype(np.uint16)
    assert np.array_equal(read_image(values[::2, ::-3]), read_image(values[::2, ::-3].copy()))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32, np.float64])
def test_colour_is_luminance_of_bt_601(dtype):
    chance = np.random.default_rng(1)
    colours = chance.integers(0, 256, (9, 11, 3)).astype(dtype)
    expected = colours.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(luminance(colours).astype(np.float64) - expected).max() <= 0.51


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float64, 1)])
def test_what_is_transparent_lies_on_black(dtype, top):
    colours = np.full((2, 2, 4), top, dtype)
    colours[0, 0, 3] = 0
    shown = read_image(colours)
    assert shown[0, 0] == 0
    assert shown[1, 1] == (255 if dtype != np.uint16 else shown.max())


def test_third_axis_of_one_is_grey():
    values = radiograph(top=255).astype(np.uint8)
    assert np.array_equal(read_image(values[..., None]), values)


REFUSED = [
    np.zeros((2, 3, 5), np.uint8),
    np.zeros(7, np.uint8),
    np.zeros((0, 4), np.uint8),
    np.zeros((2, 2), np.complex128),
    np.array([["a"]], object),
]


@pytest.mark.parametrize("values", REFUSED, ids=lambda values: f"{values.dtype}{values.shape}")
def test_array_that_is_no_image_is_refused(values):
    with pytest.raises(ImageError, match=r"expected numbers or bool of shape \(H, W\)"):
        open_image(values)


def test_array_beyond_the_limits_is_refused():
    with pytest.raises(PixelLimitError, match="at most 99 pixels"):
        open_image(np.zeros((10, 10), np.uint8), limits=PixelLimits(pixels=99))


def test_showing_does_not_change_the_array():
    values = radiograph((300, 300), top=3000).astype(np.float64)
    before = values.copy()
    show(Stored.of(values))
    assert np.array_equal(values, before)
