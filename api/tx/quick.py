"""Which requests are answered at once, in the event loop, without a thread.

A look at a concept takes microseconds, and handing it to a thread many times that. While the loop
works it does nothing else, so that only what is known to be short is done there: codes of SNOMED
CT that are plain identifiers. An expression can take long, and so can another code system, which
may have to be read from the database first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from api.tx.parameters import value_of
from api.tx.snomed import SnomedProvider, is_number
from terminology.concept import SNOMED

# Bytes of a request, over which even reading it is left to a thread.
MAX_BYTES: Final = 4096
_MAX_CHILDREN: Final = 64
_SYSTEM: Final = frozenset({"system", "url"})
_CODE: Final = frozenset({"code", "codeA", "codeB"})
_CODING: Final = frozenset({"coding", "codingA", "codingB"})
_SHOWN: Final = frozenset({"display", "displayLanguage", "property", "version"})


def is_quick(entries: Sequence[Mapping[str, Any]], releases: Iterable[SnomedProvider] = ()) -> bool:
    """Return whether parameters ask about identifiers of SNOMED CT, and nothing else.

    `releases` are those in which the concepts must not have many children, each of which is shown.
    """
    if not all(_is_plain(entry["name"], value_of(entry)) for entry in entries):
        return False
    codes = [code for entry in entries for code in _codes(entry["name"], value_of(entry))]
    found = ((one.index, one.index.find(code)) for one in releases for code in codes)
    return all(at < 0 or len(index.children(at)) <= _MAX_CHILDREN for index, at in found)


def _codes(name: str, value: Any) -> Iterable[str]:
    if name in _CODING:
        return (value["code"],)
    return (value,) if name in _CODE else ()


def _is_plain(name: str, value: Any) -> bool:
    if name in _CODING:
        return (
            isinstance(value, Mapping)
            and value.get("system") == SNOMED
            and _is_identifier(value.get("code"))
        )
    if name in _CODE:
        return _is_identifier(value)
    return value == SNOMED if name in _SYSTEM else name in _SHOWN


def _is_identifier(code: Any) -> bool:
    return isinstance(code, str) and is_number(code)
