import os
from pathlib import Path

import pytest

from terminology.release.build import compile_rows
from terminology.release.index import ReleaseIndex
from terminology.rf2 import read_release

from .naive import Naive
from .release import VERSION, write_release

SUBSET_VERSION = "http://snomed.info/xsct/31000003106/version/20250909"


def index_of(folder, version):
    facts, arrays = compile_rows(read_release([folder], version_uri=version))
    held = dict(arrays)
    return ReleaseIndex(facts, held)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of a release of our own."""
    folder = tmp_path_factory.mktemp("release")
    write_release(folder)
    return folder


@pytest.fixture(scope="session")
def index(made):
    return index_of(made, VERSION)


@pytest.fixture(scope="session")
def naive(made):
    return Naive(made)


@pytest.fixture(scope="session")
def subset_folder():
    """The RF2 subset of HL7's test suite."""
    base = Path(__file__).parents[4] / "shared"
    folder = Path(os.environ.get("BODYSITE_SHARED", base)) / "tx-ecosystem" / "rf2"
    if not folder.is_dir():
        pytest.skip(f"no RF2 subset in {folder}; BODYSITE_SHARED names the folder that has it")
    return folder


@pytest.fixture(scope="session")
def subset(subset_folder):
    return index_of(subset_folder, SUBSET_VERSION)


@pytest.fixture(scope="session")
def naive_subset(subset_folder):
    return Naive(subset_folder)
