"""Every write of a client goes through here: checks, the form of the store, index, review.

    content of R4 or R5 → valid in that release → R4 as the store has it → what review makes of it
    → indexed → stored → what review makes of the study

All of it in one database transaction: the caller's, or one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from api.errors import RequestError
from api.indexing import indexed
from api.phi import PhiGuard
from api.records import PERSON, Query, Stored
from api.rendering import taken_in
from api.rest.conditions import as_stored
from api.rest.kinds import check_writable, is_id, new_id
from api.rest.preconditions import check_match
from api.rest.validation import validated
from api.search import Searcher
from api.security.actor import Actor
from api.security.admission import admitted
from api.store import ResourceStore, Transaction
from api.tx.resources_store import R4
from terminology.graph import BodyStructureGraph

Json = dict[str, Any]
Result = TypeVar("Result")
_STAMP: Final = frozenset({"versionId", "_versionId", "lastUpdated", "_lastUpdated"})


@dataclass(frozen=True, slots=True)
class Change:
    """A write of a client, with what was there.

    Attributes
    ----------
    before
        What was there; `None` where there was nothing, not even a deleted resource.
    after
        What is there now; `deleted` where it was a deletion.
    """

    before: Stored | None
    after: Stored
    who: Actor

    @property
    def created(self) -> bool:
        """Whether nothing was there, or only what had been deleted."""
        return not self.after.deleted and (self.before is None or self.before.deleted)

    @property
    def changed(self) -> bool:
        """Whether a new version came of it: what has not changed keeps its version."""
        return self.before is None or self.before.version_id != self.after.version_id


class Prepared(Protocol):
    """What a write became before it is stored."""

    @property
    def content(self) -> Json:
        """The resource in its R4 form."""

    @property
    def study_id(self) -> str | None:
        """The study that it belongs to."""


class Reviewer(Protocol):
    """Who follows the writes of persons, in their transaction; what it raises undoes the write."""

    def prepare(
        self, tx: Transaction, kind: str, content: Json, before: Stored | None, who: Actor
    ) -> Prepared:
        """Return what is to be stored of a valid resource in its R4 form."""

    def follow(self, tx: Transaction, before: Stored | None, after: Stored, who: Actor) -> None:
        """Follow a change: `after` is what there is now, a deletion included."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that was checked, in the form of the store, not yet stored."""

    kind: str
    content: Json


class Writing:
    """Creates, updates and deletes resources for clients.

    Parameters
    ----------
    store
        Where they live.
    searcher
        Reads the conditions of conditional writes.
    graph
        The body structures that codes are indexed by.
    review
        Follows what persons write; without one, nothing does.
    guard
        The PHI policy; without one, everything is stored as it is sent.
    """

    def __init__(
        self,
        store: ResourceStore,
        searcher: Searcher,
        graph: BodyStructureGraph,
        review: Reviewer | None = None,
        guard: PhiGuard | None = None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._searcher = searcher
        self._graph = graph
        self._review = review

    def draft(self, kind: str, content: Json, release: str = R4) -> Draft:
        """Return a resource of a client in the form of the store.

        Raises
        ------
        InvalidResourceError
            422: not valid in `release`, or what R4 has no place for.
        """
        check_writable(kind)
        validated(content, release)
        if release != R4:
            content = validated(taken_in(content, kind, release), R4)
        return Draft(kind, _without_stamp(content))

    def create(
        self,
        kind: str,
        content: Json,
        *,
        who: Actor,
        release: str = R4,
        tx: Transaction | None = None,
        resource_id: str | None = None,
        study_id: str | None = None,
    ) -> Change:
        """Store a new resource under an id of the server, or `resource_id`.

        Parameters
        ----------
        study_id
            The study that it belongs to, where it does.

        Raises
        ------
        InvalidResourceError
            The resource is not valid.
        RequestError
            409: `resource_id` is taken.
        """
        draft = self.draft(kind, content, release)
        return self._in(tx, lambda inner: self.add(inner, draft, who, resource_id, study_id))

    def update(
        self,
        kind: str,
        resource_id: str,
        content: Json,
        *,
        who: Actor,
        release: str = R4,
        if_match: str | None = None,
        if_none_match: str | None = None,
        tx: Transaction | None = None,
    ) -> Change:
        """Store a resource under an id of the client: a new one, or another version.

        Raises
        ------
        InvalidResourceError
            The resource is not valid.
        RequestError
            400: no id, or another one in the resource; 412: `if_match` names another version.
        """
        check_id(kind, resource_id, content)
        draft = self.draft(kind, content, release)
        return self._in(
            tx, lambda inner: self.replace(inner, draft, resource_id, who, if_match, if_none_match)
        )

    def delete(
        self,
        kind: str,
        resource_id: str,
        *,
        who: Actor,
        if_match: str | None = None,
        tx: Transaction | None = None,
    ) -> Change | None:
        """Delete a resource; `None` when there is none, or none any more."""
        check_writable(kind)
        return self._in(tx, lambda inner: self.remove(inner, kind, resource_id, who, if_match))

    def condition(self, kind: str, parameters: Sequence[tuple[str, str]], release: str) -> Query:
        """Return the search of a conditional write.

        Raises
        ------
        RequestError
            400: without a criterion, everything would match; an unknown one is not left out.
        """
        if not parameters:
            raise RequestError(
                kind,
                "the condition names nothing, so that every resource would match",
                f"{kind}?identifier=system|value, or another search parameter",
                "Say which resource is meant.",
                status=412,
                issue="multiple-matches",
            )
        stored = as_stored(self._guard, kind, parameters)
        return self._searcher.query_of(kind, stored, release=release)

    # -- inside a transaction ----------------------------------------------------------------

    def add(
        self,
        tx: Transaction,
        draft: Draft,
        who: Actor,
        resource_id: str | None = None,
        study_id: str | None = None,
    ) -> Change:
        """Store a draft as a new resource."""
        chosen = resource_id or new_id()
        before = tx.read(draft.kind, chosen) if resource_id else None
        return self._put(tx, draft, chosen, who, before, study_id=study_id, create_only=True)

    def replace(
        self,
        tx: Transaction,
        draft: Draft,
        resource_id: str,
        who: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Change:
        """Store a draft under an id."""
        before = tx.read(draft.kind, resource_id)
        check_match(before, if_match, if_none_match)
        if before is None or before.deleted:
            who.require("c", draft.kind)
        # Between the read and the write another client may be as fast (PostgreSQL).
        expected = before.version_id if if_match is not None and before is not None else None
        return self._put(tx, draft, resource_id, who, before, expected_version=expected)

    def _put(
        self,
        tx: Transaction,
        draft: Draft,
        resource_id: str,
        who: Actor,
        before: Stored | None,
        *,
        study_id: str | None = None,
        expected_version: int | None = None,
        create_only: bool = False,
    ) -> Change:
        kind, content = draft.kind, {**draft.content, "id": resource_id}
        if self._guard is not None:
            live = before is not None and not before.deleted
            previous = json.loads(before.body) if before is not None and live else None
            passed = admitted(self._guard, content, previous)
            if passed != content:
                content = validated(passed, R4)
        if self._review is not None:
            prepared = self._review.prepare(tx, kind, content, before, who)
            if prepared.content != content:
                content = validated(prepared.content, R4)
            study_id = prepared.study_id or study_id
        stored = tx.put(
            indexed(kind, content, graph=self._graph, origin=PERSON),
            study_id,
            expected_version=expected_version,
            create_only=create_only,
        )
        return self._follow(tx, Change(before, stored, who))

    def remove(
        self,
        tx: Transaction,
        kind: str,
        resource_id: str,
        who: Actor,
        if_match: str | None = None,
    ) -> Change | None:
        """Delete what is under an id."""
        before = tx.read(kind, resource_id)
        if before is None or before.deleted:
            check_match(None, if_match)
            return None
        check_match(before, if_match)
        expected = before.version_id if if_match is not None else None
        stored = tx.delete(kind, resource_id, expected)
        return None if stored is None else self._follow(tx, Change(before, stored, who))

    def run(self, work: Callable[[Transaction], Result]) -> Result:
        """Return what `work` returns, in a transaction of its own.

        On PostgreSQL it is tried again when another client was faster.
        """
        return self._store.run(work)

    def _in(self, tx: Transaction | None, work: Callable[[Transaction], Result]) -> Result:
        return work(tx) if tx is not None else self.run(work)

    def _follow(self, tx: Transaction, change: Change) -> Change:
        if self._review is not None and change.changed:
            self._review.follow(tx, change.before, change.after, change.who)
            # What follows may have said more of the same resource.
            latest = tx.read(change.after.type, change.after.id)
            return change if latest is None else replace(change, after=latest)
        return change


def _without_stamp(content: Json) -> Json:
    """Return a resource without what the store says of its version, so that equals are equal."""
    if "meta" not in content:
        return content
    kept = {k: v for k, v in content["meta"].items() if k not in _STAMP}
    rest = {name: value for name, value in content.items() if name != "meta"}
    return {**rest, "meta": kept} if kept else rest


def check_id(kind: str, resource_id: str, content: Json) -> None:
    """Refuse, with 400, an id that is none, or is not the one in the resource.

    FHIR R4, 3.1.0.4: an update has the id in the address and in the resource.
    """
    if not is_id(resource_id):
        raise RequestError(
            f"{kind}/id",
            "the id of the address is no logical id",
            "1 to 64 of A-Z, a-z, 0-9, '-' and '.'",
            "Choose another id.",
            issue="value",
        )
    if content.get("id") != resource_id:
        raise RequestError(
            f"{kind}.id",
            "it is not the id of the address",
            "the same id in both",
            "Put the id of the address into the resource.",
            issue="value",
        )
