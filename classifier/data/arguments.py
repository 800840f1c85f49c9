"""Data sets as commands name them: ``KIND:PATH``, and the options of their readers."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from terminology.console import misuse

reader_option = click.option(
    "--option",
    "options",
    metavar="KIND.NAME=VALUE",
    multiple=True,
    help="An option of the reader of a kind; the value is TOML, or else text.",
)


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A data set that a command was given, and what its reader takes beside the path."""

    kind: str
    path: Path
    options: dict[str, Any]


def named_sets(sets: Sequence[str], options: Sequence[str]) -> list[NamedSet]:
    """Return the sets of a command, each with the options of its kind.

    Ends the command where a text is not of the form; ``where.modality`` is a key of a table.
    """
    named = [_kind_and_path(text) for text in sets]
    given = _options(options, {kind for kind, _ in named})
    return [NamedSet(kind, Path(path).expanduser(), dict(given[kind])) for kind, path in named]


def _kind_and_path(text: str) -> tuple[str, str]:
    kind, sign, path = text.partition(":")
    if not sign or not path:
        misuse(f"'{text}'; expected KIND:PATH, such as manifest:images/manifest.csv.")
    return kind, path


def _options(texts: Sequence[str], kinds: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for text in texts:
        place, sign, value = text.partition("=")
        kind, *names = place.strip().split(".")
        if not sign or not names or not all(names):
            misuse(f"--option '{text}'; expected KIND.NAME=VALUE, such as dicom.frames=3.")
        if kind not in kinds:
            misuse(f"--option '{text}': no set of the kind '{kind}' is read.")
        table = found[kind]
        for name in names[:-1]:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                misuse(f"--option '{text}': '{name}' has a value already.")
        table[names[-1]] = _value(value.strip())
    return found


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
