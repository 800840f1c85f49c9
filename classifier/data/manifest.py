"""Manifests: one CSV file that names images and what is known of them, by codes or by words.

Columns, of which `path` and one more are needed. Others are passed over; an empty cell is unknown.

============  ==========================================================================
path          the image file, relative to the folder of the manifest (or ``file``)
examined      the part that was examined (or ``body_part``); ``(coarse)`` after it: a region
              within which the part lies
sct           its SCTID; goes before the words
visible       parts in the frame, separated by semicolons (or ``also_visible``)
absent        parts that are not in the frame, separated by semicolons
view          one projection: AP, PA, frontal, lateral, oblique, ...; several say nothing
laterality    L, R, B, or left, right, both
modality      a DICOM modality; what follows in brackets is passed over, ``CR/DX`` is a radiograph
group         the patient; without one, an image is a group of its own
source        the collection or hospital; without one, the first folder of the path
coarse        1, true or yes: `examined` is a region within which the part lies
age           in years, or as DICOM writes it (045Y, 006M)
part          train, validation or test, as the source divides (or ``split``)
frame         which frame of a multi-frame file, from 0
irma          the IRMA code
caption       free text
licence       free text (or ``license``)
origin        the picture that the image was cut out of: its ``source/path``
============  ==========================================================================

A second table may correct the first (`corrections`): it has the columns above, parted by tabs, and
what it says of a path goes before what the manifest says.

Parts and views are SCTIDs (alone, or as ``85562004 |Hand|``) or words in any language of the
terminology. A word that names several parts with "or" is not sure, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from pydicom.sr.codedict import codes as dicom_codes

from classifier.closeups.landmarks import SHIPPED
from classifier.data.leftovers import Leftovers
from classifier.data.rows import MANIFEST, own_rows, table_rows
from classifier.data.sample import SURE, Collection, Declaration, Sample, regions
from classifier.data.space import modality_class
from classifier.errors import DataSetError
from terminology.concept import Laterality
from terminology.errors import BodySiteError
from terminology.library import Terminology
from terminology.vocabulary import canonical

_ALIASES: Final = {
    "file": "path",
    "body_part": "examined",
    "also_visible": "visible",
    "split": "part",
    "license": "licence",
}
_OF_EXAMINED: Final = frozenset({"examined", "sct", "coarse"})
_SHIPPED: Final = "shipped"
_LABELS: Final = ("examined", "sct", "visible", "absent", "view", "laterality", "modality", "irma")
_CODE: Final = re.compile(r"(\d{6,18})(?:\s*\|.*)?")
_BRACKETS: Final = re.compile(r"\s*\([^()]*\)")
_COARSE: Final = re.compile(r"\s*\(coarse\)", re.IGNORECASE)
_OR: Final = re.compile(r"\bor\b", re.IGNORECASE)
_TRUE: Final = frozenset({"1", "true", "yes", "y", "coarse"})
_FALSE: Final = frozenset({"", "0", "false", "no", "n", "fine"})
_PARTS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
# DICOM PS3.16 CID 29: the modalities that acquire. OT and SC are not among them.
_MODALITIES: Final = frozenset(str(code.value) for code in dicom_codes.cid29.concepts.values())
_YEARS_PER: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_RADIOGRAPH_WORDS: Final = frozenset({"XR", "XRAY", "X-RAY", "RADIOGRAPH", "RADIOGRAPHY"})


def read(
    path: Path,
    terminology: Terminology,
    *,
    name: str | None = None,
    where: Mapping[str, str | Sequence[str]] | None = None,
    exhaustive_over: Sequence[str] = (),
    sources: Mapping[str, str] | None = None,
    corrections: str | Path | None = None,
) -> Collection:
    """Return the samples of the manifest at `path`, in its order.

    Parameters
    ----------
    path
        The CSV file, in UTF-8 with a header line, or the folder that holds ``manifest.csv``.
    terminology
        Reads words and codes.
    name
        Of the collection; by default that of the manifest's folder.
    where
        The rows that are wanted: for a column of the file, a pattern or several of which one has
        to fit, without regard to case. ``*`` stands for anything, ``[0-9]`` for a digit; an ``!``
        in front refuses what fits: ``{"licence": ["CC0*", "CC BY [0-9]*"], "file": "!drawn/*"}``.
    exhaustive_over
        SCTIDs of regions of which every part that is in the frame is named, or ``*`` for all;
        by default a part that is not named is unknown.
    sources
        Sources that are parts of one, each with the name of the whole: what comes from one
        hospital must not be trained on where the hospital is left out.
    corrections
        A table whose cells, where they are not empty, replace those of the row of the same path;
        a part that was examined replaces all that the manifest says of it. Relative to the folder
        of the manifest. ``shipped``: what we saw on openly licensed radiographs, by eye.

    Raises
    ------
    DataSetError
        The file is missing, is no UTF-8, lacks a column that is needed or asked for, or names one
        image twice; or not one of its images can be used. `corrections` is malformed, or names no
        image of the manifest.
    UnknownConceptError
        `exhaustive_over` names what the graph does not hold.
    """
    file = path / MANIFEST if path.is_dir() else path
    leftovers = Leftovers(file.parent)
    rows = list(table_rows(file, (), leftovers))
    columns = list(rows[0][1]) if rows else []
    _check_columns(file, columns)
    wanted = _Filter(file, columns, where or {})
    paths = {cells.get("path") or cells.get("file", "") for _, cells in rows}
    corrected = {} if corrections is None else _corrections(file.parent, corrections, paths)
    reader = _RowReader(terminology, file.parent, leftovers, sources or {})
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    for line, cells in rows:
        place = leftovers.place(file, line)
        if (column := wanted.refused_by(cells)) is not None:
            leftovers.leave(f"'{column}' is not asked for", place)
            continue
        known = {_ALIASES.get(key, key): cell for key, cell in cells.items()}
        sample = reader.sample(_joined(known, corrected.get(known["path"])), place)
        if sample is None:
            continue
        if sample.key in seen:
            raise DataSetError(
                f"{file}:{line}",
                f"'{sample.key}' is named a second time, after line {seen[sample.key]}",
                "one row for an image, or for a frame of it",
                "Join the rows: several visible parts are separated by semicolons.",
            )
        seen[sample.key] = line
        samples.append(sample)
    leftovers.check(len(samples), "Compare the header and the paths with 'path', 'examined', ...")
    return Collection(
        name or file.resolve().parent.name,
        tuple(samples),
        Declaration(exhaustive_over=regions(exhaustive_over, terminology.graph)),
        leftovers.left_out(),
    )


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    known = [_ALIASES.get(column, column) for column in columns]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice or (columns and ("path" not in known or not set(known) & set(_LABELS))):
        what = f"two columns for '{twice[0]}'" if twice else "a column is missing"
        raise DataSetError(
            f"{file}:1",
            f"{what} among {', '.join(columns)}",
            f"'path' and at least one label: {', '.join(_LABELS)}",
            "Name the columns in the first line of the file.",
        )


def _corrections(folder: Path, given: str | Path, paths: Set[str]) -> dict[str, dict[str, str]]:
    """Return the cells of a table of corrections that are not empty, by path; one is of `paths`."""
    file = SHIPPED if str(given) == _SHIPPED else folder / given
    found = {
        cells["path"]: {_ALIASES.get(key, key): cell for key, cell in cells.items() if cell}
        for _, cells in own_rows(file, ("path",))
    }
    if not found.keys() & paths:
        raise DataSetError(
            str(file),
            f"none of its {len(found)} paths is in the manifest",
            "paths as the manifest has them",
            "Name the table that belongs to the manifest, or leave 'corrections' out.",
        )
    return found


def _joined(cells: Mapping[str, str], correction: Mapping[str, str] | None) -> Mapping[str, str]:
    if correction is None:
        return cells
    replaced = _OF_EXAMINED if correction.keys() & _OF_EXAMINED else frozenset()
    return {key: cell for key, cell in cells.items() if key not in replaced} | dict(correction)


def _years(age: str) -> float | None:
    """Return an age as DICOM PS3.5 6.2 writes it (AS: nnnD, nnnW, nnnM, nnnY), in years."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", age.upper())
    return None if found is None else int(found[1]) * _YEARS_PER[found[2]]


class _Filter:
    """Which rows are wanted."""

    def __init__(
        self, file: Path, header: Sequence[str], where: Mapping[str, str | Sequence[str]]
    ) -> None:
        self._patterns: dict[str, tuple[list[str], list[str]]] = {}
        for column, value in where.items():
            if column not in header:
                raise DataSetError(
                    f"{file}, option 'where'",
                    f"there is no column '{column}'",
                    "one of " + ", ".join(header),
                    "Name a column of the manifest as its header writes it.",
                )
            patterns = [value] if isinstance(value, str) else list(value)
            folded = [pattern.casefold() for pattern in patterns]
            self._patterns[column] = (
                [pattern for pattern in folded if not pattern.startswith("!")],
                [pattern[1:] for pattern in folded if pattern.startswith("!")],
            )

    def refused_by(self, cells: Mapping[str, str]) -> str | None:
        """Return the column whose value is not wanted; `None` for a wanted row."""
        for column, (taken, refused) in self._patterns.items():
            cell = cells[column].casefold()
            if taken and not any(fnmatchcase(cell, pattern) for pattern in taken):
                return column
            if any(fnmatchcase(cell, pattern) for pattern in refused):
                return column
        return None


@dataclass(frozen=True, slots=True)
class _RowReader:
    """Turns rows into samples, and counts what it could not use."""

    terminology: Terminology
    folder: Path
    leftovers: Leftovers
    sources: Mapping[str, str]

    def sample(self, cells: Mapping[str, str], place: str) -> Sample | None:
        """Return the sample of one row; `None` where there is no such file."""
        written = cells["path"].replace("\\", "/")
        path = self.folder / written
        if not written or not path.is_file():
            self.leftovers.leave("the file is missing", f"{place}: {written}")
            return None
        modality = self._modality(cells.get("modality", ""), place)
        examined, side, coarse = self._examined(cells, modality, place)
        frame = self._number(cells.get("frame", ""), place)
        inside = PurePosixPath(written)
        source = cells.get("source") or (inside.parts[0] if len(inside.parts) > 1 else "manifest")
        key = written if inside.parts[0] == source else f"{source}/{written}"
        group = cells.get("group") or written
        return Sample(
            key=key if frame == 0 else f"{key}#{frame}",
            path=path,
            source=self.sources.get(source, source),
            group=group if ":" in group else f"{source}:{group}",
            frame=frame,
            examined=examined,
            coarse=coarse,
            visible=self._several(cells.get("visible", ""), modality, place),
            absent=self._several(cells.get("absent", ""), modality, place),
            view=self._view(cells.get("view", ""), modality, place),
            laterality=self._side(cells.get("laterality", ""), place) or side,
            modality=modality,
            irma=cells.get("irma") or None,
            age_years=self._age(cells.get("age", ""), place),
            caption=cells.get("caption") or None,
            licence=cells.get("licence") or None,
            part=self._part(cells.get("part", ""), place),
            origin=cells.get("origin") or None,
        )

    def _examined(
        self, cells: Mapping[str, str], modality: str | None, place: str
    ) -> tuple[str | None, Laterality | None, bool]:
        words = cells.get("examined", "")
        coarse = bool(_COARSE.search(words)) or self._flag(cells.get("coarse", ""), place)
        words = _COARSE.sub("", words)
        found = self._sites(cells.get("sct") or words, modality, place)
        if len(found) > 1:
            self.leftovers.leave(
                "several examined parts: the label is left out", f"{place}: {words}"
            )
            return None, None, False
        code, side = found[0] if found else (None, None)
        return code, side, coarse and code is not None

    def _several(self, cell: str, modality: str | None, place: str) -> tuple[str, ...]:
        found = [
            code for words in cell.split(";") for code, _ in self._sites(words, modality, place)
        ]
        return tuple(dict.fromkeys(found))

    def _sites(
        self, words: str, modality: str | None, place: str
    ) -> list[tuple[str, Laterality | None]]:
        """Return the parts that one cell, or one of its members, names."""
        words = words.strip()
        if not words:
            return []
        if code := _CODE.fullmatch(words):
            try:
                return [canonical(self.terminology.graph, code[1])]
            except BodySiteError:
                self.leftovers.leave(
                    "a code is no body structure: it is left out", f"{place}: {words}"
                )
                return []
        if _OR.search(words):
            self.leftovers.leave("one part or another: the label is left out", f"{place}: {words}")
            return []
        reading = self.terminology.text.read(words, modality=modality)
        if not reading.sites:
            self.leftovers.leave(
                "words that name no part known here: they are left out", f"{place}: {words}"
            )
        elif any(one.confidence is not None and one.confidence < SURE for one in reading.sites):
            self.leftovers.leave(
                "a word that may be misspelt or mean something else: it is used",
                f"{place}: {words}",
            )
        graph = self.terminology.graph
        return [(canonical(graph, site.code)[0], site.laterality) for site in reading.sites]

    def _view(self, cell: str, modality: str | None, place: str) -> str | None:
        if not cell:
            return None
        if code := _CODE.fullmatch(cell):
            if code[1] in self.terminology.text.words.views:
                return code[1]
            self.leftovers.leave("a view that is not known: it is left out", f"{place}: {cell}")
            return None
        views = {view.code for view in self.terminology.text.read(cell, modality=modality).views}
        if len(views) == 1 and ";" not in cell:
            return views.pop()
        several = "several views" if len(views) > 1 else "a view that is not known"
        self.leftovers.leave(f"{several}: it is left out", f"{place}: {cell}")
        return None

    def _modality(self, cell: str, place: str) -> str | None:
        words = _BRACKETS.sub("", cell).strip().upper()
        if not words or words == "?":
            return None
        found = {
            "DX" if one in _RADIOGRAPH_WORDS else one
            for one in re.split(r"[/;,\\]", words.split()[0])
        }
        classes = {modality_class(one) for one in found}
        if found <= _MODALITIES and len(classes) == 1:
            return found.pop() if len(found) == 1 else classes.pop()
        self.leftovers.leave("a modality that is not known: it is left out", f"{place}: {cell}")
        return None

    def _side(self, cell: str, place: str) -> Laterality | None:
        if not cell:
            return None
        side = Laterality.from_dicom(cell) or self.terminology.text.read(cell).laterality
        if side is None and cell.upper() != "U":
            self.leftovers.leave("a side that is not known: it is left out", f"{place}: {cell}")
        return side

    def _age(self, cell: str, place: str) -> float | None:
        if not cell:
            return None
        try:
            years: float | None = float(cell)
        except ValueError:
            years = _years(cell)
        if years is None or not 0 <= years <= 130:
            self.leftovers.leave(
                "an age that is not understood: it is left out", f"{place}: {cell}"
            )
            return None
        return years

    def _flag(self, cell: str, place: str) -> bool:
        if cell.lower() not in _TRUE | _FALSE:
            self.leftovers.leave("'coarse' is not yes or no: taken for yes", f"{place}: {cell}")
        return cell.lower() not in _FALSE

    def _part(self, cell: str, place: str) -> str | None:
        part = _PARTS.get(cell.lower())
        if cell and part is None:
            self.leftovers.leave("a division that is not known: it is left out", f"{place}: {cell}")
        return part

    def _number(self, cell: str, place: str) -> int:
        if not cell:
            return 0
        if cell.isdecimal():
            return int(cell)
        raise DataSetError(
            place, f"frame '{cell}'", "a whole number from 0, or nothing", "Correct the cell."
        )
