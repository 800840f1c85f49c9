"""Elements of a resource → what it is found by: tokens, times, strings, amounts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from api.dates import period_of
from api.indexing.parameter import Parameter
from api.indexing.systems import is_snomed
from api.records import Amount, DateRange, Text, Token
from terminology.concept import SNOMED

Index = Token | DateRange | Text | Amount
DICOM_UID: Final = "urn:dicom:uid"
# FHIR R4, 2.3.0.1 and 2.1.0.5: a reference to a resource, maybe to a version of it.
_REFERENCE: Final = re.compile(
    r"(?:(?P<base>[A-Za-z][A-Za-z0-9+.\-]*://\S*[^/\s])/)?(?P<type>[A-Z][A-Za-z]*)/"
    r"(?P<id>[A-Za-z0-9.\-]{1,64})(?:/_history/[A-Za-z0-9.\-]{1,64})?",
    re.ASCII,
)
# Parts of a HumanName and of an Address that a search by name or address looks at.
_PARTS: Final = (
    "text", "family", "given", "prefix", "suffix", "line", "city", "district", "state",
    "postalCode", "country",
)  # fmt: skip


def index_of(parameter: Parameter, value: Any) -> Iterator[Index]:
    """Yield what `value`, an element of `parameter`, is found by."""
    match parameter.type:
        case "token":
            yield from _token(parameter, value)
        case "reference":
            yield from _reference(parameter, value)
        case "date":
            yield from _date(parameter.name, value)
        case "string":
            yield from (Text(parameter.name, text) for text in strings_of(value))
        case "quantity":
            yield from amounts_of(parameter.name, value)
        case "uri":
            if isinstance(value, str) and value:
                yield Token(parameter.name, "", value)
        case "composite":
            yield from _composite(parameter, value)


def codes_of(value: Any, implied: str = "") -> Iterator[tuple[str, str]]:
    """Yield system and code of whatever a token parameter may look at, "" for no system."""
    if isinstance(value, bool):
        yield "", "true" if value else "false"
    elif isinstance(value, str):
        if value:
            yield implied, value
    elif not isinstance(value, Mapping):
        return
    elif "coding" in value:
        for coding in value["coding"]:
            yield from codes_of(coding)
    elif isinstance(value.get("code"), str) and "value" not in value:
        yield _system(value), value["code"]
    elif isinstance(value.get("value"), str):
        yield str(value.get("system") or ""), value["value"]


def displays_of(value: Any) -> Iterator[str]:
    """Yield the words that come with a code (FHIR R4, 3.1.1.4.10, ``:text``)."""
    if not isinstance(value, Mapping):
        return
    for coding in value.get("coding", ()):
        yield from displays_of(coding)
    named = value.get("type")
    if isinstance(named, Mapping):
        yield from displays_of({"text": named.get("text")})
    for key in ("display", "text"):
        if isinstance(value.get(key), str) and value[key]:
            yield value[key]


def strings_of(value: Any) -> Iterator[str]:
    """Yield the strings of a string, of a HumanName or of an Address."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for part in _PARTS:
            found = value.get(part)
            yield from (one for one in _listed(found) if isinstance(one, str) and one)


def amounts_of(name: str, value: Any) -> Iterator[Amount]:
    """Yield a Quantity by its code and by its unit, where that is written otherwise."""
    if not isinstance(value, Mapping) or isinstance(value.get("value"), bool):
        return
    try:
        number = float(value["value"])
    except (KeyError, TypeError, ValueError):
        return
    if not math.isfinite(number):
        return
    code, unit = str(value.get("code") or ""), str(value.get("unit") or "")
    yield Amount(name, str(value.get("system") or ""), code, number)
    if unit and unit != code:
        yield Amount(name, "", unit, number)


class Target(NamedTuple):
    """What a reference points at: a resource by type and id, of another server where it has a base.

    Without a type, `id` is an address that says no more.
    """

    base: str
    type: str
    id: str

    @property
    def token(self) -> tuple[str, str]:
        """System and code of its token: type and id, or no system and the address."""
        if self.base:
            return "", f"{self.base}/{self.type}/{self.id}"
        return self.type, self.id


def target_of(reference: str) -> Target:
    """Return what a reference points at; of a version of a resource, the resource."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return Target("", "", reference)
    return Target(match["base"] or "", match["type"], match["id"])


def _token(parameter: Parameter, value: Any) -> Iterator[Index]:
    name = parameter.name
    if name in {"email", "phone"} and (
        not isinstance(value, Mapping) or value.get("system") != name
    ):
        return
    for system, code in codes_of(value, parameter.system):
        if parameter.uid:
            yield Token(name, DICOM_UID, f"urn:oid:{code.removeprefix('urn:oid:')}")
        else:
            yield Token(name, system, code)
    if name == "identifier" and isinstance(value, Mapping):
        for system, code in codes_of(value.get("type")):
            # FHIR R4, 3.1.1.4.10: identifier:of-type=system|code|value
            yield Token(f"{name}:of-type", f"{system}|{code}", str(value.get("value", "")))
    if not parameter.quiet:
        for text in dict.fromkeys(displays_of(value)):
            yield Text(f"{name}:text", text)


def _reference(parameter: Parameter, value: Any) -> Iterator[Index]:
    name = parameter.name
    if isinstance(value, str):
        value = {"reference": value}
    if not isinstance(value, Mapping):
        return
    address = value.get("reference")
    target = target_of(address) if isinstance(address, str) and address else None
    kind = (target.type if target else "") or value.get("type")
    if parameter.only and kind not in (None, "", parameter.targets[0]):
        return
    # A fragment points into the resource itself (FHIR R4, 2.3.0.2).
    if target is not None and not target.id.startswith("#"):
        yield Token(name, *target.token)
    identifier = value.get("identifier")
    if isinstance(identifier, Mapping) and isinstance(identifier.get("value"), str):
        yield Token(f"{name}:identifier", str(identifier.get("system") or ""), identifier["value"])


def _date(name: str, value: Any) -> Iterator[DateRange]:
    if isinstance(value, str):
        try:
            period = period_of(value)
        except ValueError:
            return
        yield DateRange(name, period.low, period.high)
    elif isinstance(value, Mapping) and ("start" in value or "end" in value):
        try:
            low = period_of(value["start"]).low if "start" in value else None
            high = period_of(value["end"]).high if "end" in value else None
        except (TypeError, ValueError):
            return
        yield DateRange(name, low, high)


def _composite(parameter: Parameter, value: Any) -> Iterator[Index]:
    """Yield both parts of a composite together, so that they are found in one element only."""
    if not isinstance(value, Mapping):
        return
    first, second = parameter.parts
    for path in first.paths:
        for system, code in codes_of(value.get(path)):
            named = f"{system}|{code}"
            for other in second.paths:
                for one in _listed(value.get(other)):
                    if second.type == "quantity":
                        yield from amounts_of(f"{parameter.name}${named}", one)
                    else:
                        yield from (
                            Token(parameter.name, named, f"{there}|{code_there}")
                            for there, code_there in codes_of(one)
                        )


def _system(coding: Mapping[str, Any]) -> str:
    system = str(coding.get("system") or "")
    return SNOMED if is_snomed(system) else system


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, list):
        return value
    return () if value is None else (value,)
