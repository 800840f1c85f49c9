"""Options, environment, secrets, a file, defaults: which wins, what is refused, what is shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from api.operations import configuration
from api.operations.configuration import (
    ConfigurationError,
    load_configuration,
    without_secrets,
)
from api.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("BODYSITE_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(configuration, "SYSTEM_FILE", tmp_path / "etc" / "bodysite.toml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def toml(folder: Path, text: str, name: str = "bodysite.toml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_each_source_wins_over_those_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path, 'host = "127.0.0.5"\nport = 1\npage_size = 5\nmetrics_token = "file"\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "metrics_token").write_text("credential\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    monkeypatch.setenv("BODYSITE_HOST", "127.0.0.4")
    monkeypatch.setenv("BODYSITE_PORT", "2")
    found = load_configuration({"port": 3}, path)
    assert (found.settings.host, found.settings.port) == ("127.0.0.4", 3)
    assert (found.settings.page_size, found.settings.max_page_size) == (5, 1000)
    assert found.settings.metrics_token is not None
    assert found.settings.metrics_token.get_secret_value() == "credential"
    assert found.sources == {
        "host": "BODYSITE_HOST",
        "port": "option",
        "page_size": f"file {path}",
        "metrics_token": "systemd credential 'metrics_token'",
    }


@pytest.mark.parametrize(
    ("content", "tokens"),
    [("one\n", ["one"]), ("# ours\none\n\n two \n", ["one", "two"])],
)
def test_a_secret_may_stand_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, tokens: list[str]
) -> None:
    secret = toml(tmp_path, content, "secret")
    monkeypatch.setenv("BODYSITE_TOKENS_FILE", str(secret))
    monkeypatch.setenv("BODYSITE_DATABASE_FILE", str(toml(tmp_path, "sqlite:///x\n", "database")))
    found = load_configuration().settings
    assert [one.get_secret_value() for one in found.tokens] == tokens
    assert found.database == "sqlite:///x"
    monkeypatch.setenv("BODYSITE_TOKENS", "three")
    assert [one.get_secret_value() for one in load_configuration().settings.tokens] == ["three"]


def test_a_credential_that_is_a_file_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token_file").write_text("alpha\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_configuration().settings.token_file == tmp_path / "token_file"


def test_a_file_has_tables_and_paths_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "conf" / "own").mkdir(parents=True)
    path = toml(
        tmp_path / "conf",
        '[store]\ndatabase = "sqlite:///x"\n[terminology]\nmappings = "own"\n'
        'releases = ["a.index", "/b.index"]\nmodel = "none"\n',
    )
    found = load_configuration({}, path).settings
    assert found.database == "sqlite:///x"
    assert found.mappings == tmp_path / "conf" / "own"
    assert found.releases == (tmp_path / "conf" / "a.index", Path("/b.index"))
    assert found.model == "none"


def test_the_file_is_that_of_the_option_the_environment_or_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_configuration().settings.port == 8000
    toml(tmp_path / "etc", "port = 1\n")
    assert load_configuration().settings.port == 1
    monkeypatch.setenv("BODYSITE_CONFIG", str(toml(tmp_path, "port = 2\n", "two.toml")))
    assert load_configuration().settings.port == 2
    three = toml(tmp_path, "port = 3\n", "three.toml")
    assert load_configuration({}, three).settings.port == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('databse = "x"', "'databse' is no setting; expected 'database'"),
        ('[store]\ndatabse = "x"', "'store.databse' is no setting; expected 'database'"),
        ("work = 2", "expected 'workers'"),
        ("qqqqqqqq = 2", "'bodysite config show' lists"),
        ("port = 1\n[a]\nport = 2", "'port' is set twice"),
        ('port = "many"', ": port: Input should be a valid integer"),
        ("port = 99999", ": port: Input should be less than or equal to 65535"),
        ("port = ", "is no TOML"),
        ('tokens_file = "nowhere"', "cannot be read"),
        ('mappings = "nowhere"', ": mappings: "),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = toml(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration({}, path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("BODYSITE_DATABSE", "x", "'BODYSITE_DATABSE' is no setting; expected 'BODYSITE_DATABASE'"),
        ("BODYSITE_TOKNES", "secret", "expected 'BODYSITE_TOKENS'"),
        ("BODYSITE_PORT", "secret", "BODYSITE_PORT: Input should be a valid integer"),
        ("BODYSITE_TOKENS_FILE", "/nowhere", "BODYSITE_TOKENS_FILE: /nowhere cannot be read"),
        ("BODYSITE_CONFIG", "/nowhere", "/nowhere: it cannot be read"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration()
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["RELEASE", "AUTHOR", "CACHE", "SHARED", "NOTHING_LIKE_IT"])
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"BODYSITE_{name}", "x")
    assert load_configuration().sources == {}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///a.sqlite", "sqlite:///a.sqlite"),
        ("postgresql+psycopg://u:pw@h:5432/d", "postgresql+psycopg://u:***@h:5432/d"),
        (
            "postgresql+psycopg://u@h/d?password=pw&sslmode=require",
            "postgresql+psycopg://u@h/d?password=***&sslmode=require",
        ),
        ("u:pw@nonsense", "(no URL)"),
    ],
)
def test_passwords_of_databases_are_never_shown(url: str, expected: str) -> None:
    assert without_secrets(url) == expected


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYSITE_TOKENS", "hush-1 hush-2")
    monkeypatch.setenv("BODYSITE_METRICS_TOKEN", "hush-3")
    monkeypatch.setenv("BODYSITE_DATABASE", "postgresql+psycopg://u:hush-4@h/d?password=hush-5")


@pytest.mark.usefixtures("secrets")
def test_config_show_lists_every_setting_with_its_source(tmp_path: Path) -> None:
    path = toml(tmp_path, "workers = 2\n")
    result = run("config", "show", "--config", str(path))
    assert result.exit_code == 0
    lines = {line.partition(" = ")[0]: line for line in result.stdout.splitlines()}
    assert lines.keys() == Settings.model_fields.keys()
    assert lines["workers"].split() == ["workers", "=", "2", "#", "file", str(path)]
    assert lines["tokens"].split("=")[1].split() == ["(2", "set)", "#", "BODYSITE_TOKENS"]
    assert lines["port"].endswith("# default")
    assert "hush" not in result.output


@pytest.mark.usefixtures("secrets")
def test_config_show_as_json() -> None:
    result = run("config", "show", "--json")
    told = json.loads(result.stdout)
    assert told.keys() == Settings.model_fields.keys()
    assert told["metrics_token"] == {"value": "(set)", "source": "BODYSITE_METRICS_TOKEN"}
    assert told["port"] == {"value": 8000, "source": "default"}
    assert "hush" not in result.output


@pytest.mark.usefixtures("secrets")
def test_serve_check_shows_the_settings_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("api.cli._run", lambda _: pytest.fail("it must not start"))
    result = run("serve", "--check", "--model", "none", "--port", "8001")
    assert result.exit_code == 0, result.output
    assert 'model = "none"' in result.stdout
    assert "# option" in result.stdout
    assert "hush" not in result.output
    assert not list(tmp_path.glob("*.sqlite"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "nowhere.bodysite"),
        ("--release", "nowhere.index"),
        ("--config", "nowhere.toml"),
        ("--host", "::"),
    ],
)
def test_serve_check_refuses_what_serve_would(arguments: tuple[str, ...]) -> None:
    assert run("serve", "--check", *arguments).exit_code == 2


def test_the_summary_at_the_start_is_one_line_without_secrets(
    secrets: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    load_configuration({"port": 1}).log()
    (record,) = (one for one in caplog.records if hasattr(one, "fields"))
    fields: dict[str, Any] = record.fields  # type: ignore[attr-defined]
    assert fields.keys() == {"tokens", "metrics_token", "database", "port"}
    assert fields["port"] == "1 (option)"
    assert "hush" not in str(vars(record))
