import shutil

import pytest

from terminology.structures import (
    CONCEPTS_TABLE,
    EDGES_TABLE,
    EMBEDDED_VERSION,
    HISTORY_TABLE,
    MODEL_TABLE,
    BodyStructures,
    content_hash,
)
from terminology.tables import mappings_folder

STRUCTURES = (CONCEPTS_TABLE, EDGES_TABLE, HISTORY_TABLE)
# What the tables that come with Bodysite hold, in the version that they have.
VERSION = "https://w3id.org/bodysite/embedded-body-structures/version/20261120.2"
CONTENT = "98f0f85aafdb49d95f7196dfd49fd0b2426e2d95519155676f321ece64a29bb0"


@pytest.fixture
def folder(tmp_path):
    for name in STRUCTURES:
        shutil.copy(mappings_folder() / name, tmp_path)
    return tmp_path


def test_the_version_names_the_content_of_the_tables():
    found = content_hash(mappings_folder(), (*STRUCTURES, MODEL_TABLE))
    assert (EMBEDDED_VERSION, found) == (VERSION, CONTENT), (
        "The tables of the body structures or the concept model have changed: raise"
        " EMBEDDED_VERSION in terminology/structures.py to the day of the change, and put it here"
        " with the hash. Two contents must never be served under one version."
    )


def test_a_copy_of_the_tables_has_their_version(folder):
    path = folder / EDGES_TABLE
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert BodyStructures.load(folder).version == EMBEDDED_VERSION
    assert BodyStructures.load().version == EMBEDDED_VERSION


@pytest.mark.parametrize("name", STRUCTURES)
def test_other_tables_have_a_version_of_their_own(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes().removesuffix(b"\n") + b"; of my own\n")
    changed = content_hash(folder, STRUCTURES)
    assert changed != content_hash(mappings_folder(), STRUCTURES)
    assert BodyStructures.load(folder).version == f"{EMBEDDED_VERSION}-{changed[:12]}"
