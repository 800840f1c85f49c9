"""What `/metrics` counts. Labels are route templates and outcomes; never a value of a request."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from api.model.figures import ModelFigures
from classifier.prediction import Predictor


class Metrics:
    """Prometheus counters in a registry of their own, one an application.

    Those of a `predictor` that counts what it does are shown with them.
    """

    def __init__(self, predictor: Predictor | None = None) -> None:
        self.registry = CollectorRegistry()
        figures = getattr(predictor, "figures", None)
        if isinstance(figures, ModelFigures):
            self.registry.register(figures.registry)
        self.requests = Counter(
            "bodysite_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "bodysite_request_seconds",
            "Time to answer, by route.",
            ("route",),
            registry=self.registry,
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
        )
        self.files = Counter(
            "bodysite_files",
            "Files sent to be annotated, by outcome.",
            ("outcome",),
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Return the exposition format of Prometheus."""
        return generate_latest(self.registry)
