"""What a post-coordinated expression says, as written: frozen values, nothing looked up.

The names are those of the SNOMED CT Compositional Grammar 2.4. `position` is the character, counted
from 0, where a part begins in the text it was read from; it takes no part in equality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class DefinitionStatus(StrEnum):
    """What the expression claims to be; an expression without one is read as equivalent."""

    EQUIVALENT_TO = "==="
    SUBTYPE_OF = "<<<"


@dataclass(frozen=True, slots=True)
class ConceptReference:
    """A concept by its identifier, with the term that was written beside it, if any."""

    code: str
    term: str | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NumericValue:
    """A number as written after ``#``: an optional sign, digits, perhaps decimals."""

    text: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StringValue:
    """A text, its escapes resolved."""

    text: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class BooleanValue:
    """True or false."""

    truth: bool
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One ``name = value``; a nested expression stands in brackets."""

    name: ConceptReference
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class AttributeGroup:
    """Attributes in braces: they hold together. At least one."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """Focus concepts and their refinement.

    Attributes
    ----------
    focus
        One concept or several, which are meant together.
    ungrouped
        The attributes outside braces.
    groups
        The attribute groups, which the grammar puts behind the ungrouped attributes.
    status
        `None` when none was written, and always in a nested expression.
    """

    focus: tuple[ConceptReference, ...]
    ungrouped: tuple[Attribute, ...] = ()
    groups: tuple[AttributeGroup, ...] = ()
    status: DefinitionStatus | None = None

    @property
    def is_refined(self) -> bool:
        """Whether there is any attribute."""
        return bool(self.ungrouped or self.groups)

    @property
    def is_concept(self) -> bool:
        """Whether this is one concept and nothing else: a pre-coordinated expression."""
        return len(self.focus) == 1 and not self.is_refined and self.status is None

    @property
    def position(self) -> int:
        """Where the first focus concept stands."""
        return self.focus[0].position

    def attributes(self) -> Iterator[tuple[int, Attribute]]:
        """Yield each attribute with its group: 0 for ungrouped ones, groups count from 1."""
        for attribute in self.ungrouped:
            yield 0, attribute
        for number, group in enumerate(self.groups, start=1):
            for attribute in group.attributes:
                yield number, attribute


AttributeValue = ConceptReference | Expression | NumericValue | StringValue | BooleanValue
