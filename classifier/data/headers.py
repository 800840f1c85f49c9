"""DICOM headers of data sets: what damaged files raise, and patients as hashes."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

from terminology.elements import BROKEN

# What damaged files make pydicom raise; a deflated one may break while it is inflated.
DAMAGED: Final = (*BROKEN, zlib.error)


def hashed(identifier: str, salt: str = "") -> str:
    """Return what stands for a patient or a study: the same for the same, and no identifier."""
    return hashlib.sha256(f"{salt}\\{identifier}".encode()).hexdigest()[:16]
