"""FHIR dates of any precision → periods of time, and what a date search asks of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

_PREFIX: Final = re.compile(r"(eq|ne|ge|gt|le|lt|sa|eb|ap)?(.*)", re.ASCII | re.DOTALL)
_DATE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(?:(Z)|([+-])(\d\d):(\d\d))?)?)?)?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
# FHIR has no later year than 9999.
_END_OF_TIME: Final = (datetime(9999, 12, 31) - _EPOCH) // _MICROSECOND + 86_400_000_000
_MINUTE: Final = 60_000_000


class Period(NamedTuple):
    """Microseconds since 1970 UTC from `low` on, before `high`."""

    low: int
    high: int


class DateSearch(NamedTuple):
    """A date parameter: eq, ne, gt, lt, ge, le, sa, eb or ap, and the period that is meant."""

    prefix: str
    period: Period


def period_of(value: str) -> Period:
    """Return the period that a date, dateTime or instant names.

    A date names the whole period that it leaves open: "2026-11" is from the first of November to
    the end of it (FHIR R4, 3.1.1.4.7). No zone means UTC.

    Raises
    ------
    ValueError
        `value` is no such date.
    """
    match = _DATE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    year, month, day, hour, minute, second, fraction, _, sign, *offset = match.groups()
    # FHIR allows a leap second, Python does not.
    leap = second == "60"
    start = datetime(
        int(year), int(month or 1), int(day or 1),
        int(hour or 0), int(minute or 0), 59 if leap else int(second or 0),
    )  # fmt: skip
    low = (start - _EPOCH) // _MICROSECOND + leap * 1_000_000
    if fraction:
        low += int(fraction.ljust(6, "0")[:6])
    if sign:
        away = (int(offset[0]) * 60 + int(offset[1])) * _MINUTE
        low += -away if sign == "+" else away
    return Period(low, _end(low, start, match))


def date_search(value: str, now: int) -> DateSearch:
    """Return what a date parameter asks for: a prefix and a date of any precision.

    Parameters
    ----------
    now
        The time in microseconds since 1970, from which "ap" measures how far a date is away.

    Raises
    ------
    ValueError
        `value` is no prefix and date.
    """
    match = _PREFIX.fullmatch(value.replace(" ", "+"))  # a "+" that was not encoded
    assert match is not None  # noqa: S101
    prefix, period = match.group(1) or "eq", period_of(match.group(2))
    if prefix == "ap":
        # FHIR R4, 3.1.1.4.7: ten percent of the gap between now and the date is recommended.
        slack = max(abs(now - period.low), abs(now - period.high)) // 10
        period = Period(period.low - slack, period.high + slack)
    return DateSearch(prefix, period)


def _end(low: int, start: datetime, match: re.Match[str]) -> int:
    _, month, day, hour, _, second, fraction, *_ = match.groups()
    if fraction:
        return low + int(10 ** (6 - min(len(fraction), 6)))
    if second:
        return low + 1_000_000
    if hour:
        return low + _MINUTE
    if day:
        return low + 1440 * _MINUTE
    if month and start.month < 12:
        following = start.replace(month=start.month + 1)
    elif start.year < 9999:
        following = start.replace(year=start.year + 1, month=1)
    else:
        return _END_OF_TIME
    return (following - _EPOCH) // _MICROSECOND
