import os
import signal
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.data.sample import Sample
from classifier.errors import TrainingError
from classifier.pixels.read import read_image
from classifier.preprocess.cartex import CartexSettings
from classifier.preprocess.pipeline import Preprocessing
from classifier.training import cache
from classifier.training.cache import cached

SMALL = Preprocessing("A", size=16, fit="pad", channels=1)


def sample(path: Path) -> Sample:
    return Sample(path.name, path, "here", path.name)


def pictures(folder: Path, count: int, first: int = 0) -> list[Sample]:
    made = []
    for number in range(first, first + count):
        path = folder / f"{number:03d}.png"
        image = np.random.default_rng(number).integers(0, 256, (20, 24), np.uint8)
        cv2.imwrite(str(path), image)
        made.append(sample(path))
    return made


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from here on."""
    names: list[str] = []
    decode = cache._decode

    def noted(one: cache.ImageIdentity, preprocessing: Preprocessing) -> Any:
        names.append(Path(one.path).name)
        return decode(one, preprocessing)

    monkeypatch.setattr(cache, "_decode", noted)
    return names


def assert_images(images: Sequence[NDArray[np.uint8]], samples: Sequence[Sample]) -> None:
    assert len(images) == len(samples)
    for at, one in enumerate(samples):
        assert np.array_equal(images[at], SMALL.fit_image(read_image(one.path)))


def test_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = pictures(tmp_path, 5)
    names = decoded(monkeypatch)
    for _ in range(2):
        images, usable, undecodable = cached(samples, SMALL, tmp_path / "cache")
        assert (usable, undecodable) == ((0, 1, 2, 3, 4), ())
        assert_images(images, samples)
    assert len(names) == 5
    more = [*pictures(tmp_path, 2, first=5), *samples[::-1]]
    images, _, _ = cached(more, SMALL, tmp_path / "cache")
    assert_images(images, more)
    assert names[5:] == ["005.png", "006.png"]


def test_preprocessings_that_differ_in_later_steps_share_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = pictures(tmp_path, 3)
    cached(samples, SMALL, tmp_path / "cache")
    names = decoded(monkeypatch)
    cached(samples, Preprocessing("D", size=16, fit="pad"), tmp_path / "cache")
    assert names == []
    cached(samples, Preprocessing("A", size=16, fit="squash"), tmp_path / "cache")
    assert len(names) == 3


@pytest.mark.parametrize("change", ["file", "code"])
def test_change_is_decoded_again(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = pictures(tmp_path, 3)
    cached(samples, SMALL, tmp_path / "cache")
    names = decoded(monkeypatch)
    if change == "file":
        cv2.imwrite(str(samples[1].path), np.full((30, 30), 99, np.uint8))
    else:
        monkeypatch.setattr(cache, "_code_version", lambda: "other")
    images, _, _ = cached(samples, SMALL, tmp_path / "cache")
    assert_images(images, samples)
    assert len(names) == {"file": 1, "code": 3}[change]


@pytest.mark.parametrize("field", fields(Preprocessing), ids=lambda one: one.name)
def test_no_preprocessing_is_given_the_images_of_another(tmp_path: Path, field: Any) -> None:
    # One other value of every setting: those of `fit_image` must have a store of their own.
    others = {
        "kind": "B", "size": 8, "fit": "squash", "channels": 3, "mean": (0.5,), "std": (0.2,),
        "hat_element": 5, "cartex": CartexSettings(passes=1), "reducing_gap": 2.0,
        "trim": True, "stretch": True,
    }  # fmt: skip
    image = np.zeros((400, 300), np.uint8)
    image[100:200, 80:180] = np.random.default_rng(0).integers(40, 90, (100, 100), np.uint8)
    cv2.imwrite(str(tmp_path / "0.png"), image)
    changes = {field.name: others[field.name]}
    if field.name in ("mean", "std"):
        changes = {"mean": (0.5,), "std": (0.2,)}
    for one in (SMALL, replace(SMALL, **changes)):
        images, _, _ = cached([sample(tmp_path / "0.png")], one, tmp_path / "cache")
        assert np.array_equal(images[0], one.fit_image(image))


def test_images_that_do_not_decode_are_left_out_and_named(tmp_path: Path) -> None:
    samples = pictures(tmp_path, 3)
    broken = tmp_path / "broken.png"
    broken.write_bytes(samples[0].path.read_bytes()[:60])
    mixed = [samples[0], sample(broken), samples[1], sample(tmp_path / "gone.png"), samples[2]]
    images, usable, undecodable = cached(mixed, SMALL, tmp_path / "cache")
    assert usable == (0, 2, 4)
    assert_images(images, samples)
    assert [one.path.name for one in undecodable] == ["broken.png", "gone.png"]
    assert undecodable[1].reason == "it cannot be read (No such file or directory)"
    assert_images(images.take([2, 0]), [samples[2], samples[0]])


def test_store_that_was_cut_off_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = pictures(tmp_path, 4)
    cached(samples, SMALL, tmp_path / "cache")
    (index,) = (tmp_path / "cache").glob("*.jsonl")
    (pixels,) = (tmp_path / "cache").glob("*.u8")
    lines = index.read_bytes().splitlines(keepends=True)
    # Killed while it wrote the third line, and half of a fifth image.
    index.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    pixels.write_bytes(pixels.read_bytes() + b"\7" * 100)
    names = decoded(monkeypatch)
    images, _, _ = cached(samples, SMALL, tmp_path / "cache")
    assert names == ["002.png", "003.png"]
    assert_images(images, samples)
    assert_images(cached(samples, SMALL, tmp_path / "cache")[0], samples)


def test_interruption_keeps_what_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = pictures(tmp_path, 5)

    def interrupted(done: int, total: int) -> None:
        assert total == 5
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(samples, SMALL, tmp_path / "cache", tell=interrupted)
    names = decoded(monkeypatch)
    assert_images(cached(samples, SMALL, tmp_path / "cache")[0], samples)
    assert names == ["003.png", "004.png"]


def test_several_processes_give_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_WORTH_PROCESSES", 1)
    samples = pictures(tmp_path, 9)
    images, usable, _ = cached(samples, SMALL, tmp_path / "cache", processes=2)
    assert usable == tuple(range(9))
    assert_images(images, samples)


def test_decoder_that_crashes_costs_one_image(tmp_path: Path) -> None:
    samples = pictures(tmp_path, 1)
    one = cache.identity(samples[0])
    alone = cache._decoded_alone(one, _Crash("A", size=16, fit="pad", channels=1))
    assert alone == "the decoder crashed"


class _Crash(Preprocessing):
    def fit_image(self, grey: NDArray[Any]) -> NDArray[np.uint8]:
        os.kill(os.getpid(), signal.SIGKILL)
        return grey


def test_frames_of_one_file_are_images_of_their_own(tmp_path: Path) -> None:
    (one,) = pictures(tmp_path, 1)
    first, second = cache.identity(one), cache.identity(Sample("b", one.path, "x", "y", frame=1))
    assert first != second
    assert first._replace(frame=1) == second


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"Name one with data\.cache"):
        cached(pictures(tmp_path, 1), SMALL, tmp_path / "file")


def test_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYSITE_CACHE", "/somewhere")
    assert cache.default_folder() == Path("/somewhere")
    monkeypatch.delenv("BODYSITE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache.default_folder() == Path("/caches/bodysite/images")
