"""A FHIR Parameters resource read by name, and built part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from api.tx.shape import require_shape

Json = dict[str, Any]


class Parameters:
    """The parameters of one operation call, in order; names may repeat.

    Parameters
    ----------
    entries
        The `parameter` array of a Parameters resource.
    """

    __slots__ = ("entries",)

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self.entries: tuple[Mapping[str, Any], ...] = tuple(entries)

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> Parameters:
        """Return the parameters of a Parameters resource.

        Raises
        ------
        TxError
            It is no Parameters resource by its form.
        """
        require_shape(resource, "Parameters", "Parameters")
        return cls(resource.get("parameter") or ())

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.entries)

    def __contains__(self, name: str) -> bool:
        return any(entry.get("name") == name for entry in self.entries)

    def all(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return every entry called `name`."""
        return tuple(entry for entry in self.entries if entry.get("name") == name)

    def value(self, name: str) -> Any:
        """Return the value of the first entry called `name`, whatever its type, or `None`."""
        return next((value_of(entry) for entry in self.all(name)), None)

    def text(self, name: str) -> str | None:
        """Return the first value as text; numbers and booleans as FHIR writes them."""
        return as_text(self.value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values as text."""
        found = (as_text(value_of(entry)) for entry in self.all(name))
        return tuple(text for text in found if text is not None)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean, also where it came as text."""
        text = self.text(name)
        return default if text is None else text == "true"

    def resource(self, name: str) -> Json | None:
        """Return the resource of the first entry called `name` that has one."""
        return next((entry["resource"] for entry in self.all(name) if "resource" in entry), None)

    def resources(self, name: str) -> tuple[Json, ...]:
        """Return the resources of all entries called `name`."""
        return tuple(entry["resource"] for entry in self.all(name) if "resource" in entry)


def value_of(entry: Mapping[str, Any]) -> Any:
    """Return the value[x] or the resource of a parameter, or `None`."""
    for key, value in entry.items():
        if key.startswith("value") and len(key) > 5:
            return value
    return entry.get("resource")


def as_text(value: Any) -> str | None:
    """Return a primitive value as text, `None` for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None


def whole_number(text: str) -> int | None:
    """Return the number that up to nine digits are, `None` for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def parameter(name: str, kind: str, value: Any) -> Json:
    """Return one parameter: `kind` is the FHIR type, ``string`` → valueString."""
    return {"name": name, f"value{kind[0].upper()}{kind[1:]}": value}


def part(name: str, *parts: Json) -> Json:
    """Return a parameter made of parts."""
    return {"name": name, "part": list(parts)}


def resource_parameter(name: str, resource: Json) -> Json:
    """Return a parameter that holds a resource."""
    return {"name": name, "resource": resource}


def parameters(*entries: Json | None) -> Json:
    """Return a Parameters resource; entries that are `None` are left out."""
    return {
        "resourceType": "Parameters",
        "parameter": [entry for entry in entries if entry is not None],
    }
