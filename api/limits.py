"""How much input one request or one command may bring. A plain value, free of any framework."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read from outside; every one of them can be set (`api.settings`).

    Attributes
    ----------
    max_body_bytes
        Size of a request body, or of one uploaded file. It is spooled to disk, not held.
    max_files
        Files in one request, zip members included.
    max_unzipped_bytes
        What the members of one zip may come to when unpacked.
    max_zip_ratio
        Unpacked to packed size of a zip member. Small members (under 1 MiB unpacked) are exempt:
        a short run of zeros packs 1000 to 1.
    max_header_bytes
        Bytes before the pixel data. Also bounds what a deflated file may inflate to.
    max_seconds_per_file
        Time for one header.
    """

    max_body_bytes: int = 512 << 20
    max_files: int = 10_000
    max_unzipped_bytes: int = 4 << 30
    max_zip_ratio: int = 200
    max_header_bytes: int = 64 << 20
    max_seconds_per_file: float = 20.0
