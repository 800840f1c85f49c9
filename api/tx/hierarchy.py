"""The hierarchy of a code system that is held in memory: nodes that know those above and below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.tx.provider import Concept


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One concept of the resource with its place in the hierarchy."""

    code: str
    json: Mapping[str, Any]
    parents: list[Node] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    @property
    def handle(self) -> Concept:
        """The concept as the engine sees it."""
        return Concept(self.code, self)


def closure(start: Node, *, up: bool = False) -> Iterator[Node]:
    """Yield what lies below `start` (above it with `up`), without it, each once, in order."""
    seen = {start.code}
    pending = list(reversed(start.parents if up else start.children))
    while pending:
        node = pending.pop()
        if node.code in seen:
            continue
        seen.add(node.code)
        yield node
        pending.extend(reversed(node.parents if up else node.children))


def concepts_of(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the concepts of a CodeSystem, however deep, in the order in which they are written."""
    waiting = list(reversed(resource.get("concept") or ()))
    while waiting:
        concept = waiting.pop()
        yield concept
        waiting.extend(reversed(concept.get("concept") or ()))


def link(parent: Node, child: Node) -> None:
    """Put `child` right below `parent`; nothing lies below itself."""
    if parent is not child and parent not in child.parents:
        child.parents.append(parent)
        parent.children.append(child)
