"""What $translate is asked, in the names of R4 or R5, and how its answer is written in either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.errors import RequestError
from api.tx.maps import Match, as_coding
from api.tx.parameters import Parameters, parameter, part, value_of
from api.tx.versions import split_canonical
from terminology.concept import Coding

Json = dict[str, Any]
VIA: Final = "https://w3id.org/bodysite/ConceptMap#via"
OPERATION: Final = "$translate"
_SOURCES: Final = ("coding", "sourceCoding", "codeableConcept", "sourceCodeableConcept")
_TARGETS: Final = ("targetCoding", "targetCodeableConcept", "targetCode")
# Dependencies of header words that may be sent as parameters of their own.
_PLAIN_DEPENDENCIES: Final = ("field", "modality")
# Names that only R4 has; a request with one of them wants its answer in R4's words.
_R4_NAMES: Final = frozenset(
    {"code", "coding", "codeableConcept", "source", "target", "targetsystem", "reverse"}
)


@dataclass(frozen=True, slots=True)
class TranslationAsked:
    """What a request wants.

    `other` is the system that the answer should be in: that of the targets, or of the sources in
    reverse.
    """

    codings: tuple[Coding, ...]
    reverse: bool
    other: str | None
    source_scope: str | None
    target_scope: str | None
    dependencies: Json = field(default_factory=dict)


def asked_of(given: Parameters) -> TranslationAsked:
    """Return what a request asks.

    Raises
    ------
    RequestError
        No code was given, or no system with it.
    """
    reverse = given.flag("reverse")
    codings = tuple(_codings(given, _TARGETS))
    if codings:
        reverse = True
    else:
        codings = tuple(_codings(given, _SOURCES))
    target_system = given.text("targetSystem") or given.text("targetsystem")
    system = given.text("sourceSystem") or given.text("system")
    if not codings:
        target, source = given.text("targetCode"), given.text("sourceCode") or given.text("code")
        if target and not source:
            reverse = True
            codings = (Coding(_required(target_system, "targetSystem"), target),)
        else:
            if not system:
                raise missing("system", "sourceSystem", "coding", "sourceCoding")
            code = _required(source, "code")
            codings = (Coding(system, code, version=given.text("version")),)
    by_target = any(name in given for name in _TARGETS)
    other = system if by_target else target_system
    return TranslationAsked(
        codings,
        reverse,
        other,
        _scope(given, "sourceScope", "source"),
        _scope(given, "targetScope", "target"),
        _dependencies(given),
    )


def _codings(given: Parameters, names: Sequence[str]) -> Iterator[Coding]:
    for name in names:
        value = given.value(name)
        if not isinstance(value, dict):
            continue
        for one in value.get("coding", ()) if "oncept" in name else (value,):
            yield as_coding(one)


def _scope(given: Parameters, *names: str) -> str | None:
    found = next((given.text(name) for name in names if given.text(name)), None)
    return None if found is None else split_canonical(found)[0]


def _dependencies(given: Parameters) -> Json:
    """Return further values: R5's attribute and value, R4's element and concept."""
    found: Json = {}
    for entry in given.all("dependency"):
        parts = {one.get("name"): value_of(one) for one in entry.get("part", ())}
        name = parts.get("attribute") or parts.get("element")
        value = parts.get("value") or parts.get("concept")
        if isinstance(name, str) and value is not None:
            found[name] = value
    for name in _PLAIN_DEPENDENCIES:
        if text := given.text(name):
            found[name] = text
    return found


def _required(value: str | None, name: str) -> str:
    if not value:
        raise missing(name)
    return value


def missing(*names: str) -> RequestError:
    """Return the error for a parameter that is not there, under any of its names."""
    return RequestError(
        f"{OPERATION} {names[0]}",
        "the parameter is missing",
        " or ".join(names),
        "See /r4/metadata and the FHIR specification for the operation.",
        issue="required",
    )


def wrong(name: str, what: str, expected: str) -> RequestError:
    """Return the error for a parameter with a wrong value."""
    return RequestError(
        f"{OPERATION} {name}", what, expected, "Correct the parameter.", issue="value"
    )


def match_part(match: Match) -> Json:
    """Return one match, with the words of both releases.

    Beside what FHIR has: ``confidence``, from 0 to 1, and ``comment``, what the match rests on.
    """
    made = [
        parameter("relationship", "code", match.relationship),
        parameter("equivalence", "code", match.equivalence),
    ]
    if match.concept:
        made.append(parameter("concept", "Coding", match.concept))
    if match.origin:
        made.append(parameter("originMap", "canonical", match.origin))
    for name, attributes in (("product", match.products), ("dependsOn", match.depends_on)):
        for one in attributes:
            value = {"name": "value", **one.value}
            made.append(part(name, parameter("attribute", "uri", one.uri), value))
    for one in match.properties:
        made.append(
            part("property", parameter("uri", "uri", one.uri), {"name": "value", **one.value})
        )
    if match.via is not None:
        value = parameter("value", "Coding", match.via)
        made.append(part("property", parameter("uri", "uri", VIA), value))
    if match.confidence is not None:
        made.append(parameter("confidence", "decimal", match.confidence))
    made += [parameter("comment", "string", comment) for comment in match.comments]
    return part("match", *made)


def to_r5(answer: Json) -> Json:
    """Return the answer without R4's words, and without matches that have no concept."""
    kept = [one for one in answer["parameter"] if one["name"] != "match" or _has_concept(one)]
    answer = {**answer, "parameter": kept}
    return _with_parts(answer, lambda parts: [one for one in parts if one["name"] != "equivalence"])


def to_r4(answer: Json, request: Json) -> Json:
    """Return the answer in R4's words.

    A request that names its parameters as R5 does gets ``originMap``, others R4's ``source``.
    """
    names = {entry.get("name") for entry in request.get("parameter", ())}
    own = bool(names & _R4_NAMES)

    def change(parts: Sequence[Json]) -> list[Json]:
        made = []
        for one in parts:
            match one["name"]:
                case "relationship":
                    continue
                case "originMap" if own:
                    made.append({"name": "source", "valueUri": one["valueCanonical"]})
                case "product" | "dependsOn":
                    made.append({"name": one["name"], "part": [_renamed(p) for p in one["part"]]})
                case _:
                    made.append(one)
        return made

    return _with_parts(answer, change)


def _has_concept(match: Json) -> bool:
    return any(one["name"] == "concept" for one in match["part"])


def _renamed(one: Json) -> Json:
    if one["name"] == "attribute":
        return {**one, "name": "element"}
    return {**one, "name": "concept"} if "valueCoding" in one else one


def _with_parts(answer: Json, change: Any) -> Json:
    made = [
        {**entry, "part": change(entry["part"])} if entry["name"] == "match" else entry
        for entry in answer["parameter"]
    ]
    return {**answer, "parameter": made}
