"""The StructureDefinitions of ours, as clients find them."""

from __future__ import annotations

from typing import Any

from api.profiles import profiles
from api.profiles.names import EXAMINED_SITE

__all__ = ["EXAMINED_SITE", "structure_definitions"]


def structure_definitions(release: str = "R4") -> dict[str, dict[str, Any]]:
    """Return every profile and extension of ours in a release, by id."""
    return {one["id"]: one for one in profiles(release)}
