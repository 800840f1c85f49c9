"""Names that code systems go by."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from terminology.concept import SNOMED

_ALIASES: Final = frozenset({"sct", "snomedct", "urn:oid:2.16.840.1.113883.6.96"})


@lru_cache(maxsize=1024)
def is_snomed(system: str) -> bool:
    """Return whether `system` names SNOMED CT, by itself or one of its editions."""
    lower = system.lower()
    return (
        lower == SNOMED
        or lower in _ALIASES
        or lower.startswith(f"{SNOMED}/")
        or lower == SNOMED.replace("http:", "https:")
    )
