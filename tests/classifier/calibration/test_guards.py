import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from classifier.calibration.guards import GuardSettings
from classifier.calibration.novelty import Novelty
from classifier.calibration.reasons import Reason
from classifier.errors import CalibrationError, ImageError
from classifier.pixels.image import Image
from classifier.pixels.read import open_image

GUARDS = GuardSettings()


def limb(height: int = 400, width: int = 300, *, seed: int = 0) -> np.ndarray:
    """Return what is like a radiograph of a long bone: uint8 (H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    across = np.abs(x - width / 2 - 0.05 * (y - height / 2)) / width
    flesh = 110 * np.clip(1 - (across / 0.35) ** 2, 0, 1)
    bone = 110 * np.clip(1 - (across / 0.12) ** 4, 0, 1)
    grey = flesh + bone + 8 + rng.normal(0, 3, (height, width))
    return np.clip(grey, 0, 255).astype(np.uint8)


def page(width: int, height: int, size: int, *, dark: bool = False) -> np.ndarray:
    rng = np.random.default_rng(size)
    picture = PIL.Image.new("L", (width, height), 15 if dark else 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for y in range(size, height - 2 * size, int(1.5 * size)):
        letters = rng.choice(list("abcdefghijklmnop     "), int((width - 3 * size) / size * 1.7))
        draw.text((size, y), "".join(letters), fill=230 if dark else 20, font=font)
    return np.asarray(picture)


def scene(*, grey: bool = False) -> np.ndarray:
    """Return a landscape in colours: uint8 (H, W, 3)."""
    rng = np.random.default_rng(1)
    picture = np.zeros((300, 400, 3), dtype=np.float64)
    picture[:150] = (90, 140, 230)
    picture[150:] = (60, 140, 50)
    cv2.circle(picture, (300, 60), 40, (250, 220, 60), -1)
    cv2.rectangle(picture, (60, 100), (160, 220), (180, 60, 40), -1)
    picture *= rng.uniform(0.5, 1, (300, 400, 1))
    found = picture.astype(np.uint8)
    return cv2.cvtColor(found, cv2.COLOR_RGB2GRAY) if grey else found


def said(pixels: np.ndarray) -> tuple[Reason, ...]:
    image = open_image(pixels)
    return GUARDS.guard_pixels(image, image.frame())


def with_text(grey: np.ndarray) -> np.ndarray:
    picture = PIL.Image.fromarray(grey)
    draw = ImageDraw.Draw(picture)
    draw.text((5, 5), "HOSPITAL L 12.03.2014\n70 kV 2.5 mAs", fill=255)
    draw.text((240, 360), "L", fill=255, font=ImageFont.load_default(30))
    return np.asarray(picture)


def framed(grey: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(grey, 200, 100, 150, 150, cv2.BORDER_CONSTANT, value=0)


def tinted(grey: np.ndarray) -> np.ndarray:
    """Return the film as a blue one is photographed: every brightness has one colour."""
    return np.dstack([grey * 0.75, grey * 0.85, np.minimum(grey * 1.1, 255)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "reasons"),
    [
        (np.zeros((300, 300), np.uint8), {Reason.BLANK}),
        (np.full((300, 300), 255, np.uint8), {Reason.BLANK}),
        (np.full((2000, 1500), 1000, np.uint16), {Reason.BLANK}),
        (limb(31, 40), {Reason.TOO_SMALL}),
        (limb(1, 1), {Reason.TOO_SMALL}),
        (limb(1000, 240), {Reason.TOO_NARROW}),
        ((limb() > 100).astype(np.uint8) * 255, {Reason.TWO_TONES}),
        (page(800, 1100, 16), {Reason.DOCUMENT}),
        (page(1654, 2339, 28), {Reason.DOCUMENT}),
        (page(900, 700, 18, dark=True), {Reason.DOCUMENT}),
        (scene(), {Reason.COLOUR_PHOTOGRAPH}),
    ],
)
def test_what_is_no_image_of_a_body_is_refused(pixels: np.ndarray, reasons: set[Reason]):
    assert set(said(pixels)) == reasons


@pytest.mark.parametrize(
    "pixels",
    [
        limb(),
        255 - limb(),
        limb(32, 40),
        limb(960, 240),
        limb(2000, 1600),
        with_text(limb()),
        255 - with_text(limb()),
        framed(with_text(limb())),
        np.dstack([limb()] * 3),
        tinted(limb()),
        cv2.applyColorMap(limb(), cv2.COLORMAP_HOT)[..., ::-1].copy(),
        (limb() // 16) * 16,
        limb().astype(np.uint16) * 16,
    ],
)
def test_radiographs_pass(pixels: np.ndarray):
    assert said(pixels) == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_the_colours_of_files_are_looked_at(kind: str):
    for pixels, reasons in ((scene(), {Reason.COLOUR_PHOTOGRAPH}), (tinted(limb()), set())):
        stream = io.BytesIO()
        PIL.Image.fromarray(pixels).save(stream, kind)
        image = open_image(stream.getvalue())
        assert set(GUARDS.guard_pixels(image, image.frame())) == reasons


def species(code: str) -> Sequence:
    item = Dataset()
    item.CodeValue = code
    return Sequence([item])


@pytest.mark.parametrize(
    ("tags", "reasons"),
    [
        ({}, ()),
        ({"PatientSpeciesDescription": "Homo sapiens"}, ()),
        ({"PatientSpeciesDescription": "Human"}, ()),
        ({"PatientSpeciesDescription": " "}, ()),
        ({"PatientSpeciesDescription": "Canine species"}, (Reason.ANIMAL,)),
        ({"PatientSpeciesCodeSequence": species("448771007")}, (Reason.ANIMAL,)),
        ({"PatientSpeciesCodeSequence": species("337915000")}, ()),
        ({"PatientSexNeutered": "ALTERED"}, (Reason.ANIMAL,)),
        ({"PatientBreedDescription": "Beagle"}, (Reason.ANIMAL,)),
        ({"PatientBreedDescription": ""}, ()),
        ({"QualityControlSubject": "YES"}, (Reason.PHANTOM,)),
        ({"QualityControlImage": "BOTH"}, (Reason.PHANTOM,)),
        ({"QualityControlImage": "NO"}, ()),
    ],
)
def test_the_header_tells_of_animals_and_phantoms(tags: dict, reasons: tuple[Reason, ...]):
    header = Dataset()
    for name, value in tags.items():
        setattr(header, name, value)
    grey = limb()
    image = Image(1, "DX", header, open_image(grey).reader)
    assert GUARDS.guard_pixels(image, grey) == reasons


def test_modalities_of_visible_light_are_refused():
    grey = limb()
    for modality, reasons in (("ES", (Reason.COLOUR_PHOTOGRAPH,)), ("US", ()), (None, ())):
        image = Image(1, modality, None, open_image(grey).reader)
        assert GUARDS.guard_pixels(image, grey) == reasons


def test_every_reason_has_a_sentence():
    for reason in Reason:
        assert reason.sentence.endswith(".")
        assert str(reason) == reason.value


def test_every_reason_is_in_the_documentation():
    text = (Path(__file__).parents[3] / "docs" / "abstention.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip(" `") for line in text.splitlines() if line.startswith("| `")]
    assert [one for one in rows if "_" not in one and one in set(Reason)] == list(Reason)


def test_features_far_from_those_of_the_training_are_refused():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12))
    train, others, far = (
        rng.normal(size=(count, 12)) @ mixing + shift
        for count, shift in ((500, 0.0), (300, 0.2), (200, 15.0))
    )
    guards = GUARDS.fitted(train, others, passed=0.99)
    assert np.mean([bool(guards.guard_features(one)) for one in others]) <= 0.01
    assert np.mean([bool(guards.guard_features(one)) for one in far]) > 0.95
    assert guards.guard_features(far[0]) == (Reason.UNLIKE_TRAINING,)
    assert GUARDS.guard_features(far[0]) == ()
    again = GuardSettings.from_json(json.loads(json.dumps(guards.to_json())), guards.arrays())
    assert again == guards
    assert again.novelty is not None
    assert guards.novelty is not None
    assert (again.novelty.distances(far) == guards.novelty.distances(far)).all()


def test_features_that_never_differ_are_no_obstacle():
    features = np.zeros((50, 4))
    features[:, 0] = np.arange(50)
    assert np.isfinite(Novelty.fit(features).distances(np.ones((3, 4)))).all()
    same = Novelty.fit(np.ones((50, 4)))
    assert not same.is_novel(np.ones(4))
    assert same.is_novel(np.zeros(4))


def test_settings_without_novelty_need_no_arrays():
    settings = GuardSettings(least_side=64)
    assert settings.arrays() == {}
    assert GuardSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("change", [{"format": "x"}, {"farthest": 3.0}, {"nose": 1}])
def test_damaged_settings_are_refused(change: dict):
    with pytest.raises(CalibrationError, match="cannot be read"):
        GuardSettings.from_json({**GUARDS.to_json(), **change})
    with pytest.raises(CalibrationError, match="at least two rows"):
        Novelty.fit(np.zeros((1, 3)))


def test_real_images_pass_and_others_do_not(real_images: Path):
    with (real_images / "manifest.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    real = [row["file"] for row in rows if not row["file"].startswith(("nonmedical", "dicom"))]
    refused, seen = [], 0
    for file in real[::40]:
        image = open_image(real_images / file)
        seen += 1
        if reasons := GUARDS.guard_pixels(image, image.frame()):
            refused.append((file, reasons))
    assert len(refused) <= 0.01 * seen, refused

    def of(file: str) -> tuple[Reason, ...]:
        image = open_image(real_images / file)
        return GUARDS.guard_pixels(image, image.frame())

    caught = [row["file"] for row in rows if row["file"].startswith("nonmedical")]
    caught = [file for file in caught if of(file)]
    assert {f"nonmedical/{name}.jpg" for name in ("text", "horse", "grass")} <= set(caught)
    assert of("dicom/fo_FreezePattern.dcm") == (Reason.BLANK,)
    assert of("dicom/fo_mr_brucker.dcm") == (Reason.ANIMAL,)
    with pytest.raises(ImageError):
        of("manifest.csv")
