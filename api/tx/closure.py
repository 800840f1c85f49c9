"""$closure: a client's transitive closure table, kept up concept by concept.

A client names its table and sends the concepts that turn up in its data; the answer holds the
entries that are new because of them: which of its concepts subsumes which. Every call that adds
something is a new version of the table, and a client that lost some asks for all entries since the
version it knows. FHIR, "Maintaining a Closure Table".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa

from api.errors import RequestError
from api.tx.context import TxContext
from api.tx.parameters import Parameters, value_of
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.resources_store import ResourceLibrary, closure_concept, closure_entry, closure_table
from terminology.errors import UnknownConceptError, UnknownSystemError

Json = dict[str, Any]
_OPERATION: Final = "$closure"
_MAX_NAME: Final = 200
_NARROWER: Final = "source-is-narrower-than-target"
_EQUIVALENT: Final = "equivalent"


def closure(request: Json, context: TxContext, library: ResourceLibrary) -> Json:
    """Return the ConceptMap of new entries, in R5 form; its `version` is that of the table.

    A call with a name only starts the table, or starts it anew; one with `version` returns what was
    added after that version.

    Raises
    ------
    RequestError
        The name is missing, the table or the version is not known, or concepts came with `version`.
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
    with library.transaction() as connection:
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
    asked = [_resolved(coding, context) for coding in codings]
    with library.transaction() as connection:
        current = _version(connection, name)
        rows = connection.execute(
            sa.select(closure_concept.c.system, closure_concept.c.code)
            .where(closure_concept.c.name == name)
            .order_by(closure_concept.c.system, closure_concept.c.code)
        ).all()
        known: dict[tuple[str, str], tuple[CodeSystemProvider, Concept]] = {}
        for system, code in rows:
            found = _find(system, code, context)
            # A concept that a newer release lacks stays in the table and gets no new entries.
            if found is not None:
                known[system, code] = found
        there = {tuple(row) for row in rows}
        entries: list[tuple[str, str, str, str]] = []
        added: list[tuple[str, str]] = []
        for system, code, provider, concept in asked:
            if (system, code) in there:
                continue
            there.add((system, code))
            for (other_system, other_code), (other_provider, other) in known.items():
                if other_system == system and other_provider is provider:
                    entries += _entries(system, (code, concept), (other_code, other), provider)
            known[system, code] = (provider, concept)
            added.append((system, code))
        if not added:
            return _answer(name, current, ())
        version = current + 1
        connection.execute(
            closure_concept.insert(),
            [{"name": name, "system": s, "code": c, "version": version} for s, c in added],
        )
        if entries:
            columns = ("system", "code", "above", "relationship")
            connection.execute(
                closure_entry.insert(),
                [
                    {"name": name, "version": version, **dict(zip(columns, entry, strict=True))}
                    for entry in entries
                ],
            )
        connection.execute(
            closure_table.update().where(closure_table.c.name == name).values(version=version)
        )
    return _answer(name, version, entries)


def _entries(
    system: str, new: tuple[str, Concept], old: tuple[str, Concept], provider: CodeSystemProvider
) -> Iterable[tuple[str, str, str, str]]:
    """Yield how two concepts of a code system stand to each other: below first, above second."""
    (code, concept), (other_code, other) = new, old
    if concept.code == other.code:
        yield system, code, other_code, _EQUIVALENT
    elif provider.subsumes(other, concept):
        yield system, code, other_code, _NARROWER
    elif provider.subsumes(concept, other):
        yield system, other_code, code, _NARROWER


def _resolved(coding: Json, context: TxContext) -> tuple[str, str, CodeSystemProvider, Concept]:
    system, code = coding.get("system", ""), coding.get("code", "")
    provider = context.code_system(system, coding.get("version"))
    if provider is None:
        raise UnknownSystemError(
            f"{_OPERATION} concept",
            f"'{system}' is not held here",
            "a code system that /r4/metadata?mode=terminology lists",
            "Correct the system, or load the code system.",
        )
    concept = provider.find(code)
    if concept is None:
        raise UnknownConceptError(code, provider.version or provider.url, f"{_OPERATION} concept")
    return system, code, provider, concept


def _find(system: str, code: str, context: TxContext) -> tuple[CodeSystemProvider, Concept] | None:
    provider = context.code_system(system)
    concept = provider.find(code) if provider is not None else None
    return None if provider is None or concept is None else (provider, concept)


def _version(connection: sa.Connection, name: str) -> int:
    current = connection.scalar(
        # The row is held: two calls for one table wait for each other.
        sa.select(closure_table.c.version).where(closure_table.c.name == name).with_for_update()
    )
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
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _refused("version", f"'{text}' is no version of a table", "a number", "value")
    return int(text)


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
    words = {"wider": "subsumes", "equivalent": "equal"}
    return (
        {
            **answer,
            "group": [
                {
                    **group,
                    "element": [
                        {
                            **element,
                            "target": [
                                {**one, "equivalence": words.get(one["equivalence"], "unmatched")}
                                for one in element["target"]
                            ],
                        }
                        for element in group["element"]
                    ],
                }
                for group in answer["group"]
            ],
        }
        if "group" in answer
        else answer
    )
