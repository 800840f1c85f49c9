"""`Climber`: the most specific concept that a posterior is sure enough of, or none.

Deng et al., "Hedging your bets" (CVPR 2012) and Goren, Galil & El-Yaniv, "Hierarchical selective
classification" (NeurIPS 2024) climb from the most probable leaf to an ancestor that is sure enough.
Here every concept of the vocabulary is a candidate: where foot, ankle and knee share 0.7 and a
hand alone has 0.3, the lower limb is answered although the most probable leaf is the hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, closure
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

# The parts that the body is divided into: |Head|, |Trunk|, |Upper limb|, |Lower limb|. What
# subsumes two of them tells nobody where to look.
DIVISIONS: Final = ("69536005", "22943007", "53120007", "61685007")
# These do in every release: |Limb|, |Body region|, |Anatomical structure|, |Anatomical or acquired
# body structure|, |Body structure|.
TOO_BROAD: Final = frozenset({"66019005", "52530000", "91723000", "442083009", "123037004"})
# Sums of float32 probabilities that add up to 1 may fall short of it by this.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Climbing:
    """How sure an answer must be.

    Attributes
    ----------
    alpha
        The share of the answered leaves that may be wrong; what the two others were chosen for. A
        leaf is a class that is answered for its own probability, not for that of classes below.
    leaf, region
        The least probability of a leaf and of any other answer; both above 0.5, so that no two
        answers exclude each other.
    """

    alpha: float = 0.05
    leaf: float = 0.95
    region: float = 0.95

    def __post_init__(self) -> None:
        if not (0.5 < self.region <= 1 and 0.5 < self.leaf <= 1 and 0 < self.alpha < 0.5):
            raise ValueError(
                f"alpha {self.alpha}, leaf {self.leaf}, region {self.region}; expected alpha in"
                " (0, 0.5), leaf and region in (0.5, 1]"
            )

    @classmethod
    def of(cls, alpha: float) -> Self:
        """Return the thresholds 1 - alpha: right for probabilities that mean what they say."""
        return cls(alpha, 1 - alpha, 1 - alpha)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Climbed:
    """An answer.

    Attributes
    ----------
    code
        SCTID of a concept of the vocabulary.
    mass
        The probability of the classes at or below it.
    leaf
        Whether it is a class that is sure enough by itself, not for what is below it.
    """

    code: str
    mass: float
    leaf: bool


class Climber:
    """Climbs among the concepts of a vocabulary, to which the classes of a posterior belong.

    Attributes
    ----------
    below
        bool (V, C): whether the class is the column of the vocabulary or below it.
    answerable
        bool (V,): whether the column may be an answer. It has classes, and does not subsume two of
        the head, the trunk, the upper and the lower limb.
    single
        bool (V,): whether one class is at or below the column. Such a column above a class is the
        same bet: it must be as sure as that.
    above
        bool (V, V): whether the second column is the first or subsumes it.
    """

    def __init__(
        self,
        vocabulary: LabelVocabulary,
        classes: Sequence[str],
        graph: BodyStructureGraph | None = None,
    ) -> None:
        self.codes = vocabulary.codes
        self.above = closure(vocabulary)
        self.columns = np.array([vocabulary.columns[code] for code in classes], dtype=np.intp)
        self.below = np.ascontiguousarray(self.above[self.columns].T)
        self.answerable = self.below.any(axis=1) & np.array(
            [is_answerable(code, graph) for code in self.codes], dtype=np.bool_
        )
        self.single = self.below.sum(axis=1) == 1
        self._strictly_below = (self.above & ~np.eye(len(vocabulary), dtype=np.bool_)).astype(
            np.float32
        )
        self._by_code = np.array(
            sorted(range(len(vocabulary)), key=lambda column: self.codes[column]), dtype=np.intp
        )
        # Fewest classes first: 10 is more than any probability.
        self._rank = -10.0 * self.below.sum(axis=1)

    def masses(self, posteriors: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability at or below each column, float64 (N, V), of (N, C)."""
        return np.asarray(posteriors, dtype=np.float64) @ self.below.T.astype(np.float64)

    def answers(self, masses: NDArray[np.float64], climbing: Climbing) -> NDArray[np.intp]:
        """Return the column that each row of `masses` answers, intp (N,); -1 for none.

        Of the answerable columns that are sure enough, one that subsumes no other of them. Where
        concepts with several parents leave more than one, the one with the fewest classes, the
        most probable, the first code as text.
        """
        least = np.where(self.single, climbing.leaf, climbing.region) - _ROUNDING
        sure = (masses >= least) & self.answerable
        specific = sure & ~(sure.astype(np.float32) @ self._strictly_below > 0)
        worth = np.where(specific, self._rank + masses, -np.inf)[:, self._by_code]
        best = self._by_code[worth.argmax(axis=1)]
        return np.where(specific.any(axis=1), best, -1)

    def leaves(
        self, posteriors: NDArray[Any], answers: NDArray[np.intp], climbing: Climbing
    ) -> NDArray[np.bool_]:
        """Return whether the `answers` to posteriors (N, C) are leaves, bool (N,)."""
        own = self.columns[None] == answers[:, None]
        return np.asarray((own & (posteriors >= climbing.leaf - _ROUNDING)).any(axis=1))

    def climb(self, posterior: NDArray[Any], climbing: Climbing) -> Climbed | None:
        """Return the answer to one posterior, (C,); `None` where no region is sure enough."""
        masses = self.masses(posterior[None])
        answers = self.answers(masses, climbing)
        if (column := int(answers[0])) < 0:
            return None
        leaf = bool(self.leaves(posterior[None], answers, climbing)[0])
        return Climbed(self.codes[column], min(float(masses[0, column]), 1.0), leaf)


def climb(
    space: LabelSpace,
    graph: BodyStructureGraph | None,
    posterior: NDArray[Any],
    alpha: float | Climbing,
) -> Climbed | None:
    """Return the most specific concept whose probability is enough, for a posterior (C,).

    Parameters
    ----------
    graph
        Tells of a release which concepts are too broad for an answer; `None`: see `TOO_BROAD`.
    alpha
        The thresholds; a number stands for `Climbing.of`.
    """
    climbing = alpha if isinstance(alpha, Climbing) else Climbing.of(alpha)
    return climber_of(space, graph).climb(posterior, climbing)


def climber_of(space: LabelSpace, graph: BodyStructureGraph | None = None) -> Climber:
    """Return what climbs in `space`, which has the head of the examined part; made once."""
    return _climber(space.vocabulary, space.columns(Head.EXAMINED), graph)


_climber = lru_cache(maxsize=8)(Climber)


def is_answerable(code: str, graph: BodyStructureGraph | None = None) -> bool:
    """Return whether `code` says where in the body: it subsumes at most one of its divisions.

    Without a graph, or where it does not know the code, `TOO_BROAD` tells.
    """
    if code in TOO_BROAD:
        return False
    if graph is None or code not in graph:
        return True
    held = [one for one in DIVISIONS if one in graph and graph.subsumes(code, one)]
    return len(held) < 2


def prediction_set(
    classes: Sequence[str], posterior: NDArray[Any], least: float
) -> tuple[str, ...]:
    """Return the classes at least as probable as `least` and the most probable one.

    Parameters
    ----------
    classes
        Of the head, in the order of `posterior`, (C,).

    Returns
    -------
    tuple of str
        The most probable first; equally probable ones by their codes as text.
    """
    ordered = sorted(zip((-posterior).tolist(), classes, strict=True))
    return tuple(
        code for at, (negative, code) in enumerate(ordered) if at == 0 or -negative >= least
    )
