"""Files of static tokens."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest

from api.errors import RequestError
from api.security import tokens
from api.security.tokens import StaticTokens, parse_tokens, read_tokens

DIGEST = hashlib.sha256(b"beta-secret").hexdigest()
FILE = f"""
# who uses the service
plain-secret
pacs:alpha-secret
viewer:sha256:{DIGEST}:system/ImagingStudy.rs system/Observation.rs
bot:gamma-secret:system/*.cruds
"""


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("token", "name", "scopes"),
    [
        ("plain-secret", "token-1", ("system/*.cruds",)),
        ("alpha-secret", "pacs", ("system/*.cruds",)),
        ("beta-secret", "viewer", ("system/ImagingStudy.rs", "system/Observation.rs")),
        ("gamma-secret", "bot", ("system/*.cruds",)),
    ],
)
def test_a_token_is_known_by_name_and_scopes(
    tmp_path: Path, token: str, name: str, scopes: tuple[str, ...]
) -> None:
    actor = StaticTokens((), written(tmp_path / "t", FILE)).find(token)
    assert actor is not None
    assert (actor.name, actor.scopes, actor.kind) == (name, scopes, "static")


@pytest.mark.parametrize("token", ["", "alpha", "alpha-secret ", "pacs:alpha-secret", DIGEST])
def test_nothing_else_is_a_token(tmp_path: Path, token: str) -> None:
    assert StaticTokens((), written(tmp_path / "t", FILE)).find(token) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("name:sha256:abc", "its digest is none"),
        ("na me:token", "its name is none"),
        ("name:to ken", "its token is none"),
        ("name:", "its token is none"),
        ("name:token:system/ImagingStudy.xyz", "grants nothing"),
        ("a:same\nb:same", "that of a line above"),
        ("# only a comment", "it holds no token"),
    ],
)
def test_a_wrong_line_is_refused_without_telling_the_token(line: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        parse_tokens(line, "file")
    for secret in ("same", "to ken"):
        assert secret not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX")
@pytest.mark.parametrize(
    ("text", "mode", "allowed"),
    [
        ("a:secret", 0o600, True),
        ("a:secret", 0o640, True),
        ("a:secret", 0o644, False),
        (f"a:sha256:{DIGEST}", 0o644, True),
        (f"a:sha256:{DIGEST}", 0o646, False),
    ],
)
def test_who_may_read_the_file(tmp_path: Path, text: str, mode: int, allowed: bool) -> None:
    path = written(tmp_path / "t", text, mode)
    if allowed:
        assert read_tokens(path)
    else:
        with pytest.raises(RequestError, match="chmod 600"):
            read_tokens(path)


def test_an_edit_is_seen_and_a_wrong_one_leaves_the_tokens_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokens, "_LOOK_SECONDS", 0)
    path = written(tmp_path / "t", "a:first")
    held = StaticTokens((), path)
    assert held.find("first") is not None
    written(path, "a:second-one")
    assert held.find("first") is None
    assert held.find("second-one") is not None
    with caplog.at_level(logging.ERROR):
        written(path, "a:third one")
        assert held.find("second-one") is not None
        path.unlink()
        assert held.find("second-one") is not None
    assert "left as it was" in caplog.text
    assert "third one" not in caplog.text


def test_tokens_of_the_settings_go_beside_the_file(tmp_path: Path) -> None:
    held = StaticTokens(("plain", "lab:other:system/*.rs"), written(tmp_path / "t", "a:b"))
    plain, other = held.find("plain"), held.find("other")
    assert plain is not None
    assert other is not None
    assert (plain.name, other.name, other.scopes) == ("token-1", "lab", ("system/*.rs",))
    assert not StaticTokens()
