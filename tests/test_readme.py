"""Every command and every snippet of README.md is run, and prints what README.md says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = sysconfig.get_path("scripts")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Printed between commands, to tell their outputs apart.
MARK = "#~#~#"


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(README) if found == kind]


def console() -> list[tuple[str, str]]:
    """Return the commands of the console blocks in order, each with the output shown below it."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, output = found[-1]
                found[-1] = (command, f"{output}{line}\n")
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`make run` as it stands in README.md, on a free port and into a folder of its own."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    folder = tmp_path_factory.mktemp("run")
    # The environment that runs this test stands in for the one that `make run` would make.
    prefix = sys.prefix
    command = ["make", "-o", f"{prefix}/api.stamp", "run", f"VENV={prefix}", f"RUN={folder}"]
    output = folder / "output"
    with output.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [*command, "PORT=0"],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(output, process), folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _address(output: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait for the service's last line and return where it listens."""
    # Every image is read before it serves, so that this takes minutes on a machine at work.
    for _ in range(6000):
        text = output.read_text(encoding="utf-8")
        found = re.search(r"^Bodysite listens on (\S+) [^§]*/docs$", text, re.MULTILINE)
        if found is not None:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(output.read_text(encoding="utf-8"))


def test_make_run_prints_three_addresses_that_answer(served: tuple[str, Path]) -> None:
    _, folder = served
    text = (folder / "output").read_text(encoding="utf-8")
    addresses = re.findall(r"^  (http://\S+)$", text, re.MULTILINE)
    assert len(addresses) == 3
    for address in addresses:
        assert httpx.get(address).status_code == 200
    assert httpx.get(addresses[0]).json()["total"] > 0
    assert (folder / "annotations.csv").stat().st_size > 1000
    assert (folder / "review.csv").stat().st_size > 1000
    assert len(list((folder / "explained").glob("*.png"))) == 5
    # What the drawn images are: one header contradicts its image.
    assert re.search(r"hand-called-chest\.dcm,.*,CONFLICT,conflict$", text, re.MULTILINE)
    assert (folder / "bodysite.sqlite").is_file()


def test_the_console_shows_what_the_commands_print(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    address, _ = served
    commands = console()
    assert len(commands) > 10
    script = "\n".join(f"{command}\necho; echo '{MARK}'" for command, _ in commands)
    script = script.replace("http://127.0.0.1:8000", address).replace(".venv/bin/", f"{BIN}/")
    script = script.replace(" tests/data/", f" {ROOT}/tests/data/")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        # Drawn pictures come from the tests; in a clone, python finds them in its folder.
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{MARK}\n")[:-1]
    for (command, shown), output in zip(commands, printed, strict=True):
        output = output.replace(address, "http://127.0.0.1:8000")
        assert output.strip() == shown.strip(), command


def test_the_snippets_run_in_order(tmp_path: Path) -> None:
    snippets = blocks("python")
    assert len(snippets) == 4
    source = "\n".join(snippets)
    checks = """
assert library.graph.subsumes("61685007", "72696002")
assert library.text.read("KNIE_LI").sites[0].code == "72696002"
assert found["code"].tolist() == ["85562004", "816094009", "85562004"]
assert annotation.answers.header[0].display == "Chest"
assert annotation.relation == "CONFLICT"
assert app.title == "Bodysite"
store.close()
"""
    draw = [sys.executable, str(ROOT / "benchmarks" / "demo_images.py"), "run/demo"]
    subprocess.run(draw, cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source + checks],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_set_up_commands_are_those_that_make_runs() -> None:
    shown = [
        line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    if shutil.which("make") is None:
        pytest.skip("needs make")
    # -B: as if nothing were there yet; -n: say what would be run.
    recipes = {
        target: subprocess.run(
            ["make", "-Bn", target], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.replace(" -q ", " ")
        for target in ("run", "test")
    }
    assert shown[:2] == ["make run", "make test"]
    for line in shown[2:]:
        assert line in recipes["run"], line
    for tool in ("ruff check .", "ruff format --check .", "mypy", "pytest"):
        assert f".venv/bin/{tool}\n" in recipes["test"]


def test_every_setting_is_listed_with_its_option() -> None:
    from api.settings import Settings

    listed = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"`BODYSITE_{name.upper()}`" in listed, name


def test_every_extra_for_users_is_listed() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = found["project"]["optional-dependencies"].keys()
    listed = set(re.findall(r"^\| `(\w+)` \| [^|]*\|$", README, re.MULTILINE))
    # The others are for who works on Bodysite.
    assert extras - listed == {"bench", "dev", "sssom"}


def test_every_command_is_named() -> None:
    from api.cli import main

    for name in main.list_commands(click.Context(main)):
        named = (f"`bodysite {name}", f"bin/bodysite {name} ", f"`{name}`")
        assert any(text in README for text in named), name
