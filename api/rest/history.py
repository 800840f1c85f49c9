"""History: the versions of one resource, of a type, or of all, as a Bundle."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from api.dates import date_search, period_of
from api.errors import SearchError
from api.records import HistoryPage, Stored
from api.rest.preconditions import etag
from api.rest.summaries import View

Json = dict[str, Any]
_CURSOR: Final = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,18})", re.ASCII)
_SHOWN: Final = ("_since", "_at", "_count", "_summary", "_elements")


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What a history is asked for.

    Attributes
    ----------
    since, at
        Microseconds since 1970: versions made from then on; versions current in that time.
    before
        Where the page ahead ended.
    """

    count: int
    since: int | None
    at: tuple[int | None, int | None] | None
    before: tuple[int, int, int] | None
    view: View
    understood: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, parameters: Sequence[tuple[str, str]], page_size: int, max_page_size: int
    ) -> HistoryRequest:
        """Return what parameters ask for (FHIR R4, 3.1.0.10).

        Raises
        ------
        SearchError
            A value is none.
        """
        count, since, at, before = page_size, None, None, None
        for name, value in parameters:
            if name == "_count":
                if not (value.isascii() and value.isdigit() and len(value) < 10):
                    raise _wrong(name, "a whole number, 0 or more")
                count = min(int(value), max_page_size)
            elif name == "_since":
                since = _instant(value)
            elif name == "_at":
                at = _at(value)
            elif name == "_before":
                match = _CURSOR.fullmatch(value)
                if match is None:
                    raise _wrong(name, "a cursor from a paging link")
                before = (int(match[1]), int(match[2]), int(match[3]))
        understood = tuple((name, value) for name, value in parameters if name in _SHOWN)
        return cls(count, since, at, before, View.of(parameters), understood)

    def links(self, address: str, page: HistoryPage) -> list[Json]:
        """Return the paging links of a page."""
        own = () if self.before is None else (("_before", _cursor(self.before)),)
        found = [{"relation": "self", "url": _url(address, (*self.understood, *own))}]
        found.append({"relation": "first", "url": _url(address, self.understood)})
        if page.next is not None and self.count:
            further = (*self.understood, ("_before", _cursor(page.next)))
            found.append({"relation": "next", "url": _url(address, further)})
        return found


def history_entry(stored: Stored, content: Json | None, base: str) -> Json:
    """Return the entry of a version; `content` is `None` of a deletion."""
    address = f"{stored.type}/{stored.id}"
    created = stored.method == "POST" or (stored.method == "PUT" and stored.version_id == 1)
    status = "204" if stored.deleted else "201" if created else "200"
    entry: Json = {"fullUrl": f"{base}/{address}"}
    if content is not None:
        entry["resource"] = content
    entry["request"] = {
        "method": stored.method,
        "url": stored.type if stored.method == "POST" else address,
    }
    entry["response"] = {
        "status": status,
        "etag": etag(stored.version_id),
        "lastModified": stored.last_updated.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        ),
    }
    return entry


def last_modified(stored: Stored) -> str:
    """Return the header that says when a version was made."""
    return format_datetime(stored.last_updated, usegmt=True)


def _instant(value: str) -> int:
    try:
        return period_of(value.replace(" ", "+")).low
    except ValueError:
        raise _wrong("_since", "an instant such as 2026-11-20T10:00:00Z") from None


def _at(value: str) -> tuple[int | None, int | None]:
    """Return the time that `_at` asks for; its prefixes are those of a date search."""
    try:
        prefix, (low, high) = date_search(value, time.time_ns() // 1000)
    except ValueError:
        raise _wrong("_at", "a date or an instant, with a prefix or without") from None
    return {
        "eq": (low, high),
        "ap": (low, high),
        "ge": (low, None),
        "gt": (high, None),
        "sa": (high, None),
        "le": (None, high),
        "lt": (None, low),
        "eb": (None, low),
        # What is current at another time than this one: everything, at some time.
        "ne": (None, None),
    }[prefix]


def _cursor(place: tuple[int, int, int]) -> str:
    return "-".join(map(str, place))


def _url(address: str, parameters: Sequence[tuple[str, str]]) -> str:
    query = urlencode(parameters, quote_via=quote, safe=":/,")
    return f"{address}?{query}" if query else address


def _wrong(name: str, expected: str) -> SearchError:
    return SearchError(name, "the value is none for it", expected, "Correct the value.")
