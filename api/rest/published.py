"""What the service publishes of itself: SearchParameter, StructureDefinition, OperationDefinition.

They live in no store and are read-only; both releases have them, each in its own form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from api.errors import SearchError
from api.negotiation import is_strict
from api.outcome import outcome
from api.rest.preconditions import names_tag
from api.rest.summaries import View
from api.tx.answers import Answer, Asked

Json = dict[str, Any]
PUBLISHED: Final = ("OperationDefinition", "SearchParameter", "StructureDefinition")
# Release → resources of one type.
Source = Callable[[str], Iterable[Json]]
# Search parameter → (type, what it compares).
PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {
    "_id": ("token", "Logical ids, set apart by commas."),
    "url": ("uri", "The canonical address."),
    "name": ("string", "The beginning of the name; case does not count. :exact, :contains."),
    "status": ("token", "draft, active, retired or unknown."),
    "version": ("token", "The version, which is that of the service."),
}
_CONTROL: Final = frozenset(
    {"_count", "_offset", "_summary", "_elements", "_format", "_pretty", "_total"}
)
_MAX_NUMBER: Final = 10**9


class Publications:
    """What is published, by type.

    Parameters
    ----------
    sources
        Resource type → where its resources come from.
    """

    def __init__(
        self, sources: Mapping[str, Sequence[Source]], page_size: int, max_page_size: int
    ) -> None:
        self._sources = sources
        self._page_size = page_size
        self._max_page_size = max_page_size

    def all(self, kind: str, release: str) -> dict[str, Json]:
        """Return the resources of a type by id."""
        return {one["id"]: one for source in self._sources.get(kind, ()) for one in source(release)}

    def read(self, asked: Asked, kind: str, resource_id: str, view: View) -> Answer:
        """Return one of them; 304 when the client has it already."""
        found = self.all(kind, asked.release).get(resource_id)
        if found is None:
            raise SearchError(
                kind,
                "no resource with this id is published here",
                "the id of a resource that a search finds",
                "Search for it.",
                status=404,
                issue="not-found",
            )
        digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
        headers = {"ETag": f'W/"{digest[:16]}"'}
        if names_tag(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(None, 304, headers)
        return Answer(view.shown(found, asked.release), 200, headers)

    def search(self, asked: Asked, kind: str, parameters: Sequence[tuple[str, str]]) -> Answer:
        """Return the searchset of a type, ordered by id."""
        found = self.all(kind, asked.release)
        ignored, understood = [], []
        count, offset = self._page_size, 0
        for name, value in parameters:
            base, _, modifier = name.partition(":")
            if base in PARAMETERS and (not modifier or modifier in _MODIFIERS.get(base, ())):
                found = {k: v for k, v in found.items() if _meets(v, base, modifier, value)}
            elif name == "_count":
                count = min(_whole(name, value), self._max_page_size)
            elif name == "_offset":
                offset = _whole(name, value)
                continue
            elif name not in _CONTROL:
                ignored.append(name)
                continue
            if name not in {"_format", "_pretty"}:
                understood.append((name, value))
        if ignored and is_strict(asked.headers.get("prefer")):
            raise SearchError(
                ignored[0][:100],
                "the search parameter is not supported here",
                ", ".join(PARAMETERS),
                "Leave it out.",
                issue="not-supported",
            )
        view = View.of(parameters)
        ordered = [found[one] for one in sorted(found)]
        shown = [] if view.summary == "count" else ordered[offset : offset + count]
        address = f"{asked.base}/{kind}"
        bundle: Json = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(ordered),
            "link": [{"relation": "self", "url": _url(address, understood, offset)}],
        }
        if shown and offset + count < len(ordered):
            further = _url(address, understood, offset + count)
            bundle["link"].append({"relation": "next", "url": further})
        entries: list[Json] = [
            {
                "fullUrl": f"{address}/{one['id']}",
                "resource": view.shown(one, asked.release),
                "search": {"mode": "match"},
            }
            for one in shown
        ]
        if ignored:
            text = "Ignored, since they are not supported here: " + ", ".join(ignored)
            note = outcome("warning", "not-supported", text)
            entries.append({"resource": note, "search": {"mode": "outcome"}})
        if entries:
            bundle["entry"] = entries
        return Answer(bundle)


_MODIFIERS: Final = {"name": ("exact", "contains")}


def _meets(resource: Json, name: str, modifier: str, value: str) -> bool:
    wanted = [one for one in value.split(",") if one]
    if not wanted:
        raise SearchError(name, "it has no value", "a value", "Give one.")
    there = str(resource.get(name.removeprefix("_"), ""))
    if name == "name":
        if modifier == "exact":
            return there in wanted
        folded = there.casefold()
        if modifier == "contains":
            return any(one.casefold() in folded for one in wanted)
        return any(folded.startswith(one.casefold()) for one in wanted)
    if name == "url":
        return there in wanted
    return there in {one.rpartition("|")[2] for one in wanted}


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 11 and int(value) < _MAX_NUMBER):
        raise SearchError(name, "the value is none for it", "a whole number", "Correct it.")
    return int(value)


def _url(address: str, parameters: Sequence[tuple[str, str]], offset: int) -> str:
    pairs = [*parameters, *((("_offset", str(offset)),) if offset else ())]
    query = urlencode(pairs, quote_via=quote, safe=":/,")
    return f"{address}?{query}" if query else address
