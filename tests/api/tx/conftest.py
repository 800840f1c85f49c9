"""A service that keeps a site's own terminology resources, and short ways to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from api.tx.resources_store import ResourceLibrary
from terminology.library import Terminology
from tests.api.client import Client


@pytest.fixture
def library(database: str) -> Iterator[ResourceLibrary]:
    library = ResourceLibrary(database)
    yield library
    library.close()


@pytest.fixture
def open_site(
    store: SqlStore, library: ResourceLibrary, terminology: Terminology
) -> Callable[..., Client]:
    """A function that makes a client of a service with the given settings and releases."""

    def make(releases: tuple[Any, ...] = (), **settings: Any) -> Client:
        return Client(
            create_app(
                Settings(**settings),
                terminology=terminology,
                store=store,
                releases=releases,
                library=library,
            )
        )

    return make


@pytest.fixture
def site(open_site: Callable[..., Client]) -> Client:
    return open_site()
