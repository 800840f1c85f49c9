"""The four optimisers of the grid, with one set of parameters."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer

from classifier.training.config import OptimizerTable

# The second beta and the epsilon of Kingma & Ba, arXiv:1412.6980.
_BETA2 = 0.999


def make_optimizer(net: nn.Module, table: OptimizerTable, lr: float) -> Optimizer:
    """Return the optimiser of `net`; weight decay leaves norms and offsets alone."""
    decayed = [one for one in net.parameters() if one.requires_grad and one.ndim > 1]
    others = [one for one in net.parameters() if one.requires_grad and one.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": table.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    match table.name:
        case "sgd":
            return SGD(groups, lr=lr, momentum=table.momentum)
        case "adam":
            return Adam(groups, lr=lr, betas=(table.momentum, _BETA2))
        case "adamw":
            return AdamW(groups, lr=lr, betas=(table.momentum, _BETA2))
        case "adagrad":
            return Adagrad(groups, lr=lr)
