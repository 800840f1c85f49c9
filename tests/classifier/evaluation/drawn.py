"""Scores that are drawn by lot, for the tests of what is made of scores."""

import numpy as np

from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.models.checkpoint import TrainedModel
from classifier.models.network import BodySiteNet, NetworkSpec
from classifier.preprocess.pipeline import Preprocessing
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

PARTS = ("85562004", "56459004", "816094009", "72696002", "8205005", "69536005", "816092008")
VIEWS = ("399348003", "399067008")


def drawn_space(graph: BodyStructureGraph, parts: tuple[str, ...] = PARTS) -> LabelSpace:
    return LabelSpace(
        LabelVocabulary.of(graph, parts), {Head.EXAMINED: parts, Head.VIEW: VIEWS}, True
    )


def drawn_scores(
    space: LabelSpace, count: int = 120, *, seed: int = 0, skill: float = 2.0, paths: str = "none"
) -> Scores:
    """Return scores of `count` images of three sources; `skill` is how far the truth stands out.

    One in ten has a coarse label, one in ten none.
    """
    rng = np.random.default_rng(seed)
    allowed, probabilities = {}, {}
    vocabulary = space.vocabulary
    present = np.zeros((count, len(vocabulary)), dtype=bool)
    known = rng.random((count, len(vocabulary))) < 0.9
    for head in space.heads:
        if head is Head.VISIBLE:
            continue
        classes = len(space.columns(head))
        truth = rng.integers(0, classes, count)
        flags = np.eye(classes, dtype=bool)[truth]
        kind = rng.random(count)
        flags[kind < 0.1] |= rng.random((int((kind < 0.1).sum()), classes)) < 0.5
        flags[kind > 0.9] = False
        logits = rng.normal(size=(count, classes))
        logits[np.arange(count), truth] += skill
        values = np.exp(logits)
        probabilities[head] = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
        allowed[head] = flags
        if head is Head.EXAMINED:
            for row, at in enumerate(truth):
                column = vocabulary.columns[space.columns(head)[at]]
                present[row, [column, *vocabulary.ancestors[column]]] = True
    if space.visible:
        visible = np.clip(rng.normal(0.2 + 0.15 * skill * present, 0.2), 0, 1)
        for column in reversed(range(len(vocabulary))):
            for parent in vocabulary.parents[column]:
                visible[:, parent] = np.maximum(visible[:, parent], visible[:, column])
        probabilities[Head.VISIBLE] = visible.astype(np.float32)
    return Scores(
        space=space,
        keys=tuple(f"set/{number}" for number in range(count)),
        groups=tuple(f"set:{number // 3}" for number in range(count)),
        sources=tuple(f"source {'ABC'[number % 3]}" for number in range(count)),
        paths=tuple(f"{paths}/{number}.png" for number in range(count)),
        probabilities=probabilities,
        targets=Targets(allowed, present & known, known),
    )


def tiny_model(space: LabelSpace, *, size: int = 32, fit: str = "pad") -> TrainedModel:
    """Return a small net that was never trained."""
    spec = NetworkSpec("resnet10", width=4, channels=1)
    preprocessing = Preprocessing("A", size=size, fit=fit, channels=1)
    net = BodySiteNet(spec, space, seed=1).eval()
    return TrainedModel(net, space, preprocessing, spec, "Tiny net", "7")
