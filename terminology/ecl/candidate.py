"""What the evaluation must know of a post-coordinated expression."""

from __future__ import annotations

from typing import Protocol

from pyroaring import BitMap

from terminology.release.values import ConcreteValue

# An attribute: the ordinal of its type, and an ordinal, a nested expression or a concrete value.
CandidateAttribute = tuple[int, "int | Candidate | ConcreteValue"]


class Candidate(Protocol):
    """An expression in normal form, over the ordinals of one `ReleaseIndex`.

    The normal form holds all attributes: those that were written and those that the focus concepts
    bring along, without the redundant ones.
    """

    @property
    def equivalent(self) -> int | None:
        """The concept that means the same, where the release defines one."""

    def supertypes(self) -> BitMap:
        """Return the concepts that subsume the expression; `equivalent` is among them."""

    def ungrouped(self) -> tuple[CandidateAttribute, ...]:
        """Return the attributes that stand in no group (relationship group 0)."""

    def groups(self) -> tuple[tuple[CandidateAttribute, ...], ...]:
        """Return the attributes of each group.

        An attribute that can be grouped and was written without braces is a group of its own.
        """
