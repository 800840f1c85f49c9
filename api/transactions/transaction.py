"""A transaction: all of its entries, or none, in one transaction of the database.

    entries → checked → (conditions resolved → references resolved → DELETE, POST, PUT and PATCH,
    GET) → searches → answers in the order of the entries

What stands in brackets happens inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from api.errors import RequestError
from api.outcome import outcome_of, status_of
from api.records import Query, Stored
from api.rest.dispatch import condition_of, missing, only_match, resource_of
from api.rest.kinds import KINDS, check_writable, new_id
from api.rest.preconditions import check_match
from api.rest.published import PUBLISHED
from api.rest.validation import check_form
from api.security.actor import Actor
from api.store import Transaction
from api.transactions.entries import answered, asked_of, placed
from api.transactions.references import resolved
from api.transactions.requests import Requests
from api.tx.answers import Answer, Asked
from api.tx.resources_store import R4, TYPES
from api.writing import Draft, check_id
from terminology.errors import BodySiteError

Json = dict[str, Any]
# FHIR R4, 3.1.0.11.2: the order in which a transaction is done.
_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2}


@dataclass(frozen=True, slots=True)
class _Step:
    """An entry, checked, with what is known of it before the database is asked.

    Attributes
    ----------
    draft
        What is to be stored.
    condition
        The search that decides on it, of a conditional write.
    resource_id
        Under which id it is, or will be; `None` while a condition decides.
    """

    number: int
    asked: Asked
    full_url: str | None
    head: bool = False
    draft: Draft | None = None
    condition: Query | None = None
    resource_id: str | None = None

    @property
    def kind(self) -> str:
        return self.asked.path[0]

    @property
    def writes(self) -> bool:
        return (
            self.asked.method in _ORDER
            and self.asked.path[-1] != "_search"
            and (self.kind in KINDS)
        )

    @property
    def is_read(self) -> bool:
        """Whether it reads one resource, so that it sees what the transaction has written."""
        path = self.asked.path
        return self.kind in KINDS and (
            len(path) == 4 or (len(path) == 2 and not path[1].startswith(("_", "$")))
        )


class Transactions:
    """Does transactions."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._resources = requests.resources
        self._writing = requests.resources.writing

    def answers(self, entries: Sequence[Any], bundle: Asked, who: Actor) -> list[Json]:
        """Return the answers of all entries, in their order.

        Raises
        ------
        BodySiteError
            An entry cannot be done; the error names it. Nothing was stored.
        """
        steps = [self._step(number, entry, bundle, who) for number, entry in enumerate(entries)]
        _check_full_urls(steps)
        # What fails is to fail before anything is stored: searches are asked twice.
        later = [one for one in steps if not one.writes and not one.is_read]
        for step in later:
            with _of(step.number):
                self._requests.answer(step.asked, who)
        found = self._writing.run(lambda tx: self._done(tx, steps, who))
        for step in later:
            with _of(step.number):
                found[step.number] = self._requests.answer(step.asked, who)
        return [answered(found[one.number], head=one.head) for one in steps]

    # -- ahead of the database ---------------------------------------------------------------

    def _step(self, number: int, entry: Any, bundle: Asked, who: Actor) -> _Step:
        with _of(number):
            asked = asked_of(entry, bundle)
            head = asked.method == "HEAD"
            if head:
                asked = replace(asked, method="GET")
            url = entry.get("fullUrl")
            step = _Step(number, asked, url if isinstance(url, str) else None, head)
            self._requests.check(asked, who)
            self._check_kind(asked)
            return self._drafted(step) if step.writes else step

    def _check_kind(self, asked: Asked) -> None:
        """Refuse what could not be undone with the others."""
        if self._requests.is_terminology(asked):
            operation = self._requests.terminology.operation(asked.path)
            if (operation is None and asked.method != "GET") or (
                operation is not None and operation.changes
            ):
                raise _no_part(f"{asked.method} of {' or '.join(TYPES)}, and $closure")
            return
        if asked.path[0] not in KINDS and asked.path[0] not in PUBLISHED:
            if asked.path != ("_history",):
                raise _no_part("an operation")
        elif any(part.startswith("$") for part in asked.path):
            raise _no_part("an operation")
        self._resources.check_method(asked)

    def _drafted(self, step: _Step) -> _Step:
        """Return a write with what it is to store, checked, and the search that decides on it."""
        asked, kind = step.asked, step.kind
        check_writable(kind)
        conditional = len(asked.path) == 1 and asked.method != "POST"
        if asked.method == "DELETE" or asked.method == "PATCH":
            if conditional:
                condition = self._writing.condition(kind, asked.query, asked.release)
                return replace(step, condition=condition)
            return replace(step, resource_id=asked.path[1])
        content = resource_of(asked, kind)
        if not conditional and asked.method == "PUT":
            check_id(kind, asked.path[1], content)
            draft = self._writing.draft(kind, content, asked.release)
            return replace(step, draft=draft, resource_id=asked.path[1])
        draft = self._writing.draft(kind, content, asked.release)
        if asked.method == "PUT":
            condition = self._writing.condition(kind, asked.query, asked.release)
            return replace(step, draft=draft, condition=condition)
        text = asked.headers.get("if-none-exist")
        if text is None:
            return replace(step, draft=draft, resource_id=new_id())
        pairs = condition_of(text, kind)
        condition = self._writing.condition(kind, pairs, asked.release)
        return replace(step, draft=draft, condition=condition)

    # -- inside ------------------------------------------------------------------------------

    def _done(self, tx: Transaction, steps: Sequence[_Step], who: Actor) -> dict[int, Answer]:
        """Do the writes, then the reads; return the answers by number."""
        matches = self._matches(tx, steps)
        targets = {one.number: _target(one, matches.get(one.number)) for one in steps if one.writes}
        _check_overlap(steps, targets)
        known = _known(steps, targets)
        find = self._finder(tx, steps)
        # All conditions are looked at before anything is changed.
        linked = [self._linked(one, known, find) for one in steps if one.writes]
        found: dict[int, Answer] = {}
        for step in sorted(linked, key=lambda one: _ORDER[one.asked.method]):
            with _of(step.number):
                target, match = targets[step.number], matches.get(step.number)
                found[step.number] = self._write(tx, step, target, match, who)
        for step in steps:
            if not step.writes and step.is_read:
                with _of(step.number):
                    found[step.number] = self._resources.answer(step.asked, who, tx)
        return found

    def _matches(self, tx: Transaction, steps: Sequence[_Step]) -> dict[int, Stored]:
        """Return what meets each condition, before anything is changed."""
        found = {}
        for step in steps:
            if step.condition is None:
                continue
            with _of(step.number):
                match = only_match(tx.matching(step.condition, 2), step.kind)
                if match is not None:
                    found[step.number] = match
        return found

    def _finder(
        self, tx: Transaction, steps: Sequence[_Step]
    ) -> Callable[[str, list[tuple[str, str]]], str]:
        """Return what finds the one resource that a conditional reference means.

        What an entry of the transaction deletes is still found; what one creates is not yet.
        """
        release = steps[0].asked.release if steps else R4
        before: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}

        def find(kind: str, pairs: list[tuple[str, str]]) -> str:
            key = (kind, tuple(pairs))
            if key not in before:
                if kind not in KINDS:
                    raise _no_match(kind)
                query = self._writing.condition(kind, pairs, release)
                match = only_match(tx.matching(query, 2), kind)
                if match is None:
                    raise _no_match(kind)
                before[key] = f"{match.type}/{match.id}"
            return before[key]

        return find

    @staticmethod
    def _linked(
        step: _Step,
        known: Mapping[str, str],
        find: Callable[[str, list[tuple[str, str]]], str],
    ) -> _Step:
        """Return a write with its references leading to what is stored."""
        if step.draft is None:
            return step
        with _of(step.number):
            content = resolved(step.draft.content, known, find)
            if content != step.draft.content:
                # What a reference leads to is known only now.
                check_form(content, R4)
        return replace(step, draft=Draft(step.draft.kind, content))

    def _write(
        self, tx: Transaction, step: _Step, target: str | None, match: Stored | None, who: Actor
    ) -> Answer:
        asked, kind = step.asked, step.kind
        if_match = asked.headers.get("if-match")
        if asked.method == "DELETE":
            if target is None:
                check_match(None, if_match)
                return Answer(None, 204)
            return self._resources.answer(replace(asked, path=(kind, target), query=()), who, tx)
        if asked.method == "PATCH":
            if target is None:
                raise missing(kind, "")
            return self._resources.answer(replace(asked, path=(kind, target), query=()), who, tx)
        assert step.draft is not None  # noqa: S101
        if asked.method == "PUT":
            if step.condition is not None:
                if match is None and target is not None and "id" not in step.draft.content:
                    check_match(None, if_match)
                    change = self._writing.add(tx, step.draft, who, target)
                else:
                    change = self._resources.upsert(tx, step.draft, match, if_match, who)
                return self._resources.answer_of(asked, change)
            none_match = asked.headers.get("if-none-match")
            change = self._writing.replace(
                tx, step.draft, step.asked.path[1], who, if_match, none_match
            )
            return self._resources.answer_of(asked, change)
        if match is not None:
            return self._resources.answer_of_match(asked, match)
        return self._resources.answer_of(asked, self._writing.add(tx, step.draft, who, target))


def _target(step: _Step, match: Stored | None) -> str | None:
    """Return the id that a write is about; `None` where its condition finds nothing to change."""
    if step.resource_id is not None:
        return step.resource_id
    if match is not None:
        return match.id
    if step.draft is None:
        return None
    return (step.asked.method == "PUT" and step.draft.content.get("id")) or new_id()


def _known(steps: Sequence[_Step], targets: Mapping[int, str | None]) -> dict[str, str]:
    """Return the `fullUrl` of each entry that stores something → its address."""
    known = {}
    for step in steps:
        target = targets.get(step.number)
        if step.full_url is None or target is None or step.asked.method == "DELETE":
            continue
        known[step.full_url] = f"{step.kind}/{target}"
        head, _, relative = step.full_url.rpartition(f"/{step.kind}/")
        if head.startswith(("http://", "https://")) and step.asked.method == "POST" and relative:
            known[f"{step.kind}/{relative}"] = f"{step.kind}/{target}"
    return known


def _check_full_urls(steps: Sequence[_Step]) -> None:
    """Refuse entries with the same `fullUrl` (FHIR R4, 2.36: bdl-7)."""
    seen: set[str] = set()
    for step in steps:
        if step.full_url is None or not step.writes:
            continue
        if step.full_url in seen:
            raise _twice(step.number, "its fullUrl stands at an entry ahead of it")
        seen.add(step.full_url)


def _check_overlap(steps: Sequence[_Step], targets: Mapping[int, str | None]) -> None:
    """Refuse to change one resource twice, conditions resolved (FHIR R4, 3.1.0.11.2)."""
    seen: set[tuple[str, str]] = set()
    conditions: list[tuple[str, str]] = []
    for step in steps:
        target = targets.get(step.number)
        if target is None:
            continue
        text = step.asked.headers.get("if-none-exist")
        if step.asked.method == "POST" and text is not None:
            if (step.kind, text) in conditions:
                raise _twice(step.number, "an entry ahead of it has the same ifNoneExist")
            conditions.append((step.kind, text))
            continue
        if (step.kind, target) in seen:
            raise _twice(step.number, "an entry ahead of it changes the same resource")
        seen.add((step.kind, target))


@contextmanager
def _of(number: int) -> Iterator[None]:
    """Say of an error which entry it is of."""
    try:
        yield
    except BodySiteError as error:
        issue = outcome_of(error)["issue"][0]["code"]
        raise placed(number, error, status_of(error), issue) from error


def _twice(number: int, what: str) -> RequestError:
    return RequestError(
        f"Bundle.entry[{number}]",
        what,
        "each resource once",
        "Leave one of them out, or send a batch.",
        issue="invalid",
    )


def _no_part(what: str) -> RequestError:
    return RequestError(
        "Bundle.entry.request",
        f"{what} cannot be part of a transaction: it could not be undone with the others",
        "reads, searches, terminology that only asks, and writes of resources",
        "Send it by itself, or in a batch.",
        issue="not-supported",
    )


def _no_match(kind: str) -> RequestError:
    return RequestError(
        "reference",
        f"no {kind[:64]} meets the condition of the reference",
        "one resource",
        "Correct the condition, or create the resource ahead.",
        status=412,
        issue="not-found",
    )
