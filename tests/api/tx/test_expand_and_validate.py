"""$expand and $validate-code say the same of the same value set, by different ways."""

from __future__ import annotations

import random
from typing import Any

import pytest

from api.tx.context import StaticRegistry, TxContext
from api.tx.expand import expand
from api.tx.validate import validate_value_set_code
from tests.api.tx.sites import BASE, SITES, VALUE_SET, VIEWS, by, listed, request, value_set

CODES = {
    SITES: ["trunk", "chest", "heart", "lung", "belly", "limb", "arm", "leg"],
    VIEWS: ["PA", "LAT", "arm"],
}
FILTERS = [
    ("concept", "is-a", "trunk"),
    ("concept", "is-not-a", "chest"),
    ("concept", "descendent-of", "limb"),
    ("side", "=", "paired"),
    ("side", "exists", "false"),
    ("code", "regex", ".*e.*"),
]


def include(chance: random.Random, depth: int) -> dict[str, Any]:
    """Return an include or exclude that imports value sets of a lower depth."""
    found: dict[str, Any] = {}
    if chance.random() < 0.8 or depth == 0:
        system = chance.choice((SITES, SITES, VIEWS))
        match chance.randrange(3):
            case 0:
                found = {"system": system}
            case 1:
                found = listed(system, *chance.sample(CODES[system], 2))
            case _:
                found = by(*chance.choice(FILTERS))
                if chance.random() < 0.3:
                    found["filter"] += by(*chance.choice(FILTERS))["filter"]
    if depth and (not found or chance.random() < 0.4):
        names = [f"{VALUE_SET}r{depth - 1}-{chance.randrange(3)}" for _ in range(2)]
        found["valueSet"] = names[: chance.randint(1, 2)]
    return found


def value_sets(chance: random.Random) -> list[dict[str, Any]]:
    """Return value sets in three layers, each of which imports the one below."""
    return [
        value_set(
            f"r{depth}-{number}",
            *(include(chance, depth) for _ in range(chance.randint(1, 3))),
            exclude=[include(chance, depth) for _ in range(chance.choice((0, 0, 1, 2)))],
            compose={"inactive": chance.random() < 0.7},
        )
        for depth in range(3)
        for number in range(3)
    ]


def members(registry: StaticRegistry, url: str) -> set[tuple[str, str]]:
    """Return system and code of what an expansion lists."""
    asked = request(url=url, excludeNested=True)
    expansion = expand(asked, TxContext.of(registry, asked))["expansion"]
    found = [(entry["system"], entry["code"]) for entry in expansion.get("contains", ())]
    assert len(found) == len(set(found)) == expansion["total"]
    return set(found)


def is_member(registry: StaticRegistry, url: str, system: str, code: str) -> bool:
    """Return what a validation says."""
    asked = request(url=url, coding={"system": system, "code": code})
    answer = validate_value_set_code(asked, TxContext.of(registry, asked))["parameter"]
    return next(p["valueBoolean"] for p in answer if p["name"] == "result")


@pytest.mark.parametrize("seed", range(25))
def test_what_is_listed_is_what_validates(seed: int) -> None:
    made = value_sets(random.Random(seed))  # noqa: S311
    registry = StaticRegistry(resources=[*BASE, *made])
    for resource in made:
        listed_codes = members(registry, resource["url"])
        valid = {
            (system, code)
            for system, known in CODES.items()
            for code in known
            if is_member(registry, resource["url"], system, code)
        }
        assert valid == listed_codes, resource["compose"]
