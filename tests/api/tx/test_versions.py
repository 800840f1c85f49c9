"""Versions of canonicals."""

from __future__ import annotations

import pytest

from api.tx.versions import join_canonical, matches, split_canonical, version_key

EDITION = "http://snomed.info/sct/900000000000207008"


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("1.2.0", "1.2.0", True),
        ("1.2", "1.2.0", True),
        ("1", "1.2.0", True),
        ("1.x", "1.2.0", True),
        ("1.*.0", "1.2.0", True),
        ("1.2.0", "1.2", False),
        ("1.1", "1.10.0", False),
        ("2", "1.2.0", False),
        ("1", None, False),
        (EDITION, f"{EDITION}/version/20250101", True),
        (EDITION, f"{EDITION}1/version/20250101", False),
    ],
)
def test_a_wanted_version_may_be_partial(wanted: str, version: str | None, expected: bool) -> None:
    assert matches(wanted, version) is expected


def test_versions_are_ordered_as_people_number_them() -> None:
    versions = ["1.10.0", "1.9.0", "1.9.0-draft", "2", None]
    assert sorted(versions, key=version_key) == [None, "1.9.0", "1.9.0-draft", "1.10.0", "2"]


@pytest.mark.parametrize("canonical", ["https://example.org/a", "https://example.org/a|1"])
def test_a_canonical_is_taken_apart_and_put_together(canonical: str) -> None:
    assert join_canonical(*split_canonical(canonical)) == canonical
