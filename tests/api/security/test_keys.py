"""The key of pseudonyms: of one database, or shared by several."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.errors import RequestError
from api.phi import PhiGuard, PhiPolicy
from api.security.keys import pseudonym_key
from api.store import SqlStore
from tests.api.client import Client
from tests.api.conftest import make_dicom


def key_file(path: Path, content: str = "k" * 64, mode: int = 0o600) -> Path:
    path.write_text(content + "\n")
    path.chmod(mode)
    return path


def test_without_a_file_the_key_is_that_of_the_database(store: SqlStore) -> None:
    assert pseudonym_key(None, store) == store.salt


def test_two_databases_with_one_file_give_the_same_pseudonyms(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key")
    found = []
    for name in ("a", "b"):
        store = SqlStore(f"sqlite:///{tmp_path}/{name}.sqlite")
        found.append(PhiGuard(PhiPolicy.HASH, pseudonym_key(path, store)).patient("P-4711"))
        store.close()
    assert found[0] == found[1]


def test_a_database_keeps_to_its_key(tmp_path: Path, store: SqlStore) -> None:
    path = key_file(tmp_path / "key")
    pseudonym_key(path, store)
    assert pseudonym_key(path, store) == b"k" * 64
    for other in (None, key_file(tmp_path / "other", "o" * 64)):
        with pytest.raises(RequestError, match="made with another key"):
            pseudonym_key(other, store)


def test_a_database_that_has_pseudonyms_of_its_own_goes_on_with_them(
    tmp_path: Path, store: SqlStore, serve: Callable[..., Client]
) -> None:
    assert serve().annotate(make_dicom(BodyPartExamined="HAND")).status_code == 200
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM setting WHERE name = 'phi_key'")
    with pytest.raises(RequestError, match="made with another key"):
        pseudonym_key(key_file(tmp_path / "key"), store)
    assert pseudonym_key(None, store) == store.salt


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX")
@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [("k" * 64, 0o644, "chmod 600"), ("short", 0o600, "at least 32")],
)
def test_a_file_that_is_no_secret_is_refused(
    tmp_path: Path, store: SqlStore, content: str, mode: int, reason: str
) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        pseudonym_key(key_file(tmp_path / "key", content, mode), store)
    assert content not in str(caught.value)


def test_the_service_uses_the_file(
    tmp_path: Path, serve: Callable[..., Client], store: SqlStore
) -> None:
    client = serve(phi_key_file=key_file(tmp_path / "key"))
    bundle = client.annotate(make_dicom(BodyPartExamined="HAND")).json()
    study = next(
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "ImagingStudy"
    )
    expected = PhiGuard(PhiPolicy.HASH, b"k" * 64).patient("P-4711")
    assert study["subject"]["identifier"]["value"] == expected
