"""Technical attributes of headers, and what is no such thing."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence

from terminology.acquisition import acquisition_of
from terminology.annotation import Attribute
from terminology.elements import Elements


def dataset(**elements: Any) -> Dataset:
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    return found


def stated(header: Dataset) -> dict[str, str]:
    return {one.keyword: one.value for one in acquisition_of(Elements(header))}


READ: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"KVP": "70.0"}, {"KVP": "70"}, "a decimal string"),
    ({"KVP": ""}, {}, "empty"),
    ({"CTDIvol": 4.04}, {"CTDIvol": "4.04"}, "a double"),
    ({"PixelSpacing": ["0.20", "0.3"]}, {"PixelSpacing": "0.2\\0.3"}, "two values"),
    ({"ImageType": ["ORIGINAL", "PRIMARY"]}, {"ImageType": "ORIGINAL\\PRIMARY"}, "codes"),
    ({"ContrastBolusAgent": "Ultravist"}, {"ContrastBolusAgent": "YES"}, "whether, not which"),
    ({"ContrastBolusAgent": "NONE"}, {}, "none is none"),
    ({"Manufacturer": "Maker, Inc."}, {"Manufacturer": "Maker, Inc."}, "a name"),
    ({"UltrasoundColorDataPresent": 0}, {"UltrasoundColorDataPresent": "0"}, "zero is a value"),
    (
        {"SequenceOfUltrasoundRegions": Sequence([dataset(TransducerFrequency=3500)])},
        {"TransducerFrequency": "3500"},
        "of a region",
    ),
    (
        {
            "SharedFunctionalGroupsSequence": Sequence(
                [
                    dataset(
                        PixelMeasuresSequence=Sequence(
                            [dataset(SliceThickness="2", PixelSpacing=["1", "1"])]
                        )
                    )
                ]
            )
        },
        {"SliceThickness": "2", "PixelSpacing": "1\\1"},
        "of all frames",
    ),
    (
        {
            "AcquisitionTime": "001500",
            "RadiopharmaceuticalInformationSequence": Sequence(
                [dataset(RadiopharmaceuticalStartTime="234500.0")]
            ),
        },
        {"TracerExposureTime": "1800"},
        "past midnight",
    ),
]


@pytest.mark.parametrize(("elements", "expected", "why"), READ, ids=[row[2] for row in READ])
@pytest.mark.parametrize("implicit", [True, False])
def test_attributes_are_read_from_what_was_set_and_from_files(
    elements: dict[str, Any], expected: dict[str, str], why: str, implicit: bool
) -> None:
    # A sequence belongs to one dataset only; the first element tells pydicom the syntax.
    header = dataset(Modality="OT", **copy.deepcopy(elements))
    assert stated(header) == expected, why
    out = io.BytesIO()
    dcmwrite(out, header, implicit_vr=implicit, little_endian=True)
    out.seek(0)
    assert stated(dcmread(out, force=True)) == expected, why


BROKEN: list[tuple[str, str, bytes]] = [
    ("KVP", "DS", b"seventy"),
    ("KVP", "DS", b"inf"),
    ("CTDIvol", "FD", b"\0\0\0"),
    ("CTDIvol", "FD", b"\0\0\0\0\0\0\xf0\x7f"),
    ("PixelSpacing", "DS", b"1\\2\\3"),
    ("PixelSpacing", "DS", b"a\\b"),
    ("ImageType", "CS", b"<script>"),
    ("ConvolutionKernel", "SH", b"\x00\x01\x02;"),
    ("SequenceOfUltrasoundRegions", "LO", b"none"),
]


@pytest.mark.parametrize(("keyword", "vr", "value"), BROKEN, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_what_breaks_its_form_is_left_out(keyword: str, vr: str, value: bytes) -> None:
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    header = Dataset()
    tag = Tag(tag_for_keyword(keyword) or 0)
    header[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    assert stated(header) == {}


def test_what_people_wrote_is_kept_apart() -> None:
    header = dataset(
        ReasonForTheRequestedProcedure="Pain",
        RadiopharmaceuticalInformationSequence=Sequence([dataset(Radiopharmaceutical="FDG")]),
    )
    assert acquisition_of(Elements(header)) == (
        Attribute("ReasonForTheRequestedProcedure", "", "Pain"),
        Attribute("Radiopharmaceutical", "", "FDG"),
    )
