"""Speed of the layer that makes visible parts coherent, beside its dense formulation.

Usage: python benchmarks/coherence.py [--concepts 200] [--batch 64]

Prints one JSON object a line. The dense formulation is the published one: the maximum over a table
of batch x concepts x concepts products in double precision. Both run in one thread of one process,
asked in turn, and must agree to the last bit; times are CPU seconds of this process, the best of
five rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from classifier.models.coherence import Coherence
from terminology.vocabulary import LabelVocabulary

_ROUNDS = 5
# Children of a concept and the share of concepts with a second parent, about as body parts have.
_CHILDREN = 3
_SECOND_PARENT = 0.2


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--concepts", type=int, default=200)
    options.add_argument("--batch", type=int, default=64)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cores": os.cpu_count(),
        }
    )
    names = vocabulary(chosen.concepts)
    scores = torch.from_numpy(np.random.default_rng(2).random((chosen.batch, chosen.concepts)))
    coherence, dense = Coherence(names), dense_layer(names)
    given = scores.float()
    if not torch.equal(coherence(given), dense(given).float()):
        raise SystemExit("the two formulations differ")
    pairs = len(coherence.below)
    compared("coherence", names, given, pairs, coherence, dense)
    compared(
        "coherence and its gradient",
        names,
        given,
        pairs,
        lambda x: torch.autograd.grad(coherence(x.requires_grad_()).sum(), x),
        lambda x: torch.autograd.grad(dense(x.requires_grad_()).sum(), x),
    )


def compared(
    name: str,
    names: LabelVocabulary,
    given: Tensor,
    pairs: int,
    ours: Callable[[Tensor], object],
    theirs: Callable[[Tensor], object],
) -> None:
    """Measure and show both ways on `given`."""
    mine, other = measured(given, ours, theirs)
    batch, concepts = given.shape
    show(
        {
            "benchmark": name,
            "batch": batch,
            "concepts": concepts,
            "levels": len(names.levels),
            "pairs": pairs,
            "milliseconds": round(1000 * mine, 4),
            "dense_milliseconds": round(1000 * other, 3),
            # What each forward pass makes beside its result, from the sizes of its tensors.
            "megabytes": round(4 * batch * (pairs + concepts) / 1e6, 2),
            "dense_megabytes": round(8 * batch * concepts**2 / 1e6, 2),
            "ratio": round(other / mine, 1),
        }
    )


def vocabulary(concepts: int, seed: int = 1) -> LabelVocabulary:
    """Return so many concepts under one root, some with two parents."""
    chance = np.random.default_rng(seed)
    parents: list[tuple[int, ...]] = [()]
    for column in range(1, concepts):
        last = (column - 1) // _CHILDREN
        count = 2 if chance.random() < _SECOND_PARENT else 1
        chosen = chance.integers(max(0, last - _CHILDREN), last + 1, size=count)
        parents.append(tuple(sorted({int(parent) for parent in chosen})))
    codes = tuple(str(column) for column in range(concepts))
    return LabelVocabulary(codes, codes, tuple(parents), "made")


def dense_layer(names: LabelVocabulary) -> Callable[[Tensor], Tensor]:
    """Return the maximum over a whole row of the closure for every concept and sample.

    For scores of 0 and more, as the product with 0 stands for what is not below.
    """
    concepts = len(names)
    below = torch.eye(concepts, dtype=torch.double)
    for column, ancestors in enumerate(names.ancestors):
        below[sorted(ancestors), column] = 1

    def layer(scores: Tensor) -> Tensor:
        spread = scores.double()[:, None, :].expand(-1, concepts, -1)
        return (below * spread).max(2).values

    return layer


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def measured(given: Tensor, *ways: Callable[[Tensor], object]) -> list[float]:
    """Return the best CPU seconds of each way on a copy of `given`, asked in turn."""
    best = [float("inf")] * len(ways)
    for _ in range(_ROUNDS):
        for place, way in enumerate(ways):
            way(given.clone())
            count, spent = 0, 0.0
            while spent < 0.2:
                fresh = given.clone()
                start = time.process_time()
                way(fresh)
                spent += time.process_time() - start
                count += 1
            best[place] = min(best[place], spent / count)
    return best


if __name__ == "__main__":
    main()
