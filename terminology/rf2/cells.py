"""Cells of a column, parsed all at once with numpy.

A block is whole lines of a file; a column of it is given by where its cells start and end. Each
parser returns the values and a mask of the cells that are not of the kind; the value of such a
cell means nothing. `terminology.rf2.kinds.reason` decides the same cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terminology.rf2.kinds import LARGEST_GROUP, PARTITIONS, VALUE, Kind

# Bytes before a block, so that a window that ends with a cell of the first row starts inside.
PAD: Final = 36
_LONGEST: Final = 18
_NONE: Final = 10  # "no digit here", beside the digits 0 to 9
# Verhoeff's permutation of the digits; place n applies it n times.
_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of a block: cell i is ``padded[PAD + starts[i] : PAD + ends[i]]``."""

    padded: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the bytes of each cell."""
        return self.ends - self.starts

    def text(self, row: int) -> str:
        """Return one cell; a byte that is not UTF-8 becomes a replacement character."""
        start, end = int(self.starts[row]), int(self.ends[row])
        return self.padded[PAD + start : PAD + end].decode("utf-8", "replace")

    def windows(self, offsets: NDArray[np.int64], width: int) -> Bytes:
        """Return uint8 (rows, width): the bytes of `padded` from each offset on."""
        every: NDArray[np.void] = np.ndarray(
            (len(self.padded) - width + 1,), dtype=f"V{width}", buffer=self.padded, strides=(1,)
        )
        chosen = every[np.clip(offsets, 0, len(every) - 1)]
        return chosen.view(np.uint8).reshape(len(chosen), width)


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The texts of a block, one after the other: `data` uint8 (bytes,), `lengths` int32 (rows,)."""

    data: Bytes
    lengths: NDArray[np.int32]


def parse(kind: Kind, cells: Cells) -> tuple[Values | TextPiece, Mask]:
    """Return the values of a column and the mask of the bad cells.

    int64 for SCTIDs and integers, int32 for dates and groups, bool for flags, uint8 (rows, 16) for
    UUIDs, uint16 for language codes (the two letters), `TextPiece` for text.
    """
    if kind in PARTITIONS:
        return _identifiers(kind, cells)
    return _PARSERS[kind](cells)


@dataclass(frozen=True, slots=True)
class _Digits:
    """Cells of digits, aligned to the right.

    `digits` uint8 (width, rows), 0 before the first digit of a cell; `outside` has the places, from
    the left, that lie before the first digit of some cells, and of which; `bad` cells have other
    characters, none, or too many.
    """

    digits: Bytes
    outside: Mapping[int, Mask]
    bad: Mask

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers that the digits stand for."""
        width, rows = self.digits.shape
        number = np.zeros(rows, dtype=np.int64)
        # Nine digits fit 32 bits, which are faster than 64.
        for first in range(width - (width - 1) // 9 * 9 - 9, width, 9):
            part = np.zeros(rows, dtype=np.uint32)
            for digit in self.digits[max(first, 0) : first + 9]:
                part *= 10
                part += digit
            number *= 1_000_000_000
            number += part
        return number


def _digits(cells: Cells, longest: int) -> _Digits:
    lengths = cells.lengths
    bad = (lengths < 1) | (lengths > longest)
    lengths = np.minimum(lengths, longest)
    width = int(lengths.max(initial=1)) or 1
    shortest = int(lengths.min(initial=width))
    digits = np.ascontiguousarray(cells.windows(cells.ends + (PAD - width), width).T)
    digits -= 48
    outside = {place: lengths < width - place for place in range(width - shortest)}
    for place, mask in outside.items():
        digits[place][mask] = 0
    if digits.max(initial=0) > 9:
        bad |= (digits > 9).any(axis=0)
        digits[digits > 9] = 0
    return _Digits(digits, outside, bad)


def _identifiers(kind: Kind, cells: Cells) -> tuple[Values, Mask]:
    parsed = _digits(cells, _LONGEST)
    number = parsed.numbers()
    bad = parsed.bad | (cells.lengths < 6)
    if len(parsed.digits) < 6:
        return number, bad
    bad |= cells.windows(cells.starts + PAD, 1)[:, 0] == ord("0")
    bad |= _checks(parsed) != 0
    allowed = np.zeros(256, dtype=np.bool_)
    for partition in PARTITIONS[kind]:
        allowed[int(partition)] = True
    first, second = parsed.digits[-3:-1]
    bad |= ~allowed[first * np.uint8(10) + second]
    return number, bad


def _times_in_d5(a: int, b: int) -> int:
    """Return a * b in the dihedral group of order ten: 0-4 rotate, 5-9 reflect."""
    turned = (a + b if a < 5 else a - b) % 5
    return turned if (a < 5) == (b < 5) else 5 + turned


def _step_tables() -> tuple[bytes, ...]:
    """Return a table for each of Verhoeff's eight places: state * 11 + digit → state."""
    tables = []
    permuted = list(range(10))
    for _ in range(8):
        table = bytearray(256)
        for state in range(10):
            for digit in range(10):
                table[state * 11 + digit] = _times_in_d5(state, permuted[digit])
            table[state * 11 + _NONE] = state
        tables.append(bytes(table))
        permuted = [_PERMUTATION[digit] for digit in permuted]
    return tuple(tables)


_STEPS: Final = _step_tables()


def _checks(parsed: _Digits) -> Bytes:
    """Return the Verhoeff state after all digits; 0 where the check digit is right."""
    width, rows = parsed.digits.shape
    state = np.zeros(rows, dtype=np.uint8)
    for place in reversed(range(width)):
        packed = state * np.uint8(11)
        packed += parsed.digits[place]
        if (outside := parsed.outside.get(place)) is not None:
            packed[outside] += np.uint8(_NONE)
        step = _STEPS[(width - 1 - place) % 8]
        state = np.frombuffer(packed.tobytes().translate(step), dtype=np.uint8)
    return state


def _times(cells: Cells) -> tuple[Values, Mask]:
    parsed = _digits(cells, 8)
    bad = parsed.bad | (cells.lengths != 8)
    number = parsed.numbers().astype(np.int32)
    year, rest = np.divmod(number, 10_000)
    month, day = np.divmod(rest, 100)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    bad |= (year < 1) | (month < 1) | (month > 12) | (day < 1)
    last = _DAYS[np.clip(month, 0, 12)] + (leap & (month == 2))
    bad |= day > last
    return number, bad


_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _flags(cells: Cells) -> tuple[Values, Mask]:
    first = cells.windows(cells.starts + PAD, 1)[:, 0]
    yes = first == ord("1")
    return yes, (cells.lengths != 1) | ~(yes | (first == ord("0")))


def _hex_table() -> bytes:
    table = bytearray([255] * 256)
    for value, letter in enumerate("0123456789abcdef"):
        table[ord(letter)] = table[ord(letter.upper())] = value
    table[ord("-")] = 16
    return bytes(table)


_HEX: Final = _hex_table()
_DASHES: Final = np.array([8, 13, 18, 23])
_NIBBLES: Final = np.setdiff1d(np.arange(36), _DASHES)


def _uuids(cells: Cells) -> tuple[Values, Mask]:
    window = cells.windows(cells.starts + PAD, 36)
    letters = np.frombuffer(window.tobytes().translate(_HEX), dtype=np.uint8).reshape(-1, 36)
    nibbles = letters[:, _NIBBLES]
    bad = (letters[:, _DASHES] != 16).any(axis=1) | (nibbles > 15).any(axis=1)
    bad |= cells.lengths != 36
    return np.ascontiguousarray((nibbles[:, 0::2] << 4) | nibbles[:, 1::2]), bad


def _integers(cells: Cells) -> tuple[Values, Mask]:
    negative = (cells.windows(cells.starts + PAD, 1)[:, 0] == ord("-")) & (cells.lengths > 0)
    unsigned = Cells(cells.padded, cells.starts + negative, cells.ends)
    parsed = _digits(unsigned, _LONGEST)
    number = parsed.numbers()
    return np.where(negative, -number, number), parsed.bad


def _groups(cells: Cells) -> tuple[Values, Mask]:
    parsed = _digits(cells, _LONGEST)
    number = parsed.numbers()
    return number.astype(np.int32), parsed.bad | (number > LARGEST_GROUP)


def _languages(cells: Cells) -> tuple[Values, Mask]:
    window = cells.windows(cells.starts + PAD, 2)
    small = (window >= ord("a")) & (window <= ord("z"))
    codes = window[:, 0].astype(np.uint16) * np.uint16(256) + window[:, 1]
    return codes, (cells.lengths != 2) | ~small.all(axis=1)


def _texts(cells: Cells) -> tuple[TextPiece, Mask]:
    size = len(cells.padded) - PAD
    lengths = cells.lengths
    filled = lengths > 0
    # +1 where a cell starts and -1 where it ends: the running sum is 1 inside of cells.
    edges = np.zeros(size + 1, dtype=np.int8)
    edges[cells.starts[filled]] = 1
    edges[cells.ends[filled]] = -1
    inside = np.cumsum(edges[:size], dtype=np.int8, out=edges[:size]).view(np.bool_)
    block = np.frombuffer(cells.padded, dtype=np.uint8)[PAD:]
    piece = TextPiece(block[inside], lengths.astype(np.int32))
    bad = np.zeros(len(lengths), dtype=np.bool_)
    returns = np.flatnonzero(piece.data == 13)
    if len(returns):
        bad[np.searchsorted(np.cumsum(lengths), returns, side="right")] = True
    return piece, bad


def _terms(cells: Cells) -> tuple[TextPiece, Mask]:
    piece, bad = _texts(cells)
    return piece, bad | (piece.lengths == 0)


def _concrete_values(cells: Cells) -> tuple[TextPiece, Mask]:
    piece, bad = _texts(cells)
    for row in range(len(cells)):
        bad[row] |= not VALUE.fullmatch(cells.text(row))
    return piece, bad


_PARSERS: Final[dict[Kind, Callable[[Cells], tuple[Values | TextPiece, Mask]]]] = {
    Kind.TIME: _times,
    Kind.FLAG: _flags,
    Kind.UUID: _uuids,
    Kind.INTEGER: _integers,
    Kind.GROUP: _groups,
    Kind.LANGUAGE: _languages,
    Kind.TEXT: _texts,
    Kind.TERM: _terms,
    Kind.VALUE: _concrete_values,
}
