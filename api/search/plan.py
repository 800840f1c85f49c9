"""The parameters of a search → what the store is asked, and how the answer is to look."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from api.errors import SearchError
from api.indexing import PARAMETERS
from api.records import Position, Query, SortKey
from api.search.criteria import Criteria
from api.search.includes import Include, include_of
from api.search.parsing import bad_value, whole
from api.store.conditions import Condition

_MAX_CURSOR: Final = 1 << 62
_MAX_CURSOR_TEXT: Final = 8192
_MAX_SORT_KEYS: Final = 5
_MAX_AMOUNT: Final = 1e300
_MAX_PARAMETERS: Final = 100
_MAX_VALUES: Final = 2000
_BY: Final[Mapping[str, Literal["token", "date", "text", "amount"]]] = {
    "token": "token",
    "reference": "token",
    "uri": "token",
    "date": "date",
    "string": "text",
    "quantity": "amount",
}
_VALUE_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,),
    "updated": (int,),
    "token": (str,),
    "date": (int,),
    "text": (str,),
    "amount": (int, float),
}
# What others read: rendering, the media type, and who asks.
_NOT_OURS: Final = frozenset({"_format", "_pretty"})
_ON_THE_PAGE: Final = frozenset({"_after", "_before"})
_SUMMARIES: Final = ("true", "text", "data", "count", "false")


@dataclass(slots=True)
class Plan:
    """What a search wants.

    Attributes
    ----------
    total
        none, estimate or accurate; "" where the client does not care.
    understood
        The parameters that were taken, for the links.
    ignored
        The names of those that were not.
    """

    query: Query
    count: int
    after: Position | None = None
    before: Position | None = None
    total: str = ""
    summary: str = "false"
    elements: tuple[str, ...] = ()
    includes: list[Include] = field(default_factory=list)
    understood: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def counts_only(self) -> bool:
        """Whether no match is wanted."""
        return self.summary == "count" or self.count == 0


class Planner:
    """Reads the parameters of one search in order.

    Parameters
    ----------
    strict
        Whether what is not known is an error.
    """

    def __init__(
        self, criteria: Criteria, *, page_size: int, max_page_size: int, strict: bool
    ) -> None:
        self._criteria = criteria
        self._max_page_size = max_page_size
        self._strict = strict
        self._where: list[Condition] = []
        self._sort = ""
        self._cursors: dict[str, str] = {}
        kinds = criteria.kinds
        self._plan = Plan(Query(kinds[0], types=kinds if len(kinds) > 1 else ()), page_size)
        self._control: Mapping[str, Callable[[str, str], bool]] = {
            "_count": self._count,
            "_total": self._total,
            "_summary": self._summary,
            "_elements": self._elements,
            "_sort": self._sorted,
            "_include": self._include,
            "_revinclude": self._include,
            "_after": self._cursor,
            "_before": self._cursor,
            "_type": lambda _name, _value: True,
        }

    def plan(self, parameters: Iterable[tuple[str, str]]) -> Plan:
        """Return what the parameters ask for.

        Raises
        ------
        SearchError
            A value or a modifier is wrong, or a parameter is unknown and handling is strict.
        """
        given = list(parameters)
        if sum(1 + value.count(",") for _, value in given) > _MAX_VALUES:
            raise SearchError(
                "search", "it has too many values", f"at most {_MAX_VALUES} in all",
                "Search several times.", issue="too-costly",
            )  # fmt: skip
        if len(given) > _MAX_PARAMETERS:
            raise SearchError(
                "search", f"it has {len(given)} parameters", f"at most {_MAX_PARAMETERS}",
                "Search several times.", issue="too-costly",
            )  # fmt: skip
        for name, value in given:
            if name in _NOT_OURS:
                continue
            if not self._taken(name, value):
                self._ignore(name)
            elif name not in _ON_THE_PAGE:
                self._plan.understood.append((name, value))
        plan = self._plan
        if plan.elements and plan.summary not in {"false", "count"}:
            # FHIR R4, 3.1.1.5.9: both together mean nothing.
            raise SearchError("_elements", "_summary is there too", "one of both", "Choose one.")
        sort = tuple(self._keys())
        query = plan.query
        plan.query = Query(query.type, where=tuple(self._where), sort=sort, types=query.types)
        for name, value in self._cursors.items():
            position = _position(name, value, sort)
            if name == "_after":
                plan.after = position
            else:
                plan.before = position
        if plan.after is not None and plan.before is not None:
            raise SearchError("_before", "_after is there too", "one of both", "Use the links.")
        return plan

    def _taken(self, name: str, value: str) -> bool:
        base, _, modifier = name.partition(":")
        control = self._control.get(base)
        if control is not None:
            if modifier and base not in {"_include", "_revinclude"}:
                return False
            return control(name, value)
        condition = self._criteria.condition(name, value)
        if condition is None:
            return False
        self._where.append(condition)
        return True

    def _ignore(self, name: str) -> None:
        if self._strict:
            raise SearchError(
                name,
                f"the search parameter '{name[:200]}' or its value is not supported",
                "a parameter that metadata lists",
                "Leave it out, or send 'Prefer: handling=lenient' to have it ignored.",
                issue="not-supported",
            )
        self._plan.ignored.append(name)

    # -- how the answer is to look ------------------------------------------------------------

    def _count(self, name: str, value: str) -> bool:
        self._plan.count = min(whole(name, value), self._max_page_size)
        return True

    def _total(self, name: str, value: str) -> bool:
        if value not in {"none", "accurate", "estimate"}:
            raise bad_value(name, value, "none, estimate or accurate")
        self._plan.total = value
        return True

    def _summary(self, name: str, value: str) -> bool:
        if value not in _SUMMARIES:
            raise bad_value(name, value, ", ".join(_SUMMARIES))
        self._plan.summary = value
        return True

    def _elements(self, name: str, value: str) -> bool:
        found = tuple(one.strip() for one in value.split(",") if one.strip())
        self._plan.elements += found
        return bool(found)

    def _include(self, name: str, value: str) -> bool:
        found = include_of(name, value, self._criteria.kinds, self._criteria.release)
        if found is None:
            return False
        self._plan.includes.append(found)
        return True

    def _cursor(self, name: str, value: str) -> bool:
        self._cursors[name] = value
        return True

    def _sorted(self, name: str, value: str) -> bool:
        self._sort = ",".join(one for one in (self._sort, value) if one)
        keys = [one for one in self._sort.split(",") if one]
        if len(keys) > _MAX_SORT_KEYS:
            raise bad_value(name, value, f"at most {_MAX_SORT_KEYS} keys")
        if not keys or any(self._key(one) is None for one in keys):
            self._sort = ""
            return False
        return True

    def _keys(self) -> Iterable[SortKey]:
        for one in self._sort.split(","):
            key = self._key(one) if one else None
            if key is not None:
                yield key

    def _key(self, text: str) -> SortKey | None:
        name = text.strip()
        descending = name.startswith("-")
        name = name.removeprefix("-")
        if name == "_id":
            return SortKey("id", descending=descending)
        if name == "_lastUpdated":
            return SortKey("updated", descending=descending)
        parameter = self._criteria.parameter(name)
        if parameter is None or parameter.union or parameter.type == "composite":
            return None
        return SortKey(_BY[parameter.type], parameter.name, descending)


def encoded(position: Position) -> str:
    """Return a position as a cursor of a link."""
    if len(position) == 1:
        return str(position[0])
    text = json.dumps(position, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(name: str, value: str, sort: tuple[SortKey, ...]) -> Position:
    if not sort:
        cursor = whole(name, value)
        if cursor > _MAX_CURSOR:
            raise bad_value(name, value, "a cursor from a paging link")
        return (cursor,)
    try:
        if len(value) > _MAX_CURSOR_TEXT:
            raise ValueError(value)
        padded = value + "=" * (-len(value) % 4)
        found: Any = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        *values, rid = found
        fits = len(values) == len(sort) and all(
            _fits(key, one) for key, one in zip(sort, values, strict=True)
        )
    except (ValueError, TypeError, RecursionError):
        fits = False
    if not fits or not _whole(rid):
        raise bad_value(name, value, "a cursor from a paging link of the same search")
    return tuple(found)


def _fits(key: SortKey, value: Any) -> bool:
    if value is None:
        return key.by not in {"id", "updated"}
    if isinstance(value, bool) or not isinstance(value, _VALUE_TYPES[key.by]):
        return False
    if isinstance(value, str):
        return "\0" not in value and value.isprintable()
    if isinstance(value, float):
        return abs(value) < _MAX_AMOUNT
    return _whole(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_CURSOR


def kinds_of(kind: str, parameters: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the types of resources that are searched: `kind`, or those of ``_type``."""
    if kind:
        return (kind,)
    asked = [
        one.strip() for name, value in parameters if name == "_type" for one in value.split(",")
    ]
    found = tuple(dict.fromkeys(one for one in asked if one))
    if not found:
        raise SearchError(
            "_type", "it is missing", "types of resources, such as _type=ImagingStudy,Observation",
            "Say what to search.",
        )  # fmt: skip
    unknown = [one for one in found if one not in PARAMETERS]
    if unknown:
        raise bad_value("_type", unknown[0], "one of " + ", ".join(PARAMETERS))
    return found


def now() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000
