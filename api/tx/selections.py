"""Ordered sets of concepts for providers that hold all of theirs in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from api.tx.provider import Concept, Selection


class ListSelection:
    """An ordered set of concepts, each held.

    Parameters
    ----------
    concepts
        In the order to show them; repeated codes count once.
    unclosed
        Whether codes that cannot be listed belong to it as well.
    """

    __slots__ = ("_by_code", "_unclosed")

    def __init__(self, concepts: Iterable[Concept], *, unclosed: bool = False) -> None:
        self._by_code = {concept.code: concept for concept in concepts}
        self._unclosed = unclosed

    @property
    def total(self) -> int:
        """How many concepts it holds."""
        return len(self._by_code)

    @property
    def unclosed(self) -> bool:
        """Whether more codes belong to it than can be listed."""
        return self._unclosed

    def contains(self, concept: Concept) -> bool:
        """Return whether `concept` belongs to it."""
        return concept.code in self._by_code

    def iterate(self, offset: int = 0, limit: int | None = None) -> Iterator[Concept]:
        """Yield the concepts in order, from number `offset` on."""
        stop = None if limit is None else offset + limit
        return islice(self._by_code.values(), offset, stop)

    def __and__(self, other: Selection, /) -> ListSelection:
        kept = (concept for concept in self._by_code.values() if other.contains(concept))
        return ListSelection(kept, unclosed=self._unclosed and other.unclosed)

    def __or__(self, other: Selection, /) -> ListSelection:
        joined = (*self._by_code.values(), *other.iterate())
        return ListSelection(joined, unclosed=self._unclosed or other.unclosed)

    def __sub__(self, other: Selection, /) -> ListSelection:
        kept = (concept for concept in self._by_code.values() if not other.contains(concept))
        return ListSelection(kept, unclosed=self._unclosed)
