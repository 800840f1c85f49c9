import numpy as np
import pytest
from PIL import Image

from classifier.errors import PreprocessingError
from classifier.preprocess.resize import resize
from tests.classifier.preprocess.pictures import natural

SHAPES = [(1, 1), (1, 300), (300, 1), (37, 41), (224, 224), (500, 333)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 32, 224])
def test_eight_bits_are_what_pillow_gives(shape, size):
    image = natural(*shape)
    expected = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    found = resize(image, size)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("shape", SHAPES)
def test_floating_point_is_what_pillow_gives_clipped_to_0_and_1(shape):
    image = natural(*shape).astype(np.float64) / 255
    expected = Image.fromarray(image.astype(np.float32)).resize((64, 64), Image.Resampling.BICUBIC)
    found = resize(image, 64)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.clip(np.asarray(expected), 0, 1))


def test_sixteen_bits_keep_sixteen_bits():
    image = np.random.default_rng(0).integers(0, 65536, (90, 120), dtype=np.uint16)
    found = resize(image, 40)
    assert found.dtype == np.uint16
    exact = Image.fromarray(image.astype(np.float32)).resize((40, 40), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found, np.clip(np.rint(np.asarray(exact)), 0, 65535))


def test_the_types_agree_within_what_pillow_rounds():
    # Pillow rounds and clips 8 bits between the two directions, the others at the end.
    image = natural(300, 300)
    found = resize(image, 64).astype(float)
    for other in (resize(image.astype(np.uint16) * 257, 64) / 257, resize(image / 255, 64) * 255.0):
        inner = (found > 8) & (found < 247)
        np.testing.assert_allclose(other[inner], found[inner], atol=1.5)
        np.testing.assert_allclose(other, found, atol=4)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_overshoot_is_clipped_and_does_not_wrap(kind):
    white = {"u1": 255, "u2": 65535, "f4": 1}[kind]
    edge = np.zeros((10, 40), kind)
    edge[:, 20:] = white
    found = resize(edge, 80)
    assert found[:, :30].max() <= white * 0.1
    assert found[:, 50:].min() >= white * 0.9


def test_a_fine_pattern_is_averaged_and_does_not_alias():
    stripes = np.tile(np.array([[0, 254]], np.uint8), (2000, 1000))
    found = resize(stripes, 224)[20:-20, 20:-20]
    assert found.min() >= 125
    assert found.max() <= 129


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((100, 50), (0, 64), (16, 48)),
        ((50, 100), (16, 48), (0, 64)),
        ((77, 77), (0, 64), (0, 64)),
        ((1, 500), (31, 32), (0, 64)),
        ((500, 1), (0, 64), (31, 32)),
        ((90, 61), (0, 64), (10, 53)),
    ],
)
def test_padding_keeps_the_aspect_in_the_middle_of_black(kind, shape, rows, columns):
    white = {"u1": 255, "u2": 65535, "f4": 1}[kind]
    found = resize(np.full(shape, white, kind), 64, "pad")
    expected = np.zeros((64, 64), kind)
    expected[slice(*rows), slice(*columns)] = white
    np.testing.assert_allclose(found, expected, atol=white * 1e-6)


def test_squashing_ignores_the_aspect():
    image = np.zeros((100, 50), np.uint8)
    image[:50] = 255
    found = resize(image, 64)
    assert (found[:28] == 255).all()
    assert (found[36:] == 0).all()


def test_a_reducing_gap_gives_nearly_the_same():
    image = natural(1000, 1400)
    found = resize(image, 96).astype(int)
    assert abs(resize(image, 96, reducing_gap=2.0) - found).mean() < 1
    assert abs(resize(image, 96, reducing_gap=3.0) - found).mean() < 0.5


def test_an_array_that_is_not_contiguous_works():
    image = natural()
    expected = resize(np.ascontiguousarray(image[::-1, ::2]), 50)
    np.testing.assert_array_equal(resize(image[::-1, ::2], 50), expected)


def test_what_comes_back_can_be_written_to():
    assert all(resize(natural().astype(kind), 8).flags.writeable for kind in (np.uint8, np.uint16))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((4, 4, 3), np.uint8), "one grey image"),
        (np.zeros((0, 4), np.uint8), "one grey image"),
        (np.zeros((4, 4), np.int16), "uint8, uint16 or floating point"),
        (np.zeros((4, 4), bool), "uint8, uint16 or floating point"),
        (np.full((4, 4), 255.0), "0 for black and 1 for white"),
        (np.full((4, 4), -0.1), "0 for black and 1 for white"),
        (np.full((4, 4), np.nan), "0 for black and 1 for white"),
    ],
)
def test_what_cannot_be_resized_is_refused(image, told):
    with pytest.raises(PreprocessingError, match=told):
        resize(image, 8)


@pytest.mark.parametrize(
    ("size", "fit", "gap"), [(0, "squash", None), (8, "crop", None), (8, "pad", 0.5)]
)
def test_a_setting_that_means_nothing_is_refused(size, fit, gap):
    with pytest.raises(PreprocessingError, match="squash, pad"):
        resize(natural(), size, fit, reducing_gap=gap)
