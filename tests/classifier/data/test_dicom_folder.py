from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from classifier.data.dicom_folder import read
from classifier.data.sample import Collection
from classifier.errors import DataSetError
from terminology.concept import Laterality
from terminology.library import Terminology

from .samples import AP, CHEST, HAND, KNEE

LEFT_LATERAL = "399173006"


def write(folder: Path, name: str, **elements: object) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.{len(name)}"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.Modality = "DX"
    dataset.Rows = dataset.Columns = 4
    dataset.PatientID = "P1"
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def left_out(collection: Collection) -> dict[str, int]:
    return {one.reason: one.count for one in collection.left_out}


def test_a_header_says_what_was_examined(tmp_path: Path, terminology: Terminology) -> None:
    write(
        tmp_path,
        "a/1.dcm",
        BodyPartExamined="HAND",
        ViewPosition="AP",
        ImageLaterality="L",
        Modality="CR",
        PatientAge="007Y",
    )

    found = read(tmp_path, terminology, name="archive")

    (one,) = found.samples
    assert (one.examined, one.view, one.laterality) == (HAND, AP, Laterality.LEFT)
    assert (one.modality, one.age_years, one.frame) == ("CR", 7.0, 0)
    assert (one.key, one.source, one.path) == (
        "archive/a/1.dcm",
        "archive",
        tmp_path / "a" / "1.dcm",
    )
    assert found.left_out == ()


def test_what_a_header_contradicts_itself_about_is_left_out(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(
        tmp_path, "part.dcm", BodyPartExamined="HAND", SeriesDescription="Knee", ViewPosition="AP"
    )
    write(
        tmp_path,
        "side.dcm",
        BodyPartExamined="KNEE",
        ImageLaterality="L",
        SeriesDescription="right knee",
    )
    write(
        tmp_path,
        "view.dcm",
        BodyPartExamined="CHEST",
        ViewPosition="AP",
        SeriesDescription="lateral",
    )

    part, side, view = read(tmp_path, terminology).samples

    assert (part.examined, part.visible, part.view) == (None, (), AP)
    assert (side.examined, side.laterality) == (KNEE, None)
    assert (view.examined, view.view) == (CHEST, None)
    assert left_out(read(tmp_path, terminology)) == {
        "a header that contradicts itself about the part": 1,
        "a header that contradicts itself about the side": 1,
        "a header that contradicts itself about the view": 1,
    }


def test_a_header_without_a_part_is_a_sample_without_a_label(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "1.dcm", ViewPosition="LL")

    found = read(tmp_path, terminology)

    assert (found.samples[0].examined, found.samples[0].view) == (None, LEFT_LATERAL)
    assert left_out(found) == {"a header that names no part: the label is unknown": 1}


def test_several_parts_are_visible_and_none_is_the_one_examined(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "1.dcm", BodyPartExamined="", SeriesDescription="hand and knee")

    found = read(tmp_path, terminology)

    assert found.samples[0].examined is None
    assert set(found.samples[0].visible) == {HAND, KNEE}


def test_a_part_that_is_not_sure_is_left_out(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "1.dcm", BodyPartExamined="SHUOLDER")

    assert read(tmp_path, terminology, least_confidence=0.0).samples[0].examined is not None
    found = read(tmp_path, terminology, least_confidence=0.99)
    assert found.samples[0].examined is None
    assert "a part that the header reader is not sure of" in left_out(found)


def test_files_that_are_no_image_of_a_human_are_counted(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "1.dcm", BodyPartExamined="HAND")
    write(tmp_path, "2.dcm", Rows=None, Modality="SR")
    write(tmp_path, "3.dcm", BodyPartExamined="HAND", PatientSpeciesDescription="canine")
    (tmp_path / "readme.txt").write_text("no DICOM")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "1.dcm").read_bytes()[:200])

    found = read(tmp_path, terminology)

    assert len(found.samples) == 1
    assert left_out(found) == {
        "a DICOM file that is no image": 2,
        "a file that is no DICOM": 1,
        "an image of an animal": 1,
    }


def test_a_patient_is_a_hash_and_named_nowhere(tmp_path: Path, terminology: Terminology) -> None:
    for number, patient in enumerate(["MUELLER-17", "MUELLER-17", "SCHMIDT-4"]):
        write(tmp_path, f"{number}.dcm", PatientID=patient, BodyPartExamined="FLORB")

    found = read(tmp_path, terminology, name="archive")
    salted = read(tmp_path, terminology, name="archive", salt="secret")

    groups = [one.group for one in found.samples]
    assert groups[0] == groups[1] != groups[2]
    assert all(one.startswith("archive:") and len(one) == len("archive:") + 16 for one in groups)
    assert "MUELLER" not in repr(found)
    assert set(groups).isdisjoint(one.group for one in salted.samples)


def test_one_patient_of_all_studies_is_nobody(tmp_path: Path, terminology: Terminology) -> None:
    for number in range(3):
        write(tmp_path, f"{number}.dcm", PatientID="ANON", StudyInstanceUID=f"1.2.{number // 2}")

    groups = [one.group for one in read(tmp_path, terminology).samples]

    assert groups[0] == groups[1] != groups[2]


def test_without_patient_and_study_an_image_is_a_group(
    tmp_path: Path, terminology: Terminology
) -> None:
    for number in range(2):
        write(tmp_path, f"{number}.dcm", PatientID=None, StudyInstanceUID=None)

    found = read(tmp_path, terminology, name="x")

    assert [one.group for one in found.samples] == ["x:0.dcm", "x:1.dcm"]


@pytest.mark.parametrize(
    ("frames", "expected"), [(1, [5]), (2, [2, 7]), (10, [*range(10)]), (99, [*range(10)])]
)
def test_frames_of_a_file_are_spread_evenly(
    tmp_path: Path, terminology: Terminology, frames: int, expected: list[int]
) -> None:
    write(tmp_path, "1.dcm", NumberOfFrames=10, BodyPartExamined="HEART", Modality="XA")

    found = read(tmp_path, terminology, name="x", frames=frames)

    assert [one.frame for one in found.samples] == expected
    assert len({one.key for one in found.samples}) == len(expected)
    assert len({one.group for one in found.samples}) == 1


def test_slices_of_a_series_are_spread_evenly(tmp_path: Path, terminology: Terminology) -> None:
    for number in range(9):
        write(
            tmp_path,
            f"{9 - number}.dcm",
            Modality="CT",
            BodyPartExamined="CHEST",
            SeriesInstanceUID="1.2.7" if number < 6 else "1.2.8",
            InstanceNumber=str(number),
        )

    found = read(tmp_path, terminology, slices=3)

    assert [one.path.stem for one in found.samples] == ["1", "2", "3", "4", "6", "8"]
    assert left_out(found) == {"a further image of its series": 3}


def test_an_attribute_tells_sources_apart(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "1.dcm", InstitutionName="North")
    write(tmp_path, "2.dcm")

    found = read(tmp_path, terminology, name="x", source="InstitutionName")

    assert [one.source for one in found.samples] == ["North", "x"]


def test_progress_is_told_file_by_file(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "1.dcm")
    write(tmp_path, "2.dcm")
    told: list[tuple[int, int]] = []

    read(tmp_path, terminology, progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "options", [{"frames": 0}, {"slices": -1}, {"source": "NoKeyword"}, {"source": "PatientID"}, {}]
)
def test_options_and_folders_that_make_no_sense_are_refused(
    tmp_path: Path, terminology: Terminology, options: dict[str, object]
) -> None:
    if options:
        write(tmp_path, "1.dcm")

    with pytest.raises(DataSetError):
        read(tmp_path, terminology, **options)
