"""What `bodysite predict` says, as objects, table rows and lines; and the images that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.voting import Whole, vote
from terminology.contract import site_object, view_object

if TYPE_CHECKING:
    from classifier.data.labels import Head, LabelSpace
    from classifier.predictor import ImagePredictor, Probabilities, Reading
    from terminology.errors import BodySiteError
    from terminology.graph import BodyStructureGraph

_ENDINGS: Final = frozenset({".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_PREAMBLE: Final = 128  # PS3.10 7.1: then "DICM"
_SHOWN: Final = 10
COLUMNS: Final = (
    "name",
    "images",
    "examined",
    "examined_display",
    "examined_probability",
    "view",
    "view_display",
    "modality",
    "laterality",
    "router_group",
    "visible",
    "visible_display",
    "error",
)


def image_files(path: Path) -> list[Path]:
    """Return `path`, or the images in the folder `path` and below, sorted.

    In a folder, images are files with the ending of one, and files with no or another ending that
    begin as DICOM files do. What is hidden is passed over.
    """
    if not path.is_dir():
        return [path]
    return sorted(
        one
        for one in path.rglob("*")
        if not any(part.startswith(".") for part in one.relative_to(path).parts)
        and one.is_file()
        and (one.suffix.lower() in _ENDINGS or _is_dicom(one))
    )


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False


def voted(
    space: LabelSpace, read: Sequence[tuple[Path, Reading]], whole: Whole
) -> Iterator[tuple[str, list[Path], Probabilities]]:
    """Yield the series or the studies of some images, each with its name, files and vote.

    The name is the DICOM UID; an image without one stands alone, under the name of its file. In
    the order of their first images.
    """
    series: dict[tuple[str, str], list[tuple[Path, Reading]]] = {}
    for file, found in read:
        alone = str(file)
        key = (found.study or alone, found.series or alone)
        series.setdefault(key, []).append((file, found))
    joined = {
        key: vote(space, _stacked([one.probabilities for _, one in members]), Whole.SERIES)
        for key, members in series.items()
    }
    if whole is Whole.SERIES:
        for key, members in series.items():
            yield key[1], [file for file, _ in members], joined[key]
        return
    studies: dict[str, list[tuple[str, str]]] = {}
    for key in series:
        studies.setdefault(key[0], []).append(key)
    for name, keys in studies.items():
        files = [file for key in keys for file, _ in series[key]]
        yield name, files, vote(space, _stacked([joined[key] for key in keys]), Whole.STUDY)


def _stacked(members: Sequence[Probabilities]) -> dict[Head, Any]:
    return {head: np.stack([one[head] for one in members]) for head in members[0]}


def answer_object(
    predictor: ImagePredictor,
    name: str,
    files: Sequence[Path],
    probabilities: Probabilities,
    graph: BodyStructureGraph,
    reading: Reading | None = None,
) -> dict[str, Any]:
    """Return an answer as JSON values, with the keys of `annotate --format json` where it has them.

    `reading` is of a single image: its UID and frames are told.
    """
    found = predictor.answer(probabilities)
    return {
        "name": name,
        "files": [str(file) for file in files],
        "sop_instance_uid": None if reading is None else reading.instance,
        "frames": None if reading is None else list(reading.frames),
        "frame_count": None if reading is None else reading.frame_count,
        "model": found.model,
        "examined": [site_object(site, graph) for site in found.examined],
        "visible": [site_object(site, graph) for site in found.visible],
        "view": view_object(found.view),
        "modality": found.modality,
        "laterality": found.laterality,
        "router_group": found.router,
        "error": None,
    }


def refusal_object(file: Path, error: BodySiteError) -> dict[str, Any]:
    """Return why there is no answer for a file, as JSON values."""
    return {
        "name": str(file),
        "files": [str(file)],
        "sop_instance_uid": None,
        "frames": None,
        "frame_count": None,
        "model": None,
        "examined": [],
        "visible": [],
        "view": None,
        "modality": None,
        "laterality": None,
        "router_group": None,
        "error": {
            "where": error.where,
            "what": error.what,
            "expected": error.expected,
            "remedy": error.remedy,
        },
    }


def table_row(answer: dict[str, Any]) -> list[object]:
    """Return the cells of `COLUMNS` for an answer; several visible parts are joined by ';'."""
    best = answer["examined"][0] if answer["examined"] else None
    view, error = answer["view"], answer["error"]
    return [
        answer["name"],
        len(answer["files"]),
        best and best["code"],
        best and best["display"],
        best and round(best["confidence"], 4),
        view and view["code"],
        view and view["display"],
        answer["modality"],
        answer["laterality"],
        answer["router_group"],
        ";".join(site["code"] for site in answer["visible"]),
        ";".join(site["display"] for site in answer["visible"]),
        error and error["what"],
    ]


def line(answer: dict[str, Any], graph: BodyStructureGraph) -> str:
    """Return an answer as a line to read; of the visible parts, the most specific, at most ten."""
    if answer["error"] is not None:
        return f"{answer['name']}\tnot read"
    parts = [
        f"{site['code']} |{site['display']}| {site['confidence']:.2f}"
        for site in answer["examined"][:1]
    ] or ["not known"]
    if answer["view"] is not None:
        parts.append(answer["view"]["display"])
    parts += [answer[key] for key in ("modality", "laterality", "router_group") if answer[key]]
    codes = [site["code"] for site in answer["visible"] if site["code"] in graph]
    above = frozenset().union(*(graph.ancestors(code) for code in codes))
    shown = [site["display"] for site in answer["visible"] if site["code"] not in above]
    if shown:
        more = f" and {len(shown) - _SHOWN} others" if len(shown) > _SHOWN else ""
        parts.append("visible: " + ", ".join(shown[:_SHOWN]) + more)
    return f"{answer['name']}\t" + "; ".join(parts)
