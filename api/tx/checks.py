"""Whether a resource that a site wants to keep is what FHIR and the engine need it to be.

`fhir.resources` checks the form; types in JSON that it is lenient with, codes that it leaves open,
the narrative, and the rules of FHIR that the engine rests on, are checked here. Nothing is mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from api.errors import RequestError
from api.tx.hierarchy import concepts_of
from api.tx.narrative import problem_of
from api.tx.resources_store import R4

Json = dict[str, Any]
_SHOWN: Final = 10
# Less than what makes the models, or a reader of JSON, give up; real resources have a dozen.
_MAX_LEVELS: Final = 100
_STATUS: Final = frozenset({"draft", "active", "retired", "unknown"})
_CONTENT: Final = frozenset({"not-present", "example", "fragment", "complete", "supplement"})
_HIERARCHY: Final = frozenset({"grouped-by", "is-a", "part-of", "classified-with"})
_OPERATORS: Final = frozenset(
    {"=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "exists"}
    | {"child-of", "descendent-leaf"}
)
_RELATIONSHIPS: Final = frozenset(
    {"related-to", "equivalent", "source-is-narrower-than-target"}
    | {"source-is-broader-than-target", "not-related-to"}
)
_EQUIVALENCES: Final = frozenset(
    {"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes"}
    | {"inexact", "unmatched", "disjoint"}
)
_MODES: Final = {
    R4: frozenset({"provided", "fixed", "other-map"}),
    "R5": frozenset({"use-source-code", "fixed", "other-map"}),
}


def checked(resource: Json, release: str) -> None:
    """Refuse a CodeSystem, ValueSet or ConceptMap that is not valid in a FHIR release.

    Raises
    ------
    RequestError
        422 with every problem that was found, up to ten.
    """
    problems = (
        list(problems_of_form(resource, release))
        or list(_not_understood(resource))
        or list(_of_content(resource, release))
    )
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RequestError(
            resource["resourceType"],
            f"the resource is not valid: {shown}{more}",
            f"a {resource['resourceType']} of FHIR {release}",
            "Correct it and send it again.",
            status=422,
            issue="invariant",
        )


def problems_of_form(resource: Json, release: str) -> Iterator[str]:
    """Yield what is wrong with the form of a resource: elements, types, cardinalities."""
    if _is_deeper(resource, _MAX_LEVELS):
        yield f"{_MAX_LEVELS} elements lie inside one another; expected fewer"
        return
    # Importing the models takes a second, which only those who write should wait for.
    if release == R4:
        from fhir.resources.R4B import get_fhir_model_class
    else:
        from fhir.resources import get_fhir_model_class
    try:
        model = get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        yield from _of_json(resource, model)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            place = ".".join(str(part) for part in one["loc"])
            yield f"{place}: {one['msg']}"


def _is_deeper(resource: Json, levels: int) -> bool:
    """Return whether as many objects as `levels` lie inside one another."""
    nodes: list[Any] = [resource]
    for _ in range(levels):
        inside = [child for node in nodes for child in node.values()]
        nodes = []
        while inside:
            # A list in a list is no FHIR, but may be sent.
            lists = [child for child in inside if isinstance(child, list)]
            nodes += (child for child in inside if isinstance(child, dict))
            inside = [child for one in lists for child in one]
        if not nodes:
            return False
    return True


def _of_json(resource: Json, model: BaseModel) -> Iterator[str]:
    """Yield where the JSON has a value of another type than FHIR, or nothing where it has a name.

    The model reads ``"false"`` as false and ``"1"`` as 1. What is kept is what was sent, so that it
    has to be of the right type itself.
    """
    waiting: list[tuple[str, Any, Any]] = [("", resource, model)]
    while waiting:
        place, raw, value = waiting.pop()
        if raw in ("", [], {}):
            yield f"{place}: is empty; FHIR leaves out what has no value"
        elif raw is not None and (wrong := _wrong_type(place, raw, value)):
            yield wrong
        elif isinstance(value, BaseModel):
            for name, entry in type(value).model_fields.items():
                element = entry.alias or name
                if element in raw and element != "resourceType":
                    inner = f"{place}.{element}" if place else element
                    waiting.append((inner, raw[element], getattr(value, name)))
        elif isinstance(value, list):
            pairs = zip(raw, value, strict=True)
            waiting += ((f"{place}.{n}", one, read) for n, (one, read) in enumerate(pairs))


def _wrong_type(place: str, raw: Any, value: Any) -> str | None:
    """Return what is wrong with the type of a value in JSON, which was read as `value`."""
    expected: tuple[type, ...]
    if isinstance(value, BaseModel):
        expected, name = (dict,), "an object"
    elif isinstance(value, list):
        expected, name = (list,), "a list"
    elif isinstance(value, bool):
        expected, name = (bool,), "true or false"
    elif place.endswith("Integer64"):
        expected, name = (str,), "digits as text"
    elif isinstance(value, int):
        expected, name = (int,), "a whole number"
    elif isinstance(value, float | Decimal):
        expected, name = (int, float, Decimal), "a number"
    else:
        expected, name = (str,), "text"
    if isinstance(raw, expected) and (not isinstance(raw, bool) or isinstance(value, bool)):
        return None
    return f"{place}: {raw!r} has the wrong type; expected {name}"


def _not_understood(resource: Json) -> Iterator[str]:
    """Yield what changes the meaning of the rest in a way that nobody here knows, and bad XHTML.

    FHIR: who does not understand `modifierExtension` or `implicitRules` shall not use the resource.
    """
    waiting: list[tuple[str, Any]] = [("", resource)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, list):
            waiting += ((f"{place}.{number}", one) for number, one in enumerate(node))
            continue
        if not isinstance(node, dict):
            continue
        for name, value in node.items():
            inner = f"{place}.{name}" if place else name
            if name in {"modifierExtension", "implicitRules"}:
                yield f"{inner}: not understood here; a resource without it is"
            elif name == "text" and isinstance(value, dict) and "resourceType" in node:
                problem = problem_of(value.get("div", ""))
                if problem is not None:
                    yield f"{inner}.div: {problem}"
            else:
                waiting.append((inner, value))


def _of_content(resource: Json, release: str) -> Iterator[str]:
    yield from _among(resource, "status", _STATUS)
    match resource["resourceType"]:
        case "CodeSystem":
            yield from _of_code_system(resource)
        case "ValueSet":
            yield from _of_value_set(resource)
        case "ConceptMap":
            yield from _of_concept_map(resource, release)


def _of_code_system(resource: Json) -> Iterator[str]:
    yield from _among(resource, "content", _CONTENT)
    yield from _among(resource, "hierarchyMeaning", _HIERARCHY)
    if not resource.get("url"):
        yield "url: a code system without one cannot be referred to"
    supplement = resource.get("content") == "supplement"
    if supplement != ("supplements" in resource):
        yield "supplements: goes with content 'supplement', and only with it"
    seen: set[str] = set()
    for concept in concepts_of(resource):
        code = concept["code"]
        # FHIR invariant csd-1.
        if code in seen:
            yield f"concept.code: '{code}' is there twice"
        seen.add(code)


def _of_value_set(resource: Json) -> Iterator[str]:
    compose = resource.get("compose", {})
    for name in ("include", "exclude"):
        for number, include in enumerate(compose.get(name, ())):
            place = f"compose.{name}.{number}"
            # FHIR invariants vsd-1, vsd-2, vsd-3.
            if "system" not in include and "valueSet" not in include:
                yield f"{place}: has neither a system nor a valueSet"
            if ("concept" in include or "filter" in include) and "system" not in include:
                yield f"{place}: has concepts or filters without a system"
            if "concept" in include and "filter" in include:
                yield f"{place}: has both concepts and filters"
            for one in include.get("filter", ()):
                if "_op" not in one:
                    yield from _among(one, "op", _OPERATORS, f"{place}.filter.")


def _of_concept_map(resource: Json, release: str) -> Iterator[str]:
    name, known = (
        ("equivalence", _EQUIVALENCES) if release == R4 else ("relationship", _RELATIONSHIPS)
    )
    for number, group in enumerate(resource.get("group", ())):
        place = f"group.{number}."
        if not group.get("source") or not group.get("target"):
            yield f"{place}: has no source or no target, so that no code can be found in it"
        for element in group.get("element", ()):
            for target in element.get("target", ()):
                yield from _among(target, name, known, f"{place}element.target.")
        yield from _among(group.get("unmapped", {}), "mode", _MODES[release], f"{place}unmapped.")


def _among(
    node: Mapping[str, Any], name: str, known: frozenset[str], place: str = ""
) -> Iterator[str]:
    value = node.get(name)
    if value is not None and value not in known:
        yield f"{place}{name}: '{value}' is none of {', '.join(sorted(known))}"
