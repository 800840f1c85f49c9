"""Elements of a resource → what it is found by: tokens, times, strings, amounts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from api.dates import period_of
from api.indexing.parameter import Parameter
from api.indexing.systems import is_snomed
from api.records import Amount, DateRange, Text, Token
from terminology.concept import SNOMED

# The first is what nearly all are, and quick to tell.
_OBJECT: Final = (dict, Mapping)
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


def index_of(parameter: Parameter, value: Any) -> Iterable[Index]:
    """Return what `value`, an element of `parameter`, is found by."""
    return _BY_TYPE[parameter.type](parameter, value)


def codes_of(value: Any, implied: str = "") -> Sequence[tuple[str, str]]:
    """Return system and code of whatever a token parameter may look at, "" for no system."""
    if isinstance(value, bool):
        return [("", "true" if value else "false")]
    if isinstance(value, str):
        return [(implied, value)] if value else ()
    if not isinstance(value, _OBJECT):
        return ()
    if "coding" in value:
        return [pair for coding in value["coding"] for pair in codes_of(coding)]
    code, other = value.get("code"), value.get("value")
    if isinstance(code, str) and "value" not in value:
        return [(_system(value), code)]
    if isinstance(other, str):
        return [(str(value.get("system") or ""), other)]
    return ()


def displays_of(value: Any) -> Iterator[str]:
    """Yield the words that come with a code (FHIR R4, 3.1.1.4.10, ``:text``)."""
    if not isinstance(value, _OBJECT):
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
    elif isinstance(value, _OBJECT):
        for part in _PARTS:
            found = value.get(part)
            yield from (one for one in _listed(found) if isinstance(one, str) and one)


def amounts_of(name: str, value: Any) -> Iterator[Amount]:
    """Yield a Quantity by its code and by its unit, where that is written otherwise."""
    if not isinstance(value, _OBJECT) or isinstance(value.get("value"), bool):
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


def _token(parameter: Parameter, value: Any) -> Iterable[Index]:
    name = parameter.name
    if name in {"email", "phone"} and (
        not isinstance(value, _OBJECT) or value.get("system") != name
    ):
        return ()
    codes = codes_of(value, parameter.system)
    found: list[Index] = []
    if parameter.uid:
        found += (
            Token(name, DICOM_UID, f"urn:oid:{code.removeprefix('urn:oid:')}") for _, code in codes
        )
    else:
        found += (Token(name, system, code) for system, code in codes)
    if not isinstance(value, _OBJECT):
        return found
    if name == "identifier":
        for system, code in codes_of(value.get("type")):
            # FHIR R4, 3.1.1.4.10: identifier:of-type=system|code|value
            found.append(Token(f"{name}:of-type", f"{system}|{code}", str(value.get("value", ""))))
    if not parameter.quiet:
        found += (Text(f"{name}:text", text) for text in dict.fromkeys(displays_of(value)))
    return found


def _reference(parameter: Parameter, value: Any) -> Iterator[Index]:
    name = parameter.name
    if isinstance(value, str):
        value = {"reference": value}
    if not isinstance(value, _OBJECT):
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


def _date(parameter: Parameter, value: Any) -> Iterator[Index]:
    name = parameter.name
    if isinstance(value, str):
        try:
            period = period_of(value)
        except ValueError:
            return
        yield DateRange(name, period.low, period.high)
    elif isinstance(value, _OBJECT) and ("start" in value or "end" in value):
        try:
            low = period_of(value["start"]).low if "start" in value else None
            high = period_of(value["end"]).high if "end" in value else None
        except (TypeError, ValueError):
            return
        yield DateRange(name, low, high)


def _string(parameter: Parameter, value: Any) -> Iterator[Index]:
    return (Text(parameter.name, text) for text in strings_of(value))


def _quantity(parameter: Parameter, value: Any) -> Iterator[Index]:
    return amounts_of(parameter.name, value)


def _uri(parameter: Parameter, value: Any) -> Iterable[Index]:
    return [Token(parameter.name, "", value)] if isinstance(value, str) and value else ()


def _composite(parameter: Parameter, value: Any) -> Iterator[Index]:
    """Yield both parts of a composite together, so that they are found in one element only."""
    if not isinstance(value, _OBJECT):
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


# Type of search parameter → what an element is found by.
_BY_TYPE: Final[Mapping[str, Callable[[Parameter, Any], Iterable[Index]]]] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "string": _string,
    "quantity": _quantity,
    "uri": _uri,
    "composite": _composite,
}


def _system(coding: Mapping[str, Any]) -> str:
    system = str(coding.get("system") or "")
    return SNOMED if is_snomed(system) else system


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, list):
        return value
    return () if value is None else (value,)
