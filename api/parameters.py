"""FHIR operation parameters: out of a query string or a Parameters body, and back into one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import RequestError
from terminology.concept import Coding


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one operation call, as (name, value) pairs in order.

    A value is text, or a dictionary for a Coding or CodeableConcept.
    """

    operation: str
    pairs: tuple[tuple[str, Any], ...]

    @classmethod
    def of_query(cls, operation: str, pairs: Iterable[tuple[str, str]]) -> Arguments:
        """Return the arguments of a GET."""
        return cls(operation, tuple(pairs))

    @classmethod
    def of_body(cls, operation: str, body: bytes, query: Iterable[tuple[str, str]]) -> Arguments:
        """Return the arguments of a POST with a Parameters resource.

        Raises
        ------
        RequestError
            The body is no Parameters resource in JSON.
        """
        resource = parse_json(body, "Parameters")
        parameters = resource.get("parameter", [])
        if not isinstance(parameters, list):
            raise _malformed("Parameters.parameter", "is no list")
        pairs: list[tuple[str, Any]] = list(query)
        for number, parameter in enumerate(parameters):
            place = f"Parameters.parameter[{number}]"
            if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                raise _malformed(place, "has no name")
            values = [value for key, value in parameter.items() if key.startswith("value")]
            if "resource" in parameter:
                values.append(parameter["resource"])
            if len(values) != 1:
                raise _malformed(place, f"has {len(values)} values, not one")
            value = values[0]
            if isinstance(value, bool):
                value = "true" if value else "false"
            elif isinstance(value, int | float):
                value = str(value)
            if not isinstance(value, str | dict):
                raise _malformed(place, "has a value of no known type")
            pairs.append((parameter["name"], value))
        return cls(operation, tuple(pairs))

    def text(self, name: str) -> str | None:
        """Return the first value of `name` when it is text, else `None`."""
        for key, value in self.pairs:
            if key == name:
                if not isinstance(value, str):
                    raise self.wrong(name, "is no simple value", "text")
                return value.strip()
        return None

    def required(self, name: str) -> str:
        """Return the value of `name`, or raise `RequestError`."""
        value = self.text(name)
        if not value:
            raise self.missing(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`."""
        return tuple(v for key, v in self.pairs if key == name and isinstance(v, str))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean argument."""
        value = self.text(name)
        if value is None:
            return default
        if value not in {"true", "false"}:
            raise self.wrong(name, f"'{value}' is no boolean", "true or false")
        return value == "true"

    def whole(self, name: str) -> int | None:
        """Return a whole number of 0 or more, or `None`."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise self.wrong(name, f"'{value}' is no whole number", "0 or more")
        return int(value)

    def coding(self, name: str) -> Coding | None:
        """Return a Coding argument; ``system|code`` in a query string."""
        for key, value in self.pairs:
            if key == name:
                return self._coding(name, value)
        return None

    def codeable_concept(self, name: str) -> tuple[Coding, ...]:
        """Return the codings of a CodeableConcept argument; empty when it is not there."""
        for key, value in self.pairs:
            if key == name:
                codings = value.get("coding") if isinstance(value, dict) else None
                if not isinstance(codings, list) or not codings:
                    raise self.wrong(name, "has no coding", "a CodeableConcept with a coding")
                return tuple(self._coding(name, coding) for coding in codings)
        return ()

    def asked(self, systems: Collection[str]) -> Coding | None:
        """Return `coding`, or the first coding of `codeableConcept` in one of `systems`.

        Where none of them is in these systems, the first coding stands for the concept, so that
        the answer can name what was asked.
        """
        coding = self.coding("coding")
        if coding is not None:
            return coding
        codings = self.codeable_concept("codeableConcept")
        known = [one for one in codings if one.system in systems]
        return next(iter((*known, *codings)), None)

    def _coding(self, name: str, value: Any) -> Coding:
        if isinstance(value, str):
            system, _, code = value.rpartition("|")
            if not system or not code:
                raise self.wrong(name, "is no Coding", "a Coding, or system|code in an address")
            return Coding(system, code)
        if not isinstance(value, dict):
            raise self.wrong(name, "is no Coding", "a Coding with system and code")
        fields = {key: value.get(key) for key in ("system", "code", "display", "version")}
        if not isinstance(fields["code"], str) or not fields["code"]:
            raise self.wrong(name, "has no code", "a Coding with system and code")
        if any(not isinstance(field, str | None) for field in fields.values()):
            raise self.wrong(name, "has a field that is no text", "a Coding with system and code")
        return Coding(fields["system"] or "", fields["code"], fields["display"], fields["version"])

    def missing(self, *names: str) -> RequestError:
        """Return the error for arguments that are not there."""
        return RequestError(
            f"{self.operation} {names[0]}",
            "the parameter is missing",
            " or ".join(names),
            "See /r4/metadata and the FHIR R4 specification for the operation.",
            issue="required",
        )

    def wrong(self, name: str, what: str, expected: str) -> RequestError:
        """Return the error for an argument with a wrong value."""
        return RequestError(
            f"{self.operation} {name}", what, expected, "Correct the parameter.", issue="value"
        )


def parse_json(body: bytes, kind: str) -> Mapping[str, Any]:
    """Return a resource of type `kind` out of JSON, or raise `RequestError`."""
    try:
        resource = json.loads(body)
        # An escape can stand for half a surrogate pair, which no answer could repeat.
        json.dumps(resource, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(
            "request body",
            "the body is not JSON",
            f"a {kind} resource in JSON",
            "Send Content-Type: application/fhir+json and a JSON body.",
            issue="structure",
        ) from error
    if not isinstance(resource, dict) or resource.get("resourceType") != kind:
        raise _malformed("request body resourceType", f"is not '{kind}'")
    return resource


def parameter(name: str, kind: str, value: Any) -> dict[str, Any]:
    """Return one parameter, such as `parameter("display", "String", "Hand")`."""
    return {"name": name, f"value{kind}": value}


def parts(name: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one parameter that is made of parts."""
    return {"name": name, "part": list(items)}


def parameters(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a Parameters resource."""
    return {"resourceType": "Parameters", "parameter": list(items)}


def coding_value(coding: Coding) -> dict[str, str]:
    """Return a Coding as FHIR has it, without empty fields."""
    fields = {
        "system": coding.system,
        "version": coding.version,
        "code": coding.code,
        "display": coding.display,
    }
    return {key: value for key, value in fields.items() if value}


def _malformed(place: str, what: str) -> RequestError:
    return RequestError(
        place,
        f"the Parameters resource {what}" if place.startswith("Param") else f"the body {what}",
        "a Parameters resource as FHIR R4 has it",
        "Correct the body.",
        issue="structure",
    )
