"""Resources of one FHIR release → the same resources in another.

What the other release has no element for, and what its elements cannot hold, goes into an
extension that stands where the element would (FHIR R5, 2.1.10 "Extensions for converting between
versions": ``http://hl7.org/fhir/[version]/StructureDefinition/extension-[Path]``), and comes back
from there. An extension is believed only while it agrees with the elements beside it, so that a
client that changes an element need not know of the extension.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from api.errors import RequestError
from api.rendering.carried import Carrier
from api.rendering.rules import MODIFIERS, NEEDED, RULES
from api.rendering.shapes import ABSENT, Part, Rule
from api.rendering.structure import COMMON, R4, R5, Element, Structure, structure

RELEASES: Final = (R4, R5)
_LISTS: Final = ("extension", "modifierExtension")


def rendered(body: str | Mapping[str, Any], release: str) -> dict[str, Any]:
    """Return a stored resource as `release` has it.

    Parameters
    ----------
    body
        The resource in R4, as JSON or parsed; a mapping stays as it is.
    release
        "R4", which is what is stored, or "R5".
    """
    content = json.loads(body) if isinstance(body, str) else dict(body)
    return content if release == R4 else _converted(content, R4, R5)


def taken_in(content: Mapping[str, Any], kind: str, release: str) -> dict[str, Any]:
    """Return what a client sent in `release` as it is stored, in R4.

    What is not as `release` has it stays as it is, so that a check of the result refuses it.

    Parameters
    ----------
    kind
        The type of resource that is expected; content of another type is not touched.

    Raises
    ------
    RequestError
        The content is nested too deeply to be followed.
    """
    if release == R4 or content.get("resourceType", kind) != kind:
        return dict(content)
    try:
        return _converted({"resourceType": kind, **content}, R5, R4)
    except RecursionError:
        raise RequestError(
            kind, "it is nested too deeply", "an ordinary resource", "Send it with less nesting."
        ) from None


def _converted(content: Mapping[str, Any], source: str, target: str) -> dict[str, Any]:
    return _Conversion(source, target).resource(dict(content))


@dataclass(frozen=True, slots=True)
class _Conversion:
    """A way from one release to another."""

    source: str
    target: str

    @property
    def carrier(self) -> Carrier:
        return Carrier(self.source, self.target, self.value)

    def resource(self, content: Part) -> Part:
        kind = content.get("resourceType", "")
        if not isinstance(kind, str) or structure(kind, self.target) is None:
            return dict(self.carrier.walked(content))
        new = self.node(content, kind, kind)
        inside = new.get("contained")
        if isinstance(inside, list):
            new["contained"] = [
                self.resource(one) if isinstance(one, dict) else one for one in inside
            ]
        return new

    def node(self, content: Part, name: str, kind: str) -> Part:
        """Return one resource, backbone element or data type."""
        old, new = structure(name, self.source, kind), structure(name, self.target, kind)
        carrier = self.carrier
        if old is None or new is None:
            return dict(carrier.walked(content))
        out: Part = {}
        left: list[Part] = []
        kept, lists = carrier.split(content, old, new, kind)
        seen: set[str] = set()
        for rule in RULES.get(old.path, ()):
            names, others, forth, back = _directed(rule, self.target)
            part = _pick(content, names)
            if not _formed(part, old, kind, self.source):
                continue
            seen.update(names)
            here = carrier.walked(part)
            candidate = kept.take(others)
            if candidate and back(candidate) == here:
                out.update(candidate)
                continue
            said = forth(here)
            out.update(said)
            if back(said) != here:
                left += carrier.carried(part, old, kind)
        for key, value in content.items():
            base = key.removeprefix("_")
            if base in seen or key in _LISTS:
                continue
            element, other = old.elements.get(base), new.elements.get(base)
            if base == "contained":
                out[key] = value
            elif base in COMMON or element is None:
                out[key] = carrier.walked(value)
            elif other is not None and other.many == element.many:
                out[key] = (
                    self.value(element, value, kind) if base == key else carrier.walked(value)
                )
            elif base == key or base not in content:
                part = _pick(content, (base,))
                if _formed(part, old, kind, self.source):
                    left += carrier.carried(part, old, kind)
                else:
                    out[key] = value
        for key, value in kept.rest().items():
            out.setdefault(key, value)
        self._need(out, old, new)
        for which in _LISTS:
            more = [
                one for one in left if (_modifies(one) and old.is_resource) == (which != _LISTS[0])
            ]
            if lists[which] or more:
                out[which] = [*lists[which], *more]
        return _ordered(out, new)

    def value(self, element: Element, value: Any, kind: str = "") -> Any:
        """Return the value of an element that both releases have."""
        if isinstance(value, list):
            return [self.value(element, one, kind) for one in value]
        if not isinstance(value, dict) or not _differs(element.type, kind):
            return self.carrier.walked(value)
        return self.node(value, element.type, kind)

    def _need(self, out: Part, old: Structure, new: Structure) -> None:
        """Say that a value is not known where one must be and none is left."""
        group, stand_in = NEEDED.get(old.path, ("", ""))
        if not group:
            return
        others = new.group(group).keys() - {stand_in}
        if out.get(stand_in) == ABSENT and others & out.keys():
            del out[stand_in]
        elif not new.group(group).keys() & out.keys():
            out[stand_in] = dict(ABSENT)


def _ordered(content: Part, of: Structure) -> Part:
    """Return the elements in the order of their definition, unknown ones last."""
    names = ("resourceType", *of.elements)
    known = {key: content[key] for name in names for key in (name, f"_{name}") if key in content}
    return known | content


def _directed(
    rule: Rule, target: str
) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[Part], Part], Callable[[Part], Part]]:
    if target == R5:
        return rule.r4, rule.r5, rule.up, rule.down
    return rule.r5, rule.r4, rule.down, rule.up


def _pick(content: Part, names: tuple[str, ...]) -> Part:
    return {key: content[key] for name in names for key in (name, f"_{name}") if key in content}


def _modifies(extension: Part) -> bool:
    return str(extension.get("url", "")).rpartition("extension-")[2] in MODIFIERS


@cache
def _differs(name: str, kind: str) -> bool:
    """Return whether a type, or one inside it, differs between the releases."""
    return any(one in RULES or one in NEEDED for one in _paths(name, kind, frozenset())) or any(
        _unlike(name, kind, frozenset())
    )


def _paths(name: str, kind: str, above: frozenset[str]) -> Iterator[str]:
    found = structure(name, R4, kind)
    if found is None or name in above or name == "Extension":
        return
    yield found.path
    for element in found.elements.values():
        if not element.is_primitive:
            yield from _paths(element.type, kind, above | {name})


def _unlike(name: str, kind: str, above: frozenset[str]) -> Iterator[bool]:
    """Yield `True` for each type at or under `name` that has other elements in R5."""
    old, new = structure(name, R4, kind), structure(name, R5, kind)
    if old is None or new is None or name in above or name == "Extension":
        return
    if old.elements.keys() != new.elements.keys():
        yield True
    for element in old.elements.values():
        if not element.is_primitive:
            yield from _unlike(element.type, kind, above | {name})


def _formed(part: Part, of: Structure, kind: str, release: str) -> bool:
    """Return whether lists and objects stand where the release has them."""
    for key, value in part.items():
        element = of.elements.get(key)
        if element is None:
            if not key.startswith("_") or not isinstance(value, dict | list):
                return False
            continue
        if isinstance(value, list) != element.many:
            return False
        for item in value if isinstance(value, list) else (value,):
            if element.is_primitive:
                if isinstance(item, dict | list):
                    return False
                continue
            inner = structure(element.type, release, kind)
            if not isinstance(item, dict):
                return False
            if inner is not None and not _formed(
                {key: one for key, one in item.items() if key in inner.elements},
                inner,
                kind,
                release,
            ):
                return False
    return True
