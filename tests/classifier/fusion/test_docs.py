"""docs/fusion.md says what the code says."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from classifier.fusion import FusionSettings, Review
from classifier.reliability_cli import reliability
from terminology.annotation import Answers, Relation

PAGE = (Path(__file__).parents[3] / "docs" / "fusion.md").read_text(encoding="utf-8")


def keys(heading):
    """Return the rows of the tables below a heading: what stands first, by its name."""
    text = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", text, re.MULTILINE)
    return dict(found)


def test_every_setting_is_listed_with_its_default():
    told = keys("Settings")
    assert list(told) == [one.name for one in fields(FusionSettings)]
    for one in fields(FusionSettings):
        value = getattr(FusionSettings(), one.name)
        if isinstance(value, tuple):
            value = ", ".join(f"`{code}`" for code in value)
        elif value is not None:
            value = f"`{value}`"
        assert told[one.name] == (value or "none")


def test_every_answer_relation_and_code_is_listed():
    assert set(keys("Five answers")) == {one.name for one in fields(Answers)}
    assert set(keys("Review")) == set(Review)
    answer = PAGE.split("## The answer\n")[1].split("\n## ")[0]
    assert all(relation in answer for relation in Relation)


def test_the_example_of_settings_is_understood(tmp_path):
    (text,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "settings.toml"
    path.write_text(text)
    assert FusionSettings.read(path).tau_hi == tomllib.loads(text)["fusion"]["tau_hi"] == 0.9


def test_the_table_that_is_learned_is_the_one_shown(tmp_path, monkeypatch: pytest.MonkeyPatch):
    seen, counts = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("seen.csv").write_text(seen)
    (command,) = re.findall(r"`bodysite reliability (learn [^`]*)`", PAGE)
    result = CliRunner().invoke(reliability, command.split())
    assert result.exit_code == 0, result.output
    assert Path("header-reliability.tsv").read_text() == counts
