"""The tables and sentences of the page of a report, from the figures of `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from classifier.evaluation import page
from classifier.evaluation.metrics import LOWER_IS_BETTER
from classifier.evaluation.page import Cell
from classifier.evaluation.tables import best_floor

HEAD_TITLES: Final = {
    "examined": "Examined part",
    "visible": "Visible parts",
    "view": "View",
    "modality": "Modality",
    "laterality": "Laterality",
    "router": "Router group",
    "irma": "IRMA code",
}
# The scores of the first table, in its order; the others are in the full one.
_HEADLINES: Final = {
    "one": ("accuracy", "macro_f1", "hF", "irma_error", "ece"),
    "many": ("micro_f1", "macro_f1", "map", "hamming_loss", "ece"),
}
# Figures of `abstention`, and what their columns are called.
_BY_REGION: Final = {
    "exact": "Exactly right",
    "ancestor": "A region above it",
    "same_region": "Beside it in the same region",
    "wrong_region": "Wrong region",
    "abstained": "No answer",
}
_ANSWERED: Final = {
    "leaf_coverage": "Answered leaves",
    "leaf_accuracy": "Of them right",
    "right": "Right, or a region above it",
    "answered_accuracy": "Right, of all answers",
    "wrong_region": "Wrong region",
    "abstained": "No answer",
}
_NO_ABSENT: Final = "no part is known to be absent: says little"
_MAIN: Final = {"one": "accuracy", "many": "micro_f1"}
_WORDS: Final = {
    "accuracy": "Accuracy",
    "compatible_accuracy": "Accuracy, coarse labels too",
    "macro_precision": "Precision, mean of classes",
    "macro_recall": "Recall, mean of classes",
    "macro_f1": "F1, mean of classes",
    "micro_precision": "Precision, all labels together",
    "micro_recall": "Recall, all labels together",
    "micro_f1": "F1, all labels together",
    "map": "Average precision, mean of labels",
    "subset_accuracy": "Images with every label right",
    "hamming_loss": "Share of wrong labels (Hamming)",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "nll": "Negative log likelihood",
    "aurc": "Area under risk and coverage",
    "hP": "Hierarchical precision",
    "hR": "Hierarchical recall",
    "hF": "Hierarchical F",
    "hP_macro": "Hierarchical precision, mean of images",
    "hR_macro": "Hierarchical recall, mean of images",
    "hF_macro": "Hierarchical F, mean of images",
    "lca_P": "LCA precision",
    "lca_R": "LCA recall",
    "lca_F": "LCA F",
    "exact": "Exactly right",
    "ancestor_or_descendant": "Above or below the right part",
    "same_region_neighbour": "Beside it in the same region",
    "wrong": "Wrong altogether",
    "irma_error": "IRMA error, mean of images",
    "irma_error_hedged": "IRMA error with “don't know”",
    "irma_error_hedged_unspecified_free": "IRMA error with “don't know”, unspecified free",
}


def score_words(name: str) -> str:
    """Return what a score is called on the page."""
    if name in _WORDS:
        return _WORDS[name]
    for start, words in (
        ("top_", "Among the {} most probable"),
        ("accuracy_at_coverage_", "Accuracy of the surest {:.0%}"),
        ("coverage_at_risk_", "Answered with at most {:.0%} wrong"),
    ):
        if name.startswith(start):
            return words.format(float(name.removeprefix(start))).replace(".0 ", " ")
    return name


def headline_table(metrics: Mapping[str, Any]) -> str:
    """Return the first table: few scores of every head, their intervals and floors."""
    rows: list[list[Cell]] = []
    for head, figures in metrics["heads"].items():
        names = [name for name in _HEADLINES[figures["kind"]] if name in figures["scores"]]
        for name in names:
            *cells, note = _score_cells(name, figures["scores"][name])
            rows.append([HEAD_TITLES[head], *cells, _NO_ABSENT if _silent(figures) else note])
    return page.table(
        "Scores, 95 % intervals (patients drawn with replacement), and the best that is had"
        " without looking at an image",
        ["Head", "Score", "Value", "95 % interval", "Floor", "Images", ""],
        rows,
        numbers=(2, 3, 4, 5),
    )


def headline_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield the scores of the first table as lines: head, score, value, interval, floor."""
    for head, figures in metrics["heads"].items():
        for name in _HEADLINES[figures["kind"]]:
            if (score := figures["scores"].get(name)) is None:
                continue
            floor = best_floor(name, score)
            beside = "" if floor is None else f"\tfloor {page.shown(floor[1])} ({floor[0]})"
            note = f"\t{_NO_ABSENT}" if _silent(figures) else ""
            if score["value"] is None and score["reason"]:
                note = f"\t{score['reason']}"
            yield (
                f"{head}\t{name}\t{page.shown(score['value'])}\t{_interval(score)}{beside}{note}"
            )


def score_table(title: str, scores: Mapping[str, Any]) -> str:
    """Return the table of all scores of one head."""
    return page.table(
        f"All scores: {title}",
        ["Score", "Value", "95 % interval", "Floor", "Images", ""],
        [_score_cells(name, score) for name, score in scores.items()],
        numbers=(1, 2, 3, 4),
    )


def comparison_table(compared: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the headline scores of several models beside one another, the first being ours."""
    first = next(iter(compared.values()))
    rows: list[list[Cell]] = []
    for head, figures in first["heads"].items():
        for name in _HEADLINES[figures["kind"]]:
            if name not in figures["scores"]:
                continue
            cells: list[Cell] = []
            for metrics in compared.values():
                score = metrics["heads"].get(head, {"scores": {}})["scores"].get(name)
                cells.append("–" if score is None else _with_interval(score))
            floor = best_floor(name, figures["scores"][name])
            cells.append("–" if floor is None else (page.shown(floor[1]), floor[0]))
            rows.append([HEAD_TITLES[head], _titled(name), *cells])
    names = list(compared)
    return page.table(
        "The model beside simpler ones, which were fitted on its training images",
        ["Head", "Score", *names, "Floor"],
        rows,
        numbers=range(2, 3 + len(names)),
    )


def source_table(metrics: Mapping[str, Any]) -> str:
    """Return the main score of every head by source."""
    heads = metrics["heads"]
    rows: list[list[Cell]] = []
    for source, figures in metrics["by_source"].items():
        cells: list[Cell] = [source, metrics["sources"][source]]
        for head, whole in heads.items():
            score = figures[head]["scores"][_MAIN[whole["kind"]]]
            cells += [_with_interval(score), score["n"]]
        rows.append(cells)
    columns = ["Source", "Images"]
    for head, whole in heads.items():
        columns += [f"{HEAD_TITLES[head]}: {score_words(_MAIN[whole['kind']])}", "of"]
    return page.table(
        "By source: where images come from changes how well they are recognised",
        columns,
        rows,
        numbers=range(1, len(columns)),
        tall=True,
    )


def abstention_tables(found: Mapping[str, Any]) -> str:
    """Return what the calibrated model answers and where it abstains, as `abstention` has it."""
    settings = found["settings"]
    words = (
        f"The calibrated model on {found['images']:,} images with one right class. Each is"
        f" calibrated by what was fitted on other patients ({settings['folds']} parts). The answer"
        " is the most specific concept that is sure enough; where not even a region is, there is"
        " none. Alpha is the share of the answered leaves that may be wrong: of the classes that"
        " are answered for their own probability. Of all answers, that share (at least"
        f" {settings['wrong_region']:g}) need not hold the right part."
    )
    parts = [page.paragraph(words)]
    alphas = [
        [
            f"{one['alpha']:g}",
            (page.shown(one["leaf"]), page.shown(one["region"])),
            *(_with_interval(one["figures"][name]) for name in _ANSWERED),
        ]
        for one in found["alphas"]
    ]
    columns = ["Alpha", "Least probability, leaf and region", *_ANSWERED.values()]
    numbers = range(1, len(columns))
    parts.append(page.table("Answers by alpha", columns, alphas, numbers=numbers))
    columns = ["Right part", "Images", *_BY_REGION.values()]
    by_region = [
        [one["name"], one["n"], *(page.shown(one["figures"][name]["value"]) for name in _BY_REGION)]
        for one in found["regions"]
    ]
    by_source = [
        [source, one["n"], *(page.shown(one["figures"][name]["value"]) for name in _BY_REGION)]
        for source, one in found["sources"].items()
    ]
    numbers = range(1, len(columns))
    at = f"at alpha {settings['alpha']:g}"
    parts.append(
        page.table(f"Answers by part, {at}", columns, by_region, numbers=numbers, tall=True)
    )
    columns = ["Source", *columns[1:]]
    parts.append(
        page.table(f"Answers by source, {at}", columns, by_source, numbers=numbers, tall=True)
    )
    sets = [
        [
            f"{one['coverage']:g}",
            *(_with_interval(one["figures"][name]) for name in ("covered", "size")),
        ]
        for one in found["sets"]
    ]
    columns = ["Wanted", "Sets with the right class", "Classes in a set"]
    parts.append(page.table("Prediction sets", columns, sets, numbers=(1, 2)))
    errors = [
        [HEAD_TITLES[head], _with_interval(one["before"]), _with_interval(one["after"])]
        for head, one in found["ece"].items()
    ]
    columns = ["Head", "Before", "After"]
    parts.append(page.table("Calibration error (ECE)", columns, errors, numbers=(1, 2)))
    return "".join(parts)


def class_table(title: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of every class or label of one head."""
    labels = bool(entries) and "positives" in entries[0]
    count = "positives" if labels else "n"
    columns = ["Display", "Code", "Images", "Answered", "Precision", "Recall", "F1"]
    columns += ["Average precision"] if labels else []
    rows: list[list[Cell]] = [
        [
            one["name"],
            one["code"],
            one[count],
            one["answered"],
            *(_with_interval(one[score]) for score in ("precision", "recall", "f1")),
            *([page.shown(one["average_precision"]["value"])] if labels else []),
        ]
        for one in entries
    ]
    return page.table(
        f"{title}: every {'label' if labels else 'class'}, with 95 % intervals",
        columns,
        rows,
        numbers=range(2, len(columns)),
        tall=True,
    )


def head_sentence(figures: Mapping[str, Any]) -> str:
    """Return what the figures of a head are over, in a sentence or three."""
    if figures["kind"] == "one":
        text = (
            f"{len(figures['classes']):,} classes. {figures['n_plain']:,} images have one right"
            f" class; {figures['n_coarse']:,} have a coarse label, which leaves several possible;"
            f" of {figures['n_unknown']:,} nothing is known, they count nowhere."
        )
        if irma := figures.get("irma"):
            text += (
                f" IRMA list {irma['version']}: error of the run {irma['run_score']:.1f} over"
                f" {irma['images']:,} images, {irma['run_score_hedged']:.1f} with “don't know”."
                if irma["version"]
                else f" {irma['reason'][:1].upper()}{irma['reason'][1:]}."
            )
        return text
    silent = (
        " No label is known to be absent: the figures say which parts were found, nothing of"
        " parts that are wrongly answered, and precision is 1 whatever is said."
    )
    broken = figures["violations"]
    contradictions = broken["above_parent"] + broken["below_examined"]
    return (
        f"{len(figures['classes']):,} labels, of which {figures['labels_with_positives']:,} occur"
        f" in these images. Of {figures['n']:,} images {figures['n_cells']:,} cells (image, label)"
        f" are known, {figures['positives']:,} of them present."
        + (silent if _silent(figures) else "")
        + (
            " No part is likelier than its region."
            if not contradictions
            else f" {contradictions:,} images contradict the vocabulary, which they must not."
        )
    )


def _silent(figures: Mapping[str, Any]) -> bool:
    """Return whether the labels of visible parts never say that one is absent."""
    return bool(figures["kind"] == "many" and figures["positives"] == figures["n_cells"] > 0)


def _score_cells(name: str, score: Mapping[str, Any]) -> list[Cell]:
    floor = best_floor(name, score)
    note: Cell = score["reason"]
    # The calibration error of the labels' own frequencies is 0 by construction: no hurdle.
    if floor is not None and score["value"] is not None and name != "ece":
        ahead = score["value"] - floor[1]
        if (ahead if name not in LOWER_IS_BETTER else -ahead) <= 0:
            note = "not better than its floor"
    return [
        _titled(name),
        page.shown(score["value"]),
        _interval(score),
        "–" if floor is None else (page.shown(floor[1]), floor[0]),
        score["n"],
        note or "",
    ]


def _titled(name: str) -> Cell:
    words = score_words(name)
    return (words, "less is better") if name in LOWER_IS_BETTER else words


def _with_interval(score: Mapping[str, Any]) -> Cell:
    if score["value"] is None:
        return "–"
    if score["low"] is None:
        return page.shown(score["value"])
    return page.shown(score["value"]), _interval(score)


def _interval(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return "–"
    return f"{page.shown(score['low'])} to {page.shown(score['high'])}"
