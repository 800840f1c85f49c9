"""Every DICOM image there is, and a matrix of generated ones, beside the float64 reference."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from classifier.errors import ImageError, NoPixelsError
from classifier.pixels.read import open_image
from tests.classifier.pixels import build, reference

OURS = Path(pydicom.data.__file__).parent / "test_files"

# Files of pydicom that hold pixels, or say so, and are refused; and by what words.
REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "the compressed frame has",
    "MR_truncated.dcm": "the pixel data end before the frame does",
    "badVR.dcm": "NumberOfFrames is no number",
    "meta_missing_tsyntax.dcm": "BitsAllocated is missing",
    "nested_priv_SQ.dcm": "BitsAllocated is missing",
}
# Datasets of pydicom that are no images.
NO_IMAGES = {
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "UN_sequence.dcm",
    "empty_charset_LEI.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
    "reportsi.dcm",
    "reportsi_with_empty_number_tags.dcm",
    "rtplan.dcm",
    "rtplan_truncated.dcm",
    "rtstruct.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
}
# A private group alone, without what tells a DICOM file.
NEITHER = {"no_meta.dcm"}
# Of the real images: text without pixels, cut short, or of retired progressive JPEG.
REFUSED_REAL = {
    "fo_chrJapMulti.dcm": "no pixel data",
    "fo_chrJapMultiExplicitIR6.dcm": "no pixel data",
    "fo_chrKoreanMulti.dcm": "no pixel data",
    "fo_chrSQEncoding.dcm": "holds no image",
    "fo_chrSQEncoding1.dcm": "holds no image",
    "rob_MR_truncated.dcm": "the pixel data end before the frame does",
    "cwl_CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm": "not decoded",
    "cwl_CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm": "not decoded",
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom", "ignore::UserWarning")


def assert_as_reference(source, dataset: Dataset, frames=(0,)) -> None:
    image = open_image(source)
    for index in frames:
        shown = image.frame(index)
        expected = reference.shown(dataset, index)
        assert shown.dtype == np.uint8
        assert shown.shape == expected.shape
        assert np.abs(shown - np.rint(expected)).max() <= 1, f"frame {index}"


def some_frames(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1})


@pytest.mark.parametrize("path", sorted(OURS.glob("*.dcm")), ids=lambda path: path.name)
def test_file_of_pydicom_is_shown_as_by_the_reference(path):
    if path.name in NO_IMAGES:
        with pytest.raises(NoPixelsError, match="holds no image"):
            open_image(path)
    elif path.name in NEITHER:
        with pytest.raises(ImageError, match="neither DICOM nor a picture"):
            open_image(path)
    elif path.name in REFUSED:
        with pytest.raises(ImageError, match=REFUSED[path.name]):
            open_image(path).frame()
    else:
        dataset = pydicom.dcmread(path)
        assert_as_reference(path, dataset, some_frames(open_image(path).frame_count))


def test_dicomdirs_hold_no_image():
    for path in (OURS / "dicomdirtests").glob("DICOMDIR*"):
        with pytest.raises(NoPixelsError):
            open_image(path)


def test_real_files_are_shown_as_by_the_reference(real_images):
    refused = {}
    compared = 0
    for path in sorted(real_images.rglob("*.dcm")):
        try:
            image = open_image(path)
            image.frame()
        except ImageError as error:
            refused[path.name] = str(error)
            continue
        assert_as_reference(path, pydicom.dcmread(path, force=True), some_frames(image.frame_count))
        compared += 1
    assert {name for name in refused if name not in REFUSED_REAL} == set()
    assert all(words in refused[name] for name, words in REFUSED_REAL.items() if name in refused)
    assert compared > 0


STORAGE = {
    "8": (np.uint8, 8),
    "8 signed": (np.int8, 8),
    "10 of 16": (np.uint16, 10),
    "12 of 16": (np.uint16, 12),
    "12 of 16 signed": (np.int16, 12),
    "16": (np.uint16, 16),
    "16 signed": (np.int16, 16),
    "32": (np.uint32, 32),
    "32 signed": (np.int32, 32),
    "float": (np.float32, 32),
    "double": (np.float64, 64),
}
VOI = {
    "none": {},
    "linear": {"WindowCenter": 0.4, "WindowWidth": 0.5},
    "several": {"WindowCenter": [0.4, 0.9], "WindowWidth": [0.5, 0.1]},
    "exact": {"WindowCenter": 0.4, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 0.4, "WindowWidth": 0.5, "VOILUTFunction": "SIGMOID"},
}
RESCALE = {"none": None, "positive": (1.5, -20.0), "negative": (-10.0, 300.0)}
POLARITY = {
    "MONOCHROME2": ("MONOCHROME2", None),
    "MONOCHROME1": ("MONOCHROME1", None),
    "MONOCHROME1 INVERSE": ("MONOCHROME1", "INVERSE"),
    "MONOCHROME2 INVERSE": ("MONOCHROME2", "INVERSE"),
    "MONOCHROME2 IDENTITY": ("MONOCHROME2", "IDENTITY"),
}


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("voi", VOI)
@pytest.mark.parametrize("rescale", RESCALE)
@pytest.mark.parametrize("polarity", POLARITY)
def test_generated_image_is_shown_as_by_the_reference(storage, voi, rescale, polarity):
    dtype, bits = STORAGE[storage]
    values = build.radiograph(top=(1 << min(bits, 20)) - 1)
    if np.dtype(dtype).kind == "i":
        values -= 1 << (min(bits, 20) - 1)
    photometric, shape = POLARITY[polarity]
    made = build.dataset(values.astype(dtype), photometric=photometric, bits=bits)
    if shape:
        made.PresentationLUTShape = shape
    slope, intercept = RESCALE[rescale] or (1.0, 0.0)
    if RESCALE[rescale]:
        made.RescaleSlope, made.RescaleIntercept = slope, intercept
    low, high = sorted((values.min() * slope + intercept, values.max() * slope + intercept))
    for keyword, value in VOI[voi].items():
        if keyword == "WindowCenter":
            value = np.rint(low + np.array(value) * (high - low)).tolist()
        elif keyword == "WindowWidth":
            value = np.rint(np.array(value) * (high - low)).tolist()
        setattr(made, keyword, value)
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("window", [(100.0, 1.0), (0.5, 0.25), (100.0, 2.0), (1e6, 10.0)])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_narrow_and_far_windows(window, function):
    made = build.dataset(build.radiograph(top=255).astype(np.uint16), VOILUTFunction=function)
    made.WindowCenter, made.WindowWidth = window
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("width", [0, -5, None])
def test_a_width_that_cannot_be_is_no_window(width):
    values = build.radiograph().astype(np.uint16)
    made = build.dataset(values, WindowCenter=100, WindowWidth=width)
    assert np.array_equal(open_image(made).frame(), open_image(values).frame())


CURVE = [int(65535 * (part / 4095) ** 0.5) for part in range(4096)]
FALLING = CURVE[::-1]


@pytest.mark.parametrize("first", [0, 300, -50])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_voi_lut_goes_before_the_window(first, signed, window, photometric):
    values = build.radiograph().astype(np.int16 if signed else np.uint16) - (500 if signed else 0)
    if first < 0 and not signed:
        pytest.skip("an unsigned value is never below 0")
    made = build.dataset(values, photometric=photometric)
    made.VOILUTSequence = Sequence([build.table(CURVE, first=first), build.table(FALLING)])
    if window:
        made.WindowCenter, made.WindowWidth = 100, 20
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("entries", [CURVE, FALLING, [value >> 8 for value in CURVE]])
@pytest.mark.parametrize("bits", [16, 8])
def test_modality_lut(window, entries, bits):
    made = build.dataset(build.radiograph().astype(np.uint16), bits=12, RescaleSlope=3)
    made.ModalityLUTSequence = Sequence([build.table(entries, bits=bits)])
    if window:
        made.WindowCenter, made.WindowWidth = 30000, 40000
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("relation", ["LIN", "LOG", "DISP"])
def test_modality_lut_of_an_angiogram_is_not_for_the_screen_unless_linear(relation):
    made = build.dataset(build.radiograph().astype(np.uint16), Modality="XA")
    made.PixelIntensityRelationship = relation
    made.ModalityLUTSequence = Sequence([build.table(FALLING)])
    made.WindowCenter, made.WindowWidth = 2000, 4000
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("voi", [{}, {"WindowCenter": 2000, "WindowWidth": 1500}])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_presentation_lut_decides_alone_what_is_bright(voi, photometric):
    made = build.dataset(
        build.radiograph(top=3000).astype(np.uint16), bits=12, photometric=photometric, **voi
    )
    made.PresentationLUTSequence = Sequence([build.table(FALLING)])
    assert_as_reference(build.as_bytes(made), made)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("limit", [None, 3])
def test_padding_is_black_and_not_measured(signed, photometric, window, limit):
    values = build.radiograph(top=900).astype(np.int16 if signed else np.uint16) + 100
    padding = -2000 if signed else 0
    values[:, :9] = padding
    values[:9] = padding if limit is None else padding + limit
    made = build.dataset(values, photometric=photometric)
    made.PixelPaddingValue = padding
    made["PixelPaddingValue"].VR = "SS" if signed else "US"
    if limit is not None:
        made.PixelPaddingRangeLimit = padding + limit
        made["PixelPaddingRangeLimit"].VR = "SS" if signed else "US"
    if window:
        made.WindowCenter, made.WindowWidth = 600, 800
    assert_as_reference(build.as_bytes(made), made)
    assert not open_image(made).frame()[:, :9].any()


def test_padding_written_as_unsigned_in_a_signed_image():
    values = build.radiograph(top=900).astype(np.int16)
    values[:9] = -2000
    made = build.dataset(values, PixelPaddingValue=65536 - 2000)
    made["PixelPaddingValue"].VR = "US"
    shown = open_image(build.as_bytes(made)).frame()
    assert not shown[:9].any()
    assert shown[9:].max() == 255


@pytest.mark.parametrize(
    ("bits", "high_bit"), [(12, 11), (12, 15), (10, 12), (8, 15), (1, 0), (16, 3)]
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_other_bits_say_nothing_of_the_value(bits, high_bit, signed, syntax):
    values = build.radiograph(top=(1 << bits) - 1)
    shift = max(high_bit + 1 - bits, 0)
    others = np.random.default_rng(1).integers(0, 65536, values.shape)
    mask = ((1 << bits) - 1) << shift
    words = (values << shift) | (others & ~mask & 0xFFFF)
    words = words.astype(np.uint16).view(np.int16 if signed else np.uint16)
    native = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    made = build.dataset(words, bits=bits, high_bit=high_bit, syntax=native)
    expected = reference.shown(made)
    if native != syntax:
        if bits <= 8:
            pytest.skip("pydicom writes RLE of as many bytes as Bits Stored needs")
        made.compress(syntax, generate_instance_uid=False)
    shown = open_image(build.as_bytes(made)).frame()
    assert np.abs(shown - np.rint(expected)).max() <= 1


def test_single_bits():
    values = np.random.default_rng(3).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    made = build.dataset(values, frames=3)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    made.PixelData = np.packbits(values.ravel(), bitorder="little").tobytes() + b"\0"
    image = open_image(build.as_bytes(made))
    for index in range(3):
        assert np.array_equal(image.frame(index), values[index] * 255)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
@pytest.mark.parametrize("kind", ["8", "16 signed", "colour"])
def test_every_lossless_syntax_gives_the_same(syntax, kind):
    values = build.radiograph(top=255).astype(np.uint8)
    if kind == "16 signed":
        values = (build.radiograph(top=40000) - 20000).astype(np.int16)
    if kind == "colour":
        values = np.stack([values, values.T.reshape(values.shape), 255 - values], axis=-1)
    expected = open_image(build.dataset(values)).frame()
    native = syntax if not syntax.is_encapsulated else ExplicitVRLittleEndian
    made = build.dataset(values, syntax=native)
    if syntax.is_encapsulated:
        made.compress(syntax, generate_instance_uid=False)
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    assert np.array_equal(open_image(stream.getvalue()).frame(), expected)


def test_bytes_that_lie_swapped_in_words_of_a_big_endian_file():
    values = build.radiograph(top=255).astype(np.uint8)
    made = build.dataset(values, syntax=ExplicitVRBigEndian)
    made.PixelData = np.frombuffer(made.PixelData, "<u2").byteswap().tobytes()
    made["PixelData"].VR = "OW"
    assert np.array_equal(open_image(build.as_bytes(made)).frame(), values)
