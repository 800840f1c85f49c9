"""Versions of a canonical: choosing one, and what a request says about which to use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = re.compile(r"\d+")
# An expression constraint in the url of a value set; it may have terms, each between two "|".
_CONSTRAINT: Final = re.compile(r"\?fhir_vs=ecl(?:/|%2f)", re.IGNORECASE)
_WILDCARDS: Final = frozenset({"x", "X", "*"})


@dataclass(frozen=True, slots=True)
class VersionRule:
    """One `system-version` (default), `check-system-version` or `force-system-version`."""

    mode: str
    url: str
    version: str

    @property
    def canonical(self) -> str:
        """As the caller sent it."""
        return f"{self.url}|{self.version}"


def split_canonical(canonical: str) -> tuple[str, str | None]:
    """Return url and version of a canonical; one with an expression constraint has no version."""
    if _CONSTRAINT.search(canonical):
        return canonical, None
    url, _, version = canonical.partition("|")
    return url, version or None


def join_canonical(url: str, version: str | None) -> str:
    """Return ``url|version``, or the url alone."""
    return f"{url}|{version}" if version else url


def version_key(version: str | None) -> tuple[tuple[int, int, str], ...]:
    """Return a key that orders versions as people number them: 1.9 before 1.10."""
    parts = re.split(r"[.\-+/]", version or "")
    return tuple((1, int(p), "") if _NUMBERS.fullmatch(p) else (0, 0, p) for p in parts)


def matches(wanted: str, version: str | None) -> bool:
    """Return whether `version` is `wanted`, where that may have wildcards or end early.

    ``1.x`` and ``1.x.x`` match 1.2.0; ``1`` and ``1.2`` match 1.2.0 as FHIR's partial versions do.
    SNOMED CT's edition URI without a date matches each of its versions.
    """
    if version is None:
        return False
    if wanted == version:
        return True
    if "/" in wanted:
        return version.startswith(wanted.rstrip("/") + "/")
    asked, found = wanted.split("."), version.split(".")
    if len(asked) > len(found):
        return False
    return all(a in _WILDCARDS or a == f for a, f in zip(asked, found, strict=False))
