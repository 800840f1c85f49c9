"""`CodeReading`: what one code of a foreign vocabulary says, whatever the vocabulary is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from terminology.annotation import Evidence
from terminology.concept import Coding, Laterality, View
from terminology.crosswalk import MappedTarget


@dataclass(frozen=True, slots=True)
class CodeReading:
    """What a code (or a string of codes) says beside its evidence.

    `targets` are body structures, best first, of all codes of the string; `others` what is said
    of anything else: modality, plane, posture, respiration, body system, each a target with its
    `category`. `parts` are the codes that the string was taken apart into, with their texts.
    `reason` says why there is no target.
    """

    system: str
    value: str
    parts: tuple[Coding, ...] = ()
    targets: tuple[MappedTarget, ...] = ()
    others: tuple[MappedTarget, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    evidence: tuple[Evidence, ...] = ()
    reason: str | None = None

    @classmethod
    def of(
        cls,
        system: str,
        value: str,
        found: Iterable[MappedTarget],
        *,
        parts: tuple[Coding, ...],
        view: View | None = None,
        evidence: tuple[Evidence, ...],
        reason: str | None,
    ) -> CodeReading:
        """Return the reading of a code whose targets, of whatever kind, are `found`.

        The side is that which all body structures have. `reason` is kept where there are none.
        """
        found = tuple(found)
        targets = tuple(target for target in found if target.category is None)
        sides = {target.laterality for target in targets}
        return cls(
            system=system,
            value=value,
            parts=parts,
            targets=targets,
            others=tuple(target for target in found if target.category is not None),
            laterality=sides.pop() if len(sides) == 1 else None,
            view=view,
            evidence=evidence,
            reason=None if targets else reason,
        )
