"""FHIR R4 terminology operations over the embedded body structures and the crosswalks.

Every function takes `Arguments` and gives a resource as a dictionary. SNOMED CT body structures
are the one code system that can be looked up; the crosswalk's systems can be translated from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote
from uuid import NAMESPACE_URL, uuid5

from api.concept_maps import CONCEPT_MAPS, EQUIVALENCE, LATERALITY, RELATED_TO
from api.errors import RequestError
from api.parameters import Arguments, coding_value, parameter, parameters, parts
from terminology import ecl
from terminology.concept import SNOMED, Coding, Concept, Laterality
from terminology.crosswalk import Crosswalk
from terminology.errors import UnknownConceptError, UnknownSystemError
from terminology.graph import BodyStructureGraph
from terminology.identifiers import check_sctid, sctid_problem
from terminology.search import search

NAME: Final = "SNOMED CT"
_FHIR_VS: Final = "?fhir_vs"
# Parameters of $translate that would give another answer than the one that is built.
_NOT_TRANSLATED: Final = frozenset(
    {"conceptMap", "conceptMapVersion", "source", "target", "dependency"}
)
# Parameters of $expand that would give another expansion than the one that is built.
_NOT_EXPANDED: Final = frozenset(
    {
        "valueSet",
        "context",
        "contextDirection",
        "date",
        "exclude-system",
        "designation",
        "tx-resource",
    }
)
_SYNONYM: Final = Coding(SNOMED, "900000000000013009", "Synonym")


def lookup(arguments: Arguments, graph: BodyStructureGraph) -> dict[str, Any]:
    """CodeSystem/$lookup: display, synonyms, parents, children, side, history."""
    coding = _asked_coding(arguments, "system", "code")
    _check_version(arguments, coding.version or arguments.text("version"), graph)
    concept = _concept(coding.code, graph, arguments.operation)
    history = graph.history(concept.code)
    items = [
        parameter("name", "String", NAME),
        parameter("version", "String", graph.version),
        parameter("display", "String", concept.display),
    ]
    for term in concept.synonyms:
        use = parameter("use", "Coding", coding_value(_SYNONYM))
        items.append(parts("designation", [use, parameter("value", "String", term)]))
    properties = [
        *(("parent", code) for code in graph.parents(concept.code)),
        *(("child", code) for code in graph.children(concept.code)),
        *(("successor", code) for code in history.successors),
        *(("predecessor", code) for code in history.predecessors),
    ]
    if concept.laterality is not None:
        properties.append(("laterality", concept.laterality.coding.code))
    if concept.unsided is not None:
        properties.append(("unsided", concept.unsided))
    wanted = set(arguments.texts("property"))
    for name, value in properties:
        if not wanted or name in wanted:
            facts = [parameter("code", "Code", name), parameter("value", "Code", value)]
            items.append(parts("property", facts))
    return parameters(items)


def subsumes(arguments: Arguments, graph: BodyStructureGraph) -> dict[str, Any]:
    """CodeSystem/$subsumes: equivalent, subsumes, subsumed-by or not-subsumed."""
    codes = []
    for side in ("A", "B"):
        coding = arguments.coding(f"coding{side}")
        if coding is None:
            system = arguments.text("system") or SNOMED
            coding = Coding(system, arguments.required(f"code{side}"))
        _check_snomed(arguments, coding.system)
        codes.append(_concept(coding.code, graph, f"{arguments.operation} code{side}").code)
    _check_version(arguments, arguments.text("version"), graph)
    return parameters([parameter("outcome", "Code", graph.compare(*codes))])


def validate_code(
    arguments: Arguments, graph: BodyStructureGraph, *, in_value_set: bool
) -> dict[str, Any]:
    """$validate-code of CodeSystem and ValueSet: whether the code is there, and its display."""
    if in_value_set:
        coding = arguments.asked((SNOMED,)) or Coding(
            arguments.text("system") or SNOMED,
            arguments.required("code"),
            version=arguments.text("systemVersion"),
        )
        if coding.system != SNOMED:
            return _not_valid(f"'{coding.system}' has no code in the value set")
    else:
        coding = _asked_coding(arguments, "url", "code", default=SNOMED)
    _check_version(arguments, coding.version or arguments.text("version"), graph)
    reason = sctid_problem(coding.code)
    if reason is not None:
        return _not_valid(f"'{coding.code}' {reason}")
    if coding.code not in graph:
        return _not_valid(f"'{coding.code}' is not a concept of {graph.version}")
    concept = graph.lookup(coding.code)
    if in_value_set:
        url = arguments.required("url")
        if concept.code not in {one.code for one in _value_set(arguments, url, graph)}:
            return _not_valid(f"{concept} is not in the value set", concept.display)
    display = coding.display or arguments.text("display")
    terms = {term.casefold() for term in (concept.display, *concept.synonyms)}
    if display and display.casefold() not in terms:
        return _not_valid(f"'{display}' is no term of {concept}", concept.display)
    return parameters(
        [parameter("result", "Boolean", True), parameter("display", "String", concept.display)]
    )


def translate(arguments: Arguments, crosswalk: Crosswalk) -> dict[str, Any]:
    """ConceptMap/$translate: from a foreign code to SNOMED CT, or back with `reverse`."""
    _refuse(arguments, _NOT_TRANSLATED, "system and code, or coding, and url or targetsystem")
    source = arguments.asked((*crosswalk.systems, SNOMED))
    if source is None:
        system, code = arguments.required("system"), arguments.required("code")
        source = Coding(system, code, version=arguments.text("version"))
    target_system = arguments.text("targetsystem")
    reverse = arguments.flag("reverse", default=False)
    only = _system_of_map(arguments, crosswalk)
    if reverse or source.system == SNOMED:
        # All maps end in SNOMED CT, so a SNOMED CT code can only mean the way back.
        return _reverse(arguments, crosswalk, source, only or target_system)
    if only is not None and source.system != only:
        return _no_match(f"the ConceptMap does not map from '{source.system}'")
    if target_system not in (None, SNOMED):
        return _no_match(f"nothing is mapped to '{target_system}'")
    if source.system in crosswalk.systems:
        held = crosswalk.version(source.system)
        if source.version not in (None, held):
            # The same code may mean something else there, as in the two lists of IRMA.
            return _no_match(f"version '{source.version}' is not mapped; expected '{held}'")
    answer = crosswalk.translate(source)
    matches = [
        _match(
            Coding(SNOMED, target.code, target.display),
            target.predicate,
            target.laterality,
            CONCEPT_MAPS + crosswalk.mapping_set(source.system).name,
        )
        for target in answer.targets
    ]
    return _translation(matches, answer.reason)


def expand(arguments: Arguments, graph: BodyStructureGraph) -> dict[str, Any]:
    """ValueSet/$expand of an implicit SNOMED CT value set, with filter, count and offset."""
    _check_expandable(arguments, graph)
    url = arguments.required("url")
    concepts = list(_value_set(arguments, url, graph))
    text = arguments.text("filter")
    if text:
        kept = {concept.code for concept in concepts}
        hits = search(graph, text, None)
        concepts = [hit.concept for hit in hits if hit.concept.code in kept]
    offset = arguments.whole("offset") or 0
    count = arguments.whole("count")
    designations = arguments.flag("includeDesignations", default=False)
    page = concepts[offset:] if count is None else concepts[offset : offset + count]
    expansion: dict[str, Any] = {
        "identifier": uuid5(NAMESPACE_URL, f"{graph.version} {url} {text or ''}").urn,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "total": len(concepts),
        "offset": offset,
        "parameter": [
            parameter("version", "Uri", f"{SNOMED}|{graph.version}"),
            *(
                parameter(name, kind, value)
                for name, kind, value in (
                    ("filter", "String", text),
                    ("count", "Integer", count),
                    ("offset", "Integer", arguments.whole("offset")),
                    ("includeDesignations", "Boolean", designations or None),
                    ("activeOnly", "Boolean", arguments.flag("activeOnly", default=False) or None),
                )
                if value is not None
            ),
        ],
    }
    if page:
        expansion["contains"] = [_contains(concept, designations) for concept in page]
    return {
        "resourceType": "ValueSet",
        "url": url,
        "status": "active",
        "expansion": expansion,
    }


def _contains(concept: Concept, designations: bool) -> dict[str, Any]:
    element: dict[str, Any] = coding_value(concept.coding)
    if designations and concept.synonyms:
        use = coding_value(_SYNONYM)
        element["designation"] = [{"use": use, "value": term} for term in concept.synonyms]
    return element


def _refuse(arguments: Arguments, names: frozenset[str], expected: str) -> None:
    """Refuse parameters that would change the answer and are not built, rather than leave out."""
    refused = sorted(names & {name for name, _ in arguments.pairs})
    if refused:
        raise RequestError(
            f"{arguments.operation} {refused[0]}",
            "the parameter is not supported",
            expected,
            "Leave it out; /docs shows what the operation takes.",
            issue="not-supported",
        )


def _check_expandable(arguments: Arguments, graph: BodyStructureGraph) -> None:
    _refuse(
        arguments, _NOT_EXPANDED, "url of an implicit SNOMED CT value set, filter, count, offset"
    )
    for name in ("system-version", "force-system-version", "check-system-version"):
        for value in arguments.texts(name):
            system, _, version = value.partition("|")
            if system == SNOMED:
                _check_version(arguments, version, graph)


def _reverse(
    arguments: Arguments, crosswalk: Crosswalk, source: Coding, target_system: str | None
) -> dict[str, Any]:
    if source.system != SNOMED:
        # FHIR R4: with reverse, the code is looked for among the targets, which are SNOMED CT.
        return _no_match(f"nothing is mapped to '{source.system}'")
    check_sctid(source.code, where=f"{arguments.operation} code")
    if target_system is not None and target_system not in crosswalk.systems:
        return _no_match(f"nothing is mapped from '{target_system}'")
    matches = [
        _match(
            target.coding,
            target.predicate,
            target.laterality,
            CONCEPT_MAPS + crosswalk.mapping_set(target.coding.system).name,
        )
        for target in crosswalk.reverse(source.code, target_system)
    ]
    return _translation(matches, f"no table maps to '{source.code}'")


def _match(
    coding: Coding, predicate: str, laterality: Laterality | None, concept_map: str
) -> dict[str, Any]:
    items = [
        parameter("equivalence", "Code", EQUIVALENCE.get(predicate, RELATED_TO)),
        parameter("concept", "Coding", coding_value(coding)),
        parameter("source", "Uri", concept_map),
    ]
    if laterality is not None:
        product = [
            parameter("element", "Uri", LATERALITY),
            parameter("concept", "Coding", coding_value(laterality.coding)),
        ]
        items.append(parts("product", product))
    return parts("match", items)


def _translation(matches: Sequence[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    if not matches:
        return _no_match(reason or "no target")
    return parameters([parameter("result", "Boolean", True), *matches])


def _no_match(reason: str) -> dict[str, Any]:
    return parameters(
        [parameter("result", "Boolean", False), parameter("message", "String", reason)]
    )


def _not_valid(reason: str, display: str | None = None) -> dict[str, Any]:
    items = [parameter("result", "Boolean", False), parameter("message", "String", reason)]
    if display is not None:
        items.append(parameter("display", "String", display))
    return parameters(items)


def _system_of_map(arguments: Arguments, crosswalk: Crosswalk) -> str | None:
    """Return the source system of the ConceptMap that `url` names; `None` without `url`."""
    url = arguments.text("url")
    if url is None:
        return None
    for system in crosswalk.systems:
        if url == CONCEPT_MAPS + crosswalk.mapping_set(system).name:
            return system
    known = [CONCEPT_MAPS + crosswalk.mapping_set(one).name for one in crosswalk.systems]
    raise RequestError(
        f"{arguments.operation} url",
        f"'{url}' is no ConceptMap here",
        " or ".join(known),
        "Leave 'url' out to use the map of the source system.",
        status=404,
        issue="not-found",
    )


def _value_set(arguments: Arguments, url: str, graph: BodyStructureGraph) -> Sequence[Concept]:
    """Return the members of an implicit value set, ordered by code."""
    base, mark, rest = url.partition(_FHIR_VS)
    if not mark or not (base == SNOMED or base.startswith(f"{SNOMED}/")):
        raise RequestError(
            f"{arguments.operation} url",
            f"'{url}' is no value set here",
            f"{SNOMED}?fhir_vs, =isa/CODE or =ecl/EXPRESSION",
            "Write the set as an ECL expression, percent-encoded.",
            status=404,
            issue="not-found",
        )
    if base != SNOMED:
        _check_version(arguments, base, graph)
    kind, _, value = rest.removeprefix("=").partition("/")
    value = unquote(value)
    if rest in {"", "="}:
        return [graph.lookup(code) for code in sorted(graph.codes())]
    if rest.startswith("=") and kind == "ecl":
        return ecl.expand(value, graph)
    if rest.startswith("=") and kind == "isa":
        code = _concept(value, graph, f"{arguments.operation} url").code
        return [graph.lookup(one) for one in sorted(graph.descendants_or_self(code))]
    raise RequestError(
        f"{arguments.operation} url",
        f"the implicit value set '{rest}' is not supported",
        "?fhir_vs, ?fhir_vs=isa/CODE or ?fhir_vs=ecl/EXPRESSION",
        "Write the set as an ECL expression, percent-encoded.",
        status=404,
        issue="not-supported",
    )


def _asked_coding(
    arguments: Arguments, system_name: str, code_name: str, default: str | None = None
) -> Coding:
    coding = arguments.asked((SNOMED,))
    if coding is None:
        system = arguments.text(system_name) or default
        if not system:
            raise arguments.missing(system_name, "coding")
        coding = Coding(system, arguments.required(code_name))
    _check_snomed(arguments, coding.system)
    return coding


def _check_snomed(arguments: Arguments, system: str) -> None:
    if system != SNOMED:
        raise UnknownSystemError(
            f"{arguments.operation} system",
            f"'{system}' is not held here",
            SNOMED,
            "Translate the code first: /r4/ConceptMap/$translate.",
        )


def _check_version(arguments: Arguments, version: str | None, graph: BodyStructureGraph) -> None:
    if version is not None and version != graph.version:
        raise RequestError(
            f"{arguments.operation} version",
            f"'{version}' is not loaded",
            graph.version,
            "Leave the version out to use the one that is loaded.",
            status=404,
            issue="not-found",
        )


def _concept(code: str, graph: BodyStructureGraph, where: str) -> Concept:
    check_sctid(code, where=where)
    if code not in graph:
        raise UnknownConceptError(code, graph.version, where)
    return graph.lookup(code)
