"""Names of the concepts of a generated release: descriptions, and who prefers which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from terms import Vocabulary, phrase, variant

_INACTIVE_SHARE = 0.35


@dataclass(slots=True)
class Descriptions:
    """Descriptions in order of their concept.

    `american` and `british` are 2 for preferred, 1 for acceptable, 0 for not a member.
    """

    concept: list[int] = field(default_factory=list)
    term: list[str] = field(default_factory=list)
    is_fsn: list[bool] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    american: list[int] = field(default_factory=list)
    british: list[int] = field(default_factory=list)

    def add(
        self, concept: int, term: str, american: int, british: int, *, fsn: bool, active: int
    ) -> None:
        """Append one description."""
        self.concept.append(concept)
        self.term.append(term)
        self.is_fsn.append(fsn)
        self.active.append(active)
        self.american.append(american)
        self.british.append(british)


def describe(
    chance: np.random.Generator,
    vocabulary: Vocabulary,
    words: Sequence[tuple[int, ...]],
    names: dict[int, str],
    tags: Sequence[str],
    wanted: int,
) -> Descriptions:
    """Return `wanted` descriptions, two at least a concept: fully specified name and synonym.

    `names` says what a concept is called in place of its `words`. Some descriptions are inactive.
    """
    made = Descriptions()
    extras = _extras(chance, len(words), wanted - 2 * len(words))
    inactive = (chance.random(int(extras.sum()) + 1) < _INACTIVE_SHARE).tolist()
    said = 0
    here, there = vocabulary.words, vocabulary.british
    for concept, more in enumerate(extras.tolist()):
        ranks = words[concept]
        spoken = [here[rank] for rank in ranks]
        name = names.get(concept) or phrase(spoken)
        made.add(concept, f"{name} ({tags[concept]})", 2, 2, fsn=True, active=1)
        other = phrase([there[rank] for rank in ranks]) if more and concept not in names else name
        made.add(concept, name, 2, 2 if other == name else 0, fsn=False, active=1)
        if other != name:
            made.add(concept, other, 0, 2, fsn=False, active=1)
            more -= 1
        own = spoken or name.split()
        for number in range(more):
            active = not inactive[said]
            said += 1
            made.add(concept, variant(own, number), 1, 1, fsn=False, active=int(active))
    return made


def _extras(chance: np.random.Generator, concepts: int, count: int) -> NDArray[np.int64]:
    """Return how many descriptions beyond two each concept has; few have many."""
    weights = chance.pareto(3.0, concepts) + 0.2
    return chance.multinomial(max(0, count), weights / weights.sum())
