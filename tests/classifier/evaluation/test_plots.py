import io

import numpy as np
import pytest
from PIL import Image

from classifier.evaluation import plots
from classifier.evaluation.calibration import reliability
from classifier.evaluation.plots import Curve, Measure, png


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("classes", [1, 2, 5, 30, 116])
def test_a_confusion_matrix_is_a_picture_of_bounded_size(classes: int):
    counts = np.eye(classes) * 7
    names = [f"Structure {number} of the body" for number in range(classes)]
    data = png(plots.confusion_matrix(counts, names, names, title="All"))
    assert max(opened(data).size) <= 3200
    assert min(opened(data).size) >= 300
    assert len(data) < 2_000_000


def test_a_confusion_matrix_shows_shares_of_the_rows_and_displays():
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    figure = plots.confusion_matrix(counts, ["Hand", "Foot"], ["Hand", "Foot"], title="All")
    axes = figure.axes[0]
    shares = axes.images[0].get_array()
    assert np.allclose(shares, [[0.75, 0.25], [0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Hand (4)", "Foot (0)"]
    assert {text.get_text() for text in axes.texts} == {"75", "25"}


def test_many_classes_have_no_numbers_in_the_cells():
    names = [str(number) for number in range(60)]
    figure = plots.confusion_matrix(np.eye(60), names, names, title="All")
    assert not figure.axes[0].texts


def test_displays_of_any_script_and_with_dollars_are_drawn_as_they_are():
    names = ["手 $\\alpha$ |x|", "Große Zehe", "a very long display " * 4]
    figure = plots.confusion_matrix(np.eye(3), names, names, title="50 $ and 60 $")
    assert opened(png(figure)).size[0] > 0
    assert figure.axes[0].get_xticklabels()[0].get_text() == "手 \\$\\alpha\\$ |x|"
    assert figure.axes[0].get_xticklabels()[2].get_text().endswith("…")


def test_nothing_of_matplotlib_is_changed():
    import matplotlib

    before = dict(matplotlib.rcParams)
    png(plots.confusion_matrix(np.eye(2), ["a", "b"], ["a", "b"], title="t"))
    assert dict(matplotlib.rcParams) == before


def test_undefined_measures_are_left_out_and_the_others_drawn():
    nan = np.nan
    measure = Measure("precision", np.array([0.5, nan]), np.array([0.2, nan]), np.array([0.9, nan]))
    unbounded = Measure("recall", np.array([0.5, 0.4]), np.array([nan, nan]), np.array([nan, nan]))
    figure = plots.per_class(["Hand", "Foot"], [4, 1000], [measure, unbounded], title="Each")
    drawn = {line.get_label(): line.get_xdata().tolist() for line in figure.axes[0].lines}
    assert drawn == {"precision": [0.5], "recall": [0.5, 0.4]}
    assert figure.axes[0].get_yticklabels()[1].get_text() == "Foot (1,000)"
    assert opened(png(figure)).size[0] > 500


def test_the_reliability_diagram_counts_all_answers():
    rng = np.random.default_rng(2)
    confidence = rng.random(301)
    bins = reliability(confidence, rng.random(301) < confidence)
    figure = plots.reliability(bins, confidence, title="R")
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 301
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(points) == len(bins)
    assert opened(png(figure)).size[0] > 300


def test_curves_with_a_floor_and_with_nothing_are_drawn():
    line = Curve("micro", np.array([0.0, 1.0]), np.array([1.0, 0.4]))
    context = Curve("other", np.array([0.0, 1.0]), np.array([1.0, 0.8]), strong=False)
    full = plots.curves(
        [line, context], title="t", x_label="x", y_label="y", floor=("floor", 0.35), zoom=True
    )
    assert full.axes[0].get_ylim()[0] == pytest.approx(0.3)
    png(full)
    png(plots.curves([], title="t", x_label="x", y_label="y"))


def test_learning_curves_take_what_was_not_measured():
    values = np.array([0.9, np.nan, 0.5])
    figure = plots.learning_curves(
        np.array([1.0, 2.0, 3.0]), {"loss": {"training": values}, "learning rate": {"lr": values}}
    )
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 3]
    assert figure.axes[1].get_yscale() == "log"
    png(figure)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 5, 0.0, 0.4345), (5, 5, 0.5655, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_intervals(hits: int, of: int, low: float, high: float):
    assert plots.wilson(hits, of) == pytest.approx((low, high), abs=5e-5)
