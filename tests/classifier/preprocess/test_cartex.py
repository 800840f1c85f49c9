import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from classifier.errors import PreprocessingError
from classifier.preprocess.cartex import CartexSettings, cartoon_texture, texture_weight
from tests.classifier.preprocess.pictures import examples, natural

SIDES = st.integers(1, 40)
IMAGES = st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda kind: arrays.arrays(kind, st.tuples(SIDES, SIDES))
)
SETTINGS = st.builds(
    CartexSettings,
    taps=st.sampled_from([3, 5, 7, 9]),
    lowpass=st.sampled_from(["buades", "repeated"]),
    passes=st.integers(1, 5),
    ltv_floor=st.sampled_from([0.0, 1 / 255]),
)
MADE = [
    CartexSettings(),
    CartexSettings(lowpass="repeated"),
    CartexSettings(passes=5, taps=9),
    CartexSettings(ltv_floor=1 / 255),
]


def plainly(
    image: NDArray[np.float64], chosen: CartexSettings, white: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cartoon and weight in float64 with scipy, on the whole image, as the papers say it."""
    away = np.arange(chosen.taps) - chosen.taps // 2
    kernel = np.exp(-(away**2) / (2 * chosen.sigma**2))
    kernel /= kernel.sum()

    def blur(plane):
        across = ndimage.correlate1d(plane, kernel, axis=1, mode="reflect")
        return ndimage.correlate1d(across, kernel, axis=0, mode="reflect")

    def variation(plane):
        return blur(np.hypot(*(ndimage.sobel(plane, axis=axis, mode="reflect") for axis in (0, 1))))

    low = image
    if chosen.lowpass == "buades":
        rest = image
        for _ in range(chosen.passes + 1):
            rest = rest - blur(rest)
        low = image - rest
    else:
        for _ in range(chosen.passes):
            low = blur(low)
    before, after = variation(image), variation(low)
    counts = before > 8 * chosen.ltv_floor * white
    ratio = np.where(counts, (before - after) / np.where(counts, before, 1), 0)
    weight = np.interp(ratio, [chosen.a1, chosen.a2], [0, 1])
    return (1 - weight) * image + weight * low, weight


@pytest.mark.parametrize("chosen", MADE)
def test_it_is_what_the_papers_say_computed_plainly(chosen):
    image = natural()
    cartoon, _ = cartoon_texture(image, chosen)
    expected, weight = plainly(image.astype(np.float64), chosen, 255)
    np.testing.assert_allclose(texture_weight(image, chosen), weight, atol=2e-4)
    np.testing.assert_allclose(cartoon, expected, atol=255 * 2e-5)


@examples(60)
@given(IMAGES, SETTINGS)
def test_cartoon_and_texture_add_up_to_the_image_bit_for_bit(image, chosen):
    cartoon, texture = cartoon_texture(image, chosen)
    np.testing.assert_array_equal(cartoon + texture, image)
    np.testing.assert_array_equal(cartoon.astype(np.float64) + texture, image)


@examples(40)
@given(arrays.arrays(np.float32, st.tuples(SIDES, SIDES), elements=st.floats(-1, 1, width=32)))
def test_floating_point_adds_up_to_within_rounding(image):
    cartoon, texture = cartoon_texture(image)
    assert cartoon.dtype == texture.dtype == np.float32
    np.testing.assert_allclose(cartoon + texture, image, rtol=0, atol=2e-7)


def test_floating_point_that_holds_whole_grey_levels_adds_up_bit_for_bit():
    image = natural().astype(np.float32) * 16 + 3
    cartoon, texture = cartoon_texture(image)
    np.testing.assert_array_equal(cartoon + texture, image)


@examples(60)
@given(
    st.tuples(SIDES, SIDES), st.sampled_from(["u1", "u2", "f4", "f8"]), st.floats(0, 1), SETTINGS
)
def test_a_constant_image_is_all_cartoon(shape, kind, level, chosen):
    most = {"u1": 255, "u2": 65535}.get(kind, 1)
    image = np.full(shape, level * most, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cartoon, texture = cartoon_texture(image, chosen)
    np.testing.assert_array_equal(cartoon, image.astype(np.float32))
    assert not texture.any()
    assert not texture_weight(image, chosen).any()


@examples(60)
@given(IMAGES, SETTINGS)
def test_the_weight_is_between_0_and_1_and_nothing_is_nan(image, chosen):
    weight = texture_weight(image, chosen)
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert all(np.isfinite(plane).all() for plane in cartoon_texture(image, chosen))


def test_the_ramp_is_used_and_so_are_both_ends():
    weight = texture_weight(natural())
    assert ((weight > 0) & (weight < 1)).mean() > 0.05
    assert (weight == 0).any()
    assert (weight == 1).any()


def test_texture_is_signed_and_a_fine_pattern_is_nearly_all_of_it():
    # Stripes of one pixel are not seen: the gradient is that of Sobel, from one neighbour to the
    # other.
    stripes = np.tile(np.array([[0, 0, 255, 255]], np.uint8), (64, 16))
    cartoon, texture = cartoon_texture(stripes)
    inner = slice(16, -16)
    assert cartoon[inner, inner].std() < texture[inner, inner].std() / 5
    assert texture[inner, inner].min() < -100 < 100 < texture[inner, inner].max()


def test_a_broad_slope_is_left_in_the_cartoon():
    slope = np.tile(np.arange(200, dtype=np.uint8), (60, 1))
    _, texture = cartoon_texture(slope)
    # Not at the two mirrored ends, which bend the slope.
    assert not texture[:, 20:-20].any()


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 40.0), (2.0, 0.0), (0.37, 25.0), (13.0, 700.0)])
@pytest.mark.parametrize("chosen", MADE[:3])
def test_brighter_and_steeper_grey_gives_the_cartoon_as_bright_and_steep(gain, offset, chosen):
    image = natural().astype(np.float32)
    cartoon, texture = cartoon_texture(image, chosen)
    changed, moved = cartoon_texture(gain * image + np.float32(offset), chosen)
    most = 255 * gain + offset
    np.testing.assert_allclose(changed, gain * cartoon + offset, atol=1e-4 * most)
    np.testing.assert_allclose(moved, gain * texture, atol=1e-4 * most)


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 1), (7, 13)])
def test_a_moved_image_has_a_moved_cartoon(down, across):
    image = natural(140, 140)
    reach = CartexSettings().reach
    whole, _ = cartoon_texture(image)
    part, _ = cartoon_texture(image[down : down + 100, across : across + 100])
    inner = slice(reach, 100 - reach)
    expected = whole[down : down + 100, across : across + 100]
    np.testing.assert_allclose(part[inner, inner], expected[inner, inner], atol=255e-5)


@pytest.mark.parametrize("chosen", MADE)
@pytest.mark.parametrize(("tile", "threads"), [(16, 1), (16, 3), (37, 2), (64, None), (149, 1)])
def test_neither_tiles_nor_threads_change_the_result(chosen, tile, threads):
    image = natural()
    whole = cartoon_texture(image, chosen, tile=1000, threads=1)
    tiled = cartoon_texture(image, chosen, tile=tile, threads=threads)
    for one, other in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=255e-5)


def test_the_same_image_gives_the_same_bytes():
    image = natural()
    weights = {texture_weight(image).tobytes() for _ in range(20)}
    assert len(weights) == 1


def test_the_halo_is_as_wide_as_a_pixel_reaches():
    image = natural()
    changed = image.copy()
    changed[60, 75] ^= 128
    reach = CartexSettings().reach
    different = cartoon_texture(image)[0] != cartoon_texture(changed)[0]
    rows, columns = np.nonzero(different)
    assert max(abs(rows - 60).max(), abs(columns - 75).max()) == reach


@pytest.mark.parametrize(
    ("kind", "factor"),
    [("u2", 1), ("u2", 16), ("u2", 257), ("f4", 1 / 255), ("f8", 1 / 255), ("f4", 16)],
)
def test_every_type_gives_the_same_on_its_own_scale(kind, factor):
    image = natural()
    cartoon, texture = cartoon_texture(image)
    scaled = (image.astype(np.float64) * factor).astype(kind)
    found = cartoon_texture(scaled)
    # 8 bits in a type of 16 are rounded to 2⁻²⁰ of its white, which is more.
    step = max(255 * factor * 2e-5, 0.07 if kind == "u2" else 0)
    np.testing.assert_allclose(found[0], cartoon * factor, atol=step)
    np.testing.assert_allclose(found[1], texture * factor, atol=step)


def test_the_floor_means_the_same_in_every_type():
    chosen = CartexSettings(ltv_floor=2 / 255)
    image = natural()
    weight = texture_weight(image, chosen)
    assert (weight < texture_weight(image)).any()
    np.testing.assert_allclose(
        texture_weight(image.astype(np.uint16) * 257, chosen), weight, atol=1e-3
    )


def test_a_black_border_is_left_black():
    image = np.zeros((160, 160), np.uint16)
    image[40:120, 40:120] = natural(80, 80).astype(np.uint16) * 16
    cartoon, texture = cartoon_texture(image)
    reach = CartexSettings().reach
    border = np.ones(image.shape, bool)
    border[40 - reach : 120 + reach, 40 - reach : 120 + reach] = False
    assert not cartoon[border].any()
    assert not texture[border].any()


def test_the_two_low_passes_differ():
    image = natural()
    buades = texture_weight(image).mean()
    repeated = texture_weight(image, CartexSettings(lowpass="repeated")).mean()
    assert repeated > buades + 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_an_image_smaller_than_the_filter_works(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for tile in (1, 320):
        cartoon, texture = cartoon_texture(image, tile=tile)
        np.testing.assert_array_equal(cartoon + texture, image)


def test_an_array_that_is_not_contiguous_works():
    image = natural()
    expected = cartoon_texture(np.ascontiguousarray(image[::-1, ::2]))
    for one, other in zip(cartoon_texture(image[::-1, ::2]), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e30])
def test_a_value_that_is_not_finite_is_refused(wrong):
    image = np.zeros((9, 9), np.float32)
    image[4, 4] = wrong
    with pytest.raises(PreprocessingError, match="not a number, infinite or huge"):
        cartoon_texture(image)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.int32)],
)
def test_what_is_not_a_grey_image_is_refused(image):
    with pytest.raises(PreprocessingError):
        cartoon_texture(image)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma": 0.0},
        {"taps": 4},
        {"lowpass": "median"},
        {"passes": 0},
        {"a1": 0.5, "a2": 0.5},
        {"ltv_floor": -1.0},
    ],
)
def test_a_parameter_that_means_nothing_is_refused(wrong):
    with pytest.raises(PreprocessingError, match="odd taps"):
        CartexSettings(**wrong)
