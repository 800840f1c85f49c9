"""The filters of `ValueSet.compose.include.filter` over a CodeSystem resource.

FHIR R5 ValueSet.compose.include.filter.op; what each operator means for the concept itself and for
its properties is in the table at https://hl7.org/fhir/valueset-filter-operator.html.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import re2  # type: ignore[import-untyped]

from api.tx.errors import TxError
from api.tx.hierarchy import Node, closure
from api.tx.messages import issue
from api.tx.property_names import property_value

if TYPE_CHECKING:
    from api.tx.resource_provider import ResourceProvider

_CONCEPT: Final = frozenset({"concept", "code"})
# Properties that are understood without being declared.
_KNOWN: Final = frozenset({"notSelectable", "status", "inactive", "deprecated", "parent", "child"})


def matching(provider: ResourceProvider, prop: str, op: str, value: str) -> Iterable[Node]:
    """Return the concepts that meet one filter, in the order of the code system.

    Raises
    ------
    TxError
        There is no such property or operator here, or `value` is no regular expression.
    """
    if prop in _CONCEPT:
        return _by_place(provider, prop, op, value)
    if prop in {"display", "definition"}:
        return _by_values(provider, prop, op, value, lambda node: _texts(node.json.get(prop)))
    declared = {definition.code for definition in provider.properties}
    if op == "exists" and prop in {"child", "parent"}:
        return _by_neighbours(provider, prop, value)
    if prop in declared:
        return _by_values(provider, prop, op, value, lambda node: _property_texts(node, prop))
    if prop in _KNOWN:
        return _by_values(provider, prop, op, value, lambda node: _implied(provider, node, prop))
    raise not_understood(prop, op, value)


def not_understood(prop: str, op: str, value: str) -> TxError:
    """Return the refusal of a filter that a code system cannot answer."""
    return TxError(
        issue("error", "not-supported", "vs-invalid", "FILTER_NOT_UNDERSTOOD", prop, op, value),
        status=400,
    )


def whole_match(pattern: str) -> Callable[[str], bool]:
    """Return the test whether a whole text matches a regular expression.

    RE2 answers in time linear to the text, so that no pattern of a stranger can hang the service;
    it knows no look-around and no back-references.

    Raises
    ------
    TxError
        `pattern` is no regular expression of RE2.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise TxError(
            issue("error", "invalid", "vs-invalid", "INVALID_REGEX", pattern, text), status=400
        ) from None
    return lambda text: compiled.fullmatch(text) is not None


def _by_place(provider: ResourceProvider, prop: str, op: str, value: str) -> Iterable[Node]:
    if op == "regex":
        fits = whole_match(value)
        return [node for node in provider.nodes() if fits(node.code)]
    if op in {"in", "not-in", "="}:
        asked = {v.strip() for v in value.split(",")} if op != "=" else {value}
        listed = {node.code for code in asked if (node := provider.node(code)) is not None}
        return [node for node in provider.nodes() if (node.code in listed) == (op != "not-in")]
    if op == "exists":
        return provider.nodes() if value == "true" else ()
    start = provider.node(value)
    if start is None:
        return provider.nodes() if op == "is-not-a" else ()
    match op:
        case "is-a":
            kept = {start.code, *(n.code for n in closure(start))}
        case "descendent-of":
            kept = {n.code for n in closure(start)}
        case "descendent-leaf":
            kept = {n.code for n in closure(start) if not n.children}
        case "child-of":
            kept = {n.code for n in start.children}
        case "generalizes":
            kept = {start.code, *(n.code for n in closure(start, up=True))}
        case "is-not-a":
            below = {start.code, *(n.code for n in closure(start))}
            kept = {n.code for n in provider.nodes()} - below
        case _:
            raise not_understood(prop, op, value)
    return [node for node in provider.nodes() if node.code in kept]


def _by_neighbours(provider: ResourceProvider, prop: str, value: str) -> Iterable[Node]:
    wanted = value == "true"
    return [
        node
        for node in provider.nodes()
        if bool(node.children if prop == "child" else node.parents) == wanted
    ]


def value_test(prop: str, op: str, value: str) -> Callable[[Collection[str]], bool]:
    """Return the test whether the values that a concept has for `prop` meet one filter.

    Raises
    ------
    TxError
        The operator does not apply to properties, or `value` is no regular expression.
    """
    listed = {v.strip() for v in value.split(",")}
    match op:
        case "=":
            return lambda found: value in found
        case "in":
            return lambda found: not listed.isdisjoint(found)
        case "not-in":
            return lambda found: listed.isdisjoint(found)
        case "exists":
            return lambda found: bool(found) == (value == "true")
        case "regex":
            fits = whole_match(value)
            return lambda found: any(fits(text) for text in found)
        case _:
            raise not_understood(prop, op, value)


def _by_values(
    provider: ResourceProvider,
    prop: str,
    op: str,
    value: str,
    texts: Callable[[Node], Collection[str]],
) -> Iterable[Node]:
    test = value_test(prop, op, value)
    return [node for node in provider.nodes() if test(texts(node))]


def _texts(value: Any) -> list[str]:
    return [] if value is None else [str(value)]


def _property_texts(node: Node, code: str) -> list[str]:
    found = []
    for prop in node.json.get("property") or ():
        if prop.get("code") == code:
            found += _as_text(property_value(prop)[1])
    return found


def _implied(provider: ResourceProvider, node: Node, meaning: str) -> list[str]:
    """Return the texts of a property that is not declared but commonly understood."""
    if meaning == "inactive":
        return ["true" if provider.names.is_inactive(node.json) else "false"]
    if meaning == "status":
        return _texts(provider.names.status(node.json))
    if meaning in {"parent", "child"}:
        return [n.code for n in (node.parents if meaning == "parent" else node.children)]
    values = provider.names.values(node.json, meaning)
    return [text for value in values for text in _as_text(value)]


def _as_text(value: Any) -> list[str]:
    """Return a property value as a filter may name it; a Coding as its code and as system#code."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, Mapping):
        code = str(value.get("code", ""))
        return [code, f"{value.get('system', '')}#{code}"]
    return _texts(value)
