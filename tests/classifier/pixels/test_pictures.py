"""PNG, JPEG and TIFF: modes, depths, orientation and pages."""

import io
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest

from classifier.errors import ImageError, PixelLimitError
from classifier.pixels.limits import PixelLimits
from classifier.pixels.read import open_image, read_image
from tests.classifier.pixels.build import picture, radiograph

LEVELS = radiograph(top=255).astype(np.uint8)
ORIENTATION = 274


def saved(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_mode(kind, mode):
    image = PIL.Image.fromarray(LEVELS)
    if mode == "1":
        image = image.point(lambda level: 255 * (level > 99), mode="1")
        expected = np.where(LEVELS > 99, 255, 0)
    else:
        image = image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)
        expected = LEVELS if mode != "P" else np.asarray(image.convert("RGB").convert("L"))
    assert np.abs(read_image(saved(image, kind)).astype(int) - expected).max() <= 1


def test_palette_with_a_transparent_entry_is_black_there():
    image = PIL.Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([200, 200, 200, 90, 90, 90])
    assert read_image(saved(image, "PNG")).tolist() == [[200, 90]]
    assert read_image(saved(image, "PNG", transparency=0)).tolist() == [[0, 90]]


def test_jpeg_is_near_what_was_saved():
    assert np.abs(read_image(picture(LEVELS, "JPEG", quality=95)).astype(int) - LEVELS).max() < 30
    cmyk = PIL.Image.fromarray(LEVELS).convert("RGB").convert("CMYK")
    assert np.abs(read_image(saved(cmyk, "JPEG", quality=95)).astype(int) - LEVELS).max() < 30


def test_float_tiff_is_shown_as_the_array():
    values = radiograph().astype(np.float32)
    for scale in (1.0, 1 / 8192):
        shown = read_image(picture(values * np.float32(scale), "TIFF"))
        assert np.array_equal(shown, read_image(values * np.float32(scale)))


def test_16_bit_tiff_in_which_0_is_white_is_inverted():
    values = radiograph().astype(np.uint16)
    usual = picture(values, "TIFF")
    inverted = picture(values, "TIFF", tiffinfo={262: 0})
    assert PIL.Image.open(io.BytesIO(inverted)).tag_v2[262] == 0
    assert np.array_equal(read_image(inverted), 255 - read_image(usual))


def test_8_bit_tiff_in_which_0_is_white_is_inverted():
    done, encoded = cv2.imencode(".tiff", LEVELS)
    assert done
    usual = read_image(encoded.tobytes())
    # Tag 262, type SHORT, one value 1 → 0
    entry = (262).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    turned = encoded.tobytes().replace(entry + b"\x01\x00", entry + b"\x00\x00")
    assert turned != encoded.tobytes()
    assert np.array_equal(read_image(turned), 255 - usual)


# EXIF 2.32, 4.6.4 A: where the stored row 0 and column 0 are to be seen
TURNED = {
    1: lambda array: array,
    2: np.fliplr,
    3: lambda array: np.rot90(array, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda array: np.rot90(array, -1),
    7: lambda array: np.rot90(array, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_orientation(kind, orientation):
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    plain = read_image(picture(LEVELS, kind))
    shown = read_image(picture(LEVELS, kind, exif=exif.tobytes()))
    assert np.array_equal(shown, TURNED[orientation](plain))


@pytest.mark.parametrize("orientation", TURNED)
def test_orientation_of_a_16_bit_picture(orientation):
    values = radiograph().astype(np.uint16)
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    for kind in ("PNG", "TIFF"):
        shown = read_image(picture(values, kind, exif=exif.tobytes()))
        assert np.array_equal(shown, TURNED[orientation](read_image(values))), kind


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_of_a_tiff_are_frames(dtype):
    top = 255 if dtype is np.uint8 else 60000
    pages = [radiograph(top=top, seed=seed).astype(dtype) for seed in range(5)]
    images = [PIL.Image.fromarray(page) for page in pages]
    image = open_image(saved(images[0], "TIFF", save_all=True, append_images=images[1:]))
    assert image.frame_count == 5
    for index, page in enumerate(pages):
        assert np.array_equal(image.frame(index), read_image(page))


def test_pages_of_a_16_bit_colour_tiff_are_frames():
    pages = [
        np.stack([radiograph(top=60000, seed=seed + part) for part in range(3)], -1)
        for seed in range(3)
    ]
    pages = [page.astype(np.uint16) for page in pages]
    done, encoded = cv2.imencodemulti(".tiff", [page[..., ::-1] for page in pages])
    assert done
    image = open_image(encoded.tobytes())
    assert image.frame_count == 3
    for index, page in enumerate(pages):
        assert np.array_equal(image.frame(index), read_image(page))


def test_frames_of_an_animated_png_are_left_out():
    images = [PIL.Image.fromarray(LEVELS), PIL.Image.fromarray(255 - LEVELS)]
    image = open_image(saved(images[0], "PNG", save_all=True, append_images=images[1:]))
    assert image.frame_count == 1
    assert np.array_equal(image.frame(), LEVELS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_picture_cut_short_is_refused(kind):
    whole = picture(np.tile(LEVELS, (9, 9)), kind)
    with pytest.raises(ImageError, match="expected a whole PNG, JPEG or TIFF picture"):
        open_image(whole[: len(whole) // 2]).frame()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_picture_beyond_the_limits_is_refused_before_it_is_decoded(kind):
    with pytest.raises(PixelLimitError, match="at most 1000 pixels"):
        open_image(picture(LEVELS, kind), limits=PixelLimits(pixels=1000))


def test_decompression_bomb_is_refused():
    for side, error in ((9_000, PixelLimitError), (60_000, ImageError)):
        bomb = bytearray(picture(LEVELS))
        bomb[16:24] = side.to_bytes(4, "big") * 2
        bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
        with pytest.raises(error):
            open_image(bytes(bomb))
