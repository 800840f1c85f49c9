"""Sets of SNOMED CT concepts as bitmaps of ordinals, with the expressions that belong to them.

A selection is counted, joined and paged without any of its concepts being built. Post-coordinated
expressions cannot be listed, so that a selection knows them by a test. `SearchedSelection` is what
a text finds in a selection, in the order of the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from api.tx.provider import Concept, Selection
from api.tx.snomed_expressions import PostCoordinated
from api.tx.text_filter import rank
from terminology.release.hits import Matches
from terminology.release.ordinals import as_array

if TYPE_CHECKING:
    from api.tx.snomed import SnomedProvider

Ref = int | PostCoordinated
ExpressionTest = Callable[[PostCoordinated], bool]
# Sets of less than one concept in so many are sorted by themselves.
_SPARSE: Final = 16
# How much further than a set is dense, and how far at most, to look for the first of it by code.
_AHEAD: Final = 2
_MOST_AHEAD: Final = 4096
# Expressions whose membership a joined set remembers.
_KEPT: Final = 64


def no_expression(_: PostCoordinated) -> bool:
    """Accept nothing: what a list of concepts or a reference set holds."""
    return False


def any_expression(_: PostCoordinated) -> bool:
    """Accept every valid expression."""
    return True


def is_in_use(expression: PostCoordinated) -> bool:
    """Accept expressions whose concepts are all active."""
    return not expression.inactive


@dataclass(frozen=True, slots=True)
class SnomedSelection:
    """Concepts of one provider.

    Parameters
    ----------
    members
        Ordinals of the concepts.
    accepts
        Which expressions belong to it beside those in `listed`.
    open_ended
        Whether expressions that nobody listed may belong to it.
    listed
        The order to show them in, ordinals and expressions; `None` for the order of the codes.
        Without it the selection has no expressions to show.
    """

    provider: SnomedProvider
    members: BitMap
    accepts: ExpressionTest = no_expression
    open_ended: bool = False
    listed: tuple[Ref, ...] | None = None

    @property
    def total(self) -> int:
        """How many concepts, and listed expressions, it holds."""
        return len(self.members) if self.listed is None else len(self.listed)

    @property
    def unclosed(self) -> bool:
        """Whether expressions that cannot be listed may belong to it."""
        return self.open_ended

    def contains(self, concept: Concept) -> bool:
        """Return whether a concept or an expression of the same provider belongs to it."""
        return self.holds(concept.ref)

    def iterate(self, offset: int = 0, limit: int | None = None) -> Iterator[Concept]:
        """Yield the concepts from number `offset` on: as listed, else by code as a number."""
        end = self.total if limit is None else min(self.total, offset + limit)
        if self.listed is not None:
            for one in self.listed[offset:end]:
                yield self.provider.concept_of(one)
            return
        for ordinal in self._page(offset, end):
            yield self.provider.concept_of(int(ordinal))

    def __and__(self, other: Selection, /) -> SnomedSelection:
        """Return what both hold, in the order that the first one lists, else the second."""
        mine, theirs = self.accepts, plain(other)
        order: list[Ref] | None = None
        if self.listed is not None:
            order = [one for one in self.listed if theirs.holds(one)]
        elif theirs.listed is not None:
            order = [one for one in theirs.listed if self.holds(one)]
        return self._joined(
            self.members & theirs.members,
            lambda one: mine(one) and theirs.accepts(one),
            self.open_ended and theirs.open_ended,
            order,
        )

    def __or__(self, other: Selection, /) -> SnomedSelection:
        """Return what either holds; with a list among the two, its order comes first."""
        mine, theirs = self.accepts, plain(other)
        order: list[Ref] | None = None
        if self.listed is not None or theirs.listed is not None:
            order = list(dict.fromkeys((*self.in_order(), *theirs.in_order())))
        return self._joined(
            self.members | theirs.members,
            lambda one: mine(one) or theirs.accepts(one),
            self.open_ended or theirs.open_ended,
            order,
        )

    def __sub__(self, other: Selection, /) -> SnomedSelection:
        """Return what this one holds and `other` does not."""
        mine, theirs = self.accepts, plain(other)
        order: list[Ref] | None = None
        if self.listed is not None:
            order = [one for one in self.listed if not theirs.holds(one)]
        return self._joined(
            self.members - theirs.members,
            lambda one: mine(one) and not theirs.holds(one),
            self.open_ended,
            order,
        )

    def holds(self, one: Ref) -> bool:
        """Return whether an ordinal or an expression belongs to it."""
        if isinstance(one, PostCoordinated):
            return one in (self.listed or ()) or self.accepts(one)
        return one in self.members

    def in_order(self) -> Iterator[Ref]:
        """Yield everything that can be listed."""
        if self.listed is not None:
            yield from self.listed
            return
        yield from (int(one) for one in self._page(0, self.total))

    def _joined(
        self,
        members: BitMap,
        accepts: ExpressionTest,
        open_ended: bool,
        order: Sequence[Ref] | None,
    ) -> SnomedSelection:
        listed = None if order is None else tuple(order)
        # Value sets that import one another share parts: each is asked once about an expression.
        return SnomedSelection(
            self.provider, members, lru_cache(_KEPT)(accepts), open_ended, listed
        )

    def _page(self, start: int, end: int) -> NDArray[np.uint32]:
        """Return the ordinals that stand at places start..end-1 when sorted by code."""
        everything = len(self.provider.index)
        if start >= end:
            return np.zeros(0, dtype=np.uint32)
        if len(self.members) * _SPARSE < everything:
            ordinals = as_array(self.members)
            return ordinals[np.argsort(self.provider.index.ids[ordinals])][start:end]
        by_code = self.provider.index.by_code
        # Of a dense set the first ones by code are soon met; it need not be sorted for them.
        first = by_code[: _AHEAD * end * everything // len(self.members)]
        if len(first) <= _MOST_AHEAD:
            met = [one for one in first.tolist() if one in self.members][start:end]
            if len(met) == end - start:
                return np.array(met, dtype=np.uint32)
        chosen = np.zeros(everything, dtype=np.bool_)
        chosen[as_array(self.members)] = True
        return by_code[np.flatnonzero(chosen[by_code])[start:end]]


class SearchedSelection:
    """What a text finds in a selection, best first; only the page that is asked for is built.

    Parameters
    ----------
    within
        What is searched; of its expressions, those that are listed.
    languages
        BCP-47, best first.
    """

    def __init__(
        self,
        provider: SnomedProvider,
        text: str,
        within: SnomedSelection,
        languages: Sequence[str],
    ) -> None:
        self._provider = provider
        self._text = text
        self._within = within
        self._languages = tuple(languages)

    @property
    def total(self) -> int:
        """How many concepts, and listed expressions, were found."""
        return self._found.total + len(self._expressions)

    @property
    def unclosed(self) -> bool:
        """Whether expressions that cannot be listed may belong to it."""
        return self._within.unclosed

    def contains(self, concept: Concept) -> bool:
        """Return whether a concept or an expression of the same provider was found."""
        if isinstance(concept.ref, PostCoordinated):
            return concept.ref in self._expressions
        return concept.ref in self._found.ordinals

    def iterate(self, offset: int = 0, limit: int | None = None) -> Iterator[Concept]:
        """Yield what was found from number `offset` on, expressions last."""
        hits = self._hits(offset, limit)
        left = None if limit is None else limit - len(hits)
        for ordinal in hits:
            yield self._provider.concept_of(ordinal)
        start = max(0, offset - self._found.total)
        rest = self._expressions[start:] if left is None else self._expressions[start:][:left]
        for one in rest:
            yield self._provider.concept_of(one)

    def __and__(self, other: Selection, /) -> SearchedSelection:
        """Return what was found and is in `other`."""
        return self._in(self._within & other)

    def __or__(self, other: Selection, /) -> SnomedSelection:
        """Return what was found, and after it what is in `other` only."""
        return self.as_list() | other

    def __sub__(self, other: Selection, /) -> SearchedSelection:
        """Return what was found and is not in `other`."""
        return self._in(self._within - other)

    def as_list(self) -> SnomedSelection:
        """Return all that was found as a list in this order."""
        found = self._hits(0, None)
        return SnomedSelection(
            self._provider,
            BitMap(found),
            no_expression,
            self.unclosed,
            (*found, *self._expressions),
        )

    @cached_property
    def _found(self) -> Matches:
        """What the text finds: looked for once, however often it is counted and paged."""
        search = self._provider.index.search
        return search.matches(self._text, within=self._within.members, inactive=True)

    @cached_property
    def _expressions(self) -> tuple[PostCoordinated, ...]:
        listed = [one for one in self._within.listed or () if isinstance(one, PostCoordinated)]
        shown = ((one, self._provider.display(self._provider.concept_of(one))) for one in listed)
        return tuple(one for one, term in shown if rank(self._text, one.code, [term]) is not None)

    def _hits(self, offset: int, limit: int | None) -> tuple[int, ...]:
        """Return the ordinals of the hits from number `offset` on."""
        page = self._found.page(self._languages, limit=limit, offset=offset)
        return tuple(hit.ordinal for hit in page.hits)

    def _in(self, within: SnomedSelection) -> SearchedSelection:
        return SearchedSelection(self._provider, self._text, within, self._languages)


def plain(selection: Selection) -> SnomedSelection:
    """Return a selection of a SNOMED CT provider as bitmap and list.

    Raises
    ------
    TypeError
        The selection is that of another kind of provider.
    """
    if isinstance(selection, SnomedSelection):
        return selection
    if isinstance(selection, SearchedSelection):
        return selection.as_list()
    raise TypeError(type(selection).__name__)
