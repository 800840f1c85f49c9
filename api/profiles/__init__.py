"""StructureDefinitions of what the service emits, with examples, for R4 and R5."""

from __future__ import annotations

from typing import Any


def profiles(release: str) -> tuple[dict[str, Any], ...]:
    """Return the StructureDefinitions of ours in "R4" or "R5"."""
    from api.profiles.definitions import profiles as defined

    return defined(release)


def examples(release: str) -> tuple[dict[str, Any], ...]:
    """Return one resource of each profile of ours, in "R4" or "R5"."""
    from api.profiles.examples import examples as made

    return made(release)


__all__ = ["examples", "profiles"]
