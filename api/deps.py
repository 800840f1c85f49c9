"""What the routes are handed: the parts of the application, gathered once by `create_app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.annotator import Annotator
from api.errors import LimitError
from api.metrics import Metrics
from api.phi import PhiGuard
from api.resources import ResourceBuilder
from api.search import Searcher
from api.settings import Settings
from api.store import ResourceStore
from api.tx.service import TerminologyService
from classifier.fusion import FusionSettings, HeaderReliability
from classifier.prediction import Predictor
from terminology.library import Terminology
from terminology.live import LiveTerminology


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running application."""

    settings: Settings
    live: LiveTerminology
    store: ResourceStore
    guard: PhiGuard
    predictor: Predictor | None
    builder: ResourceBuilder
    searcher: Searcher
    metrics: Metrics
    tx: TerminologyService
    absent: str | None = None
    fusion: FusionSettings | None = None
    reliability: HeaderReliability | None = None

    @property
    def terminology(self) -> Terminology:
        """The terminology of a site's tables as they were looked at last."""
        return self.live.latest

    @property
    def annotator(self) -> Annotator:
        """What annotates with that terminology; a batch keeps to the one that it began with."""
        return Annotator(
            self.terminology,
            self.guard,
            self.settings.limits,
            self.predictor,
            self.absent,
            self.fusion,
            self.reliability,
        )

    def base(self, request: Request, release: str = "R4") -> str:
        """Return the address of the endpoint of a FHIR release as the client knows it."""
        root = self.settings.public_url or str(request.base_url)
        return f"{root.rstrip('/')}/{release.lower()}"


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def read_body(request: Request, limit: int) -> bytes:
    """Return a small request body; `LimitError` as soon as it is longer than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise LimitError(
                "request body",
                "the body is larger than the limit",
                f"at most {limit} bytes here",
                "Send less in one request.",
            )
    return bytes(body)
