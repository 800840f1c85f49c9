"""Flags of the defined terms of Body Part Examined."""

from __future__ import annotations

import pytest

from terminology.sources.body_part import (
    ANIMALS_ONLY,
    FORMER,
    PAIRED,
    UNPAIRED,
    VETERINARY,
    term_flags,
)


@pytest.mark.parametrize(
    ("comment", "flags"),
    [
        ("paired", {PAIRED}),
        ("unpaired; former code, PS3.16 2020", {UNPAIRED, FORMER}),
        ("veterinary; of animals only; the forefoot of people is", {VETERINARY, ANIMALS_ONLY}),
        ("paired; Table L-5 says unpaired", {PAIRED}),
        ("", set()),
        (None, set()),
    ],
)
def test_flags_of_a_defined_term(comment: str | None, flags: set[str]) -> None:
    assert term_flags(comment) == flags
