"""A service that keeps everything it answers, and validators that others wrote."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class

from tests.api.conftest import make_dicom

NODE = Path(__file__).parents[2] / "clients"
needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(),
    reason="needs Node.js and the packages that `make clients` installs",
)
_SECONDS = 30
LOWER_LIMB, KNEE, FOOT = "61685007", "72696002", "56459004"
SNOMED = "http://snomed.info/sct"
# Of which body part an image is; `uploads` makes one each.
PARTS = ("KNEE", "FOOT", "HAND", "ANKLE", "CHEST")


@dataclass
class Recorder:
    """ASGI middleware that keeps every JSON answer, with the method and path that it answers."""

    app: Any
    answers: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        status = 0

        async def keep(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body") and body[:1] == b"{":
                    name = f"{scope['method']} {scope['path']}"
                    self.answers.append((name, status, json.loads(bytes(body))))
            await send(message)

        await self.app(scope, receive, keep)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application from a thread; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until = time.monotonic() + _SECONDS
        while not server.started:
            assert thread.is_alive(), "the server ended"
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_SECONDS)


def uploads() -> dict[str, Any]:
    """Return Parameters with one image of each of `PARTS`, for $annotate."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "file",
                "resource": {
                    "resourceType": "Binary",
                    "contentType": "application/dicom",
                    "data": base64.b64encode(make_dicom(BodyPartExamined=part)).decode(),
                },
            }
            for part in PARTS
        ],
    }


def check_answers(recorder: Recorder) -> None:
    """Validate every answer with fhir.resources, in the release that it was asked for."""
    assert recorder.answers
    for name, status, answer in recorder.answers:
        assert status < 500, (name, status, answer)
        find = r5_class if "/r5" in name else r4_class
        try:
            find(answer["resourceType"]).model_validate(answer)
        except ValueError as error:
            raise AssertionError(f"{name} {status}: {error}") from error


def check_answers_in_node(recorder: Recorder) -> None:
    """Validate the answers in R4, and what is in their Bundles, with @medplum/core and fhir."""
    found = [
        one for name, _, answer in recorder.answers if "/r5" not in name for one in _inside(answer)
    ]
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=NODE,
        input="\n".join(json.dumps(one) for one in found),
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert f"{len(found)} resources, 0 refused" in done.stderr


def run_node(script: str, address: str) -> dict[str, Any]:
    """Return what a script of the folder of clients prints."""
    done = subprocess.run(
        ["node", script, address, json.dumps(uploads())],
        cwd=NODE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def observation_of(address: str, part: str) -> dict[str, Any]:
    """Return the Observation of the site with code `part`."""
    found = requests.get(
        f"{address}/Observation", params={"body-site": f"{SNOMED}|{part}"}, timeout=10
    ).json()
    observation: dict[str, Any] = found["entry"][0]["resource"]
    return observation


def _inside(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield answer
    for entry in answer.get("entry", ()):
        if "resource" in entry:
            yield entry["resource"]
