import json
import subprocess
import sys

import numpy as np
import pytest

from classifier.errors import PreprocessingError
from classifier.preprocess.cartex import CartexSettings, cartoon_texture
from classifier.preprocess.hat import hat
from classifier.preprocess.pipeline import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from classifier.preprocess.resize import resize
from tests.classifier.preprocess.pictures import natural

GREY = natural(300, 200)


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_every_kind_gives_three_planes_between_0_and_1(kind, fit):
    found = Preprocessing(kind, 96, fit)(GREY)
    assert found.shape == (3, 96, 96)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_calling_it_is_fitting_then_making_the_tensor(kind):
    preprocessing = Preprocessing(kind, 64)
    fitted = preprocessing.fit_image(GREY)
    assert fitted.dtype == np.uint8
    np.testing.assert_array_equal(fitted, resize(GREY, 64))
    np.testing.assert_array_equal(preprocessing(GREY), preprocessing.tensor(fitted))


def test_a_is_the_image_three_times():
    fitted = natural(64, 64)
    found = Preprocessing("A", 64).tensor(fitted)
    np.testing.assert_allclose(found, np.stack([fitted / 255] * 3), atol=1e-7)


def test_b_is_the_hat_with_the_element_scaled():
    fitted = natural(128, 128)
    found = Preprocessing("B", 128, channels=1).tensor(fitted)
    np.testing.assert_allclose(found, hat(fitted, 9)[None] / 255, atol=1e-7)
    other = Preprocessing("B", 128, channels=1, hat_element=31).tensor(fitted)
    np.testing.assert_allclose(other, hat(fitted, 17)[None] / 255, atol=1e-7)


@pytest.mark.parametrize(("kind", "size"), [("C", None), ("D", 9)])
def test_c_and_d_are_image_cartoon_and_texture_on_one_scale(kind, size):
    fitted = natural(128, 128)
    image = fitted if size is None else hat(fitted, size)
    cartoon, texture = cartoon_texture(image)
    expected = [image / 255, np.clip(cartoon / 255, 0, 1), np.clip(texture / 255 + 0.5, 0, 1)]
    found = Preprocessing(kind, 128).tensor(fitted)
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-6)
    inside = (found[1:] > 0).all(axis=0) & (found[1:] < 1).all(axis=0)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found[0][inside], (found[1] + found[2] - 0.5)[inside], atol=1e-6)


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_image_has_no_texture_and_no_nan(kind, level):
    found = Preprocessing(kind, 32)(np.full((50, 40), level, np.uint8))
    np.testing.assert_allclose(found[0], level / 255, atol=1e-6)
    np.testing.assert_allclose(found[2], 0.5 if kind in "CD" else level / 255, atol=1e-6)


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
@pytest.mark.parametrize(
    ("other", "why"),
    [
        (GREY.astype(np.uint16) * 257, "16 bits"),
        (GREY / 255, "float64"),
        ((GREY / 255).astype(np.float32), "float32"),
    ],
)
def test_the_same_image_of_another_type_gives_the_same(kind, other, why):
    preprocessing = Preprocessing(kind, 64)
    expected = preprocessing.fit_image(GREY).astype(int)
    assert abs(preprocessing.fit_image(other) - expected).max() <= 1, why
    fitted = natural(64, 64)
    scaled = fitted.astype(np.uint16) * 257 if other.dtype == np.uint16 else fitted / 255
    if other.dtype == np.float32:
        scaled = scaled.astype(np.float32)
    found, known = preprocessing.tensor(scaled), preprocessing.tensor(fitted)
    np.testing.assert_allclose(found, known, atol=2e-5)


def test_sixteen_bits_are_neither_windowed_nor_stretched():
    twelve = np.full((10, 10), 4095, np.uint16)
    assert (Preprocessing("A", 8).fit_image(twelve) == 16).all()


def test_mean_and_deviation_of_imagenet_come_last():
    fitted = natural(64, 64)
    plain = Preprocessing("C", 64).tensor(fitted)
    found = Preprocessing("C", 64, mean=IMAGENET_MEAN, std=IMAGENET_STD).tensor(fitted)
    for channel in range(3):
        expected = (plain[channel] - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        np.testing.assert_allclose(found[channel], expected, atol=1e-5)


def test_the_fitted_image_is_left_alone():
    fitted = natural(64, 64)
    before = fitted.copy()
    for kind in "ABCD":
        Preprocessing(kind, 64).tensor(fitted)
    np.testing.assert_array_equal(fitted, before)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing("A", 128, channels=1, mean=(0.3,), std=(0.25,)),
        Preprocessing("D", 512, "pad", cartex=CartexSettings(lowpass="repeated", passes=5)),
        Preprocessing("C", mean=IMAGENET_MEAN, std=IMAGENET_STD, hat_element=9, reducing_gap=2.0),
    ],
)
def test_it_comes_back_from_json_as_it_was(preprocessing):
    text = json.dumps(preprocessing.to_json())
    back = Preprocessing.from_json(json.loads(text))
    assert back == preprocessing
    assert hash(back) == hash(preprocessing)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "E"}, "A, B, C, D"),
        ({"kind": "AB"}, "A, B, C, D"),
        ({"kind": "C", "channels": 1}, "channels: '1' was given; expected 3 for preprocessing C"),
        ({"kind": "D", "channels": 1}, "expected 3 for preprocessing D"),
        ({"kind": "A", "channels": 2}, "1 or 3 for preprocessing A"),
        ({"kind": "A", "size": 0}, "at least 1 pixel"),
        ({"kind": "A", "fit": "crop"}, "squash, pad"),
        ({"kind": "B", "hat_element": 0}, "at least 1 pixel"),
        ({"kind": "A", "reducing_gap": 0.5}, "at least 1"),
        ({"kind": "A", "mean": (0.5,), "std": (0.5,)}, "3 values"),
        ({"kind": "A", "mean": IMAGENET_MEAN}, "together"),
        ({"kind": "A", "mean": (0, 0, 0), "std": (1, 1, 0)}, "above 0"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(wrong, told):
    with pytest.raises(PreprocessingError, match=told):
        Preprocessing(**wrong)


def test_a_name_in_json_that_is_not_a_setting_is_refused():
    with pytest.raises(PreprocessingError, match="'sharpen'"):
        Preprocessing.from_json({"kind": "A", "sharpen": 1})
    with pytest.raises(PreprocessingError, match="'alpha'"):
        Preprocessing.from_json({"kind": "A", "cartex": {"alpha": 1}})
    with pytest.raises(PreprocessingError, match="kind"):
        Preprocessing.from_json({"size": 64})


@pytest.mark.parametrize(
    "fitted",
    [np.zeros((3, 8, 8), np.uint8), np.full((8, 8), 2.0), np.zeros((8, 8), np.int64)],
)
def test_a_tensor_of_what_is_not_a_fitted_image_is_refused(fitted):
    with pytest.raises(PreprocessingError):
        Preprocessing("A", 8).tensor(fitted)


def test_it_needs_no_torch():
    code = "import sys, classifier.preprocess.pipeline, classifier.training.augment\n"
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
