"""Saliency drawn on the image that it is of: plasma colours over grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from classifier.preprocess.pipeline import Preprocessing

_STRENGTH: Final = 0.6
_GAP: Final = 6
_PANEL: Final = (240, 640)  # least and most height of an explanation's pictures
_WIDEST: Final = 1600
_LEAST_WIDTH: Final = 480
_MARGIN: Final = 16
_FONT: Final = 15
_SCALE: Final = (14, 4)  # height of the bar of colours, gap below it


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
    colours = plasma(saliency).astype(np.float32)
    weight = strength * saliency[..., None]
    blended = (1 - weight) * grey[..., None].astype(np.float32) + weight * colours
    return np.asarray(np.rint(blended).clip(0, 255), dtype=np.uint8)


def beside(*panels: NDArray[np.uint8], height: int, gap: int = _GAP) -> NDArray[np.uint8]:
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


def plasma(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the colours of `values` (H, W) in [0, 1]: uint8 RGB (H, W, 3)."""
    levels = np.minimum(values * 256, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_PLASMA)[..., ::-1], dtype=np.uint8)


def explanation(
    grey: NDArray[np.uint8], drawn: NDArray[np.uint8], caption: str
) -> NDArray[np.uint8]:
    """Return the image, what was drawn on it, and the scale of the colours, under `caption`.

    uint8 RGB (H, W, 3).
    """
    height, width = grey.shape
    tall = min(max(height, _PANEL[0]), _PANEL[1])
    tall = max(8, min(tall, round(_WIDEST / 2 * height / width)))
    panels = beside(grey, drawn, height=tall)
    across = max(panels.shape[1], _LEAST_WIDTH)
    font = ImageFont.load_default(_FONT)
    text = _wrapped(caption, font, across)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font)
    above = round(box[3]) + 2 * _MARGIN
    foot = _SCALE[0] + _SCALE[1] + _FONT
    page = Image.new(
        "RGB", (across + 2 * _MARGIN, above + tall + foot + 2 * _MARGIN), (255, 255, 255)
    )
    pen = ImageDraw.Draw(page)
    pen.multiline_text((_MARGIN, _MARGIN), text, fill=(0, 0, 0), font=font)
    left = _MARGIN + (across - panels.shape[1]) // 2
    page.paste(Image.fromarray(panels), (left, above))
    # The scale stands below the picture that has the colours.
    half = (panels.shape[1] - _GAP) // 2
    start, top = left + panels.shape[1] - half, above + tall + _MARGIN
    ramp = np.linspace(0, 1, half, dtype=np.float32)[None].repeat(_SCALE[0], axis=0)
    page.paste(Image.fromarray(plasma(ramp)), (start, top))
    below = top + _SCALE[0] + _SCALE[1]
    pen.text((start, below), "none", fill=(0, 0, 0), font=font)
    pen.text((start + half, below), "most", fill=(0, 0, 0), font=font, anchor="ra")
    return np.asarray(page, dtype=np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return uint8 RGB (H, W, 3) as a PNG."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not done:
        raise ValueError(f"no PNG of an array {picture.shape} {picture.dtype}")
    return data.tobytes()


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return `text` with line ends where a line would be wider than `width`."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append("")
        for word in line.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font.getlength(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)
