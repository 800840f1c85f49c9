"""Tab-separated files of a release, written to a folder or straight into a zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 100_000
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint8)


class Uuids:
    """Random UUIDs (version 4) as text, made when asked for: millions of them would fill memory."""

    def __init__(self, chance: np.random.Generator, count: int) -> None:
        self._bytes = chance.integers(0, 256, (count, 16), dtype=np.uint8)
        self._bytes[:, 6] = self._bytes[:, 6] & 0x0F | 0x40
        self._bytes[:, 8] = self._bytes[:, 8] & 0x3F | 0x80

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, rows: slice) -> list[str]:
        chosen = self._bytes[rows]
        digits = _HEX.reshape(256, 2)[chosen].reshape(len(chosen), 32)
        text = np.insert(digits, [8, 12, 16, 20], ord("-"), axis=1).tobytes().decode()
        return [text[at : at + 36] for at in range(0, len(text), 36)]


Column = NDArray[np.generic] | Sequence[object] | Uuids | int | str


class ReleaseFiles:
    """Where the files of one release go; `date` stands in every file name."""

    def __init__(self, out: Path, folder: str, date: int, *, packed: bool) -> None:
        self._folder = folder
        self._date = date
        self.path = out / (f"{folder}.zip" if packed else folder)
        out.mkdir(parents=True, exist_ok=True)
        self._zip = (
            zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
            if packed
            else None
        )

    def write(self, name: str, columns: dict[str, Column]) -> None:
        """Write one file, `name` as in "Terminology/sct2_Concept_Snapshot"; lines end in CR LF.

        A column is an array, a sequence or, when all rows have it, one value.
        """
        with self._open(f"Snapshot/{name}_INT_{self._date}.txt") as file:
            file.write("\t".join(columns) + "\r\n")
            for lines in _lines(list(columns.values())):
                file.write(lines)

    def close(self) -> None:
        """Finish the zip, when there is one."""
        if self._zip is not None:
            self._zip.close()

    @contextmanager
    def _open(self, name: str) -> Iterator[TextIO]:
        if self._zip is not None:
            whole = f"{self._folder}/{name}"
            with (
                self._zip.open(whole, "w", force_zip64=True) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
            ):
                yield file
        else:
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file


def _lines(columns: list[Column]) -> Iterator[str]:
    """Yield the rows as text, many lines at once."""
    several = [column for column in columns if not isinstance(column, int | str)]
    rows = min((len(column) for column in several), default=0)
    template = (
        "\t".join(
            str(column).replace("%", "%%") if isinstance(column, int | str) else "%s"
            for column in columns
        )
        + "\r\n"
    )
    for start in range(0, rows, _ROWS_AT_ONCE):
        chunk = [column[start : start + _ROWS_AT_ONCE] for column in several]
        values = [part.tolist() if isinstance(part, np.ndarray) else part for part in chunk]
        yield "".join(map(template.__mod__, zip(*values, strict=True)))
