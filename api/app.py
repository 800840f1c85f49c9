"""`create_app`: the FastAPI application, built from the parts that it is handed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.border import Border
from api.deps import Service
from api.errors import RequestError
from api.fresh import FreshMappings
from api.indexing.words import warm
from api.jobs.service import Jobs
from api.metrics import Metrics
from api.operations import health
from api.operations.figures import watch_parts
from api.operations.lifecycle import Lifecycle
from api.operations.observing import Observed, RouteSeen
from api.operations.sampling import keep_sampling
from api.operations.scrape import MetricsGate
from api.patients import Patients
from api.phi import PhiGuard
from api.rendering import rendered
from api.resources import ResourceBuilder
from api.responses import FHIR_JSON, FhirResponse, of_error, of_status
from api.review.writes import Review
from api.routes import imaging, smart
from api.routes import jobs as jobs_routes
from api.routes import metadata as metadata_routes
from api.routes.fhir import add_fhir
from api.routes.terminology import GONE
from api.search import Searcher
from api.security.keys import pseudonym_key
from api.security.setup import Security, add_outer
from api.settings import Settings
from api.store import ResourceStore
from api.store.failures import STORE_FAILURES, store_failed
from api.tx.resources_store import ResourceLibrary
from api.tx.service import TerminologyService
from api.writing import Writing
from classifier.fusion import FusionSettings, HeaderReliability
from classifier.prediction import Predictor
from terminology.errors import BodySiteError
from terminology.graph import BodyStructureGraph
from terminology.library import Terminology
from terminology.live import LiveTerminology
from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex
from terminology.settings import HeaderSettings
from terminology.structures import BodyStructures

logger = logging.getLogger(__name__)

_DESCRIPTION: Final = (
    "Gives radiology images standard SNOMED CT body sites and serves them to FHIR clients."
    " For research and data curation; no medical device."
)
_ERROR: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "OperationOutcome", "content": {FHIR_JSON: {}}},
    "5XX": {"description": "OperationOutcome", "content": {FHIR_JSON: {}}},
}


def create_app(
    settings: Settings,
    *,
    terminology: Terminology | LiveTerminology,
    store: ResourceStore,
    predictor: Predictor | None = None,
    absent: str | None = None,
    releases: Sequence[ReleaseIndex] = (),
    library: ResourceLibrary | None = None,
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings
        Limits, PHI policy, bearer tokens. Where the service listens is the caller's business.
    terminology
        Graph, crosswalk and header reader; a live one follows a site's own tables.
    store
        Where resources live; its salt makes the pseudonyms.
    predictor
        A model that reads pixels; without one the answer rests on headers alone.
    absent
        Why there is no model, in words, where that is known.
    releases
        SNOMED CT, the default edition first; the embedded body structures are always there too.
    library
        A site's own CodeSystem, ValueSet and ConceptMap; without one, none can be kept.
    """
    store.bind_policy(settings.phi)
    live = (
        terminology
        if isinstance(terminology, LiveTerminology)
        else LiveTerminology.fixed(terminology)
    )
    graph = live.latest.graph
    how = settings.header_settings
    fusion = FusionSettings.read(how) if how is not None else FusionSettings()
    key = pseudonym_key(settings.phi_key_file, store)
    security = Security.of(settings, store, graph, key)
    tx = TerminologyService((*releases, embedded_index()), live.latest, library)
    service = Service(
        settings=settings,
        live=live,
        store=store,
        guard=PhiGuard(settings.phi, key),
        predictor=predictor,
        builder=ResourceBuilder(
            graph, settings.phi, predictor, frozenset(settings.profiles), Patients(store)
        ),
        searcher=Searcher(store, graph, settings.page_size, settings.max_page_size, tx),
        metrics=Metrics(predictor),
        tx=tx,
        absent=absent,
        fusion=fusion,
        reliability=HeaderReliability.of(fusion, graph),
    )
    live.on_change(service.tx.replace)
    lifecycle = Lifecycle()
    lifecycle.at_start(warm)
    lifecycle.at_stop(security.audit.close)
    jobs = Jobs(service, rendered)
    lifecycle.at_start(jobs.start)
    lifecycle.at_stop(jobs.stop)
    watch_parts(service.metrics, store, security.audit)
    keep_sampling(service.metrics, lifecycle)
    # The help page brings its own scripts: hospital networks reach no content delivery network.
    app = FastAPIOffline(
        title="Bodysite",
        version=metadata.version("bodysite"),
        description=_DESCRIPTION,
        responses=_ERROR,
        redirect_slashes=False,
        redoc_url=None,
        lifespan=lifecycle.lifespan,
    )
    app.state.service = service
    app.state.lifecycle = lifecycle
    app.state.security = security
    app.state.jobs = jobs
    for router in (
        jobs_routes.router,
        imaging.router,
        metadata_routes.router,
        health.router,
        smart.router,
    ):
        app.include_router(router)
    app.add_exception_handler(BodySiteError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    for failure in STORE_FAILURES:
        app.add_exception_handler(failure, _store_failed)
    review = Review(service.builder, lambda: service.terminology)
    writing = Writing(store, service.searcher, graph, review, service.guard)
    add_fhir(app, service, writing, security.gate.access)
    if live.folder is not None:
        app.add_middleware(FreshMappings, live=live)
    app.add_middleware(RouteSeen)
    app.add_middleware(Border, **security.border(settings))
    secret = settings.metrics_token
    app.add_middleware(
        MetricsGate,
        metrics=service.metrics,
        access=settings.metrics_access,
        secret=None if secret is None else secret.get_secret_value(),
    )
    add_outer(app, settings)
    app.add_middleware(Observed, metrics=service.metrics, lifecycle=lifecycle)
    return app


def terminology_over(
    releases: Sequence[ReleaseIndex], settings: Settings | None = None
) -> LiveTerminology:
    """Return the terminology over the default release; over the embedded structures without one.

    It follows the site's own tables that `settings` name.

    Raises
    ------
    TableError
        Those tables have bad rows.
    """
    folder = None if settings is None else settings.mappings
    how = None if settings is None else settings.header_settings
    if not releases:
        return LiveTerminology.open(None, folder, how)
    graph = BodyStructureGraph(releases[0], BodyStructures.load())
    return LiveTerminology(graph, folder, HeaderSettings.read(how) if how is not None else None)


def open_releases(paths: Sequence[Path]) -> tuple[ReleaseIndex, ...]:
    """Return the indexes in `paths`, memory-mapped.

    Raises
    ------
    IndexFileError
        A file is missing, or no whole index.
    RequestError
        Two of them hold the same version.
    """
    found = tuple(ReleaseIndex.open(path) for path in paths)
    by_version: dict[str, Path] = {}
    for index, path in zip(found, paths, strict=True):
        other = by_version.setdefault(index.version, path)
        if other is not path:
            raise RequestError(
                f"--release {path}",
                f"it holds {index.version}, and so does {other}",
                "one index a version",
                "Leave one of them out.",
            )
    return found


async def _refused(_request: Request, error: Exception) -> FhirResponse:
    assert isinstance(error, BodySiteError)  # noqa: S101
    return of_error(error)


async def _http(_request: Request, error: Exception) -> FhirResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    return of_status(
        error.status_code, _STATUS_TEXT.get(error.status_code, error.detail), error.headers
    )


async def _invalid(_request: Request, error: Exception) -> FhirResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    places = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
    return of_status(400, f"{places}: the value is not of the expected form.")


async def _gone(_request: Request, _error: Exception) -> FhirResponse:
    return of_status(400, GONE)


async def _store_failed(_request: Request, error: Exception) -> FhirResponse:
    return FhirResponse(store_failed(error), status_code=503)


_STATUS_TEXT: Final = {
    404: "Nothing is at this address; /r4/metadata lists what is, /docs explains it.",
    405: "This address does not take this method; /r4/metadata lists what it takes.",
}
