"""A CodeSystem resource as a provider: its concepts, their hierarchy and names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from api.tx.filters import matching
from api.tx.hierarchy import Node, closure, link
from api.tx.languages import first_in
from api.tx.property_names import PropertyNames, property_value
from api.tx.provider import (
    DISPLAY_USE,
    Concept,
    ConceptStatus,
    Content,
    Designation,
    Json,
    PlainProvider,
    PropertyDefinition,
    PropertyValue,
    Selection,
)
from api.tx.selections import ListSelection
from api.tx.text_filter import rank

_HEADER_LEAVES_OUT: Final = frozenset({"concept", "text", "contained"})


@dataclass(frozen=True, slots=True)
class _Tree:
    """The concepts of a code system by code, and by code without case where that does not count."""

    nodes: Mapping[str, Node]
    folded: Mapping[str, Node]


class ResourceProvider(PlainProvider):
    """The provider of a CodeSystem resource in R5 form.

    Concepts come in the order of the resource, each before those inside it.

    Parameters
    ----------
    resource
        The resource; its concepts may be left out.
    concepts
        Makes them when somebody first asks for one.
    """

    def __init__(
        self, resource: Json, concepts: Callable[[], Iterable[Json]] | None = None
    ) -> None:
        self._resource = resource
        self._concepts = concepts
        self._names = PropertyNames.of(resource.get("property") or ())
        self._lock = threading.Lock()
        self._tree = self._grown(resource.get("concept") or ()) if concepts is None else None

    @property
    def _nodes(self) -> Mapping[str, Node]:
        return self._whole().nodes

    def _whole(self) -> _Tree:
        """Return the concepts, made once: nodes are told apart by identity."""
        if self._tree is None:
            with self._lock:
                if self._tree is None and self._concepts is not None:
                    self._tree = self._grown(self._concepts())
        assert self._tree is not None  # noqa: S101
        return self._tree

    def _grown(self, concepts: Iterable[Mapping[str, Any]]) -> _Tree:
        nodes: dict[str, Node] = {}
        _add(nodes, concepts)
        self._link_by_property(nodes)
        return _Tree(nodes, {} if self.case_sensitive else {c.lower(): n for c, n in nodes.items()})

    # What the code system says about itself

    @property
    def url(self) -> str:
        """The canonical of the code system."""
        return str(self._resource.get("url", ""))

    @property
    def version(self) -> str | None:
        """FHIR's version."""
        return self._resource.get("version")

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """The resource without its concepts."""
        return {k: v for k, v in self._resource.items() if k not in _HEADER_LEAVES_OUT}

    @property
    def content(self) -> Content:
        """How much of the code system is here."""
        found: Content = self._resource.get("content", "complete")
        return found

    @property
    def case_sensitive(self) -> bool:
        """Whether codes that differ in case are different; so where nothing is said."""
        return self._resource.get("caseSensitive") is not False

    @property
    def language(self) -> str | None:
        """The language of displays."""
        return self._resource.get("language")

    @cached_property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The declared properties."""
        return [
            PropertyDefinition(
                p["code"], p.get("type", "string"), p.get("uri"), p.get("description")
            )
            for p in self._resource.get("property") or ()
        ]

    @property
    def hierarchical(self) -> bool:
        """Whether concepts lie inside or below others."""
        return any(node.parents for node in self._nodes.values())

    # One concept

    def find(self, code: str) -> Concept | None:
        """Return the concept of `code`; its case is minded where the code system does so."""
        tree = self._whole()
        node = tree.nodes.get(code) or tree.folded.get(code.lower())
        return node.handle if node else None

    def display(self, concept: Concept) -> str | None:
        """Return the display."""
        display = self._json(concept).get("display")
        return display.strip() if display else None

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the display, then the designations as they are listed."""
        return [d for d in self._all_designations(concept) if not _withdrawn(d)]

    def inactive_designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the designations whose standards status is withdrawn."""
        return [d for d in self._all_designations(concept) if _withdrawn(d)]

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the display or designation in the first of `languages` that has one."""
        return first_in(self.designations(concept), languages)

    def definition(self, concept: Concept) -> str | None:
        """Return the definition."""
        return self._json(concept).get("definition")

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the properties as the resource states them."""
        found = []
        for prop in self._json(concept).get("property") or ():
            kind, value = property_value(prop)
            if value is not None:
                found.append(PropertyValue(prop["code"], kind, value))
        return found

    def extensions(self, concept: Concept) -> Sequence[Mapping[str, Any]]:
        """Return the extensions."""
        return self._json(concept).get("extension") or ()

    def status(self, concept: Concept) -> ConceptStatus:
        """Return activity and selectability."""
        node = self._json(concept)
        return ConceptStatus(
            self._names.is_inactive(node),
            self._names.flagged(node, "notSelectable"),
            self._names.status(node),
        )

    # Hierarchy

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right above."""
        return [node.handle for node in self._node(concept).parents]

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return the concepts right below."""
        return [node.handle for node in self._node(concept).children]

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return whether `ancestor` lies strictly above `descendant`."""
        above = self._node(ancestor)
        start = self._node(descendant)
        return above is not start and any(n is above for n in closure(start, up=True))

    # Sets

    def all_concepts(self) -> Selection:
        """Return every concept."""
        return self._selection(self._nodes.values())

    def active_concepts(self) -> Selection:
        """Return the concepts that are not inactive."""
        return self._selection(
            n for n in self._nodes.values() if not self._names.is_inactive(n.json)
        )

    def abstract_concepts(self) -> Selection:
        """Return the concepts that are not selectable."""
        return self._selection(
            n for n in self._nodes.values() if self._names.flagged(n.json, "notSelectable")
        )

    def select(self, codes: Sequence[str]) -> Selection:
        """Return the concepts of these codes that exist, in the order given."""
        return ListSelection(c for c in map(self.find, codes) if c is not None)

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Return the concepts that meet one filter."""
        return self._selection(matching(self, prop, op, value))

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return the concepts of `within` with a name or code that fits `text`, best first."""
        ranked = []
        for number, concept in enumerate(within.iterate()):
            names = [d.value for d in self.designations(concept)]
            score = rank(text, concept.code, names)
            if score is not None:
                ranked.append((score, number, concept))
        return ListSelection(concept for *_, concept in sorted(ranked, key=lambda r: r[:2]))

    # For `api.tx.filters`

    @property
    def names(self) -> PropertyNames:
        """What the properties of this code system mean."""
        return self._names

    def nodes(self) -> Iterable[Node]:
        """Return every concept's node in order."""
        return self._nodes.values()

    def node(self, code: str) -> Node | None:
        """Return the node of a code."""
        concept = self.find(code)
        return None if concept is None else self._node(concept)

    def _selection(self, nodes: Iterable[Node]) -> ListSelection:
        return ListSelection(node.handle for node in nodes)

    def _link_by_property(self, nodes: Mapping[str, Node]) -> None:
        for node in nodes.values():
            for code in self._names.values(node.json, "parent"):
                if (parent := nodes.get(_code_of(code))) is not None:
                    link(parent, node)
            for code in self._names.values(node.json, "child"):
                if (child := nodes.get(_code_of(code))) is not None:
                    link(node, child)

    def _all_designations(self, concept: Concept) -> Iterator[Designation]:
        json = self._json(concept)
        display = self.display(concept)
        if display:
            yield Designation(display, self.language, DISPLAY_USE)
        for entry in json.get("designation") or ():
            yield designation_of(entry)

    def _node(self, concept: Concept) -> Node:
        if isinstance(concept.ref, Node):
            return concept.ref
        return self._nodes[concept.code]

    def _json(self, concept: Concept) -> Mapping[str, Any]:
        return self._node(concept).json


def _add(nodes: dict[str, Node], concepts: Iterable[Mapping[str, Any]]) -> None:
    """Add concepts and those inside them, in order."""
    # A stack and no recursion: a resource may nest as deep as its sender likes.
    pending: list[tuple[Mapping[str, Any], Node | None]] = [
        (concept, None) for concept in reversed(tuple(concepts))
    ]
    while pending:
        concept, above = pending.pop()
        code = concept.get("code")
        if not code:
            continue
        node = nodes.setdefault(code, Node(code, concept))
        if above is not None:
            link(above, node)
        pending += [(inner, node) for inner in reversed(concept.get("concept") or ())]


def designation_of(entry: Mapping[str, Any], source: str | None = None) -> Designation:
    """Return a `designation` element as a value."""
    return Designation(
        str(entry.get("value", "")).strip(),
        entry.get("language"),
        entry.get("use"),
        tuple(entry.get("extension") or ()),
        source,
    )


def _code_of(value: Any) -> str:
    return str(value.get("code", "")) if isinstance(value, Mapping) else str(value)


def _withdrawn(designation: Designation) -> bool:
    return any(
        extension.get("valueCode") in {"withdrawn", "inactive"}
        for extension in designation.extension
    )
