import pytest

from terminology.columns import Answer, map_column, read_once
from terminology.errors import BodySiteError, DicomError
from terminology.library import load_terminology

VALUES = ("Knie li ap", "XXX", "Knie li ap", "KNEE/HAND LT")


@pytest.fixture(scope="module")
def library():
    return load_terminology()


def test_each_value_has_its_answer_in_order(library):
    answers = list(read_once(VALUES, library))
    assert [answer.code for answer in answers] == ["72696002", None, "72696002", "72696002"]
    assert answers[0] == Answer(
        code="72696002",
        display="Knee",
        laterality="left",
        confidence=0.97,
        view="399348003",
        view_display="antero-posterior",
        codes="72696002",
        method="token",
    )
    assert answers[3].codes == "72696002|85562004"
    assert answers[1] == Answer()


def test_a_value_that_is_repeated_is_read_once(library):
    answers = list(read_once(VALUES, library))
    assert answers[0] is answers[2]


def test_the_attribute_counts(library):
    assert next(read_once(["KNEE"], library, "BodyPartExamined")).confidence == 1.0
    assert next(read_once(["KNEE"], library, "StudyDescription")).confidence < 1.0
    with pytest.raises(DicomError):
        list(read_once(["KNEE"], library, "BodyPart"))


def test_the_modality_counts(library):
    assert next(read_once(["KNEE AXIAL"], library, None, "MR")).view is None
    assert next(read_once(["KNEE AXIAL"], library, None, "DX")).view == "399061009"


def test_a_pandas_column_keeps_its_index_and_its_missing_values(library):
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([*VALUES, None, 7], index=list("abcdef"), dtype=object)
    frame = map_column(series, library)
    assert list(frame.index) == list("abcdef")
    assert list(frame.columns) == list(Answer._fields)
    assert frame.loc["a", "laterality"] == "left"
    assert frame.loc["a", "code"] == frame.loc["c", "code"] == "72696002"
    assert frame.loc[["b", "e", "f"]].isna().all(axis=None)
    assert frame["confidence"].dtype == "float64"


def test_an_empty_column_has_no_rows(library):
    pandas = pytest.importorskip("pandas")
    frame = map_column(pandas.Series([], dtype=object), library)
    assert (len(frame), list(frame.columns)) == (0, list(Answer._fields))


def test_without_pandas_the_error_says_what_to_install(library, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("terminology.columns.import_module", missing)
    with pytest.raises(BodySiteError, match="pip install pandas"):
        map_column(["knee"], library)
