from dataclasses import replace

import cv2
import numpy as np
import pytest

from classifier.errors import PreprocessingError
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.augment import POLICIES, Augmentation
from tests.classifier.preprocess.pictures import natural

SIZE = 64
DIRECTED = ["none", "cheng-directed", "default"]


def chance(*words: int) -> np.random.Generator:
    return np.random.default_rng([7, *words])


def letter() -> np.ndarray:
    """An F: no turn by less than a right angle makes of it what a mirror does."""
    image = np.full((SIZE, SIZE), 40, np.uint8)
    for corner, other in (((20, 12), (27, 52)), ((20, 12), (44, 19)), ((20, 28), (38, 35))):
        cv2.rectangle(image, corner, other, 200, -1)
    return image


def likeness(image: np.ndarray, other: np.ndarray) -> float:
    """The best correlation of two letters, whatever their place, and black and white."""
    first, second = (
        cv2.GaussianBlur(one, (0, 0), 1.0).astype(np.float32)[12:-12, 12:-12]
        if small
        else cv2.copyMakeBorder(
            cv2.GaussianBlur(one, (0, 0), 1.0), 16, 16, 16, 16, cv2.BORDER_REPLICATE
        ).astype(np.float32)
        for one, small in ((image, True), (other, False))
    )
    return float(np.abs(cv2.matchTemplate(second, first, cv2.TM_CCOEFF_NORMED)).max())


def looks_mirrored(found: np.ndarray) -> bool:
    """Whether the letter is nearer to its mirror image than to itself, turned and magnified."""
    image = letter()
    best = {}
    for mirrored, one in ((False, image), (True, image[:, ::-1])):
        turned = (
            cv2.warpAffine(
                np.ascontiguousarray(one),
                cv2.getRotationMatrix2D(((SIZE - 1) / 2,) * 2, angle, zoom),
                (SIZE, SIZE),
                borderValue=40,
            )
            for angle in (-15, -8, 0, 8, 15)
            for zoom in (0.75, 0.9, 1.05, 1.2)
        )
        best[mirrored] = max(likeness(one, found) for one in turned)
    return best[True] > best[False]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_grey_keeps_its_shape_its_type_and_its_range(policy, kind):
    image = natural(SIZE, SIZE) if kind == "u1" else natural(SIZE, SIZE).astype("f4") / 255
    before = image.copy()
    for index in range(30):
        found = Augmentation.named(policy).apply_grey(image, chance(index))
        assert found.shape == image.shape
        assert found.dtype == image.dtype
        assert found.min() >= 0
        assert found.max() <= (255 if kind == "u1" else 1)
        assert found is not image
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_tensors_keep_their_shape_and_their_range(policy, kind):
    tensor = Preprocessing(kind, SIZE)(natural())
    before = tensor.copy()
    for index in range(10):
        found = Augmentation.named(policy).apply(tensor, chance(index))
        assert found.shape == tensor.shape
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() <= 1
    np.testing.assert_array_equal(tensor, before)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_generator_gives_the_same_bytes(policy):
    augmentation = Augmentation.named(policy)
    image, tensor = natural(SIZE, SIZE), Preprocessing("C", SIZE)(natural())
    for index in range(20):
        first = augmentation.apply_grey(image, chance(index))
        assert first.tobytes() == augmentation.apply_grey(image, chance(index)).tobytes()
        other = augmentation.apply(tensor, chance(index))
        assert other.tobytes() == augmentation.apply(tensor, chance(index)).tobytes()


@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "none"])
def test_another_generator_gives_another_image(policy):
    image = natural(SIZE, SIZE)
    augmentation = Augmentation.named(policy)
    found = {augmentation.apply_grey(image, chance(index)).tobytes() for index in range(20)}
    assert len(found) >= 18


def test_none_changes_nothing():
    image, tensor = natural(SIZE, SIZE), Preprocessing("C", SIZE)(natural())
    augmentation = Augmentation.named("none")
    assert augmentation == Augmentation()
    np.testing.assert_array_equal(augmentation.apply_grey(image, chance()), image)
    np.testing.assert_allclose(augmentation.apply(tensor, chance()), tensor, atol=1e-6)


@pytest.mark.parametrize("policy", DIRECTED)
def test_what_is_safe_for_sides_and_views_never_mirrors(policy):
    augmentation = Augmentation.named(policy)
    assert not augmentation.mirrors
    mirrored = [
        looks_mirrored(augmentation.apply_grey(letter(), chance(index))) for index in range(60)
    ]
    assert not any(mirrored)


@pytest.mark.parametrize(("policy", "share"), [("router", 0.5), ("cheng", 0.25)])
def test_the_others_mirror_and_the_test_sees_it(policy, share):
    augmentation = Augmentation.named(policy)
    assert augmentation.mirrors
    mirrored = [
        looks_mirrored(augmentation.apply_grey(letter(), chance(index))) for index in range(60)
    ]
    # cheng also turns by right angles, which the eye of the test does not follow.
    assert share - 0.2 < np.mean(mirrored) < share + 0.25


def test_flipping_is_the_mirror_image_exactly():
    image = natural(SIZE, SIZE)
    for size in (SIZE, SIZE - 1):
        part = np.ascontiguousarray(image[:size, :size])
        found = Augmentation(flip=1).apply_grey(part, chance())
        np.testing.assert_array_equal(found, part[:, ::-1])


def test_dihedral_gives_each_of_the_eight_symmetries_exactly():
    image = natural(SIZE, SIZE)
    symmetries = {np.rot90(one, turns).tobytes() for one in (image, image.T) for turns in range(4)}
    found = {
        Augmentation(dihedral=1).apply_grey(image, chance(index)).tobytes() for index in range(120)
    }
    assert found == symmetries


def test_rotation_is_about_the_centre_and_within_its_range():
    image = np.zeros((101, 101), np.uint8)
    cv2.circle(image, (50, 20), 4, 255, -1)
    angles = []
    for index in range(100):
        found = Augmentation(rotate=10, rotate_least=5).apply_grey(image, chance(index))
        moments = cv2.moments(found)
        across, down = (moments[name] / moments["m00"] - 50 for name in ("m10", "m01"))
        assert np.hypot(across, down) == pytest.approx(30, abs=0.3)
        angles.append(np.degrees(np.arctan2(across, -down)))
    assert min(np.abs(angles)) > 4.5
    assert max(np.abs(angles)) < 10.5
    assert min(angles) < 0 < max(angles)


@pytest.mark.parametrize(
    ("augmentation", "least", "most"),
    [
        (Augmentation(zoom=(0.7, 1.2)), 0.7**2, 1.2**2),
        (Augmentation(crop=0.9, crop_ratio=4 / 3), 1, 1 / 0.9),
    ],
)
def test_a_disc_grows_as_it_is_magnified(augmentation, least, most):
    image = np.zeros((101, 101), np.uint8)
    cv2.circle(image, (50, 50), 15, 255, -1)
    areas = [
        augmentation.apply_grey(image, chance(index)).sum() / image.sum() for index in range(60)
    ]
    assert least * 0.97 < min(areas) < max(areas) < most * 1.03
    assert max(areas) - min(areas) > 0.5 * (most - least)


def test_warping_keeps_the_middle_and_makes_opposite_sides_unequal():
    image = np.zeros((101, 101), np.uint8)
    for place in ((20, 50), (80, 50)):
        cv2.circle(image, place, 8, 255, -1)
    ratios = []
    for index in range(60):
        found = Augmentation(warp=0.2).apply_grey(image, chance(index)).astype(float)
        ratios.append(found[:, 50:].sum() / found[:, :51].sum())
    assert min(ratios) < 0.75
    assert max(ratios) > 1.3


def test_what_comes_from_outside_is_black():
    image = np.full((SIZE, SIZE), 200, np.uint8)
    found = Augmentation(zoom=(0.5, 0.5)).apply_grey(image, chance())
    assert not found[:14].any()
    assert (found[18:46, 18:46] == 200).all()


def test_lighting_is_monotonic_and_keeps_black_and_white():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    for index in range(30):
        found = Augmentation(lighting=0.2, gamma=1.4).apply_grey(ramp, chance(index))[0]
        assert found[0] == 0
        assert found[-1] == 255
        assert (np.diff(found.astype(int)) >= 0).all()


def test_lighting_moves_middle_grey_by_at_most_its_strength():
    image = np.full((8, 8), 0.5, np.float32)
    found = [
        Augmentation(lighting=0.2).apply_grey(image, chance(index))[0, 0] for index in range(300)
    ]
    # The logit of 0.6, steeper by 1 / 0.8, is that of 0.624.
    assert 0.37 < min(found) < 0.41
    assert 0.59 < max(found) < 0.63


def test_inverting_exchanges_black_and_white():
    image = natural(SIZE, SIZE)
    np.testing.assert_array_equal(Augmentation(invert=1).apply_grey(image, chance()), 255 - image)


def test_a_collimated_image_is_black_around_a_box():
    image = np.full((SIZE, SIZE), 200, np.uint8)
    lit = []
    for index in range(40):
        found = Augmentation(collimate=1, collimate_least=0.6).apply_grey(image, chance(index))
        assert set(np.unique(found)) <= {0, 200}
        lit.append((found > 0).mean())
    assert 0.3 < min(lit) < 0.55
    assert max(lit) < 1


def test_stamps_are_bright_small_and_off_the_middle():
    image = np.zeros((128, 128), np.uint8)
    for index in range(40):
        found = Augmentation(stamp=1, stamp_glyphs="LRX").apply_grey(image, chance(index))
        assert found.max() > 180
        assert 0 < (found > 0).mean() < 0.06
        assert not found[56:72, 56:72].any()


def test_noise_has_no_more_than_its_deviation():
    image = np.full((SIZE, SIZE), 128, np.uint8)
    spread = [
        Augmentation(noise=0.03).apply_grey(image, chance(index)).std() for index in range(60)
    ]
    assert max(spread) < 0.03 * 255 * 1.1
    assert max(spread) > 0.02 * 255


@pytest.mark.parametrize("policy", POLICIES)
def test_eight_bits_and_floating_point_are_changed_alike(policy):
    image = natural(SIZE, SIZE)
    exact = image.astype(np.float32) / 255
    # Local equalisation makes several levels of one.
    augmentation = replace(Augmentation.named(policy), equalise=0.0)
    for index in range(10):
        found = augmentation.apply_grey(image, chance(index)) / 255
        other = augmentation.apply_grey(exact, chance(index))
        assert np.quantile(np.abs(found - other), 0.99) < 4 / 255


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_tensor_is_changed_as_its_image_is(policy, channels):
    image = natural(SIZE, SIZE).astype(np.float32) / 255
    tensor = np.repeat(image[None], channels, axis=0)
    augmentation = Augmentation.named(policy)
    for index in range(10):
        expected = augmentation.apply_grey(image, chance(index))
        found = augmentation.apply(tensor, chance(index))
        np.testing.assert_array_equal(found, np.repeat(expected[None], channels, axis=0))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_texture_stays_what_the_cartoon_lacks(policy):
    tensor = Preprocessing("C", SIZE)(natural())
    augmentation = Augmentation.named(policy)
    for index in range(10):
        found = augmentation.apply(tensor, chance(index))
        expected = np.clip(found[0] - found[1] + 0.5, 0, 1)
        np.testing.assert_allclose(found[2], expected, atol=1e-6)


def test_geometry_moves_image_cartoon_and_texture_alike():
    tensor = Preprocessing("C", SIZE)(natural())
    found = Augmentation(flip=1).apply(tensor, chance())
    np.testing.assert_allclose(found, tensor[:, :, ::-1], atol=1e-6)


def test_an_augmented_image_becomes_a_tensor():
    preprocessing = Preprocessing("D", SIZE)
    fitted = preprocessing.fit_image(natural())
    found = preprocessing.tensor(Augmentation.named("default").apply_grey(fitted, chance()))
    assert found.shape == (3, SIZE, SIZE)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, SIZE, SIZE), np.uint8),
        np.zeros((SIZE, SIZE + 1), np.uint8),
        np.zeros((SIZE, SIZE), np.float64),
        np.full((SIZE, SIZE), 1.5, np.float32),
    ],
)
def test_a_grey_image_that_is_not_one_is_refused(image):
    with pytest.raises(PreprocessingError):
        Augmentation.named("default").apply_grey(image, chance())


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((2, SIZE, SIZE), np.float32),
        np.zeros((3, SIZE, SIZE), np.float64),
        np.zeros((SIZE, SIZE), np.float32),
        Preprocessing("A", SIZE, mean=(0.5,) * 3, std=(0.2,) * 3)(natural()),
    ],
)
def test_a_tensor_that_is_not_in_0_and_1_is_refused(tensor):
    with pytest.raises(PreprocessingError):
        Augmentation.named("default").apply(tensor, chance())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"flip": 1.5}, "flip: '1.5' was given; expected a number from 0 to 1"),
        ({"rotate": -3.0}, "rotate"),
        ({"rotate": 5.0, "rotate_least": 6.0}, "at most what rotate is"),
        ({"zoom": (1.2, 0.9)}, "the least factor"),
        ({"crop": 0.0}, "crop"),
        ({"stamp_glyphs": "LQ"}, "some of LRX"),
        ({"noise": float("nan")}, "noise"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(wrong, told):
    with pytest.raises(PreprocessingError, match=told):
        Augmentation(**wrong)


def test_a_policy_that_is_not_there_is_refused():
    with pytest.raises(PreprocessingError, match="none, cheng, cheng-directed, router, default"):
        Augmentation.named("fastai")


def test_a_close_up_lies_on_what_there_is_to_see():
    image = np.full((120, 120), 40, np.uint8)
    image[20:50, 70:100] = natural(30, 30)
    close = Augmentation(close=0.35)
    looks = [close.look(image, chance(index)) for index in range(60)]
    showing = [np.ptp(look.image.astype(int)) > 20 for look in looks if look.shown < 0.3]
    assert len(showing) > 10
    assert np.mean(showing) > 0.9


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        ({}, 1, 1),
        ({"close": 0.5}, 0.25, 1),
        ({"crop": 0.6}, 0.6, 1),
        ({"zoom": (2.0, 2.0)}, 0.25, 0.25),
        ({"zoom": (0.5, 0.5)}, 1, 1),
        ({"rotate": 20.0, "quarter": 1.0, "warp": 0.1, "shift": 0.2}, 1, 1),
    ],
)
def test_a_look_says_how_much_of_the_image_it_shows(settings, least, most):
    for index in range(20):
        shown = Augmentation(**settings).look(natural(SIZE, SIZE), chance(index)).shown
        assert least - 1e-9 <= shown <= most + 1e-9


def test_a_look_from_more_pixels_shows_the_same_as_one_from_few():
    fine = natural(128, 128)
    coarse = cv2.resize(fine, (32, 32), interpolation=cv2.INTER_AREA)
    settings = Augmentation(crop=0.4, rotate=20.0, shift=0.1)
    for index in range(10):
        from_fine = settings.look(fine, chance(index), 32).image.astype(float)
        alone = settings.look(coarse, chance(index)).image.astype(float)
        assert from_fine.shape == (32, 32)
        assert np.corrcoef(from_fine.ravel(), alone.ravel())[0, 1] > 0.8


def test_what_lies_outside_a_bare_image_is_grey():
    white_image = np.full((32, 32), 255, np.uint8)
    small = Augmentation(zoom=(0.5, 0.5), bare=1.0)
    corners = [int(small.look(white_image, chance(index)).image[0, 0]) for index in range(20)]
    assert len(set(corners)) > 10
    black = replace(small, bare=0.0).look(white_image, chance(0)).image
    assert black[0, 0] == 0


@pytest.mark.parametrize("setting", ["caption", "erase", "equalise", "soften"])
def test_each_device_changes_a_picture_and_is_off_by_default(setting):
    image = natural(64, 64)
    assert np.array_equal(Augmentation().look(image, chance(0)).image, image)
    found = [Augmentation(**{setting: 1.0}).look(image, chance(index)).image for index in range(5)]
    assert all(not np.array_equal(one, image) for one in found)
    assert all(one.dtype == np.uint8 and one.shape == image.shape for one in found)


def test_a_caption_lies_along_an_edge():
    for index in range(10):
        found = Augmentation(caption=1.0).look(np.zeros((100, 100), np.uint8), chance(index)).image
        rows = np.flatnonzero(found.any(axis=1))
        assert len(rows)
        assert rows.max() < 20 or rows.min() > 80


@pytest.mark.parametrize("policy", ["default", "framing", "cheng"])
def test_an_augmentation_grows_from_nothing_to_itself(policy):
    whole = replace(Augmentation.named(policy), flip=0.0, dihedral=0.0)
    image = natural(SIZE, SIZE)
    assert whole.scaled(1.0) == whole
    assert np.array_equal(whole.scaled(0.0).look(image, chance(0)).image, image)
    far = [
        np.mean(
            [
                np.abs(whole.scaled(share).look(image, chance(index)).image - image.astype(float))
                for index in range(40)
            ]
        )
        for share in (0.1, 0.5, 1.0)
    ]
    assert far[0] < far[1] < far[2]
