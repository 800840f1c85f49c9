"""A model that answers fewer classes: the probability of the others goes to those that stay.

A class that only simulated pictures taught, say, helps to learn what lies above it, but is no
answer that anybody could have tested.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Scores
from classifier.errors import NetworkError
from classifier.models.checkpoint import TrainedModel
from classifier.models.network import BodySiteNet
from classifier.serving.coherent import coherent_of


def without_classes(model: TrainedModel, codes: Collection[str]) -> TrainedModel:
    """Return `model` without the examined parts `codes`, by SCTID; visible parts stay.

    Raises
    ------
    NetworkError
        One of `codes` is no class of the head, or none would be left.
    """
    space, kept = _narrowed(model.space, codes)
    net = BodySiteNet(replace(model.spec, weights=None), space)
    weights = dict(model.net.state_dict())
    for part in ("weight", "bias"):
        name = f"heads.{Head.EXAMINED}.{part}"
        weights[name] = weights[name][torch.from_numpy(kept)]
    net.load_state_dict(weights)
    return replace(model, net=net.eval(), space=space)


def scores_without(scores: Scores, codes: Collection[str]) -> Scores:
    """Return what the model without the examined parts `codes` would have said.

    Images of which nothing but these parts is possible have no label any more.
    """
    space, kept = _narrowed(scores.space, codes)
    rows = scores.probabilities[Head.EXAMINED][:, kept].astype(np.float64)
    total = rows.sum(axis=1, keepdims=True)
    even = np.full_like(rows, 1 / len(kept))
    rows = np.divide(rows, total, out=even, where=total > 0)
    allowed = scores.targets.allowed
    probabilities = {**scores.probabilities, Head.EXAMINED: rows.astype(np.float32)}
    if (visible := probabilities.get(Head.VISIBLE)) is not None:
        lifted = coherent_of(space).lifted(visible, probabilities[Head.EXAMINED])
        probabilities[Head.VISIBLE] = lifted
    return replace(
        scores,
        space=space,
        probabilities=probabilities,
        targets=replace(
            scores.targets, allowed={**allowed, Head.EXAMINED: allowed[Head.EXAMINED][:, kept]}
        ),
    )


def _narrowed(space: LabelSpace, codes: Collection[str]) -> tuple[LabelSpace, NDArray[np.intp]]:
    """Return the label space without the classes, and which columns of the head stay."""
    names = space.columns(Head.EXAMINED)
    unknown = sorted(set(codes).difference(names))
    kept = np.array([at for at, name in enumerate(names) if name not in codes], dtype=np.intp)
    if unknown or not len(kept):
        raise NetworkError(
            "classes to leave out",
            f"'{unknown[0]}' is no class of the head examined" if unknown else "they are all",
            "some of " + ", ".join(names),
            "Correct the codes.",
        )
    classes = {**space.classes, Head.EXAMINED: tuple(names[at] for at in kept)}
    return replace(space, classes=classes), kept
