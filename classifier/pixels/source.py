"""`Source`: the bytes of an image, in memory or in a file, read in parts, never past their end."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ImageError
from classifier.pixels.limits import PixelLimits
from classifier.pixels.malformed import MalformedError

# A run of zeros parses as endless empty elements. So many reads take a parser some ten seconds;
# a header of 1,000 frames with 50 elements each needs a tenth of them.
MOST_READS: Final = 1_000_000
_START_BYTES: Final = 132


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image is and what messages call it; a file is opened for each read.

    Nothing stays open between reads, so that thousands of images may be held at once and frames
    may be read from several threads.
    """

    where: str
    content: bytes | Path
    size: int

    @classmethod
    def of(cls, content: bytes | Path, limits: PixelLimits, where: str | None = None) -> Source:
        """Return the source, whose size is within `limits`.

        Raises
        ------
        ImageError
            The file is not there, cannot be read or is empty; `PixelLimitError` when too large.
        """
        name = where or (str(content) if isinstance(content, Path) else "image")
        try:
            size = content.stat().st_size if isinstance(content, Path) else len(content)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise unreadable(name, error) from error
        limits.check_bytes(name, size)
        if size == 0:
            raise ImageError(
                name, "the file is empty (0 bytes)", "an image", "Copy or export it again."
            )
        return cls(name, content, size)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open a stream at the start."""
        if isinstance(self.content, bytes):
            yield io.BytesIO(self.content)
            return
        try:
            stream = self.content.open("rb")
        except OSError as error:
            raise unreadable(self.where, error) from error
        with stream:
            yield stream

    def start(self) -> bytes:
        """Return as many of the first bytes as tell one format from another."""
        with self.open() as stream:
            try:
                return stream.read(_START_BYTES)
            except OSError as error:  # a folder opens on some systems, and does not read
                raise unreadable(self.where, error) from error

    def array(self, offset: int, count: int, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Return `count` values from `offset` on: a read-only view of bytes, or what was read.

        Raises
        ------
        EOFError
            They are not all there.
        """
        length = count * dtype.itemsize
        if offset + length > self.size:
            raise EOFError(f"{length} bytes from {offset} on, of {self.size}")
        if isinstance(self.content, bytes):
            return np.frombuffer(self.content, dtype, count, offset)
        with self.open() as stream:
            stream.seek(offset)
            found = np.empty(count, dtype)
            # The file may have been cut since its size was asked.
            if stream.readinto(found.view(np.uint8)) != length:  # type: ignore[attr-defined]
                raise EOFError(f"{length} bytes from {offset} on")
            return found


class BoundedStream:
    """A stream for parsers: a length that a damaged file claims is cut to what is there.

    `BinaryIO.read` would first reserve what it is asked for.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        self._reads += 1
        if self._reads > MOST_READS:
            raise MalformedError("the header has too many elements")
        left = max(self._size - self._stream.tell(), 0)
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as `io.IOBase.seek`."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()


def unreadable(where: str, error: Exception) -> ImageError:
    """Return what to say of a file that the system does not give."""
    reason = getattr(error, "strerror", None) or type(error).__name__
    return ImageError(
        where,
        f"the file cannot be read ({reason})",
        "a file that exists and may be read",
        "Check the path and its permissions.",
    )
