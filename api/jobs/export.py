"""Bulk export: what a kick-off asks for, and the job that writes it, part by part.

HL7 FHIR Bulk Data Access (Flat FHIR) 2.0.0. Parts lie in the database: all worker processes share
it, on whatever machine they run, and a part is stored in one transaction with the place where the
work goes on, so that a process that dies leaves neither a gap nor a line twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import sqlalchemy as sa

from api.errors import RequestError
from api.jobs.parts import PartWriter, line, lines_of
from api.jobs.queue import JobQueue
from api.jobs.records import DELETED, ERROR, JOURNAL, State
from api.jobs.runner import Ending, Task
from api.jobs.snapshot import Past, count_of, cut, past
from api.outcome import outcome, outcome_of
from api.records import Query
from api.rest.summaries import View
from api.security.actor import Actor
from api.store.query import search
from api.store.rows import instant
from api.store.schema import resource as _resource
from api.tx.resources_store import R4
from terminology.errors import BodySiteError

EXPORT: Final = "export"
SYSTEM_LEVEL: Final = "system"
PATIENT_LEVEL: Final = "patient"

KINDS: Final = (
    "Patient",
    "Practitioner",
    "ImagingStudy",
    "Observation",
    "BodyStructure",
    "Device",
    "Provenance",
    "Task",
    "AuditEvent",
)
# Who looked at what is no data of a patient; it is exported to those who name it.
_ONLY_IF_NAMED: Final = frozenset({"AuditEvent"})
# FHIR R4, CompartmentDefinition patient; and the Device, without which nobody knows what spoke.
_OF_PATIENTS: Final = tuple(kind for kind in KINDS if kind != "Practitioner")
_NDJSON: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_IGNORED: Final = frozenset({"_format", "_pretty"})
# A query of its own begins behind a comma with a resource type.
_NEXT_QUERY: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
# Bulk Data Access 2.0.0, _typeFilter: parameters that shape a searchset filter nothing.
_NO_FILTERS: Final = frozenset(
    {"_contained", "_count", "_elements", "_format", "_include", "_pretty", "_revinclude", "_sort",
     "_summary", "_total"}
)  # fmt: skip
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII
)  # fmt: skip
_ELEMENT: Final = re.compile(r"(?:([A-Z][A-Za-z]+)\.)?([a-z][A-Za-z]*)", re.ASCII)
_MATCHES_AT_ONCE: Final = 1000

# Resource type, search parameters and release → query.
QueryOf = Callable[[str, Sequence[tuple[str, str]], str], Query]
Render = Callable[[Mapping[str, Any], str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is to be exported.

    Attributes
    ----------
    url
        The address of the kick-off, without what a body asked for.
    since
        Microseconds since 1970.
    filters
        Resource type → queries, one of which a resource has to match.
    elements
        (resource type or "", element) pairs; none means whole resources.
    ignored
        What was asked for in vain, in words.
    """

    release: str
    base: str
    url: str
    kinds: tuple[str, ...]
    since: int | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elements: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the request as the queue keeps it."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> ExportRequest:
        """Return a request that the queue has kept."""
        return cls(
            **{
                **content,
                "kinds": tuple(content["kinds"]),
                "filters": {kind: tuple(them) for kind, them in content["filters"].items()},
                "elements": tuple((kind, name) for kind, name in content["elements"]),
                "ignored": tuple(content["ignored"]),
            }
        )

    def view(self, kind: str) -> View:
        """Return which part of the resources of a type is asked for."""
        return View(elements=tuple(name for of, name in self.elements if of in ("", kind)))


def asked_export(
    parameters: Sequence[tuple[str, str]],
    *,
    level: str,
    release: str,
    base: str,
    url: str,
    actor: Actor,
    query_of: QueryOf,
    lenient: bool = False,
) -> ExportRequest:
    """Return what a kick-off asks for, cut to what `actor` may read.

    Raises
    ------
    RequestError
        A value is wrong, or a parameter is not supported and handling is not `lenient`;
        403 where a type that was named may not be read.
    """
    asked = _Asked(actor, level, lenient=lenient)
    for name, value in parameters:
        asked.take(name, value)
    kinds = asked.kinds()
    filters = asked.filters(kinds, query_of, release)
    return ExportRequest(
        release, base, url, kinds, asked.since, filters, tuple(asked.elements), tuple(asked.ignored)
    )


class _Asked:
    """The parameters of a kick-off, taken one by one."""

    def __init__(self, actor: Actor, level: str, *, lenient: bool) -> None:
        self._actor = actor
        self._possible = _OF_PATIENTS if level == PATIENT_LEVEL else KINDS
        self._lenient = lenient
        self._named: list[str] = []
        self._queries: list[str] = []
        self.since: int | None = None
        self.elements: list[tuple[str, str]] = []
        self.ignored: list[str] = []

    def take(self, name: str, value: str) -> None:
        if name == "_outputFormat":
            # A "+" that was not encoded is a space.
            if value.strip().replace(" ", "+") not in _NDJSON:
                raise _wrong(name, value, "application/fhir+ndjson", issue="not-supported")
        elif name == "_since":
            self.since = microseconds(value)
        elif name == "_type":
            self._named += [one.strip() for one in value.split(",") if one.strip()]
        elif name == "_typeFilter":
            self._queries += _NEXT_QUERY.split(value)
        elif name == "_elements":
            self.elements += [self._element(one.strip()) for one in value.split(",")]
        elif name not in _IGNORED:
            self._refuse(
                name,
                f"'{name[:40]}' is not supported",
                "_outputFormat, _since, _type, _typeFilter or _elements",
                "Leave it out, or send 'Prefer: handling=lenient' to have it ignored.",
            )

    def kinds(self) -> tuple[str, ...]:
        """Return the types to export, in the order of `KINDS`."""
        for kind in self._named:
            if kind not in self._possible:
                self._refuse(
                    "_type",
                    f"'{kind[:40]}' is not exported here",
                    ", ".join(self._possible),
                    "Leave it out, or send 'Prefer: handling=lenient' to have it ignored.",
                )
            else:
                self._actor.require("r", kind, "_type")
                self._actor.require("s", kind, "_type")
        if self._named:
            found = tuple(kind for kind in self._possible if kind in self._named)
        else:
            found = tuple(
                kind
                for kind in self._possible
                if kind not in _ONLY_IF_NAMED
                and self._actor.may("r", kind)
                and self._actor.may("s", kind)
            )
            if not found:
                self._actor.require("r", "*", "$export")
                self._actor.require("s", "*", "$export")
        if not found:
            raise _wrong("_type", ",".join(self._named), ", ".join(self._possible))
        return found

    def filters(
        self, kinds: Sequence[str], query_of: QueryOf, release: str
    ) -> dict[str, tuple[str, ...]]:
        """Return the queries by type, each tried; those of one type add up."""
        found: dict[str, tuple[str, ...]] = {}
        for query in self._queries:
            kind, mark, asked = query.partition("?")
            parameters = parse_qsl(asked, keep_blank_values=True)
            if kind not in kinds or not mark or not parameters:
                expected = f"a search such as ImagingStudy?modality=DX, of {' or '.join(kinds)}"
                self._refuse_filter(query, "it is no search of an exported type", expected)
                continue
            shaping = [name for name, _ in parameters if name.partition(":")[0] in _NO_FILTERS]
            if shaping:
                what = f"'{shaping[0]}' shapes an answer, and filters nothing"
                self._refuse_filter(query, what, "search parameters of the type")
                continue
            try:
                query_of(kind, parameters, release)
            except BodySiteError as error:
                if not self._lenient:
                    raise
                self._refuse_filter(query, error.what, error.expected)
                continue
            found[kind] = (*found.get(kind, ()), asked)
        return found

    def _element(self, value: str) -> tuple[str, str]:
        match = _ELEMENT.fullmatch(value)
        if match is None or (match[1] and match[1] not in KINDS):
            expected = "elements such as status or ImagingStudy.status, set apart by commas"
            raise _wrong("_elements", value, expected)
        return match[1] or "", match[2]

    def _refuse_filter(self, query: str, what: str, expected: str) -> None:
        self._refuse("_typeFilter", f"'{query[:100]}': {what}", expected, "Correct the search.")

    def _refuse(self, where: str, what: str, expected: str, remedy: str) -> None:
        if not self._lenient:
            raise RequestError(where, what, expected, remedy, issue="not-supported")
        self.ignored.append(f"{where}: {what}, so it was ignored; expected {expected}.")


@dataclass(frozen=True, slots=True)
class _Progress:
    """Where the work goes on: behind the resource `after` of the type at `place` in `kinds`."""

    moment: int = 0
    place: int = 0
    after: int = 0
    number: int = 1
    done: int = 0
    of: int = 0


class ExportWork:
    """Does jobs of the kind `EXPORT`.

    Parameters
    ----------
    render
        A resource as it is stored, and a release → the resource in that release.
    """

    def __init__(
        self,
        queue: JobQueue,
        query_of: QueryOf,
        render: Render,
        part_bytes: int,
    ) -> None:
        self._queue = queue
        self._engine = queue.engine
        self._query_of = query_of
        self._render = render
        self._part_bytes = part_bytes

    def __call__(self, task: Task) -> Ending:
        """Write all parts; nothing that was written before is written again."""
        request = ExportRequest.of_json(task.job.request)
        kept = {key: task.job.progress.get(key, 0) for key in _Progress.__slots__}
        progress = _Progress(**kept)
        if not progress.moment:
            progress = self._begin(task, request)
        matched = self._matched(task.job.id)
        for place in range(progress.place, len(request.kinds)):
            kind = request.kinds[place]
            progress = replace(progress, place=place)
            progress = self._export(task, request, progress, kind, matched.get(kind))
            progress = replace(progress, after=0)
        return Ending(State.DONE, {"status": 200, "moment": progress.moment}, without=JOURNAL)

    def _begin(self, task: Task, request: ExportRequest) -> _Progress:
        """Fix the instant, and which resources the filters let through at it."""
        queries = {
            kind: [
                self._query_of(kind, parse_qsl(one, keep_blank_values=True), request.release)
                for one in them
            ]
            for kind, them in request.filters.items()
        }
        writer = PartWriter(1)
        with _still(self._engine, task.job.created) as (moment, connection):
            for kind, them in queries.items():
                rids = {rid for query in them for rid in _matches(connection, query)}
                if request.since is not None:
                    # What is deleted matches no search any more.
                    rids |= set(_deleted_since(connection, kind, request.since))
                writer.add(JOURNAL, line({"kind": kind, "rids": sorted(rids)}))
        for text in request.ignored:
            writer.add(ERROR, line(outcome("warning", "not-supported", text)))
        total = sum(count_of(self._engine, kind) for kind in request.kinds)
        parts = writer.take()
        progress = _Progress(moment=moment, number=writer.number, of=total)
        task.commit(asdict(progress), parts)
        return progress

    def _matched(self, job_id: str) -> dict[str, list[int]]:
        """Return which resources the filters let through, by type."""
        found: dict[str, list[int]] = {}
        for part in self._queue.parts(job_id):
            if part.name == JOURNAL:
                whole = self._queue.part(job_id, part.number)
                for text in lines_of(whole) if whole is not None else ():
                    content = json.loads(text)
                    found[content["kind"]] = content["rids"]
        return found

    def _export(
        self,
        task: Task,
        request: ExportRequest,
        progress: _Progress,
        kind: str,
        only: Sequence[int] | None,
    ) -> _Progress:
        writer = PartWriter(progress.number, self._part_bytes)
        view = request.view(kind)
        done, after = progress.done, progress.after
        found = past(
            self._engine,
            kind,
            progress.moment,
            since=request.since,
            after=progress.after,
            only=only,
            deleted=request.since is not None,
        )
        for one in found:
            name, text = self._line(one, request.release, view)
            writer.add(name, text)
            done, after = done + 1, one.rid
            if writer.is_full:
                progress = self._stored(task, writer, replace(progress, after=after, done=done))
            else:
                task.check()
        return self._stored(task, writer, replace(progress, after=after, done=done))

    def _stored(self, task: Task, writer: PartWriter, progress: _Progress) -> _Progress:
        parts = writer.take()
        if not parts:
            return progress
        progress = replace(progress, number=writer.number)
        task.commit(asdict(progress), parts)
        return progress

    def _line(self, one: Past, release: str, view: View) -> tuple[str, str]:
        """Return the name of the part that a resource belongs to, and its line there."""
        if one.deleted:
            return DELETED, line(_deletion(one))
        if release == R4 and view.whole:
            return one.kind, one.body
        try:
            content = self._render(json.loads(one.body), release)
        except BodySiteError as error:
            return ERROR, line(outcome_of(error))
        return one.kind, line(view.shown(dict(content), release))


@contextmanager
def _still(engine: sa.Engine, at_least: int) -> Iterator[tuple[int, sa.Connection]]:
    """Yield an instant as of `cut` and a connection that sees the store as it was then.

    On PostgreSQL what is committed between the two is seen, too: a resource that is changed in
    that moment is found by what it is then, and exported as it was at the instant.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            moment = cut(engine, at_least=at_least, then=lambda: _pin(connection))
        else:
            moment = cut(engine, at_least=at_least)
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            _pin(connection)
        yield moment, connection
        connection.rollback()


def _pin(connection: sa.Connection) -> None:
    """Begin a transaction that sees the state of now until it ends."""
    connection.execute(sa.select(_resource.c.rid).limit(1)).all()


def _matches(connection: sa.Connection, query: Query) -> Iterator[int]:
    after = None
    while True:
        page = search(connection, query, _MATCHES_AT_ONCE, after=after)
        yield from (one.rid for one in page.matches)
        if not page.has_next:
            return
        after = page.matches[-1].rid


def _deleted_since(connection: sa.Connection, kind: str, since: int) -> Sequence[int]:
    statement = sa.select(_resource.c.rid).where(
        _resource.c.type == kind,
        _resource.c.deleted == sa.true(),
        _resource.c.last_updated > since,
    )
    return connection.scalars(statement).all()


def _deletion(one: Past) -> dict[str, Any]:
    """Return what tells a client to remove a resource (Bulk Data Access 2.0.0, `deleted`)."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "meta": {"lastUpdated": instant(one.last_updated)},
        "entry": [{"request": {"method": "DELETE", "url": f"{one.kind}/{one.id}"}}],
    }


def microseconds(value: str, name: str = "_since") -> int:
    """Return a FHIR instant as microseconds since 1970; `RequestError` when it is none."""
    # FHIR R4, instant: to the second at least, with a time zone; a "+" not encoded is a space.
    text = value.strip().replace(" ", "+")
    expected = "an instant such as 2026-11-20T10:00:00Z"
    if not _INSTANT.fullmatch(text):
        raise _wrong(name, value, expected)
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise _wrong(name, value, expected) from error


def _wrong(name: str, value: str, expected: str, issue: str = "value") -> RequestError:
    return RequestError(
        name, f"'{value[:100]}' is no value for it", expected, "Correct the value.", issue=issue
    )
