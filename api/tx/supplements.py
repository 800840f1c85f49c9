"""A code system seen with its supplements: more names, properties and extensions, no more codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from api.tx.filters import value_test
from api.tx.hierarchy import concepts_of
from api.tx.languages import closeness, first_in
from api.tx.property_names import property_value
from api.tx.provider import (
    CodeSystemProvider,
    Concept,
    ConceptStatus,
    Content,
    Designation,
    Json,
    PropertyDefinition,
    PropertyValue,
    Selection,
)
from api.tx.resource_provider import designation_of
from api.tx.selections import ListSelection
from api.tx.text_filter import rank
from api.tx.versions import join_canonical, matches, split_canonical

_TYPE_URL: Final = "http://hl7.org/fhir/StructureDefinition/codesystem-supplement-type"


def canonical_of(supplement: Mapping[str, Any]) -> str:
    """Return url and version of a supplement."""
    return join_canonical(str(supplement.get("url", "")), supplement.get("version"))


def is_called(supplement: Mapping[str, Any], canonical: str) -> bool:
    """Return whether `canonical` names this supplement; a version in it may be partial."""
    url, version = split_canonical(canonical)
    if supplement.get("url") != url:
        return False
    return version is None or matches(version, supplement.get("version"))


def is_language_pack(supplement: Mapping[str, Any]) -> bool:
    """Return whether it only translates, so that it applies without being asked for."""
    return any(
        extension.get("url") == _TYPE_URL and "lang-pack" in extension.values()
        for extension in supplement.get("extension") or ()
    )


def supplements_system(supplement: Mapping[str, Any], url: str, version: str | None) -> bool:
    """Return whether it supplements this version of a code system."""
    base, wanted = split_canonical(str(supplement.get("supplements", "")))
    return base == url and (wanted is None or version is None or matches(wanted, version))


class SupplementedProvider:
    """`base` with what its supplements add; concepts and their sets are those of `base`.

    Parameters
    ----------
    supplements
        CodeSystem resources in R5 form, in the order in which their names are shown.
    """

    def __init__(self, base: CodeSystemProvider, supplements: Sequence[Json]) -> None:
        self.base = base
        self._canonicals = tuple(canonical_of(s) for s in supplements)
        self._supplements = tuple(supplements)
        self._additions: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for supplement in supplements:
            for concept in concepts_of(supplement):
                found = base.find(str(concept.get("code", "")))
                if found is not None:
                    entry = (canonical_of(supplement), concept)
                    self._additions.setdefault(found.code, []).append(entry)

    @property
    def supplements(self) -> tuple[str, ...]:
        """The canonicals of the supplements in use."""
        return self._canonicals

    @property
    def url(self) -> str:
        """The canonical of the code system."""
        return self.base.url

    @property
    def version(self) -> str | None:
        """The version of the code system."""
        return self.base.version

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The code system's own."""
        return self.base.metadata

    @property
    def content(self) -> Content:
        """How much of the code system is here."""
        return self.base.content

    @property
    def case_sensitive(self) -> bool:
        """As in the code system."""
        return self.base.case_sensitive

    @property
    def language(self) -> str | None:
        """The language of the code system."""
        return self.base.language

    @property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The properties of the code system, then those that only supplements declare."""
        found = {definition.code: definition for definition in self.base.properties}
        for supplement in self._supplements:
            for p in supplement.get("property") or ():
                definition = PropertyDefinition(
                    p["code"], p.get("type", "string"), p.get("uri"), p.get("description")
                )
                found.setdefault(definition.code, definition)
        return list(found.values())

    @property
    def hierarchical(self) -> bool:
        """As in the code system."""
        return self.base.hierarchical

    @property
    def version_label(self) -> str | None:
        """As in the code system."""
        return self.base.version_label

    @property
    def unclosed_reason(self) -> str | None:
        """As in the code system."""
        return self.base.unclosed_reason

    def find(self, code: str) -> Concept | None:
        """Return the concept of the code system."""
        return self.base.find(code)

    def why_unknown(self, code: str) -> str | None:
        """Return what the code system says."""
        return self.base.why_unknown(code)

    def display(self, concept: Concept) -> str | None:
        """Return the code system's own display."""
        return self.base.display(concept)

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the names of the code system, then those of the supplements."""
        return [*self.base.designations(concept), *self._added_designations(concept)]

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return those of the code system."""
        return self.base.inactive_designations(concept)

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the closest name in the first of `languages` that has one anywhere."""
        added = self._added_designations(concept)
        for language in languages:
            own = self.base.preferred(concept, [language])
            other = first_in(added, [language])
            if own is None or other is None:
                if own or other:
                    return own or other
                continue
            near = closeness(language, own.language or language)
            return own if near >= closeness(language, other.language or "") else other
        return None

    def process_note(self, concept: Concept) -> str | None:
        """Return what the code system says."""
        return self.base.process_note(concept)

    def definition(self, concept: Concept) -> str | None:
        """Return the code system's definition, or the first of a supplement."""
        own = self.base.definition(concept)
        added = (c.get("definition") for _, c in self._additions.get(concept.code, ()))
        return own or next((text for text in added if text), None)

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the properties of the code system, then those of the supplements."""
        found = list(self.base.concept_properties(concept))
        for source, addition in self._additions.get(concept.code, ()):
            for prop in addition.get("property") or ():
                kind, value = property_value(prop)
                if value is not None:
                    found.append(PropertyValue(prop["code"], kind, value, source=source))
        return found

    def extensions(self, concept: Concept) -> Sequence[Mapping[str, Any]]:
        """Return the extensions of the code system, then those of the supplements."""
        added = (c.get("extension") or () for _, c in self._additions.get(concept.code, ()))
        return [*self.base.extensions(concept), *chain.from_iterable(added)]

    def status(self, concept: Concept) -> ConceptStatus:
        """Return the status in the code system."""
        return self.base.status(concept)

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return those of the code system."""
        return self.base.parents(concept)

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return those of the code system."""
        return self.base.children(concept)

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return what the code system says."""
        return self.base.subsumes(ancestor, descendant)

    def all_concepts(self) -> Selection:
        """Return those of the code system."""
        return self.base.all_concepts()

    def active_concepts(self) -> Selection:
        """Return those of the code system."""
        return self.base.active_concepts()

    def abstract_concepts(self) -> Selection:
        """Return those of the code system."""
        return self.base.abstract_concepts()

    def select(self, codes: Sequence[str]) -> Selection:
        """Return concepts of the code system."""
        return self.base.select(codes)

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Return concepts by a property of the code system, or by one that a supplement adds."""
        own = {definition.code for definition in self.base.properties}
        added = {definition.code for definition in self.properties} - own
        if prop not in added:
            return self.base.filter(prop, op, value)
        test = value_test(prop, op, value)
        return ListSelection(
            concept
            for concept in self.base.all_concepts().iterate()
            if test([str(p.value) for p in self.concept_properties(concept) if p.code == prop])
        )

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return what the code system finds, then what only a supplement's name fits."""
        own = self.base.search(text, within, languages)
        added = []
        for code in self._additions:
            concept = self.base.find(code)
            if concept is None or not within.contains(concept):
                continue
            if rank(text, "", [d.value for d in self._added_designations(concept)]) is not None:
                added.append(code)
        return own | self.base.select(added) if added else own

    def _added_designations(self, concept: Concept) -> list[Designation]:
        return [
            designation_of(entry, source)
            for source, addition in self._additions.get(concept.code, ())
            for entry in addition.get("designation") or ()
        ]
