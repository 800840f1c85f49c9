"""`Coherence`: no part scores above its region, by construction.

Giunchiglia & Lukasiewicz, "Coherent hierarchical multi-label classification networks" (NeurIPS
2020), section 3: the score of a concept is the highest among it and what it subsumes. There it is
computed from a dense table of B x V x V products; here the pairs of the closure are gathered and
scattered once, which is their number times B: some five pairs a concept in a graph of body parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terminology.vocabulary import LabelVocabulary


class Coherence(nn.Module):
    """The highest score of each column and of those below it; their sum with `total`.

    A column may have several parents: what is below is below all of them. The order of scores is
    all that counts, so that logits and probabilities do alike, in any floating type. Equal scores
    share the gradient.
    """

    below: Tensor
    above: Tensor

    def __init__(self, vocabulary: LabelVocabulary) -> None:
        super().__init__()
        pairs = [
            (column, ancestor)
            for column, ancestors in enumerate(vocabulary.ancestors)
            for ancestor in sorted(ancestors)
        ]
        below, above = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
        self.register_buffer("below", below.contiguous(), persistent=False)
        self.register_buffer("above", above.contiguous(), persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        """Return the coherent scores.

        Parameters
        ----------
        scores
            float (N, V), the columns of the vocabulary. -inf takes no part.

        Returns
        -------
        Tensor
            float (N, V): at least `scores`, and none above that of a column above it.
        """
        columns = _rows(scores)
        return columns.scatter_reduce(0, self._into(columns), self._lower(columns), "amax").t()

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of each column of `values` and of those below it, float (N, V)."""
        columns = _rows(values)
        return columns.scatter_add(0, self._into(columns), self._lower(columns)).t()

    def _into(self, columns: Tensor) -> Tensor:
        return self.above[:, None].expand(-1, columns.shape[1])

    def _lower(self, columns: Tensor) -> Tensor:
        # Not `columns[self.below]`, which takes as long again.
        return columns.index_select(0, self.below)


def _rows(scores: Tensor) -> Tensor:
    """Return each column of `scores` as a row: what is scattered fastest on a CPU."""
    return scores.t().contiguous()
