"""`probabilities`: the scores of a network as probabilities that do not contradict one another."""

from __future__ import annotations

import torch
from torch import Tensor

from classifier.data.labels import Head, LabelSpace
from classifier.models.coherence import Coherence


def probabilities(
    outputs: dict[Head, Tensor], space: LabelSpace, coherence: Coherence
) -> dict[Head, Tensor]:
    """Return the probability of every class of every head, float32 (N, C) in [0, 1].

    The heads that have one right class sum to 1. `Head.VISIBLE` is coherent: no part is likelier
    than what subsumes it. Where there is a head of the examined part too, what is examined is in
    the picture, and so is what subsumes it; one part is examined, so that the classes exclude each
    other. A part is therefore at least as likely to be visible as the sum of the probabilities of
    the examined classes at or below it, and is raised to that.

    Parameters
    ----------
    outputs
        What `BodySiteNet` returns.
    space
        Its label space.
    coherence
        Of the vocabulary of `space`, on the device of `outputs`.
    """
    answers: dict[Head, Tensor] = {}
    for head, scores in outputs.items():
        if head is not Head.VISIBLE:
            answers[head] = scores.float().softmax(1)
    if Head.VISIBLE in outputs:
        visible = coherence(outputs[Head.VISIBLE].float()).sigmoid()
        if Head.EXAMINED in answers:
            floor = examined_below(answers[Head.EXAMINED], space, coherence)
            # Sums of the same numbers in another order may differ in the last bit: once more.
            visible = coherence(visible.maximum(floor)).clamp(max=1)
        answers[Head.VISIBLE] = visible
    return {head: answers[head] for head in outputs}


def examined_below(examined: Tensor, space: LabelSpace, coherence: Coherence) -> Tensor:
    """Return how likely the examined part is at or below each column, float (N, V).

    Parameters
    ----------
    examined
        float (N, C), the probabilities of the classes of `Head.EXAMINED`.
    """
    columns = [space.vocabulary.columns[code] for code in space.columns(Head.EXAMINED)]
    at = torch.tensor(columns, device=examined.device)
    by_column = examined.new_zeros(examined.shape[0], len(space.vocabulary))
    return coherence.total(by_column.index_copy(1, at, examined))
