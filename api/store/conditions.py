"""Conditions on resources: what a search asks of each, as a tree.

::

    Criterion, Coded        tokens: keys in use, or systems and codes
    During, Updated         times
    Named                   strings
    Measured                amounts
    Worded                  full text
    Present                 any value at all
    Identified              logical ids
    Links, LinkedFrom       resources that it refers to, or that refer to it
    AllOf, AnyOf, Not       the same together

`api.store.query` makes SQL of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from api.records import Criterion

Comparison = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class Coded:
    """It has one of these values under `param`; `None` is any system or any code."""

    param: str
    values: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class During:
    """A time under `param` stands so to the period from `low` on, before `high`."""

    param: str
    comparison: Comparison
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Updated:
    """It was last changed so, to the period from `low` on, before `high`."""

    comparison: Comparison
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Named:
    """A string under `param` begins with `text`, has it inside or is just that.

    Case and accents count for "exact" only.
    """

    param: str
    how: Literal["starts", "contains", "exact"]
    text: str


@dataclass(frozen=True, slots=True)
class Measured:
    """An amount under `param` stands so to `value`, which stands for all from `low` to `high`.

    `None` is any system or any code.
    """

    param: str
    comparison: Comparison
    low: float
    value: float
    high: float
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Worded:
    """One of the alternatives is in its narrative or in its content.

    An alternative is a row of phrases that all must be there, a phrase its words in order, and
    whether the last of them may go on.
    """

    column: Literal["narrative", "content"]
    alternatives: tuple[tuple[tuple[tuple[str, ...], bool], ...], ...]


@dataclass(frozen=True, slots=True)
class Present:
    """It has any value under one of the parameters, in the table of these."""

    params: tuple[str, ...]
    table: Literal["token", "date", "text", "amount"]


@dataclass(frozen=True, slots=True)
class Identified:
    """Its logical id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Links:
    """It refers by `param` to a resource of the type `target` of which `where` holds."""

    param: str
    target: str
    where: Condition


@dataclass(frozen=True, slots=True)
class LinkedFrom:
    """A resource of the type `source` of which `where` holds refers to it by `param`."""

    source: str
    param: str
    where: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these holds at least; none of none does."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = (
    Criterion
    | Coded
    | During
    | Updated
    | Named
    | Measured
    | Worded
    | Present
    | Identified
    | Links
    | LinkedFrom
    | AllOf
    | AnyOf
    | Not
)
