"""The files of deploy/: read as their programs read them, for what can be known without these.

No container engine, proxy or service manager runs here; `systemd-analyze` does where it is there.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from api.cli import main
from api.operations.configuration import load_configuration
from api.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INSTRUCTIONS = (
    "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK RUN STOPSIGNAL USER VOLUME WORKDIR"
)


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", read("Containerfile"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (one.partition(" ") for one in lines) if word]


def known_options(command: str) -> set[str]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return {word for one in found.params for word in one.opts}


def extras(text: str) -> list[str]:
    return [
        one
        for group in re.findall(r"(?:bodysite|\.)\[([\w,]+)\]", text)
        for one in group.split(",")
    ]


def setting_of(variable: str) -> str:
    name = variable.removeprefix("BODYSITE_").lower()
    return name if name in Settings.model_fields else name.removesuffix("_file")


# -- container -----------------------------------------------------------------------------------


def test_the_containerfile_has_instructions_that_exist() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= set(INSTRUCTIONS.split())
    assert words[0] == "FROM"
    assert words.count("ENTRYPOINT") == words.count("HEALTHCHECK") == 1


def test_everything_that_is_copied_exists_and_every_package_is_copied() -> None:
    stages = {rest.split(" AS ")[1] for word, rest in instructions() if " AS " in rest}
    copied: set[str] = set()
    for word, rest in instructions():
        if word != "COPY":
            continue
        *sources, _target = rest.split()
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in stages
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            copied.add(source.rstrip("/"))
    packages = {one.partition(".")[0] for one in PROJECT["tool"]["setuptools"]["packages"]}
    assert packages <= copied
    assert PROJECT["project"]["readme"] in copied
    assert set(PROJECT["project"]["license-files"]) <= copied


def test_what_is_installed_exists_and_has_no_torch() -> None:
    found = extras(read("Containerfile"))
    assert found == ["api", "pixels", "postgresql"]
    optional = PROJECT["project"]["optional-dependencies"]
    for one in found:
        assert not any("torch" in requirement for requirement in optional[one])


def test_the_container_runs_without_rights_and_says_how_it_is() -> None:
    last = max(number for number, (word, _) in enumerate(instructions()) if word == "FROM")
    final = dict(instructions()[last:])
    assert int(final["USER"]) > 0
    assert json.loads(final["ENTRYPOINT"]) == ["bodysite"]
    assert json.loads(final["CMD"]) == ["serve"]
    command = json.loads(final["HEALTHCHECK"].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/health/live" in command[2]
    for variable in re.findall(r"(BODYSITE_\w+)=", final["ENV"]):
        assert setting_of(variable) in Settings.model_fields, variable


def test_the_variables_of_the_example_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in read("bodysite.env").splitlines() if line and line[0] != "#"]
    for line in lines:
        name, _, value = line.partition("=")
        assert setting_of(name) in Settings.model_fields, name
        if not value.startswith("/run/"):
            monkeypatch.setenv(name, value)
    assert load_configuration().settings.workers == 2


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return found


def test_what_services_name_is_defined() -> None:
    found = compose()
    for name, service in found["services"].items():
        assert set(service.get("secrets", ())) <= found["secrets"].keys(), name
        assert set(service.get("networks", ())) <= found["networks"].keys(), name
        assert set(service.get("depends_on", ())) <= found["services"].keys(), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file(), source
            else:
                assert source in found["volumes"], source


def test_the_composed_service_may_do_little_and_has_its_secrets_from_files() -> None:
    service = compose()["services"]["bodysite"]
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "ports" not in service
    for variable, value in service["environment"].items():
        assert setting_of(variable) in Settings.model_fields, variable
        if value.startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    grace = int(service["stop_grace_period"].removesuffix("s"))
    drain = float(service["environment"]["BODYSITE_DRAIN_SECONDS"])
    assert grace > drain + Settings.model_fields["shutdown_seconds"].default + 20
    assert not any("ports" in compose()["services"][name] for name in ("db", "bodysite"))


# -- systemd -------------------------------------------------------------------------------------


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in read("bodysite.service").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_calls_commands_that_exist() -> None:
    for command in (*unit()["ExecStart"], *unit()["ExecStartPre"]):
        program, name, *words = shlex.split(command)
        assert program.endswith("/bin/bodysite")
        options = {word for word in words if word.startswith("--")}
        assert options <= known_options(name)


def test_the_unit_gives_the_service_the_time_that_it_asks_for(tmp_path: Path) -> None:
    found = unit()
    assert found["Type"] == ["notify"]
    assert found["KillMode"] == ["mixed"]
    settings = load_configuration({}, DEPLOY / "bodysite.toml").settings
    assert int(found["TimeoutStopSec"][0]) > settings.drain_seconds + settings.shutdown_seconds + 20
    for credential in found["LoadCredential"]:
        assert credential.partition(":")[0] in Settings.model_fields
    for variable in found["Environment"]:
        name = variable.partition("=")[0]
        assert not name.startswith("BODYSITE_") or setting_of(name) in Settings.model_fields


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / "bodysite.service"
    # It looks for the program, which is not installed there.
    path.write_text(read("bodysite.service").replace("/opt/bodysite/bin/bodysite", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "bodysite" in line]
    assert ours == []


def test_the_unit_is_well_hardened(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / "bodysite.service"
    path.write_text(read("bodysite.service"))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("needs systemd 250")
    assert done.returncode == 0, done.stdout[-500:]


# -- proxies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_a_proxy_knows_our_addresses_and_logs_none(name: str) -> None:
    text = re.sub(r"#.*", "", read(name))
    assert text.count("{") == text.count("}")
    assert "/metrics" in text
    assert "127.0.0.1:8000" in text
    assert re.search(r"access_log off;|output discard", text)


def test_nginx_understands_its_file(tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx")
    text = re.sub(
        r"\n\s*ssl_.*;|443 ssl", lambda one: "8443" if "443" in one[0] else "", read("nginx.conf")
    )
    (tmp_path / "site.conf").write_text(text)
    whole = f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ include {tmp_path}/site.conf; }}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    command = [
        "nginx",
        "-t",
        "-q",
        "-e",
        "stderr",
        "-p",
        str(tmp_path),
        "-c",
        f"{tmp_path}/nginx.conf",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
