"""What is asked of an index: pairs, concepts of a size, words as they are typed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terminology.release.index import ReleaseIndex

Ordinals = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of ordinals (uint32), and the codes of some of them as text."""

    above: Ordinals
    below: Ordinals

    def codes(self, index: ReleaseIndex, count: int) -> list[tuple[str, str]]:
        """Return the codes of the first pairs, each a string of its own."""
        return [
            (str(above), str(below))
            for above, below in zip(
                index.ids[self.above[:count]].tolist(),
                index.ids[self.below[:count]].tolist(),
                strict=True,
            )
        ]


def random_pairs(index: ReleaseIndex, chance: np.random.Generator, count: int) -> Pairs:
    """Return pairs of active concepts."""
    size = len(index.active)
    above, below = chance.integers(0, size, (2, count), dtype=np.uint32)
    return Pairs(above, below)


def half_positive_pairs(index: ReleaseIndex, chance: np.random.Generator, count: int) -> Pairs:
    """Return pairs of which every other subsumes: a random ancestor of a random concept."""
    starts: NDArray[np.int64] = index.arrays["isa.ancestors.starts"]
    ancestors: Ordinals = index.arrays["isa.ancestors.values"]
    sizes = np.diff(starts)
    low = np.flatnonzero(sizes)[chance.integers(0, np.count_nonzero(sizes), count // 2)]
    high = ancestors[starts[low] + (chance.random(len(low)) * sizes[low]).astype(np.int64)]
    other = random_pairs(index, chance, count - len(low))
    order = chance.permutation(count)
    return Pairs(
        np.concatenate([high, other.above])[order],
        np.concatenate([low.astype(np.uint32), other.below])[order],
    )


def concept_with(index: ReleaseIndex, descendants: int, below: str | None = None) -> str:
    """Return the code of the concept whose number of descendants comes nearest to a number."""
    counts = np.bincount(index.arrays["isa.ancestors.values"], minlength=len(index))
    places = np.arange(len(index))
    if below is not None:
        places = np.array(list(index.descendants(index.ordinal(below))))
    return index.code(int(places[np.argmin(np.abs(counts[places] - descendants))]))


def typed_texts(index: ReleaseIndex, chance: np.random.Generator, count: int) -> list[str]:
    """Return texts as a box sees them while someone types: 1 to 4 words, the last cut short.

    One in five is the first one to three letters of a word.
    """
    table = index.descriptions_table
    texts: list[str] = []
    while len(texts) < count:
        row = int(chance.integers(0, len(table.concept)))
        if not table.active[row]:
            continue
        words = table.term(row).rpartition(" (")[0].split() or table.term(row).split()
        if chance.random() < 0.2:
            texts.append(words[0][: int(chance.integers(1, 4))])
            continue
        size = min(len(words), int(chance.integers(1, 5)))
        chosen = [words[at] for at in chance.permutation(len(words))[:size].tolist()]
        last = chosen[-1]
        chosen[-1] = last[: int(chance.integers(min(2, len(last)), len(last) + 1))]
        texts.append(" ".join(chosen))
    return texts


def write_obo(index: ReleaseIndex, path: str) -> int:
    """Write the active is-a graph as OBO, and return how many concepts it has."""
    below = index.arrays["isa.parents.starts"]
    parents = index.arrays["isa.parents.values"]
    ids = index.ids.tolist()
    count = len(index.active)
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("format-version: 1.2\nontology: sct\n")
        starts = below.tolist()
        flat = parents.tolist()
        for ordinal in range(count):
            file.write(f"\n[Term]\nid: SCT:{ids[ordinal]}\nname: {ids[ordinal]}\n")
            for parent in flat[starts[ordinal] : starts[ordinal + 1]]:
                file.write(f"is_a: SCT:{ids[parent]}\n")
    return count
