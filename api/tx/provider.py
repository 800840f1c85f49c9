"""What the engine asks of a code system, whatever stands behind it.

A CodeSystem resource (`api.tx.resource_provider`) and a SNOMED CT release are both a
`CodeSystemProvider`. A provider answers about one version of one code system; which of them answers
a request is the business of `api.tx.context`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

Json = dict[str, Any]
DISPLAY_USE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
        "code": "preferredForLanguage",
        "display": "Preferred For Language",
    }
)
Content = Literal["complete", "fragment", "example", "not-present", "supplement"]


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept as one provider handed it out; only that provider understands `ref`.

    Parameters
    ----------
    code
        The code as the code system defines it, which may differ in case from the one asked for,
        or the normal rendering of an expression.
    ref
        Whatever lets the provider find the concept again without searching: an ordinal, a node.
    """

    code: str
    ref: Any = None


@dataclass(frozen=True, slots=True)
class Designation:
    """One name of a concept.

    Parameters
    ----------
    language
        BCP-47, `None` when not stated.
    use
        A Coding as JSON, `None` for an unmarked name. The preferred name of a language has
        `DISPLAY_USE`.
    source
        Canonical of the supplement that adds it, `None` for the code system itself.
    """

    value: str
    language: str | None = None
    use: Mapping[str, Any] | None = None
    extension: tuple[Mapping[str, Any], ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property of a concept.

    `kind` is code, Coding, string, integer, boolean, dateTime or decimal. `value` is text for code,
    string and dateTime; `bool`, `int`, `decimal.Decimal` or a Coding as JSON for the others.
    `description` is the display of a coded value.
    """

    code: str
    kind: str
    value: Any
    description: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """A property that concepts of the code system may have."""

    code: str
    kind: str
    uri: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ConceptStatus:
    """What the code system says about the use of a concept.

    Parameters
    ----------
    inactive
        Not for new use.
    abstract
        Not selectable: only there to group others.
    status
        The text of a status property, such as ``deprecated`` or ``retired``; `None` when there is
        none. `inactive` is the answer to whether the concept may be used.
    """

    inactive: bool = False
    abstract: bool = False
    status: str | None = None


class Selection(Protocol):
    """An ordered set of concepts of one provider, never copied to be counted or paged."""

    @property
    def total(self) -> int:
        """How many concepts it holds."""

    @property
    def unclosed(self) -> bool:
        """Whether more codes (expressions) belong to it than can be listed."""

    def contains(self, concept: Concept) -> bool:
        """Return whether `concept`, found by the same provider, belongs to it."""

    def iterate(self, offset: int = 0, limit: int | None = None) -> Iterator[Concept]:
        """Yield the concepts in the provider's stable order, from number `offset` on."""

    def __and__(self, other: Selection, /) -> Selection:
        """Return what both hold; `other` is a selection of the same provider."""

    def __or__(self, other: Selection, /) -> Selection:
        """Return what either holds."""

    def __sub__(self, other: Selection, /) -> Selection:
        """Return what this one holds and `other` does not."""


class CodeSystemProvider(Protocol):
    """One version of one code system."""

    @property
    def url(self) -> str:
        """The canonical of the code system, FHIR's `system`."""

    @property
    def version(self) -> str | None:
        """FHIR's `version`; for SNOMED CT the edition and version URI."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The CodeSystem resource without its concepts.

        The engine reads title, name, status, experimental, publisher, versionAlgorithm,
        versionNeeded, valueSet and the extensions (standards-status).
        """

    @property
    def content(self) -> Content:
        """How much of the code system is here."""

    @property
    def case_sensitive(self) -> bool:
        """Whether codes that differ in case are different."""

    @property
    def language(self) -> str | None:
        """The language of displays that state none."""

    @property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The properties that concepts may have."""

    @property
    def version_label(self) -> str | None:
        """What to call the version in messages, such as the SNOMED CT edition; mostly `None`."""

    @property
    def unclosed_reason(self) -> str | None:
        """Why nobody can list all codes (a grammar), `None` where everything can be listed."""

    @property
    def hierarchical(self) -> bool:
        """Whether an expansion of everything is shown as a tree (`contains` in `contains`)."""

    def find(self, code: str) -> Concept | None:
        """Return the concept of `code`; expressions are accepted where the system has them."""

    def why_unknown(self, code: str) -> str | None:
        """Return a sentence on why `find` has no answer, `None` when there is nothing to add."""

    def display(self, concept: Concept) -> str | None:
        """Return the name in the code system's own language."""

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return every name, the display of each language first, in a stable order."""

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the names that are no longer to be used; `designations` leaves them out."""

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the name to show in the first of `languages` with one; `None` when none has."""

    def process_note(self, concept: Concept) -> str | None:
        """Return what could not be checked about an expression; `None` when all was."""

    def definition(self, concept: Concept) -> str | None:
        """Return the definition."""

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the properties (parent and child only where the code system states them)."""

    def extensions(self, concept: Concept) -> Sequence[Mapping[str, Any]]:
        """Return FHIR extensions of the concept."""

    def status(self, concept: Concept) -> ConceptStatus:
        """Return activity and selectability."""

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right above, in the provider's order."""

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right below, in the provider's order."""

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return whether `ancestor` lies strictly above `descendant`."""

    def all_concepts(self) -> Selection:
        """Return everything that can be listed."""

    def active_concepts(self) -> Selection:
        """Return the concepts that are not inactive."""

    def abstract_concepts(self) -> Selection:
        """Return the concepts that are not selectable."""

    def select(self, codes: Sequence[str]) -> Selection:
        """Return the listed concepts that exist, in the order given."""

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Return the concepts that meet one filter of `compose.include.filter`.

        Raises
        ------
        TxError
            The code system has no such property or operator, or `value` makes no sense for it.
        """

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return the concepts of `within` whose names fit what a user typed, best first."""


class PlainProvider:
    """What most code systems say nothing of; a provider overrides what its own has to say."""

    @property
    def version_label(self) -> str | None:
        """Nothing: the version needs no words."""
        return None

    @property
    def unclosed_reason(self) -> str | None:
        """Nothing: every code can be listed."""
        return None

    def why_unknown(self, code: str) -> str | None:
        """Return nothing: there is no more to say than that the code is not there."""
        return None

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return nothing: no name was withdrawn."""
        return ()

    def process_note(self, concept: Concept) -> str | None:
        """Return nothing: all of a code was checked."""
        return None

    def definition(self, concept: Concept) -> str | None:
        """Return nothing: concepts are not defined."""
        return None

    def extensions(self, concept: Concept) -> Sequence[Mapping[str, Any]]:
        """Return nothing: concepts have no extensions."""
        return ()

    def status(self, concept: Concept) -> ConceptStatus:
        """Return that every code may be used."""
        return ConceptStatus()
