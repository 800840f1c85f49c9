from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from classifier.data.labels import Head, LabelSpace
from classifier.errors import PredictionError
from classifier.names import class_names, view_of
from classifier.predict import Answering, CheckpointPredictor
from classifier.prediction import Prediction, Predictor
from classifier.voting import Whole, vote
from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import PARTS, drawn_space, tiny_model
from tests.classifier.tinysets import CHEST, dicom, picture


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    drawn = drawn_space(graph)
    classes = {
        **drawn.classes,
        Head.MODALITY: ("DX", "CT"),
        Head.LATERALITY: ("left", "right"),
        Head.ROUTER: tuple(RouterGroup),
    }
    return LabelSpace(drawn.vocabulary, classes)


@pytest.fixture(scope="module")
def predictor(space: LabelSpace) -> CheckpointPredictor:
    return CheckpointPredictor(tiny_model(space), batch=3)


@pytest.fixture
def grey() -> np.ndarray:
    return picture(CHEST, 1, 1, size=70)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def test_it_is_a_predictor(predictor: CheckpointPredictor):
    protocol: Predictor = predictor
    assert (protocol.name, protocol.version) == ("Tiny net", "7")


def test_probabilities_are_of_every_head_and_coherent(predictor, space, grey):
    found = predictor.probabilities(grey)
    assert tuple(found) == space.heads
    for head, values in found.items():
        assert values.shape == (len(space.columns(head)),)
        assert values.dtype == np.float32
        if head is not Head.VISIBLE:
            assert values.sum() == pytest.approx(1, abs=1e-5)
    visible, vocabulary = found[Head.VISIBLE], space.vocabulary
    for column, above in enumerate(vocabulary.ancestors):
        assert all(visible[one] >= visible[column] for one in above)
    for code, probability in zip(PARTS, found[Head.EXAMINED], strict=True):
        assert visible[vocabulary.columns[code]] >= probability - 1e-6


def test_file_bytes_path_and_array_are_answered_alike(predictor, grey, tmp_path: Path):
    path = tmp_path / "image.png"
    path.write_bytes(png(grey))
    answers = [predictor.predict(one) for one in (path, str(path), path.read_bytes(), grey)]
    assert isinstance(answers[0], Prediction)
    assert all(answer == answers[0] for answer in answers)


def test_many_are_answered_as_one_by_one(predictor: CheckpointPredictor):
    images = [picture(CHEST, number, number) for number in range(7)]
    together = list(predictor.read_many(images))
    for image, found in zip(images, together, strict=True):
        alone = predictor.read(image)
        for head, values in alone.probabilities.items():
            assert found.probabilities[head] == pytest.approx(values, abs=1e-5)


def test_what_does_not_decode_is_refused_and_the_rest_goes_on(predictor, grey):
    found = list(predictor.predict_many([grey, b"no image at all", png(grey), b""]))
    assert [type(one) for one in found] == [
        Prediction,
        PredictionError,
        Prediction,
        PredictionError,
    ]
    assert found[0] == found[2]
    with pytest.raises(PredictionError, match="expected"):
        predictor.predict(b"no image at all")


def test_nothing_asked_is_nothing_answered(predictor: CheckpointPredictor):
    assert list(predictor.predict_many([])) == []


def test_only_broken_images_are_all_refused(predictor: CheckpointPredictor):
    found = list(predictor.read_many([b"x", b"y"]))
    assert all(isinstance(one, PredictionError) for one in found)


def test_frames_are_sampled_and_their_votes_joined(predictor, space, tmp_path: Path):
    pages = [picture(CHEST, number, number, size=48) for number in range(20)]
    path = tmp_path / "pages.tiff"
    assert cv2.imwritemulti(str(path), pages)
    found = predictor.read(path)
    assert found.frame_count == 20
    assert len(found.frames) == 8
    rows = predictor.of_frames([pages[index] for index in found.frames])
    expected = vote(space, rows, Whole.INSTANCE)
    for head, values in expected.items():
        assert found.probabilities[head] == pytest.approx(values, abs=1e-5)


def test_uids_are_those_of_the_header(predictor: CheckpointPredictor, grey, tmp_path: Path):
    plain = predictor.read(grey)
    assert (plain.study, plain.series, plain.instance) == (None, None, None)
    path = tmp_path / "one.dcm"
    dicom(path, grey, ("1", "040Y"), "1.2.3.4", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3")
    found = predictor.read(path)
    assert (found.study, found.series, found.instance) == ("1.2", "1.2.3", "1.2.3.4")
    assert (found.frames, found.frame_count) == ((0,), 1)


def given(space: LabelSpace, **values: list[float]) -> dict[Head, np.ndarray]:
    return {Head(name): np.array(rows, dtype=np.float32) for name, rows in values.items()}


def test_candidates_come_most_probable_first_and_improbable_ones_not_at_all(predictor, space):
    answer = predictor.answer(given(space, examined=[0.04, 0.3, 0.05, 0.6, 0.005, 0.005, 0]))
    assert [site.code for site in answer.examined] == [PARTS[3], PARTS[1], PARTS[2]]
    assert [site.confidence for site in answer.examined] == pytest.approx([0.6, 0.3, 0.05])
    assert answer.examined[0].display == "Knee"
    assert answer.visible == ()
    assert answer.model == "Tiny net 7"


def test_visible_parts_are_those_that_are_likely(predictor, space):
    values = [0.0] * len(space.vocabulary)
    values[2], values[4] = 0.5, 0.9
    answer = predictor.answer(given(space, visible=values))
    codes = space.vocabulary.codes
    assert [site.code for site in answer.visible] == [codes[4], codes[2]]


@pytest.mark.parametrize(
    ("values", "view", "modality", "side", "router"),
    [
        ([0.6, 0.4], view_of("399348003"), "DX", Laterality.LEFT, RouterGroup.ADULT_CHEST),
        ([0.4, 0.6], view_of("399067008"), "CT", Laterality.RIGHT, RouterGroup.ADULT_CHEST),
    ],
)
def test_single_answers(predictor, space, values, view, modality, side, router):
    groups = [0.1, 0.6, 0.1, 0.1, 0.1]
    found = given(space, view=values, modality=values, laterality=values, router=groups)
    answer = predictor.answer(found)
    assert answer.view == view
    assert answer.modality == modality
    assert answer.laterality is side
    assert answer.router is router


def test_what_is_not_sure_is_not_said(space: LabelSpace):
    strict = CheckpointPredictor(tiny_model(space), answering=Answering(0.9, 0.9, 0.9))
    answer = strict.answer(given(space, view=[0.8, 0.2], examined=[0.8, 0.2, 0, 0, 0, 0, 0]))
    assert replace(answer, posterior={}) == Prediction("Tiny net 7")


def test_sites_are_named_as_in_the_graph(graph: BodyStructureGraph, space: LabelSpace):
    old = replace(space.vocabulary, displays=tuple("old" for _ in space.vocabulary.codes))
    named = LabelSpace(old, space.classes)
    model = tiny_model(named)
    found = given(space, examined=[1, 0, 0, 0, 0, 0, 0])
    assert CheckpointPredictor(model, graph).answer(found).examined[0].display == "Hand"
    assert CheckpointPredictor(model).answer(found).examined[0].display.startswith("old")


@pytest.mark.parametrize("size", [1, 2])
def test_a_model_of_one_class_only_answers_it(graph: BodyStructureGraph, grey, size: int):
    space = LabelSpace(
        drawn_space(graph, PARTS[:size]).vocabulary, {Head.EXAMINED: PARTS[:1]}, visible=False
    )
    answer = CheckpointPredictor(tiny_model(space)).predict(grey)
    assert [site.code for site in answer.examined] == [PARTS[0]]
    assert answer.examined[0].confidence == 1
    assert answer.visible == ()
    assert answer.view is None


def test_the_network_is_asked_in_evaluation_mode(space: LabelSpace, grey):
    model = tiny_model(space)
    expected = CheckpointPredictor(model).probabilities(grey)
    model.net.train()
    again = CheckpointPredictor(model).probabilities(grey)
    for head, values in expected.items():
        assert np.array_equal(again[head], values)


def test_classes_that_share_a_display_are_told_apart(space: LabelSpace):
    from dataclasses import replace

    vocabulary = replace(space.vocabulary, displays=tuple("Same" for _ in space.vocabulary.codes))
    names = class_names(LabelSpace(vocabulary, space.classes), Head.EXAMINED)
    assert names[0] == f"Same ({PARTS[0]})"
    assert len(set(names)) == len(names)


def test_views_are_named_and_unknown_ones_by_their_code():
    assert view_of("399348003").display == "antero-posterior"
    assert view_of("399348003").dicom == "AP"
    assert view_of("399033003").display == "frontal"
    assert view_of("123").display == "123"
