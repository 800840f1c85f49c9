from pathlib import Path

import pytest

from classifier.data.image_folder import read
from classifier.data.sample import Collection, Sample
from classifier.errors import DataSetError
from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.library import Terminology

from .samples import ABDOMEN, AP, CHEST, HAND, KNEE, LATERAL, SPINE


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def by_key(collection: Collection) -> dict[str, Sample]:
    return {one.key: one for one in collection.samples}


def test_the_name_of_a_folder_is_the_label(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "Knie/1.png", "hand_left/sub/2.JPG", "85562004 |Hand|/3.dcm", "thorax ap/4.tif")

    found = by_key(read(tmp_path, terminology, name="set", modality="DX", licence="CC0"))

    assert found.keys() == {
        "set/Knie/1.png",
        "set/hand_left/sub/2.JPG",
        "set/85562004 |Hand|/3.dcm",
        "set/thorax ap/4.tif",
    }
    knee, left = found["set/Knie/1.png"], found["set/hand_left/sub/2.JPG"]
    assert (knee.examined, knee.laterality, knee.view) == (KNEE, None, None)
    assert (left.examined, left.laterality) == (HAND, Laterality.LEFT)
    assert found["set/85562004 |Hand|/3.dcm"].examined == HAND
    assert found["set/thorax ap/4.tif"].view == AP
    assert {(one.modality, one.licence, one.source) for one in found.values()} == {
        ("DX", "CC0", "set")
    }
    assert len({one.group for one in found.values()}) == 4


@pytest.mark.parametrize(
    ("folder", "part"),
    [("train", "train"), ("Val", "validation"), ("valid", "validation"), ("test", "test")],
)
def test_folders_of_parts_may_hold_the_classes(
    tmp_path: Path, terminology: Terminology, folder: str, part: str
) -> None:
    write(tmp_path, f"{folder}/hand/1.png", "train/knee/2.png")

    found = by_key(read(tmp_path, terminology, name="set"))

    assert found[f"set/{folder}/hand/1.png"].part == part
    assert found["set/train/knee/2.png"].part == "train"


def test_a_folder_called_test_beside_classes_is_a_class(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "hand/1.png", "test/2.png")

    with pytest.raises(DataSetError, match="'test'"):
        read(tmp_path, terminology)


def test_all_classes_that_name_no_part_are_named_with_suggestions(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "hand/1.png", "florb/2.png", "hand and knee/3.png", "shouldr/4.png")

    with pytest.raises(DataSetError) as caught:
        read(tmp_path, terminology)

    assert "'florb'" in caught.value.what
    assert "'shouldr' (perhaps 16982005 |Shoulder|)" in caught.value.what
    assert "'hand and knee' (perhaps 85562004 |Hand| or 72696002 |Knee|)" in caught.value.what
    assert "'hand'," not in caught.value.what


def test_classes_may_be_explained_or_left_out(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "c1/1.png", "c2/2.png", "rest/3.png", "hand/4.png")

    found = read(
        tmp_path, terminology, classes={"c1": "85562004", "c2": "knee lateral", "rest": ""}
    )

    labels = {one.path.parent.name: (one.examined, one.view) for one in found.samples}
    assert labels == {"c1": (HAND, None), "c2": (KNEE, LATERAL), "hand": (HAND, None)}
    assert [(one.reason, one.count) for one in found.left_out] == [
        ("the class 'rest' is not asked for", 1)
    ]


@pytest.mark.parametrize(
    "classes", [{"c1": "85562005"}, {"c1": "florb"}, {"c1": "hand and knee"}, {"c2": "hand"}]
)
def test_an_explanation_has_to_name_one_part(
    tmp_path: Path, terminology: Terminology, classes: dict[str, str]
) -> None:
    write(tmp_path, "c1/1.png")

    with pytest.raises(DataSetError):
        read(tmp_path, terminology, classes=classes)


def test_the_groups_of_the_imaging_router_are_labels_of_its_head(
    tmp_path: Path, terminology: Terminology
) -> None:
    folders = ["Abdomen", "Adult_Chest", "Pediatric Chest", "Spine", "Others"]
    write(tmp_path, *(f"{folder}/1.png" for folder in folders))

    found = [(one.examined, one.router_group) for one in read(tmp_path, terminology).samples]

    assert found == [
        (ABDOMEN, RouterGroup.ABDOMEN),
        (CHEST, RouterGroup.ADULT_CHEST),
        (None, RouterGroup.OTHER),
        (CHEST, RouterGroup.PAEDIATRIC_CHEST),
        (SPINE, RouterGroup.SPINE),
    ]


def test_coarse_classes_are_only_regions(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "upper limb/1.png", "lower limb/2.png")

    found = read(tmp_path, terminology, coarse=True)

    assert found.declaration.coarse_only
    assert all(one.coarse for one in found.samples)


def test_a_patient_may_be_in_the_name_of_a_file(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "hand/P1_1.png", "hand/P1_2.png", "knee/P2/1.png")

    found = read(tmp_path, terminology, name="set", patient=r"^(P\d+)")

    assert [one.group for one in found.samples] == ["set:P1", "set:P1", "set:P2"]


@pytest.mark.parametrize("patient", ["(", "P1", r"^(X\d+)", "^(P1)?"])
def test_a_pattern_that_finds_no_patient_is_refused(
    tmp_path: Path, terminology: Terminology, patient: str
) -> None:
    write(tmp_path, "hand/P2_1.png")

    with pytest.raises(DataSetError, match="patient"):
        read(tmp_path, terminology, patient=patient)


def test_other_files_are_counted(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "hand/1.png", "hand/notes.txt", "readme.md", ".cache/x/1.png")

    found = read(tmp_path, terminology)

    assert len(found.samples) == 1
    assert {one.reason: one.count for one in found.left_out} == {
        "a file that is no image by its name": 1,
        "a file outside of the class folders": 1,
    }


def test_a_folder_without_images_is_refused(tmp_path: Path, terminology: Terminology) -> None:
    write(tmp_path, "file.png")

    for path in (tmp_path, tmp_path / "file.png", tmp_path / "missing"):
        with pytest.raises(DataSetError):
            read(path, terminology)


def test_a_set_may_declare_that_its_classes_name_everything(
    tmp_path: Path, terminology: Terminology
) -> None:
    write(tmp_path, "hand/0.png", "knee/0.png")
    silent = read(tmp_path, terminology)
    assert silent.declaration.exhaustive_over == frozenset()
    declared = read(tmp_path, terminology, exhaustive_over="*")
    assert declared.declaration.exhaustive_over == {"*"}
