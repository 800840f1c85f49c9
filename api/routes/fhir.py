"""Puts the FHIR endpoints of a service together: resources, Bundles, terminology, what they say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from fastapi import FastAPI

from api.deps import Service
from api.jobs.definitions import operation_definitions as bulk_definitions
from api.profiles import profiles
from api.rest.definitions import operation_definitions, search_parameters
from api.rest.dispatch import ResourceDispatcher
from api.rest.openapi import openapi_paths as resource_paths
from api.rest.published import Publications, Source
from api.routes.imaging import annotated_entry
from api.routes.resources import ResourceRoutes
from api.routes.terminology import TerminologyRoutes
from api.security.access import Access
from api.transactions.bundles import Bundles
from api.transactions.requests import Requests
from api.tx.context import Limits as TxLimits
from api.tx.dispatch import Dispatcher
from api.tx.openapi import openapi_paths as terminology_paths
from api.writing import Writing

Json = dict[str, Any]
_SOURCES: Final[Mapping[str, tuple[Source, ...]]] = {
    "OperationDefinition": (
        operation_definitions,
        lambda release: bulk_definitions(release).values(),
    ),
    "SearchParameter": (search_parameters,),
    "StructureDefinition": (profiles,),
}


def add_fhir(
    app: FastAPI,
    service: Service,
    writing: Writing,
    access: Access,
) -> None:
    """Add the endpoints ``/r4`` and ``/r5`` to an application, and to its description.

    Parameters
    ----------
    access
        What the client of a Bundle needs for each entry.
    """
    settings = service.settings
    terminology = Dispatcher(
        service.tx,
        settings.page_size,
        settings.max_page_size,
        TxLimits(expansion=settings.max_expansion),
    )
    resources = ResourceDispatcher(
        service.store,
        service.searcher,
        writing,
        Publications(_SOURCES, settings.page_size, settings.max_page_size),
        settings.page_size,
        settings.max_page_size,
    )
    requests = Requests(terminology, resources, partial(annotated_entry, service), access)
    # The middleware that is added last is the first that a request meets.
    app.add_middleware(
        ResourceRoutes,
        resources=resources,
        bundles=Bundles(requests, settings.max_seconds_per_request),
        max_bytes=settings.max_body_bytes,
        public_url=settings.public_url,
    )
    app.add_middleware(TerminologyRoutes, dispatcher=terminology, public_url=settings.public_url)
    _describe(app)


def _describe(app: FastAPI) -> None:
    """Put what these addresses take into the description that the help page shows."""
    describe = app.openapi

    def described() -> Json:
        found = describe()
        paths = found["paths"]
        for path, methods in (terminology_paths() | resource_paths()).items():
            paths.setdefault(path, methods)
        return found

    app.openapi = described  # type: ignore[method-assign]
