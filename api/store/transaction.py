"""One transaction: resources, their versions and index rows, and the annotations of studies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.errors import RequestError
from api.records import MACHINE, PERSON, Origin, Query, Resource, Stored, Token
from api.rest.content import dump
from api.store import query as _query
from api.store.history import read_version
from api.store.indexes import Indexes, ValueIds, index_of
from api.store.rows import STORED_COLUMNS, instant, moment, now, stored_of
from api.store.schema import instance as _instance
from api.store.schema import resource as _resource
from api.store.schema import setting as _setting
from api.store.schema import study as _study
from api.store.schema import version as _version

# All annotations of a study, ordered by UID, and what persons said of it → its resources.
Build = Callable[[Sequence[str], Sequence[Stored]], Sequence[Resource]]


@dataclass(frozen=True, slots=True)
class StudyUpdate:
    """Annotations that come to a study.

    Attributes
    ----------
    study_id
        The logical id of the study.
    instances
        SOP Instance UID → annotation as JSON; an instance seen before is replaced.
    build
        All annotations of the study, ordered by UID, and the resources of it that persons own
        → the resources of the study.
    """

    study_id: str
    instances: Mapping[str, str]
    build: Build


_OWN_META: Final = frozenset({"versionId", "lastUpdated"})
_NOT_DIGESTED: Final = frozenset({"resourceType", "id", "meta"})
_ROW: Final = sa.select(*STORED_COLUMNS, _resource.c.study_id, _resource.c.digest)
_ROW_BY_ID: Final = _ROW.where(
    _resource.c.type == sa.bindparam("kind"), _resource.c.id == sa.bindparam("resource_id")
)
# PostgreSQL has several writers at a time: the second one waits here and sees what the first did.
_LOCKED_ROW: Final = _ROW_BY_ID.with_for_update()
_STUDY_OF: Final = sa.select(_resource.c.study_id).where(
    _resource.c.type == sa.bindparam("kind"), _resource.c.id == sa.bindparam("resource_id")
)
_ROWS_OF_STUDIES: Final = _ROW.where(
    _resource.c.study_id.in_(sa.bindparam("studies", expanding=True))
).order_by(_resource.c.rid)
_INSTANCES: Final = sa.select(
    _instance.c.study_id, _instance.c.sop_instance_uid, _instance.c.body
).where(_instance.c.study_id.in_(sa.bindparam("studies", expanding=True)))
_LOCK_STUDY: Final = sa.select(_study).where(_study.c.id == sa.bindparam("study")).with_for_update()
_KEEP: Final = sa.insert(_version)
_UPDATE: Final = (
    sa.update(_resource)
    .where(_resource.c.rid == sa.bindparam("of_rid"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in (
                "study_id",
                "version_id",
                "last_updated",
                "deleted",
                "digest",
                "body",
                "origin",
                "method",
            )
        }
    )
)


class _Statements:
    """Statements that SQLAlchemy spells by dialect: INSERT with ON CONFLICT."""

    def __init__(self, insert: Any) -> None:
        self.study = insert(_study).on_conflict_do_nothing().returning(_study.c.id)
        self.setting = insert(_setting).on_conflict_do_nothing()
        self.resource = insert(_resource).on_conflict_do_nothing().returning(_resource.c.rid)
        self.resources = self.resource.returning(_resource.c.type, _resource.c.id)
        instance = insert(_instance)
        self.instance = instance.on_conflict_do_update(
            index_elements=["study_id", "sop_instance_uid"],
            set_={"body": instance.excluded.body},
        )


_BY_DIALECT: Final = {
    "sqlite": _Statements(sqlite.insert),
    "postgresql": _Statements(postgresql.insert),
}


class VersionConflictError(RequestError):
    """A change to another version of a resource than the client knows.

    `actual` is the version that is there, `None` where there is no such resource.
    """

    def __init__(self, kind: str, resource_id: str, expected: int | None, actual: int | None):
        there = "it is not there" if actual is None else f"its version is {actual}"
        super().__init__(
            f"{kind}/{resource_id}",
            there,
            "that it is not there" if expected is None else f"version {expected}",
            "Read the resource again, and change what is there now.",
            # FHIR R4, 3.1.0.5: a version that does not match is 412.
            status=409 if expected is None else 412,
            issue="conflict",
        )
        self.actual = actual


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes of a row: the columns that a change sets."""

    study_id: str | None
    version_id: int
    last_updated: int
    deleted: bool
    digest: str
    body: str
    origin: Origin
    method: str

    def columns(self, prefix: str = "") -> dict[str, Any]:
        return {f"{prefix}{name}": getattr(self, name) for name in self.__slots__}

    def stored(self, kind: str, resource_id: str, rid: int) -> Stored:
        """Return what there is of a resource after the change."""
        return Stored(
            kind,
            resource_id,
            self.version_id,
            moment(self.last_updated),
            self.body,
            self.deleted,
            rid,
            self.origin,
            self.method,
        )


# Type and id → what there is of a resource.
_Keyed = dict[tuple[str, str], Stored]
_Shared = dict[tuple[str, str], tuple[Resource, Stored]]


class _Study:
    """A study whose resources are to be put: its rows, and what is built of its annotations."""

    def __init__(
        self,
        study_id: str,
        rows: Mapping[tuple[str, str], Any],
        build: Build,
        instances: Mapping[str, str],
    ) -> None:
        self.id: Final = study_id
        self.rows: Final = rows
        self.owned: Final = {
            key: stored_of(row)
            for key, row in rows.items()
            if row.origin == PERSON and not row.deleted
        }
        self.built: Final = build(list(instances.values()), list(self.owned.values()))


class Transaction:
    """Reads and writes over one connection, inside a transaction that its maker begins and ends.

    Parameters
    ----------
    connection
        Connection of the transaction.
    known
        Keys of token values that are committed.
    """

    def __init__(self, connection: sa.Connection, known: Mapping[tuple[str, Token], int]) -> None:
        self.connection: Final = connection
        self._statements = _BY_DIALECT[connection.dialect.name]
        self._indexes = Indexes(connection, known)
        self._now = now()

    @property
    def value_ids(self) -> ValueIds:
        """Keys of token values that this transaction met; others may use them once it is over."""
        return self._indexes.met

    def finish(self) -> None:
        """Write what waits to be written; to be called ahead of the commit."""
        self._indexes.flush()

    def set_once(self, name: str, value: str) -> str:
        """Return the setting `name`, which is `value` unless it was set before."""
        self.connection.execute(self._statements.setting, {"name": name, "value": value})
        found = sa.select(_setting.c.value).where(_setting.c.name == name)
        return str(self.connection.scalar(found))

    def set(self, name: str, value: str | None) -> None:
        """Keep a setting under a name, or forget it."""
        self.connection.execute(sa.delete(_setting).where(_setting.c.name == name))
        if value is not None:
            self.connection.execute(sa.insert(_setting).values(name=name, value=value))

    # -- resources ----------------------------------------------------------------------------

    def read(self, kind: str, resource_id: str) -> Stored | None:
        """Return the resource, a deleted one included, or `None`."""
        row = self._row(kind, resource_id)
        return None if row is None else stored_of(row)

    def read_version(self, kind: str, resource_id: str, version_id: int) -> Stored | None:
        """Return a version of a resource, a deletion included, or `None`."""
        return read_version(self.connection, kind, resource_id, version_id)

    def study_of(self, kind: str, resource_id: str) -> str | None:
        """Return the id of the study that a resource belongs to, or `None`."""
        key = {"kind": kind, "resource_id": resource_id}
        found: str | None = self.connection.scalar(_STUDY_OF, key)
        return found

    def matching(self, query: Query, limit: int) -> list[Stored]:
        """Return the first `limit` matches of a search, what this transaction wrote included."""
        self._indexes.flush()
        return _query.matching(self.connection, query, limit)

    def put(
        self,
        resource: Resource,
        study_id: str | None = None,
        *,
        expected_version: int | None = None,
        create_only: bool = False,
    ) -> Stored:
        """Store a resource; one that has not changed keeps its version.

        Parameters
        ----------
        study_id
            The study that the resource belongs to; without one, it stays where it was.
        expected_version
            The version that the change is made to.
        create_only
            There must be no such resource yet; its first version is then a POST.

        Raises
        ------
        VersionConflictError
            Another version is there, or there is one at all.
        """
        row = self._locked(resource.type, resource.id)
        live = row is not None and not row.deleted
        if expected_version is not None and not (live and row.version_id == expected_version):
            actual = row.version_id if live else None
            raise VersionConflictError(resource.type, resource.id, expected_version, actual)
        if create_only and live:
            raise VersionConflictError(resource.type, resource.id, None, row.version_id)
        return self._put(resource, study_id, row, "POST" if create_only else "PUT")

    def create(self, resources: Sequence[Resource]) -> None:
        """Store resources that nobody has stored before, all with a few statements.

        Raises
        ------
        VersionConflictError
            There is one already.
        """
        made = self._create([(one, None) for one in resources], "POST")
        for one in resources:
            if (one.type, one.id) not in made:
                self.put(one, create_only=True)

    def delete(
        self, kind: str, resource_id: str, expected_version: int | None = None
    ) -> Stored | None:
        """Delete a resource; return what is left of it, or `None` where there was none.

        A read then answers "gone", and the version goes on rising. What a person had said is
        withdrawn: from then on it is the machine's again.

        Raises
        ------
        VersionConflictError
            Another version than `expected_version` is there.
        """
        row = self._locked(kind, resource_id)
        live = row is not None and not row.deleted
        if expected_version is not None and not (live and row.version_id == expected_version):
            actual = row.version_id if live else None
            raise VersionConflictError(kind, resource_id, expected_version, actual)
        return self._delete(row) if live else None

    def index_again(
        self, rids: Sequence[int], indexed: Callable[[str, Mapping[str, Any]], Resource]
    ) -> int:
        """Index live resources again, without a new version; return how many there were."""
        locked = _ROW.where(_resource.c.rid.in_(rids), _resource.c.deleted == sa.false())
        rows = self.connection.execute(locked.order_by(_resource.c.rid).with_for_update()).all()
        for row in rows:
            content = json.loads(row.body)
            resource = replace(indexed(row.type, content), content=content, origin=row.origin)
            self._index_again(row, resource, _digest(resource))
        return len(rows)

    def _index_again(self, row: Any, resource: Resource, digest: str) -> None:
        self._indexes.replace(row.rid, resource)
        if row.digest != digest:
            same = sa.update(_resource).where(_resource.c.rid == row.rid)
            self.connection.execute(same.values(digest=digest))

    # -- studies ------------------------------------------------------------------------------

    def update_studies(self, updates: Sequence[StudyUpdate]) -> list[list[Stored]]:
        """Merge instance annotations into studies, and rebuild the resources of these.

        Writers of the same study wait for each other.

        Parameters
        ----------
        updates
            What comes to each study; no study twice.

        Returns
        -------
        list of list of Stored
            For each update, the resources of the study as they are now, in the order of `build`.
            What a person owns is as that person left it, unless `build` returns it as that
            person's; what `build` did not name of it comes last. A Provenance is renewed only when
            another resource has changed.
        """
        if not updates:
            return []
        # In one order for all: no two writers wait for each other's studies.
        ids = sorted(one.study_id for one in updates)
        rows: list[dict[str, Any]] = [{"id": one} for one in ids]
        new = set(self.connection.scalars(self._statements.study, rows))
        for study_id in ids:
            if study_id not in new:
                self._lock_study(study_id)
        rows = [
            {"study_id": one.study_id, "sop_instance_uid": uid, "body": body}
            for one in updates
            for uid, body in one.instances.items()
        ]
        if rows:
            self.connection.execute(self._statements.instance, rows)
        of_studies = self._rows_of(ids)
        there = [one for one in ids if one not in new]
        known = instances_of(self.connection, there) if there else {}
        known |= {
            one.study_id: dict(sorted(one.instances.items()))
            for one in updates
            if one.study_id in new
        }
        studies = {
            one.study_id: _Study(
                one.study_id, of_studies[one.study_id], one.build, known[one.study_id]
            )
            for one in updates
        }
        first = [one for one in studies.values() if one.id in new and not one.rows]
        created = self._create(
            [(made, study.id) for study in first for made in study.built if made.type != "Device"]
        )
        shared: _Shared = {}
        return [
            self._put_study(studies[one.study_id], created, shared, revive=True) for one in updates
        ]

    def rebuild_study(self, study_id: str, build: Build, *, revive: bool = False) -> list[Stored]:
        """Build the resources of a study again from the annotations that it has.

        Parameters
        ----------
        revive
            Whether resources that were deleted meanwhile come back.

        Returns
        -------
        list of Stored
            As `update_studies` has it; empty where the study has no annotations.
        """
        self._lock_study(study_id)
        known = self.instances(study_id)
        if not known:
            return []
        study = _Study(study_id, self._rows_of([study_id])[study_id], build, known)
        return self._put_study(study, {}, {}, revive=revive)

    def instances(self, study_id: str) -> dict[str, str]:
        """Return the annotations of a study, SOP Instance UID → JSON, ordered by UID."""
        return instances_of(self.connection, [study_id])[study_id]

    def _rows_of(self, ids: Sequence[str]) -> dict[str, dict[tuple[str, str], Any]]:
        """Return the rows of the resources of studies, by study and by type and id."""
        found: dict[str, dict[tuple[str, str], Any]] = {one: {} for one in ids}
        for row in self.connection.execute(_ROWS_OF_STUDIES, {"studies": ids}):
            found[row.study_id][row.type, row.id] = row
        return found

    def _put_study(
        self, study: _Study, created: _Keyed, shared: _Shared, *, revive: bool
    ) -> list[Stored]:
        """Make what was built the resources of a study; delete what it had beside them.

        A Provenance is renewed only when another resource has changed.

        Parameters
        ----------
        created
            Resources that were just stored, not only those of this study.
        shared
            Devices, which are shared by studies: what was put last, and what came of it.
        """
        rows, owned = study.rows, study.owned
        wanted = {(resource.type, resource.id) for resource in study.built}
        gone = [
            row
            for key, row in rows.items()
            if key not in wanted and key not in owned and not row.deleted
        ]
        for one in gone:
            self._delete(one)
        stored = {key: created[key] for key in wanted if key in created}
        changed = bool(gone or stored)
        for resource in sorted(study.built, key=lambda one: one.type == "Provenance"):
            key = (resource.type, resource.id)
            if key in stored:
                continue
            if resource.type == "Device":
                found = shared.get(key)
                if found is None or found[0] != resource:
                    found = shared[key] = (resource, self._put_shared(resource))
                stored[key] = found[1]
                continue
            row: Any = rows.get(key)
            if key in owned and resource.origin != PERSON:
                stored[key] = owned[key]
                continue
            if row is not None and row.deleted and not revive:
                continue
            if resource.type == "Provenance" and row is not None and not changed:
                stored[key] = stored_of(row)
                continue
            stored[key] = self._put(resource, study.id, row, "PUT")
            changed = changed or row is None or stored[key].version_id != row.version_id
        keys = [(resource.type, resource.id) for resource in study.built]
        others = [one for key, one in owned.items() if key not in stored]
        return [*(stored[key] for key in keys if key in stored), *others]

    def _create(
        self, resources: Sequence[tuple[Resource, str | None]], method: str = "PUT"
    ) -> _Keyed:
        """Store new resources, each with its study; return those that nobody had stored before."""
        if not resources:
            return {}
        changes = [
            _Change(
                study_id,
                1,
                self._now,
                False,
                _digest(one),
                _with_meta(one, 1, self._now),
                one.origin,
                method,
            )
            for one, study_id in resources
        ]
        values = [
            {"type": one.type, "id": one.id, **change.columns()}
            for (one, _), change in zip(resources, changes, strict=True)
        ]
        rows = self.connection.execute(self._statements.resources, values)
        rids = {(row.type, row.id): row.rid for row in rows}
        stored: _Keyed = {}
        for (one, _), change in zip(resources, changes, strict=True):
            # What is not there any more was taken: of two with one id, the second is a change.
            rid = rids.pop((one.type, one.id), None)
            if rid is not None:
                self._indexes.add(rid, one)
                stored[one.type, one.id] = change.stored(one.type, one.id, rid)
        return stored

    def _put_shared(self, resource: Resource) -> Stored:
        """Store what many studies share; their writers wait for each other only when it changes."""
        row = self._row(resource.type, resource.id)
        if row is not None and not row.deleted and row.digest == _digest(resource):
            return stored_of(row)
        return self.put(resource)

    # -- rows ---------------------------------------------------------------------------------

    def _row(self, kind: str, resource_id: str) -> Any:
        return self.connection.execute(
            _ROW_BY_ID, {"kind": kind, "resource_id": resource_id}
        ).first()

    def _locked(self, kind: str, resource_id: str) -> Any:
        """Return the row of a resource, which no one else changes from now on, or `None`.

        A study is locked ahead of its resources, always: so no two writers wait for each other.
        """
        row = self._row(kind, resource_id)
        if row is None or self.connection.dialect.name == "sqlite":
            return row
        if row.study_id is not None:
            self._lock_study(row.study_id)
        key = {"kind": kind, "resource_id": resource_id}
        return self.connection.execute(_LOCKED_ROW, key).first()

    def _lock_study(self, study_id: str) -> None:
        # SQLite has one writer at a time.
        if self.connection.dialect.name != "sqlite":
            self.connection.execute(_LOCK_STUDY, {"study": study_id})

    def _put(self, resource: Resource, study_id: str | None, row: Any, method: str) -> Stored:
        digest = _digest(resource)
        unchanged = row is not None and not row.deleted and row.origin == resource.origin
        if unchanged and row.digest == digest:
            return stored_of(row)
        if unchanged and row.digest.partition(":")[0] == digest.partition(":")[0]:
            # The same resource, found by something else: no version of its own.
            self._index_again(row, resource, digest)
            return stored_of(row)
        version_id = 1 if row is None else row.version_id + 1
        when = self._now if row is None else max(self._now, row.last_updated)
        body = _with_meta(resource, version_id, when)
        study_id = row.study_id if study_id is None and row is not None else study_id
        change = _Change(study_id, version_id, when, False, digest, body, resource.origin, method)
        if row is None:
            values = {"type": resource.type, "id": resource.id, **change.columns()}
            rid = self.connection.scalar(self._statements.resource, values)
            if rid is None:
                # Another writer (PostgreSQL has several) stored it meanwhile.
                return self.put(resource, study_id, create_only=method == "POST")
            self._indexes.add(rid, resource)
        else:
            rid = row.rid
            self._change(row, change)
            self._indexes.replace(rid, resource)
        return change.stored(resource.type, resource.id, rid)

    def _delete(self, row: Any) -> Stored:
        when = max(self._now, row.last_updated)
        change = _Change(row.study_id, row.version_id + 1, when, True, "", "", MACHINE, "DELETE")
        self._change(row, change)
        self._indexes.clear(row.rid)
        return change.stored(row.type, row.id, row.rid)

    def _change(self, row: Any, change: _Change) -> None:
        """Keep the version that is there, and put another one in its place."""
        kept = {
            name: getattr(row, name)
            for name in ("rid", "version_id", "last_updated", "method", "deleted", "body")
        }
        self.connection.execute(_KEEP, kept)
        self.connection.execute(_UPDATE, {"of_rid": row.rid, **change.columns("new_")})


def instances_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the annotations of studies by study: SOP Instance UID → JSON, ordered by UID."""
    rows = connection.execute(_INSTANCES, {"studies": ids})
    found: dict[str, dict[str, str]] = {one: {} for one in ids}
    # Ordered here: databases have orders of their own.
    for study_id, uid, body in sorted(map(tuple, rows)):
        found[study_id][uid] = body
    return found


def _digest(resource: Resource) -> str:
    """Return a digest of the resource, and one of what it is found by.

    It is the same for what was built and for what was stored of it.
    """
    content = {name: value for name, value in resource.content.items() if name not in _NOT_DIGESTED}
    meta = _kept_meta(resource.content)
    parts = ({**content, **({"meta": meta} if meta else {})}, index_of(resource))
    return ":".join(
        # A decimal of a client is the same number as the float of a machine.
        hashlib.sha256(json.dumps(part, sort_keys=True, default=float).encode()).hexdigest()
        for part in parts
    )


def _kept_meta(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a resource says of itself in `meta`, beside what is the store's."""
    meta = content.get("meta", {})
    return {name: value for name, value in meta.items() if name not in _OWN_META}


def _with_meta(resource: Resource, version_id: int, when: int) -> str:
    head = {"resourceType": resource.type, "id": resource.id}
    own = {"versionId": str(version_id), "lastUpdated": instant(when)}
    meta = {**own, **_kept_meta(resource.content)}
    rest = {
        key: value for key, value in resource.content.items() if key not in head and key != "meta"
    }
    return dump({**head, "meta": meta, **rest})
