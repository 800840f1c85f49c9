"""Validators of others on all that `$annotate` answers, with our profiles loaded."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.profiles import examples, profiles
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.rendering.corpus import GENERATED, PYDICOM_FILES

_NODE = Path(__file__).parents[2] / "clients"
needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (_NODE / "node_modules").is_dir(),
    reason="needs Node.js and the packages that `make clients` installs",
)


def validated(resources: list[dict[str, Any]]) -> tuple[str, int]:
    """Return what is refused, and how many claims of profiles were checked."""
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=_NODE,
        input="\n".join(json.dumps(one) for one in resources),
        capture_output=True,
        text=True,
    )
    found = re.search(r"(\d+) claims", done.stderr)
    assert found is not None, done.stderr
    return done.stdout, int(found[1])


def claims(resources: list[dict[str, Any]]) -> int:
    known = {one["url"] for one in profiles("R4")}
    return sum(url in known for one in resources for url in one.get("meta", {}).get("profile", ()))


@needs_npm
def test_all_that_annotate_answers_follows_the_profiles_that_it_claims(
    serve: Callable[..., Client],
) -> None:
    made: list[dict[str, Any]] = [*examples("R4")]
    for settings in ({}, {"profiles": ("mii",)}):
        client = serve(**settings)
        files = [make_dicom(Modality=kind, **fields) for kind, fields in GENERATED.items()]
        files += [path.read_bytes() for path in PYDICOM_FILES[::6]]
        for data in files:
            answer = client.annotate(data, query="?persist=false")
            if answer.status_code == 200:
                made += [entry["resource"] for entry in answer.json()["entry"]]
    assert claims(made) > 40
    refused, checked = validated([*profiles("R4"), *made])
    assert refused == ""
    assert checked == claims(made)


BROKEN: list[tuple[int, str, Any, str]] = [
    (0, "identifier", [{"system": "urn:other", "value": "1"}], "identifier"),
    (1, "bodySite", None, "bodySite"),
    (1, "valueCodeableConcept", None, "value"),
    (1, "code", {"text": "something"}, "code"),
    (2, "component", None, "component"),
]


@needs_npm
@pytest.mark.parametrize(("which", "element", "value", "says"), BROKEN, ids=str)
def test_the_profiles_refuse_what_they_do_not_allow(
    which: int, element: str, value: Any, says: str
) -> None:
    broken = {key: one for key, one in examples("R4")[which].items() if key != element}
    if value is not None:
        broken[element] = value
    refused, _ = validated([*profiles("R4"), broken])
    assert says in refused
