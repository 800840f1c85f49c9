"""A service with tokens of several scopes, and the OpenID provider beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.client import Client
from tests.api.security.provider import Provider, running_provider

TOKENS = """
admin:all-secret
viewer:view-secret:system/ImagingStudy.rs system/Patient.r
editor:edit-secret:system/Observation.u
annotator:make-secret:system/ImagingStudy.cruds system/Observation.cruds
"""


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


ADMIN, VIEWER, ANNOTATOR = (bearer(token) for token in ("all-secret", "view-secret", "make-secret"))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(serve: Callable[..., Client], token_file: Path) -> Client:
    return serve(token_file=token_file)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running
