"""The plots of a report: arrays in, figures out; `png` makes files of them.

Figures are made without pyplot, so that nothing global changes and threads do not meet. Colours
are of Okabe and Ito's palette and of maps that colour-blind readers can tell apart; what a colour
says, a shape or a line style says too.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from classifier.evaluation.calibration import Bin

_Floats = NDArray[np.float64]

# Okabe and Ito, Color Universal Design (2008).
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
GOLD: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREY: Final = "#6B6B6B"
_CYCLE: Final = (BLUE, ORANGE, GREEN, PURPLE, GOLD, SKY)
_DASHES: Final = ("-", "--", "-.", ":")
_MARKS: Final = ("o", "s", "^")

_WIDTH: Final = 9.0  # inches: the width of the page
_DPI: Final = 140
_MOST_PIXELS: Final = 3200
_LONGEST_NAME: Final = 38
_NUMBERS_UP_TO: Final = 26  # classes of a matrix that has numbers in its cells


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of every class: values in [0, 1], NaN where undefined, and 95 % bounds."""

    name: str
    values: _Floats
    low: _Floats
    high: _Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line; `strong` ones stand out, others are context in grey without a name."""

    name: str
    x: _Floats
    y: _Floats
    strong: bool = True


def png(figure: Figure) -> bytes:
    """Return `figure` as a PNG of at most 3,200 pixels a side."""
    width, height = figure.get_size_inches()
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A display in a script that the font lacks is drawn as boxes; the tables have its text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            stream,
            format="png",
            dpi=min(_DPI, _MOST_PIXELS / max(width, height)),
            facecolor="white",
            bbox_inches="tight",
            pad_inches=0.12,
            metadata={"Software": None},
        )
    return stream.getvalue()


def confusion_matrix(
    counts: _Floats,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    row_label: str = "labelled as",
    column_label: str = "predicted as",
) -> Figure:
    """Draw `counts` (R, C), each row as shares of its sum; the sums stand behind the row names.

    Cells have numbers (per cent) while there are few enough to be read.
    """
    sums = counts.sum(axis=1)
    shares = np.divide(
        counts, sums[:, None], out=np.zeros_like(counts, dtype=np.float64), where=sums[:, None] > 0
    )
    side = max(counts.shape)
    cell = 0.48 if side <= 12 else 0.36 if side <= _NUMBERS_UP_TO else 0.21 if side <= 60 else 0.15
    size = max(4.8, min(9.0, cell * 72 * 0.6))
    named = [f"{_plain(name)} ({_count(total)})" for name, total in zip(rows, sums, strict=True)]
    across = [_plain(name) for name in columns]
    margin = 0.62 * size / 72 * max(map(len, [*named, *across]), default=1) + 0.5
    width = margin + cell * counts.shape[1] + 1.1
    height = margin + cell * counts.shape[0] + 0.6
    figure = Figure(figsize=(max(width, 5.0), max(height, 3.6)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        shares, cmap="Blues", norm=PowerNorm(0.6, 0, 1), aspect="equal", interpolation="nearest"
    )
    axes.set_xticks(range(len(across)), across, rotation=90, fontsize=size)
    axes.set_yticks(range(len(named)), named, fontsize=size)
    axes.set_xlabel(column_label)
    axes.set_ylabel(row_label + " (n)")
    axes.set_title(_plain(title, 200), fontsize=11, loc="left")
    axes.set_xticks(np.arange(len(across) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(named) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#DDDDDD", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    if side <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
            share = float(shares[row, column])
            axes.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=size,
                color="white" if share > 0.45 else "black",
            )
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1), shrink=0.6, pad=0.02)
    bar.set_label("share of the row", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def per_class(
    names: Sequence[str], support: Sequence[int], measures: Sequence[Measure], *, title: str
) -> Figure:
    """Draw the measures of every class with their bounds; classes from top to bottom as given."""
    count = len(names)
    step = 0.4 if count <= 40 else 0.27
    figure = Figure(figsize=(_WIDTH, 1.3 + step * max(count, 2)), layout="constrained")
    axes = figure.add_subplot()
    at = np.arange(count, dtype=np.float64)
    for index, measure in enumerate(measures):
        y = at + 0.24 * (index - (len(measures) - 1) / 2)
        known = np.isfinite(measure.values)
        bounded = known & np.isfinite(measure.low) & np.isfinite(measure.high)
        colour = _CYCLE[index % len(_CYCLE)]
        axes.hlines(
            y[bounded],
            measure.low[bounded],
            measure.high[bounded],
            color=colour,
            linewidth=1.3,
            alpha=0.6,
        )
        axes.plot(
            measure.values[known],
            y[known],
            _MARKS[index % len(_MARKS)],
            color=colour,
            markersize=4.5,
            label=measure.name,
        )
    for band in range(0, count, 2):
        axes.axhspan(band - 0.5, band + 0.5, color="#F2F2F2", zorder=0, linewidth=0)
    size = 9 if count <= 40 else 7.5
    shown = [f"{_plain(name)} ({number:,})" for name, number in zip(names, support, strict=True)]
    axes.set_yticks(at, shown, fontsize=size)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(-0.01, 1.01)
    axes.grid(axis="x", color="#CCCCCC", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(_plain(title, 200), fontsize=11, loc="left")
    _frame(axes)
    if count:
        figure.legend(loc="outside upper right", ncols=len(measures), frameon=False, fontsize=9)
    return figure


def reliability(bins: Sequence[Bin], confidence: _Floats, *, title: str) -> Figure:
    """Draw how often what is said with a probability is right, with 95 % bounds of each bin.

    Below, how many answers have which probability.

    Parameters
    ----------
    bins
        Of `classifier.evaluation.calibration.reliability`.
    confidence
        float (N,) in [0, 1]: of all answers.
    """
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    for index, one in enumerate(bins):
        low, high = wilson(round(one.accuracy * one.count), one.count)
        upper.vlines(one.confidence, low, high, color=BLUE, linewidth=1.5, alpha=0.6)
        upper.plot(
            one.confidence,
            one.accuracy,
            "o",
            color=BLUE,
            markersize=5,
            label="bin of answers, 95 % interval" if index == 0 else None,
        )
    upper.set_ylabel("share that is right")
    upper.set_ylim(-0.02, 1.02)
    upper.legend(loc="upper left", frameon=False, fontsize=9)
    upper.set_title(_plain(title, 200), fontsize=11, loc="left")
    lower.hist(confidence, bins=20, range=(0, 1), color=SKY, edgecolor="white")
    lower.set_ylabel("answers")
    lower.set_xlabel("probability that the model gives")
    lower.set_xlim(-0.01, 1.01)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in (upper, lower):
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        _frame(axes)
    return figure


def curves(
    lines: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    floor: tuple[str, float] | None = None,
    zoom: bool = False,
) -> Figure:
    """Draw lines over [0, 1] x [0, 1]: precision by recall, accuracy by coverage.

    `floor` is a named level across. With `zoom` the ordinate begins below the lowest line.
    """
    figure = Figure(figsize=(_WIDTH, 4.8), layout="constrained")
    axes = figure.add_subplot()
    context = [line for line in lines if not line.strong]
    for line in context:
        axes.plot(line.x, line.y, color="#BBBBBB", linewidth=0.7, zorder=1)
    for index, line in enumerate(line for line in lines if line.strong):
        axes.plot(
            line.x,
            line.y,
            color=_CYCLE[index % len(_CYCLE)],
            linestyle=_DASHES[index // len(_CYCLE) % len(_DASHES)],
            linewidth=1.8,
            label=_plain(line.name, 60),
            zorder=2,
        )
    if context:
        axes.plot([], [], color="#BBBBBB", linewidth=0.7, label=f"{len(context)} others")
    if floor is not None:
        axes.axhline(floor[1], color=GREY, linestyle=":", linewidth=1.3, label=_plain(floor[0], 60))
    axes.set_xlim(-0.01, 1.01)
    lowest = min(
        [float(np.min(line.y)) for line in lines if len(line.y)]
        + ([] if floor is None else [floor[1]]),
        default=0.0,
    )
    axes.set_ylim(max(-0.02, math.floor(lowest * 10 - 0.5) / 10) if zoom else -0.02, 1.02)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(_plain(title, 200), fontsize=11, loc="left")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    _frame(axes)
    if lines or floor:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)
    return figure


def learning_curves(epochs: _Floats, panels: Mapping[str, Mapping[str, _Floats]]) -> Figure:
    """Draw one panel a kind of quantity over the epochs; NaN where it was not measured.

    A panel whose name ends with "rate" has a logarithmic ordinate.
    """
    figure = Figure(figsize=(_WIDTH, 0.6 + 2.5 * max(1, len(panels))), layout="constrained")
    rows = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, lines) in zip(rows, panels.items(), strict=False):
        for index, (label, values) in enumerate(lines.items()):
            known = np.isfinite(values)
            axes.plot(
                epochs[known],
                values[known],
                color=_CYCLE[index % len(_CYCLE)],
                linestyle=_DASHES[index // len(_CYCLE) % len(_DASHES)],
                marker="." if known.sum() <= 60 else None,
                linewidth=1.5,
                label=_plain(label),
            )
        if name.endswith("rate") and all(np.nanmin(v) > 0 for v in lines.values()):
            axes.set_yscale("log")
        axes.set_ylabel(_plain(name))
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
        _frame(axes)
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def wilson(hits: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927); (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, centre - half), min(1.0, centre + half)


def _plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return `text` cut to `longest` characters, its dollars not read as mathematics."""
    cut = text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
    return cut.replace("$", r"\$")


def _count(total: float) -> str:
    return f"{total:,.0f}" if float(total).is_integer() else f"{total:,.1f}"


def _frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
