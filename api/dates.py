"""FHIR date search values → ranges of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from api.records import TimeRange

_DATE: Final = re.compile(
    r"(eq|ge|gt|le|lt|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def time_range(value: str) -> TimeRange:
    """Return the bounds of a date parameter: a prefix and a date of any precision.

    A date names the whole period that it leaves open: "2026-11" is from the first of November to
    the end of it, and "gt2026-11" is after that (FHIR R4, 3.1.1.4.7). No zone means UTC.

    Raises
    ------
    ValueError
        `value` is no such date.
    """
    match = _DATE.fullmatch(value.replace(" ", "+"))  # a "+" that was not encoded
    if match is None:
        raise ValueError(value)
    try:
        start, end = _period(match)
    except OverflowError as error:
        raise ValueError(value) from error
    return {
        "eq": TimeRange(start, end),
        "ge": TimeRange(start=start),
        "gt": TimeRange(start=end),
        "sa": TimeRange(start=end),
        "le": TimeRange(end=end),
        "lt": TimeRange(end=start),
        "eb": TimeRange(end=start),
    }[match.group(1) or "eq"]


def _period(match: re.Match[str]) -> tuple[int, int]:
    _, year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z") else zone
    micro = (fraction or "").ljust(6, "0")[:6]
    start = datetime.fromisoformat(
        f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
        f".{micro}{offset}"
    ).astimezone(UTC)
    if hour is None:
        end = _next_day(start) if day else _next_month(start, whole_year=month is None)
    elif second is None:
        end = start + timedelta(minutes=1)
    elif fraction is None:
        end = start + timedelta(seconds=1)
    else:
        end = start + timedelta(microseconds=10 ** (6 - min(len(fraction), 6)))
    return _microseconds(start), _microseconds(end)


def _next_day(start: datetime) -> datetime:
    return start + timedelta(days=1)


def _next_month(start: datetime, *, whole_year: bool) -> datetime:
    if whole_year:
        return start.replace(year=start.year + 1)
    if start.month == 12:
        return start.replace(year=start.year + 1, month=1)
    return start.replace(month=start.month + 1)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
