"""Look-up tables of a DICOM header → `LookUp`: modality, VOI and presentation LUTs, palettes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from classifier.pixels.malformed import MalformedError
from classifier.pixels.transform import LookUp

_MOST_ENTRIES: Final = 1 << 16
_WORD: Final = 0xFFFF
_SIGN: Final = 0x8000
_BITS: Final = range(1, 17)
_COLOURS: Final = ("Red", "Green", "Blue")
_DESCRIPTOR_VALUES: Final = 3
# PS3.3 C.7.9.2: the kinds of segments
_DISCRETE: Final = 0
_LINEAR: Final = 1
_INDIRECT: Final = 2


def read_lookup(item: Dataset, *, signed: bool, little_endian: bool) -> LookUp:
    """Return the table of one item of a LUT sequence (PS3.3 C.11.1.1, C.11.2.1.1, C.11.4.1).

    Parameters
    ----------
    signed
        Whether the input may be negative: the first value mapped is then a signed number, even
        where it was written as unsigned.

    Raises
    ------
    MalformedError
        Descriptor and data do not make a table.
    """
    count, first, bits = _descriptor(item, "LUTDescriptor", signed=signed)
    entries = _words(item, "LUTData", count, little_endian=little_endian)
    return _lookup(first, entries, count, bits)


def read_palette(dataset: Dataset, *, little_endian: bool) -> tuple[LookUp, LookUp, LookUp]:
    """Return the tables of red, green and blue, of 8 or 16 bits (PS3.3 C.7.6.3.1.5, C.7.9).

    Entries of 8 bits that are stored in words count as 8 bits, whatever the descriptor says.
    """
    signed = dataset.get("PixelRepresentation") == 1
    tables = []
    for colour in _COLOURS:
        name = f"{colour}PaletteColorLookupTable"
        count, first, _ = _descriptor(dataset, f"{name}Descriptor", signed=signed)
        if dataset.get(f"{name}Data") is not None:
            entries = _words(dataset, f"{name}Data", count, little_endian=little_endian)
        else:
            packed = _segments(dataset, f"Segmented{name}Data", colour, little_endian=little_endian)
            entries = expand_segments(packed, count)
        tables.append((first, entries, count))
    bits = 16 if max(int(entries.max()) for _, entries, _ in tables) > 0xFF else 8
    red, green, blue = (_lookup(first, entries, count, bits) for first, entries, count in tables)
    return red, green, blue


def expand_segments(packed: Sequence[int], count: int) -> NDArray[np.uint16]:
    """Return the `count` entries of a segmented palette (PS3.3 C.7.9.2).

    Raises
    ------
    MalformedError
        The segments end early, give more entries than there are, or lead into one another.
    """
    entries: list[int] = []
    _expand(packed, 0, len(packed), count, entries, may_refer=True)
    if len(entries) != count:
        raise MalformedError(f"a segmented palette of {len(entries)} entries instead of {count}")
    return np.array(entries, np.uint16)


def _expand(
    packed: Sequence[int],
    at: int,
    segments: int,
    most: int,
    entries: list[int],
    *,
    may_refer: bool,
) -> None:
    """Append what at most `segments` segments from position `at` on say."""
    while segments and at + 1 < len(packed):
        kind, length = packed[at], packed[at + 1]
        at += 2
        if kind == _DISCRETE:
            entries.extend(packed[at : at + length])
            at += length
        elif kind == _LINEAR and entries:
            # PS3.3 C.7.9.2.2: from the entry before to the end point, which is the last
            line = np.linspace(entries[-1], packed[at], length + 1)[1:]
            entries.extend(int(value) for value in np.rint(line))
            at += 1
        elif kind == _INDIRECT and may_refer:
            # PS3.3 C.7.9.2.3: `length` segments once more, from a place in two halves
            place = packed[at] | packed[at + 1] << 16
            _expand(packed, place, length, most, entries, may_refer=False)
            at += 2
        else:
            raise MalformedError("a palette has a segment that cannot stand there")
        if len(entries) > most:
            raise MalformedError(f"a segmented palette has more than {most} entries")
        segments -= 1


def _descriptor(item: Dataset, keyword: str, *, signed: bool) -> tuple[int, int, int]:
    value = item.get(keyword)
    if not isinstance(value, MultiValue | list | tuple) or len(value) != _DESCRIPTOR_VALUES:
        raise MalformedError(f"{keyword} has not its three values")
    # The first and third are unsigned, the second may be signed; one VR stands for all of them.
    count, first, bits = (int(part) & _WORD for part in value)
    if signed and first & _SIGN:
        first -= _WORD + 1
    # PS3.3 C.11.1.1.1: 0 stands for 65,536 entries
    return count or _MOST_ENTRIES, first, bits


def _words(item: Dataset, keyword: str, count: int, *, little_endian: bool) -> NDArray[np.uint16]:
    """Return the entries, which are numbers, words or bytes."""
    value = item.get(keyword)
    order = "<" if little_endian else ">"
    if isinstance(value, bytes | bytearray):
        if len(value) >= 2 * count:
            return np.frombuffer(value, f"{order}u2", count).astype(np.uint16)
        if len(value) >= count:
            # PS3.3 C.7.6.3.1.5: two entries of 8 bits a word, the first in its lower byte
            packed = np.frombuffer(value, f"{order}u2", len(value) // 2).astype("<u2").view("u1")
            rest = np.frombuffer(value, "u1", len(value) % 2, len(value) - len(value) % 2)
            return np.concatenate([packed, rest])[:count].astype(np.uint16)
    elif value is not None:
        numbers = [value] if isinstance(value, int) else value
        words = np.array([int(number) & _WORD for number in numbers], "<u2")
        if len(words) >= count:
            return words[:count].astype(np.uint16)
        if 2 * len(words) >= count:
            return words.view("u1")[:count].astype(np.uint16)
    raise MalformedError(f"{keyword} has not the {count} entries of its descriptor")


def _segments(item: Dataset, keyword: str, colour: str, *, little_endian: bool) -> list[int]:
    """Return the numbers of a segmented palette, of 8 or 16 bits as its descriptor says."""
    value = item.get(keyword)
    if not isinstance(value, bytes | bytearray):
        raise MalformedError("there is no palette")
    bits = int(item.get(f"{colour}PaletteColorLookupTableDescriptor")[2])
    order = "<" if little_endian else ">"
    dtype = np.dtype("u1" if bits == 8 else f"{order}u2")
    return [int(number) for number in np.frombuffer(value, dtype, len(value) // dtype.itemsize)]


def _lookup(first: int, entries: NDArray[np.uint16], count: int, bits: int) -> LookUp:
    if len(entries) < count:
        raise MalformedError("a table has fewer entries than its descriptor says")
    # A descriptor that says fewer bits than the entries need is wrong, not the entries.
    needed = int(entries.max()).bit_length()
    return LookUp(first, entries, max(bits if bits in _BITS else 16, needed))
