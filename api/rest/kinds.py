"""Which resource types live in the store, and what clients may do with them."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from api.errors import RequestError

# What clients read, search and write.
EDITED: Final = (
    "BodyStructure",
    "Device",
    "ImagingStudy",
    "Observation",
    "Patient",
    "Practitioner",
    "Provenance",
    "Task",
)
# What the service alone writes.
READ_ONLY: Final = ("AuditEvent",)
KINDS: Final = tuple(sorted((*EDITED, *READ_ONLY)))
# FHIR R4, 2.24.0.1: the type `id`.
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)


def is_id(text: object) -> bool:
    """Return whether `text` is a logical id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def new_id() -> str:
    """Return a logical id that nothing has."""
    return str(uuid4())


def check_writable(kind: str) -> None:
    """Refuse, with 405, to write a type that the service alone writes."""
    if kind not in EDITED:
        raise RequestError(
            kind,
            "the service alone writes resources of this type",
            f"one of {', '.join(EDITED)}",
            "Read and search it.",
            status=405,
            issue="not-supported",
        )
