import shutil
from collections import Counter

import pytest

from classifier.data.read import read_collection
from classifier.errors import DataSetError
from terminology.concept import Laterality
from tests.classifier import tinysets

TRAIN = "ImageCLEFmed2009_train_codes.02.csv"
TEST = "ImageCLEFmed2009_test_codes.03.csv"


@pytest.fixture
def set2009(tmp_path):
    return tinysets.imageclef2009(tmp_path)


@pytest.fixture
def set2007(tmp_path):
    return tinysets.imageclef2007(tmp_path)


def left_out(collection):
    return {one.reason: (one.count, one.example) for one in collection.left_out}


def with_code(folder, code):
    """The set of 2007 with one code more, of a picture that there is."""
    table = folder / "image_codes.csv"
    table.write_text(f"{table.read_text()}2000;{code}\n")
    source = folder / "ImageCLEFmed2007_train" / "1880.png"
    shutil.copy(source, source.with_name("2000.png"))


def test_an_image_has_its_part_side_view_modality_and_code(set2009, terminology):
    collection = read_collection("imageclef", set2009, terminology)
    assert collection.name == "imageclef"
    assert collection.left_out == ()
    knee = collection.samples[2]
    assert knee.key == "imageclef/train/1879"
    assert knee.group == "imageclef:train/1879"
    assert knee.examined == "72696002"
    assert not knee.coarse
    assert knee.visible == ()
    assert knee.laterality is Laterality.LEFT
    assert knee.view == "399348003"
    assert knee.modality == "RG"
    assert knee.irma == "1121-120-942-700"
    parts = Counter(sample.part for sample in collection.samples)
    assert parts == {"train": 18, "test": 6}
    assert [sample.part for sample in collection.samples[:18]] == ["train"] * 18


@pytest.mark.parametrize("label_set", ["2005", 2006])
def test_a_label_set_has_only_its_images(set2009, terminology, label_set):
    collection = read_collection("imageclef", set2009, terminology, label_set=label_set)
    assert len(collection.samples) == 20
    assert left_out(collection) == {
        "a row without a label in the label set": (4, f"{TRAIN}:7"),
    }
    first = collection.samples[0]
    if str(label_set) == "2005":
        # What is masked is not known: the part lies somewhere in the chest.
        assert first.irma == "1121-112-5**-***"
        assert (first.examined, first.coarse) == ("816094009", True)
    else:
        assert first.irma == "1121-112-500-700"
        assert (first.examined, first.coarse) == ("816094009", False)


@pytest.mark.parametrize("mark", ["C", "", "\\N", "NULL"])
def test_the_ways_to_say_that_there_is_no_label(set2009, terminology, mark):
    path = set2009 / TRAIN
    path.write_text(path.read_text().replace("1877;1121-112-500-700", f"1877;{mark}"))
    collection = read_collection("imageclef", set2009, terminology)
    assert len(collection.samples) == 23
    assert left_out(collection) == {"a row without a label in the label set": (1, f"{TRAIN}:2")}


@pytest.mark.parametrize(
    ("code", "examined", "coarse", "laterality", "view", "irma"),
    [
        ("1121-127-700-500", "818981001", False, None, "399348003", "1121-127-700-500"),
        # Codes may be short, joined or in capitals.
        ("1121-127-7-5", "818981001", False, None, "399348003", "1121-127-700-500"),
        ("1121120411700", "7569003", False, None, "399348003", "1121-120-411-700"),
        ("1121-12F-466-700", "79601000", False, None, None, "1121-12f-466-700"),
        # A limb of which nothing more is said, and what is not known.
        ("1121-120-400-700", "53120007", True, None, "399348003", "1121-120-400-700"),
        ("1121-120-9**-700", "61685007", True, None, "399348003", "1121-120-9**-700"),
        ("1121-120-91*-700", "56459004", True, None, "399348003", "1121-120-91*-700"),
        # No part is said: the image keeps its code and its view.
        ("1121-110-000-000", None, False, None, "272479007", "1121-110-000-000"),
        ("1124-310-610-625", "76752008", False, Laterality.RIGHT, None, "1124-310-610-625"),
    ],
)
def test_what_a_code_says(set2007, terminology, code, examined, coarse, laterality, view, irma):
    with_code(set2007, code)
    collection = read_collection("imageclef", set2007, terminology)
    assert collection.left_out == ()
    sample = collection.samples[-1]
    assert (sample.examined, sample.coarse, sample.irma) == (examined, coarse, irma)
    if laterality is not None or view is not None:
        assert sample.laterality is laterality
    if view is not None:
        assert sample.view == view


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("1121-127-700", "has 3 axes"),
        ("1121-127-7x0-500", "'7x' is not in the IRMA list of 2008"),
        ("1121-127-070-500", "stands below a 0"),
        ("abdomen", "has 7 characters"),
    ],
)
def test_a_code_that_is_none_is_left_out_with_its_place(set2007, terminology, code, what):
    with_code(set2007, code)
    collection = read_collection("imageclef", set2007, terminology)
    assert len(collection.samples) == 24
    ((reason, (count, example)),) = left_out(collection).items()
    assert (reason, count) == ("a code that is no IRMA code", 1)
    assert example.startswith(f"image_codes.csv:25: '{code}'")
    assert what in example


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(";", ","),
        lambda text: text.replace(";", "\t"),
        lambda text: text.replace(";", " "),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: "\n" + text.replace("\n", "\n\n"),
        lambda text: "".join(f"0000{line}\n" for line in text.splitlines()),
        lambda text: text.replace(";", ".png;"),
        lambda text: "".join(f"ImageCLEFmed2007_train/{line}\n" for line in text.splitlines()),
        lambda text: text.replace(";", ' ; "').replace("00\n", '00"\n'),
        lambda text: "image_id;irma_code\n" + text,
    ],
)
def test_tables_of_2007_in_other_forms_read_alike(set2007, terminology, change):
    before = read_collection("imageclef", set2007, terminology)
    path = set2007 / "image_codes.csv"
    path.write_bytes(change(path.read_text()).encode())
    assert read_collection("imageclef", set2007, terminology) == before


def test_pictures_may_be_numbered_with_zeros_converted_and_nested(set2009, terminology):
    before = read_collection("imageclef", set2009, terminology)
    folder = set2009 / "ImageCLEFmed2009_train.02"
    inner = folder / folder.name
    inner.mkdir()
    for path in sorted(folder.glob("*.png")):
        path.rename(inner / f"0000{path.stem}.jpg")
    after = read_collection("imageclef", set2009, terminology)
    assert [one.key for one in after.samples] == [one.key for one in before.samples]
    assert after.samples[0].path == inner / "00001877.jpg"
    assert after.left_out == ()


def test_a_number_of_both_divisions_is_two_images(set2009, terminology):
    for path, old in ((TEST, "900000"), ("ImageCLEFmed2009_test.03/900000.png", None)):
        file = set2009 / path
        if old:
            file.write_text(file.read_text().replace(old, "1877"))
        else:
            file.rename(file.with_name("1877.png"))
    found = {one.key: one for one in read_collection("imageclef", set2009, terminology).samples}
    assert found["imageclef/train/1877"].path.parent.name == "ImageCLEFmed2009_train.02"
    assert found["imageclef/test/1877"].path.parent.name == "ImageCLEFmed2009_test.03"


def test_one_table_cannot_tell_two_images_of_a_number_apart(set2007, terminology):
    test = sorted((set2007 / "ImageCLEFmed2007_test").iterdir())[0]
    test.rename(test.with_name("1880.png"))
    collection = read_collection("imageclef", set2007, terminology)
    assert len(collection.samples) == 22
    assert left_out(collection) == {
        "a row with an image in several folders": (1, "image_codes.csv:1"),
        "a row without an image file": (1, "image_codes.csv:19"),
    }


def test_rows_without_file_and_files_without_row_are_counted(set2009, terminology):
    folder = set2009 / "ImageCLEFmed2009_train.02"
    (folder / "1877.png").rename(folder / "99.png")
    collection = read_collection("imageclef", set2009, terminology)
    assert left_out(collection) == {
        "a row without an image file": (1, f"{TRAIN}:2"),
        "an image file without a row": (1, "ImageCLEFmed2009_train.02/99.png"),
    }
    with pytest.raises(DataSetError, match=f"{TRAIN}:2: a row without an image file"):
        read_collection("imageclef", set2009, terminology, require_images=True)


@pytest.mark.parametrize(
    ("line", "reason", "example"),
    [
        ("1880;1121-112-500-700", "a row that stands twice", "image_codes.csv:25"),
        (
            "1880;1121-120-410-700",
            "two rows that disagree",
            "image_codes.csv:25: another code than image_codes.csv:1 for the same image",
        ),
        ("x;1121-120-410-700", "a row without an image number", "image_codes.csv:25: 'x'"),
        ("7", "a row with the wrong number of cells", "image_codes.csv:25: 1 cells"),
    ],
)
def test_a_broken_row_is_left_out_with_its_place(set2007, terminology, line, reason, example):
    path = set2007 / "image_codes.csv"
    path.write_text(f"{path.read_text()}{line}\n")
    collection = read_collection("imageclef", set2007, terminology)
    assert len(collection.samples) == 24
    assert left_out(collection) == {reason: (1, example)}


def test_a_table_of_something_else_is_refused(set2009, terminology):
    path = set2009 / TRAIN
    path.write_text(path.read_text().replace(";1121", ";knee"))
    with pytest.raises(DataSetError, match=rf"{TRAIN}:2: 'knee-112-500-700'.*18 of 24 rows"):
        read_collection("imageclef", set2009, terminology)


def test_what_a_table_has_not_is_named(set2009, set2007, terminology):
    with pytest.raises(DataSetError, match="label_set: '2010'; expected one of 2005, 2006"):
        read_collection("imageclef", set2009, terminology, label_set=2010)
    path = set2009 / TRAIN
    path.write_text(path.read_text().replace("06_class", "class"))
    with pytest.raises(DataSetError, match=f"{TRAIN}:1: no column '06_class'"):
        read_collection("imageclef", set2009, terminology, label_set=2006)
    table = set2007 / "image_codes.csv"
    with pytest.raises(DataSetError, match="no column of the label set 2005"):
        read_collection("imageclef", table, terminology, label_set=2005)


def test_a_table_of_another_name_is_given_as_option_or_path(set2007, terminology):
    before = read_collection("imageclef", set2007, terminology)
    table = (set2007 / "image_codes.csv").rename(set2007 / "labels.txt")
    with pytest.raises(DataSetError, match="no table of codes"):
        read_collection("imageclef", set2007, terminology)
    assert read_collection("imageclef", table, terminology) == before
    assert read_collection("imageclef", set2007, terminology, codes="labels.txt") == before
    with pytest.raises(DataSetError, match=r"absent.csv"):
        read_collection("imageclef", set2007, terminology, codes="absent.csv")


def test_lists_of_codes_beside_the_tables_are_passed_over(set2009, terminology):
    before = read_collection("imageclef", set2009, terminology)
    (set2009 / "codes_08.txt").write_text("1;x-ray\n11;plain radiography\n")
    assert read_collection("imageclef", set2009, terminology) == before
    assert read_collection("imageclef", set2009, terminology, codes=[TRAIN, TEST]) == before
    train = read_collection("imageclef", set2009, terminology, codes=[TRAIN])
    assert train.samples == before.samples[:18]
