import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.calibration.calibration import identity
from classifier.calibration.climb import Climbing
from classifier.calibration.guards import GuardSettings
from classifier.calibration.novelty import Novelty
from classifier.errors import ArtefactError
from classifier.serving.artefact import Artefact, read_artefact, shipped_model, write_artefact


@pytest.fixture
def path(artefact: Artefact, tmp_path: Path) -> Path:
    write_artefact(tmp_path / "tiny.bodysite", artefact)
    return tmp_path / "tiny.bodysite"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, changes: dict[str, bytes | None]) -> Path:
    """Write the file again with other members; `None` leaves one out."""
    held = {**members(path), **changes}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def with_header(path: Path, change, *, signed: bool = True) -> Path:
    """Write the file again with another model.json, whose own digest fits if `signed`."""
    header = json.loads(members(path)["model.json"])
    change(header)
    if signed:
        content = {name: value for name, value in header.items() if name != "sha256"}
        text = json.dumps(content, separators=(",", ":"), sort_keys=True)
        header["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return rewritten(path, {"model.json": json.dumps(header).encode()})


def test_what_was_written_is_read(artefact: Artefact, path: Path):
    found = read_artefact(path)
    for name in ("name", "version", "space", "preprocessing", "calibration", "guards", "prior"):
        assert getattr(found, name) == getattr(artefact, name), name
    for name in ("metrics", "sources", "config", "card", "onnx", "sha256"):
        assert getattr(found, name) == getattr(artefact, name), name
    assert found.head_weights.keys() == artefact.head_weights.keys()
    for head, rows in artefact.head_weights.items():
        np.testing.assert_array_equal(found.head_weights[head], rows)


def test_calibration_and_guards_travel_with_it(artefact: Artefact, tmp_path: Path):
    rng = np.random.default_rng(0)
    novelty = Novelty.fit(rng.normal(size=(40, 32)))
    changed = replace(
        artefact,
        calibration=replace(identity(artefact.space), climbing=Climbing(0.03, 0.8, 0.9)),
        guards=GuardSettings(least_side=7, novelty=novelty),
    )
    write_artefact(tmp_path / "a.bodysite", changed)
    found = read_artefact(tmp_path / "a.bodysite")
    assert found.calibration == changed.calibration
    assert found.guards.least_side == 7
    far = rng.normal(size=32) * 1e3
    assert found.guards.guard_features(far) == changed.guards.guard_features(far) != ()
    assert found.sha256 == changed.sha256 != artefact.sha256


def test_the_same_content_gives_the_same_bytes(artefact: Artefact, path: Path, tmp_path: Path):
    again = tmp_path / "again.bodysite"
    write_artefact(again, read_artefact(path))
    assert again.read_bytes() == path.read_bytes()
    write_artefact(again, replace(artefact, card="another"))
    assert again.read_bytes() != path.read_bytes()


def test_the_file_can_be_opened_by_any_program_of_zip(path: Path):
    held = members(path)
    assert {"model.json", "model.onnx", "card.md"} <= set(held)
    assert json.loads(held["model.json"])["name"] == "Tiny net"


def _flip(at: float):
    def change(path: Path) -> Path:
        content = bytearray(path.read_bytes())
        content[int(len(content) * at)] ^= 0x10
        path.write_bytes(content)
        return path

    return change


def _cut(at: float):
    def change(path: Path) -> Path:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * at)])
        return path

    return change


def _set(name: str, value, *, signed: bool = True):
    return lambda path: with_header(
        path, lambda header: header.__setitem__(name, value), signed=signed
    )


def _bytes(content: bytes):
    def change(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return change


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        (_flip(0.5), "damaged", "Copy or download"),
        (_cut(0.7), "damaged", "Copy or download"),
        (_cut(0.001), "no zip|damaged", "Name another|Copy"),
        (_bytes(b""), "no zip", "Name another file"),
        (_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "no zip", "Name another file"),
        (_set("version", "8", signed=False), "model.json was changed", "again"),
        (_set("format_version", 2), "is of format 2", "Install a newer Bodysite"),
        (_set("format_version", "1"), "its format is '1'", "Name another file"),
        (_set("format", "other"), "of another program", "Name another file"),
        (_set("prior", float("nan"), signed=False), "no JSON", "again"),
        (_set("space", {}), "cannot be built", "Export it again"),
        (_set("calibration", {}), "cannot be built", "Export it again"),
        (_set("preprocessing", {"kind": "Z"}), "cannot be built", "Export it again"),
        (lambda path: rewritten(path, {"card.md": b"# Other"}), "SHA-256 of card.md", "again"),
        (lambda path: rewritten(path, {"card.md": None}), "has no card.md", "Name another file"),
        (
            lambda path: rewritten(path, {"arrays/head.view.npy": None}),
            "arrays/head.view.npy is missing",
            "again",
        ),
        (lambda path: rewritten(path, {"../evil": b""}), "member '../evil'", "Name another file"),
        (
            lambda path: rewritten(path, {"arrays/other.npy": b""}),
            "not among the members",
            "again",
        ),
        (
            lambda path: rewritten(path, {"card.md": bytes(5 << 20)}),
            "card.md claims 5242880 bytes",
            "Name another file",
        ),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(path: Path, change, what, remedy):
    change(path)
    with pytest.raises(ArtefactError, match=what) as caught:
        read_artefact(path)
    assert str(path) in caught.value.where
    assert any(word in caught.value.remedy for word in remedy.split("|"))


def test_a_run_is_told_how_it_becomes_a_model(tmp_path: Path):
    for target in (tmp_path, tmp_path / "model.pt"):
        with pytest.raises(ArtefactError, match="bodysite export") as caught:
            read_artefact(target)
        assert str(target) in caught.value.remedy


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ArtefactError, match="there is no such file"):
        read_artefact(tmp_path / "none.bodysite")


def test_what_json_has_not_is_not_written(artefact: Artefact, tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_artefact(tmp_path / "a.bodysite", replace(artefact, metrics={"x": float("nan")}))
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_model_can_be_read():
    path = shipped_model()
    if path is None:
        pytest.skip("no model is shipped in this checkout")
    found = read_artefact(path)
    assert path.stat().st_size <= 15e6
    assert sum(found.prior.values()) == pytest.approx(1)
    assert found.sources
