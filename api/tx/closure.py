"""$closure: a client's transitive closure table, kept up concept by concept.

A client names its table and sends the concepts that turn up in its data; the answer holds the
entries that are new because of them: which of its concepts subsumes which. Every call that adds
something is a new version of the table, and a client that lost some asks for all entries since the
version it knows. FHIR, "Maintaining a Closure Table".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa

from api.errors import LimitError, RequestError
from api.tx import standing
from api.tx.context import TxContext
from api.tx.parameters import Parameters, value_of, whole_number
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.resources_store import ResourceLibrary, closure_concept, closure_entry, closure_table
from terminology.errors import UnknownConceptError, UnknownSystemError

Json = dict[str, Any]
_OPERATION: Final = "$closure"
_MAX_NAME: Final = 200
# Of one call. A table may have any number.
MAX_CONCEPTS: Final = 2000
# How often a call looks at its table anew because another one has added to it meanwhile.
TRIES: Final = 10
# What `api.tx.r4` makes of a relationship → what a client of R4 expects of a closure table.
_R4_WORDS: Final = {"wider": "subsumes", "equivalent": "equal"}


def closure(request: Json, context: TxContext, library: ResourceLibrary) -> Json:
    """Return the ConceptMap of new entries, in R5 form; its `version` is that of the table.

    A call with a name only starts the table, or starts it anew; one with `version` returns what was
    added after that version.

    Raises
    ------
    RequestError
        The name is missing, the table or the version is not known, concepts came with `version`,
        or they are too many.
    UnknownConceptError, UnknownSystemError
        A concept is not here.
    """
    given = Parameters.of(request)
    name = given.text("name")
    if not name or len(name) > _MAX_NAME:
        raise _refused("name", "is missing or too long", f"1 to {_MAX_NAME} characters", "required")
    since = given.text("version")
    codings = [value_of(entry) for entry in given.all("concept")]
    if since is not None:
        if codings:
            raise _refused("version", "came with concepts", "concepts, or a version", "invalid")
        return _resynchronised(name, _number(since), library)
    if not codings:
        return _started(name, library)
    return _added(name, codings, context, library)


def _started(name: str, library: ResourceLibrary) -> Json:
    with library.transaction() as connection:
        for table in (closure_entry, closure_concept, closure_table):
            connection.execute(table.delete().where(table.c.name == name))
        connection.execute(closure_table.insert().values(name=name, version=0))
    return _answer(name, 0, ())


def _resynchronised(name: str, since: int, library: ResourceLibrary) -> Json:
    with library.reading() as connection:
        current = _version(connection, name)
        if since > current:
            raise _refused(
                "version", f"'{since}' is newer than the table", f"0 to {current}", "value"
            )
        rows = connection.execute(
            sa.select(closure_entry)
            .where(closure_entry.c.name == name, closure_entry.c.version > since)
            .order_by(closure_entry.c.version, closure_entry.c.system, closure_entry.c.code)
        ).all()
    return _answer(
        name, current, [(row.system, row.code, row.above, row.relationship) for row in rows]
    )


def _added(
    name: str, codings: Sequence[Json], context: TxContext, library: ResourceLibrary
) -> Json:
    if len(codings) > MAX_CONCEPTS:
        raise LimitError(
            f"{_OPERATION} concept",
            f"{len(codings)} concepts in one call",
            f"at most {MAX_CONCEPTS}",
            "Send them in parts.",
        )
    asked = _resolved(codings, context)
    for _ in range(TRIES):
        with library.reading() as connection:
            current, there = _table(connection, name)
        # Others write to the database meanwhile, to this table too.
        new = [one for one in asked if (one.system, one.code) not in there]
        if not new:
            return _answer(name, current, ())
        entries = _entries(new, there)
        with library.transaction() as connection:
            if _size(connection, name) == (current, len(there)):
                _write(connection, name, current + 1, new, entries)
                return _answer(name, current + 1, entries)
    raise RequestError(
        f"{_OPERATION} name",
        f"'{name}' is changed by others all the time",
        "a table that one client adds to",
        "Try again.",
        status=409,
        issue="conflict",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A concept that a client adds: system and code as it sent them, and what they mean here."""

    system: str
    code: str
    provider: CodeSystemProvider
    concept: Concept


def _resolved(codings: Iterable[Json], context: TxContext) -> list[_Asked]:
    """Return the concepts of a call, each once."""
    found: dict[tuple[str, str], _Asked] = {}
    providers: dict[str, CodeSystemProvider] = {}
    for coding in codings:
        system, code = coding.get("system", ""), coding.get("code", "")
        provider = context.code_system(system, coding.get("version"))
        if provider is None:
            raise UnknownSystemError(
                f"{_OPERATION} concept",
                f"'{system}' is not held here",
                "a code system that /r4/metadata?mode=terminology lists",
                "Correct the system, or load the code system.",
            )
        if providers.setdefault(system, provider) is not provider:
            raise _refused(
                "concept", f"'{system}' comes in two versions", "one version in a call", "invalid"
            )
        concept = provider.find(code)
        if concept is None:
            version = provider.version or provider.url
            raise UnknownConceptError(code, version, f"{_OPERATION} concept")
        found.setdefault((system, code), _Asked(system, code, provider, concept))
    return list(found.values())


def _entries(
    new: Sequence[_Asked], there: Iterable[tuple[str, str]]
) -> list[tuple[str, str, str, str]]:
    """Return how the new concepts stand to those of the table, system by system."""
    found: list[tuple[str, str, str, str]] = []
    for system, provider in {one.system: one.provider for one in new}.items():
        codes = (code for other, code in there if other == system)
        # A concept that this version lacks stays in the table and gets no new entries.
        known = [(code, concept) for code in codes if (concept := provider.find(code)) is not None]
        added = [(one.code, one.concept) for one in new if one.system == system]
        found += ((system, *entry) for entry in standing.entries(provider, added, known))
    return found


def _write(
    connection: sa.Connection,
    name: str,
    version: int,
    new: Iterable[_Asked],
    entries: Iterable[tuple[str, str, str, str]],
) -> None:
    connection.execute(
        closure_concept.insert(),
        [{"name": name, "system": one.system, "code": one.code, "version": version} for one in new],
    )
    columns = ("system", "code", "above", "relationship")
    rows = [
        {"name": name, "version": version, **dict(zip(columns, entry, strict=True))}
        for entry in entries
    ]
    if rows:
        connection.execute(closure_entry.insert(), rows)
    connection.execute(
        closure_table.update().where(closure_table.c.name == name).values(version=version)
    )


def _table(connection: sa.Connection, name: str) -> tuple[int, set[tuple[str, str]]]:
    """Return the version of a table and the concepts in it."""
    rows = connection.execute(
        sa.select(closure_concept.c.system, closure_concept.c.code).where(
            closure_concept.c.name == name
        )
    ).all()
    return _version(connection, name), {(row.system, row.code) for row in rows}


def _size(connection: sa.Connection, name: str) -> tuple[int, int]:
    """Return version and number of concepts; a table that was started anew may have the version."""
    counted = sa.select(sa.func.count()).where(closure_concept.c.name == name)
    return _version(connection, name, hold=True), connection.scalar(counted) or 0


def _version(connection: sa.Connection, name: str, *, hold: bool = False) -> int:
    """Return the version of a table; with `hold`, other calls that write to it wait."""
    wanted = sa.select(closure_table.c.version).where(closure_table.c.name == name)
    current = connection.scalar(wanted.with_for_update() if hold else wanted)
    if current is None:
        raise RequestError(
            f"{_OPERATION} name",
            f"'{name}' is no closure table here",
            "a table that was started",
            "Start it: call $closure with the name alone.",
            status=404,
            issue="not-found",
        )
    return int(current)


def _number(text: str) -> int:
    found = whole_number(text)
    if found is None:
        raise _refused("version", f"'{text}' is no version of a table", "a number", "value")
    return found


def _refused(name: str, what: str, expected: str, issue: str) -> RequestError:
    return RequestError(
        f"{_OPERATION} {name}", what, expected, "Correct the parameter.", issue=issue
    )


def _answer(name: str, version: int, entries: Iterable[tuple[str, str, str, str]]) -> Json:
    groups: dict[str, dict[str, list[Json]]] = {}
    for system, code, above, relationship in entries:
        targets = groups.setdefault(system, {}).setdefault(code, [])
        targets.append({"code": above, "relationship": relationship})
    found: Json = {
        "resourceType": "ConceptMap",
        "identifier": [
            {"system": "urn:ietf:rfc:3986", "value": uuid5(NAMESPACE_URL, f"closure {name}").urn}
        ],
        "version": str(version),
        "name": "Closure",
        "title": f"Closure table {name}",
        "status": "active",
        "experimental": True,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if groups:
        found["group"] = [
            {
                "source": system,
                "target": system,
                "element": [
                    {"code": code, "target": targets} for code, targets in elements.items()
                ],
            }
            for system, elements in groups.items()
        ]
    return found


def to_r4(answer: Json) -> Json:
    """Return the answer in R4 form: R4 calls what is above a concept ``subsumes`` here."""
    groups = []
    for group in answer.get("group", ()):
        elements = []
        for element in group["element"]:
            targets = [
                {**one, "equivalence": _R4_WORDS.get(one["equivalence"], "unmatched")}
                for one in element["target"]
            ]
            elements.append({**element, "target": targets})
        groups.append({**group, "element": elements})
    return {**answer, "group": groups} if groups else answer
