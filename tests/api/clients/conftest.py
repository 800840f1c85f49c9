"""A service that keeps its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.clients.recording import Recorder, serving


@pytest.fixture
def recorder(store: SqlStore, terminology: Terminology) -> Recorder:
    return Recorder(create_app(Settings(), terminology=terminology, store=store))


@pytest.fixture
def address(recorder: Recorder) -> Iterator[str]:
    with serving(recorder) as address:
        yield address
