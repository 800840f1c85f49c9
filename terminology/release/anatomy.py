"""Structure, Entire and Part; and what is a part of what, beside the is-a hierarchy.

In SNOMED CT a *structure* concept stands for a body part or any part of it, an *entire* concept for
the whole of it, a *part* concept for its proper parts. Two association reference sets tie them
together: 734138000 |Anatomy structure and entire association reference set| and 734139008 |Anatomy
structure and part association reference set|, each from the structure to the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.release.index import ReleaseIndex
from terminology.release.ordinals import as_array, bitmap_of
from terminology.release.values import PART_OF, STRUCTURE_AND_ENTIRE, STRUCTURE_AND_PART

_ENTIRE: Final = re.compile(r"^entire\s+", re.IGNORECASE)
_STRUCTURE: Final = re.compile(
    r"^(?:structure of(?: the)?\s+)?(?P<name>.+?)(?:\s+structure)?$", re.IGNORECASE
)
_TAG: Final = re.compile(r"\s*\([^()]*\)$")


@dataclass(frozen=True, slots=True)
class Triple:
    """The structure, entire and part concept of one body part; `None` where there is none.

    `basis` is "reference set" where the release ties them, "name" where an entire concept was
    found by its name and its is-a parent alone.
    """

    structure: str
    entire: str | None
    part: str | None
    basis: Literal["reference set", "name"]


class Anatomy:
    """Structure ↔ entire ↔ part, and part-of, over the index of a release."""

    def __init__(self, index: ReleaseIndex) -> None:
        self._index = index

    def triple(self, code: str) -> Triple | None:
        """Return the triple that a structure, entire or part concept belongs to.

        `None` for a concept that the release ties to no other, neither by the reference sets nor
        as "Entire X" directly below "X structure".
        """
        index, ordinal = self._index, self._index.ordinal(code)
        structure = self._structure_of.get(ordinal, ordinal)
        entire, part = self._entires.get(structure), self._parts.get(structure)
        if entire is not None or part is not None:
            named = entire if entire is not None else self._entire_by_name(structure)
            return Triple(
                index.code(structure),
                None if named is None else index.code(named),
                None if part is None else index.code(part),
                "reference set",
            )
        by_name = self._structure_by_name(ordinal)
        structure = ordinal if by_name is None else by_name
        entire = self._entire_by_name(structure)
        if entire is None:
            return None
        return Triple(index.code(structure), index.code(entire), None, "name")

    def wholes(self, code: str) -> frozenset[str]:
        """Return what a body structure is a part of, without itself.

        By 123005000 |Part of| where the release states it, by the part concepts above `code`
        otherwise; part-of is transitive, and a part of something is a part of what that is: a
        part of a hand is a part of some limb, and of some 91723000 |Anatomical structure|.
        """
        index = self._index
        found = BitMap()
        waiting = BitMap([index.ordinal(code)])
        while waiting:
            reached = _with_ancestors(index, waiting)
            rows = np.isin(self._part_rows[0], as_array(reached))
            above = bitmap_of(self._part_rows[1][rows])
            above |= BitMap(
                self._structure_of[one] for one in reached if one in self._part_concepts
            )
            waiting = _with_ancestors(index, above) - found - reached
            found |= _with_ancestors(index, above)
        return frozenset(index.codes(found & index.rooted)) - self._top - {code}

    def parts(self, code: str) -> frozenset[str]:
        """Return every body structure that is a part of `code`: the inverse of `wholes`."""
        index = self._index
        found = BitMap()
        waiting = BitMap([index.ordinal(code)])
        while waiting:
            reached = _with_descendants(index, waiting)
            rows = np.isin(self._part_rows[1], as_array(reached))
            below = bitmap_of(self._part_rows[0][rows])
            below |= BitMap(self._parts[one] for one in reached if one in self._parts)
            waiting = _with_descendants(index, below) - found
            found |= waiting
        return frozenset(index.codes(found)) - {code}

    @cached_property
    def _top(self) -> frozenset[str]:
        """The root and what is directly below it, which is nobody's whole."""
        index = self._index
        top = BitMap([index.root])
        top |= index.children(index.root)
        return frozenset(index.codes(top))

    @cached_property
    def _part_rows(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Source and destination of the 123005000 |Part of| rows, defining or additional."""
        index = self._index
        attribute = index.find(PART_OF)
        if attribute < 0:
            none = np.zeros(0, dtype=np.uint32)
            return none, none
        rows = index.relations.by_type_destination[index.relations.type_range(attribute)]
        told = index.arrays["additional.type"] == attribute
        return (
            np.concatenate((index.relations.source[rows], index.arrays["additional.source"][told])),
            np.concatenate(
                (index.relations.destination[rows], index.arrays["additional.destination"][told])
            ),
        )

    @cached_property
    def _entires(self) -> dict[int, int]:
        return self._associated(STRUCTURE_AND_ENTIRE)

    @cached_property
    def _parts(self) -> dict[int, int]:
        return self._associated(STRUCTURE_AND_PART)

    @cached_property
    def _part_concepts(self) -> frozenset[int]:
        return frozenset(self._parts.values())

    @cached_property
    def _structure_of(self) -> dict[int, int]:
        """Entire or part concept → its structure concept."""
        return {
            other: structure
            for pairs in (self._entires, self._parts)
            for structure, other in pairs.items()
        }

    def _associated(self, refset: str) -> dict[int, int]:
        arrays = self._index.arrays
        rows = np.flatnonzero(arrays["association.refset"] == int(refset))
        return dict(
            zip(
                arrays["association.source"][rows].tolist(),
                arrays["association.target"][rows].tolist(),
                strict=True,
            )
        )

    def _name(self, ordinal: int) -> str:
        return _TAG.sub("", self._index.fsn(ordinal)).strip()

    def _structure_by_name(self, ordinal: int) -> int | None:
        """Return the parent "X structure" of an "Entire X"."""
        name = self._name(ordinal)
        if not _ENTIRE.match(name):
            return None
        wanted = _key(_ENTIRE.sub("", name))
        fitting = [one for one in self._index.parents(ordinal) if _key(self._name(one)) == wanted]
        return fitting[0] if len(fitting) == 1 else None

    def _entire_by_name(self, structure: int) -> int | None:
        """Return the child "Entire X" of an "X structure"."""
        wanted = _key(self._name(structure))
        fitting = [
            one
            for one in self._index.children(structure)
            if _ENTIRE.match(self._name(one)) and _key(_ENTIRE.sub("", self._name(one))) == wanted
        ]
        return fitting[0] if len(fitting) == 1 else None


def _key(name: str) -> str:
    match = _STRUCTURE.match(name)
    return (match["name"] if match else name).casefold()


def _with_ancestors(index: ReleaseIndex, ordinals: BitMap) -> BitMap:
    found = BitMap(ordinals)
    for one in ordinals:
        found |= index.ancestors(one)
    return found


def _with_descendants(index: ReleaseIndex, ordinals: BitMap) -> BitMap:
    found = BitMap(ordinals)
    for one in ordinals:
        found |= index.descendants(one)
    return found
