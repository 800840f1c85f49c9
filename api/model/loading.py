"""`open_model`: the model that the settings ask for, or in words why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

from api.model_choice import ModelChoice, chosen_model

if TYPE_CHECKING:
    from api.model.served import ServedPredictor
    from api.settings import Settings
    from terminology.graph import BodyStructureGraph

_SWITCHED_OFF: Final = "The settings ask for none (BODYSITE_MODEL=none)."


@dataclass(frozen=True, slots=True)
class Model:
    """What reads pixels, or why nothing does.

    A context manager: at its end the threads and processes of the model end.

    Attributes
    ----------
    problem
        `None` where there is a model; else for a person, with what to do.
    """

    predictor: ServedPredictor | None = None
    problem: str | None = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and processes of the model."""
        if self.predictor is not None:
            self.predictor.close()


def open_model(settings: Settings, graph: BodyStructureGraph | None = None) -> Model:
    """Return the model that `settings` ask for.

    Where they name none, it is the one that comes with Bodysite; without it, or without the
    packages that it needs, the service answers from headers alone.

    Raises
    ------
    RequestError
        A model is named and is not there, or packages that it needs are not installed.
    ArtefactError
        The file of the model is damaged, newer, or cannot be run here.
    """
    choice = _choice(settings)
    if choice.path is None:
        return Model(problem=choice.problem or _SWITCHED_OFF)
    from api.model.served import ServedPredictor
    from classifier.serving.predictor import load_predictor

    return Model(
        ServedPredictor(
            load_predictor(
                choice.path, graph, threads=settings.model_threads, runtime=settings.runtime
            ),
            settings.limits,
            most=settings.model_batch,
            wait_s=settings.model_wait_ms / 1000,
        )
    )


def check_model(settings: Settings) -> None:
    """Raise what `open_model` would raise; for a command that starts others to open it."""
    choice = _choice(settings)
    if choice.path is not None:
        from classifier.serving.predictor import load_predictor

        load_predictor(choice.path, threads=1, runtime=settings.runtime)


def _choice(settings: Settings) -> ModelChoice:
    return chosen_model(None if settings.model is None else str(settings.model))
