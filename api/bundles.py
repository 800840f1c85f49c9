"""Bundles as JSON text, put together from resources that are JSON text already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the resource as JSON, its address if it has one, and its search mode."""

    body: str
    full_url: str | None = None
    mode: str | None = None


def dump(content: Mapping[str, Any]) -> str:
    """Return a resource as compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def collection(entries: Iterable[Entry]) -> str:
    """Return a Bundle of type `collection`; an entry without an address gets a urn:uuid."""
    return _bundle({"type": "collection"}, entries)


def searchset(entries: Iterable[Entry], links: Sequence[tuple[str, str]], total: int | None) -> str:
    """Return a Bundle of type `searchset` with `links` as (relation, url) pairs."""
    head: dict[str, Any] = {"type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    return _bundle(head, entries)


def _bundle(head: Mapping[str, Any], entries: Iterable[Entry]) -> str:
    text = dump({"resourceType": "Bundle", **head})
    parts = [_entry(entry) for entry in entries]
    # FHIR has no empty arrays: a Bundle without entries has no `entry`.
    return text if not parts else f'{text[:-1]},"entry":[{",".join(parts)}]}}'


def _entry(entry: Entry) -> str:
    url = entry.full_url or f"urn:uuid:{uuid4()}"
    mode = f',"search":{{"mode":"{entry.mode}"}}' if entry.mode else ""
    return f'{{"fullUrl":{json.dumps(url)},"resource":{entry.body}{mode}}}'
