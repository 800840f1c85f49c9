"""fhir-kit-client and MedplumClient run the script; the validators of both take every answer."""

from __future__ import annotations

import pytest

from tests.api.clients.recording import (
    PARTS,
    Recorder,
    check_answers,
    check_answers_in_node,
    needs_npm,
    run_node,
)


@needs_npm
@pytest.mark.parametrize("script", ["fhirkit.mjs", "medplum.mjs"])
def test_a_node_client_runs_the_script(address: str, recorder: Recorder, script: str) -> None:
    seen = run_node(script, f"{address}/r4")
    assert {"ImagingStudy", "Observation", "Device", "Provenance"} <= set(seen["kinds"])
    assert seen["ids"] == len(PARTS)
    assert seen["below"] == 3
    assert seen["version"] == "2"
    assert seen["found"] == 2
    assert seen["history"] == ["corrected", "preliminary"]
    assert seen["former"] == "preliminary"
    assert seen["batch"].startswith("200")
    assert seen["gone"] in (410, "deleted", "gone")
    assert seen.get("patched", "amended") == "amended"
    check_answers(recorder)
    check_answers_in_node(recorder)
