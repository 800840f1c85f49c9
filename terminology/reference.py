"""How the tables stand to reference files that the repository does not carry, where they are there.

Each comparison returns figures; none of the files is taken for the truth: what differs is counted,
not judged. A file that is missing is left out.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminology import sssom
from terminology.concept import Coding
from terminology.crosswalk import DICOM_BODY_PART, IRMA_ANATOMY, UMLS, UNIFESP
from terminology.errors import BodySiteError, UnknownSystemError
from terminology.evaluation import Expected, Figures, evaluate
from terminology.sources.dicom import read_snomed_entire

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph
    from terminology.library import Terminology

HEADER_VALUES: Final = "legacy_header_values.csv"
IRMA_AXES: Final = "irma_axes.csv"
ROCO_CUIS: Final = "roco_cuis.csv"
CANDIDATES: Final = "cui_sct_candidates.csv"
LABELS: Final = "unifesp_labels.csv"
DICOM_TERMS: Final = "dicom_body_part_examined.csv"
# The columns that are read of each.
_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    HEADER_VALUES: frozenset(
        {"value", "language", "kind", "sct", "also_acceptable", "ambiguous_value"}
    ),
    IRMA_AXES: frozenset({"axis", "code", "code_version"}),
    ROCO_CUIS: frozenset({"cui", "images_test", "images_validation"}),
    CANDIDATES: frozenset({"cui", "sct"}),
    LABELS: frozenset({"code"}),
    DICOM_TERMS: frozenset({"body_part_examined", "sct"}),
}
# Structure and entire concept, region and part are one step apart.
_ADJACENT: Final = 1
_EQUAL: Final = "equal"
_NEAR: Final = "one step apart"
_OTHER: Final = "another concept"
_ABSENT: Final = "none that the release holds"
_NEARNESS: Final = (_EQUAL, _NEAR, _OTHER, _ABSENT)


class ReferenceFileError(BodySiteError):
    """A reference file that has not the columns it should have."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison: counts by what they count, and for header values the figures behind."""

    name: str
    counts: dict[str, int]
    figures: Figures | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it, ready for JSON."""
        found: dict[str, object] = {"reference": self.name, **self.counts}
        if self.figures is not None:
            found |= self.figures.as_dict()
        return found

    def __str__(self) -> str:
        parts = [f"{number} {what}" for what, number in self.counts.items()]
        if self.figures is not None:
            parts.insert(0, str(self.figures))
        return f"{self.name}: {', '.join(parts)}"


def compare(folder: Path, library: Terminology) -> Iterator[Comparison]:
    """Yield how `library` stands to each reference file in `folder`.

    A file is left out where no table of `library` maps from its code system.

    Raises
    ------
    ReferenceFileError
        A file cannot be read, lacks a column, or has a count that is no number.
    """
    for name, comparing in (
        (HEADER_VALUES, _header_values),
        (IRMA_AXES, _irma),
        (ROCO_CUIS, _roco),
        (CANDIDATES, _candidates),
        (LABELS, _labels),
        (DICOM_TERMS, _dicom_terms),
    ):
        path = folder / name
        if path.is_file():
            try:
                yield from comparing(_rows(path), library)
            except UnknownSystemError:
                continue


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a reference file, each with all the columns of that file."""
    wanted = _COLUMNS[path.name]
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream, restval="")
            lacking = sorted(wanted.difference(rows.fieldnames or ()))
            if not lacking:
                return list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReferenceFileError(
            path.name,
            f"it cannot be read ({type(error).__name__})",
            "a CSV file in UTF-8",
            "Check the file.",
        ) from error
    raise ReferenceFileError(
        path.name,
        f"there is no column '{lacking[0]}'",
        f"the columns {', '.join(sorted(wanted))}",
        "Name another folder with --reference.",
    )


def _count(text: str) -> int:
    """Return a number of images; an empty cell is none."""
    if text and not text.isdecimal():
        raise ReferenceFileError(
            ROCO_CUIS, f"'{text}' images", "a whole number", "Correct the cell."
        )
    return int(text or 0)


def _header_values(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    """Compare all values, then those of each kind, then those of each language."""
    accepted: dict[str, set[str]] = defaultdict(set)
    stated: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        key = row["value"].casefold()
        stated[key].update(filter(None, [row["sct"]]))
        accepted[key].update(filter(None, (row["sct"], *row["also_acceptable"].split("|"))))

    def compared(name: str, chosen: list[dict[str, str]]) -> Comparison:
        values = {row["value"] for row in chosen}
        expected = [Expected(one, frozenset(accepted[one.casefold()])) for one in sorted(values)]
        strict = [Expected(one, frozenset(stated[one.casefold()])) for one in sorted(values)]
        figures = evaluate(library.text, expected)
        only = figures.right - evaluate(library.text, strict).right
        ambiguous = len({row["value"] for row in chosen if row["ambiguous_value"] == "1"})
        counts = {
            "right by an also acceptable code": only,
            "values that sources give two parts": ambiguous,
        }
        return Comparison(name, counts, figures)

    yield compared("header values", rows)
    for slot in ("kind", "language"):
        for value in sorted({row[slot] for row in rows}):
            name = f"header values, {slot} {value}"
            yield compared(name, [row for row in rows if row[slot] == value])


def _irma(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    for version in sorted({row["code_version"] for row in rows}):
        codes = {
            row["code"]
            for row in rows
            if row["code_version"] == version and row["axis"] == "anatomical"
        }
        if version in library.crosswalk.versions(IRMA_ANATOMY):
            decided = codes & _subjects(library, IRMA_ANATOMY, version)
        else:
            decided = set()
        yield _decided(f"IRMA anatomical codes, list of {version}", codes, decided)


def _roco(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    images = {
        row["cui"]: _count(row["images_test"]) + _count(row["images_validation"]) for row in rows
    }
    decided = set(images) & _subjects(library, UMLS, None)
    mapped = {one for one in decided if library.crosswalk.translate(Coding(UMLS, one)).targets}
    counts = {
        "CUIs": len(images),
        "decided": len(decided),
        "mapped": len(mapped),
        "image mentions": sum(images.values()),
        "of decided CUIs": sum(images[one] for one in decided),
    }
    yield Comparison("anatomical CUIs of ROCO", counts)


def _candidates(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    offered: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        offered[row["cui"]].add(row["sct"])
    known = _subjects(library, UMLS, None)
    structures = {entire: row["structure"] for entire, row in read_snomed_entire().items()}
    counts = dict.fromkeys(("CUIs", *_NEARNESS, "no target", "not decided"), 0)
    counts["CUIs"] = len(offered)
    for cui, codes in offered.items():
        targets = library.crosswalk.translate(Coding(UMLS, cui)).targets if cui in known else ()
        if cui not in known:
            counts["not decided"] += 1
        elif not targets:
            counts["no target"] += 1
        else:
            resolved = {structures.get(code, code) for code in codes}
            counts[_nearness({one.code for one in targets}, resolved, library.graph)] += 1
    yield Comparison("open CUI to SNOMED CT pairs", counts)


def _labels(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    codes = {row["code"] for row in rows}
    yield _decided("UNIFESP labels", codes, codes & _subjects(library, UNIFESP, None))


def _dicom_terms(rows: list[dict[str, str]], library: Terminology) -> Iterator[Comparison]:
    offered: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["body_part_examined"] and row["sct"]:
            offered[row["body_part_examined"]].add(row["sct"])
    counts = dict.fromkeys(("terms", *_NEARNESS, "no target"), 0)
    counts["terms"] = len(offered)
    for term, codes in offered.items():
        found = library.crosswalk.translate(Coding(DICOM_BODY_PART, term)).targets
        targets = {one.code for one in found}
        counts[_nearness(targets, codes, library.graph) if targets else "no target"] += 1
    yield Comparison("DICOM terms of Body Part Examined", counts)


def _nearness(targets: set[str], codes: set[str], graph: BodyStructureGraph) -> str:
    current = {_current(one, graph) for one in targets}
    wanted = {_current(one, graph) for one in codes}
    if targets & codes or current & wanted:
        return _EQUAL
    here = [one for one in wanted if one in graph]
    if not here:
        return _ABSENT
    near = any(_is_near(one, other, graph) for one in current if one in graph for other in here)
    return _NEAR if near else _OTHER


def _is_near(one: str, other: str, graph: BodyStructureGraph) -> bool:
    if graph.unsided(one)[0] == graph.unsided(other)[0]:
        return True
    distance = graph.distance(one, other)
    return distance is not None and distance <= _ADJACENT


def _current(code: str, graph: BodyStructureGraph) -> str:
    return graph.current(code) if code in graph else code


def _subjects(library: Terminology, system: str, version: str | None) -> set[str]:
    """Return the codes that the tables of a system decide in any way."""
    return {
        sssom.subject_code(row)
        for table in library.crosswalk.mapping_sets(system, version)
        for row in table.mappings
    }


def _decided(name: str, codes: Iterable[str], decided: Iterable[str]) -> Comparison:
    all_codes, found = set(codes), set(decided)
    return Comparison(name, {"codes": len(all_codes), "decided": len(found)})
