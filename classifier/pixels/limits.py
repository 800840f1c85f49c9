"""`PixelLimits`: how much an image may ask for before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass

from classifier.errors import PixelLimitError


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What a header may claim; beyond it the image is refused, not tried.

    Attributes
    ----------
    pixels
        Rows times columns of one frame. The default, 8192 x 8192, holds the longest stitched
        radiograph of a leg three times over.
    frames
        Frames of one file. They are decoded one at a time, so this bounds a claim, not memory.
    file_bytes
        Bytes of the file, and of a deflated file after it was inflated.
    """

    pixels: int = 1 << 26
    frames: int = 1 << 16
    file_bytes: int = 1 << 31

    def check_frame(self, where: str, rows: int, columns: int) -> None:
        """Raise `PixelLimitError` when a frame of this size is too large."""
        if rows * columns > self.pixels:
            raise PixelLimitError(
                where,
                f"a frame of {rows} x {columns} pixels",
                f"at most {self.pixels} pixels",
                "Check that the header is right, or pass PixelLimits(pixels=...).",
            )

    def check_count(self, where: str, frames: int) -> None:
        """Raise `PixelLimitError` when there are too many frames."""
        if frames > self.frames:
            raise PixelLimitError(
                where,
                f"{frames} frames",
                f"at most {self.frames} frames",
                "Check that the header is right, or pass PixelLimits(frames=...).",
            )

    def check_bytes(self, where: str, count: int) -> None:
        """Raise `PixelLimitError` when a file, as stored or as inflated, is too large."""
        if count > self.file_bytes:
            raise PixelLimitError(
                where,
                f"a file of more than {self.file_bytes} bytes",
                f"at most {self.file_bytes} bytes",
                "Pass PixelLimits(file_bytes=...) if it is an image all the same.",
            )
