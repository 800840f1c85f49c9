"""A synchronous client of an ASGI application, over httpx's own transport.

Starlette's test client warns about httpx, and warnings are errors here.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class Client:
    """Sends each request in an event loop of its own; an unexpected error is raised, not hidden."""

    def __init__(self, app: Any, *, raise_errors: bool = True) -> None:
        self.app = app
        self.raise_errors = raise_errors

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=self.raise_errors)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://testserver"
            ) as client:
                return await client.request(method, url, **options)

        return asyncio.run(send())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def annotate(self, content: bytes, media: str = "application/dicom", query: str = "") -> Any:
        return self.post(
            f"/r4/ImagingStudy/$annotate{query}",
            content=content,
            headers={"content-type": media},
        )
