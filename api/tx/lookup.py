"""CodeSystem/$lookup: everything that a code system knows of one concept, in R5 form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from api.tx.asked import asked_code, known_concept, resolved
from api.tx.context import TxContext
from api.tx.parameters import Parameters, parameter, parameters, part
from api.tx.provider import CodeSystemProvider, Concept, Designation, PropertyValue
from api.tx.snomed import SnomedProvider
from api.tx.snomed_properties import ATTRIBUTE_URI
from api.tx.supplements import SupplementedProvider
from api.tx.versions import join_canonical

Json = dict[str, Any]
_OPERATION: Final = "CodeSystem/$lookup"
_EVERYTHING: Final = "*"
_DESIGNATION: Final = "designation"
_LANGUAGE: Final = "lang."
# Asked for as properties, answered as parameters of their own whether asked for or not.
_OWN_PARAMETERS: Final = frozenset({"name", "version", "display", "system", "code", "abstract"})


def lookup(request: Json, context: TxContext) -> Json:
    """Return the Parameters that `$lookup` answers with.

    Without `property`, what the provider shows by default; ``*`` asks for everything,
    ``designation`` and ``lang.X`` for names, all of them or those of a language.

    Parameters
    ----------
    request
        A Parameters resource: code and system, or coding; version, date, property, displayLanguage,
        useSupplement.

    Raises
    ------
    TxError
        The code system, its version, a supplement or the code is not here.
    RequestError, IdentifierError
        No code or system was sent, or the code cannot be one.
    """
    asked = Parameters.of(request)
    coding = asked_code(asked, _OPERATION)
    provider = resolved(coding, context, date=asked.text("date"))
    concept = known_concept(provider, coding.code, f"{_OPERATION} code")
    wanted = frozenset(asked.texts("property"))
    return parameters(
        parameter("name", "string", _name(provider)),
        parameter("code", "code", coding.code),
        parameter("system", "uri", provider.url),
        parameter("version", "string", provider.version) if provider.version else None,
        parameter("display", "string", shown(provider, concept, context)),
        _definition(provider, concept, wanted),
        parameter("abstract", "boolean", provider.status(concept).abstract),
        *(_designation(one) for one in _designations(provider, concept, wanted)),
        *_properties(provider, concept, wanted, context),
    )


def shown(provider: CodeSystemProvider, concept: Concept, context: TxContext) -> str:
    """Return the display in the language of the request, else the code system's, else the code."""
    if context.languages:
        preferred = provider.preferred(concept, context.languages.tags)
        if preferred is not None:
            return preferred.value
    return provider.display(concept) or concept.code


def _name(provider: CodeSystemProvider) -> str:
    """Return the CodeSystem's name; its canonical where it has none."""
    return str(provider.metadata.get("name") or join_canonical(provider.url, provider.version))


def _definition(
    provider: CodeSystemProvider, concept: Concept, wanted: frozenset[str]
) -> Json | None:
    if wanted and not wanted & {_EVERYTHING, "definition"}:
        return None
    text = provider.definition(concept)
    return parameter("definition", "string", text) if text else None


def _designations(
    provider: CodeSystemProvider, concept: Concept, wanted: frozenset[str]
) -> Iterator[Designation]:
    every = not wanted or bool(wanted & {_EVERYTHING, _DESIGNATION})
    languages = {one.removeprefix(_LANGUAGE) for one in wanted if one.startswith(_LANGUAGE)}
    for one in provider.designations(concept):
        language = one.language or provider.language or ""
        if every or language in languages or language.partition("-")[0] in languages:
            yield one


def _designation(one: Designation) -> Json:
    found = []
    if one.language:
        found.append(parameter("language", "code", one.language))
    if one.use is not None:
        found.append(parameter("use", "Coding", dict(one.use)))
    found.append(parameter("value", "string", one.value))
    return part("designation", *found)


def _properties(
    provider: CodeSystemProvider, concept: Concept, wanted: frozenset[str], context: TxContext
) -> Iterator[Json]:
    attributes = {
        one.code: one.description
        for one in provider.properties
        if (one.uri or "").startswith(ATTRIBUTE_URI)
    }
    asked = wanted - _OWN_PARAMETERS
    if wanted and not asked:
        return
    for one in _values(provider, concept, asked):
        if not asked or _EVERYTHING in asked or one.code in asked:
            told = _translated(one, provider, context) if context.languages else one
            yield _property(told, attributes.get(one.code))


def _values(
    provider: CodeSystemProvider, concept: Concept, asked: frozenset[str]
) -> Iterator[PropertyValue]:
    """Yield the stated properties, then what is implied: activity, parents, children."""
    stated = _stated(provider, concept, asked)
    yield from stated
    codes = {one.code for one in stated}
    if "inactive" not in codes:
        yield PropertyValue("inactive", "boolean", provider.status(concept).inactive)
    for name, found in (("parent", provider.parents), ("child", provider.children)):
        if name in codes or (asked and _EVERYTHING not in asked and name not in asked):
            continue
        for one in found(concept):
            display = provider.display(one) or one.code
            yield PropertyValue(name, "code", one.code, display)


def _stated(
    provider: CodeSystemProvider, concept: Concept, asked: frozenset[str]
) -> Sequence[PropertyValue]:
    base = provider.base if isinstance(provider, SupplementedProvider) else provider
    if not isinstance(base, SnomedProvider):
        return provider.concept_properties(concept)
    found = base.lookup_properties(concept, asked)
    if base is provider:
        return found
    added = [one for one in provider.concept_properties(concept) if one.source is not None]
    return [*found, *added]


def _translated(
    one: PropertyValue, provider: CodeSystemProvider, context: TxContext
) -> PropertyValue:
    """Return the property with the description of its code in the language of the request."""
    concept = provider.find(one.value) if one.kind == "code" and one.description else None
    if concept is None:
        return one
    return replace(one, description=shown(provider, concept, context))


def _property(one: PropertyValue, name: str | None) -> Json:
    """Return a property; `name` is the display of its code where that is a concept itself."""
    value = float(one.value) if isinstance(one.value, Decimal) else one.value
    found = [parameter("code", "code", one.code)]
    if name is not None:
        found.append(parameter("code-display", "string", name))
    if one.description is not None:
        found.append(parameter("description", "string", one.description))
    found.append(parameter("value", one.kind, value))
    if one.source is not None:
        found.append(parameter("source", "canonical", one.source))
    return part("property", *found)
