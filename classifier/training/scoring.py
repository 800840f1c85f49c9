"""What a network says of cached images: outputs, losses, `Scores`, and a few numbers of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from classifier.data.labels import Head, LabelSpace, Scores
from classifier.data.sample import Sample
from classifier.models.coherence import Coherence
from classifier.models.losses import LossSettings, total_loss
from classifier.models.network import BodySiteNet
from classifier.models.probabilities import probabilities
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.batches import Batches, Examples, as_tensors
from classifier.training.distributed import Group
from classifier.training.precision import Precision

_BATCH = 128


def outputs_of(
    net: BodySiteNet,
    examples: Examples,
    preprocessing: Preprocessing,
    group: Group,
    precision: Precision,
    workers: int,
) -> dict[Head, Tensor]:
    """Return the scores of each head before softmax, float32 (N, C), on the CPU.

    The processes of `group` share the images; each gets all the answers.
    """
    net.eval()
    mine = examples.take(group.share(range(len(examples))))
    batches = Batches(mine, preprocessing, None, _BATCH, workers=workers)
    found: list[dict[Head, Tensor]] = []
    with torch.inference_mode():
        for batch in batches.epoch(0):
            with precision.casting():
                answers = net(batch.to(group.device).images)
            found.append({head: one.float().cpu() for head, one in answers.items()})
    heads = net.space.heads
    rows = [
        {head: part[head][at].numpy() for head in heads}
        for part in found
        for at in range(len(part[heads[0]]))
    ]
    everything = group.gather(rows)
    return {
        head: torch.from_numpy(
            np.array([row[head] for row in everything], dtype=np.float32).reshape(
                len(everything), len(net.space.columns(head))
            )
        )
        for head in heads
    }


def validation_loss(
    outputs: dict[Head, Tensor], space: LabelSpace, examples: Examples, settings: LossSettings
) -> tuple[float, dict[str, float]]:
    """Return the loss of `outputs` over all images, and that of each head.

    Without label smoothing and weights of classes, which are means of training; so it compares.
    """
    plain = replace(
        settings,
        label_smoothing=0.0,
        focal=0.0,
        logit_adjustment=0.0,
        class_weight=0.0,
        balance_cap=1.0,
    )
    coherence = Coherence(space.vocabulary)
    total, each = total_loss(outputs, as_tensors(examples.targets), space, plain, coherence)
    return float(total), each


def scores_of(
    outputs: dict[Head, Tensor], space: LabelSpace, examples: Examples, samples: Sequence[Sample]
) -> Scores:
    """Return `outputs` as probabilities, beside what is known of the `samples`."""
    answers = probabilities(outputs, space, Coherence(space.vocabulary))
    return Scores(
        space=space,
        keys=tuple(one.key for one in samples),
        groups=tuple(one.group for one in samples),
        sources=tuple(one.source for one in samples),
        paths=tuple(str(one.path) for one in samples),
        probabilities={head: one.numpy() for head, one in answers.items()},
        targets=examples.targets,
    )


def brief(scores: Scores) -> dict[str, dict[str, float | int]]:
    """Return a few numbers a head, for the log; `classifier.evaluation` has the rest.

    Of a head with one class, the accuracy over the images with a plain label. Of the visible
    head, over what is known: F1 (micro) at one half, and the mean average precision of the labels
    that are present in one image and absent in another.
    """
    found: dict[str, dict[str, float | int]] = {}
    for head, values in scores.probabilities.items():
        if head is Head.VISIBLE:
            found[str(head)] = _brief_visible(scores)
            continue
        truth = scores.targets.truth(head)
        told = truth >= 0
        right = values[told].argmax(axis=1) == truth[told]
        found[str(head)] = {"images": int(told.sum())}
        if told.any():
            found[str(head)]["accuracy"] = float(right.mean())
    return found


def _brief_visible(scores: Scores) -> dict[str, float | int]:
    from sklearn.metrics import average_precision_score

    values = scores.probabilities[Head.VISIBLE]
    present, known = scores.targets.present, scores.targets.known
    said = (values > 0.5) & known
    found: dict[str, float | int] = {"images": int(known.any(axis=1).sum())}
    if total := int(said.sum() + present.sum()):
        found["f1_micro"] = float(2 * (said & present).sum() / total)
    precisions = []
    for column in range(values.shape[1]):
        rows = known[:, column]
        truth = present[rows, column]
        if truth.any() and not truth.all():
            precisions.append(average_precision_score(truth, values[rows, column]))
    if precisions:
        found["mean_average_precision"] = float(np.mean(precisions))
    return found
