"""Tables of a header, by hand."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from classifier.pixels.lookup import expand_segments, read_lookup, read_palette
from classifier.pixels.malformed import MalformedError
from tests.classifier.pixels.build import table

# PS3.3 C.7.9.2: 0 discrete, 1 linear, 2 indirect
SEGMENTS = [
    ("discrete", [0, 3, 5, 6, 9], [5, 6, 9]),
    ("linear goes on to its end point", [0, 1, 0, 1, 4, 8], [0, 2, 4, 6, 8]),
    ("falling", [0, 1, 10, 1, 5, 0], [10, 8, 6, 4, 2, 0]),
    ("level", [0, 1, 7, 1, 3, 7], [7, 7, 7, 7]),
    ("indirect repeats segments", [0, 2, 1, 2, 1, 2, 4, 2, 2, 0, 0], [1, 2, 3, 4, 1, 2, 3, 4]),
]


@pytest.mark.parametrize(("reason", "packed", "expected"), SEGMENTS, ids=[s[0] for s in SEGMENTS])
def test_segments(reason, packed, expected):
    assert expand_segments(packed, len(expected)).tolist() == expected, reason


@pytest.mark.parametrize(
    ("packed", "count"),
    [
        ([0, 3, 5, 6, 9], 4),
        ([0, 3, 5, 6, 9], 2),
        ([1, 4, 8], 4),
        ([7, 1, 1], 1),
        ([0, 1, 0, 2, 2, 3, 0], 9),
        ([0, 1, 0, 1, 60000, 5], 256),
        ([], 1),
    ],
)
def test_segments_that_cannot_be_are_refused(packed, count):
    with pytest.raises(MalformedError, match="palette"):
        expand_segments(packed, count)


@pytest.mark.parametrize(
    ("first", "signed", "expected"), [(65436, True, -100), (65436, False, 65436), (7, True, 7)]
)
def test_first_value_is_signed_where_the_input_is(first, signed, expected):
    found = read_lookup(table([1, 2, 3], first=first), signed=signed, little_endian=True)
    assert found.first == expected


def test_values_beyond_a_table_take_its_ends():
    found = read_lookup(table([10, 20, 30], first=5), signed=False, little_endian=True)
    values = np.array([-9.0, 5.0, 6.4, 6.6, 7.0, 900.0, np.inf])
    assert found(values).tolist() == [10, 10, 20, 30, 30, 30, 30]


def test_65536_entries_are_written_as_0():
    item = table(list(range(65536)))
    assert list(item.LUTDescriptor) == [0, 0, 16]
    assert len(read_lookup(item, signed=False, little_endian=True).entries) == 65536


@pytest.mark.parametrize(
    ("data", "vr", "expected"),
    [
        (b"\x01\x02\x03\x00", "OW", [1, 2, 3]),
        (b"\x01\x00\x02\x00\x03\x00", "OW", [1, 2, 3]),
        ([1, 2, 3], "US", [1, 2, 3]),
        ([0x0201, 0x0003], "US", [1, 2, 3]),
    ],
)
def test_entries_are_words_or_bytes(data, vr, expected):
    item = table([0, 0, 0], bits=8)
    item.add_new("LUTData", vr, data)
    found = read_lookup(item, signed=False, little_endian=True)
    assert found.entries.tolist() == expected
    assert found.top == 255


def test_big_endian_entries():
    item = table([0, 0, 0])
    item.LUTData = b"\x01\x00\x02\x00\x03\x00"
    assert read_lookup(item, signed=False, little_endian=False).entries.tolist() == [256, 512, 768]
    item.LUTData = b"\x02\x01\x00\x03"  # bytes, two a word
    assert read_lookup(item, signed=False, little_endian=False).entries.tolist() == [1, 2, 3]


def test_more_bits_in_the_entries_than_in_the_descriptor():
    assert read_lookup(table([0, 4095], bits=10), signed=False, little_endian=True).top == 4095


@pytest.mark.parametrize("missing", ["LUTDescriptor", "LUTData"])
def test_table_without_its_parts_is_refused(missing):
    item = table([1, 2, 3])
    delattr(item, missing)
    with pytest.raises(MalformedError, match=missing):
        read_lookup(item, signed=False, little_endian=True)


def test_table_with_too_few_entries_is_refused():
    item = table([1, 2, 3])
    item.LUTData = b"\x01\x00"
    with pytest.raises(MalformedError, match="has not the 3 entries"):
        read_lookup(item, signed=False, little_endian=True)


def test_palette_of_segments():
    made = Dataset()
    made.PixelRepresentation = 0
    for colour, end in (("Red", 200), ("Green", 100), ("Blue", 50)):
        name = f"{colour}PaletteColorLookupTable"
        setattr(made, f"{name}Descriptor", [5, 0, 8])
        setattr(made, f"Segmented{name}Data", bytes([0, 1, 0, 1, 4, end]))
    red, green, blue = read_palette(made, little_endian=True)
    assert red.entries.tolist() == [0, 50, 100, 150, 200]
    assert green.entries.tolist() == [0, 25, 50, 75, 100]
    assert blue.top == 255
