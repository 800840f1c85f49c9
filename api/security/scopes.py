"""SMART on FHIR scopes: which interactions on which resource types a token grants.

Version 2 (``system/ImagingStudy.rs``) and version 1 (``system/ImagingStudy.read``). Scopes of the
contexts ``system`` and ``user`` are granted alike. Others grant nothing here: ``patient/`` would
need a patient to be limited to, and a scope with a query (``…rs?category=…``) narrows what this
server would not narrow, so that honouring the rest of it would grant too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

ALL: Final = "system/*.cruds"
INTERACTIONS: Final = "cruds"

# SMART App Launch 2.2.0, 3.0.2.1: letters in this order, each at most once.
_SCOPE: Final = re.compile(
    r"(?:system|user)/(\*|[A-Z][A-Za-z]{0,63})\.(c?r?u?d?s?|read|write|\*)", re.ASCII
)
# SMART App Launch 2.2.0, 3.0.2.4: what a scope of version 1 means.
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": INTERACTIONS}


@lru_cache(maxsize=4096)
def granted(scope: str) -> tuple[str, str] | None:
    """Return the resource type (or ``*``) and the letters of what `scope` grants, if anything."""
    found = _SCOPE.fullmatch(scope)
    if found is None or not found[2]:
        return None
    return found[1], _VERSION_1.get(found[2], found[2])


def grants(scopes: Iterable[str], interaction: str, kind: str) -> bool:
    """Return whether one of `scopes` allows `interaction` (c, r, u, d or s) on resources of `kind`.

    The kind ``*`` asks for all resource types at once.
    """
    return any(
        found is not None and found[0] in ("*", kind) and interaction in found[1]
        for found in map(granted, scopes)
    )
