"""`Precision`: in which floating type a run computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Self

import torch

from classifier.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Precision:
    """The type that convolutions compute in, on `device`; `None` is float32 throughout."""

    device: torch.device
    dtype: torch.dtype | None

    @classmethod
    def of(cls, name: Literal["auto", "off", "bf16", "fp16"], device: torch.device) -> Self:
        """Return what `name` means on `device`.

        Raises
        ------
        TrainingError
            fp16 on a CPU, where gradients that underflow cannot be scaled.
        """
        if name == "fp16" and device.type == "cpu":
            raise TrainingError(
                "train.amp", "'fp16' on a CPU", "'auto', 'off' or 'bf16'", "Take one of these."
            )
        if name == "auto" and device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        types = {"bf16": torch.bfloat16, "fp16": torch.float16}
        return cls(device, types.get(name))

    def casting(self) -> AbstractContextManager[object]:
        """Return the context that forward passes run in."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what scales the loss so that fp16 gradients do not underflow; else inert."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)
