"""The extensions that carry what a release has no element for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.rendering.structure import R4, R5, Element, Structure, structure

Part = dict[str, Any]

_VERSIONS: Final = {R4: "4.0", R5: "5.0"}
_LISTS: Final = ("extension", "modifierExtension")
# The name that HL7's cross-version packages give the type of a value that has no place otherwise.
_TYPE: Final = "_datatype"
_VALUE: Final = "value"


def _url(release: str, path: str) -> str:
    # FHIR R4, 2.1.10: the path is that of the element, without the sign of a choice.
    return f"http://hl7.org/fhir/{_VERSIONS[release]}/StructureDefinition/extension-{path}"


@dataclass(slots=True)
class Kept:
    """What the extensions of a node keep of elements of the target release, by element."""

    parts: dict[str, Part] = field(default_factory=dict)

    def take(self, names: Sequence[str]) -> Part:
        """Return and forget what is kept of these elements."""
        found: Part = {}
        for name in names:
            found.update(self.parts.pop(name, {}))
        return found

    def rest(self) -> Part:
        """Return what is kept of all other elements."""
        return {key: value for part in self.parts.values() for key, value in part.items()}


@dataclass(frozen=True, slots=True)
class Carrier:
    """Puts elements of the source release into extensions, and reads those of the target.

    `shaped` gives a value of a type that both releases have as the target has it.
    """

    source: str
    target: str
    shaped: Callable[[Element, Any], Any]

    # -- extensions → elements ----------------------------------------------------------------

    def split(
        self, content: Part, old: Structure, new: Structure, kind: str
    ) -> tuple[Kept, dict[str, list[Part]]]:
        """Return what extensions keep for the target, and all other extensions."""
        kept = Kept()
        others: dict[str, list[Part]] = {which: [] for which in _LISTS}
        prefix = _url(self.target, f"{new.path}.")
        groups: dict[str, list[tuple[str, Part]]] = {}
        for which in _LISTS:
            listed = content.get(which, ())
            if not isinstance(listed, list):
                others[which] = listed
                continue
            for one in listed:
                url = one.get("url") if isinstance(one, dict) else None
                name = url.removeprefix(prefix) if isinstance(url, str) else ""
                there = self.extension(one) if isinstance(one, dict) else one
                if name != url and new.group(name):
                    groups.setdefault(name, []).append((which, there))
                else:
                    others[which].append(there)
        for name, found in groups.items():
            part = self._read(name, [one for _, one in found], new, kind)
            if part is None:
                for which, one in found:
                    others[which].append(one)
            for key, value in (part or {}).items():
                kept.parts.setdefault(key.removeprefix("_"), {})[key] = value
        return kept, others

    def _read(self, name: str, extensions: Sequence[Part], of: Structure, kind: str) -> Part | None:
        """Return the element `name` out of the extensions that keep it, `None` if they do not."""
        values: list[tuple[Element, Any, Any]] = []
        for one in extensions:
            found = self._value(name, one, of, kind)
            if found is None:
                return None
            values.append(found)
        element = values[0][0]
        if any(one is not element for one, _, _ in values) or (
            len(values) > 1 and not element.many
        ):
            return None
        if not element.many:
            _, value, sibling = values[0]
            return {
                **({element.name: value} if value is not None else {}),
                **({f"_{element.name}": sibling} if sibling is not None else {}),
            }
        part: Part = {}
        if any(value is not None for _, value, _ in values):
            part[element.name] = [value for _, value, _ in values]
        if any(sibling is not None for _, _, sibling in values):
            part[f"_{element.name}"] = [sibling for _, _, sibling in values]
        return part

    def _value(
        self, name: str, one: Part, of: Structure, kind: str
    ) -> tuple[Element, Any, Any] | None:
        """Return the element that an extension keeps, its value and the extensions of that."""
        for element in of.group(name).values():
            inner = structure(element.type, self.target, kind)
            if inner is not None and inner.is_inner:
                inside = one.get("extension")
                return (element, self._item(one, inner, kind), None) if inside else None
            key = _value_key(element.type)
            if key in one:
                return element, one[key], None
            nested: list[Part] = one.get("extension") or [{}]
            if element.is_primitive and nested[0] == {"url": _TYPE, "valueString": element.type}:
                value = next((said.get(key) for said in nested if said.get("url") == _VALUE), None)
                rest = [said for said in nested if said.get("url") not in {_TYPE, _VALUE}]
                same = {"id": one["id"]} if "id" in one else {}
                return element, value, {**same, **({"extension": rest} if rest else {})}
        return None

    def _item(self, one: Part, of: Structure, kind: str) -> Part:
        """Return a backbone element, or a value of a type, out of nested extensions."""
        item: Part = {"id": one["id"]} if "id" in one else {}
        groups: dict[str, list[Part]] = {}
        for child in one["extension"]:
            groups.setdefault(str(child.get("url", "")), []).append(child)
        for name, children in groups.items():
            if name == _TYPE:
                continue
            if name == _LISTS[1]:
                item[name] = children[0].get("extension", [])
                continue
            part = self._read(name, children, of, kind) if of.group(name) else None
            if part is None:
                item.setdefault("extension", []).extend(children)
            else:
                item.update(part)
        return item

    # -- elements → extensions ----------------------------------------------------------------

    def carried(self, part: Mapping[str, Any], of: Structure, kind: str) -> list[Part]:
        """Return the extensions that keep elements of the source release."""
        return [
            self.extension(one)
            for key in dict.fromkeys(key.removeprefix("_") for key in part)
            for one in self._written(of.elements[key], part, _url(self.source, f"{of.path}."), kind)
        ]

    def _written(
        self, element: Element, part: Mapping[str, Any], prefix: str, kind: str
    ) -> list[Part]:
        url = prefix + element.group
        value, sibling = part.get(element.name), part.get(f"_{element.name}")
        if not element.many:
            return [self._one(url, element, value, sibling, kind)]
        values = list(value or ())
        siblings = list(sibling or ())
        length = max(len(values), len(siblings))
        values += [None] * (length - len(values))
        siblings += [None] * (length - len(siblings))
        return [
            self._one(url, element, one, other, kind)
            for one, other in zip(values, siblings, strict=True)
        ]

    def _one(self, url: str, element: Element, value: Any, sibling: Any, kind: str) -> Part:
        inner = structure(element.type, self.source, kind)
        if inner is not None and inner.is_inner and isinstance(value, dict):
            return self._nested(url, value, inner, kind, ())
        key = _value_key(element.type)
        if sibling is None:
            return {"url": url, key: value}
        # A primitive with extensions of its own: an extension has a value or extensions, not both.
        nested: list[Part] = [{"url": _TYPE, "valueString": element.type}]
        if value is not None:
            nested.append({"url": _VALUE, key: value})
        nested += sibling.get("extension", ())
        return {
            **({"id": sibling["id"]} if "id" in sibling else {}),
            "url": url,
            "extension": nested,
        }

    def _nested(
        self, url: str, value: Part, of: Structure, kind: str, first: Sequence[Part]
    ) -> Part:
        children: list[Part] = list(first)
        for key in dict.fromkeys(key.removeprefix("_") for key in value):
            element = of.elements.get(key)
            if key in {*_LISTS, "id"} or element is None:
                continue
            children += self._written(element, value, "", kind)
        if _LISTS[1] in value:
            children.append({"url": _LISTS[1], "extension": value[_LISTS[1]]})
        children += value.get("extension", ())
        return {**({"id": value["id"]} if "id" in value else {}), "url": url, "extension": children}

    # -- extensions of one release → of the other ----------------------------------------------

    def walked(self, content: Any) -> Any:
        """Return `content` with the values of all its extensions as the target release has them."""
        if isinstance(content, dict):
            return {
                key: [self.extension(one) if isinstance(one, dict) else one for one in value]
                if key in _LISTS and isinstance(value, list)
                else self.walked(value)
                for key, value in content.items()
            }
        return [self.walked(one) for one in content] if isinstance(content, list) else content

    def extension(self, one: Part) -> Part:
        """Return an extension whose value is of a type that the target release has."""
        nested = one.get("extension")
        if isinstance(nested, list):
            inside = [
                self.extension(child) if isinstance(child, dict) else child for child in nested
            ]
            return self._folded({**one, "extension": inside})
        for key, value in one.items():
            if not key.startswith(_VALUE):
                continue
            here, there = _extension_value(key, self.source), _extension_value(key, self.target)
            if here is not None and there is None:
                return self._unfolded(one, here, value)
        return {key: self._value_of(key, value) for key, value in one.items()}

    def _value_of(self, key: str, value: Any) -> Any:
        if key.startswith(f"_{_VALUE}"):
            return self.walked(value)
        element = _extension_value(key, self.source) if key.startswith(_VALUE) else None
        return value if element is None else self.shaped(element, value)

    def _unfolded(self, one: Part, element: Element, value: Any) -> Part:
        kind: Part = {"url": _TYPE, "valueString": element.type}
        inner = structure(element.type, self.source)
        if inner is None or not isinstance(value, dict):
            text = {"url": _VALUE, "valueString": str(value)}
            return {key: said for key, said in one.items() if not key.startswith(_VALUE)} | {
                "extension": [kind, text]
            }
        whole = self._nested(one["url"], value, inner, "", ())
        whole["extension"] = [kind, *(self.extension(child) for child in whole["extension"])]
        return {**({"id": one["id"]} if "id" in one else {}), **whole}

    def _folded(self, one: Part) -> Part:
        """Return an extension that stands for a value of a type that the source has not."""
        nested = one["extension"]
        first = nested[0] if nested and isinstance(nested[0], dict) else {}
        name = first.get("valueString") if first.get("url") == _TYPE else None
        if not isinstance(name, str) or not name:
            return one
        key = _value_key(name)
        element = _extension_value(key, self.target)
        if element is None or _extension_value(key, self.source) is not None:
            return one
        inner = structure(name, self.target)
        rest = {key: said for key, said in one.items() if key != "extension"}
        if inner is None:
            return {**rest, key: nested[1].get("valueString")} if len(nested) == 2 else one
        return {**rest, key: self._item({"extension": nested}, inner, "")}


def _value_key(name: str) -> str:
    return _VALUE + name[0].upper() + name[1:]


def _extension_value(key: str, release: str) -> Element | None:
    found = structure("Extension", release)
    return found.elements.get(key) if found is not None else None
