"""Which CodeSystem, ValueSet and ConceptMap resources are here, read and searched alike.

Those that come with Bodysite are read-only; a site's own ones stand beside them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from api.bundles import Entry, dump, searchset
from api.errors import SearchError
from api.outcome import outcome
from api.tx.hierarchy import concepts_of
from api.tx.r4 import resource_to_r4
from api.tx.resources_store import R4, Owned
from api.tx.versions import join_canonical, split_canonical

Json = dict[str, Any]
_SUMMARY: Final = frozenset(
    {
        "resourceType", "id", "meta", "url", "identifier", "version", "versionAlgorithmString",
        "versionAlgorithmCoding", "name", "title", "status", "experimental", "date", "publisher",
        "contact", "useContext", "jurisdiction", "immutable", "caseSensitive", "valueSet",
        "hierarchyMeaning", "compositional", "versionNeeded", "content", "supplements", "count",
        "filter", "property", "sourceUri", "sourceCanonical", "targetUri", "targetCanonical",
        "sourceScopeUri", "sourceScopeCanonical", "targetScopeUri", "targetScopeCanonical",
        "additionalAttribute",
    }
)  # fmt: skip
# What may be large, and no summary has.
_INSIDE: Final = frozenset({"concept", "group"})
_MANDATORY: Final = frozenset({"resourceType", "id", "meta", "status", "content"})
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_STATUS: Final = "http://hl7.org/fhir/publication-status"
_CONTENT_MODE: Final = "http://hl7.org/fhir/codesystem-content-mode"
# FHIR, Search, "Escaping search parameters".
_COMMA: Final = re.compile(r"(?<!\\),")
_BAR: Final = re.compile(r"(?<!\\)\|")
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_CONTROL: Final = frozenset(
    {"_count", "_offset", "_summary", "_elements", "_format", "_pretty", "_total", "_sort"}
)


class Builtin:
    """A resource that comes with Bodysite: its head is at hand, the rest is made when asked for.

    Parameters
    ----------
    head
        The resource in R5 form, without what `rest` has.
    rest
        Makes the elements that may be large: the concepts, the groups of a map.
    """

    def __init__(self, head: Json, rest: Callable[[], Json] = dict) -> None:
        self.type = str(head["resourceType"])
        self.id = str(head["id"])
        self.head = head
        self._rest = rest

    @cached_property
    def r5(self) -> Json:
        """The whole resource in R5 form."""
        return {**self.head, **self._rest()}

    @cached_property
    def r4(self) -> Json:
        """The whole resource in R4 form."""
        return resource_to_r4(self.r5)

    @cached_property
    def etag(self) -> str:
        """What changes whenever the resource does."""
        content = dump(self.r5).encode()
        return f'W/"{hashlib.sha256(content, usedforsecurity=False).hexdigest()[:16]}"'

    def form(self, release: str) -> Json:
        """Return the resource as `release` has it."""
        return self.r4 if release == R4 else self.r5

    def head_form(self, release: str) -> Json:
        """Return the head as `release` has it."""
        return resource_to_r4(self.head) if release == R4 else self.head

    @property
    def last_updated(self) -> datetime | None:
        """Not known: it came with the software."""
        return None


Held = Builtin | Owned


@dataclass(frozen=True, slots=True)
class SearchParam:
    """A search parameter: how it compares, and what of a resource in R5 form it looks at.

    `inside` says that it looks at concepts or groups.
    """

    type: str
    values: Callable[[Json], Iterable[Any]]
    text: str
    inside: bool = False


def _element(name: str) -> Callable[[Json], Iterable[Any]]:
    return lambda resource: (resource[name],) if name in resource else ()


def _forms(canonical: str, version: str | None = None) -> tuple[str, ...]:
    """Return how a search may name a canonical: by its url, and with its version if it has one."""
    url, inside = split_canonical(canonical)
    version = version or inside
    return (url, join_canonical(url, version)) if version else (url,)


def _url(resource: Json) -> Iterable[str]:
    """Return the canonical address of a resource, without and with its version."""
    return _forms(resource["url"], resource.get("version")) if "url" in resource else ()


class _Token(NamedTuple):
    """A coded value; its system is empty for none, `implied` where the element alone says it."""

    system: str
    code: str
    implied: bool = False


def _coded(name: str, system: str) -> Callable[[Json], Iterable[_Token]]:
    """Return what reads an element of type code, whose values are of one `system`."""
    return lambda one: (_Token(system, one[name], True),) if name in one else ()


def _codes(resource: Json) -> Iterator[_Token]:
    """Yield the codes that a CodeSystem defines."""
    system, _ = split_canonical(resource.get("supplements") or resource.get("url") or "")
    for concept in concepts_of(resource):
        yield _Token(system, concept.get("code", ""))


def _listed(resource: Json) -> Iterator[_Token]:
    """Yield the codes that a ValueSet lists one by one."""
    for include in resource.get("compose", {}).get("include", ()):
        for concept in include.get("concept", ()):
            yield _Token(include.get("system", ""), concept.get("code", ""))
    waiting = list(resource.get("expansion", {}).get("contains", ()))
    while waiting:
        item = waiting.pop()
        yield _Token(item.get("system", ""), item.get("code", ""))
        waiting += item.get("contains", ())


def _identifiers(resource: Json) -> Iterator[_Token]:
    """Yield the identifiers; R4 has one of a ConceptMap, not a list."""
    found = resource.get("identifier", ())
    for one in (found,) if isinstance(found, Mapping) else found:
        yield _Token(one.get("system", ""), one.get("value", ""))


def _systems(resource: Json) -> Iterator[str]:
    """Yield the code systems that a ValueSet includes from."""
    for include in resource.get("compose", {}).get("include", ()):
        if "system" in include:
            yield from _forms(include["system"], include.get("version"))


def _mapped_systems(side: str) -> Callable[[Json], Iterable[str]]:
    """Return what yields the systems of one side of a ConceptMap."""
    return lambda one: [
        form for group in one.get("group", ()) for form in _forms(group.get(side, ""))
    ]


def _mapped_codes(side: str) -> Callable[[Json], Iterator[_Token]]:
    """Return what yields the codes of one side of a ConceptMap."""

    def values(resource: Json) -> Iterator[_Token]:
        for group in resource.get("group", ()):
            system = split_canonical(group.get(side, ""))[0]
            for element in group.get("element", ()):
                coded = (element,) if side == "source" else element.get("target", ())
                for one in coded:
                    yield _Token(system, one.get("code", ""))

    return values


def _scope(side: str) -> Callable[[Json], Iterable[str]]:
    names = (f"{side}ScopeUri", f"{side}ScopeCanonical")
    return lambda one: [form for name in names if name in one for form in _forms(one[name])]


_COMMON: Final[Mapping[str, SearchParam]] = {
    "_id": SearchParam("id", _element("id"), "Logical ids, set apart by commas."),
    "url": SearchParam("uri", _url, "The canonical address. :below."),
    "version": SearchParam("token", _coded("version", ""), "The version."),
    "name": SearchParam("string", _element("name"), "How the name begins. :exact, :contains."),
    "title": SearchParam("string", _element("title"), "How the title begins. :exact, :contains."),
    "status": SearchParam("token", _coded("status", _STATUS), "draft, active, retired or unknown."),
    "publisher": SearchParam("string", _element("publisher"), "How the publisher begins."),
    "description": SearchParam("string", _element("description"), "How the description begins."),
    "identifier": SearchParam("token", _identifiers, "Identifier as system|value."),
}
_MAP_SIDES: Final[Mapping[str, SearchParam]] = {
    name: SearchParam(kind, values, text, inside)
    for side in ("source", "target")
    for names, kind, values, text, inside in (
        (
            (f"{side}-system", f"{side}-group-system"),
            "uri",
            _mapped_systems(side),
            f"The {side} code system.",
            True,
        ),
        ((f"{side}-code",), "token", _mapped_codes(side), f"A {side} code.", True),
        (
            (side, f"{side}-scope", f"{side}-uri"),
            "uri",
            _scope(side),
            f"The {side} value set.",
            False,
        ),
    )
    for name in names
}
SEARCH: Final[Mapping[str, Mapping[str, SearchParam]]] = {
    "CodeSystem": {
        **_COMMON,
        "code": SearchParam("token", _codes, "A code that it defines.", inside=True),
        "system": SearchParam("uri", _url, "The code system, as url."),
        "content-mode": SearchParam(
            "token", _coded("content", _CONTENT_MODE), "complete, fragment, …"
        ),
        "supplements": SearchParam(
            "uri",
            lambda one: _forms(one["supplements"]) if "supplements" in one else (),
            "The code system that it adds to.",
        ),
    },
    "ConceptMap": {**_COMMON, **_MAP_SIDES},
    "ValueSet": {
        **_COMMON,
        "code": SearchParam("token", _listed, "A code that it lists one by one."),
        "reference": SearchParam("uri", _systems, "A code system that it includes from."),
    },
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a search wants beside its conditions."""

    count: int
    offset: int = 0
    summary: str = "false"
    elements: frozenset[str] = frozenset()
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()


def search(
    kind: str,
    held: Sequence[Held],
    pairs: Sequence[tuple[str, str]],
    *,
    release: str,
    base: str,
    strict: bool,
    page_size: int,
    max_page_size: int,
) -> str:
    """Return the searchset Bundle as JSON.

    Raises
    ------
    SearchError
        A value or a modifier is wrong, or a parameter is unknown and handling is strict.
    """
    wish = _Wish(page_size)
    found = [one for one in held if one.type == kind]
    for name, value in pairs:
        parameter, _, modifier = name.partition(":")
        if parameter in SEARCH[kind]:
            test = _condition(SEARCH[kind][parameter], name, modifier, value)
            found = [one for one in found if test(one)]
        elif parameter in _CONTROL and not modifier:
            wish = _controlled(wish, parameter, value, max_page_size)
        elif strict:
            raise _unknown(kind, name)
        else:
            wish = replace(wish, ignored=(*wish.ignored, name))
            continue
        if parameter not in {"_format", "_pretty", "_offset"}:
            wish = replace(wish, understood=(*wish.understood, (name, value)))
    address = f"{base}/{kind}"
    entries = []
    if wish.summary != "count" and wish.count:
        page = found[wish.offset : wish.offset + wish.count]
        entries = [
            Entry(dump(shown(one, release, wish.summary, wish.elements)), url, "match")
            for one in page
            for url in (f"{address}/{one.id}",)
        ]
    if wish.ignored:
        text = f"Not known here and left out: {', '.join(wish.ignored)}."
        entries.append(Entry(dump(outcome("warning", "not-supported", text)), None, "outcome"))
    return searchset(entries, _links(address, wish, len(found)), len(found))


def matching(kind: str, held: Sequence[Held], pairs: Sequence[tuple[str, str]]) -> list[Held]:
    """Return what meets the conditions of a conditional create or update.

    Raises
    ------
    SearchError
        A condition is not known, or has a wrong value.
    """
    found = [one for one in held if one.type == kind]
    for name, value in pairs:
        parameter, _, modifier = name.partition(":")
        if parameter not in SEARCH[kind]:
            raise _unknown(kind, name)
        test = _condition(SEARCH[kind][parameter], name, modifier, value)
        found = [one for one in found if test(one)]
    return found


def _unknown(kind: str, name: str) -> SearchError:
    return SearchError(
        name,
        "the parameter is not known here",
        " or ".join(SEARCH[kind]),
        "Leave it out, or search without Prefer: handling=strict.",
        issue="not-supported",
    )


def shown(held: Held, release: str, summary: str, elements: frozenset[str]) -> Json:
    """Return a resource as a release has it, narrowed to what `_summary` and `_elements` leave.

    Raises
    ------
    SearchError
        `_summary` has a value that FHIR does not know.
    """
    inside = bool(elements & _INSIDE) if elements else summary not in {"true", "text"}
    if isinstance(held, Builtin) and not inside:
        return narrowed(held.head_form(release), summary, elements)
    return narrowed(held.form(release), summary, elements)


def narrowed(resource: Json, summary: str, elements: frozenset[str]) -> Json:
    """Return what `_summary` and `_elements` leave of a resource, marked as a part of it.

    Raises
    ------
    SearchError
        `_summary` has a value that FHIR does not know.
    """
    _check_summary(summary)
    if elements:
        kept = {k: v for k, v in resource.items() if k in elements | _MANDATORY}
    elif summary == "true":
        kept = {key: value for key, value in resource.items() if key in _SUMMARY}
    elif summary == "text":
        kept = {k: v for k, v in resource.items() if k in _MANDATORY | {"text"}}
    elif summary == "data":
        kept = {key: value for key, value in resource.items() if key != "text"}
    else:
        return resource
    meta = kept.get("meta", {})
    kept["meta"] = {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}
    return kept


def _check_summary(summary: str) -> None:
    if summary not in {"true", "text", "data", "count", "false"}:
        raise SearchError(
            "_summary",
            f"'{summary}' is no summary",
            "true, text, data, count or false",
            "Correct the value.",
            issue="value",
        )


def _controlled(wish: _Wish, name: str, value: str, max_page_size: int) -> _Wish:
    if name in {"_count", "_offset"}:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise SearchError(
                name, f"'{value}' is no whole number", "0 or more", "Correct it.", issue="value"
            )
        if name == "_count":
            return replace(wish, count=min(int(value), max_page_size))
        return replace(wish, offset=int(value))
    if name == "_summary":
        _check_summary(value)
        return replace(wish, summary=value)
    if name == "_elements":
        asked = frozenset(part.strip() for part in value.split(",") if part.strip())
        return replace(wish, elements=wish.elements | asked)
    if name == "_sort":
        return replace(wish, ignored=(*wish.ignored, name))
    return wish


def _links(address: str, wish: _Wish, total: int) -> list[tuple[str, str]]:
    def url(offset: int) -> str:
        pairs = [*wish.understood, *([("_offset", str(offset))] if offset else [])]
        return address + (f"?{urlencode(pairs)}" if pairs else "")

    links = [("self", url(wish.offset))]
    if wish.summary == "count" or not wish.count:
        return links
    if wish.offset:
        links.append(("previous", url(max(0, wish.offset - wish.count))))
    if wish.offset + wish.count < total:
        links.append(("next", url(wish.offset + wish.count)))
    return links


def _condition(
    parameter: SearchParam, name: str, modifier: str, value: str
) -> Callable[[Held], bool]:
    """Return the test that one parameter of a search makes; commas mean or."""
    compare = _COMPARISONS.get((parameter.type, modifier))
    if compare is None:
        allowed = [m for kind, m in _COMPARISONS if kind == parameter.type and m]
        raise SearchError(
            name,
            f"the modifier ':{modifier}' is not supported here",
            " or ".join(f":{one}" for one in allowed) or "no modifier",
            "Leave it out.",
            issue="not-supported",
        )
    wanted = [one for one in _COMMA.split(value) if one]
    if not wanted:
        raise SearchError(name, "the value is empty", "a value", "Give one.", issue="value")
    if parameter.type != "token":
        wanted = [_ESCAPED.sub(r"\1", one) for one in wanted]

    def test(one: Held) -> bool:
        content = one.head if isinstance(one, Builtin) and not parameter.inside else one.r5
        return any(compare(have, want) for have in parameter.values(content) for want in wanted)

    return test


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _begins(have: Any, want: str) -> bool:
    return _folded(str(have)).startswith(_folded(want))


def _holds(have: Any, want: str) -> bool:
    return _folded(want) in _folded(str(have))


def _equal(have: Any, want: str) -> bool:
    return bool(have == want)


def _below(have: Any, want: str) -> bool:
    return bool(have == want) or str(have).startswith(want.rstrip("/") + "/")


def _token(have: Any, want: str) -> bool:
    """Return whether a `_Token` is meant by ``code``, ``system|code``, ``system|`` or ``|code``."""
    *before, code = (_ESCAPED.sub(r"\1", part) for part in _BAR.split(want, maxsplit=1))
    if code and have.code != code:
        return False
    return not before or have.system == before[0] or (have.implied and not before[0])


_COMPARISONS: Final[Mapping[tuple[str, str], Callable[[Any, str], bool]]] = {
    ("id", ""): _equal,
    ("uri", ""): _equal,
    ("uri", "below"): _below,
    ("string", ""): _begins,
    ("string", "exact"): _equal,
    ("string", "contains"): _holds,
    ("token", ""): _token,
}
