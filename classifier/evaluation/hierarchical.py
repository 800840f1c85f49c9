"""Scores that know that a hand is part of the story when the answer was a finger.

All are over the columns of a `LabelVocabulary` and its 116680003 |Is a| closure. The root,
123037004 |Body structure|, is no column: it is in no augmented set. Truth and answer of an image
are sets of columns, bool (N, V).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np

from classifier.data.labels import closure
from classifier.evaluation.bootstrap import Counted, Flags, Floats, Places, ratio, zero_for_nan
from terminology.vocabulary import LabelVocabulary


class Closeness(StrEnum):
    """How an answer stands to the truth; each answer is exactly one of these.

    As Fang et al. 2021 count reasonable errors: an answer above or below the truth, or beside it.
    """

    EXACT = "exact"
    LINE = "ancestor_or_descendant"
    """Above or below the truth."""
    NEIGHBOUR = "same_region_neighbour"
    """One column of the vocabulary lies directly above both."""
    WRONG = "wrong"


def augmented(sets: Flags, vocabulary: LabelVocabulary) -> Flags:
    """Return `sets`, bool (N, V), with everything above their members."""
    found = sets.astype(np.float32) @ closure(vocabulary).astype(np.float32) > 0
    return np.asarray(found, dtype=np.bool_)


_MICRO: Final = ("hP", "hR", "hF")
_MACRO: Final = ("hP_macro", "hR_macro", "hF_macro")
_LCA: Final = ("lca_P", "lca_R", "lca_F")
SCORES: Final = (*_MICRO, *_MACRO, *_LCA)


def hierarchical(
    truth: Flags, answer: Flags, vocabulary: LabelVocabulary, known: Flags | None = None
) -> Counted:
    """Return hP, hR and hF (micro and macro) and the LCA measures of N images.

    With T and P the augmented sets, Kiritchenko, Matwin & Famili 2005: hP = Σ|T∩P| / Σ|P|,
    hR = Σ|T∩P| / Σ|T|, hF their harmonic mean. Macro: the means over images of the same of one
    image. Where T and P are both empty, each of its three is 1. Where only P is empty its hP is
    undefined and left out of the macro hP, and its hF is 0; likewise hR where only T is empty.

    The LCA measures (Kosmopoulos et al. 2015, as BioASQ uses them) are means over images of
    `LcaMeasure`, with the same conventions for empty sets.

    Parameters
    ----------
    known
        bool (N, V): the augmented sets are cut down to these columns; by default to all. `truth`
        and `answer` hold no others.
    """
    t, p = augmented(truth, vocabulary), augmented(answer, vocabulary)
    if known is not None:
        t, p = t & known, p & known
    both, in_t, in_p = (np.asarray(x.sum(axis=1), dtype=np.float64) for x in (t & p, t, p))
    neither = (in_t == 0) & (in_p == 0)
    precision = np.where(neither, 1.0, ratio(both, in_p))
    recall = np.where(neither, 1.0, ratio(both, in_t))
    f_score = np.where(neither, 1.0, ratio(2 * both, in_t + in_p))
    lca = _lca_rows(truth, answer, vocabulary)
    means = np.column_stack([precision, recall, f_score, lca]).reshape(len(truth), 6)
    defined = ~np.isnan(means)
    rows = np.column_stack([both, in_p, in_t, neither, zero_for_nan(means), defined])

    def of(sums: Floats) -> Floats:
        shared, answered, true, empty = sums[:, :4].T
        # Only images in which nothing is there and nothing was answered: all right.
        nothing = (answered == 0) & (true == 0) & (empty > 0)
        micro = [
            np.where(nothing, 1.0, ratio(shared, answered)),
            np.where(nothing, 1.0, ratio(shared, true)),
            np.where(nothing, 1.0, ratio(2 * shared, answered + true)),
        ]
        return np.column_stack([*micro, ratio(sums[:, 4:10], sums[:, 10:16])])

    return Counted(SCORES, rows.astype(np.float64).reshape(len(truth), 16), of)


def relations(truth: Places, answer: Places, vocabulary: LabelVocabulary) -> tuple[Closeness, ...]:
    """Return how each answer stands to the truth; both columns of the vocabulary, intp (N,)."""
    table = _relation_table(vocabulary)
    return tuple(table[t][p] for t, p in zip(truth.tolist(), answer.tolist(), strict=True))


def reasonable(truth: Places, answer: Places, vocabulary: LabelVocabulary) -> Counted:
    """Return the share of each `Closeness`; the four add up to 1."""
    kinds = list(Closeness)
    rows = np.zeros((len(truth), len(kinds) + 1))
    rows[:, -1] = 1
    for row, kind in enumerate(relations(truth, answer, vocabulary)):
        rows[row, kinds.index(kind)] = 1
    return Counted(tuple(kinds), rows, lambda sums: ratio(sums[:, :-1], sums[:, -1:]))


def _relation_table(vocabulary: LabelVocabulary) -> list[list[Closeness]]:
    above = closure(vocabulary)
    size = range(len(vocabulary))

    def relation(one: int, two: int) -> Closeness:
        if one == two:
            return Closeness.EXACT
        if above[one, two] or above[two, one]:
            return Closeness.LINE
        if set(vocabulary.parents[one]) & set(vocabulary.parents[two]):
            return Closeness.NEIGHBOUR
        return Closeness.WRONG

    return [[relation(one, two) for two in size] for one in size]


@dataclass(frozen=True, slots=True)
class LcaScores:
    """Precision, recall and F of one image; precision is `None` without an answer, and so on."""

    precision: float | None
    recall: float | None
    f: float


class LcaMeasure:
    """Sets compared by the paths to their lowest common ancestors.

    Kosmopoulos et al., Evaluation measures for hierarchical classification, 2015; BioASQ.
    A member of one set is joined to the other set by the lowest common ancestor that makes the path
    between the two shortest; of several, as few are taken as join every member. Each set is
    augmented with all these ancestors, and with the path from each of its members up to its own;
    no further: far-off ancestors, which both sets share, are not counted
    again and again as in hF. Precision and recall are those of the two augmented sets.

    Here the members are the most specific columns of a set. Above the topmost columns stands the
    root, which may be the lowest common ancestor and then counts. Of two members'
    equally near ancestors the last in the vocabulary, where none is deeper, is taken. "As few" is
    greedy: first the ancestor that joins most members.
    """

    def __init__(self, vocabulary: LabelVocabulary) -> None:
        self._above = closure(vocabulary)
        root = len(vocabulary)
        self._parents = [parents or (root,) for parents in vocabulary.parents] + [()]
        self._up = [self._paths_up(column) for column in range(root + 1)]
        self._joined = lru_cache(maxsize=None)(self._join)
        self._known = lru_cache(maxsize=100_000)(self._scores)

    def scores(self, truth: Iterable[int], answer: Iterable[int]) -> LcaScores:
        """Return the measures of two sets of columns. Both empty: all 1; one empty: F is 0."""
        return self._known(self._specific(truth), self._specific(answer))

    def _scores(self, truth: frozenset[int], answer: frozenset[int]) -> LcaScores:
        if not truth or not answer:
            alike = not truth and not answer
            return LcaScores(
                1.0 if alike else 0.0 if answer else None,
                1.0 if alike else 0.0 if truth else None,
                1.0 if alike else 0.0,
            )
        joins = {("t", one): self._nearest(one, answer) for one in sorted(truth)}
        joins |= {("p", one): self._nearest(one, truth) for one in sorted(answer)}
        kept = _cover({member: set(lcas) for member, lcas in joins.items()})
        t = kept | truth
        p = kept | answer
        for (side, one), lcas in joins.items():
            for lca in kept.intersection(lcas):
                (t if side == "t" else p).update(self._up[one][lca])
        shared = len(t & p)
        return LcaScores(shared / len(p), shared / len(t), 2 * shared / (len(t) + len(p)))

    def _nearest(self, one: int, others: frozenset[int]) -> tuple[int, ...]:
        """Return the common ancestors by which `one` is nearest to a member of `others`."""
        found = [self._joined(one, other) for other in sorted(others)]
        least = min(length for _, length in found)
        return tuple(dict.fromkeys(lca for lca, length in found if length == least))

    def _join(self, one: int, two: int) -> tuple[int, int]:
        """Return the lowest common ancestor on the shortest path, and the length of the path."""
        common = self._up[one].keys() & self._up[two].keys()
        lowest = [a for a in common if not any(a != b and a in self._up[b] for b in common)]

        def rank(a: int) -> tuple[int, int]:
            return len(self._up[one][a]) + len(self._up[two][a]) - 2, -a

        best = min(lowest, key=rank)
        return best, rank(best)[0]

    def _specific(self, columns: Iterable[int]) -> frozenset[int]:
        chosen = frozenset(int(column) for column in columns)
        return frozenset(
            one for one in chosen if not any(self._above[two, one] and two != one for two in chosen)
        )

    def _paths_up(self, column: int) -> dict[int, tuple[int, ...]]:
        """Return the shortest path from `column` to each of its ancestors, both ends included."""
        paths: dict[int, tuple[int, ...]] = {column: (column,)}
        frontier = [column]
        while frontier:
            reached: list[int] = []
            for one in frontier:
                for parent in self._parents[one]:
                    if parent not in paths:
                        paths[parent] = (*paths[one], parent)
                        reached.append(parent)
            frontier = reached
        return paths


def _cover(joins: dict[tuple[str, int], set[int]]) -> set[int]:
    """Return ancestors of which each member has one: each time the one that joins most."""
    kept: set[int] = set()
    open_members = set(joins)
    while open_members:
        candidates = sorted({lca for member in open_members for lca in joins[member]})
        best = max(candidates, key=lambda a: sum(a in joins[member] for member in open_members))
        kept.add(best)
        open_members = {member for member in open_members if best not in joins[member]}
    return kept


def _lca_rows(truth: Flags, answer: Flags, vocabulary: LabelVocabulary) -> Floats:
    """Return precision, recall and F of each image, float64 (N, 3); NaN where undefined."""
    measure = LcaMeasure(vocabulary)
    rows = np.full((len(truth), 3), np.nan)
    for row, (t, p) in enumerate(zip(truth, answer, strict=True)):
        found = measure.scores(np.flatnonzero(t), np.flatnonzero(p))
        values = (found.precision, found.recall, found.f)
        rows[row] = [np.nan if value is None else value for value in values]
    return rows
