"""What a text search found: counted, put in order, shown page by page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import FrozenBitMap

from terminology.release.descriptions import PREFERRED_MARK, DescriptionTable
from terminology.release.ordinals import bitmap_of, distinct
from terminology.release.termarrays import FSN_KIND, SYNONYM_KIND

# How many ranks are looked at first for those to show; each time four times as many.
_FIRST_LOOK: Final = 4096

Ranks = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept that was found: its ordinal, and the row and term of the description that matched.

    `exact`: the term has the words of the text and no more, or the text is the code of the concept
    or of the description.
    """

    ordinal: int
    row: int
    term: str
    exact: bool


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits; `total` counts all concepts found. `fuzzy`: words were taken as misspelt."""

    hits: tuple[Hit, ...]
    total: int
    fuzzy: bool


class RankedTerms:
    """The terms that are searched, by rank: what is active, short, first by code points is low.

    Attributes
    ----------
    rows, concepts
        uint32 (ranks,): the row of the description table, and the ordinal of its concept.
    kinds
        uint8 (ranks,): `SYNONYM_KIND` or `FSN_KIND`.
    table
        The description table.
    concept_count
        Concepts of the release.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], table: DescriptionTable) -> None:
        self.table = table
        self.rows: NDArray[np.uint32] = arrays["terms.rows"]
        self.concepts: NDArray[np.uint32] = arrays["terms.concepts"]
        self.kinds: NDArray[np.uint8] = arrays["terms.kinds"]
        self.concept_count = len(table.starts) - 1


class Matches:
    """All that one text found; `TermSearch.matches` makes it.

    Parameters
    ----------
    terms
        What was searched.
    ranks, exact
        Ranks of the rows that match, ascending, and those of them that match exactly.
    fuzzy
        Whether words were taken as misspelt.
    """

    def __init__(
        self, terms: RankedTerms, ranks: Ranks, exact: Ranks, *, fuzzy: bool = False
    ) -> None:
        self.fuzzy = fuzzy
        self._terms = terms
        self._ranks = ranks
        self._exact = exact

    @property
    def total(self) -> int:
        """How many concepts were found."""
        return len(self._found)

    @cached_property
    def ordinals(self) -> FrozenBitMap:
        """The concepts that were found."""
        return FrozenBitMap(bitmap_of(self._found))

    def page(
        self, languages: Iterable[str] = (), *, limit: int | None = None, offset: int = 0
    ) -> SearchResult:
        """Return the hits from `offset` on, in the order of `TermSearch.search`.

        `languages` are BCP-47 tags in order of preference; `limit` is `None` for all.
        """
        need = self.total if limit is None else min(self.total, offset + limit)
        shown = self._first(self._preference(languages), need)
        exact = set(self._exact.tolist())
        hits = tuple(self._hit(rank, rank in exact) for rank in shown[offset:need])
        return SearchResult(hits, self.total, self.fuzzy)

    @cached_property
    def _concepts(self) -> NDArray[np.uint32]:
        return self._terms.concepts[self._ranks]

    @cached_property
    def _found(self) -> NDArray[np.uint32]:
        return distinct(self._concepts, self._terms.concept_count)

    def _preference(self, languages: Iterable[str]) -> list[tuple[str, str | None]]:
        """Return what makes a synonym preferred, most wanted first: see `refsets_for`."""
        wanted = self._terms.table.refsets_for(languages)
        if not wanted and self._terms.table.default_refset is not None:
            wanted = [("", self._terms.table.default_refset)]
        return wanted

    def _classes(self, ranks: Ranks, wanted: list[tuple[str, str | None]]) -> NDArray[np.uint16]:
        """Return what decides the order before the rank: preferred, other synonym, FSN."""
        table = self._terms.table
        kinds, rows = self._terms.kinds[ranks], self._terms.rows[ranks]
        classes = np.where(kinds == FSN_KIND, len(wanted) + 1, len(wanted)).astype(np.uint16)
        synonym = kinds == SYNONYM_KIND
        for place, (language, refset) in reversed(list(enumerate(wanted))):
            if refset is None:
                chosen = table.language[rows] == table.languages.index(language)
            else:
                chosen = table.acceptability(refset)[rows] == PREFERRED_MARK
            classes[chosen & synonym] = place
        return classes

    def _first(self, wanted: list[tuple[str, str | None]], need: int) -> list[int]:
        """Return the ranks of the first `need` concepts, the best of each, in the order shown."""
        shown: dict[int, int] = {}
        self._show(shown, _by_class(self._exact, self._classes(self._exact, wanted)), need)
        classes = np.zeros(0, dtype=np.uint16)
        while len(shown) < need and len(classes) < len(self._ranks):
            # Ranks ascend, so that of the first class the first to be met are the first to show.
            begin, end = len(classes), max(_FIRST_LOOK, 4 * len(classes))
            more = self._classes(self._ranks[begin:end], wanted)
            self._show(shown, self._ranks[begin:end][more == 0], need)
            classes = np.concatenate((classes, more))
        if len(shown) < need:
            later = classes > 0
            order = np.argsort(classes[later], kind="stable")
            self._show(shown, self._ranks[later][order], need, self._concepts[later][order])
        return list(shown.values())

    def _show(
        self,
        shown: dict[int, int],
        ranks: Ranks,
        need: int,
        concepts: NDArray[np.uint32] | None = None,
    ) -> None:
        """Add the ranks of concepts not yet shown, until there are `need`."""
        if concepts is None:
            concepts = self._terms.concepts[ranks]
        for begin in range(0, len(ranks), _FIRST_LOOK):
            part = slice(begin, begin + _FIRST_LOOK)
            for concept, rank in zip(concepts[part].tolist(), ranks[part].tolist(), strict=True):
                if len(shown) >= need:
                    return
                shown.setdefault(concept, rank)

    def _hit(self, rank: int, exact: bool) -> Hit:
        row = int(self._terms.rows[rank])
        return Hit(int(self._terms.concepts[rank]), row, self._terms.table.term(row), exact)


def _by_class(ranks: Ranks, classes: NDArray[np.uint16]) -> Ranks:
    return ranks[np.argsort(classes, kind="stable")]
