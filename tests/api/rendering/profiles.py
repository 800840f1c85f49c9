"""A reader of StructureDefinitions of its own: does a resource follow one?

It walks the elements of a differential (a snapshot has them too): cardinalities, fixed values and
patterns, slices by url, by pattern, by type and by value set, types, required bindings as far as
the value sets are known, and the profiles of extensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
# A value set → whether (system, code) is in it; `None` where nothing is known of it.
Membership = Callable[[str, str, str], bool | None]
_UNBOUNDED = "*"


class Checker:
    """Checks resources against StructureDefinitions.

    Parameters
    ----------
    definitions
        By canonical address.
    member
        Says whether a value set has a code.
    """

    def __init__(self, definitions: Mapping[str, Json], member: Membership) -> None:
        self._definitions = definitions
        self._member = member
        self.unknown: set[str] = set()
        self.seen: set[str] = set()

    def problems(self, resource: Json, url: str) -> list[str]:
        """Return what in `resource` is not as the profile has it."""
        return list(self._check(resource, self._definitions[url]))

    def _check(self, resource: Json, definition: Json) -> Iterator[str]:
        base = self._definitions.get(definition.get("baseDefinition", ""))
        if base is not None:
            yield from self._check(resource, base)
        elements = [
            one
            for one in definition.get("snapshot", definition["differential"])["element"]
            if "." in one["id"]
        ]
        by_id = {one["id"]: one for one in definition["differential"]["element"]} | {
            one["id"]: one for one in elements
        }
        for element in elements:
            path, _, last = element["id"].rpartition(".")
            for parent in self._at(resource, path.split(".")[1:], by_id, path.split(".")[0]):
                values = list(self._children(parent, last, by_id, element["id"]))
                yield from self._element(element, values)

    def _at(
        self, node: Any, steps: list[str], by_id: Mapping[str, Json], prefix: str
    ) -> Iterator[Any]:
        node = _plain(node)
        if not steps:
            yield node
            return
        here = f"{prefix}.{steps[0]}"
        for child in self._children(node, steps[0], by_id, here):
            yield from self._at(child, steps[1:], by_id, here)

    def _children(
        self, node: Any, step: str, by_id: Mapping[str, Json], path: str
    ) -> Iterator[Any]:
        name, _, slice_name = step.partition(":")
        if not isinstance(node, dict):
            return
        if name.endswith("[x]"):
            stem = name.removesuffix("[x]")
            for key, value in node.items():
                fits = key.startswith(stem) and key[len(stem) :][:1].isupper()
                if fits and slice_name in {"", key}:
                    yield _Typed(key, value)
            return
        value = node.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for one in values:
            if not slice_name or self._in_slice(one, by_id, path):
                yield one

    def _in_slice(self, value: Any, by_id: Mapping[str, Json], path: str) -> bool:
        """Return whether a value belongs to the slice `path`, by what the slice says of it."""
        one = by_id[path]
        if "url" in value:
            profiles = [url for kind in one.get("type", []) for url in kind.get("profile", [])]
            fixed = by_id.get(f"{path}.url", {}).get("fixedUri")
            return value["url"] in profiles or value["url"] == fixed
        patterns = [wanted for key, wanted in one.items() if key.startswith("pattern")]
        if patterns:
            return _matches(patterns[0], value)
        bound = one.get("binding", {}).get("valueSet")
        if bound:
            return bool(self._member(bound, value.get("system", ""), value.get("code", "")))
        sliced = by_id[path.rpartition(":")[0]]["slicing"]["discriminator"]
        return all(
            any(
                _matches(wanted, value.get(each["path"]))
                for key, wanted in by_id[f"{path}.{each['path']}"].items()
                if key.startswith(("pattern", "fixed"))
            )
            for each in sliced
        )

    def _element(self, element: Json, values: list[Any]) -> Iterator[str]:
        where = element["id"]
        if values:
            self.seen.add(where)
        low, high = element.get("min", 0), element.get("max", _UNBOUNDED)
        if len(values) < low or (high != _UNBOUNDED and len(values) > int(high)):
            yield f"{where}: {len(values)} values, expected {low}..{high}"
        for value in values:
            plain = _plain(value)
            for key, wanted in element.items():
                if key.startswith("fixed") and plain != wanted:
                    yield f"{where}: {plain!r} is not {wanted!r}"
                if key.startswith("pattern") and not _matches(wanted, plain):
                    yield f"{where}: {plain!r} is not like {wanted!r}"
            yield from self._bound(where, element, plain)
            yield from self._typed(where, element, value)

    def _bound(self, where: str, element: Json, value: Any) -> Iterator[str]:
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return
        codings = _codings(value)
        found = [self._member(binding["valueSet"], *one) for one in codings]
        if None in found:
            self.unknown.add(binding["valueSet"])
        elif not any(found):
            yield f"{where}: none of {codings} is in {binding['valueSet']}"

    def _typed(self, where: str, element: Json, value: Any) -> Iterator[str]:
        plain = _plain(value)
        of_choice = value.key if isinstance(value, _Typed) else ""
        for kind in element.get("type", []):
            if kind["code"] == "Extension":
                for url in kind.get("profile", []):
                    if url in self._definitions:
                        yield from self._check(plain, self._definitions[url])
            if (
                kind["code"] == "Reference"
                and "targetProfile" in kind
                and (not of_choice or of_choice.endswith("Reference"))
            ):
                yield from self._target(where, kind["targetProfile"], plain)
        codes = {kind["code"] for kind in element.get("type", [])}
        if isinstance(value, _Typed) and codes and not element["id"].endswith("url"):
            name = value.key.removeprefix(where.rpartition(".")[2].partition("[")[0])
            if name[0].lower() + name[1:] not in codes and name not in codes:
                yield f"{where}: {value.key} is none of {sorted(codes)}"

    def _target(self, where: str, profiles: list[str], value: Json) -> Iterator[str]:
        kinds = {
            self._definitions[url]["type"] if url in self._definitions else url.rpartition("/")[2]
            for url in profiles
        }
        kind = value.get("type") or value.get("reference", "").partition("/")[0]
        if kind not in kinds:
            yield f"{where}: it refers to {kind!r}, expected {sorted(kinds)}"


class _Typed:
    """A value of a choice, with the key that names its type."""

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self.value = value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Typed) else value


def _matches(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and _matches(one, value[key]) for key, one in pattern.items()
        )
    if isinstance(pattern, list):
        return all(any(_matches(one, other) for other in value) for one in pattern)
    return bool(pattern == value)


def _codings(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [("", value)]
    value = value.get("concept", value)
    codings = value.get("coding", []) if "coding" in value or "text" in value else [value]
    return [(one.get("system", ""), one.get("code", "")) for one in codings]
