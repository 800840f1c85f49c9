"""Where a network sees a class: CAM (Zhou et al. 2016) and Grad-CAM (Selvaraju et al. 2017).

Both explain the logit of one class. What a softmax head says does not change when all its logits
move together, so what is explained of a head with one right class is the logit less the mean of
all logits of the head: of the class that is answered it is never negative, and a map of it is
never empty because of a constant that all classes share. What makes a visible part probable may
be another score (`classifier.models.probabilities`): that of the likeliest part below it, or that
of an examined part; then this one is explained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from classifier.data.labels import Head

if TYPE_CHECKING:
    from classifier.models.network import BodySiteNet


class SaliencyMethod(StrEnum):
    """How a map is made."""

    CAM = "cam"
    GRAD_CAM = "gradcam"


def saliency(
    net: BodySiteNet,
    image: NDArray[np.float32],
    head: Head,
    column: int,
    method: SaliencyMethod = SaliencyMethod.CAM,
) -> NDArray[np.float32]:
    """Return where `net` sees the class `column` of `head`.

    Parameters
    ----------
    image
        float32 (C, S, S), as the preprocessing of the model gives it.

    Returns
    -------
    NDArray
        float32 (S, S) in [0, 1]; its maximum is 1, or 0 where nothing speaks for the class.
    """
    if head is Head.VISIBLE:
        head, column = _speaker(net, image, column)
    if method is SaliencyMethod.CAM:
        return cam(net, image, head, column)
    return grad_cam(net, image, head, column)


def cam(
    net: BodySiteNet, image: NDArray[np.float32], head: Head, column: int
) -> NDArray[np.float32]:
    """Return the class activation map, float32 (S, S) in [0, 1]."""
    return _shown(activation(net, image, head, column), image.shape[-1])


def activation(
    net: BodySiteNet, image: NDArray[np.float32], head: Head, column: int
) -> NDArray[np.float32]:
    """Return the signed map, float32 (h, w), at the resolution of the last feature map.

    It is exact for global average pooling and a linear layer: its mean is what the logit of the
    class owes to the image (all but the bias), less the mean of that over the classes of a head
    with one right class.
    """
    with _evaluating(net) as device, torch.no_grad():
        features = net.features(_batch(image, device))[0]
        weights = _contrast(net.head_weights(head), head)[column]
        return torch.einsum("f,fhw->hw", weights, features).cpu().numpy().astype(np.float32)


def grad_cam(
    net: BodySiteNet,
    image: NDArray[np.float32],
    head: Head,
    column: int,
    layer: nn.Module | None = None,
) -> NDArray[np.float32]:
    """Return the Grad-CAM map, float32 (S, S) in [0, 1].

    Parameters
    ----------
    layer
        A module of `net` whose output is (B, F, h, w); by default the last feature map, where the
        map is proportional to the CAM.

    Raises
    ------
    ValueError
        The network does not call `layer`, or its output has another shape.
    """
    with _evaluating(net) as device, torch.enable_grad():
        x = _batch(image, device).requires_grad_()
        if layer is None:
            maps = net.features(x)
            logits = net.answer(maps)[head]
        else:
            maps, logits = _watched(net, x, head, layer)
        (gradient,) = torch.autograd.grad(_contrast(logits.T, head)[column].sum(), maps)
        weights = gradient.mean(dim=(2, 3))
        found = torch.einsum("bf,bfhw->hw", weights, maps).detach().cpu().numpy()
    return _shown(found.astype(np.float32), image.shape[-1])


def _watched(net: BodySiteNet, x: Tensor, head: Head, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the output of `layer` and the logits of `head`, which are made from it."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        # What follows may work in place: it gets a copy.
        seen.append(output)
        return output.clone()

    hook = layer.register_forward_hook(keep)
    try:
        logits = net(x)[head]
    finally:
        hook.remove()
    if len(seen) != 1 or seen[0].ndim != 4:
        raise ValueError("Grad-CAM: the layer is to give one feature map, (B, F, h, w)")
    return seen[0], logits


def _contrast(rows: Tensor, head: Head) -> Tensor:
    """Return `rows` (C, ...) less their mean, for a softmax over more than one class."""
    if head is Head.VISIBLE or len(rows) == 1:
        return rows
    return rows - rows.mean(dim=0, keepdim=True)


def _speaker(net: BodySiteNet, image: NDArray[np.float32], column: int) -> tuple[Head, int]:
    """Return the head and the column that the probability of a visible part is from."""
    vocabulary = net.space.vocabulary
    below = {column, *vocabulary.descendants[column]}
    with _evaluating(net) as device, torch.no_grad():
        outputs = {head: rows[0].float().cpu() for head, rows in net(_batch(image, device)).items()}
    scores = outputs[Head.VISIBLE]
    loudest = max(sorted(below), key=lambda at: float(scores[at]))
    if Head.EXAMINED in outputs:
        examined = outputs[Head.EXAMINED].softmax(0)
        places = [vocabulary.columns[code] for code in net.space.columns(Head.EXAMINED)]
        inside = [at for at, place in enumerate(places) if place in below]
        if sum(float(examined[at]) for at in inside) > float(scores[loudest].sigmoid()):
            return Head.EXAMINED, max(inside, key=lambda at: float(examined[at]))
    return Head.VISIBLE, loudest


def _batch(image: NDArray[np.float32], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None].to(device)


def _shown(raw: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    large = cv2.resize(raw, (size, size), interpolation=cv2.INTER_LINEAR)
    positive = np.maximum(large, 0)
    top = float(positive.max())
    return np.asarray(positive / top if top > 0 else positive, dtype=np.float32)


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[torch.device]:
    """Yield the device of `net`, which is in evaluation mode meanwhile."""
    training = net.training
    net.eval()
    try:
        yield next(net.parameters()).device
    finally:
        net.train(training)
