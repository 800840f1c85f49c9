"""Static bearer tokens: from settings, or from a file that is read again when it changes.

A line of the file is one of::

    # a comment
    TOKEN
    NAME:TOKEN
    NAME:TOKEN:SCOPES
    NAME:sha256:HEX
    NAME:sha256:HEX:SCOPES

SCOPES are set apart by blanks; without them a token may do everything.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.errors import RequestError
from api.security.actor import Actor, static_actor
from api.security.scopes import ALL, granted

logger = logging.getLogger(__name__)

# RFC 6750, 2.1: the characters of a bearer token. There is no colon among them.
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class StaticToken:
    """Who shows a token with this digest; `plain` when the token itself stood in its source."""

    digest: bytes
    actor: Actor
    plain: bool = True


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token, which is all that is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def listed(tokens: Iterable[str]) -> tuple[StaticToken, ...]:
    """Return the tokens of the settings; each may have a name and scopes, as in a file."""
    return tuple(
        _parsed(token, f"BODYSITE_TOKENS, the {number}. token", number)
        for number, token in enumerate(tokens, 1)
    )


def parse_tokens(text: str, where: str) -> tuple[StaticToken, ...]:
    """Return the tokens of a file.

    Raises
    ------
    RequestError
        A line is wrong, two have the same token, or there is none. No token is ever in the message.
    """
    found: dict[bytes, StaticToken] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        token = _parsed(content, f"{where}:{number}", len(found) + 1)
        if token.digest in found:
            raise _bad(f"{where}:{number}", "its token is that of a line above", "a token once")
        found[token.digest] = token
    if not found:
        raise _bad(where, "it holds no token", "one a line")
    return tuple(found.values())


def _parsed(line: str, where: str, number: int) -> StaticToken:
    if ":" not in line:
        # Without a name anything goes, as it did before there were names.
        return StaticToken(digest_of(line), static_actor(f"token-{number}", (ALL,)))
    name, _, rest = line.partition(":")
    first, _, scopes = rest.partition(":")
    if first == "sha256":
        hexadecimal, _, scopes = scopes.partition(":")
        if not _DIGEST.fullmatch(hexadecimal.lower()):
            raise _bad(where, "its digest is none", "64 hexadecimal digits behind 'sha256:'")
        digest = bytes.fromhex(hexadecimal)
    elif _TOKEN.fullmatch(first):
        digest = digest_of(first)
    else:
        raise _bad(where, "its token is none", "letters, digits and -._~+/ (RFC 6750)")
    if not _NAME.fullmatch(name):
        raise _bad(where, "its name is none", "up to 64 letters, digits and ._@-")
    asked = tuple(scopes.split())
    unknown = [scope for scope in asked if granted(scope) is None]
    if unknown:
        raise _bad(
            where, f"'{unknown[0][:60]}' grants nothing", "SMART scopes as system/ImagingStudy.rs"
        )
    return StaticToken(digest, static_actor(name, asked or (ALL,)), plain=first != "sha256")


def _bad(where: str, what: str, expected: str) -> RequestError:
    return RequestError(where, what, expected, "Correct the file of tokens.", status=500)


class StaticTokens:
    """The tokens of the settings and of a file.

    Parameters
    ----------
    fixed
        Tokens of the settings, which have no names.
    path
        A file of tokens; looked at again at most once a second. While what is in it is wrong, the
        tokens that it held before go on to hold, and the log says why.

    Raises
    ------
    RequestError
        The file cannot be read, others than its owner and group can read it, or a line is wrong.
    """

    def __init__(self, fixed: Iterable[str] = (), path: Path | None = None) -> None:
        self._fixed = listed(fixed)
        self._path = path
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._stamp: tuple[int, int, int] | None = None
        self._held: tuple[StaticToken, ...] = self._fixed
        if path is not None:
            self._stamp = _stamp(path)
            self._held = (*self._fixed, *read_tokens(path))

    def __bool__(self) -> bool:
        """Return whether there is any token, or a file that may hold some."""
        return bool(self._held) or self._path is not None

    def find(self, token: str) -> Actor | None:
        """Return who shows `token`.

        Every token is compared, so that the time says nothing about which one is near.
        """
        self._look_again()
        shown = digest_of(token)
        found = None
        for one in self._held:
            if hmac.compare_digest(shown, one.digest):
                found = one.actor
        return found

    def _look_again(self) -> None:
        if self._path is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        with self._lock:
            self._looked = time.monotonic()
            try:
                stamp = _stamp(self._path)
                if stamp == self._stamp:
                    return
                self._held = (*self._fixed, *read_tokens(self._path))
                self._stamp = stamp
                logger.warning("the file of tokens was read again: %d tokens", len(self._held))
            except RequestError as error:
                self._stamp = None
                logger.error("the file of tokens is left as it was: %s", error)


def read_tokens(path: Path) -> tuple[StaticToken, ...]:
    """Return the tokens in the file at `path`; see `StaticTokens` for what is refused."""
    where = f"--token-file {path}"
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            where,
            f"it cannot be read as UTF-8 text ({type(error).__name__})",
            "one token a line",
            "Correct the path or the file.",
            status=500,
        ) from error
    found = parse_tokens(text, where)
    # Digests may be seen by everybody; nobody else may put one in.
    open_to_all = stat.S_IWOTH | (stat.S_IROTH if any(one.plain for one in found) else 0)
    if os.name == "posix" and mode & open_to_all:
        raise RequestError(
            where,
            f"everybody on this machine can get at it (mode {stat.S_IMODE(mode):04o})",
            "a file for its owner, at most its group, or one with digests only",
            f"Run: chmod 600 {path}",
            status=500,
        )
    return found


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise RequestError(
            f"--token-file {path}",
            f"it cannot be read ({type(error).__name__})",
            "a file of tokens",
            "Correct the path.",
            status=500,
        ) from error
    return found.st_mtime_ns, found.st_size, found.st_ino
