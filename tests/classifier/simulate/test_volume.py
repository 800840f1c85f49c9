"""Reading CT volumes; the files are made here."""

from pathlib import Path

import numpy as np
import pytest

from classifier.errors import SimulationError
from classifier.simulate.phantom import phantom
from classifier.simulate.volume import read_dry_skull, read_volume

nibabel = pytest.importorskip("nibabel", reason="needs the extra 'simulate'")


def save(path: Path, grid: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(grid, affine), path)
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The trunk phantom from the hips up, as CT on 5 mm, with a table under it and a label map."""
    folder = tmp_path_factory.mktemp("scan")
    body = phantom("trunk")
    cut = round((-70.0 - body.origin[2]) / body.spacing)
    density = body.matter[::2, ::2, cut::2, 0]
    labels = body.labels[::2, ::2, cut::2].copy()
    for side in ("left", "right"):
        labels[labels == body.value(f"hip_joint_{side}")] = body.value(f"femur_{side}")
    hounsfield = np.pad(((density - 1) * 1000).astype(np.int16), ((0, 0), (8, 0), (0, 0)))
    hounsfield[:, :8] = -1000
    hounsfield[:, 1:3] = 100
    labels = np.pad(labels, ((0, 0), (8, 0), (0, 0)))
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = [-100.0, 20.0, 7.0]
    # Stored from head to feet and from left to right, as some scanners do.
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])
    turned[0, 3], turned[2, 3] = hounsfield.shape[0] - 1, hounsfield.shape[2] - 1
    rows = [f"{value},{name}" for value, name in body.names.items() if "joint" not in name]
    names = folder / "names.csv"
    names.write_text("value,structure\n" + "\n".join(rows) + "\n")
    return (
        save(folder / "ct.nii.gz", hounsfield[::-1, :, ::-1], affine @ turned),
        save(folder / "labels.nii.gz", labels[::-1, :, ::-1], affine @ turned),
        names,
    )


def test_the_table_is_taken_out(scan: tuple[Path, Path, Path]) -> None:
    volume = read_volume(*scan, spacing=4.0)
    table = round((20.0 + 7.5 - volume.origin[1]) / 4.0)
    assert volume.matter[:, table, :, 0].max() < 0.1
    assert volume.matter[..., 0].max() > 1.0


def test_the_axes_are_the_patients(scan: tuple[Path, Path, Path]) -> None:
    volume = read_volume(*scan, spacing=4.0)
    liver, spine = volume.box(["liver"]), volume.box(["vertebrae_L3"])
    left, right = volume.box(["femur_left"]), volume.box(["femur_right"])
    assert liver is not None
    assert spine is not None
    assert left is not None
    assert right is not None
    # Right, front, head.
    assert liver[0][0] > left[0][0]
    assert right[0][0] > left[1][0]
    assert liver[0][2] > spine[0][2]
    assert liver[1][1] > spine[1][1]


def test_thighs_are_drawn_on(scan: tuple[Path, Path, Path]) -> None:
    volume = read_volume(*scan, spacing=4.0)
    femur, hip = volume.box(["femur_right"]), volume.box(["hip_right"])
    assert volume.room == (0.0, 60.0)
    assert femur is not None
    assert hip is not None
    assert hip[0][2] - femur[0][2] > 150
    # Two legs with air between them.
    lowest = volume.matter[:, :, 2, 0].max(axis=1) > 0.5
    assert np.count_nonzero(np.diff(lowest.astype(int)) == 1) == 2


def test_the_ends_of_the_femora_are_the_hip_joints(scan: tuple[Path, Path, Path]) -> None:
    volume = read_volume(*scan, spacing=4.0)
    for side in ("left", "right"):
        joint, shaft = volume.box([f"hip_joint_{side}"]), volume.box([f"femur_{side}"])
        assert joint is not None
        assert shaft is not None
        assert joint[1][2] > shaft[1][2] - 4.0


def test_an_implant_can_be_taken_out(scan: tuple[Path, Path, Path], tmp_path: Path) -> None:
    image = nibabel.load(scan[0])
    grid = np.asarray(image.dataobj).copy()
    grid[20:24, 24:28, 20:30] = 3000
    nailed = save(tmp_path / "nailed.nii.gz", grid, image.affine)
    bones = [
        read_volume(nailed, *scan[1:], spacing=4.0, metal=metal).matter[..., 1].max()
        for metal in (True, False)
    ]
    assert bones[0] > 1.5 > bones[1]


def test_a_dry_skull_gets_its_brain_back(tmp_path: Path) -> None:
    places = np.stack(np.meshgrid(*[np.arange(-50, 50)] * 3, indexing="ij"), axis=-1) * 2.0
    radius = np.linalg.norm(places / [65.0, 80.0, 65.0], axis=-1)
    grid = np.where((radius < 1.0) & (radius > 0.9), 240, 0).astype(np.uint8)
    # A block of plastic that hangs inside.
    grid[45:55, 45:55, 45:55] = 150
    path = save(tmp_path / "skull.nii.gz", grid, np.diag([2.0, 2.0, 2.0, 1.0]))
    head = read_dry_skull(path, spacing=3.0)
    middle = tuple(n // 2 for n in head.labels.shape)
    assert head.names[int(head.labels[middle])] == "brain"
    assert head.matter[(*middle, 0)] == pytest.approx(1.04, abs=0.03)
    assert head.matter[(*middle, 1)] == 0
    assert head.box(["skull"]) is not None


def test_what_cannot_be_read_is_refused(scan: tuple[Path, Path, Path], tmp_path: Path) -> None:
    text = tmp_path / "ct.nii"
    text.write_text("no volume")
    bytes_only = save(tmp_path / "bytes.nii", np.zeros((9, 9, 9), np.uint8), np.eye(4))
    small = save(tmp_path / "small.nii", np.zeros((9, 9, 9), np.uint8), np.eye(4))
    labels = nibabel.load(scan[1])
    numbers = np.asarray(labels.dataobj).astype(np.int16) * 100
    many = save(tmp_path / "many.nii", numbers, labels.affine)
    bare = tmp_path / "bare.csv"
    bare.write_text("1,liver\n")
    for arguments, says in (
        ((text, *scan[1:]), "expected a NIfTI file of one volume"),
        ((bytes_only, *scan[1:]), "a scanned dry skull with --dry-skull"),
        ((scan[0], small, scan[2]), "expected the grid of ct.nii.gz"),
        ((scan[0], many, scan[2]), "whole numbers from 0 to 253"),
        ((scan[0], scan[1], bare), "the columns 'value' and 'structure'"),
    ):
        with pytest.raises(SimulationError) as refused:
            read_volume(*arguments, spacing=4.0)
        assert says in str(refused.value)
