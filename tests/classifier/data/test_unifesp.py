import pytest

from classifier.data.read import read_collection
from classifier.errors import DataSetError
from terminology.concept import Laterality
from tests.classifier import tinysets

CHEST, ABDOMEN, PELVIS = "816094009", "818981001", "816092008"
ABDOMEN_PELVIS, CHEST_ABDOMEN_PELVIS = "818982008", "416775004"


@pytest.fixture
def unifesp(tmp_path):
    return tinysets.unifesp(tmp_path)


def left_out(collection):
    return {one.reason: (one.count, one.example) for one in collection.left_out}


def add(folder, target, instance="1.2.3", **header):
    """One image more, with its row."""
    table = folder / "train.csv"
    table.write_text(f"{table.read_text()}{instance},{target}\n")
    image = tinysets.picture(tinysets.CHEST, 99, 0)
    path = folder / "train" / "train" / f"{instance}-c.dcm"
    tinysets.dicom(path, image, ("P99", "034Y"), instance, **header)
    return path


def test_an_image_has_its_parts_age_modality_and_patient(unifesp, terminology):
    collection = read_collection("unifesp", unifesp, terminology)
    assert collection.name == "unifesp"
    assert collection.left_out == ()
    first, second = collection.samples[:2]
    assert first.key == "unifesp/1.2.826.0.1.3680043.8.498.300000"
    assert first.group == second.group
    assert "T00000" not in first.group
    assert (first.examined, first.visible) == (CHEST, ())
    assert (first.modality, first.age_years) == ("CR", 30.0)
    assert first.part is None
    assert len({sample.group for sample in collection.samples}) == 12
    both = collection.samples[4]
    assert (both.examined, both.visible) == (ABDOMEN_PELVIS, (ABDOMEN, PELVIS))
    assert both.age_years == 6.0


@pytest.mark.parametrize(
    ("target", "examined", "visible"),
    [
        ("3", CHEST, ()),
        ("3 ", CHEST, ()),
        ('" 3  "', CHEST, ()),
        ("3 3", CHEST, ()),
        ("15 0", ABDOMEN_PELVIS, (PELVIS, ABDOMEN)),
        ("3 0 15", CHEST_ABDOMEN_PELVIS, (CHEST, ABDOMEN, PELVIS)),
        # Several parts that are no one region: none of them is the one examined.
        ("3 9", None, (CHEST, "85562004")),
        ("0 15 9", None, (ABDOMEN, PELVIS, "85562004")),
        # The rest class names no part.
        ("14", None, ()),
        # As tools around the set write it.
        ('"[3, 9]"', None, (CHEST, "85562004")),
        ("3.0", CHEST, ()),
        ("Chest", CHEST, ()),
    ],
)
def test_labels_of_an_image(unifesp, terminology, target, examined, visible):
    add(unifesp, target)
    collection = read_collection("unifesp", unifesp, terminology)
    assert collection.left_out == ()
    sample = collection.samples[-1]
    assert (sample.examined, sample.visible) == (examined, visible)


@pytest.mark.parametrize(
    ("target", "reason", "example"),
    [
        (
            "14 9",
            "a label that names no part (14, Others) beside others",
            "train.csv:26",
        ),
        (
            "22",
            "a target that is no list of labels",
            "train.csv:26: '22' is no UNIFESP label (0 to 21)",
        ),
        (
            "3 22",
            "a target that is no list of labels",
            "train.csv:26: '22' is no UNIFESP label (0 to 21)",
        ),
        ("14 x", "a target that is no list of labels", "train.csv:26: 'x' is no UNIFESP label"),
        ("", "a target that is no list of labels", "train.csv:26: no label"),
        ("3,9", "a row with the wrong number of cells", "train.csv:26: 3 cells"),
    ],
)
def test_a_target_that_cannot_be_used_is_left_out(unifesp, terminology, target, reason, example):
    add(unifesp, target)
    collection = read_collection("unifesp", unifesp, terminology)
    assert len(collection.samples) == 24
    found = left_out(collection)
    assert found[reason][0] == 1
    assert found[reason][1].startswith(example)


def test_side_and_view_are_of_the_header(unifesp, terminology):
    add(unifesp, "9", ImageLaterality="R", ViewPosition="PA", Modality="DX")
    sample = read_collection("unifesp", unifesp, terminology).samples[-1]
    assert sample.laterality is Laterality.RIGHT
    assert sample.view == "272479007"
    assert sample.modality == "DX"


def test_rows_without_file_and_files_without_row_are_counted(unifesp, terminology):
    test = unifesp / "test" / "test" / "1.9"
    tinysets.dicom(test / "1.9-c.dcm", tinysets.picture(tinysets.CHEST, 1, 1), ("T", ""), "1.9")
    add(unifesp, "3").unlink()
    collection = read_collection("unifesp", unifesp, terminology)
    assert left_out(collection) == {
        "a row without an image file": (1, "train.csv:26"),
        "an image file without a row": (1, "test/test/1.9/1.9-c.dcm"),
    }
    with pytest.raises(DataSetError, match=r"train.csv:26: a row without an image file"):
        read_collection("unifesp", unifesp, terminology, require_images=True)


@pytest.mark.parametrize("data", [b"", b"GIF89a" * 40])
def test_a_file_that_is_no_dicom_is_counted(unifesp, terminology, data):
    path = add(unifesp, "3")
    path.write_bytes(data)
    collection = read_collection("unifesp", unifesp, terminology)
    assert left_out(collection) == {
        "a file that cannot be read as DICOM": (1, "train/train/1.2.3-c.dcm"),
    }


def test_a_second_file_of_an_image_is_counted(unifesp, terminology):
    path = add(unifesp, "3")
    copy = unifesp / "copy" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    collection = read_collection("unifesp", unifesp, terminology)
    assert len(collection.samples) == 25
    assert left_out(collection) == {
        "another file of an image that has one": (1, "train/train/1.2.3-c.dcm"),
    }


def test_pixels_are_not_read(unifesp, terminology):
    path = add(unifesp, "3")
    path.write_bytes(path.read_bytes()[:-4000])
    collection = read_collection("unifesp", unifesp, terminology)
    assert len(collection.samples) == 25
    assert collection.samples[-1].group.startswith("unifesp:")


def test_copies_as_pictures_have_no_header(unifesp, terminology):
    path = add(unifesp, "3")
    path.rename(path.with_name("1.2.3.png"))
    sample = read_collection("unifesp", unifesp, terminology).samples[-1]
    assert sample.path.suffix == ".png"
    assert (sample.examined, sample.age_years, sample.modality) == (CHEST, None, None)
    assert sample.group == "unifesp:1.2.3"


@pytest.mark.parametrize("patient", ["", "ANONYMOUS"])
def test_without_patients_the_study_is_the_group(tmp_path, terminology, patient):
    (tmp_path / "train.csv").write_text("SOPInstanceUID,Target\n")
    for number, study in enumerate(("1.7", "1.7", "1.8")):
        path = add(tmp_path, "3", f"1.2.{number}", StudyInstanceUID=study)
        dataset = tinysets.dicom(
            path,
            tinysets.picture(tinysets.CHEST, 1, number),
            (patient, ""),
            f"1.2.{number}",
            StudyInstanceUID=study,
        )
        assert dataset.PatientID == patient
    samples = read_collection("unifesp", tmp_path, terminology).samples
    first, second, third = (sample.group for sample in samples)
    assert first == second != third


def test_messages_hold_no_patient(unifesp, terminology):
    add(unifesp, "22")
    path = add(unifesp, "3", "1.2.4")
    path.write_bytes(b"none")
    collection = read_collection("unifesp", unifesp, terminology)
    assert "P99" not in repr(collection.left_out)
    assert "Nobody" not in repr(collection)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: text.replace("SOPInstanceUID,Target", " sopinstanceuid , target "),
        lambda text: text + "\n\n",
    ],
)
def test_tables_in_other_forms_read_alike(unifesp, terminology, change):
    before = read_collection("unifesp", unifesp, terminology)
    path = unifesp / "train.csv"
    path.write_bytes(change(path.read_text()).encode())
    assert read_collection("unifesp", unifesp, terminology) == before
    assert read_collection("unifesp", path, terminology) == before


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{first},3", "a row that stands twice"),
        ("{first},9", "two rows that disagree"),
        (",9", "a row without a UID"),
    ],
)
def test_rows_of_one_image_twice_or_of_none(unifesp, terminology, row, reason):
    path = unifesp / "train.csv"
    first = path.read_text().splitlines()[1].partition(",")[0]
    path.write_text(f"{path.read_text()}{row.format(first=first)}\n")
    collection = read_collection("unifesp", unifesp, terminology)
    assert len(collection.samples) == 24
    assert list(left_out(collection)) == [reason]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"train.csv: there is no such file"),
        ("SOPInstanceUID,Label\n1.2,3\n", r"train.csv:1: no column 'Target'"),
        ("", r"train.csv:1: no column 'SOPInstanceUID'"),
        ("SOPInstanceUID,Target\n", "no image can be used"),
    ],
)
def test_a_table_that_is_none_is_refused(unifesp, terminology, text, message):
    path = unifesp / "train.csv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataSetError, match=message):
        read_collection("unifesp", unifesp, terminology)


def test_many_bad_targets_are_refused_with_their_lines(unifesp, terminology):
    path = unifesp / "train.csv"
    path.write_text(path.read_text().replace(",3 ", ",99 "))
    with pytest.raises(DataSetError, match=r"train.csv:2: '99' is no .*of 24 rows.*train.csv:8"):
        read_collection("unifesp", unifesp, terminology)
