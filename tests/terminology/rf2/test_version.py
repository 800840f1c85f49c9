import pytest

from terminology.rf2.errors import ReleaseError
from terminology.rf2.version import CORE, Dependency, check_version_uri, derive_version

MODEL = 900000000000012004
MAPS = 449080006
US, US_MAPS = 731000124108, 5991000124107
SPANISH = 449081005
OWN, OTHER = 19999999103, 31000003106


@pytest.mark.parametrize(
    ("pairs", "module"),
    [
        ([(CORE, MODEL)], CORE),
        ([(CORE, MODEL), (MAPS, CORE), (MAPS, MODEL)], CORE),
        ([(CORE, MODEL), (MAPS, CORE), (US, CORE), (US, MODEL), (US_MAPS, US)], US),
        ([(CORE, MODEL), (SPANISH, CORE), (SPANISH, MODEL)], SPANISH),
        ([(CORE, MODEL), (MAPS, CORE), (OWN, MAPS), (OWN, OWN), (OWN, CORE)], OWN),
        ([(CORE, MODEL), (US, CORE), (US_MAPS, US), (OWN, US)], OWN),
        ([(OWN, OTHER), (OTHER, CORE)], OWN),
    ],
    ids=["core", "maps", "us", "spanish", "extension", "site-on-us", "chain"],
)
def test_the_edition_is_the_module_on_which_none_depends(pairs, module):
    rows = [Dependency(one, needed, "20250731") for one, needed in pairs]
    assert derive_version(rows, unpublished=False) == (
        f"http://snomed.info/sct/{module}/version/20250731"
    )


def test_the_version_is_the_latest_date_of_the_edition():
    rows = [
        Dependency(OWN, CORE, "20250101"),
        Dependency(OWN, MODEL, "20250301"),
        Dependency(CORE, MODEL, "20251231"),
    ]
    assert derive_version(rows, unpublished=True) == (
        f"http://snomed.info/xsct/{OWN}/version/20250301"
    )


@pytest.mark.parametrize(
    ("pairs", "what"),
    [
        ([], "no active row"),
        ([(OWN, CORE), (OTHER, CORE)], f"several modules could name the edition: {OWN}, {OTHER}"),
        ([(OWN, OTHER), (OTHER, OWN)], "no module can name"),
        ([(MAPS, CORE)], "no module can name"),
    ],
)
def test_an_unclear_edition_is_refused_with_the_remedy(pairs, what):
    rows = [Dependency(one, needed, "20250731") for one, needed in pairs]
    with pytest.raises(ReleaseError, match=what) as raised:
        derive_version(rows, unpublished=False)
    assert "--version-uri" in raised.value.remedy


@pytest.mark.parametrize(
    "uri",
    [
        "http://snomed.info/sct/900000000000207008/version/20250731",
        "http://snomed.info/xsct/31000003106/version/20250909",
    ],
)
def test_a_version_uri_is_taken(uri):
    assert check_version_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://snomed.info/sct",
        "http://snomed.info/sct/900000000000207008",
        "https://snomed.info/sct/900000000000207008/version/20250731",
        "http://snomed.info/sct/900000000000207008/version/20250731/",
        "http://snomed.info/sct/900000000000207009/version/20250731",
        "http://snomed.info/sct/900000000000207008/version/20250732",
        "http://snomed.info/ysct/900000000000207008/version/20250731",
    ],
)
def test_what_is_no_version_uri_is_refused(uri):
    with pytest.raises(ReleaseError) as raised:
        check_version_uri(uri)
    assert raised.value.where == "--version-uri"
