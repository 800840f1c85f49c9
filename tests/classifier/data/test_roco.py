import shutil
from collections import Counter

import pytest

from classifier.data.read import read_collection
from classifier.errors import DataSetError
from tests.classifier import tinysets

CHEST, HEAD = "816094009", "69536005"


@pytest.fixture
def roco(tmp_path):
    return tinysets.roco(tmp_path)


def part(folder, name="validation"):
    return folder / "data" / name / "radiology"


def by_key(collection):
    return {sample.key.partition("/")[2]: sample for sample in collection.samples}


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


def test_a_figure_has_its_parts_caption_licence_article_and_part(roco, terminology):
    collection = read_collection("roco", roco, terminology)
    assert collection.name == "roco"
    assert collection.left_out == ()
    first = collection.samples[0]
    assert first.key == "roco/ROCO_00001"
    assert first.source == "roco"
    assert first.group == "roco:PMC3970251"
    assert first.visible == (CHEST,)  # and not C0376152, which the set gives for "arrow"
    assert first.examined is None
    assert first.laterality is None
    assert first.caption == "Radiograph of the chest (arrow), case 1."
    assert first.licence == "CC BY"
    assert first.path.name == "PMC3970251_case-1-g000.jpg"
    assert Counter(sample.part for sample in collection.samples) == {
        "train": 14,
        "validation": 4,
        "test": 6,
    }
    groups = Counter(sample.group for sample in collection.samples)
    assert set(groups.values()) == {2}


def test_modalities_and_figures_without_one(roco, terminology):
    samples = read_collection("roco", roco, terminology).samples
    assert [sample.modality for sample in samples[:7]] == [
        *("RG", "CT", "MR", "US", "XA", "PT"),
        None,
    ]
    # A figure whose CUIs name no part says nothing of parts.
    assert samples[7].visible == ()


@pytest.mark.parametrize(
    ("line", "visible", "modality"),
    [
        ("C0024109\tC0817096\tC0817096", ("39607008", CHEST), "RG"),
        ("", (), "RG"),
        ("C0376152\tC9999999", (), "RG"),
        # A CUI of a sided part is the part: the image of a chest is no left one.
        ("C0222601", ("76752008",), "RG"),
        ("\tC0817096\t\t", (CHEST,), "RG"),
    ],
)
def test_cuis_are_parts_in_the_frame(roco, terminology, line, visible, modality):
    path = part(roco, "train") / "cuis.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"ROCO_00001\t\t{line}", *lines[1:]]))
    sample = read_collection("roco", roco, terminology).samples[0]
    assert (sample.visible, sample.modality) == (visible, modality)
    assert sample.laterality is None


@pytest.mark.parametrize(
    ("caption", "keywords", "cuis", "modality"),
    [
        ("An MRI of the knee", "radiograph", "C0041618", "MR"),
        ("The knee", "mri\tknee", "C0041618", "MR"),
        ("The knee", "knee", "C0041618\tC0376152", "US"),
        ("The knee, CT and MRI", "mri", "C0024485", None),
        ("The knee", "knee", "C0376152", None),
    ],
)
def test_the_first_that_names_a_modality_decides(
    roco, terminology, caption, keywords, cuis, modality
):
    for name, text in (("captions", f" {caption}"), ("keywords", f"\t{keywords}"), ("cuis", cuis)):
        (part(roco, "test") / f"{name}.txt").write_text(f"ROCO_00021\t{text}\n")
    sample = by_key(read_collection("roco", roco, terminology))["ROCO_00021"]
    assert sample.modality == modality


def test_missing_pictures_are_counted_or_refused(roco, terminology):
    images = part(roco) / "images"
    gone, empty, *_ = sorted(images.iterdir())
    gone.unlink()
    empty.write_bytes(b"")
    (images / "PMC1_stray.jpg").write_bytes(b"x")
    collection = read_collection("roco", roco, terminology)
    assert len(collection.samples) == 22
    assert {one.reason: (one.count, one.example) for one in collection.left_out} == {
        "a figure without an image file": (1, f"data/validation/radiology/images/{gone.name}"),
        "an empty image file": (1, f"data/validation/radiology/images/{empty.name}"),
        "an image file without a figure": (
            1,
            "data/validation/radiology/images/PMC1_stray.jpg",
        ),
    }
    with pytest.raises(DataSetError, match=r"a figure without an image file \(1 in all\)"):
        read_collection("roco", roco, terminology, require_images=True)


def test_without_any_picture_the_way_to_get_them_is_named(roco, terminology):
    for name in ("train", "validation", "test"):
        shutil.rmtree(part(roco, name) / "images")
    with pytest.raises(DataSetError, match=r"without an image file \(24, .*fetch.py"):
        read_collection("roco", roco, terminology)


def test_a_part_that_is_not_there_is_counted(roco, terminology):
    shutil.rmtree(roco / "data" / "train")
    collection = read_collection("roco", roco, terminology)
    assert len(collection.samples) == 10
    assert [one.reason for one in collection.left_out] == ["a part of the set that is not there"]


def test_files_of_windows_read_alike(roco, terminology):
    before = read_collection("roco", roco, terminology)
    for path in part(roco).glob("*.txt"):
        edit(path, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    assert read_collection("roco", roco, terminology) == before


@pytest.mark.parametrize("base", ["data", "all_data", ""])
def test_the_folder_may_be_the_repository_or_its_data(roco, terminology, tmp_path, base):
    if base != "data":
        for folder in (roco / "data").iterdir():
            (roco / base).mkdir(exist_ok=True)
            folder.rename(roco / base / folder.name)
    assert len(read_collection("roco", roco, terminology).samples) == 24


@pytest.mark.parametrize("source", ["licences.txt", "dlinks.txt"])
def test_licences_or_links_name_the_picture(roco, terminology, source):
    other = {"licences.txt": "dlinks.txt", "dlinks.txt": "licences.txt"}[source]
    for name in ("train", "validation", "test"):
        (part(roco, name) / other).unlink()
    samples = read_collection("roco", roco, terminology).samples
    assert len(samples) == 24
    assert samples[0].group == "roco:PMC3970251"
    assert samples[0].licence == ("CC BY" if source == "licences.txt" else None)


def test_pictures_may_be_called_by_the_figure_and_converted(roco, terminology):
    images = part(roco, "test") / "images"
    for number, path in enumerate(sorted(images.iterdir())):
        path.rename(images / f"ROCO_{19 + number:05d}.png")
    found = by_key(read_collection("roco", roco, terminology))
    assert found["ROCO_00021"].path.name == "ROCO_00021.png"
    assert found["ROCO_00021"].group == "roco:PMC3970261"


@pytest.mark.parametrize(
    ("file", "line", "reason", "example"),
    [
        (
            "captions.txt",
            "a stray line",
            "a line without an identifier",
            "data/train/radiology/captions.txt:15: 'a stray line'",
        ),
        (
            "cuis.txt",
            "ROCO_00002\t\tC0018563",
            "an identifier that stands twice",
            "data/train/radiology/cuis.txt:15: ROCO_00002 stands twice",
        ),
        (
            "licences.txt",
            "ROCO_00003,PMC1_a.jpg",
            "a row with the wrong number of cells",
            "data/train/radiology/licences.txt:16: 2 cells",
        ),
        (
            "cuis.txt",
            "ROCO_00099\t\tC123",
            "a figure without an image file",
            "data/train/radiology/images/ROCO_00099",
        ),
    ],
)
def test_a_broken_line_is_left_out_with_its_place(roco, terminology, file, line, reason, example):
    edit(part(roco, "train") / file, lambda data: data + line.encode() + b"\n")
    collection = read_collection("roco", roco, terminology)
    assert len(collection.samples) == 24
    assert [(one.reason, one.example) for one in collection.left_out] == [(reason, example)]
    assert by_key(collection)["ROCO_00002"].visible == ("85562004",)


def test_a_word_that_is_no_cui_is_counted(roco, terminology):
    edit(part(roco, "train") / "cuis.txt", lambda data: data.replace(b"C0018563", b"C001856", 1))
    collection = read_collection("roco", roco, terminology)
    assert [one.example for one in collection.left_out] == ["ROCO_00002: 'C001856'"]


def test_a_file_of_another_form_is_refused_with_its_lines(roco, terminology):
    text = "\n".join(f"{number};C0817096" for number in range(20))
    (part(roco) / "cuis.txt").write_text(text)
    with pytest.raises(DataSetError) as refused:
        read_collection("roco", roco, terminology)
    message = str(refused.value)
    assert message.startswith("data/validation/radiology/cuis.txt:1: '0;C0817096'; 20 of ")
    assert "data/validation/radiology/cuis.txt:20" in message


@pytest.mark.parametrize("missing", ["captions.txt", "cuis.txt"])
def test_the_files_with_the_labels_are_needed(roco, terminology, missing):
    (part(roco) / missing).unlink()
    with pytest.raises(DataSetError, match=missing):
        read_collection("roco", roco, terminology)


def test_rocov2_is_known_by_its_files(tmp_path, terminology):
    folder = tinysets.rocov2(tmp_path)
    collection = read_collection("roco", folder, terminology)
    assert collection.name == "rocov2"
    assert collection.left_out == ()
    first = collection.samples[0]
    assert first.key == "rocov2/ROCOv2_2023_train_000001"
    assert first.group == "rocov2:PMC7000"
    assert first.visible == (CHEST,)
    assert first.modality == "RG"
    assert first.caption == 'Radiograph of the chest, "arrow".'
    assert first.licence == "CC BY [Nobody et al. (2020)]"
    assert Counter(sample.part for sample in collection.samples) == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }


def test_curated_concepts_of_rocov2_go_before_its_captions(tmp_path, terminology):
    folder = tinysets.rocov2(tmp_path)
    edit(
        folder / "train_concepts_manual.csv",
        lambda data: data.replace(b"train_000001,C1306645", b"train_000001,C0041618;C0018670;x"),
    )
    (folder / "train_images" / "train" / "ROCOv2_2023_train_000002.jpg").unlink()
    collection = read_collection("roco", folder, terminology)
    assert collection.samples[0].modality == "US"
    assert set(collection.samples[0].visible) == {CHEST, HEAD}
    assert {one.reason: one.example for one in collection.left_out} == {
        "a figure without an image file": "train_concepts.csv: ROCOv2_2023_train_000002",
        "a word of the concepts that is no CUI": "ROCOv2_2023_train_000001: 'x'",
    }
