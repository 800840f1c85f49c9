"""A small search engine of the tests' own: the mapping is obeyed, terms and words are found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?)?)?")


def check(mapping: dict[str, Any], document: dict[str, Any], path: str = "") -> None:
    """Fail unless every field of a document is in the mapping and of its type."""
    properties = mapping["properties"]
    for name, value in document.items():
        assert name in properties, f"{path}{name} is not in the mapping"
        field = properties[name]
        for one in value if isinstance(value, list) else [value]:
            if "properties" in field:
                check(field, one, f"{path}{name}.")
            else:
                assert _fits(field["type"], one), f"{path}{name}: {one!r} is no {field['type']}"


def _fits(kind: str, value: object) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in {"integer", "long"}:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "date":
        return isinstance(value, str) and _DATE.fullmatch(value) is not None
    return isinstance(value, str)


class Index:
    """Documents by id, after bulk requests."""

    def __init__(self, mapping: dict[str, Any]) -> None:
        self._mapping = mapping["mappings"]
        self.documents: dict[str, dict[str, Any]] = {}
        self._versions: dict[str, int] = {}

    def bulk(self, actions: Iterator[tuple[dict[str, Any], dict[str, Any] | None]]) -> None:
        """Do what a bulk request says; an older version than the one here changes nothing."""
        for action, source in actions:
            ((verb, where),) = action.items()
            assert where["version_type"] == "external_gte"
            if where["version"] < self._versions.get(where["_id"], 0):
                continue
            self._versions[where["_id"]] = where["version"]
            if verb == "delete":
                self.documents.pop(where["_id"], None)
            else:
                assert verb == "index"
                assert source is not None
                check(self._mapping, source)
                self.documents[where["_id"]] = source

    def term(self, field: str, value: str) -> set[str]:
        """Return the ids of the documents with that very term in a keyword field."""
        assert self._mapping["properties"][field]["type"] == "keyword"
        return {
            key
            for key, one in self.documents.items()
            if value in (one[field] if isinstance(one.get(field), list) else [one.get(field)])
        }

    def match(self, word: str) -> set[str]:
        """Return the ids of the documents with a word in the text, or in what is copied there."""
        return {
            key
            for key, one in self.documents.items()
            if _folded(word) in _words(one.get("text", "")).union(
                *(
                    _words(name)
                    for field in ("names", "visible_names")
                    for names in one.get(field, {}).values()
                    for name in names
                )
            )
        }  # fmt: skip


def _words(text: str) -> set[str]:
    return {_folded(word) for word in re.findall(r"\w+", text)}


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if not unicodedata.combining(one))
