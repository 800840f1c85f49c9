"""What the service says of pixels, through validators that others wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api.conftest import running_server
from tests.api.model.conftest import xray
from tests.api.model.tiny import FOOT, HAND, drawn, encoded
from tests.api.test_clients import NODE


@pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(),
    reason="needs Node.js and the packages that `make clients` installs",
)
def test_validators_accept_what_a_model_says(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODYSITE_MODEL", str(model_file))
    torn = xray(drawn(HAND), BodyPartExamined="HAND")[:-900]
    files = [
        ("f", ("a.png", encoded(drawn(HAND)))),
        ("f", ("b.dcm", xray(drawn(FOOT), BodyPartExamined="HAND", ImageLaterality="L"))),
        ("f", ("c.dcm", torn)),
    ]
    with running_server(tmp_path) as (_, address):
        annotate = f"{address}/r4/ImagingStudy/$annotate"
        answers: list[dict[str, Any]] = [
            requests.post(annotate, files=files, timeout=60).json(),
            requests.get(f"{address}/r4/Observation", timeout=60).json(),
            requests.get(f"{address}/r4/metadata", timeout=60).json(),
        ]
    everything = [
        *answers,
        *(entry["resource"] for one in answers for entry in one.get("entry", [])),
    ]
    kinds = [one["resourceType"] for one in everything]
    assert kinds.count("Observation") >= 5
    assert "Device" in kinds
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=NODE,
        input="\n".join(json.dumps(one) for one in everything),
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert f"{len(everything)} resources, 0 refused" in done.stderr
