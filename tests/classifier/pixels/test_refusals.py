"""What is refused, in which words; and that damaged files raise nothing else."""

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from classifier.errors import ImageError, NoPixelsError, PixelLimitError
from classifier.pixels import source
from classifier.pixels.codestream import read_frame_header
from classifier.pixels.limits import PixelLimits
from classifier.pixels.malformed import MalformedError
from classifier.pixels.read import open_image, read_image
from tests.classifier.pixels.build import as_bytes, dataset, picture, radiograph

OURS = Path(pydicom.data.__file__).parent / "test_files"
VALUES = radiograph().astype(np.uint16)
NAME = "Mustermann^Erika"


def refused(content, limits: PixelLimits | None = None) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_image(content, limits=limits or PixelLimits()).frame()
    assert NAME not in str(caught.value)
    return caught.value


def named(**attributes: object) -> Dataset:
    made = dataset(VALUES, bits=12, PatientName=NAME)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7 ...", "the file is a PDF document"),
        (b"PK\x03\x04" + bytes(200), "the file is a zip archive"),
        (b"GIF89a" + bytes(200), "the file is a GIF picture"),
        (b"\x1f\x8b" + bytes(200), "the file is a gzip file"),
        (b"some text", "neither DICOM nor a picture"),
        (bytes(1000), "neither DICOM nor a picture"),
        (bytes(128) + b"DICM", "holds no image"),
        (bytes(128) + b"DICM" + b"\xff" * 600, "holds no image"),
        (b"\x08\x00" + b"\xff" * 600, "holds no image"),
    ],
)
def test_bytes_that_are_no_image(content, words):
    assert words in str(refused(content))


def test_paths_that_cannot_be_read(tmp_path):
    assert "No such file" in str(refused(tmp_path / "none.dcm"))
    assert "cannot be read" in str(refused(tmp_path))
    assert str(refused(str(tmp_path / "none.png"))).startswith(str(tmp_path / "none.png"))


def test_endless_empty_elements_are_not_read_to_their_end(monkeypatch):
    monkeypatch.setattr(source, "MOST_READS", 1000)
    for start in (bytes(128) + b"DICM", as_bytes(named())[:-4000]):
        assert "the header has too many elements" in str(refused(start + bytes(1 << 20)))


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("Rows", 65535, "the pixel data end before the frame does"),
        ("Rows", 0, "is not positive"),
        ("BitsAllocated", None, "BitsAllocated is missing"),
        ("BitsAllocated", 24, "cannot be read"),
        ("BitsStored", 17, "Bits Stored is 17, Bits Allocated 16"),
        ("BitsStored", 0, "Bits Stored is 0"),
        ("SamplesPerPixel", 2, "2 samples a pixel do not go with"),
        ("SamplesPerPixel", 4, "4 samples a pixel do not go with"),
        ("PhotometricInterpretation", "RGB", "1 samples a pixel do not go with"),
        ("PhotometricInterpretation", "HSV", "1 samples a pixel do not go with"),
        ("PhotometricInterpretation", "PALETTE COLOR", "has not its three values"),
        ("PhotometricInterpretation", None, "1 samples a pixel do not go with"),
        ("NumberOfFrames", -3, "is not positive"),
    ],
)
def test_header_that_cannot_be(keyword, value, words):
    error = refused(as_bytes(named(**{keyword: value})))
    assert words in str(error)
    assert error.transfer_syntax == "Explicit VR Little Endian (1.2.840.10008.1.2.1)"
    assert error.transfer_syntax in str(error)
    assert error.expected
    assert error.remedy


def test_limits_are_checked_before_anything_is_decoded():
    file = as_bytes(named(Rows=65535, Columns=65535))
    tracemalloc.start()
    assert isinstance(refused(file), PixelLimitError)
    frames = as_bytes(named(NumberOfFrames=2_000_000))
    assert isinstance(refused(frames), PixelLimitError)
    small = PixelLimits(file_bytes=1000)
    assert "at most 1000 bytes" in str(refused(file, small))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_deflated_file_is_not_inflated_beyond_the_limit():
    meta = as_bytes(dataset(VALUES, syntax=DeflatedExplicitVRLittleEndian))
    start = meta[: 144 + int.from_bytes(meta[140:144], "little")]
    packer = zlib.compressobj(9, wbits=-15)
    bomb = start + packer.compress(bytes(50 << 20)) + packer.flush()
    assert len(bomb) < 1 << 17
    tracemalloc.start()
    error = refused(bomb, PixelLimits(file_bytes=8 << 20))
    assert isinstance(error, PixelLimitError)
    assert tracemalloc.get_traced_memory()[1] < 24 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("path", ["rtstruct.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
def test_dicom_without_an_image_says_what_it_is(path):
    with pytest.raises(NoPixelsError, match=r"'[A-Z0-9].+ Storage' holds no image"):
        open_image(OURS / path)


def test_encapsulated_document_is_no_image():
    made = named(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", EncapsulatedDocument=b"%PDF-1.4 ")
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(made, keyword)
    with pytest.raises(NoPixelsError, match="'Encapsulated PDF Storage' holds no image"):
        open_image(made)


def test_dataset_with_empty_pixel_data():
    assert "PixelData is empty" in str(refused(named(PixelData=b"")))


@pytest.mark.parametrize("syntax", [MPEG4HP41, UID("1.2.840.113619.5.2"), UID("1.2.3")])
def test_syntax_that_nothing_decodes_is_named(syntax):
    made = named(PixelData=encapsulate([b"\0" * 100]))
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = syntax
    error = refused(made)
    assert str(syntax) in str(error)
    assert "expected uncompressed, RLE, JPEG" in str(error)


def test_missing_decoder_is_named_with_its_remedy(monkeypatch):
    made = named()
    made.compress(JPEGLSLossless)
    monkeypatch.setattr(Decoder, "is_available", property(lambda _: False))
    error = refused(as_bytes(made))
    assert "nothing is installed that decodes JPEG-LS" in str(error)
    assert error.remedy == "pip install 'bodysite[pixels]'"


def compressed(syntax: UID, **attributes: object) -> Dataset:
    made = named()
    made.compress(syntax, generate_instance_uid=False)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_frame_of_another_size_than_the_header_says(syntax):
    file = as_bytes(compressed(syntax, Rows=4000, Columns=4000))
    assert "has 48 x 40 pixels, the header says 4000 x 4000" in str(refused(file))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_frame_that_is_garbage(syntax):
    made = compressed(syntax, PixelData=encapsulate([b"\x01" * 100]))
    made["PixelData"].is_undefined_length = True
    assert syntax.name in str(refused(as_bytes(made)))


START = b"\xff\xd8"
FRAME = b"\xff\xc3\x00\x0b\x0c\x00\x30\x00\x28\x01\x01\x11\x00"
TABLE = b"\xff\xc4\x00\x15\x00" + bytes([1, 1]) + bytes(14) + b"\x00\x01"
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00"


def test_header_of_a_lossless_frame():
    found = read_frame_header(START + FRAME + TABLE + SCAN, JPEGLosslessSV1)
    assert (found.rows, found.columns, found.precision, found.samples) == (48, 40, 12, 1)


@pytest.mark.parametrize(
    "frame",
    [
        START,
        b"\x00\x00" + FRAME,
        START + SCAN,
        START + FRAME[:6],
        START + b"\x1a" + FRAME + SCAN,
        START + FRAME + FRAME + SCAN,
        START + FRAME.replace(b"\xff\xc3", b"\xff\xc2") + SCAN,
        START + FRAME.replace(b"\x0b\x0c", b"\x0b\x39") + SCAN,
        START + FRAME.replace(b"\x01\x11", b"\x01\x01") + SCAN,
        START + FRAME + TABLE.replace(b"\x00\x15\x00", b"\x00\x15\x33") + SCAN,
        START + FRAME + TABLE.replace(b"\x01\x01\x00", b"\x01\x40\x00") + SCAN,
        START + FRAME + TABLE[:-1] + b"\x11" + SCAN,
        START + FRAME + SCAN[:-3] + b"\x09\x00\x00",
        START + FRAME + b"\xff\xe0\x00\x09JFIF\0\x5c\x01" + SCAN,
        START + FRAME + b"\xff\xdd\x00\x03\x00" + SCAN,
    ],
)
def test_jpeg_header_that_breaks_the_standard_is_not_decoded(frame):
    with pytest.raises(MalformedError):
        read_frame_header(frame, JPEGLosslessSV1)


def test_the_processes_of_other_syntaxes_are_not_expected():
    with pytest.raises(MalformedError, match="process that is not expected"):
        read_frame_header(START + FRAME + SCAN, JPEGBaseline8Bit)


def files() -> dict[str, bytes]:
    found = {"native": as_bytes(named()), "PNG": picture(VALUES), "TIFF": picture(VALUES, "TIFF")}
    found["JPEG"] = picture((VALUES >> 4).astype(np.uint8), "JPEG")
    found["deflated"] = as_bytes(dataset(VALUES, syntax=DeflatedExplicitVRLittleEndian))
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        found[syntax.keyword] = as_bytes(compressed(syntax))
    for name in ("MR_small_padded.dcm", "SC_rgb_jpeg_gdcm.dcm", "examples_palette.dcm"):
        found[name] = (OURS / name).read_bytes()
    return found


FILES = files()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_file_raises_nothing_but_image_error(name, data):
    content = bytearray(FILES[name])
    kept = data.draw(st.integers(1, len(content)) | st.just(len(content)))
    del content[kept:]
    places = st.tuples(st.integers(0, kept - 1) | st.integers(0, min(kept, 700) - 1), st.binary())
    for place, written in data.draw(st.lists(places, max_size=6)):
        content[place : place + len(written)] = written
    try:
        image = open_image(bytes(content), limits=PixelLimits(pixels=1 << 20))
        shown = image.frame(image.frame_count - 1)
    except ImageError:
        return
    assert shown.dtype == np.uint8
    assert shown.ndim == 2


def test_messages_hold_no_value_of_the_header():
    made = named()
    made.add_new("WindowCenter", "LO", NAME)
    made.add_new("WindowWidth", "LO", NAME)
    assert "WindowCenter is no number" in str(refused(made))


def test_a_dataset_that_is_no_file_yet_has_no_pixels():
    with pytest.raises(NoPixelsError):
        read_image(Dataset())
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.raises(NoPixelsError):
        read_image(made)
