from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from classifier.data.manifest import read
from classifier.data.read import read_collection
from classifier.data.sample import Collection, Sample
from classifier.errors import DataSetError
from terminology.concept import Laterality
from terminology.errors import UnknownConceptError
from terminology.library import Terminology

from .samples import (
    AP,
    CHEST,
    FOOT,
    FOREARM,
    FRONTAL,
    HAND,
    HIP,
    KNEE,
    LATERAL,
    UPPER_LIMB,
    WRIST,
)

Write = Callable[..., Collection]


@pytest.fixture
def write(tmp_path: Path, terminology: Terminology) -> Write:
    def written(*lines: str, files: int = 5, **options: object) -> Collection:
        (tmp_path / "hospital").mkdir(exist_ok=True)
        for number in range(files):
            (tmp_path / "hospital" / f"{number}.png").touch()
        (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read(tmp_path, terminology, **options)

    return written


def one_of(collection: Collection) -> Sample:
    assert len(collection.samples) == 1
    return collection.samples[0]


def left_out(collection: Collection) -> dict[str, int]:
    return {one.reason: one.count for one in collection.left_out}


def test_a_row_has_all_that_a_sample_has(write: Write, tmp_path: Path) -> None:
    found = one_of(
        write(
            "path,examined,visible,absent,view,laterality,modality,group,source,coarse,age,"
            "licence,part,frame,irma,caption",
            "hospital/0.png,Hand,wrist; forearm,knee,lateral,L,CR,17,town,no,045Y,CC0,val,2,"
            "1121-127-700-500,a hand",
        )
    )

    assert found == Sample(
        key="town/hospital/0.png#2",
        path=tmp_path / "hospital" / "0.png",
        source="town",
        group="town:17",
        frame=2,
        examined=HAND,
        visible=(WRIST, FOREARM),
        absent=(KNEE,),
        view=LATERAL,
        laterality=Laterality.LEFT,
        modality="CR",
        irma="1121-127-700-500",
        age_years=45.0,
        caption="a hand",
        licence="CC0",
        part="validation",
    )


def test_an_empty_cell_is_unknown(write: Write) -> None:
    found = one_of(write("path,examined,view,modality", "hospital/0.png,,,"))

    assert (found.examined, found.visible, found.view, found.modality) == (None, (), None, None)
    assert (found.source, found.key, found.group) == (
        "hospital",
        "hospital/0.png",
        "hospital:hospital/0.png",
    )


def test_the_columns_of_image_collections_are_read(write: Write) -> None:
    found = one_of(
        write(
            "file,source_repo,modality,body_part,also_visible,sct,view,group,sha256",
            "hospital/0.png,x/y@1,CR/DX (plain JPEG),upper limb (coarse),wrist;hand,53120007,"
            "frontal,town:block 7,abc",
        )
    )

    assert (found.examined, found.coarse) == (UPPER_LIMB, True)
    assert found.visible == (WRIST, HAND)
    assert (found.view, found.modality, found.group) == (FRONTAL, "DX", "town:block 7")


@pytest.mark.parametrize(
    ("cells", "fields"),
    [
        ("Hand", {"examined": HAND}),
        ("85562004", {"examined": HAND}),
        ("85562004 |Hand|", {"examined": HAND}),
        ("51185008", {"examined": CHEST}),
        ("linke Hand", {"examined": HAND, "laterality": Laterality.LEFT}),
        ("Hüfte", {"examined": HIP}),
        ("Hand (coarse)", {"examined": HAND, "coarse": True}),
        ("zzz", {"examined": None}),
        ("85562005", {"examined": None}),
        ("knee or ankle", {"examined": None}),
        ("knee and hand", {"examined": None}),
    ],
)
def test_a_part_is_a_code_or_words(write: Write, cells: str, fields: dict[str, object]) -> None:
    found = write("path,examined", f"hospital/0.png,{cells}")

    for name, value in fields.items():
        assert getattr(one_of(found), name) == value
    assert bool(found.left_out) == (fields["examined"] is None)


@pytest.mark.parametrize(
    ("cell", "modality"),
    [
        ("CR/DX (plain PNG)", "DX"),
        ("CR (DICOM)", "CR"),
        ("ct", "CT"),
        ("CT localizer (plain JPEG)", "CT"),
        ("X-ray", "DX"),
        ("? (DICOM)", None),
        ("OT (DICOM)", None),
        ("CT/MR", None),
        ("photograph", None),
    ],
)
def test_a_modality_is_read_without_its_remark(
    write: Write, cell: str, modality: str | None
) -> None:
    assert one_of(write("path,modality", f"hospital/0.png,{cell}")).modality == modality


@pytest.mark.parametrize(
    ("cell", "modality", "view"),
    [
        ("AP", "DX", AP),
        ("Lateral", "DX", LATERAL),
        ("seitlich", "DX", LATERAL),
        ("399348003", "DX", AP),
        ("frontal;lateral", "DX", None),
        ("AP;AP", "DX", None),
        ("axial", "CT", None),
        ("123", "DX", None),
        ("whatever", "DX", None),
    ],
)
def test_one_view_is_read_and_several_are_none(
    write: Write, cell: str, modality: str, view: str | None
) -> None:
    found = write("path,view,modality", f"hospital/0.png,{cell},{modality}")

    assert one_of(found).view == view
    assert bool(found.left_out) == (view is None)


@pytest.mark.parametrize(
    ("column", "cell", "name", "value"),
    [
        ("laterality", "R", "laterality", Laterality.RIGHT),
        ("laterality", "both", "laterality", Laterality.BILATERAL),
        ("laterality", "U", "laterality", None),
        ("age", "3.5", "age_years", 3.5),
        ("age", "006M", "age_years", 0.5),
        ("age", "old", "age_years", None),
        ("age", "-4", "age_years", None),
        ("age", "nan", "age_years", None),
        ("coarse", "yes", "coarse", True),
        ("coarse", "0", "coarse", False),
        ("split", "Training", "part", "train"),
        ("split", "dress rehearsal", "part", None),
    ],
)
def test_the_other_columns_are_read(
    write: Write, column: str, cell: str, name: str, value: object
) -> None:
    found = one_of(write(f"path,examined,{column}", f"hospital/0.png,hand,{cell}"))

    assert getattr(found, name) == value


def test_what_cannot_be_used_is_counted_with_an_example(write: Write) -> None:
    found = write(
        "path,examined,view",
        "hospital/0.png,hand,AP",
        "hospital/none.png,hand,AP",
        "hospital/1.png,florb,AP",
        "hospital/2.png,hand,AP;lateral",
        "hospital/3.png,knee or ankle,AP",
    )

    assert len(found.samples) == 4
    assert left_out(found) == {
        "the file is missing": 1,
        "words that name no part known here: they are left out": 1,
        "several views: it is left out": 1,
        "one part or another: the label is left out": 1,
    }
    examples = {one.reason: one.example for one in found.left_out}
    assert examples["the file is missing"] == "manifest.csv:3: hospital/none.png"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"modality": "CR*"}, [0, 1]),
        ({"modality": ["cr*", "DX*"]}, [0, 1, 2]),
        ({"modality": "CR"}, [1]),
        ({"licence": "CC BY [0-9]*"}, [0, 3]),
        ({"licence": "!*-SA*"}, [0, 2, 3]),
        ({"licence": ["CC*", "!*-SA*"], "modality": "!CT"}, [0, 2]),
        ({}, [0, 1, 2, 3]),
    ],
)
def test_rows_are_chosen_by_patterns(
    write: Write, where: dict[str, object], kept: list[int]
) -> None:
    found = write(
        "path,examined,modality,licence",
        "hospital/0.png,hand,CR/DX (film),CC BY 4.0 (a)",
        "hospital/1.png,hand,CR,CC BY-SA 4.0",
        "hospital/2.png,hand,DX (DICOM),CC0 1.0",
        "hospital/3.png,hand,CT,CC BY 3.0",
        where=where,
    )

    assert [int(one.path.stem) for one in found.samples] == kept
    assert sum(one.count for one in found.left_out) == 4 - len(kept)


@pytest.mark.parametrize(
    "lines",
    [
        ("path,note", "hospital/0.png,x"),
        ("examined", "hand"),
        ("path,file,examined", "a,b,hand"),
        ("path,examined", "hospital/0.png,hand", "hospital/0.png,knee"),
        ("path,examined,frame", "hospital/0.png,hand,first"),
        ("path,examined", "hospital/none.png,hand"),
        ("path,examined",),
        ("",),
    ],
)
def test_a_malformed_manifest_is_refused(write: Write, lines: tuple[str, ...]) -> None:
    with pytest.raises(DataSetError):
        write(*lines)


def test_a_column_that_is_not_there_chooses_nothing(write: Write) -> None:
    with pytest.raises(DataSetError, match="there is no column 'license'"):
        write("path,examined,licence", "hospital/0.png,hand,CC0", where={"license": "CC0"})


def test_a_frame_of_a_file_is_a_sample_of_its_own(write: Write) -> None:
    found = write("path,examined,frame", "hospital/0.png,hand,0", "hospital/0.png,knee,1")

    assert [(one.frame, one.examined) for one in found.samples] == [(0, HAND), (1, KNEE)]


def test_silence_means_what_the_caller_says(write: Write) -> None:
    lines = ("path,examined", "hospital/0.png,hand")

    assert write(*lines).declaration.exhaustive_over == frozenset()
    assert write(*lines, exhaustive_over="*").declaration.exhaustive_over == {"*"}
    assert write(*lines, exhaustive_over=[FOOT]).declaration.exhaustive_over == {FOOT}
    with pytest.raises(UnknownConceptError):
        write(*lines, exhaustive_over=["73211009"])


def test_a_manifest_is_read_by_its_kind(tmp_path: Path, terminology: Terminology) -> None:
    (tmp_path / "a.png").touch()
    file = tmp_path / "list.csv"
    file.write_text("path,examined\na.png,hand\n", encoding="utf-8")

    found = read_collection("manifest", file, terminology, name="mine")

    assert (found.name, one_of(found).source, one_of(found).key) == (
        "mine",
        "manifest",
        "manifest/a.png",
    )


def test_a_misspelt_word_is_read_and_told(write: Write) -> None:
    found = write("path,examined", "hospital/0.png,shouldr")

    assert one_of(found).examined == "16982005"
    assert left_out(found) == {"a word that may be misspelt or mean something else: it is used": 1}


def test_the_manifest_of_real_images_is_read_whole(
    real_images: Path, terminology: Terminology
) -> None:
    found = read(real_images, terminology, where={"modality": ["CR*", "DX*"]})
    count = Counter((one.examined, one.coarse) for one in found.samples)
    named = {
        (terminology.graph.lookup(code).display, coarse): number
        for (code, coarse), number in count.items()
        if code is not None
    }

    # The table of its README.
    assert {
        ("Lower limb", True): 1260,
        ("Upper limb", True): 764,
        ("Shoulder", True): 6,
        ("Chest", False): 442,
        ("Knee", False): 336,
        ("Shoulder", False): 278,
        ("Hand", False): 234,
        ("Pelvis", False): 163,
        ("Lumbar spine", False): 21,
        ("Wrist region", False): 18,
    }.items() <= named.items()
    assert {one.modality for one in found.samples} == {"CR", "DX"}
    assert len(read(real_images, terminology).samples) == 5219


def test_sources_that_are_parts_of_one_get_its_name(write: Write) -> None:
    lines = ("path,examined,source", "hospital/0.png,hand,old", "hospital/1.png,foot,new")
    found = write(*lines, sources={"old": "St Elsewhere"})
    plain = write(*lines)
    assert [one.source for one in found.samples] == ["St Elsewhere", "new"]
    assert [one.key for one in found.samples] == [one.key for one in plain.samples]
