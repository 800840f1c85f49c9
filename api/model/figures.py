"""What `/metrics` counts of a model: batches, images by outcome, decoders that broke down."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)


class ModelFigures:
    """Counters of one process; they know no image."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._frames = Histogram(
            "bodysite_model_batch_frames",
            "Frames that went through the network at once.",
            registry=registry,
            buckets=_BATCHES,
        )
        self._seconds = Histogram(
            "bodysite_model_batch_seconds",
            "Time of the network for one batch.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._lost = Counter(
            "bodysite_decoders_lost",
            "Decoding processes that died or were ended.",
            registry=registry,
        )

    def batch(self, frames: int, seconds: float) -> None:
        """Count one batch."""
        self._frames.observe(frames)
        self._seconds.observe(seconds)

    def lost(self) -> None:
        """Count a decoding process that is no more."""
        self._lost.inc()
