"""The values that go into the store and come out of it: resources, tokens, queries, pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A value to search by: FHIR's ``system|code`` under a search parameter."""

    param: str
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it was built: without `meta`, which is the store's."""

    type: str
    id: str
    content: Mapping[str, Any]
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as it was stored; `body` is its JSON with `meta`."""

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: str
    deleted: bool = False
    rid: int = 0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One search condition: a resource has (or, `negated`, has not) one of these values."""

    values: tuple[int, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Bounds on `lastUpdated` in microseconds since 1970: from `start` on, before `end`."""

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What to search: all criteria and time ranges must hold; `ids` restricts to these ids."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    times: tuple[TimeRange, ...] = ()
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches in the order of `rid`, and whether there are more on either side.

    `total` counts all matches where the search came to know it on the way.
    """

    matches: tuple[Stored, ...]
    has_previous: bool
    has_next: bool
    total: int | None = None
