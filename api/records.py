"""The values that go into the store and come out of it: resources, tokens, queries, pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from api.store.conditions import Condition

Origin = Literal["machine", "person"]
MACHINE: Final = "machine"
PERSON: Final = "person"


# Every resource has dozens of what follows, which are compared and looked up as quick as tuples.
class Token(NamedTuple):
    """A value to search by: FHIR's ``system|code`` under a search parameter.

    A reference is a token too: its system is the type of the resource referred to, its code the
    id. A reference by absolute URL has the URL for its code and no system; the identifier of a
    logical reference stands under ``<param>:identifier``.
    """

    param: str
    system: str
    code: str


class DateRange(NamedTuple):
    """A time to search by: microseconds since 1970 UTC from `low` on, before `high`.

    `None` is an open end.
    """

    param: str
    low: int | None
    high: int | None


class Text(NamedTuple):
    """A string to search by, as the resource has it; case and accents are the store's business."""

    param: str
    text: str


class Amount(NamedTuple):
    """A quantity to search by."""

    param: str
    system: str
    code: str
    value: float


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it was built, with what it is to be found by.

    Of `meta`, `versionId` and `lastUpdated` are the store's; whatever else the content has there
    (profile, security, tag, source) stays.

    `narrative` is the text that `_text` searches, `words` the text that `_content` searches.
    `origin` says whose word the resource is: what a person owns, no run of the machine overwrites.
    """

    type: str
    id: str
    content: Mapping[str, Any]
    tokens: tuple[Token, ...] = ()
    dates: tuple[DateRange, ...] = ()
    texts: tuple[Text, ...] = ()
    amounts: tuple[Amount, ...] = ()
    narrative: str = ""
    words: str = ""
    origin: Origin = MACHINE


@dataclass(frozen=True, slots=True)
class Stored:
    """A version of a resource as it was stored; `body` is its JSON with `meta`.

    `method` is the HTTP method of the change that made this version: POST where it was created,
    PUT where it was updated, DELETE where it was deleted.
    """

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: str
    deleted: bool = False
    rid: int = 0
    origin: Origin = MACHINE
    method: str = "PUT"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One search condition: a resource has (or, `negated`, has not) one of these values."""

    values: tuple[int, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key to sort by; what has no value comes last, whichever the direction.

    `by` says where its values are: "id" and "updated" of the resource itself, else under `param`
    "token", "date", "text" or "amount". Of several values the least counts, or the greatest where
    it is `descending`.
    """

    by: Literal["id", "updated", "token", "date", "text", "amount"]
    param: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What to search: all criteria and conditions must hold; `ids` restricts to these ids.

    `types`, where there are any, are searched instead of `type`. Without `sort` the order is that
    of first storing, which no update changes.
    """

    type: str
    criteria: tuple[Criterion, ...] = ()
    ids: tuple[str, ...] | None = None
    where: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of resources that are searched."""
        return self.types or (self.type,)


# Where a page begins or ends: the values that its resource is sorted by, then its `rid`.
Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches in the order of the query, and whether there are more on either side.

    `total` counts all matches where the search came to know it on the way. `first` and `last` are
    where the first and the last match are in that order.
    """

    matches: tuple[Stored, ...]
    has_previous: bool
    has_next: bool
    total: int | None = None
    first: Position = ()
    last: Position = ()


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions of resources, the newest first.

    `next` is what `before` is to be for the page behind it, `None` where this is the last; `total`
    counts all versions of a single resource, `None` where many resources were asked for.
    """

    versions: tuple[Stored, ...]
    next: tuple[int, int, int] | None
    total: int | None
