"""`_include` and `_revinclude`: what comes with the matches (FHIR R4, 3.1.1.5.7)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.errors import SearchError
from api.indexing import PARAMETERS, Parameter, parameters_of
from api.indexing.paths import elements
from api.indexing.values import target_of
from api.records import Query, Stored
from api.security.actor import current_actor
from api.store import ResourceStore
from api.store.conditions import Coded

Key = tuple[str, str]
_ITERATE: Final = frozenset({"iterate", "recurse"})
# So many resources may come with a page of matches; more are refused, never left out.
MAX_INCLUDED: Final = 10_000
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Include:
    """One rule: what resources of `source` refer to, or, `reverse`, what refers to them.

    Attributes
    ----------
    source
        The type that has the references, "" for any.
    parameters
        The references, none for all of them.
    target
        The type that is referred to, "" for any.
    iterate
        Whether it applies to what was included, too.
    """

    source: str
    parameters: tuple[Parameter, ...]
    target: str
    iterate: bool
    reverse: bool


def include_of(name: str, value: str, kinds: Sequence[str], release: str) -> Include | None:
    """Return the rule of `_include` or `_revinclude`; `None` when it means nothing here.

    Raises
    ------
    SearchError
        It has a modifier that is none.
    """
    base, _, modifier = name.partition(":")
    if modifier and modifier not in _ITERATE:
        raise SearchError(
            name, f"the modifier ':{modifier[:100]}' is not supported here", ":iterate",
            "See metadata.", issue="not-supported",
        )  # fmt: skip
    reverse = base == "_revinclude"
    iterate = bool(modifier)
    if value == "*":
        return Include("", (), "", iterate, reverse)
    parts = value.split(":")
    if len(parts) not in {2, 3} or parts[0] not in PARAMETERS:
        return None
    source, wanted, target = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    known = parameters_of(source, release)
    if not reverse and not iterate and source not in kinds:
        return None
    if wanted == "*":
        return Include(source, (), target, iterate, reverse)
    parameter = known.get(wanted)
    if parameter is None or parameter.type != "reference":
        return None
    if target and target not in parameter.targets:
        return None
    return Include(source, (parameter,), target, iterate, reverse)


def included(
    store: ResourceStore, rules: Sequence[Include], matches: Sequence[Stored], release: str
) -> list[Stored]:
    """Return what the rules add to the matches, each once, and none of the matches.

    Raises
    ------
    SearchError
        They are more than can be sent.
    """
    seen: dict[Key, Stored] = {(one.type, one.id): one for one in matches}
    found: dict[Key, Stored] = {}
    fresh: Sequence[Stored] = matches
    first = True
    actor = current_actor()
    while fresh:
        rules_now = [one for one in rules if first or one.iterate]
        wanted: dict[Key, None] = {}
        added: dict[Key, Stored] = {}
        for rule in rules_now:
            if rule.reverse:
                for one in _referring(store, rule, fresh, release):
                    added[one.type, one.id] = one
            else:
                wanted.update(dict.fromkeys(_referred(rule, fresh, release)))
        missing = [one for one in wanted if one not in seen and one not in added]
        for one in _read(store, missing):
            added[one.type, one.id] = one
        # What a client may not read does not come along, and leads nowhere.
        new = {
            key: one for key, one in added.items() if key not in seen and actor.may("r", one.type)
        }
        seen.update(new)
        found.update(new)
        if len(found) > MAX_INCLUDED:
            raise SearchError(
                "_include", f"more than {MAX_INCLUDED} resources come with this page",
                "fewer", "Ask for a smaller _count, or for less with it.", issue="too-costly",
            )  # fmt: skip
        fresh = list(new.values())
        first = False
    return list(found.values())


def _parameters(rule: Include, kind: str, release: str) -> Iterable[Parameter]:
    if rule.parameters:
        return rule.parameters
    known = parameters_of(kind, release).values()
    return [one for one in dict.fromkeys(known) if one.type == "reference"]


def _referred(rule: Include, resources: Sequence[Stored], release: str) -> Iterator[Key]:
    """Yield types and ids of what resources refer to by a rule."""
    for one in resources:
        if rule.source not in {"", one.type}:
            continue
        content: Mapping[str, Any] = json.loads(one.body)
        for parameter in _parameters(rule, one.type, release):
            for path in parameter.paths:
                for value in elements(content, path):
                    address = value.get("reference") if isinstance(value, Mapping) else None
                    if not isinstance(address, str):
                        continue
                    target = target_of(address)
                    if target.base or not target.type or target.type not in PARAMETERS:
                        continue
                    if parameter.only and target.type not in parameter.targets:
                        continue
                    if rule.target in {"", target.type}:
                        yield target.type, target.id


def _referring(
    store: ResourceStore, rule: Include, resources: Sequence[Stored], release: str
) -> Iterator[Stored]:
    """Yield what refers to resources by a rule."""
    for source in (rule.source,) if rule.source else PARAMETERS:
        for parameter in _parameters(rule, source, release):
            targets = [
                (one.type, one.id)
                for one in resources
                if rule.target in {"", one.type} and one.type in parameter.targets
            ]
            for start in range(0, len(targets), _CHUNK):
                values = tuple(targets[start : start + _CHUNK])
                yield from _all(store, Query(source, where=(Coded(parameter.name, values),)))


def _all(store: ResourceStore, query: Query) -> Iterator[Stored]:
    after = None
    count = 0
    while True:
        page = store.search(query, 1000, after=after)
        yield from page.matches
        count += len(page.matches)
        if not page.has_next or count > MAX_INCLUDED:
            return
        after = page.last


def _read(store: ResourceStore, keys: Iterable[Key]) -> Iterator[Stored]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, resource_id in keys:
        by_kind[kind].append(resource_id)
    for kind, ids in by_kind.items():
        for start in range(0, len(ids), _CHUNK):
            yield from _all(store, Query(kind, ids=tuple(ids[start : start + _CHUNK])))
