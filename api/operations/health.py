"""`/health/live` and `/health/ready`: to restart the process or not, to send requests or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import anyio
import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.deps import Service, ServiceDep
from terminology.errors import BodySiteError

router = APIRouter(prefix="/health", tags=["service"])

# A store that takes longer is as good as none for who waits for an answer.
_PATIENCE_S: Final = 5.0
_DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "Not ready; `reasons` says why.", "content": {"application/json": {}}}
}


@router.get("/live")
async def live() -> JSONResponse:
    """Say that the process answers; whoever gets no answer may restart it."""
    return JSONResponse({"status": "live"}, headers=_FRESH)


@router.get("/ready", responses=_DESCRIBED)
async def ready(request: Request, service: ServiceDep) -> JSONResponse:
    """Say whether requests should be sent here: 200, or 503 with the reasons.

    Ready is a process that is not being stopped, whose store answers and has the tables of this
    version, with terminology, and with a model or without one on purpose.
    """
    reasons = []
    lifecycle = getattr(request.app.state, "lifecycle", None)
    if lifecycle is not None and lifecycle.ending:
        reasons.append("the process is being stopped")
    checks: dict[str, bool] = {}
    for name, check in _CHECKS.items():
        reason = await _answered(name, check, service)
        checks[name] = reason is None
        if reason is not None:
            reasons.append(f"{name}: {reason}")
    content: dict[str, Any] = {"status": "ready" if not reasons else "not ready", "checks": checks}
    if reasons:
        content["reasons"] = reasons
    return JSONResponse(content, status_code=503 if reasons else 200, headers=_FRESH)


_FRESH: Final = {"Cache-Control": "no-store"}

Check = Callable[[Service], str | None]


async def _answered(name: str, check: Check, service: Service) -> str | None:
    """Return why a part is not ready, in words that tell nothing of what it holds."""
    with anyio.move_on_after(_PATIENCE_S):
        try:
            return await to_thread.run_sync(check, service, abandon_on_cancel=True)
        except (sa.exc.SQLAlchemyError, BodySiteError, OSError) as error:
            return f"it cannot be asked ({type(error).__name__})"
    return f"the {name} did not answer within {_PATIENCE_S:g} s"


def _store(service: Service) -> str | None:
    # Its tables were made or migrated when it was opened; a version that changed since is told by
    # `check`, where the store has one.
    service.store.read("Device", "-")
    check = getattr(service.store, "check", None)
    return check() if callable(check) else None


def _terminology(service: Service) -> str | None:
    return None if len(service.terminology.graph) else "no concept is loaded"


def _model(service: Service) -> str | None:
    if service.predictor is not None or service.settings.model == "none":
        return None
    if service.settings.model is None:
        # None was named, and none was found to come with this installation: headers answer.
        return None
    return "the model that the settings name is not loaded"


_CHECKS: Final[dict[str, Check]] = {
    "store": _store,
    "terminology": _terminology,
    "model": _model,
}
