"""Frames: which are sampled, that only these are decoded, and functional groups."""

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from classifier.errors import ImageError
from classifier.pixels import decoding
from classifier.pixels.read import open_image, read_image
from tests.classifier.pixels import reference
from tests.classifier.pixels.build import as_bytes, dataset, item, radiograph, table


def image_of(frames: int):
    return open_image(dataset(np.zeros((frames, 2, 2), np.uint8), frames=frames))


@pytest.mark.parametrize(
    ("frames", "count", "expected"),
    [
        (1, 1, (0,)),
        (1, 5, (0,)),
        (3, 1, (1,)),
        (4, 4, (0, 1, 2, 3)),
        (4, 9, (0, 1, 2, 3)),
        (10, 1, (5,)),
        (10, 2, (2, 7)),
        (10, 5, (1, 3, 5, 7, 9)),
        (100, 3, (16, 50, 83)),
    ],
)
def test_sampled_frames(frames, count, expected):
    assert image_of(frames).sample(count) == expected


@pytest.mark.parametrize("frames", [2, 7, 31, 100])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 30])
def test_sampled_frames_are_spread_evenly(frames, count):
    indices = image_of(frames).sample(count)
    assert len(indices) == min(frames, count)
    steps = np.diff([-1, *indices, frames])
    assert steps.min() > 0
    assert max(steps[1:-1], default=0) - min(steps[1:-1], default=0) <= 1


def test_no_frames_cannot_be_sampled():
    with pytest.raises(ValueError, match="expected 1 or more"):
        image_of(3).sample(0)


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_frame_that_is_not_there_is_refused(index):
    with pytest.raises(ImageError, match="expected a frame from 0 to 2"):
        image_of(3).frame(index)


def frames_of(count: int) -> np.ndarray:
    return np.stack([radiograph((20, 24), seed=seed).astype(np.uint16) for seed in range(count)])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("table_of_offsets", ["none", "basic", "extended"])
def test_one_frame_is_decoded_for_one(syntax, table_of_offsets, monkeypatch):
    frames = frames_of(40)
    made = dataset(frames, frames=40, bits=12)
    made.compress(syntax, generate_instance_uid=False)
    coded = []
    for frame in frames:
        single = dataset(frame, bits=12)
        single.compress(syntax, generate_instance_uid=False)
        coded.append(b"".join(_items(single.PixelData)))
    if table_of_offsets == "extended":
        made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = (
            encapsulate_extended(coded)
        )
    else:
        made.PixelData = encapsulate(coded, has_bot=table_of_offsets == "basic")
    made["PixelData"].is_undefined_length = True
    decoded = []
    whole = decoding.Decoder.as_array

    def counted(*given, **options):
        decoded.append(options["number_of_frames"])
        return whole(*given, **options)

    monkeypatch.setattr(decoding.Decoder, "as_array", counted)
    image = open_image(as_bytes(made))
    assert decoded == []
    assert np.array_equal(image.frame(33), read_image(frames[33]))
    assert decoded == [1]


def _items(data: bytes) -> list[bytes]:
    """Return the fragments behind the offset table."""
    found, at = [], 0
    while at + 8 <= len(data):
        tag, length = struct.unpack_from("<4sL", data, at)
        if tag != b"\xfe\xff\x00\xe0":
            break
        found.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return found[1:]


def test_first_frames_of_a_file_that_is_cut_short_are_there(tmp_path):
    frames = frames_of(4)
    path = tmp_path / "cut"
    path.write_bytes(as_bytes(dataset(frames, frames=4, bits=12))[: -frames[0].nbytes])
    image = open_image(path)
    assert np.array_equal(image.frame(2), read_image(frames[2]))
    with pytest.raises(ImageError, match="the pixel data end before the frame does"):
        image.frame(3)


def test_a_file_that_is_gone_when_the_frame_is_asked(tmp_path):
    path = tmp_path / "gone"
    path.write_bytes(as_bytes(dataset(frames_of(1)[0], bits=12)))
    image = open_image(path)
    path.unlink()
    with pytest.raises(ImageError, match="the file cannot be read"):
        image.frame()


def groups(**macros: object) -> Dataset:
    made = Dataset()
    for keyword, value in macros.items():
        setattr(made, keyword, value)
    return made


def enhanced() -> Dataset:
    """Three frames; windows differ by frame, the rescale of the last one by its own group."""
    made = dataset(frames_of(3), frames=3, bits=12)
    made.WindowCenter, made.WindowWidth = 5, 3  # what the groups say goes before
    rescale = item(RescaleSlope=2, RescaleIntercept=-1000, RescaleType="US")
    made.SharedFunctionalGroupsSequence = Sequence(
        [groups(PixelValueTransformationSequence=rescale)]
    )
    own = [
        groups(FrameVOILUTSequence=item(WindowCenter=1000, WindowWidth=3000)),
        groups(
            FrameVOILUTSequence=item(
                WindowCenter=[4000, 1], WindowWidth=[900, 1], VOILUTFunction="SIGMOID"
            )
        ),
        groups(
            FrameVOILUTSequence=item(
                VOILUTSequence=Sequence([table(list(range(4096)), first=-900, bits=12)])
            ),
            PixelValueTransformationSequence=item(RescaleSlope=-1, RescaleIntercept=3000),
        ),
    ]
    made.PerFrameFunctionalGroupsSequence = Sequence(own)
    return made


def test_functional_groups_of_each_frame():
    made = enhanced()
    image = open_image(as_bytes(made))
    for index in range(3):
        expected = np.rint(reference.shown(made, index))
        assert np.abs(image.frame(index) - expected).max() <= 1
        assert expected.std() > 10


def test_frames_without_a_window_of_their_own_have_the_shared_one():
    made = enhanced()
    del made.PerFrameFunctionalGroupsSequence[1].FrameVOILUTSequence
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.FrameVOILUTSequence = item(WindowCenter=3000, WindowWidth=2000)
    shown = open_image(as_bytes(made)).frame(1)
    assert np.abs(shown - np.rint(reference.shown(made, 1))).max() <= 1


def test_reading_frames_does_not_change_the_dataset():
    made = enhanced()
    before = as_bytes(made)
    open_image(made).frame(1)
    assert as_bytes(made) == before
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
