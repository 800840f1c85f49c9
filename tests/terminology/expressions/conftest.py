import os
from pathlib import Path

import pytest

from terminology.release.build import compile_rows
from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex
from terminology.rf2 import read_release

from .release import index_in, write_release

SUBSET_VERSION = "http://snomed.info/xsct/31000003106/version/20250909"


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseIndex:
    """A release of our own, with a concept model."""
    folder = tmp_path_factory.mktemp("release")
    write_release(folder)
    return index_in(folder)


@pytest.fixture(scope="session")
def embedded() -> ReleaseIndex:
    return embedded_index()


@pytest.fixture(scope="session")
def subset() -> ReleaseIndex:
    """The RF2 subset of HL7's test suite."""
    base = Path(__file__).parents[4] / "shared"
    folder = Path(os.environ.get("BODYSITE_SHARED", base)) / "tx-ecosystem" / "rf2"
    if not folder.is_dir():
        pytest.skip(f"no RF2 subset in {folder}")
    facts, arrays = compile_rows(read_release([folder], version_uri=SUBSET_VERSION))
    held = dict(arrays)
    return ReleaseIndex(facts, held)
