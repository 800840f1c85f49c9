"""How much input one request or one command may bring. A plain value, free of any framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from api.errors import RequestError

_PREFIX = "BODYSITE_"


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
    max_seconds_per_request
        Time for all headers of one request, or all entries of a batch of terminology; files and
        entries that are left over are refused.
    max_seconds_per_image
        Time to decode an image in a process of its own (`api.pixels`); it is ended then.
    max_decoding_bytes
        Memory of such a process, in address space.
    """

    max_body_bytes: int = 512 << 20
    max_files: int = 10_000
    max_unzipped_bytes: int = 4 << 30
    max_zip_ratio: int = 200
    max_header_bytes: int = 64 << 20
    max_seconds_per_file: float = 20.0
    max_seconds_per_request: float = 300.0
    max_seconds_per_image: float = 30.0
    max_decoding_bytes: int = 4 << 30

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """Return the limits that variables such as ``BODYSITE_MAX_FILES`` set.

        Raises
        ------
        RequestError
            A variable holds no positive number.
        """
        given: dict[str, Any] = {}
        for field in fields(cls):
            name = _PREFIX + field.name.upper()
            text = environment.get(name)
            if text is None:
                continue
            try:
                number = float(text) if field.type == "float" else int(text)
            except ValueError:
                number = 0
            given[field.name] = number
            if not number > 0:
                raise RequestError(
                    name, f"'{text}' is no positive number", "a number above 0", "Correct it."
                )
        return cls(**given)
