"""Machine-made resources: which of them fhir.resources checks, and which have been checked."""

import pytest
from pydantic import ValidationError

from api.fhir import check, shape_of

_STUDY = {
    "resourceType": "ImagingStudy",
    "id": "a-1",
    "status": "available",
    "subject": {"identifier": {"value": "PAT-1"}},
    "started": "2020-01-31T10:00:00+01:00",
    "numberOfSeries": 1,
    "series": [{"uid": "1.2.3", "modality": {"code": "DX"}}],
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.2.840.1", "1.2.840.99.7"),
        ("2020-01-31", "2024-12-28"),
        ("2020-01-31T10:00:00+01:00", "2021-02-28T23:59:59.123Z"),
        ("72696002", "85562004"),
        ("Knee region", "Structure of left hand"),
        ("urn:oid:1.2", "http://snomed.info/sct"),
        (3, 70_000),
        (0.5, -1.25),
        (["a"], ["b", "c"]),
        ({"code": "DX"}, {"code": "CT"}),
    ],
)
def test_what_differs_by_patient_only_is_of_one_shape(one: object, other: object) -> None:
    assert shape_of(one) == shape_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2020-01-31", "2020-02-30"),
        ("2020-01-31", "2020-13-01"),
        ("2020-01-31T10:00:00Z", "2020-01-31T24:00:00Z"),
        ("2020-01-31T10:00:00Z", "2020-01-31T10:00:00"),
        ("2020-01-31", "2020-01-31T10:00:00Z"),
        ("KNEE", "KNEE "),
        ("KNEE", "KNEE AP"),
        ("KNEE", ""),
        ("KNEE", "1.5"),
        ("KNEE", "12345"),
        ("KNEE", "A\x00"),
        ("a  b", "a  c"),
        ("x" * 64, "x" * 65),
        (1, 0),
        (1, -1),
        (1, True),
        (1, 1.0),
        (1, 2**31),
        ("1", 1),
        (1.0, float("nan")),
        ("DX", None),
        ("DX", ["DX"]),
        (["DX"], []),
        ({"code": "DX"}, {"code": "DX", "display": "DX"}),
        ({"code": "DX"}, {"kode": "DX"}),
    ],
)
def test_what_an_element_might_refuse_is_of_another_shape(one: object, other: object) -> None:
    assert shape_of(one) != shape_of(other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"started": "2020-02-30"},
        {"started": "yesterday"},
        {"numberOfSeries": -1},
        {"series": [{"modality": {"code": "DX"}}]},
        {"series": [{"uid": "1.2 3", "modality": {"code": "DX"}}]},
        {"bodySite": "knee"},
    ],
)
def test_a_wrong_resource_is_refused_after_a_right_one_and_each_time(wrong: object) -> None:
    assert isinstance(wrong, dict)
    check("ImagingStudy", _STUDY, by_shape=True)
    for _ in range(2):
        with pytest.raises(ValidationError):
            check("ImagingStudy", {**_STUDY, **wrong}, by_shape=True)


def test_a_resource_of_another_type_is_checked_though_its_shape_is_known() -> None:
    check("ImagingStudy", _STUDY, by_shape=True)
    with pytest.raises(ValidationError):
        check("Observation", _STUDY, by_shape=True)
