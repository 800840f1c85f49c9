"""What the parts of an evaluation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.ecl.parsing import shown
from terminology.ecl.syntax import ConceptSet, Constraint, Wildcard
from terminology.errors import EclError
from terminology.release.index import ReleaseIndex
from terminology.release.ordinals import as_array

# SCTIDs, or `None` for any.
Codes = NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Context:
    """One evaluation: over which index, of what text, and how a part of it is evaluated.

    `located` says whether positions in the tree are positions in `expression`.
    """

    index: ReleaseIndex
    expression: str
    located: bool
    evaluate: Callable[[Constraint], BitMap]

    def error(self, position: int | None, what: str, expected: str, remedy: str = "") -> EclError:
        """Return an error at a position of the expression."""
        place = position if self.located else None
        return EclError(shown(self.expression), place, what, expected, remedy)

    def concepts(self, value: Constraint | ConceptSet) -> BitMap:
        """Return what a filter names: a constraint or a set of references."""
        if isinstance(value, ConceptSet):
            return BitMap.union(*(self.evaluate(concept) for concept in value.concepts))
        return self.evaluate(value)

    def codes(self, value: Constraint | ConceptSet) -> Codes:
        """Return the SCTIDs of what a filter names, int64; `None` for the wildcard, any value."""
        if isinstance(value, Wildcard):
            return None
        return self.index.ids[as_array(self.concepts(value))]


def one_of(values: NDArray[np.int64], wanted: Codes) -> NDArray[np.bool_]:
    """Return which values are among the `wanted`.

    ECL 2.2 section 6.1: the wildcard is any concept, so that a module or a target which has no
    place in the hierarchy, or is inactive, is one too.
    """
    if wanted is None:
        return np.ones(len(values), dtype=np.bool_)
    return np.isin(values, wanted)
