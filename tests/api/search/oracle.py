"""A slow evaluation of searches over plain JSON, written without the indexes and without SQL."""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from terminology.graph import BodyStructureGraph

Json = dict[str, Any]
_OPEN_LOW = datetime.min.replace(tzinfo=UTC)
_OPEN_HIGH = datetime.max.replace(tzinfo=UTC)


def interval(text: str) -> tuple[datetime, datetime]:
    """Return the beginning and the end of what a date leaves open."""
    if "T" in text:
        start = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return start, start + timedelta(seconds=1)
    parts = [int(one) for one in text.split("-")]
    year, month, day = (*parts, 1, 1)[:3]
    start = datetime(year, month, day, tzinfo=UTC)
    days = {
        1: 366 if calendar.isleap(year) else 365,
        2: calendar.monthrange(year, month)[1],
        3: 1,
    }[len(parts)]
    return start, start + timedelta(days=days)


def time_of(value: Any) -> tuple[datetime, datetime]:
    """Return the interval of a dateTime or of a Period, open ends at the ends of time."""
    if isinstance(value, str):
        return interval(value)
    low = interval(value["start"])[0] if "start" in value else _OPEN_LOW
    high = interval(value["end"])[1] if "end" in value else _OPEN_HIGH
    return low, high


def date_holds(prefix: str, asked: str, value: Any) -> bool:
    """Return whether a time stands to the one asked for as FHIR's prefixes say."""
    low, high = interval(asked)
    start, end = time_of(value)
    inside = start >= low and end <= high
    return {
        "eq": inside,
        "ne": not inside,
        "gt": end > high,
        "lt": start < low,
        "ge": end > high or inside,
        "le": start < low or inside,
        "sa": start >= high,
        "eb": end <= low,
    }[prefix]


def number_holds(prefix: str, asked: str, value: Any) -> bool:
    """Return whether a number stands to the one asked for, with the precision of its digits."""
    number, found = Fraction(asked), Fraction(str(value))
    digits = len(asked.partition(".")[2])
    half = Fraction(1, 2 * 10**digits)
    near = number - half <= found < number + half
    return {
        "eq": near,
        "ne": not near,
        "gt": found > number,
        "lt": found < number,
        "ge": found >= number,
        "le": found <= number,
    }[prefix]


def bare(text: str) -> str:
    """Return text without case and accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in parts if not unicodedata.combining(one))


def codings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield systems and codes of CodeableConcept, Coding and Identifier."""
    for one in value if isinstance(value, list) else [value]:
        if one is None:
            continue
        for coding in one.get("coding", [one]):
            yield coding.get("system", ""), coding.get("code", coding.get("value", ""))


def token_holds(asked: str, value: Any) -> bool:
    """Return whether any coding is ``code``, ``system|code``, ``|code`` or ``system|``."""
    system, bar, code = asked.rpartition("|")
    return any(
        (not bar or there == system) and (not code or code == code_there)
        for there, code_there in codings(value)
    )


def below(graph: BodyStructureGraph, asked: str, value: Any) -> bool:
    """Return whether any coding is the concept asked for or under it."""
    return any(asked == code or graph.subsumes(asked, code) for _, code in codings(value))


def words(resource: Json) -> list[str]:
    """Return the words of the notes of a resource."""
    return [word for note in resource.get("note", []) for word in bare(note["text"]).split()]
