"""References between the entries of a transaction, and to what a search finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from api.errors import RequestError

Json = dict[str, Any]
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})\?(.+)", re.ASCII)
_URN: Final = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")
# Elements of the types uri, url, uuid and oid that may name a resource.
_ADDRESSES: Final = frozenset({"valueUri", "valueUrl", "valueUuid", "valueOid"})
# Given a type and search parameters, the one resource that meets them as ``Type/id``.
Find = Callable[[str, list[tuple[str, str]]], str]


def resolved(content: Json, known: Mapping[str, str], find: Find) -> Json:
    """Return `content` with its references leading to what is stored.

    FHIR R4, 3.1.0.11.2: the `fullUrl` of an entry becomes the address that its resource gets,
    in references, addresses and narratives; a reference with a query becomes the one resource that
    the query finds.

    Parameters
    ----------
    known
        The `fullUrl` of each entry → ``Type/id``.

    Raises
    ------
    RequestError
        400: a ``urn:uuid`` that no entry has; what `find` raises.
    """

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: value_of(name, value) for name, value in node.items()}
        return [walk(one) for one in node] if isinstance(node, list) else node

    def value_of(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return walk(value)
        if name == "div":
            return _URN.sub(lambda match: known.get(match[0], match[0]), value)
        if name in _ADDRESSES:
            return known.get(value, value)
        return reference(value) if name == "reference" else value

    def reference(value: str) -> str:
        if value in known:
            return known[value]
        if value.startswith("urn:uuid:"):
            raise RequestError(
                "reference",
                "it leads to a urn:uuid that is the fullUrl of no entry",
                "the fullUrl of an entry, or the address of a resource",
                "Correct the reference.",
                issue="not-found",
            )
        match = _CONDITIONAL.fullmatch(value)
        if match is None:
            return value
        return find(match[1], parse_qsl(match[2], keep_blank_values=True))

    found: Json = walk(content)
    return found
