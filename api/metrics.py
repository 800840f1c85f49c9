"""What `/metrics` counts. Labels are route templates and outcomes; never a value of a request.

Where several processes answer, each writes what it counts into files of a folder that all share
(`PROMETHEUS_MULTIPROC_DIR`, which the command sets before it starts them), and whichever is asked
adds them up; counts of a process that is gone stay in the sums.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.model.figures import ModelFigures
from classifier.prediction import Predictor

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# Read once, as prometheus_client itself does when it is imported.
_SHARED: Final = os.environ.get(SHARED_FOLDER) or None
_STATUS: Final = Path("/proc/self/statm")

Read = Callable[[], float | Mapping[str, float]]


class Metrics:
    """Prometheus counters in a registry of their own, one an application.

    Those of a `predictor` that counts what it does are shown with them.
    """

    def __init__(self, predictor: Predictor | None = None) -> None:
        self.registry = CollectorRegistry()
        self._asked = _Asked()
        self._own: list[tuple[Gauge, Read]] = []
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
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
        )
        self.files = Counter(
            "bodysite_files",
            "Files sent to be annotated, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        build = Gauge(
            "bodysite_build_info",
            "1; the label is the version that answers.",
            ("version",),
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        build.labels(metadata.version("bodysite")).set(1)
        self.watch("bodysite_processes", "Processes that answer.", lambda: 1)
        self.watch("bodysite_resident_bytes", "Memory of these processes.", resident_bytes)
        self.watch(
            "bodysite_model_loaded",
            "Processes with a model that reads pixels.",
            lambda: predictor is not None,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def watch(
        self,
        name: str,
        documentation: str,
        read: Read,
        *,
        label: str | None = None,
        shared: bool = False,
    ) -> None:
        """Show what `read` returns whenever `/metrics` is asked for.

        Parameters
        ----------
        read
            A number, or with a `label` numbers by its values. Called in any thread, and often:
            it should be cheap. What it raises leaves the figure out.
        shared
            It looks at what all processes have in common, such as the database; else it tells of
            this process, and the figures of all processes are added up.
        """
        if shared:
            self._asked.add(name, documentation, label, read)
            return
        labels = () if label is None else (label,)
        gauge = Gauge(
            name, documentation, labels, registry=self.registry, multiprocess_mode="livesum"
        )
        self._own.append((gauge, read))

    def sample(self) -> None:
        """Note the figures of this process, for the one that is asked for those of all."""
        for gauge, read in self._own:
            found = _read(read)
            if isinstance(found, Mapping):
                for value, number in found.items():
                    gauge.labels(value).set(number)
            elif found is not None:
                gauge.set(found)

    @property
    def several(self) -> bool:
        """Whether several processes count together."""
        return _SHARED is not None

    def text(self) -> bytes:
        """Return the exposition format of Prometheus."""
        self.sample()
        registry = self.registry
        if _SHARED is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, _SHARED)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(self._asked.registry)


class _Asked(Collector):
    """Figures that are looked up when they are asked for, in a registry of their own."""

    def __init__(self) -> None:
        self._figures: list[tuple[str, str, str | None, Read]] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def add(self, name: str, documentation: str, label: str | None, read: Read) -> None:
        self._figures.append((name, documentation, label, read))

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for name, documentation, label, read in self._figures:
            found = _read(read)
            if found is None:
                continue
            labels = () if label is None else (label,)
            family = GaugeMetricFamily(name, documentation, labels=labels)
            if isinstance(found, Mapping):
                for value, number in found.items():
                    family.add_metric((value,), number)
            else:
                family.add_metric((), found)
            yield family


def _read(read: Read) -> float | Mapping[str, float] | None:
    try:
        return read()
    except Exception:  # noqa: BLE001
        # A database that is away must not take the other figures with it; /health/ready tells.
        return None


def resident_bytes() -> float:
    """Return the memory of this process that is in use now; at most so far where none can tell."""
    try:
        pages = int(_STATUS.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
