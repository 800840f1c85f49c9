"""Left and right: which concept is the sided form of which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pyroaring import BitMap, FrozenBitMap

from terminology.concept import Concept, Laterality
from terminology.release.index import ReleaseIndex
from terminology.release.values import LATERALITY

SIDES_BY_CODE: Final = {side.coding.code: side for side in Laterality}


@dataclass(frozen=True, slots=True)
class Sides:
    """What a release says of sides, by codes.

    Attributes
    ----------
    of
        Sided concept → its unsided counterpart, if there is exactly one, and its side.
    sided
        (unsided concept, side) → the sided concept.
    """

    of: Mapping[str, tuple[str | None, Laterality]]
    sided: Mapping[tuple[str, Laterality], str]

    @classmethod
    def of_concepts(cls, concepts: Iterable[Concept]) -> Sides:
        """Return the sides that the concepts carry themselves."""
        return cls({}, {}).with_concepts(concepts)

    @classmethod
    def of_release(cls, index: ReleaseIndex, within: BitMap | FrozenBitMap) -> Sides:
        """Return the sides by 272741003 |Laterality| of the concepts `within`.

        The unsided counterpart of a sided concept is its one parent without a side; of several,
        the one that 723264001 |Lateralizable body structure reference set| holds. Where several
        concepts would be the same side of one, those that are sufficiently defined come first,
        and none is taken when that leaves more than one.
        """
        sides = _sides(index, within)
        candidates: dict[tuple[int, Laterality], list[int]] = defaultdict(list)
        unsided: dict[int, int] = {}
        for ordinal, side in sides.items():
            plain = [one for one in index.parents(ordinal) if one not in sides and one in within]
            if len(plain) > 1:
                plain = [one for one in plain if one in index.lateralizable]
            if len(plain) == 1:
                unsided[ordinal] = plain[0]
                candidates[plain[0], side].append(ordinal)
        chosen: dict[tuple[str, Laterality], str] = {}
        kept: set[int] = set()
        for (base, side), ordinals in candidates.items():
            defined = [one for one in ordinals if index.is_defined(one)] or ordinals
            if len(defined) == 1:
                chosen[index.code(base), side] = index.code(defined[0])
                kept.add(defined[0])
        of = {
            index.code(ordinal): (
                index.code(unsided[ordinal]) if ordinal in kept else None,
                side,
            )
            for ordinal, side in sides.items()
        }
        return cls(of, chosen)

    def with_concepts(self, concepts: Iterable[Concept]) -> Sides:
        """Return these sides and those that the concepts carry; what is here already stays."""
        of, sided = dict(self.of), dict(self.sided)
        for concept in concepts:
            if concept.laterality is not None:
                of.setdefault(concept.code, (concept.unsided, concept.laterality))
                if concept.unsided is not None:
                    sided.setdefault((concept.unsided, concept.laterality), concept.code)
        return Sides(of, sided)


def sides_of(index: ReleaseIndex) -> Sides:
    """Return the sides of all active concepts of a release, found once and kept with it."""
    return index.derived(_all_sides)


def _all_sides(index: ReleaseIndex) -> Sides:
    return Sides.of_release(index, index.active)


def _sides(index: ReleaseIndex, within: BitMap | FrozenBitMap) -> dict[int, Laterality]:
    attribute = index.find(LATERALITY)
    if attribute < 0:
        return {}
    table = index.relations
    rows = table.by_type_destination[table.type_range(attribute)]
    found: dict[int, Laterality] = {}
    for ordinal, value in zip(
        table.source[rows].tolist(), table.destination[rows].tolist(), strict=True
    ):
        side = SIDES_BY_CODE.get(index.code(value))
        if side is not None and ordinal in within:
            found[ordinal] = side
    return found
