import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from classifier.calibration.calibration import identity
from classifier.calibration.climb import Climbing
from classifier.calibration.guards import GuardSettings
from classifier.calibration.novelty import Novelty
from classifier.calibration.reasons import Reason
from classifier.data.labels import Head
from classifier.errors import ArtefactError, PredictionError
from classifier.predict import CheckpointPredictor
from classifier.prediction import Prediction, Predictor
from classifier.predictor import Prepared
from classifier.serving import predictor as serving
from classifier.serving.artefact import Artefact, write_artefact
from classifier.serving.predictor import OnnxPredictor, load_predictor
from tests.classifier.tinysets import CHEST, dicom, picture

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def predictor(artefact: Artefact) -> OnnxPredictor:
    return OnnxPredictor(artefact, threads=1, batch=3)


@pytest.fixture
def grey() -> np.ndarray:
    return picture(CHEST, 1, 1, size=160)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def dicom_file(folder: Path, image: np.ndarray, stored: np.ndarray, **header: object) -> Path:
    """Write `stored`, of 8 or 16 bits, with nothing that says how it is shown but `header`."""
    path = folder / "image.dcm"
    made: Dataset = dicom(path, image, ("1", "040Y"), "1.2.3.0", Modality="DX")
    del made.WindowCenter, made.WindowWidth
    bits = stored.dtype.itemsize * 8
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelData = stored.tobytes()
    for keyword, value in header.items():
        setattr(made, keyword, value)
    made.save_as(path, enforce_file_format=True)
    return path


def test_it_is_a_predictor(predictor: OnnxPredictor):
    protocol: Predictor = predictor
    assert (protocol.name, protocol.version) == ("Tiny net", "7")


@pytest.mark.parametrize(
    ("stored", "header"),
    [
        (lambda grey: grey, {}),
        (lambda grey: 255 - grey, {"PhotometricInterpretation": "MONOCHROME1"}),
        (
            lambda grey: grey.astype(np.uint16) * 257,
            {"WindowCenter": 32768, "WindowWidth": 65536},
        ),
        (
            lambda grey: grey.astype(np.uint16) * 16,
            {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096},
        ),
    ],
)
def test_one_image_has_one_posterior_whatever_the_file(predictor, grey, tmp_path, stored, header):
    path = dicom_file(tmp_path, grey, stored(grey), **header)
    (tmp_path / "image.png").write_bytes(png(grey))
    # A picture has no header to be read: the array is what both hold.
    wanted = predictor.predict(grey).posterior
    assert sum(wanted.values()) == pytest.approx(1, abs=1e-5)
    for source in (path, path.read_bytes(), png(grey), tmp_path / "image.png"):
        assert dict(predictor.predict(source).posterior) == pytest.approx(dict(wanted), abs=1e-3)


def test_sixteen_bits_are_alike_as_picture_array_and_dicom(predictor, tmp_path):
    rng = np.random.default_rng(4)
    fine = (picture(CHEST, 1, 1, size=160).astype(np.uint16) * 257) // 4
    fine += rng.integers(0, 60, fine.shape, dtype=np.uint16)
    wanted = predictor.predict(fine).posterior
    shown = dicom_file(tmp_path, fine, fine)
    for source in (png(fine), shown):
        assert dict(predictor.predict(source).posterior) == pytest.approx(dict(wanted), abs=1e-3)


def test_it_answers_as_the_model_of_torch_does(predictor, artefact, model, grey, graph):
    torch_one = CheckpointPredictor(model, calibration=artefact.calibration, guards=artefact.guards)
    found, wanted = predictor.read(grey), torch_one.read(grey)
    for head in predictor.space.heads:
        np.testing.assert_allclose(found.probabilities[head], wanted.probabilities[head], atol=1e-5)
    answer, other = predictor.predict(grey), torch_one.predict(grey)
    assert [site.code for site in answer.visible] == [site.code for site in other.visible]
    assert [site.code for site in answer.examined] == [site.code for site in other.examined]
    assert dict(answer.prior) == dict(artefact.prior)


def certain(predictor: OnnxPredictor, code: str, sure: float) -> dict[Head, np.ndarray]:
    """Return probabilities in which `code` has `sure` and the other classes share the rest."""
    codes = predictor.space.columns(Head.EXAMINED)
    rest = (1 - sure) / (len(codes) - 1)
    examined = np.array([sure if one == code else rest for one in codes], np.float32)
    return {
        head: examined
        if head is Head.EXAMINED
        else np.full(len(predictor.space.columns(head)), 0.5, np.float32)
        for head in predictor.space.heads
    }


def with_climbing(artefact: Artefact, least: float, **changes: object) -> OnnxPredictor:
    calibration = replace(
        identity(artefact.space), climbing=Climbing(0.05, least, least), **changes
    )
    return OnnxPredictor(replace(artefact, calibration=calibration), threads=1)


def test_the_answer_is_as_specific_as_it_is_sure(artefact: Artefact):
    predictor = with_climbing(artefact, 0.8)
    hand = "85562004"
    answer = predictor.answer(certain(predictor, hand, 0.9))
    assert answer.examined[0].code == hand
    assert answer.examined[0].confidence == pytest.approx(0.9, abs=1e-6)
    # Hand and wrist are as likely: the answer is above both, and both are candidates.
    found = certain(predictor, hand, 0.46)
    wrist = "8205005"
    columns = list(predictor.space.columns(Head.EXAMINED))
    found[Head.EXAMINED][:] = 0.08 / 5
    found[Head.EXAMINED][[columns.index(hand), columns.index(wrist)]] = 0.46
    first, *candidates = predictor.answer(found).examined
    vocabulary = predictor.space.vocabulary
    above = vocabulary.ancestors[vocabulary.columns[hand]]
    assert vocabulary.columns[first.code] in above
    assert first.confidence == pytest.approx(0.92, abs=1e-5)
    assert {site.code for site in candidates} == {hand, wrist}


def test_where_nothing_is_sure_there_is_no_answer(artefact: Artefact):
    predictor = with_climbing(artefact, 0.9)
    answer = predictor.answer(certain(predictor, "85562004", 0.3))
    assert answer.examined == ()
    assert answer.posterior["85562004"] == pytest.approx(0.3)


def test_prediction_sets_and_thresholds_are_those_of_the_calibration(artefact: Artefact):
    predictor = with_climbing(artefact, 0.9, set_least=0.2, visible_least=0.6)
    answer = predictor.answer(certain(predictor, "85562004", 0.5))
    assert answer.prediction_set == ("85562004",)
    assert answer.visible == ()
    assert with_climbing(artefact, 0.9).answer(certain(predictor, "85562004", 0.5)).visible
    # Not fitted: no set rather than one that promises nothing.
    assert (
        not with_climbing(artefact, 0.9).answer(certain(predictor, "56459004", 0.5)).prediction_set
    )


def test_answers_of_one_class_tell_how_sure_they_are(predictor: OnnxPredictor):
    found = certain(predictor, "85562004", 0.9)
    found[Head.VIEW] = np.array([0.7, 0.3], np.float32)
    assert predictor.answer(found).confidences == pytest.approx({"view": 0.7})
    found[Head.VIEW] = np.array([0.45, 0.45], np.float32)
    assert predictor.answer(found).confidences == {}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((90, 90), 40, np.uint8), Reason.BLANK),
        (np.zeros((12, 12), np.uint8), Reason.TOO_SMALL),
    ],
)
def test_what_is_no_image_of_a_patient_is_refused_with_a_reason(predictor, image, reason):
    reading = predictor.read(image)
    assert reading.reasons == (reason,)
    assert predictor.predict(image) == Prediction("Tiny net 7", reasons=(reason,))


def test_features_unlike_those_of_training_are_refused(artefact: Artefact, grey):
    pooled = np.random.default_rng(0).normal(1e3, 1, (60, artefact_width(artefact)))
    strict = replace(artefact, guards=GuardSettings(novelty=Novelty.fit(pooled)))
    predictor = OnnxPredictor(strict, threads=1)
    assert predictor.predict(grey).reasons == (Reason.UNLIKE_TRAINING,)
    assert predictor.predict(np.zeros((90, 90), np.uint8)).reasons == (
        Reason.BLANK,
        Reason.UNLIKE_TRAINING,
    )


def artefact_width(artefact: Artefact) -> int:
    return artefact.head_weights[Head.EXAMINED].shape[1]


def test_frames_that_are_refused_do_not_vote_beside_others(predictor, grey, tmp_path):
    frames = np.stack([np.full_like(grey, 7), grey, np.full_like(grey, 7)])
    path = dicom_file(tmp_path, grey, frames, NumberOfFrames=3)
    found = predictor.read(path)
    assert (found.reasons, found.frames) == ((), (0, 1, 2))
    alone = predictor.read(grey)
    for head, values in alone.probabilities.items():
        np.testing.assert_allclose(found.probabilities[head], values, atol=1e-3)
    blank = dicom_file(tmp_path, grey, frames[::2].copy(), NumberOfFrames=2)
    assert predictor.read(blank).reasons == (Reason.BLANK,)


def test_images_can_be_made_ready_in_another_process(predictor: OnnxPredictor, grey):
    preparer = pickle.loads(pickle.dumps(predictor.preparer))  # noqa: S301
    sources = [grey, b"no image", png(grey[:120]), np.zeros((90, 90), np.uint8), grey[::-1]]
    ready = [pickle.loads(pickle.dumps(preparer(source))) for source in sources]  # noqa: S301
    assert [isinstance(one, Prepared) for one in ready] == [True, False, True, True, True]
    found = list(predictor.read_prepared(ready))
    for one, wanted in zip(found, predictor.read_many(sources), strict=True):
        if isinstance(wanted, PredictionError):
            assert isinstance(one, PredictionError)
            assert str(one) == str(wanted)
            continue
        assert one.reasons == wanted.reasons
        for head, values in wanted.probabilities.items():
            np.testing.assert_allclose(one.probabilities[head], values, atol=1e-6)


def test_several_threads_may_ask_at_once(predictor: OnnxPredictor, grey):
    images = [np.roll(grey, at * 7, axis=1) for at in range(12)]
    wanted = [dict(predictor.predict(image).posterior) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: dict(predictor.predict(image).posterior), images))
    assert found == wanted


def test_a_model_is_opened_by_its_file(artefact: Artefact, grey, tmp_path):
    path = tmp_path / "own.bodysite"
    write_artefact(path, replace(artefact, name="Own"))
    assert load_predictor(path, threads=1).predict(grey).model == "Own 7"


def test_without_a_shipped_model_one_must_be_named(monkeypatch):
    monkeypatch.setattr(serving, "shipped_model", lambda: None)
    with pytest.raises(ArtefactError, match="no model comes with this installation"):
        load_predictor()


def test_answering_needs_no_torch(artefact: Artefact, grey, tmp_path):
    write_artefact(tmp_path / "a.bodysite", artefact)
    (tmp_path / "a.png").write_bytes(png(grey))
    code = f"""
import sys
from pathlib import Path
from classifier.serving.cam import saliency
from classifier.serving.predictor import load_predictor
predictor = load_predictor(Path({str(tmp_path / "a.bodysite")!r}), threads=1)
assert predictor.predict(Path({str(tmp_path / "a.png")!r})).posterior
heavy = {{"torch", "torchvision", "scipy", "sklearn", "pandas", "matplotlib", "onnx", "fastapi"}}
sys.exit(",".join(heavy & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
