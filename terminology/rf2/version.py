"""Which edition and version a release is: SNOMED CT URI standard, "URIs for Editions and Versions".

The module dependency reference set says it: the edition is named by the module that depends on the
others and on which none depends, the version by the `sourceEffectiveTime` of that module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from terminology.rf2.errors import ReleaseError
from terminology.rf2.kinds import Kind, reason

MODULE_DEPENDENCY: Final = 900000000000534007
CORE: Final = 900000000000207008

# Modules that name a published edition. In the namespace of an edition there are modules that
# depend on it and are published with it, such as 449080006 |SNOMED CT to ICD-10 rule-based mapping
# module| with the International Edition: they name no edition of their own.
EDITIONS: Final[Mapping[int, str]] = {
    CORE: "International",
    11000221109: "Argentina",
    32506021000036107: "Australia",
    11000234105: "Austria",
    11000172109: "Belgium",
    20611000087101: "Canada",
    554471000005108: "Denmark",
    11000181102: "Estonia",
    11000315107: "France",
    11000274103: "Germany",
    1121000189102: "India",
    11000220105: "Ireland",
    11000146104: "Netherlands",
    21000210109: "New Zealand",
    51000202101: "Norway",
    11000267109: "Republic of Korea",
    449081005: "Spanish",
    45991000052106: "Sweden",
    2011000195101: "Switzerland",
    83821000000107: "United Kingdom",
    999000041000000102: "United Kingdom, clinical",
    731000124108: "United States of America",
    5631000179106: "Uruguay",
}

_URI: Final = re.compile(r"http://snomed\.info/x?sct/([0-9]+)/version/([0-9]+)", re.ASCII)
_FORM: Final = "http://snomed.info/sct/MODULE/version/YYYYMMDD (xsct when unpublished)"
_OPTION: Final = "--version-uri"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A module depends on another one; `date` is the version of the module that depends."""

    module: int
    target: int
    date: str


def check_version_uri(uri: str) -> str:
    """Return `uri` when it names a version of an edition.

    Raises
    ------
    ReleaseError
        It has another form, the module is no SCTID, or the date no date.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise _refused(f"'{uri}' is no version URI")
    for text, kind in zip(match.groups(), (Kind.CONCEPT, Kind.TIME), strict=True):
        if why := reason(kind, text):
            raise _refused(f"'{text}' in '{uri}' {why}")
    return uri


def derive_version(dependencies: Iterable[Dependency], *, unpublished: bool) -> str:
    """Return the version URI that the active rows of the module dependencies say.

    Raises
    ------
    ReleaseError
        There are none, or several modules qualify.
    """
    rows = list(dependencies)
    remedy = f"Say which edition it is: {_OPTION} {_FORM}."
    if not rows:
        raise ReleaseError(
            "version",
            "the release has no active row in 900000000000534007 |Module dependency|",
            "a der2_ssRefset_ModuleDependency file, which says which edition this is",
            remedy,
        )
    targets: dict[int, set[int]] = {}
    for row in rows:
        targets.setdefault(row.module, set())
        if row.target != row.module:
            targets[row.module].add(row.target)
    tops = _tops(targets)
    if len(tops) != 1:
        named = ", ".join(map(str, sorted(tops)))
        what = (
            f"several modules could name the edition: {named}"
            if tops
            else "no module can name the edition: each is needed by, or belongs to, another one"
        )
        raise ReleaseError("version", what, "one module on which no other depends", remedy)
    (top,) = tops
    date = max(row.date for row in rows if row.module == top)
    return f"http://snomed.info/{'xsct' if unpublished else 'sct'}/{top}/version/{date}"


def _tops(targets: Mapping[int, set[int]]) -> set[int]:
    """Return the modules that may name the edition; one when all is well."""
    companions = {
        module
        for module, needed in targets.items()
        if module not in EDITIONS
        and any(_namespace(one) == _namespace(module) for one in needed & EDITIONS.keys())
    }
    needed = {
        one for module, several in targets.items() if module not in companions for one in several
    }
    return set(targets.keys() - companions - needed)


def _namespace(module: int) -> str:
    """Return the namespace identifier; empty for the International Edition's."""
    text = str(module)
    return text[-10:-3] if text[-3] == "1" else ""


def _refused(what: str) -> ReleaseError:
    return ReleaseError(_OPTION, what, _FORM, "Correct the URI, or leave it out to derive it.")
