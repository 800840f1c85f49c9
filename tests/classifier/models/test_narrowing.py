import numpy as np
import pytest
import torch

from classifier.data.labels import Head, Scores, Targets
from classifier.errors import NetworkError
from classifier.evaluation.multilabel import violations
from classifier.models.coherence import Coherence
from classifier.models.narrowing import scores_without, without_classes
from classifier.models.probabilities import probabilities
from tests.classifier.models.made import SPACE
from tests.classifier.models.test_checkpoint import model

GONE = SPACE.columns(Head.EXAMINED)[1]


def said(one, x):
    with torch.inference_mode():
        found = probabilities(one.net(x), one.space, Coherence(one.space.vocabulary))
    return {head: rows.numpy() for head, rows in found.items()}


def test_the_probability_of_a_class_goes_to_those_that_stay():
    whole = model()
    narrow = without_classes(whole, [GONE])
    x = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    before, after = said(whole, x), said(narrow, x)
    names = SPACE.columns(Head.EXAMINED)
    assert narrow.space.columns(Head.EXAMINED) == tuple(one for one in names if one != GONE)
    rest = np.delete(before[Head.EXAMINED], 1, axis=1)
    expected = rest / rest.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after[Head.EXAMINED], expected, atol=1e-6)
    for head in set(SPACE.heads) - {Head.EXAMINED, Head.VISIBLE}:
        np.testing.assert_array_equal(after[head], before[head])

    count, classes, columns = 5, len(names), len(SPACE.vocabulary)
    allowed = {
        head: np.ones((count, len(SPACE.columns(head))), bool)
        for head in SPACE.heads
        if head is not Head.VISIBLE
    }
    allowed[Head.EXAMINED] = np.eye(classes, dtype=bool)[np.arange(count) % classes]
    known = np.ones((count, columns), bool)
    keys = tuple(map(str, range(count)))
    scores = Scores(SPACE, keys, keys, keys, keys, before, Targets(allowed, known, known))
    found = scores_without(scores, [GONE])
    np.testing.assert_allclose(found.probabilities[Head.EXAMINED], expected, atol=1e-6)
    assert found.space.columns(Head.EXAMINED) == narrow.space.columns(Head.EXAMINED)
    vocabulary = found.space.vocabulary
    columns = np.array([vocabulary.columns[code] for code in found.space.columns(Head.EXAMINED)])
    broken = violations(
        found.probabilities[Head.VISIBLE], vocabulary, found.probabilities[Head.EXAMINED], columns
    )
    assert (broken.above_parent, broken.below_examined) == (0, 0)
    truth = found.targets.truth(Head.EXAMINED)
    for row in range(count):
        right = names[row % classes]
        expected_class = -1 if right == GONE else found.space.columns(Head.EXAMINED).index(right)
        assert truth[row] == expected_class


def test_classes_that_are_none_or_all_are_refused():
    with pytest.raises(NetworkError, match="'85562004' is no class of the head examined"):
        without_classes(model(), ["85562004"])
    with pytest.raises(NetworkError, match="they are all"):
        without_classes(model(), SPACE.columns(Head.EXAMINED))
