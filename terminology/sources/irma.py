"""`IrmaCode`: the code TTTT-DDD-AAA-BBB of an image, and the four axes that it is made of.

Lehmann et al. 2003: four axes without a link between them, each a tree of one character a level
(0-9, then a-z). A 0 leaves its level and all levels below it unspecified. ImageCLEF adds ``*``
for "not known" in an answer: it, too, holds for the levels below it. Which codes there are is in
the lists of the code (`terminology.sources.irma_lists`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from terminology.errors import IdentifierError

UNSPECIFIED: Final = "0"
UNKNOWN: Final = "*"
IRMA: Final = "https://w3id.org/bodysite/CodeSystem/irma"

_CHARACTERS = re.compile(r"[0-9a-z*]+", re.ASCII)
_EXAMPLE: Final = "Write it as TTTT-DDD-AAA-BBB, such as 1121-120-930-700."


class Axis(StrEnum):
    """An axis, in the order of the code."""

    TECHNICAL = "technical"
    DIRECTIONAL = "directional"
    ANATOMICAL = "anatomical"
    BIOLOGICAL = "biological"

    @property
    def width(self) -> int:
        """How many characters the axis has in a whole code."""
        return 4 if self is Axis.TECHNICAL else 3

    @property
    def system(self) -> str:
        """The URI of the code system that the codes of the axis are."""
        name = "anatomy" if self is Axis.ANATOMICAL else self.value
        return f"{IRMA}-{name}"

    def parse(self, text: str, where: str = "code") -> str:
        """Return the code `text` of this axis at full width, in lower case.

        A short code is filled up with 0, or with ``*`` where it ends so. What stands below a
        ``*`` is not known either, whatever is written there: that is how ImageCLEF counts it.

        Raises
        ------
        IdentifierError
            Saying the position: too long, a character of no level, or one below a 0.
        """
        code = text.strip().lower()
        place = f"{where}, {self} axis"
        expected = f"1 to {self.width} characters 0-9 a-z, or * for not known"
        if not code:
            raise IdentifierError(place, "no code", expected, "Write 0 for unspecified.")
        if len(code) > self.width:
            what = f"'{text}' has {len(code)} characters"
            raise IdentifierError(place, what, expected, _EXAMPLE)
        if not _CHARACTERS.fullmatch(code):
            at, bad = next(
                (at, one) for at, one in enumerate(code, 1) if not _CHARACTERS.fullmatch(one)
            )
            what = f"'{bad}' of '{text}'"
            raise IdentifierError(f"{place}, position {at}", what, expected, _EXAMPLE)
        known, star, _ = code.partition(UNKNOWN)
        specified, zero, below = known.partition(UNSPECIFIED)
        if below.strip(UNSPECIFIED):
            at = next(at for at, one in enumerate(below, len(specified) + 2) if one != UNSPECIFIED)
            raise IdentifierError(
                f"{place}, position {at}",
                f"'{code[at - 1]}' of '{text}' stands below a 0",
                "0, since 0 leaves all positions after it unspecified",
                "Name the level above first; 0 stands only at the end.",
            )
        filler = UNKNOWN if star and not zero else UNSPECIFIED
        return specified.ljust(self.width, filler)


def specified(code: str) -> str:
    """Return what the code of an axis says: `code` without what is unspecified or not known."""
    return code.partition(UNSPECIFIED)[0].partition(UNKNOWN)[0]


@dataclass(frozen=True, slots=True)
class IrmaCode:
    """The whole code of an image; each axis is its code at full width, in lower case.

    `parse` makes one; ``str()`` writes it with hyphens.
    """

    technical: str
    directional: str
    anatomical: str
    biological: str

    @classmethod
    def parse(cls, text: str, where: str = "code") -> Self:
        """Return the code that `text` writes.

        Hyphens may be missing where all 13 characters are there. With hyphens an axis may be
        short: 1121-12-93-7 is 1121-120-930-700.

        Raises
        ------
        IdentifierError
            Saying the axis and the position, what was expected and what to do.
        """
        parts = text.strip().split("-")
        if len(parts) == 1:
            parts = list(_cut(parts[0], where))
        if len(parts) != len(Axis):
            raise IdentifierError(
                where, f"'{text}' has {len(parts)} axes", "four, joined by hyphens", _EXAMPLE
            )
        codes = (axis.parse(part, where) for axis, part in zip(Axis, parts, strict=True))
        return cls(*codes)

    def __str__(self) -> str:
        return "-".join(self.part(axis) for axis in Axis)

    def part(self, axis: Axis) -> str:
        """Return the code of `axis` at full width."""
        return str(getattr(self, axis.value))

    def matches(self, other: IrmaCode) -> bool:
        """Return whether the two agree at every position where neither is ``*``."""
        pairs = zip(str(self), str(other), strict=True)
        return all(one == two or UNKNOWN in (one, two) for one, two in pairs)

    def subsumes(self, other: IrmaCode) -> bool:
        """Return whether this code is `other`, or less specific on some axes and equal on all else.

        Unspecified and not known subsume alike: neither rules anything out.
        """
        return all(
            specified(other.part(axis)).startswith(specified(self.part(axis))) for axis in Axis
        )

    def parent(self, axis: Axis) -> IrmaCode | None:
        """Return the code one level up on `axis`, or `None` where that axis says nothing."""
        said = specified(self.part(axis))
        if not said:
            return None
        return replace(self, **{axis.value: said[:-1].ljust(axis.width, UNSPECIFIED)})

    def ancestors(self, axis: Axis) -> tuple[IrmaCode, ...]:
        """Return the codes above this one on `axis`, the nearest first."""
        found: list[IrmaCode] = []
        above = self.parent(axis)
        while above is not None:
            found.append(above)
            above = above.parent(axis)
        return tuple(found)


def is_whole(text: str) -> bool:
    """Return whether `text` is written as a whole code, not as the code of one axis."""
    return "-" in text or len(text.strip()) > max(axis.width for axis in Axis)


def _cut(text: str, where: str) -> tuple[str, ...]:
    """Return the axes of a code without hyphens, which are clear at full length only."""
    length = sum(axis.width for axis in Axis)
    if len(text) != length:
        raise IdentifierError(
            where,
            f"'{text}' has {len(text)} characters and no hyphens",
            f"{length} characters, or four axes joined by hyphens",
            _EXAMPLE,
        )
    parts: list[str] = []
    for axis in Axis:
        parts.append(text[: axis.width])
        text = text[axis.width :]
    return tuple(parts)
