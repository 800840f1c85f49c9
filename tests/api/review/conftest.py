"""A desk over a temporary store."""

from __future__ import annotations

import pytest

from api.store import SqlStore
from terminology.library import Terminology
from tests.api.review.desk import Desk


@pytest.fixture
def desk(store: SqlStore, terminology: Terminology) -> Desk:
    return Desk.over(store, terminology)
