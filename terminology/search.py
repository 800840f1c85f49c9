"""Find concepts by words, as one types them: exact term first, in an order that never changes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from terminology.concept import Concept
from terminology.graph import BodyStructureGraph


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept that was found, and the term of it that matched."""

    concept: Concept
    term: str


def search(graph: BodyStructureGraph, text: str, limit: int | None = 20) -> tuple[Hit, ...]:
    """Return the concepts of which one term has every word of `text` as a word or its beginning.

    Order: the term equals the text; the display before a synonym; shorter terms first; then the
    term and the code. A code as `text` finds its concept. `limit=None` returns all.
    """
    wanted = search_key(text).split()
    if not wanted:
        return ()
    if text.strip() in graph:
        concept = graph.lookup(text.strip())
        return (Hit(concept, concept.display),)
    ranked = []
    for code in graph.codes():
        concept = graph.lookup(code)
        best = min(_ranks(concept, wanted), default=None)
        if best is not None:
            ranked.append((*best, code))
    ranked.sort()
    return tuple(Hit(graph.lookup(row[-1]), row[3]) for row in ranked[:limit])


def matches(concept: Concept, text: str) -> bool:
    """Return whether one term of `concept` has every word of `text`; true for no words."""
    wanted = search_key(text).split()
    return not wanted or any(True for _ in _ranks(concept, wanted))


def search_key(text: str) -> str:
    """Return `text` without accents, case and punctuation, words set apart by single spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(char if char.isalnum() else " " for char in plain if _is_base(char))
    return " ".join(kept.split())


def _is_base(char: str) -> bool:
    return not unicodedata.combining(char)


def _ranks(concept: Concept, wanted: list[str]) -> list[tuple[bool, bool, int, str]]:
    found = []
    for term in (concept.display, *concept.synonyms):
        words = search_key(term).split()
        if all(any(word.startswith(want) for word in words) for want in wanted):
            found.append((words != wanted, term != concept.display, len(term), term))
    return found
