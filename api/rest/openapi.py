"""What the help page says of the addresses of resources and Bundles, out of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from api.indexing import parameters_of
from api.negotiation import FHIR_JSON, FORM, JSON_PATCH, JSON_TYPES
from api.rest.kinds import KINDS, READ_ONLY
from api.rest.published import PARAMETERS, PUBLISHED
from api.tx.resources_store import ROOTS

Json = dict[str, Any]
_ID_TEXT: Final = "1 to 64 of A-Z, a-z, 0-9, '-' and '.'"
_DESCRIPTIONS: Final[Mapping[int, str]] = {
    200: "The answer",
    201: "Created",
    204: "Done; nothing to say",
    304: "Not modified",
}
_READ_HEADERS: Final = (
    ("If-None-Match", "304 when the client has this version"),
    ("If-Modified-Since", "304 when nothing has changed since"),
)
_WRITE_HEADERS: Final = (
    ("If-Match", 'W/"version": 412 when another one is here'),
    ("Prefer", "return=minimal, representation or OperationOutcome"),
)
_VIEW: Final = (
    ("_summary", "true, text, data or false"),
    ("_elements", "Only these elements, set apart by commas"),
    ("_pretty", "true: laid out for a person"),
)
_CONTROL: Final = (
    ("_count", "Size of the page"),
    ("_sort", "Parameters to sort by, each with '-' ahead for descending"),
    ("_include", "What matches refer to: Type:parameter"),
    ("_revinclude", "What refers to matches: Type:parameter"),
    ("_total", "none, estimate or accurate"),
    *_VIEW,
)
_PAGED: Final = (
    ("_count", "Size of the page"),
    ("_since", "Versions made from this instant on"),
    ("_at", "Versions that were current at this time"),
)


def openapi_paths() -> Json:
    """Return what the help page says of every address of a resource, and of the base."""
    found: Json = {}
    for root, release in ROOTS.items():
        for kind in KINDS:
            found |= _of_kind(f"{root}/{kind}", kind, release)
        for kind in PUBLISHED:
            found |= _of_published(f"{root}/{kind}", kind, release)
        system = _operation(
            "The versions of all resources, the newest first",
            release,
            (200,),
            query=_PAGED,
        )
        found[f"{root}/_history"] = {"get": system}
        types = [("_type", f"Some of {', '.join(KINDS)}"), *_CONTROL]
        found[f"{root}/_search"] = {
            "post": _operation("Search several types by a form", release, (200,), form=types)
        }
        found[root] = {
            "get": _operation("Search several types", release, (200,), query=types),
            "post": _operation(
                "A batch or a transaction: a Bundle of requests",
                release,
                (200,),
                headers=_WRITE_HEADERS[1:],
                body="Bundle",
            ),
        }
    return found


def _of_kind(address: str, kind: str, release: str) -> Json:
    search = [
        (name, one.documentation or f"{one.type} parameter")
        for name, one in parameters_of(kind, release).items()
    ]
    strict = (("Prefer", "handling=strict refuses unknown parameters"),)
    of_type = {
        "get": _operation(
            f"Search {kind}", release, (200,), query=[*search, *_CONTROL], headers=strict
        )
    }
    instance = {
        "get": _operation(
            f"Read {kind}", release, (200, 304), query=_VIEW, headers=_READ_HEADERS, ids=("id",)
        )
    }
    if kind not in READ_ONLY:
        condition = search
        of_type["post"] = _operation(
            f"Create {kind}",
            release,
            (200, 201),
            headers=(("If-None-Exist", "A search: created only where it finds nothing"),
                     *_WRITE_HEADERS[1:]),
            body=kind,
        )  # fmt: skip
        of_type["put"] = _operation(
            f"Update the {kind} that a search finds",
            release,
            (200, 201),
            query=condition,
            headers=_WRITE_HEADERS,
            body=kind,
        )
        of_type["patch"] = _operation(
            f"Patch the {kind} that a search finds",
            release,
            (200,),
            query=condition,
            headers=_WRITE_HEADERS,
            patch=True,
        )
        of_type["delete"] = _operation(
            f"Delete the {kind} that a search finds",
            release,
            (200, 204),
            query=condition,
            headers=_WRITE_HEADERS,
        )
        instance["put"] = _operation(
            f"Create or update {kind} under an id of the client",
            release,
            (200, 201),
            headers=(*_WRITE_HEADERS, ("If-None-Match", "*: only where nothing is here")),
            ids=("id",),
            body=kind,
        )
        instance["patch"] = _operation(
            f"Change {kind} by a JSON Patch",
            release,
            (200,),
            headers=_WRITE_HEADERS,
            ids=("id",),
            patch=True,
        )
        instance["delete"] = _operation(
            f"Delete {kind}", release, (200, 204), headers=_WRITE_HEADERS, ids=("id",)
        )
    history = "The versions, the newest first"
    return {
        address: of_type,
        f"{address}/_search": {
            "post": _operation(
                f"Search {kind} by a form", release, (200,), headers=strict, form=search
            )
        },
        f"{address}/_history": {
            "get": _operation(f"{history}, of every {kind}", release, (200,), query=_PAGED)
        },
        f"{address}/{{id}}": instance,
        f"{address}/{{id}}/_history": {
            "get": _operation(history, release, (200,), query=_PAGED, ids=("id",))
        },
        f"{address}/{{id}}/_history/{{version}}": {
            "get": _operation(
                f"Read a version of {kind}",
                release,
                (200, 304),
                query=_VIEW,
                headers=_READ_HEADERS,
                ids=("id", "version"),
            )
        },
    }


def _of_published(address: str, kind: str, release: str) -> Json:
    query = [(name, text) for name, (_, text) in PARAMETERS.items()]
    return {
        address: {"get": _operation(f"Search {kind}", release, (200,), query=[*query, *_VIEW])},
        f"{address}/_search": {
            "post": _operation(f"Search {kind} by a form", release, (200,), form=query)
        },
        f"{address}/{{id}}": {
            "get": _operation(
                f"Read {kind}",
                release,
                (200, 304),
                query=_VIEW,
                headers=_READ_HEADERS[:1],
                ids=("id",),
            )
        },
    }


def _operation(
    summary: str,
    release: str,
    statuses: Sequence[int],
    *,
    query: Iterable[tuple[str, str]] = (),
    headers: Iterable[tuple[str, str]] = (),
    ids: Sequence[str] = (),
    body: str | None = None,
    form: Iterable[tuple[str, str]] = (),
    patch: bool = False,
) -> Json:
    content: Json = {FHIR_JSON: {}}
    answers: Json = {
        str(status): {
            "description": _DESCRIPTIONS[status],
            **({"content": content} if status < 204 else {}),
        }
        for status in statuses
    }
    for status in ("4XX", "5XX"):
        answers[status] = {"description": "OperationOutcome", "content": content}
    found: Json = {"tags": [f"resources {release}"], "summary": summary, "responses": answers}
    parameters: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": _ID_TEXT if name == "id" else "A version number",
        }
        for name in ids
    ]
    for where, pairs in (("query", query), ("header", headers)):
        parameters += [
            {"name": name, "in": where, "schema": {"type": "string"}, "description": text}
            for name, text in pairs
        ]
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = _body({"description": f"A {body} resource"}, JSON_TYPES)
    elif patch:
        operations = {"type": "array", "items": {"type": "object"}, "description": "RFC 6902"}
        found["requestBody"] = _body(operations, (JSON_PATCH,))
    elif form:
        properties = {name: {"type": "string", "description": text} for name, text in form}
        found["requestBody"] = _body({"properties": properties}, (FORM,), required=False)
    return found


def _body(schema: Json, media: Iterable[str], *, required: bool = True) -> Json:
    schema = {"type": "object", **schema}
    return {"required": required, "content": {one: {"schema": schema} for one in media}}
