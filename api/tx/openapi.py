"""What the help page says of the terminology addresses, out of the table of operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.responses import FHIR_JSON
from api.tx.catalog import SEARCH
from api.tx.operations import OPERATIONS, Operation
from api.tx.resources_store import ROOTS, TYPES
from api.uploads import JSON_TYPES

_ID: Final = "{resource_id}"


def openapi_paths() -> dict[str, Any]:
    """Return what the help page says of every terminology address."""
    found: dict[str, Any] = {}
    for root, release in ROOTS.items():
        for one in OPERATIONS:
            found[f"{root}/{one.path}"] = _operation_paths(one, release, instance=False)
            if one.instance:
                address = f"{root}/{one.type}/{_ID}/${one.name}"
                found[address] = _operation_paths(one, release, instance=True)
        for kind in TYPES:
            found[f"{root}/{kind}"] = _type_paths(kind, release)
            found[f"{root}/{kind}/{_ID}"] = _instance_paths(kind, release)
    return found


def _operation_paths(one: Operation, release: str, *, instance: bool) -> dict[str, Any]:
    names = (_ID_PARAMETER,) if instance else ()
    taken = {one.instance, "url", "version"} if instance else set()
    query = [
        _query(name, meaning, "" if instance else example)
        for name, (meaning, example) in one.parameters.items()
        if name not in taken
    ]
    found = {"post": _described(one.summary, release, names, "Parameters")}
    if one.parameters:
        found["get"] = _described(one.summary, release, (*names, *query))
    return found


def _type_paths(kind: str, release: str) -> dict[str, Any]:
    query = [_query(name, one.text, "") for name, one in SEARCH[kind].items()]
    control = [
        _query("_count", "Size of the page", ""),
        _query("_summary", "true, text, data, count or false", ""),
        _query("_elements", "Only these elements, set apart by commas", ""),
    ]
    return {
        "get": _described(f"Search {kind}", release, (*query, *control)),
        "post": _described(f"Create {kind}", release, (), kind),
        "put": _described(f"Update the {kind} that a search finds", release, query, kind),
    }


def _instance_paths(kind: str, release: str) -> dict[str, Any]:
    names = (_ID_PARAMETER,)
    return {
        "get": _described(f"Read {kind}", release, names),
        "put": _described(f"Create or update {kind}; If-Match guards", release, names, kind),
        "delete": _described(f"Delete {kind} of the site's own", release, names),
    }


_ID_PARAMETER: Final = {
    "name": "resource_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
}


def _query(name: str, meaning: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "schema": {"type": "string"},
        "description": meaning,
        **({"example": example} if example else {}),
    }


def _described(
    summary: str, release: str, parameters: Sequence[Mapping[str, Any]], body: str | None = None
) -> dict[str, Any]:
    content: dict[str, Any] = {FHIR_JSON: {}}
    found: dict[str, Any] = {
        "tags": [f"terminology {release}"],
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", "content": content},
            "4XX": {"description": "OperationOutcome", "content": content},
            "5XX": {"description": "OperationOutcome", "content": content},
        },
    }
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        schema = {"type": "object", "description": f"A {body} resource"}
        found["requestBody"] = {
            "required": True,
            "content": {media: {"schema": schema} for media in JSON_TYPES},
        }
    return found
