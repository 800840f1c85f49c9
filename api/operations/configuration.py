"""Where the settings of the service come from: options, environment, secrets, a file, defaults.

Each wins over those behind it. The file is TOML with the names of `api.settings`, in tables or
without: ``[store] database`` is ``database``. A secret may stand in a file of its own:
``BODYSITE_TOKENS_FILE``, ``tokens_file`` in the file, or a credential of systemd named ``tokens``.
"""

from __future__ import annotations

import difflib
import logging
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic import SecretStr, ValidationError
from pydantic_settings.exceptions import SettingsError

from api.errors import RequestError
from api.settings import Settings

SYSTEM_FILE: Final = Path("/etc/bodysite/bodysite.toml")
CONFIG_VARIABLE: Final = "BODYSITE_CONFIG"

logger = logging.getLogger(__name__)

_PREFIX: Final = "BODYSITE_"
_FILE: Final = "_file"
# Variables that other commands and the tests read.
_OTHERS: Final = frozenset(
    {"author", "cache", "config", "reference", "release", "shared", "test_database"}
)
# So near a setting that nothing else can be meant.
_NEAR: Final = 0.8
# In the place of a value of the environment, which pydantic-settings reads by itself.
_ITS_OWN: Final = object()
_SHOWN_SECRET: Final = "(set)"  # noqa: S105 (what is shown instead of one)
_SECRET_QUERY: Final = ("password", "passfile", "sslpassword", "sslkey")


class ConfigurationError(RequestError):
    """A setting that is unknown, or has a wrong value, wherever it was set."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a service and where each of them was set.

    Attributes
    ----------
    sources
        Name of a setting → who set it, in words; the others have their defaults.
    """

    settings: Settings
    sources: Mapping[str, str]

    def shown(self) -> dict[str, Any]:
        """Return all settings by name, without secrets."""
        return {name: shown(name, getattr(self.settings, name)) for name in Settings.model_fields}

    def lines(self) -> list[str]:
        """Return one line a setting: ``name = value  # source``."""
        told = {name: _written(value) for name, value in self.shown().items()}
        width = max(len(f"{name} = {value}") for name, value in told.items() if len(value) < 40)
        return [
            f"{f'{name} = {value}'.ljust(width)}  # {self.sources.get(name, 'default')}"
            for name, value in told.items()
        ]

    def log(self) -> None:
        """Log one line: what differs from the defaults, and who set it."""
        told = self.shown()
        fields = {name: f"{told[name]} ({source})" for name, source in self.sources.items()}
        logger.info("settings that differ from the defaults", extra={"fields": fields})


def load_configuration(
    options: Mapping[str, Any] | None = None, path: Path | None = None
) -> Configuration:
    """Return the settings.

    Parameters
    ----------
    options
        What was given on the command line, by the names of settings.
    path
        The file; `None` for the one that ``BODYSITE_CONFIG`` names, else the one of the system,
        where it is there.

    Raises
    ------
    ConfigurationError
        A file cannot be read, a name is unknown, or a value does not fit.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, found in (
        _from_file(path, os.environ),
        *_from_credentials(os.environ),
        *_from_secret_files(os.environ),
        *_from_environment(os.environ),
        ("option", {} if options is None else options),
    ):
        for name, value in found.items():
            sources[name] = source
            if value is _ITS_OWN:
                values.pop(name, None)
            else:
                values[name] = value
    try:
        settings = Settings(**values)
    except SettingsError as error:
        # Its message names the field; a value that is no JSON is in its cause only.
        raise ConfigurationError(
            "environment", str(error), "JSON for a list", "Correct the variable."
        ) from None
    except ValidationError as error:
        raise _wrong(error, sources) from None
    return Configuration(settings, sources)


def shown(name: str, value: object) -> Any:
    """Return the value of a setting as it may be seen by anybody."""
    if isinstance(value, SecretStr):
        return _SHOWN_SECRET
    if isinstance(value, tuple | list | frozenset):
        if any(isinstance(one, SecretStr) for one in value):
            return f"({len(value)} set)"
        return [shown(name, one) for one in value]
    if name.endswith("database") and isinstance(value, str):
        return without_secrets(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def without_secrets(url: str) -> str:
    """Return a database URL without its password, in whatever part of it one stands."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return "(no URL)"
    hidden = {key: "***" for key in parsed.query if key.lower() in _SECRET_QUERY}
    text = parsed.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", "***")


# -- sources -------------------------------------------------------------------------------------


def _from_file(path: Path | None, environment: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    named = environment.get(CONFIG_VARIABLE)
    chosen = path or (Path(named) if named else None)
    if chosen is None:
        if not SYSTEM_FILE.is_file():
            return "", {}
        chosen = SYSTEM_FILE
    try:
        content = tomllib.loads(chosen.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            str(chosen),
            f"it cannot be read ({type(error).__name__})",
            "a TOML file that this user may read",
            f"Correct --config or {CONFIG_VARIABLE}, or the permissions.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        # Its message names line and column, never content.
        raise ConfigurationError(
            str(chosen), f"it is no TOML: {error}", "TOML 1.0", "Correct the line."
        ) from None
    found: dict[str, Any] = {}
    for key, value in _flat(content):
        name = key.rpartition(".")[2]
        if name in found:
            raise ConfigurationError(
                str(chosen), f"'{name}' is set twice", "each setting once", "Leave one of them out."
            )
        if name in Settings.model_fields:
            found[name] = _resolved(name, value, chosen.parent)
        elif name.endswith(_FILE) and name.removesuffix(_FILE) in Settings.model_fields:
            setting = name.removesuffix(_FILE)
            found[setting] = _content(setting, chosen.parent / str(value), f"{chosen}: {key}")
        else:
            raise _unknown(str(chosen), key, name)
    return f"file {chosen}", found


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the keys of tables, however deep: tables are for people, names are unique."""
    for key, value in content.items():
        if isinstance(value, Mapping) and key not in Settings.model_fields:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _resolved(name: str, value: Any, folder: Path) -> Any:
    """Return a value of the file; paths in it are relative to it, as in any configuration."""
    if isinstance(value, list):
        return tuple(_resolved(name, one, folder) for one in value)
    if isinstance(value, str) and value != "none" and _is_path(name):
        return str(folder / value)
    return value


def _is_path(name: str) -> bool:
    return "Path" in str(Settings.model_fields[name].annotation)


def _from_credentials(environment: Mapping[str, str]) -> Iterable[tuple[str, dict[str, Any]]]:
    # https://systemd.io/CREDENTIALS: LoadCredential=NAME:PATH makes a file of that name.
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    for name in Settings.model_fields:
        path = Path(folder) / name
        if path.is_file():
            source = f"systemd credential '{name}'"
            yield source, {name: str(path) if _is_path(name) else _content(name, path, source)}


def _from_secret_files(environment: Mapping[str, str]) -> Iterable[tuple[str, dict[str, Any]]]:
    for variable, path in sorted(environment.items()):
        name = _setting_of(variable)
        if name is None or name in Settings.model_fields or not name.endswith(_FILE):
            continue
        setting = name.removesuffix(_FILE)
        if setting in Settings.model_fields and path:
            yield f"{variable} ({path})", {setting: _content(setting, Path(path), variable)}


def _from_environment(environment: Mapping[str, str]) -> Iterable[tuple[str, dict[str, Any]]]:
    for variable in sorted(environment):
        name = _setting_of(variable)
        if name is None or name in _OTHERS:
            continue
        if name in Settings.model_fields:
            yield variable, {name: _ITS_OWN}
        elif name.removesuffix(_FILE) not in Settings.model_fields and _nearest(name):
            raise _unknown("environment", variable, name)


def _setting_of(variable: str) -> str | None:
    return variable[len(_PREFIX) :].lower() if variable.upper().startswith(_PREFIX) else None


def _content(name: str, path: Path, where: str) -> Any:
    """Return the value of a setting that stands in a file; tokens one a line, "#" begins a note."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            where,
            f"{path} cannot be read as UTF-8 text ({type(error).__name__})",
            "a file that this user may read",
            "Correct the path or the permissions.",
        ) from None
    if not text.strip():
        raise ConfigurationError(
            where, f"{path} is empty", "the value", "Write it, or leave the setting out."
        )
    if "tuple" not in str(Settings.model_fields[name].annotation):
        return text.strip()
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and line[0] != "#")


# -- refusals ------------------------------------------------------------------------------------


def _nearest(name: str, cutoff: float = _NEAR) -> str | None:
    found = difflib.get_close_matches(name, Settings.model_fields, 1, cutoff)
    return found[0] if found else None


def _unknown(where: str, key: str, name: str) -> ConfigurationError:
    near = _nearest(name, 0.5)
    if near is not None and key.upper().startswith(_PREFIX):
        near = _PREFIX + near.upper()
    return ConfigurationError(
        where,
        f"'{key[:80]}' is no setting",
        f"'{near}'" if near else "one of those that 'bodysite config show' lists",
        "Correct the name, or leave it out.",
    )


def _wrong(error: ValidationError, sources: Mapping[str, str]) -> ConfigurationError:
    """Return the error with names and places, and without the values, which may be secret."""
    places = []
    for one in error.errors(include_input=False, include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        source = sources.get(name, "default")
        where = f"--{name.replace('_', '-')}" if source == "option" else f"{source}: {name}"
        variable = f"BODYSITE_{name.upper()}"
        if source.startswith(variable):
            where = variable
        places.append(f"{where}: {one['msg']}")
    return ConfigurationError(
        "configuration",
        "; ".join(dict.fromkeys(places)),
        "values that fit",
        "Correct the option, the environment variable or the line of the file.",
    )


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value if value.startswith("(") else f'"{value}"'
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
