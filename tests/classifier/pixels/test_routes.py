"""The same image as PNG, as array, as DICOM file, bytes and dataset: equal arrays."""

import io
import subprocess
import sys

import cv2
import numpy as np
import PIL.Image
import pytest

from classifier.pixels.read import open_image, read_image
from tests.classifier.pixels.build import as_bytes, dataset, picture, radiograph


def grey(bits: int) -> np.ndarray:
    return radiograph(top=(1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)


def colours(dtype=np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    parts = [radiograph(top=top, seed=seed).T.reshape(48, 40) for seed in range(3)]
    return np.stack(parts, axis=-1).astype(dtype)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_grey(bits, tmp_path):
    values = grey(bits)
    made = dataset(values, bits=bits)
    (tmp_path / "image.bin").write_bytes(as_bytes(made))
    (tmp_path / "picture").write_bytes(picture(values))
    shown = read_image(values)
    routes = {
        "PNG": picture(values),
        "TIFF": picture(values, "TIFF"),
        "packed TIFF": picture(values, "TIFF", compression="tiff_lzw"),
        "PNG file": tmp_path / "picture",
        "PNG file as text": str(tmp_path / "picture"),
        "DICOM": as_bytes(made),
        "DICOM file": tmp_path / "image.bin",
        "dataset": made,
        "memoryview": memoryview(as_bytes(made)),
        "bytearray": bytearray(as_bytes(made)),
    }
    for route, source in routes.items():
        assert np.array_equal(read_image(source), shown), route


def test_monochrome1_is_the_negative_of_the_picture():
    values = grey(8)
    made = dataset(values, photometric="MONOCHROME1")
    assert np.array_equal(read_image(as_bytes(made)), read_image(picture(255 - values)))
    made.PresentationLUTShape = "INVERSE"  # says the same once more
    assert np.array_equal(read_image(as_bytes(made)), read_image(picture(255 - values)))


def test_monochrome1_of_16_bits_is_the_negative_of_the_picture():
    values = grey(12)
    made = dataset(values, bits=12, photometric="MONOCHROME1")
    assert np.array_equal(read_image(as_bytes(made)), 255 - read_image(picture(values)))


def test_presentation_shape_alone_says_only_which_end_is_bright():
    values = grey(12) // 8
    made = dataset(values, bits=12, PresentationLUTShape="IDENTITY")
    assert np.array_equal(read_image(made), read_image(picture(values)))


def test_a_rescale_without_a_window_stretches_like_the_stored_values():
    values = grey(12)
    made = dataset(values, bits=12, RescaleSlope=2, RescaleIntercept=-1024)
    assert np.array_equal(read_image(made), read_image(values))
    made.RescaleSlope = -2
    assert np.abs(read_image(made).astype(int) - (255 - read_image(values))).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour(dtype):
    values = colours(dtype)
    shown = read_image(values)
    assert np.array_equal(read_image(dataset(values)), shown)
    planes = dataset(values, PlanarConfiguration=1)
    planes.PixelData = np.ascontiguousarray(values.transpose(2, 0, 1)).tobytes()
    assert np.array_equal(read_image(as_bytes(planes)), shown)
    if dtype is np.uint8:
        assert np.array_equal(read_image(picture(values)), shown)
        assert np.array_equal(read_image(picture(values, "TIFF")), shown)
        opaque = np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
        assert np.array_equal(read_image(picture(opaque)), shown)


def test_colour_of_16_bits_keeps_its_bits_in_pictures():
    values = colours(np.uint16) // 200  # within 8 bits nothing of it would be left
    for kind in (".png", ".tiff"):
        done, encoded = cv2.imencode(kind, values[..., ::-1])
        assert done
        assert np.array_equal(read_image(encoded.tobytes()), read_image(values))


@pytest.mark.parametrize("entry_bits", [8, 16])
@pytest.mark.parametrize("first", [0, 20])
def test_palette(entry_bits, first):
    chance = np.random.default_rng(2)
    palette = chance.integers(0, 256, (200, 3)).astype(np.uint8)
    indices = chance.integers(0, 200, (20, 30)).astype(np.uint8)
    made = dataset(indices + np.uint8(first), photometric="PALETTE COLOR")
    for part, colour in enumerate(("Red", "Green", "Blue")):
        name = f"{colour}PaletteColorLookupTable"
        entries = palette[:, part]
        data = entries.tobytes() if entry_bits == 8 else (entries.astype("<u2") * 257).tobytes()
        setattr(made, f"{name}Descriptor", [200, first, entry_bits])
        made[f"{name}Descriptor"].VR = "US"
        setattr(made, f"{name}Data", data)
    plain = PIL.Image.fromarray(indices)
    plain.putpalette(palette.tobytes())
    stream = io.BytesIO()
    plain.save(stream, "PNG")
    expected = read_image(palette[indices])
    assert np.array_equal(read_image(as_bytes(made)), expected)
    assert np.array_equal(read_image(stream.getvalue()), expected)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"])
def test_subsampled_and_narrow_colours_are_grey_where_the_picture_is(photometric):
    grey_levels = np.linspace(0, 255, 24).reshape(4, 6)
    luma, blue, red = grey_levels, np.full((4, 6), 128.0), np.full((4, 6), 128.0)
    if photometric == "YBR_PARTIAL_422":
        luma = 16 + grey_levels * 219 / 255
    values = np.rint(np.stack([luma, blue, red], axis=-1)).astype(np.uint8)
    made = dataset(values, photometric=photometric)
    if photometric != "YBR_FULL":
        pairs = values.reshape(-1, 2, 3)
        packed = np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], 1)
        made.PixelData = packed.tobytes()
    assert np.abs(read_image(as_bytes(made)) - np.rint(grey_levels)).max() <= 1


def test_a_dataset_that_was_made_by_a_program_needs_no_transfer_syntax():
    values = grey(12)
    made = dataset(values, bits=12)
    del made.file_meta
    assert np.array_equal(read_image(made), read_image(values))


def test_a_file_without_preamble(tmp_path):
    values = grey(12)
    whole = as_bytes(dataset(values, bits=12))
    assert whole[128:132] == b"DICM"
    meta_length = int.from_bytes(whole[140:144], "little")
    bare = whole[144 + meta_length :]
    assert np.array_equal(read_image(bare), read_image(values))


def test_frames_of_an_image_are_those_of_the_file():
    values = np.stack([radiograph(seed=seed).astype(np.uint16) for seed in range(4)])
    image = open_image(as_bytes(dataset(values, frames=4, bits=12)))
    assert image.frame_count == 4
    assert image.modality == "DX"
    assert image.dataset.Rows == 48
    for index in range(4):
        assert np.array_equal(image.frame(index), read_image(values[index]))


def test_reading_images_loads_no_torch():
    check = "import sys, classifier.pixels.read; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
