"""Which model `bodysite annotate` reads pixels with: a file, the one that is shipped, or none."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from api.errors import RequestError

NONE: Final = "none"
# Of the extra `pixels`: without these no image is decoded or shown to a network.
_PACKAGES: Final = ("onnxruntime", "cv2", "PIL")
_INSTALL: Final = "pip install 'bodysite[pixels]'"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The file of a model, `None` for none.

    `problem` is a sentence that says why there is none, unless none was asked for.
    """

    path: Path | None = None
    problem: str | None = None


def chosen_model(given: str | None) -> ModelChoice:
    """Return what `given` means: a file, "none", or `None` for the model that is shipped.

    Raises
    ------
    RequestError
        A model was named that is not there, or that nothing installed can run.
    """
    if given == NONE:
        return ModelChoice()
    missing = next((name for name in _PACKAGES if find_spec(name) is None), None)
    if given is None:
        if missing is not None:
            return ModelChoice(problem=f"The package '{missing}' is not installed: {_INSTALL}.")
        from classifier.serving.artefact import shipped_model

        path = shipped_model()
        problem = None if path is not None else "No model comes with this installation."
        return ModelChoice(path, problem)
    path = Path(given)
    if not path.is_file():
        raise RequestError(
            "--model",
            f"there is no file '{given}'",
            "a model, *.bodysite, or none",
            "Correct the path, or BODYSITE_MODEL.",
        )
    if missing is not None:
        raise RequestError(
            "--model",
            f"the package '{missing}' is not installed",
            "the extra 'pixels', which reads pixels",
            f"Install it: {_INSTALL}; or read headers only: --model none.",
        )
    return ModelChoice(path)
