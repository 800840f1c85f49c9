"""Dates of any precision, and the prefixes of date parameters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.dates import date_search, period_of


def micro(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc]


PERIODS = [
    ("2024", micro(2024, 1, 1), micro(2025, 1, 1), "a year"),
    ("2024-02", micro(2024, 2, 1), micro(2024, 3, 1), "a month of a leap year"),
    ("2023-12", micro(2023, 12, 1), micro(2024, 1, 1), "the last month"),
    ("2024-02-29", micro(2024, 2, 29), micro(2024, 3, 1), "a day"),
    ("2024-02-29T10:30Z", micro(2024, 2, 29, 10, 30), micro(2024, 2, 29, 10, 31), "a minute"),
    ("2024-02-29T10:30:05", micro(2024, 2, 29, 10, 30, 5), micro(2024, 2, 29, 10, 30, 6), "UTC"),
    (
        "2024-03-01T00:30:00+02:00",
        micro(2024, 2, 29, 22, 30),
        micro(2024, 2, 29, 22, 30, 1),
        "a zone in the day before",
    ),
    (
        "2016-12-31T23:59:60Z",
        micro(2017, 1, 1),
        micro(2017, 1, 1, 0, 0, 1),
        "a leap second is the first of the next minute",
    ),
    (
        "2024-01-01T00:00:00.123456Z",
        micro(2024, 1, 1) + 123_456,
        micro(2024, 1, 1) + 123_457,
        "exact to the microsecond",
    ),
    ("2024-01-01T00:00:00.5Z", micro(2024, 1, 1) + 500_000, micro(2024, 1, 1) + 600_000, "tenths"),
    ("9999-12-31", micro(9999, 12, 31), micro(9999, 12, 31) + 86_400_000_000, "the last day"),
    ("9999", micro(9999, 1, 1), micro(9999, 12, 31) + 86_400_000_000, "the last year"),
    ("0001-01-01T00:00:00+14:00", micro(1, 1, 1) - 14 * 3_600_000_000, None, "before the first"),
]


@pytest.mark.parametrize(("text", "low", "high", "why"), PERIODS, ids=[row[0] for row in PERIODS])
def test_a_date_names_the_period_that_it_leaves_open(
    text: str, low: int, high: int | None, why: str
) -> None:
    period = period_of(text)
    assert period.low == low, why
    assert period.high == (high if high is not None else low + 1_000_000), why


@pytest.mark.parametrize(
    "text", ["", "0000", "2024-13", "2023-02-29", "2024-1", "24", "2024-01-01T", "2024-01-01T24:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        period_of(text)


def test_about_grows_with_the_distance_from_now() -> None:
    now = micro(2024, 1, 1)
    near = date_search("ap2023-12-31", now).period
    far = date_search("ap1924-01-01", now).period
    assert far.high - far.low > 50 * (near.high - near.low)
    assert near.low < micro(2023, 12, 31) < near.high


def test_a_plus_that_was_not_encoded_is_a_plus() -> None:
    assert date_search("ge2024-01-01T10:00:00 02:00", 0).period.low == micro(2024, 1, 1, 8)
