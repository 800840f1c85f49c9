"""The quick way through an ordinary file gives what pydicom gives, or leaves it to pydicom."""

import io
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from api import dicomfile
from api.dicomfile import read_header
from api.limits import Limits
from api.plainheader import read_plain
from terminology import elements
from terminology.attributes import header_tags
from terminology.elements import tag_of
from terminology.errors import BodySiteError
from terminology.instance import instance_of
from terminology.library import Terminology

FILES = sorted(
    path
    for path in (Path(pydicom.data.__path__[0]) / "test_files").rglob("*")
    if path.is_file() and path.stat().st_size < 2_000_000
)


def plain(data: bytes, most: int = 1 << 24):
    return read_plain(io.BytesIO(data), len(data), most=most, wanted=header_tags())


def example(
    syntax=ExplicitVRLittleEndian, *, sequences: bool = False, pixels: bool = True
) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.1"
    dataset.Modality = "CR"
    dataset.BodyPartExamined = "HAND"
    dataset.StudyDescription = "Hand li"
    if sequences:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "85562004", "SCT", "Hand"
        inner = Dataset()
        inner.AnatomicRegionModifierSequence = [code]
        inner["AnatomicRegionModifierSequence"].is_undefined_length = True
        inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "85562004", "SCT", "Hand"
        inner.is_undefined_length_sequence_item = True
        dataset.AnatomicRegionSequence = [inner, code]
        dataset["AnatomicRegionSequence"].is_undefined_length = True
        dataset.RequestAttributesSequence = [code]
    if pixels:
        dataset.Rows = dataset.Columns = 2
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
        dataset.PixelData = b"\0\1\2\3"
        dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def values(dataset: Dataset) -> dict[int, str]:
    found = {}
    for tag in dataset.keys() & header_tags():
        try:
            found[int(tag)] = str(dataset[tag].value)
        except Exception:  # noqa: BLE001 (whatever pydicom raises, both ways must)
            found[int(tag)] = "cannot be converted"
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_test_file_of_pydicom_reads_alike(path):
    found = plain(path.read_bytes())
    if found is None:
        return
    whole = pydicom.dcmread(path, stop_before_pixels=True)
    assert values(found.dataset) == values(whole)
    assert found.transfer_syntax == whole.file_meta.TransferSyntaxUID


@pytest.mark.filterwarnings("ignore")
def test_most_test_files_of_pydicom_are_ordinary():
    images = [path for path in FILES if path.read_bytes()[128:132] == b"DICM"]
    ordinary = [path for path in images if plain(path.read_bytes()) is not None]
    assert len(ordinary) >= 0.8 * len(images)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("pixels", [True, False])
def test_sequences_of_defined_and_undefined_length_are_kept_whole(syntax, pixels):
    data = example(syntax, sequences=True, pixels=pixels)
    found = plain(data)
    assert found is not None
    assert values(found.dataset) == values(pydicom.dcmread(io.BytesIO(data)))
    region = found.dataset.AnatomicRegionSequence
    assert region[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Hand"
    assert len(region) == 2
    assert found.pixel_length == (4 if pixels else None)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_deflated_and_big_endian_files_are_left_to_pydicom(syntax):
    data = example(ExplicitVRLittleEndian)
    uid = ExplicitVRLittleEndian.encode()
    other = syntax.encode().ljust(22, b"\0")
    changed = data.replace(uid.ljust(20, b"\0"), other)
    # The meta group has grown by two bytes, and the element with it.
    changed = changed.replace(b"UI\x14\x00" + other, b"UI\x16\x00" + other)
    length = int.from_bytes(changed[140:144], "little") + 2
    changed = changed[:140] + length.to_bytes(4, "little") + changed[144:]
    assert plain(changed) is None


def test_elements_out_of_order_are_left_to_pydicom():
    data = example()
    element = b"\x08\x00\x60\x00CS\x02\x00CR"
    assert element in data
    moved = data.replace(element, b"")
    study = moved.index(b"\x08\x00\x30\x10")
    assert plain(data) is not None
    assert plain(moved[:study] + b"\x08\x00\x30\x10LO\x02\x00XX" + element + moved[study:]) is None


def test_no_more_is_read_than_allowed():
    data = example()
    assert plain(data, most=100) is None


def outcome(data: bytes) -> object:
    try:
        header = read_header(io.BytesIO(data), "file", Limits())
    except BodySiteError as error:
        return type(error), str(error)
    return values(header.dataset), header.flags


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_cut_anywhere_is_answered_as_pydicom_answers_it(monkeypatch, syntax):
    data = example(syntax, sequences=True)
    quick = [outcome(data[:end]) for end in range(len(data) + 1)]
    monkeypatch.setattr(dicomfile, "read_plain", lambda *_, **__: None)
    slow = [outcome(data[:end]) for end in range(len(data) + 1)]
    assert quick == slow


def without_region(answer: object) -> object:
    region = {int(tag_of("AnatomicRegionSequence"))}
    found, flags = answer
    return {tag: value for tag, value in found.items() if tag not in region}, flags


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_with_any_byte_changed_is_read_as_pydicom_reads_it(monkeypatch, syntax):
    data = bytearray(example(syntax, sequences=True))
    whole = without_region(outcome(bytes(data)))
    for place in range(132, len(data)):
        data[place] ^= 0x41
        changed = bytes(data)
        data[place] ^= 0x41
        if plain(changed) is None:
            continue
        quick = outcome(changed)
        with monkeypatch.context() as patched:
            patched.setattr(dicomfile, "read_plain", lambda *_, **__: None)
            slow = outcome(changed)
        if quick != slow:
            # A length inside an item is wrong: pydicom runs over the item's end and loses the
            # file, here the item ends where it says, and the other elements are what they were.
            assert isinstance(quick[0], dict)
            assert without_region(quick) == whole


def test_nothing_is_read_that_the_list_does_not_name(monkeypatch):
    library = Terminology.load()
    asked: set[int] = set()
    known = header_tags()
    dataset = pydicom.dcmread(io.BytesIO(example(sequences=True)))
    plain_tag_of = elements.tag_of

    def watched(keyword):
        tag = plain_tag_of(keyword)
        asked.add(int(tag))
        return tag

    monkeypatch.setattr(elements, "tag_of", watched)
    library.header.read(dataset)
    instance_of(dataset)
    nested = {
        int(plain_tag_of(keyword))
        for keyword in (
            "CodeValue",
            "LongCodeValue",
            "URNCodeValue",
            "CodingSchemeDesignator",
            "CodeMeaning",
            "AnatomicRegionModifierSequence",
            "PrimaryAnatomicStructureModifierSequence",
            "ScheduledProcedureStepDescription",
            "ScheduledProtocolCodeSequence",
            "EquivalentCodeSequence",
        )
    }
    assert asked - nested <= known
