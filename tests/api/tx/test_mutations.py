"""Requests that are broken at random are answered or refused, and never fail otherwise."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.tx.batch_validate import batch_validate
from api.tx.context import StaticRegistry, TxContext
from api.tx.expand import expand
from api.tx.validate import validate_code_system_code, validate_value_set_code
from terminology.errors import BodySiteError
from tests.api.tx.sites import BASE, NOTES, SITES, VIEWS, by, imports, listed, request, value_set

Json = dict[str, Any]
ASKED = value_set(
    "asked",
    {**by("concept", "is-a", "trunk"), **imports("all")},
    listed(VIEWS, "PA"),
    exclude=[listed(SITES, "belly"), imports("paired")],
)
CODING = {"system": SITES, "code": "heart", "display": "Herz", "version": "1.0.0"}
BROUGHT = [{"name": "tx-resource", "resource": resource} for resource in BASE]
OPERATIONS: dict[str, tuple[Callable[[Json, TxContext], Json], Json]] = {
    "expand": (
        expand,
        request(valueSet=ASKED, count=3, filter="h", useSupplement=NOTES, property="side"),
    ),
    "validate": (validate_value_set_code, request(valueSet=ASKED, coding=CODING)),
    "concept": (
        validate_value_set_code,
        request(valueSet=ASKED, codeableConcept={"coding": [CODING, {"code": "ear"}]}),
    ),
    "system": (validate_code_system_code, request(url=SITES, code="arm", display="Leg")),
    "batch": (batch_validate, request(validation=[request(coding=CODING)], url=ASKED["url"])),
}
JUNK = [None, 0, -1, 1.5, True, "", "x", "a|b|c", [], {}, [{}], [[]], ["a"], {"a": 1}, "\0", "*"]


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything inside `node`."""
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def broken(body: Json, chance: random.Random) -> Json:
    """Return a copy of `body` with something lost, doubled or replaced."""
    found = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 2, 4))):
        path = chance.choice(list(places(found)))
        node: Any = found
        for key in path[:-1]:
            node = node[key]
        match chance.randrange(5):
            case 0:
                del node[path[-1]]
            case 1 if isinstance(node, list):
                node.append(copy.deepcopy(node[path[-1]]))
            case _:
                node[path[-1]] = copy.deepcopy(chance.choice(JUNK))
        if not found:
            return found
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_broken_request_is_answered_or_refused(name: str) -> None:
    operation, asked = OPERATIONS[name]
    whole = {**asked, "parameter": [*asked["parameter"], *BROUGHT]}
    chance = random.Random(name)  # noqa: S311
    answered = refused = 0
    for _ in range(150):
        body = broken(whole, chance)
        try:
            answer = operation(body, TxContext.of(StaticRegistry(), body))
        except BodySiteError:
            refused += 1
        else:
            json.dumps(answer)
            answered += 1
    assert answered > 20
    assert refused > 5
