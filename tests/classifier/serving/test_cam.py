import numpy as np
import pytest

from classifier.data.labels import Head
from classifier.evaluation.saliency import activation
from classifier.evaluation.saliency import saliency as saliency_of_torch
from classifier.serving.cam import class_activation, saliency
from classifier.serving.runtime import OnnxNet


@pytest.mark.parametrize("head", [Head.EXAMINED, Head.VIEW, Head.VISIBLE])
def test_maps_are_those_of_torch(model, artefact, tensors, head):
    output = OnnxNet(artefact, threads=1).run(tensors)
    for column in range(len(model.space.columns(head))):
        for row in (0, 2):
            np.testing.assert_allclose(
                class_activation(output, artefact, head, column, row),
                activation(model.net, tensors[row], head, column),
                atol=1e-4,
            )
            np.testing.assert_allclose(
                saliency(output, artefact, head, column, row),
                saliency_of_torch(model.net, tensors[row], head, column),
                atol=1e-3,
            )


def test_a_map_is_of_the_size_of_the_input_and_at_most_one(model, artefact, tensors):
    output = OnnxNet(artefact, threads=1).run(tensors)
    seen = saliency(output, artefact, Head.EXAMINED, int(output.scores[Head.EXAMINED][0].argmax()))
    size = model.preprocessing.size
    assert seen.shape == (size, size)
    assert (seen.min(), seen.max()) == (pytest.approx(0, abs=1), 1)
