"""Which of a concept's names fits the languages that a caller asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.tx.provider import DISPLAY_USE, Designation


@dataclass(frozen=True, slots=True)
class LanguageRange:
    """One entry of an Accept-Language list."""

    tag: str
    quality: float


@dataclass(frozen=True, slots=True)
class LanguagePreference:
    """The languages wanted, best first, as `displayLanguage` or Accept-Language says it.

    Parameters
    ----------
    ranges
        Wanted languages, highest quality first. Refused ones (``q=0``) are kept.
    text
        What the caller sent, for the echo in an expansion and for messages.
    """

    ranges: tuple[LanguageRange, ...] = ()
    text: str = ""

    @classmethod
    def parse(cls, text: str | None) -> LanguagePreference:
        """Return the preference of an Accept-Language value; senseless entries are left out."""
        ranges: list[LanguageRange] = []
        for entry in (text or "").split(","):
            tag, _, rest = entry.strip().partition(";")
            if not tag.strip():
                continue
            quality = 1.0
            name, _, value = rest.strip().partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    continue
            ranges.append(LanguageRange(tag.strip(), quality))
        ranges.sort(key=lambda item: -item.quality)
        return cls(tuple(ranges), text or "")

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def tags(self) -> tuple[str, ...]:
        """The wanted tags, best first, without ``*`` and without those refused."""
        return tuple(r.tag for r in self.ranges if r.tag != "*" and r.quality > 0)

    @property
    def summary(self) -> str:
        """The wanted tags as messages show them; two dashes when nobody asked."""
        return ", ".join(self.tags) or "--"

    @property
    def only(self) -> bool:
        """Whether other languages than the named ones are refused (``*; q=0``)."""
        return any(r.tag == "*" and r.quality == 0 for r in self.ranges)


def first_in(designations: Sequence[Designation], languages: Sequence[str]) -> Designation | None:
    """Return the best name in the first of `languages` that has one, `None` when none has.

    The same tag is closest, then the same language and region, then the same language; among names
    equally close, displays come before other designations.
    """
    for wanted in languages:
        best: tuple[int, bool] | None = None
        found = None
        for designation in designations:
            if designation.language is None:
                continue
            close = closeness(wanted, designation.language)
            rank = (close, is_display(designation))
            if close and (best is None or rank > best):
                best, found = rank, designation
        if found is not None:
            return found
    return None


def closeness(wanted: str, language: str) -> int:
    """Return 3 for the same tag, 2 for the same language and region, 1 for the same language."""
    asked, found = wanted.lower().split("-"), language.lower().split("-")
    if asked == found:
        return 3
    if asked[0] != found[0]:
        return 0
    return 2 if asked[1:2] == found[1:2] else 1


def is_display(designation: Designation) -> bool:
    """Return whether a name may stand as the display of its language."""
    use = designation.use
    return use is None or (use.get("system"), use.get("code")) in _DISPLAY_USES


_DISPLAY_USES: Final = frozenset(
    {
        (DISPLAY_USE["system"], DISPLAY_USE["code"]),
        ("http://terminology.hl7.org/CodeSystem/designation-usage", "display"),
        ("http://snomed.info/sct", "900000000000013009"),  # synonym
        ("http://snomed.info/sct", "900000000000548007"),  # preferred
    }
)
