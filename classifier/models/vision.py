"""The one place that imports torchvision.

The wheel of torchvision on the package index is linked to CUDA. Beside a torch that is built for
the CPU its compiled part does not load, and the import fails because two operators, `nms` and
`qnms`, have no schema to register a shape function for. Nothing here needs either of them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import torch

_UNDECLARED: Final = "operator torchvision::nms does not exist"
# The two operators of torchvision/_meta_registrations.py that it registers without asking first
# whether the compiled part is there.
_OPERATORS: Final = ("nms", "qnms")
_SCHEMA: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# Declarations end with the object that made them: it lives as long as the process.
_declared: list[torch.library.Library] = []


def torchvision() -> Any:
    """Return the package torchvision, with `torchvision.models` imported.

    Where its compiled part loads, this is an import and nothing else. Where it does not, models
    and transforms work; `ops.nms` and the detection models built on it do not.

    Raises
    ------
    ModuleNotFoundError
        torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _UNDECLARED not in str(error):
            raise
    # What a failed import leaves behind would be taken for the whole package.
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in _OPERATORS:
        library.define(f"{operator}{_SCHEMA}")  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module("torchvision")
