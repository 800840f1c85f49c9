"""Tables of TOML into frozen dataclasses and back: an unknown key or a bad value names its place.

The types of the fields say what is taken: `int`, `float`, `bool`, `str`, `Path`, `Literal`, an
enumeration, ``tuple[X, ...]``, ``Mapping[str, X]``, another dataclass, unions of these, and
`Annotated` with a `Range`. What a dataclass itself refuses (`ValueError`) is told with its table.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as hints_of

from classifier.errors import ConfigError
from terminology.errors import BodySiteError

_Table = TypeVar("_Table")
_WORDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the largest value of a number; `None` is no limit."""

    least: float | None = None
    most: float | None = None

    def __contains__(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least:g}"
        return f"between {self.least or 0:g} and {self.most:g}"


class _RefusedError(Exception):
    """A value that is not what its field takes; the message says what that is."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads tables of one file.

    Attributes
    ----------
    file
        What messages call the file.
    folder
        What relative paths start from.
    """

    file: str
    folder: Path

    def table(
        self,
        kind: type[_Table],
        values: object,
        place: str,
        given: Mapping[str, object] | None = None,
    ) -> _Table:
        """Return the `kind` that `values` describe.

        Parameters
        ----------
        place
            The name of the table, such as ``train``.
        given
            Fields that the caller knows; they are no keys of the table.

        Raises
        ------
        ConfigError
            A key is unknown or missing, or a value is refused.
        """
        given = given or {}
        where = f"{self.file} [{place}]"
        if not isinstance(values, Mapping):
            raise ConfigError(where, f"'{values}'", "a table", f"Write it as [{place}].")
        hints = hints_of(kind, include_extras=True)
        # mypy does not take a type variable for a dataclass.
        known = {one.name: one for one in fields(kind) if one.name not in given}  # type: ignore[arg-type]
        for key in values:
            if key not in known:
                raise _unknown(where, key, tuple(known))
        read = dict(given)
        for name, one in known.items():
            if name in values:
                read[name] = self._value(hints[name], values[name], place, name)
            elif one.default is MISSING and one.default_factory is MISSING:
                raise ConfigError(where, f"no '{name}'", _expected(hints[name]), "Add it.")
        try:
            return kind(**read)
        except ValueError as error:
            raise ConfigError(
                where, str(error), "values that go together", "Change one of them."
            ) from error
        except BodySiteError as error:
            raise ConfigError(where, error.what, error.expected, error.remedy) from error

    def _value(self, hint: Any, value: object, place: str, name: str) -> object:
        try:
            return self._read(hint, value, f"{place}.{name}" if place else name)
        except _RefusedError as error:
            shown = str(value).lower() if isinstance(value, bool) else value
            raise ConfigError(
                f"{self.file} [{place}] {name}",
                f"'{shown}'",
                str(error),
                "Correct the value.",
            ) from None

    def _read(self, hint: Any, value: object, place: str) -> object:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            read = self._read(arguments[0], value, place)
            for limits in arguments[1:]:
                if isinstance(read, int | float) and isinstance(limits, Range):
                    _check(read in limits, str(limits))
            return read
        if origin in (Union, types.UnionType):
            return self._one_of(arguments, value, place)
        if origin is Literal:
            _check(value in arguments and not isinstance(value, bool), _expected(hint))
            return value
        if origin is tuple:
            _check(isinstance(value, list), _expected(hint))
            assert isinstance(value, list)  # noqa: S101
            if arguments[-1] is not Ellipsis:
                _check(len(value) == len(arguments), f"a list of {len(arguments)}")
            return tuple(
                self._read(arguments[0], one, f"{place}[{at}]") for at, one in enumerate(value)
            )
        if origin is not None and issubclass(origin, Mapping):
            _check(isinstance(value, dict), _expected(hint))
            assert isinstance(value, dict)  # noqa: S101
            return {key: self._read(arguments[1], one, place) for key, one in value.items()}
        if is_dataclass(hint) and isinstance(hint, type):
            return self.table(hint, value, place)
        return self._plain(hint, value)

    def _one_of(self, hints: tuple[Any, ...], value: object, place: str) -> object:
        refusals = []
        for hint in hints:
            if hint is type(None):
                continue
            try:
                return self._read(hint, value, place)
            except _RefusedError as error:
                refusals.append(str(error))
        raise _RefusedError(" or ".join(dict.fromkeys(refusals)))

    def _plain(self, hint: Any, value: object) -> object:
        if hint in (Any, object):
            return value
        if hint is float:
            _check(isinstance(value, int | float) and not isinstance(value, bool), _expected(hint))
            return float(value)  # type: ignore[arg-type]
        if hint is Path:
            _check(isinstance(value, str), _expected(hint))
            return (self.folder / Path(str(value)).expanduser()).resolve()
        if issubclass(hint, StrEnum):
            _check(value in list(hint), _expected(hint))
            return hint(value)
        # A bool is an int to Python.
        _check(
            isinstance(value, hint) and (hint is bool) == isinstance(value, bool), _expected(hint)
        )
        return value


def _check(held: bool, expected: str) -> None:
    if not held:
        raise _RefusedError(expected)


def _expected(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _expected(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_expected(one) for one in arguments if one is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list, each {_expected(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "one of " + ", ".join(hint)
    return _WORDS.get(hint, "a table")


def _unknown(where: str, key: str, known: tuple[str, ...]) -> ConfigError:
    near = difflib.get_close_matches(key, known, 1)
    remedy = f"Did you mean '{near[0]}'?" if near else "Remove it."
    return ConfigError(where, f"the key '{key}' is unknown", "one of " + ", ".join(known), remedy)


def plain(value: object) -> Any:
    """Return `value` as TOML has it: dataclasses as tables, without what is `None`."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((one.name, getattr(value, one.name)) for one in fields(value))
        return {name: plain(one) for name, one in pairs if one is not None}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, Path | StrEnum):
        return str(value)
    return value
