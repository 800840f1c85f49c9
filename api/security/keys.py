"""The key that pseudonyms are made with: that of the store, or one that several stores share."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from api.errors import RequestError
from api.store import ResourceStore, Transaction, schema

MIN_BYTES: Final = 32
_SETTING: Final = "phi_key"
_PURPOSE: Final = b"bodysite: which key is it"


def pseudonym_key(path: Path | None, store: ResourceStore) -> bytes:
    """Return the key in the file at `path`, or the salt of `store` without one.

    A store keeps to the key that it was first opened with: under two of them, one patient would
    have two pseudonyms.

    Raises
    ------
    RequestError
        The file is not fit for a secret, or the store has another key.
    """
    key = store.salt if path is None else read_key(path)
    own = _fingerprint(store.salt)
    wanted = _fingerprint(key)

    def bound(tx: Transaction) -> str:
        # What was stored before there were files with keys has pseudonyms of the salt.
        used = tx.connection.scalar(sa.select(schema.resource.c.rid).limit(1)) is not None
        known = tx.connection.scalar(
            sa.select(schema.setting.c.value).where(schema.setting.c.name == _SETTING)
        )
        return tx.set_once(_SETTING, own if used and known is None else wanted)

    if store.run(bound) != wanted:
        raise RequestError(
            "database",
            "its pseudonyms were made with another key",
            "the same key for the whole life of a database",
            "Set BODYSITE_PHI_KEY_FILE as it was, or use another database.",
            status=500,
        )
    return key


def _fingerprint(key: bytes) -> str:
    return hmac.new(key, _PURPOSE, hashlib.sha256).hexdigest()


def read_key(path: Path) -> bytes:
    """Return the key in a file: its bytes without white space around them."""
    where = f"BODYSITE_PHI_KEY_FILE {path}"
    try:
        mode = path.stat().st_mode
        key = path.read_bytes().strip()
    except OSError as error:
        raise RequestError(
            where,
            f"it cannot be read ({type(error).__name__})",
            "a file with the key",
            "Correct the path or the permissions.",
            status=500,
        ) from error
    if os.name == "posix" and mode & (stat.S_IROTH | stat.S_IWOTH):
        raise RequestError(
            where,
            f"everybody on this machine can get at it (mode {stat.S_IMODE(mode):04o})",
            "a file for its owner, at most its group",
            f"Run: chmod 600 {path}",
            status=500,
        )
    if len(key) < MIN_BYTES:
        raise RequestError(
            where,
            f"the key has {len(key)} bytes",
            f"at least {MIN_BYTES}",
            "Make one: openssl rand -hex 32",
            status=500,
        )
    return key
