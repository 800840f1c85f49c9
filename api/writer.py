"""Writing to the store: one transaction's worth of resources, tokens and instance annotations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.records import Resource, Stored, Token
from api.schema import instance as _instance
from api.schema import resource as _resource
from api.schema import setting as _setting
from api.schema import study as _study
from api.schema import token as _token
from api.schema import value as _value

STORED_COLUMNS: Final = (
    _resource.c.type,
    _resource.c.id,
    _resource.c.version_id,
    _resource.c.last_updated,
    _resource.c.body,
    _resource.c.deleted,
    _resource.c.rid,
)
_KNOWN_VALUES: Final = 50_000
_ROW: Final = sa.select(*STORED_COLUMNS, _resource.c.digest)
_ROW_BY_ID: Final = _ROW.where(
    _resource.c.type == sa.bindparam("kind"), _resource.c.id == sa.bindparam("resource_id")
)
_ROWS_OF_STUDY: Final = _ROW.where(_resource.c.study_id == sa.bindparam("study"))
_BODIES_OF_STUDY: Final = (
    sa.select(_instance.c.body)
    .where(_instance.c.study_id == sa.bindparam("study"))
    .order_by(_instance.c.sop_instance_uid)
)
_LOCK_STUDY: Final = sa.select(_study).where(_study.c.id == sa.bindparam("study")).with_for_update()
_VALUE_ID: Final = sa.select(_value.c.value_id).where(
    *(_value.c[name] == sa.bindparam(name) for name in ("type", "param", "code", "system"))
)
_CLEAR_TOKENS: Final = sa.delete(_token).where(_token.c.rid == sa.bindparam("cleared"))
_ADD_TOKENS: Final = sa.insert(_token)


class _Statements:
    """Statements that SQLAlchemy spells by dialect: INSERT with ON CONFLICT."""

    def __init__(self, insert: Any) -> None:
        self.study = insert(_study).on_conflict_do_nothing()
        self.setting = insert(_setting).on_conflict_do_nothing()
        self.value = insert(_value).on_conflict_do_nothing().returning(_value.c.value_id)
        self.resource = insert(_resource).on_conflict_do_nothing().returning(_resource.c.rid)
        instance = insert(_instance)
        self.instance = instance.on_conflict_do_update(
            index_elements=["study_id", "sop_instance_uid"],
            set_={"body": instance.excluded.body},
        )


_BY_DIALECT: Final = {
    "sqlite": _Statements(sqlite.insert),
    "postgresql": _Statements(postgresql.insert),
}


class Writer:
    """Writes over one connection, inside a transaction that its maker begins and ends.

    Parameters
    ----------
    connection
        Connection of the transaction.
    value_ids
        Keys of token values that are known, (resource type, token) → key; filled as they are met.
    """

    def __init__(self, connection: sa.Connection, value_ids: dict[tuple[str, Token], int]) -> None:
        self._connection = connection
        self._statements = _BY_DIALECT[connection.dialect.name]
        self._value_ids = value_ids
        self._now = _now()

    def set_once(self, name: str, value: str) -> str:
        """Return the setting `name`, which is `value` unless it was set before."""
        self._connection.execute(self._statements.setting, {"name": name, "value": value})
        found = sa.select(_setting.c.value).where(_setting.c.name == name)
        return str(self._connection.scalar(found))

    def merge_instances(self, study_id: str, instances: Mapping[str, str]) -> Sequence[str]:
        """Lock a study, merge annotations into it and return all that it has, ordered by UID."""
        self._connection.execute(self._statements.study, {"id": study_id})
        self._connection.execute(_LOCK_STUDY, {"study": study_id})
        if instances:
            rows = [
                {"study_id": study_id, "sop_instance_uid": uid, "body": body}
                for uid, body in instances.items()
            ]
            self._connection.execute(self._statements.instance, rows)
        return self._connection.scalars(_BODIES_OF_STUDY, {"study": study_id}).all()

    def put_study(self, study_id: str, resources: Sequence[Resource]) -> list[Stored]:
        """Make `resources` the resources of a study, and delete those that it had beside them.

        A Device is shared by studies; a Provenance is renewed only when another one has changed.
        """
        rows = {
            (one.type, one.id): one
            for one in self._connection.execute(_ROWS_OF_STUDY, {"study": study_id})
        }
        wanted = {(resource.type, resource.id) for resource in resources}
        gone = [row.rid for key, row in rows.items() if key not in wanted and not row.deleted]
        for rid in gone:
            self._delete(rid)
        stored: dict[tuple[str, str], Stored] = {}
        changed = bool(gone)
        for resource in sorted(resources, key=lambda one: one.type == "Provenance"):
            key = (resource.type, resource.id)
            if resource.type == "Device":
                stored[key] = self.put(resource)
                continue
            row = rows.get(key)
            if resource.type == "Provenance" and row is not None and not changed:
                stored[key] = stored_of(row)
                continue
            stored[key] = self._put(resource, study_id, row)
            changed = changed or row is None or stored[key].version_id != row.version_id
        return [stored[resource.type, resource.id] for resource in resources]

    def put(self, resource: Resource, study_id: str | None = None) -> Stored:
        """Store a resource; one that has not changed keeps its version."""
        key = {"kind": resource.type, "resource_id": resource.id}
        return self._put(resource, study_id, self._connection.execute(_ROW_BY_ID, key).first())

    def _put(self, resource: Resource, study_id: str | None, row: Any) -> Stored:
        digest = _digest(resource)
        if row is not None and not row.deleted and row.digest == digest:
            return stored_of(row)
        version = 1 if row is None else row.version_id + 1
        body = _with_meta(resource, version, self._now)
        values = {
            "type": resource.type,
            "id": resource.id,
            "study_id": study_id,
            "version_id": version,
            "last_updated": self._now,
            "deleted": False,
            "digest": digest,
            "body": body,
        }
        if row is None:
            rid = self._connection.scalar(self._statements.resource, values)
            if rid is None:
                # Another writer (PostgreSQL has several) stored it meanwhile.
                return self.put(resource, study_id)
        else:
            rid = row.rid
            update = sa.update(_resource).where(_resource.c.rid == rid)
            self._connection.execute(update.values(**values))
            self._connection.execute(_CLEAR_TOKENS, {"cleared": rid})
        tokens = [
            {"value_id": self._value_id(resource.type, token), "rid": rid}
            for token in sorted(set(resource.tokens))
        ]
        if tokens:
            self._connection.execute(_ADD_TOKENS, tokens)
        return Stored(resource.type, resource.id, version, _moment(self._now), body, rid=rid)

    def _value_id(self, kind: str, token: Token) -> int:
        known = self._value_ids.get((kind, token))
        if known is not None:
            return known
        key = {"type": kind, "param": token.param, "system": token.system, "code": token.code}
        found = self._connection.scalar(_VALUE_ID, key)
        if found is None:
            found = self._connection.scalar(self._statements.value, key)
        if found is None:
            # Another writer (PostgreSQL has several) stored it meanwhile.
            found = self._connection.scalar(_VALUE_ID, key)
        if len(self._value_ids) >= _KNOWN_VALUES:
            self._value_ids.clear()
        assert found is not None  # noqa: S101
        value_id = int(found)
        self._value_ids[kind, token] = value_id
        return value_id

    def _delete(self, rid: int) -> None:
        """Leave a tombstone: a read then answers "gone", and the version goes on rising."""
        self._connection.execute(
            sa.update(_resource)
            .where(_resource.c.rid == rid)
            .values(
                deleted=True,
                version_id=_resource.c.version_id + 1,
                last_updated=self._now,
            )
        )
        self._connection.execute(_CLEAR_TOKENS, {"cleared": rid})


def stored_of(row: Any) -> Stored:
    """Return a row with `STORED_COLUMNS` as a value."""
    return Stored(
        row.type,
        row.id,
        row.version_id,
        _moment(row.last_updated),
        row.body,
        bool(row.deleted),
        row.rid,
    )


def _digest(resource: Resource) -> str:
    content = [resource.content, [[t.param, t.system, t.code] for t in sorted(resource.tokens)]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _with_meta(resource: Resource, version: int, now: int) -> str:
    head = {"resourceType": resource.type, "id": resource.id}
    meta = {"versionId": str(version), "lastUpdated": _instant(now)}
    rest = {key: value for key, value in resource.content.items() if key not in head}
    return json.dumps({**head, "meta": meta, **rest}, ensure_ascii=False, separators=(",", ":"))


def _now() -> int:
    """Return the time in microseconds since 1970, cut to what `lastUpdated` shows."""
    return int(datetime.now(UTC).timestamp() * 1000) * 1000


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _instant(microseconds: int) -> str:
    return _moment(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
