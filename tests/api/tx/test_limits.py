"""How much work one request may ask for, and that what is asked for twice is done once."""

from __future__ import annotations

from typing import Any

import pytest

from api.errors import LimitError
from api.tx.compose import Composition
from api.tx.context import Limits
from api.tx.membership import ValueSetChecker
from tests.api.tx.sites import SITES, VALUE_SET, by, codes, expanded, listed, validated, value_set

LEVELS = 25


def diamonds() -> list[dict[str, Any]]:
    """Return value sets of which each imports the next in four ways: 4^25 ways to the last."""
    found = [{**value_set(f"d{LEVELS}", listed(SITES, "arm", "leg")), "version": "1"}]
    for number in reversed(range(LEVELS)):
        below = f"{VALUE_SET}d{number + 1}"
        includes = [
            {"valueSet": [below]},
            {"valueSet": [f"{below}|1"]},
            {"valueSet": [below, f"{below}|1"]},
            {"system": SITES, "valueSet": [below]},
        ]
        found.append({**value_set(f"d{number}", *includes), "version": "1"})
    return found


def test_each_imported_value_set_is_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []
    segments = Composition.segments

    def counted(self: Composition, value_set: Any) -> Any:
        worked.append(value_set["url"])
        return segments(self, value_set)

    monkeypatch.setattr(Composition, "segments", counted)
    assert codes(*diamonds()) == ["arm", "leg"]
    # Once by its url, and once by url and version.
    assert max(worked.count(url) for url in worked) <= 2


@pytest.mark.parametrize(("code", "result"), [("arm", True), ("chest", False), ("none", False)])
def test_each_imported_value_set_is_checked_once(
    monkeypatch: pytest.MonkeyPatch, code: str, result: bool
) -> None:
    worked: list[str] = []
    check = ValueSetChecker.check

    def counted(self: ValueSetChecker, trial: Any) -> bool | None:
        worked.append(self.value_set["url"])
        return check(self, trial)

    monkeypatch.setattr(ValueSetChecker, "check", counted)
    assert validated(*diamonds(), code=code, system=SITES)["result"] is result
    assert max(worked.count(url) for url in worked) <= 2


def test_an_import_that_is_found_late_is_not_checked_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked: list[str] = []
    check = ValueSetChecker.check

    def counted(self: ValueSetChecker, trial: Any) -> bool | None:
        worked.append(self.value_set["url"])
        return check(self, trial)

    monkeypatch.setattr(ValueSetChecker, "check", counted)
    chain = [value_set(f"c{LEVELS}", listed(SITES, "arm"))]
    for number in reversed(range(LEVELS)):
        imported = {"valueSet": [f"{VALUE_SET}c{number + 1}"]}
        chain.append(value_set(f"c{number}", listed(SITES, "leg"), imported))
    answer = validated(*chain, code="arm", system=SITES)
    assert answer["result"] is True
    assert "issues" not in answer
    assert len(worked) == LEVELS + 1


def test_what_is_excluded_through_many_ways_is_checked_once() -> None:
    last = diamonds()
    outer = value_set("outer", {"system": SITES})
    outer["compose"]["exclude"] = [{"valueSet": [last[-1]["url"]]}]
    assert validated(*last, outer, code="arm", system=SITES)["result"] is False
    assert validated(*last, outer, code="chest", system=SITES)["result"] is True


def test_equal_includes_count_once_and_different_ones_stay_in_order() -> None:
    includes = [listed(SITES, "leg"), listed(SITES, "arm"), listed(SITES, "leg")]
    assert codes(value_set("twice", *includes)) == ["leg", "arm"]


def test_many_includes_of_one_system_hold_each_concept_once() -> None:
    whole = codes(value_set("one", by("concept", "is-a", "trunk")))
    many = [by("concept", "is-a", "trunk") | {"id": str(number)} for number in range(40)]
    several = [*many[:20], listed(SITES, "arm", "heart"), *many[20:]]
    assert sorted(codes(value_set("many", *several))) == sorted([*whole, "arm"])


def test_excludes_take_away_from_every_include() -> None:
    includes = [listed(SITES, code) for code in ("arm", "leg", "heart", "lung", "chest")]
    excluding = value_set("without", *includes)
    excluding["compose"]["exclude"] = [listed(SITES, "leg"), listed(SITES, "lung")]
    assert codes(excluding) == ["arm", "heart", "chest"]


def test_a_request_that_takes_too_long_is_refused() -> None:
    with pytest.raises(LimitError, match="at most 0 seconds") as caught:
        expanded(url="all", limits=Limits(seconds=0))
    assert (caught.value.status, caught.value.issue) == (422, "too-costly")
