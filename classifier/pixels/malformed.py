"""`MalformedError`: why pixels cannot be read, on its way to becoming an `ImageError`."""

from __future__ import annotations


class MalformedError(ValueError):
    """What a file says of its pixels cannot be; the words hold no text of the file."""
