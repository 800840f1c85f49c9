"""Whether a display that came with a code is one of the concept's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from api.tx.issues import Issue
from api.tx.languages import LanguagePreference, closeness, is_display
from api.tx.messages import issue
from api.tx.provider import Designation
from api.tx.systems import listing

_SPACE: Final = re.compile(r"\s+")
_WRONG: Final = "Display_Name_for__should_be_one_of__instead_of"
_WRONG_SPACE: Final = "Display_Name_WS_for__should_be_one_of__instead_of"


@dataclass(slots=True)
class Names:
    """The names of one concept: of its code system, its supplements and the value set.

    Parameters
    ----------
    language
        Of the code system: names in it always count.
    display
        The code system's own display.
    """

    language: str | None = None
    display: str | None = None
    active: list[Designation] = field(default_factory=list)
    inactive: list[Designation] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.active)


def display_issue(
    names: Names,
    claimed: str,
    system: str,
    code: str,
    languages: LanguagePreference,
    *,
    lenient: bool,
    at: str,
) -> Issue | None:
    """Return what is to be said about a display, `None` when it is a name in a wanted language.

    Parameters
    ----------
    claimed
        The display that came with the code.
    lenient
        Whether a wrong display is a warning.
    at
        FHIRPath of the display.

    Returns
    -------
    Issue or None
        A wrong name is an error unless `lenient`; a right name that is no longer in use is a
        warning; a right name in the code system's language, where there is none in a wanted one, is
        information.
    """
    severity = "warning" if lenient else "error"
    wanted = [d for d in names.active if _is_wanted(d, languages)]
    if any(_equal(claimed, d.value) for d in wanted):
        return None
    retired = [d for d in names.inactive if _is_wanted(d, languages)]
    if any(_equal(claimed, d.value) for d in retired):
        return _retired_issue(names, claimed, code, at)
    shown = languages.summary
    count = _count(filter(is_display, names.active), languages)
    if count == 0:
        count = _count(names.active, languages)
        severity = "warning"
    if count:
        spaced = any(_equal(_spaced(claimed), _spaced(d.value)) for d in wanted)
        name = _WRONG_SPACE if spaced else _WRONG
        ending = "one" if count == 1 else "other"
        listed = _presented(names.active, languages)
        arguments = (str(count), system, code, listed, claimed, shown)
        return issue(severity, "invalid", "invalid-display", f"{name}_{ending}", *arguments, at=at)
    own = names.display or next((d.value for d in names.active), None)
    if own is None:
        name = "NO_VALID_DISPLAY_AT_ALL"
        return issue(
            "warning", "invalid", "invalid-display", name, claimed, system, code, shown, at=at
        )
    told = (claimed, system, code, shown, own)
    if any(_equal(claimed, d.value) for d in _in_own_language(names)):
        name = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK"
        return issue("information", "invalid", "invalid-display", name, *told, at=at)
    name = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR"
    severity = "warning" if lenient else "error"
    return issue(severity, "invalid", "invalid-display", name, *told, at=at)


def _retired_issue(names: Names, claimed: str, code: str, at: str) -> Issue:
    texts = sorted({d.value for d in names.active})
    if len(texts) == 1:
        name, listed = "INACTIVE_DISPLAY_FOUND_one", texts[0]
    else:
        name = "INACTIVE_DISPLAY_FOUND_other"
        listed = ",".join(f'"{text}"' if " " in text else text for text in texts)
    return issue(
        "warning",
        "invalid",
        "display-comment",
        name,
        None,
        claimed,
        code,
        listed,
        "inactive",
        at=at,
    )


def _presented(designations: Sequence[Designation], languages: LanguagePreference) -> str:
    """Return the displays that would have been right, in quotes."""
    displays = [d for d in designations if is_display(d)] or list(designations)
    chosen = [d for d in displays if _is_wanted(d, languages)] or displays
    return listing(
        [f"'{d.value}'" + (f" ({d.language})" if d.language else "") for d in chosen], "or"
    )


def _count(designations: Iterable[Designation], languages: LanguagePreference) -> int:
    """Return how many names are in a wanted language, counting only the closest."""
    found = list(designations)
    for least in (3, 2, 1):
        count = sum(_is_wanted(d, languages, least) for d in found)
        if count:
            return count
    return 0


def _is_wanted(designation: Designation, languages: LanguagePreference, least: int = 1) -> bool:
    if designation.language is None or not languages:
        return True
    return any(closeness(tag, designation.language) >= least for tag in languages.tags)


def _in_own_language(names: Names) -> list[Designation]:
    own = names.language or "en"
    return [d for d in names.active if d.language is None or closeness(own, d.language)]


def _equal(claimed: str, name: str) -> bool:
    return claimed.casefold() == name.casefold()


def _spaced(text: str) -> str:
    return _SPACE.sub(" ", text).strip()
