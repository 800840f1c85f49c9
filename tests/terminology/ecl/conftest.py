import pytest

from tests.terminology.writer import index_of

from .naive import Naive
from .release import VERSION, write_release


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
def naive_subset(subset_folder):
    return Naive(subset_folder)
