"""How far an image lies from those of a training, in the features that a network makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from classifier.errors import CalibrationError

# Share of the mean variance that every direction has at least. Without it, directions in which the
# training images hardly differ decide, and those are what differs between hospitals.
_SHRINKAGE: Final = 0.1
_LEAST_VARIANCE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """The distance of Mahalanobis (Lee et al., NeurIPS 2018), of all classes together.

    Attributes
    ----------
    mean
        float32 (F,), of the features of the training images.
    whitening
        float32 (F, F): features less the mean, times this, have about unit variance.
    farthest
        The largest distance that is not novel.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    farthest: float

    @classmethod
    def fit(
        cls, features: NDArray[Any], others: NDArray[Any] | None = None, *, passed: float = 0.99
    ) -> Self:
        """Return the distance from `features`, with a limit that the share `passed` keeps.

        Parameters
        ----------
        features
            (N, F), the pooled features of training images.
        others
            Of images that the model was not trained on, of other sources too: the limit is theirs.
            Without them it is that of `features`, which is too narrow for others.

        Raises
        ------
        CalibrationError
            There are fewer than two images.
        """
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or len(x) < 2:
            raise CalibrationError(
                "novelty",
                f"features of shape {x.shape}",
                "at least two rows of features",
                "Name the images of the training.",
            )
        mean = x.mean(axis=0)
        covariance = np.cov(x.T).reshape(x.shape[1], x.shape[1])
        floor = _SHRINKAGE * float(np.trace(covariance)) / x.shape[1]
        covariance += max(floor, _LEAST_VARIANCE) * np.eye(x.shape[1])
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        made = cls(mean.astype(np.float32), whitening.astype(np.float32), np.inf)
        distances = made.distances(features if others is None else others)
        return cls(made.mean, made.whitening, float(np.quantile(distances, passed)))

    def distances(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance of each row of (N, F), float64 (N,)."""
        moved = np.asarray(features, dtype=np.float32) - self.mean
        return np.asarray(np.linalg.norm(moved @ self.whitening, axis=1), dtype=np.float64)

    def is_novel(self, pooled: NDArray[Any]) -> bool:
        """Return whether one image, features (F,), is farther than training images are."""
        return bool(self.distances(pooled[None])[0] > self.farthest)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays, by name."""
        return {"mean": self.mean, "whitening": self.whitening}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], farthest: float) -> Self:
        """Return what `arrays` were taken from."""
        mean = np.asarray(arrays["mean"], dtype=np.float32)
        whitening = np.asarray(arrays["whitening"], dtype=np.float32)
        if mean.ndim != 1 or whitening.shape != (len(mean), len(mean)):
            raise ValueError(f"a mean of shape {mean.shape}, a whitening of {whitening.shape}")
        return cls(mean, whitening, farthest)
