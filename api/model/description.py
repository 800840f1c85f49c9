"""`ModelDescription`: what a model is, as Device, /health and messages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terminology.annotation import Site

if TYPE_CHECKING:
    from classifier.prediction import Predictor


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Who a model is.

    Attributes
    ----------
    sha256
        Of the content of the model's file, in hexadecimal; `None` of a model without a file.
    classes
        The body sites that it tells apart as the examined one.
    """

    name: str
    version: str
    sha256: str | None = None
    classes: tuple[Site, ...] = ()

    @classmethod
    def of(cls, predictor: Predictor) -> ModelDescription:
        """Describe `predictor`; only one that stands behind a file has hash and classes."""
        found = getattr(predictor, "description", None)
        return found if isinstance(found, cls) else cls(predictor.name, predictor.version)

    @property
    def said(self) -> str:
        """How evidence calls the model: name and version (`Prediction.model`)."""
        return f"{self.name} {self.version}".strip()

    def as_dict(self) -> dict[str, Any]:
        """Return what /health shows."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "classes": len(self.classes),
        }
