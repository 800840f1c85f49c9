"""StructureDefinitions of what the service emits, with examples, for R4 and R5."""

from __future__ import annotations

import os
from typing import Any, Final

# National profiles that resources may follow beside ours.
NATIONAL: Final = frozenset({"mii"})


def profiles(release: str) -> tuple[dict[str, Any], ...]:
    """Return the StructureDefinitions of ours in "R4" or "R5"."""
    from api.profiles.definitions import profiles as defined

    return defined(release)


def examples(release: str) -> tuple[dict[str, Any], ...]:
    """Return one resource of each profile of ours, in "R4" or "R5"."""
    from api.profiles.examples import examples as made

    return made(release)


def chosen() -> frozenset[str]:
    """Return the national profiles that BODYSITE_PROFILES names, where no settings are at hand.

    Raises
    ------
    RequestError
        It names one that there is not.
    """
    from api.errors import RequestError

    names = frozenset(os.environ.get("BODYSITE_PROFILES", "").replace(",", " ").split())
    if names - NATIONAL:
        what = f"'{sorted(names - NATIONAL)[0][:40]}' is no profile"
        raise RequestError("BODYSITE_PROFILES", what, ", ".join(sorted(NATIONAL)), "Correct it.")
    return names


__all__ = ["NATIONAL", "chosen", "examples", "profiles"]
