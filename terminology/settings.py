"""`HeaderSettings`: what a site may set about how headers are read.

The defaults are those of the design: codes before words, what is said of the image before what is
said of the series, and that before what is said of the study. A site's own stand in a TOML file::

    # BodyPartExamined is a default of the device here: the descriptions know better.
    trust = ["AnatomicRegionSequence", "SeriesDescription", "StudyDescription", "BodyPartExamined"]
    accept_from = 0.6          # leave out what is less sure
    refine_from = 0.8
    misspellings = false
    description_factor = 0.9
    meaning_factor = 0.9
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from terminology.errors import BodySiteError

# The attributes that may name a site, the most trusted first.
TRUST: Final = (
    "FrameAnatomySequence",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
    "StudyDescription",
)


class SettingsError(BodySiteError):
    """A file of settings that cannot be read, or that sets what there is not."""


@dataclass(frozen=True, slots=True)
class HeaderSettings:
    """The order of trust among attributes, and the thresholds of reading.

    Attributes
    ----------
    trust
        DICOM keywords of `TRUST`, the most trusted first; an attribute that is left out is not
        asked for a site.
    accept_from
        A site less sure than this, 0 to 1, is withheld, as if not known; a note says so.
    refine_from
        A statement less sure than this, 0 to 1, does not refine what a more trusted attribute
        says ("finger" of a series whose BodyPartExamined is HAND).
    misspellings
        Whether words are read by edit distance where nothing else is found.
    description_factor
        What remains, 0 to 1, of the confidence of a word in a description: it is about the series
        or the study, not surely about the image.
    meaning_factor
        What remains, 0 to 1, of the confidence of a word in the meaning of a code that is not
        known.
    """

    trust: tuple[str, ...] = TRUST
    accept_from: float = 0.0
    refine_from: float = 0.7
    misspellings: bool = True
    description_factor: float = 0.95
    meaning_factor: float = 0.9

    @classmethod
    def read(cls, path: Path) -> HeaderSettings:
        """Return the settings in the TOML file at `path`; what it does not set stays as it is.

        The table ``[fusion]`` of the same file says how header and image are joined, and is read
        elsewhere.

        Raises
        ------
        SettingsError
            The file cannot be read, a key is no setting, or a value is not of its kind. All of
            them are named.
        """
        given = settings_tables(path)
        if isinstance(given.get("fusion"), dict):
            del given["fusion"]
        problems = list(_problems(given))
        if problems:
            raise settings_error(path, problems)
        if "trust" in given:
            given["trust"] = tuple(given["trust"])
        return cls(**given)


def settings_tables(path: Path) -> dict[str, Any]:
    """Return what the TOML file of settings at `path` says.

    Raises
    ------
    SettingsError
        The file cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            str(path),
            f"cannot be read ({error.strerror})",
            "a TOML file",
            "Name a file that exists and may be read.",
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            str(path),
            f"is no TOML ({error})",
            "a TOML file in UTF-8",
            "Correct the line; text stands in quotes, true and false do not.",
        ) from None


def settings_error(path: Path, problems: Sequence[tuple[str, str, str]]) -> SettingsError:
    """Return the error for what is wrong in `path`: of each the key, what, what is expected."""
    key, what, expected = problems[0]
    more = "".join(
        f"; {other}: {found}, expected {wanted}" for other, found, wanted in problems[1:]
    )
    return SettingsError(
        f"{path} {key}",
        what,
        expected + more,
        "Correct the setting, or leave it out to keep its default.",
    )


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the key, what was refused, what is expected."""
    known = {setting.name: setting.default for setting in fields(HeaderSettings)}
    for key, value in given.items():
        if key not in known:
            yield key, f"'{key}' is no setting", f"one of {', '.join(known)}"
        elif key == "trust":
            yield from _trust_problems(value)
        elif isinstance(known[key], bool):
            if not isinstance(value, bool):
                yield key, f"'{value}'", "true or false"
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            yield key, f"'{value}'", "a number from 0 to 1"


def _trust_problems(value: object) -> Iterator[tuple[str, str, str]]:
    if not isinstance(value, list) or not value:
        yield "trust", f"'{value}'", "a list of DICOM keywords, the most trusted first"
        return
    for keyword in value:
        if keyword not in TRUST:
            yield "trust", f"'{keyword}' names no site", f"keywords of {', '.join(TRUST)}"
        elif value.count(keyword) > 1:
            yield "trust", f"'{keyword}' stands twice", "each keyword once"
            return
