"""What the service asks of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import sqlalchemy as sa

from api.records import HistoryPage, Page, Position, Query, Resource, Stored
from api.store.history import Cursor
from api.store.query import Total
from api.store.transaction import Build, StudyUpdate, Transaction

Result = TypeVar("Result")


class ResourceStore(Protocol):
    """What the service asks of a store."""

    @property
    def engine(self) -> sa.Engine:
        """The engine of the database, for tables that the store does not look after."""

    @property
    def writing(self) -> AbstractContextManager[object]:
        """What writers of this process wait for; of a database with several writers, nothing."""

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""

    def bind_policy(self, policy: str) -> None:
        """Take the PHI policy for good; `RequestError` when the store has another one."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Return a transaction: all of it is stored when the block ends, or nothing of it."""

    def run(self, work: Callable[[Transaction], Result]) -> Result:
        """Do `work` in a transaction, once more where another one was in its way."""

    def read(self, kind: str, resource_id: str) -> Stored | None:
        """Return the resource, a deleted one included, or `None`."""

    def read_version(self, kind: str, resource_id: str, version_id: int) -> Stored | None:
        """Return a version of a resource, a deletion included, or `None`."""

    def history(
        self,
        kind: str | None = None,
        resource_id: str | None = None,
        count: int = 100,
        *,
        since: int | None = None,
        at: tuple[int | None, int | None] | None = None,
        before: Cursor | None = None,
    ) -> HistoryPage:
        """Return versions, the newest first."""

    def put(self, resources: Sequence[Resource], study_id: str | None = None) -> list[Stored]:
        """Store resources in one transaction; what has not changed keeps its version."""

    def update_study(
        self, study_id: str, instances: Mapping[str, str], build: Build
    ) -> list[Stored]:
        """Merge instance annotations into a study and rebuild its resources in one transaction."""

    def update_studies(self, updates: Iterable[StudyUpdate]) -> list[list[Stored]]:
        """Update studies as `update_study` does, each of them wholly or not at all."""

    def rebuild_study(self, study_id: str, build: Build) -> list[Stored]:
        """Build the resources of a study again from the annotations that it has."""

    def codes_in_use(self, kind: str, param: str, system: str) -> Mapping[str, int]:
        """Return the codes of a system in use under a parameter, each with its key."""

    def find_values(
        self, kind: str, param: str, *, system: str | None, code: str | None
    ) -> tuple[int, ...]:
        """Return the values in use that match; `None` matches any system or any code."""

    def values_in_use(self, kind: str, param: str) -> Mapping[tuple[str, str], int]:
        """Return every system and code in use under a parameter, each with its key."""

    def search(
        self,
        query: Query,
        count: int,
        *,
        after: int | Position | None = None,
        before: int | Position | None = None,
        total: Total = "known",
    ) -> Page:
        """Return one page of matches behind `after`, or the last ones ahead of `before`."""

    def count(self, query: Query) -> int:
        """Return how many resources match."""
