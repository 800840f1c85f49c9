"""Saliency drawn on the image that it is of: plasma colours over grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

if TYPE_CHECKING:
    from classifier.preprocess.pipeline import Preprocessing

_STRENGTH: Final = 0.6


def place(
    saliency: NDArray[np.float32], shape: tuple[int, int], preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Return `saliency` (S, S) laid back onto the image of `shape` (H, W): float32 (H, W).

    What the preprocessing did to the frame is undone: a squashed square is stretched, the bands
    beside a padded image are cut off.
    """
    height, width = shape
    # Where a white image lies in the square that the network is shown.
    white = preprocessing.fit_image(np.full(shape, 255, np.uint8)) > 0
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    inside = saliency[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    large = cv2.resize(
        np.ascontiguousarray(inside), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.clip(np.asarray(large, dtype=np.float32), 0, 1)


def overlay(
    grey: NDArray[np.uint8], saliency: NDArray[np.float32], strength: float = _STRENGTH
) -> NDArray[np.uint8]:
    """Return uint8 RGB (H, W, 3): `grey` (H, W) under the colours of `saliency` (H, W) in [0, 1].

    Where the saliency is low the image shows through; where it is 1, `strength` of the colour.
    """
    colours = matplotlib.colormaps["plasma"](saliency)[..., :3] * 255
    weight = strength * saliency[..., None]
    blended = (1 - weight) * grey[..., None].astype(np.float32) + weight * colours
    return np.asarray(np.rint(blended).clip(0, 255), dtype=np.uint8)


def beside(*panels: NDArray[np.uint8], height: int, gap: int = 6) -> NDArray[np.uint8]:
    """Return pictures of one shape, (H, W) or (H, W, 3), in a row of `height`: uint8 RGB."""
    row: list[NDArray[np.uint8]] = []
    for panel in panels:
        colour = panel if panel.ndim == 3 else np.repeat(panel[..., None], 3, axis=2)
        width = max(1, round(panel.shape[1] * height / panel.shape[0]))
        method = cv2.INTER_AREA if height < panel.shape[0] else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(colour), (width, height), interpolation=method)
        if row:
            row.append(np.full((height, gap, 3), 128, np.uint8))
        row.append(np.asarray(scaled, dtype=np.uint8))
    return np.concatenate(row, axis=1)


def explanation(grey: NDArray[np.uint8], drawn: NDArray[np.uint8], caption: str) -> Figure:
    """Return the image, what was drawn on it, and the scale of the colours, under `caption`."""
    height, width = grey.shape
    tall = min(8.0, max(3.0, 4.2 * height / width))
    figure = Figure(figsize=(2 * min(6.0, tall * width / height) + 1.2, tall), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(grey, cmap="gray", vmin=0, vmax=255)
    right.imshow(drawn)
    for axes in (left, right):
        axes.set_axis_off()
    scale = figure.colorbar(
        ScalarMappable(Normalize(0, 1), cmap="plasma"), ax=right, shrink=0.7, pad=0.02
    )
    scale.set_ticks([0, 1], labels=["none", "most"])
    # Dollars would be read as mathematics.
    figure.suptitle(caption.replace("$", r"\$"), fontsize=9, wrap=True)
    return figure
