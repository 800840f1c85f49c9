"""Lines of NDJSON → parts of a job, and parts → what is sent."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.jobs.records import JOURNAL, Part

_LEVEL: Final = 3
_CHUNK: Final = 1 << 18


class PartWriter:
    """Gathers lines under names until they are taken as parts, numbered from `number` on.

    `part_bytes`, counted before compression, is what is made again at most when a process dies,
    and held in memory.
    """

    def __init__(self, number: int, part_bytes: int = 0) -> None:
        self.number = number
        self._part_bytes = part_bytes
        self._lines: dict[str, list[str]] = {}
        self._size = 0

    def add(self, name: str, line: str) -> None:
        """Add a line, which holds no line break."""
        self._lines.setdefault(name, []).append(line)
        self._size += len(line)

    @property
    def is_full(self) -> bool:
        """Whether the lines should be taken now."""
        return self._size >= self._part_bytes

    def take(self) -> list[Part]:
        """Return the lines as parts, and begin anew."""
        parts = []
        for name, lines in self._lines.items():
            parts.append(packed(self.number, name, lines))
            self.number += 1
        self._lines, self._size = {}, 0
        return parts


def packed(number: int, name: str, lines: list[str]) -> Part:
    """Return lines as a part."""
    # Half a surrogate pair, which UTF-8 cannot hold, becomes "?".
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    return Part(number, name, len(lines), gzip.compress(text, _LEVEL, mtime=0))


def journal(number: int, content: Mapping[str, Any]) -> Part:
    """Return a part that only the work itself reads."""
    return packed(number, JOURNAL, [line(content)])


def line(content: Mapping[str, Any]) -> str:
    """Return a resource as one line."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def lines_of(part: Part) -> list[str]:
    """Return the lines of a part."""
    return gzip.decompress(part.body).decode().splitlines()


def unpacked(part: Part) -> Iterator[bytes]:
    """Yield the text of a part piece by piece."""
    inflating = zlib.decompressobj(wbits=31)
    left = part.body
    while left:
        yield inflating.decompress(left, _CHUNK)
        left = inflating.unconsumed_tail
    yield inflating.flush()
