"""Which name fits the wanted languages."""

from __future__ import annotations

import pytest

from api.tx.languages import LanguagePreference, closeness, first_in
from api.tx.provider import DISPLAY_USE, Designation

NAMES = [
    Designation("Colour", "en-GB", DISPLAY_USE),
    Designation("Color", "en-US", DISPLAY_USE),
    Designation("Farbton", "de", {"system": "https://example.org", "code": "rare"}),
    Designation("Farbe", "de"),
    Designation("Hue"),
]


@pytest.mark.parametrize(
    ("text", "tags", "only"),
    [
        (None, (), False),
        ("de", ("de",), False),
        ("de;q=0.2, en", ("en", "de"), False),
        ("en, fr;q=0, *;q=0", ("en",), True),
        ("en;q=high, de", ("de",), False),
        (" , ;", (), False),
    ],
)
def test_a_preference_is_read_as_http_orders_it(
    text: str | None, tags: tuple[str, ...], only: bool
) -> None:
    found = LanguagePreference.parse(text)
    assert (found.tags, found.only) == (tags, only)


@pytest.mark.parametrize(
    ("wanted", "language", "expected"),
    [("de", "DE", 3), ("de-CH-x-a", "de-CH", 2), ("de-CH", "de", 1), ("en", "eng", 0)],
)
def test_closeness_goes_by_language_then_region(wanted: str, language: str, expected: int) -> None:
    assert closeness(wanted, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("en-US", "Color"),
        ("en-AU", "Colour"),
        ("de", "Farbe"),  # a display goes before a designation of another use
        ("fr, de", "Farbe"),
        ("fr", None),
    ],
)
def test_the_closest_display_of_the_first_language_is_found(
    text: str, expected: str | None
) -> None:
    found = first_in(NAMES, LanguagePreference.parse(text).tags)
    assert (found.value if found else None) == expected
