"""Which model a service starts with, and what it says where there is none."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.model.loading import check_model, open_model
from api.settings import Settings
from api.store import SqlStore
from terminology.errors import BodySiteError
from terminology.library import Terminology
from tests.api.checks import checked, issues, of_type
from tests.api.client import Client
from tests.api.model.conftest import xray
from tests.api.model.tiny import HAND, drawn, encoded


@pytest.fixture
def service(store: SqlStore, terminology: Terminology) -> Callable[..., Client]:
    """A function that makes a client of a service with the model that settings ask for."""

    def make(**chosen: Any) -> Client:
        settings = Settings(**chosen)
        model = open_model(settings, terminology.graph)
        assert model.predictor is None
        app = create_app(settings, terminology=terminology, store=store, absent=model.problem)
        return Client(app)

    return make


def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "onnxruntime" else find(name, package)

    monkeypatch.setattr("api.model_choice.find_spec", missing)


def test_without_the_packages_headers_are_answered_and_the_extra_is_named(
    service: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_packages(monkeypatch)
    client = service()
    told = client.get("/health").json()["model"]
    assert told["loaded"] is False
    assert "pip install 'bodysite[pixels]'" in told["problem"]
    content = xray(drawn(HAND), BodyPartExamined="HAND")
    found = checked(client.annotate(content).json())
    (study,) = of_type(found, "ImagingStudy")
    assert study["series"][0]["bodySite"]["code"] == HAND
    # How a service was installed is no fact of a study.
    assert "pip" not in str(study)
    (issue,) = issues(checked(client.annotate(encoded(drawn(HAND)), "image/png").json()))
    assert "No model is loaded" in issue["diagnostics"]
    assert "pip install 'bodysite[pixels]'" in issue["diagnostics"]


def test_a_model_that_is_asked_for_by_name_is_not_left_out_silently(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_packages(monkeypatch)
    with pytest.raises(BodySiteError, match="onnxruntime"):
        open_model(Settings(model=model_file))


def test_none_is_no_model(service: Callable[..., Client]) -> None:
    told = service(model="none").get("/health").json()["model"]
    assert told["loaded"] is False
    assert "BODYSITE_MODEL=none" in told["problem"]


def test_the_environment_names_the_model(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, terminology: Terminology
) -> None:
    monkeypatch.setenv("BODYSITE_MODEL", str(model_file))
    monkeypatch.setenv("BODYSITE_MODEL_BATCH", "4")
    settings = Settings()
    assert (settings.model, settings.model_batch) == (model_file, 4)
    check_model(settings)
    with open_model(settings, terminology.graph) as model:
        assert model.problem is None
        assert model.predictor is not None
        assert model.predictor.name == "Tiny model"


@pytest.mark.parametrize("opens", [open_model, check_model])
def test_the_environment_names_the_runtime(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, opens: Callable[[Settings], Any]
) -> None:
    assert Settings().runtime == "onnx"
    monkeypatch.setenv("BODYSITE_RUNTIME", "openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BodySiteError, match="pip install openvino"):
        opens(Settings(model=model_file))


@pytest.mark.parametrize("opens", [open_model, check_model])
def test_a_damaged_or_missing_file_ends_the_start(
    tmp_path: Path, model_file: Path, opens: Callable[[Settings], Any]
) -> None:
    content = bytearray(model_file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.bodysite"
    damaged.write_bytes(content)
    for path in (damaged, tmp_path / "missing.bodysite"):
        with pytest.raises(BodySiteError) as refused:
            opens(Settings(model=path))
        assert str(path) in str(refused.value)


def test_the_manual_names_settings_that_there_are() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")
    named = {name.lower() for name in re.findall(r"BODYSITE_([A-Z_]+)", manual)}
    assert named <= set(Settings.model_fields)
    assert {name for name in Settings.model_fields if name.startswith("model")} <= named
    defaults = dict(re.findall(r"`BODYSITE_([A-Z_]+)` \| (\d+)(?: GiB)? \|", manual))
    for name, shown in defaults.items():
        default = Settings.model_fields[name.lower()].default
        assert default in (float(shown), int(shown) << 30), name
    assert len(defaults) == 5
