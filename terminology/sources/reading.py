"""`CodeReading`: what one code of a foreign vocabulary says, whatever the vocabulary is."""

from __future__ import annotations

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
