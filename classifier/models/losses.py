"""`total_loss`: what training lowers, for labels that are coarse, partial or missing.

Everything is computed in float32 and from logits, whatever the network runs in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.errors import NetworkError
from classifier.models.coherence import Coherence


@dataclass(frozen=True, slots=True)
class LossSettings:
    """How the losses of the heads are computed and joined.

    Attributes
    ----------
    label_smoothing
        Share in [0, 1) of a plain label that goes evenly to all classes.
    focal
        The gamma of Lin et al. 2017: what is well answered counts less. 0 is off.
    logit_adjustment
        The tau of Menon et al. 2021: log priors are added to the scores of the one-class heads
        while training, so that rare classes are not given up. 0 is off, 1 the paper's. Needs
        `LabelStatistics`.
    class_weight
        Exponent in [0, 1]: a sample of a one-class head counts by its class's frequency to the
        power of minus this. 0 is off. Needs `LabelStatistics`.
    balance_cap
        How many times more at most the positives of a visible label count than its negatives (or
        less: a `balance_cap`-th), in the inverse ratio of their numbers; also the most and the
        least that `class_weight` gives. 1 is off. Needs `LabelStatistics`.
    head_weights
        Factor of the loss of each head by its name, 1 where it is not named.
    """

    label_smoothing: float = 0.0
    focal: float = 0.0
    logit_adjustment: float = 0.0
    class_weight: float = 0.0
    balance_cap: float = 1.0
    head_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        accepted = (
            ("label_smoothing", 0 <= self.label_smoothing < 1, "a share in [0, 1)"),
            ("focal", 0 <= self.focal < math.inf, "0 or more"),
            ("logit_adjustment", 0 <= self.logit_adjustment < math.inf, "0 or more"),
            ("class_weight", 0 <= self.class_weight <= 1, "a number in [0, 1]"),
            ("balance_cap", 1 <= self.balance_cap < math.inf, "1 or more"),
        )
        for name, fine, expected in accepted:
            if not fine:
                raise _refused(name, getattr(self, name), expected)
        for head, weight in self.head_weights.items():
            if head not in tuple(Head):
                raise _refused("head_weights", head, f"one of {', '.join(Head)}")
            if not 0 <= weight < math.inf:
                raise _refused(f"head_weights {head}", weight, "0 or more")

    @property
    def needs_statistics(self) -> bool:
        """Whether `total_loss` must be told how often each class occurs."""
        return self.logit_adjustment > 0 or self.class_weight > 0 or self.balance_cap > 1


class LabelStatistics(nn.Module):
    """How often each class occurs in the training set; a module, so that it moves to a device.

    Buffers, float32: ``prior_<head>`` (C,), which sum to 1; `present` and `absent` (V,), counts.
    """

    present: Tensor
    absent: Tensor

    def __init__(self, priors: Mapping[Head, Tensor], present: Tensor, absent: Tensor) -> None:
        super().__init__()
        for head, prior in priors.items():
            self.register_buffer(f"prior_{head}", prior.float(), persistent=False)
        self.register_buffer("present", present.float(), persistent=False)
        self.register_buffer("absent", absent.float(), persistent=False)

    @classmethod
    def of(cls, targets: Targets) -> Self:
        """Return the statistics of `targets`.

        A coarse label counts in equal parts for the classes it leaves possible, one that leaves
        all or none possible not at all. Every class has one sample more than it has, so that none
        is impossible.
        """
        priors = {}
        for head, allowed in targets.allowed.items():
            count = allowed.sum(1, keepdims=True)
            told = (count > 0) & (count < allowed.shape[1])
            shares = np.where(allowed & told, 1 / np.maximum(count, 1), 0).sum(0) + 1
            priors[head] = torch.from_numpy(shares / shares.sum())
        present = (targets.present & targets.known).sum(0)
        absent = (~targets.present & targets.known).sum(0)
        return cls(priors, torch.from_numpy(present), torch.from_numpy(absent))

    def prior(self, head: Head) -> Tensor:
        """Return the prior of the classes of `head`, float32 (C,)."""
        return self.get_buffer(f"prior_{head}")


def total_loss(
    outputs: Mapping[Head, Tensor],
    targets: Mapping[str, Tensor],
    space: LabelSpace,
    settings: LossSettings,
    coherence: Coherence,
    statistics: LabelStatistics | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch, and that of each head before its weight, by its name.

    Parameters
    ----------
    outputs
        What `BodySiteNet` returns.
    targets
        bool, on the device of `outputs`. By the name of each head but `Head.VISIBLE`: (N, C), the
        classes that the label leaves possible. ``present`` and ``known``: (N, V).
    space
        The label space of the network.
    settings
        How.
    coherence
        Of the vocabulary of `space`, on the same device.
    statistics
        Of the training set, on the same device; `settings.needs_statistics` says whether.

    Raises
    ------
    NetworkError
        `settings` needs statistics and there are none.
    """
    if settings.needs_statistics and statistics is None:
        raise NetworkError(
            "loss",
            "logit_adjustment, class_weight or balance_cap without the frequencies of the classes",
            "LabelStatistics of the training set",
            "Pass LabelStatistics.of(targets), or turn these settings off.",
        )
    losses: dict[Head, Tensor] = {}
    for head in space.heads:
        if head is Head.VISIBLE:
            losses[head] = visible_loss(
                outputs[head],
                targets["present"],
                targets["known"],
                coherence,
                settings,
                statistics,
            )
        else:
            prior = None if statistics is None else statistics.prior(head)
            losses[head] = class_loss(outputs[head], targets[head], settings, prior)
    weights = [float(settings.head_weights.get(head, 1.0)) for head in losses]
    each = torch.stack(list(losses.values()))
    total = (each * each.new_tensor(weights)).sum()
    return total, dict(zip(map(str, losses), each.detach().tolist(), strict=True))


def class_loss(
    logits: Tensor,
    allowed: Tensor,
    settings: LossSettings,
    prior: Tensor | None = None,
) -> Tensor:
    """Return the mean of -log P(one of the allowed classes), a scalar float32.

    Rows that allow nothing or everything say nothing: they are no part of the mean, which is 0
    where there are no others.

    Label smoothing gives a share to each class that is not allowed, as
    `torch.nn.functional.cross_entropy` does for a plain label; it says nothing on how the rest is
    divided among several that are allowed.

    Parameters
    ----------
    logits
        float (N, C).
    allowed
        bool (N, C).
    settings
        How.
    prior
        float32 (C,); `None` where `settings` needs none.
    """
    scores = logits.float()
    if prior is not None and settings.logit_adjustment:
        scores = scores + settings.logit_adjustment * prior.log()
    told = allowed.any(1) & ~allowed.all(1)
    # Rows that say nothing get a first class, for a finite gradient that the mean leaves out.
    first = torch.zeros_like(allowed).index_fill(1, allowed.new_zeros(1, dtype=torch.long), True)
    allowed = torch.where(told[:, None], allowed, first)
    inside = scores.masked_fill(~allowed, -torch.inf).logsumexp(1)
    outside = scores.masked_fill(allowed, -torch.inf).logsumexp(1)
    # -log(a / (a + b)) = log(1 + b / a): no difference of two nearly equal numbers.
    margin = inside - outside
    loss = functional.softplus(-margin)
    if settings.label_smoothing:
        each = settings.label_smoothing / scores.shape[1]
        refused = (~allowed).sum(1)
        of_refused = -(scores.log_softmax(1).masked_fill(allowed, 0)).sum(1)
        loss = (1 - each * refused) * loss + each * of_refused
    if settings.focal:
        loss = loss * _focus(margin, settings.focal)
    weight = told.float()
    if prior is not None and settings.class_weight:
        by_class = (prior * len(prior)) ** -settings.class_weight
        if settings.balance_cap > 1:
            by_class = by_class.clamp(1 / settings.balance_cap, settings.balance_cap)
        weight = weight * (by_class * allowed).sum(1) / allowed.sum(1)
    total = weight.sum()
    return (loss * weight).sum() / torch.where(total > 0, total, 1)


def visible_loss(
    logits: Tensor,
    present: Tensor,
    known: Tensor,
    coherence: Coherence,
    settings: LossSettings,
    statistics: LabelStatistics | None = None,
) -> Tensor:
    """Return the mean over what is known of the loss of each label, a scalar float32.

    The loss of Giunchiglia & Lukasiewicz 2020, eq. 3, over known labels. An absent label answers
    for the highest score below it, all of which is absent too. A present one takes credit from
    what is known to be present at or below it: from a wrong child it would teach the child. From
    an unknown child neither: a coarse label would raise whichever child happens to be ahead.

    Parameters
    ----------
    logits
        float (N, V), before coherence.
    present, known
        bool (N, V); `present` counts only where `known`.
    coherence
        Of the vocabulary.
    settings
        How.
    statistics
        `None` where `settings` needs none.
    """
    scores = logits.float()
    present = present & known
    credited = coherence(scores.masked_fill(~present, -torch.inf))
    # How far the answer is on the right side of a half, as a logit.
    margin = torch.where(present, credited, -coherence(scores))
    loss = functional.softplus(-margin)
    if settings.focal:
        loss = loss * _focus(margin, settings.focal)
    if statistics is not None and settings.balance_cap > 1:
        ratio = statistics.absent / statistics.present.clamp(min=1)
        ratio = ratio.clamp(1 / settings.balance_cap, settings.balance_cap)
        loss = torch.where(present, loss * ratio, loss)
    # Sum over what is known by its number; 0 where nothing is.
    return (loss * known).sum() / known.sum().clamp(min=1)


def _focus(margin: Tensor, gamma: float) -> Tensor:
    """Return (1 - p)^gamma of p = sigmoid(margin), with a finite gradient where p is 1."""
    return (-gamma * functional.softplus(margin)).exp()


def _refused(field_name: str, value: object, expected: str) -> NetworkError:
    return NetworkError(
        f"loss {field_name}", f"'{value}'", expected, f"Correct the {field_name} of the loss."
    )
