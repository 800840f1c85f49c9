import pytest

from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex

from .release import index_in, write_release


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseIndex:
    """A release of our own, with a concept model."""
    folder = tmp_path_factory.mktemp("release")
    write_release(folder)
    return index_in(folder)


@pytest.fixture(scope="session")
def embedded() -> ReleaseIndex:
    return embedded_index()
