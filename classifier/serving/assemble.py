"""`assembled`: a trained model, its calibration, guards, figures and card as one `Artefact`.

Needs torch and onnx, as `classifier.serving.export` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.calibration import Calibration, fit, identity
from classifier.calibration.guards import GuardSettings
from classifier.calibration.novelty import Novelty
from classifier.data.labels import Scores
from classifier.errors import ArtefactError, ImageError
from classifier.names import class_names
from classifier.pixels.read import read_image
from classifier.predict import TorchNet
from classifier.serving.artefact import SUFFIX, Artefact
from classifier.serving.export import Agreement, agreement, head_weights_of, onnx_of
from classifier.serving.provenance import Provenance

if TYPE_CHECKING:
    from classifier.data.sample import Sample
    from classifier.models.checkpoint import TrainedModel
    from classifier.preprocess.pipeline import Preprocessing
    from terminology.graph import BodyStructureGraph

MODEL: Final = "model.pt"
NOVELTY_IMAGES: Final = 1500
"""How many images of a part `guards_of` looks at."""
_CHECKED: Final = 32
# Of the generated pictures; any size does.
_SIDE: Final = 96

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assembled:
    """An artefact that was compared with its network.

    Attributes
    ----------
    real
        Whether the comparison was on images, and not on generated pictures.
    """

    artefact: Artefact
    agreement: Agreement
    real: bool


def model_file(target: Path) -> Path:
    """Return the ``model.pt`` that `target` names: itself, or the one of a run.

    Raises
    ------
    ArtefactError
        There is none, or the run has several splits, each with a model of its own.
    """
    if not target.is_dir():
        return target
    if (target / MODEL).is_file():
        return target / MODEL
    splits = sorted(one.parent for one in target.glob(f"*/{MODEL}"))
    if splits:
        what = f"has {len(splits)} models, one a split"
        remedy = f"Name one, such as {splits[0]}, or train one: --set split.method=holdout."
    else:
        what, remedy = f"has no {MODEL}", "Let the training finish: bodysite train --resume."
    raise ArtefactError(str(target), what, "a finished run with one model", remedy)


def assembled(
    model: TrainedModel,
    graph: BodyStructureGraph,
    *,
    scores: Sequence[Scores] = (),
    shifted: Sequence[Scores] = (),
    alpha: float | None = None,
    least: tuple[float, float] | None = None,
    guards: GuardSettings,
    provenance: Provenance,
    metrics: Mapping[str, Any] | None = None,
    card: str | None = None,
    images: Sequence[Path] = (),
    half: bool = True,
) -> Assembled:
    """Return the artefact of `model`, compared with it on `images`.

    Parameters
    ----------
    scores
        Of images of patients that the model, or the models of an experiment like it, was not
        trained on: what the calibration is fitted on. Without any, probabilities are as the
        network gives them.
    shifted
        Of images of sources that were left out (`classifier.calibration.calibration.fit`).
    alpha
        The share of the answered leaves that may be wrong; `None` is the default of `fit`.
    least
        How probable an answered leaf and an answered region must be; `None` has `fit` choose.
    metrics
        Figures beside those that the model has.
    card
        `None` writes a short one.
    images
        At most 32 of these, of those that are there and decode, are compared; where there are none,
        generated pictures.
    half
        As of `onnx_of`.

    Raises
    ------
    ArtefactError
        The artefact says something else than the model; or the scores have other classes.
    CalibrationError
        The scores do not fit together.
    """
    for one in (*scores, *shifted):
        if one.space.to_json() != model.space.to_json():
            raise ArtefactError(
                "--calibrate",
                "the scores have another label space than the model",
                "scores of this model, or of models with the same heads, classes and release",
                "Name scores of the same experiment.",
            )
    calibration = _calibration(model, graph, scores, shifted, alpha)
    if least is not None:
        climbing = replace(calibration.climbing, leaf=least[0], region=least[1])
        calibration = replace(calibration, climbing=climbing, missed=())
    artefact = Artefact(
        name=model.name,
        version=model.version,
        space=model.space,
        preprocessing=model.preprocessing,
        calibration=calibration,
        guards=guards,
        prior=calibration.prior(provenance.prior),
        metrics={**model.metrics, **(metrics or {})},
        sources=provenance.sources,
        config=portable(model.config),
        card=_card(model, provenance) if card is None else card,
        onnx=onnx_of(model, half=half),
        head_weights=head_weights_of(model),
    )
    tensors = _tensors(images, model.preprocessing)
    real = bool(len(tensors))
    compared = tensors if real else _generated(model.preprocessing)
    return Assembled(artefact, agreement(model, artefact, compared, half=half), real)


def guards_of(
    model: TrainedModel,
    provenance: Provenance,
    passed: float,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> GuardSettings:
    """Return guards that refuse images whose features lie far from those of the training.

    Parameters
    ----------
    passed
        The share of the validation images that are near enough.
    advance
        Called with how many images were read since the last call.

    Raises
    ------
    CalibrationError
        Too few images are there.
    """
    net = TorchNet(model.net)

    def pooled(samples: Sequence[Sample]) -> NDArray[np.float32]:
        rows = [np.zeros((0, model.net.feature_count), np.float32)]
        for sample in _spread(samples, NOVELTY_IMAGES):
            advance(1)
            try:
                grey = read_image(sample.path, frame=sample.frame)
            except ImageError:
                continue
            rows.append(net.run(model.preprocessing(grey)[None]).pooled)
        return np.concatenate(rows)

    training, others = pooled(provenance.training), pooled(provenance.validation)
    novelty = Novelty.fit(training, others if len(others) else None, passed=passed)
    return GuardSettings(novelty=novelty)


def _calibration(
    model: TrainedModel,
    graph: BodyStructureGraph,
    scores: Sequence[Scores],
    shifted: Sequence[Scores],
    alpha: float | None,
) -> Calibration:
    if not scores:
        return identity(model.space)
    if alpha is None:
        return fit(scores, graph, shifted=shifted)
    return fit(scores, graph, shifted=shifted, alpha=alpha)


def portable(value: Any) -> Any:
    """Return JSON values in which paths of this machine are only their last names."""
    if isinstance(value, Mapping):
        return {key: portable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [portable(one) for one in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value


def _spread(items: Sequence[T], count: int) -> Sequence[T]:
    """Return at most `count` of `items`, evenly spread."""
    return items[:: max(1, -(-len(items) // count))]


def _tensors(images: Sequence[Path], preprocessing: Preprocessing) -> NDArray[np.float32]:
    found = []
    for path in _spread([path for path in dict.fromkeys(images) if path.is_file()], _CHECKED):
        try:
            found.append(preprocessing(read_image(path)))
        except ImageError:
            continue
    return np.stack(found) if found else np.zeros((0, 0, 0, 0), np.float32)


def _generated(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the tensors of noise, of gradients and of discs: more than one texture."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:_SIDE, :_SIDE] / (_SIDE - 1)
    pictures = [rng.random((_SIDE, _SIDE)), rows, columns]
    pictures += [
        np.clip(1 - np.hypot(rows - y, columns - x) * scale, 0, 1)
        for y, x, scale in rng.uniform((0.2, 0.2, 1), (0.8, 0.8, 4), (13, 3))
    ]
    return np.stack([preprocessing((one * 255).astype(np.uint8)) for one in pictures])


def _card(model: TrainedModel, provenance: Provenance) -> str:
    """Return what is known of the model, as a model card says it (Mitchell et al. 2019)."""
    lines = [
        f"# {model.name} {model.version}".rstrip(),
        "",
        "Reads body sites from radiology images.",
        "For research and data curation; no medical device: not for diagnosis or treatment.",
        "",
        "## Answers",
        "",
    ]
    for head in model.space.heads:
        names = ", ".join(sorted(class_names(model.space, head)))
        lines.append(f"- **{head}** ({len(model.space.columns(head))}): {names}")
    lines += ["", "## Trained on", ""]
    for source in provenance.sources:
        licences = ", ".join(f"{name} ({count})" for name, count in source["licences"].items())
        lines.append(f"- {source['name']}: {source['images']} images; {licences}")
    if not provenance.sources:
        lines.append("Not recorded.")
    lines += ["", f"File: `*{SUFFIX}`; its figures are in `metrics` of model.json.", ""]
    return "\n".join(lines)
