r"""IRMA radiographs of the ImageCLEF medical annotation tasks 2007 to 2009, with their IRMA codes.

2009: ``ImageCLEFmed2009_train_codes.02.csv`` and ``ImageCLEFmed2009_test_codes.03.csv`` beside the
folders of the pictures; semicolons, with a header: image_id, irma_code, and the label sets of the
years, 05_class, 05_irma_code_submask, 06_class, 06_irma_code, 07_irma_code, 08_irma_code. An image
that a year's label set does not know has ``\N`` there. 2007: one table without a header,
``1880;1121-127-700-500``, and the folders ``ImageCLEFmed2007_train`` and ``_test``. A picture is
``<image_id>.png``, in some copies with leading zeros.

The patients are not published, so each image is a group of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from classifier.data.leftovers import Leftovers
from classifier.data.pictures import Pictures, stem_of
from classifier.data.rows import table_rows, text_lines
from classifier.data.sample import EVERYTHING, Collection, Declaration, Sample
from classifier.errors import DataSetError
from terminology.errors import IdentifierError
from terminology.mapping import BROAD, CLOSE, EXACT
from terminology.sources.irma import UNKNOWN, IrmaCode, specified
from terminology.sources.irma_lists import embedded_lists
from terminology.vocabulary import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from terminology.library import Terminology

NAME: Final = "imageclef"
# The list that all ImageCLEF sets use: mappings/README.md.
_LIST: Final = "2008"
_IMAGE, _WHOLE = "image_id", "irma_code"
# For each label set the column of the code, and that of the class by which an image is in it.
_LABEL_SETS: Final[Mapping[str, tuple[str, str | None]]] = {
    "2005": ("05_irma_code_submask", "05_class"),
    "2006": ("06_irma_code", "06_class"),
    "2007": ("07_irma_code", None),
    "2008": ("08_irma_code", None),
}
# Without a label: as databases export it, or the "clutter" of the task of 2009.
_NO_LABEL: Final = frozenset({"", r"\n", "n", "c", "null", "na", "n/a", "-", "?"})
_DELIMITERS: Final = ";\t,"
_DIVISIONS: Final = ("train", "test")
# Lehmann et al. 2003, anatomical axis: 4 upper extremity, 9 lower extremity.
_LIMBS: Final = frozenset({"4", "9"})
_MODALITY: Final = "modality"
_STANDING: Final = (EXACT, CLOSE, BROAD)
_NO_FILE: Final = "a row without an image file"
_REMEDY: Final = (
    "Give the folder with the table of codes as it was published and the folders of the pictures; "
    "the option 'codes' names a table of another name."
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a table: where it stands, and its code as it is written."""

    where: str
    code: str


# Division, if the table is one's, and number of the image without leading zeros.
_Key = tuple[str | None, str]


def read(
    path: Path,
    terminology: Terminology,
    *,
    label_set: str | int | None = None,
    codes: str | Sequence[str] | None = None,
    version: str = _LIST,
    exhaustive: bool = True,
    require_images: bool = False,
) -> Collection:
    """Return the images that have a code, in the order of the tables, training first.

    An anatomical code is the part examined. It is coarse where it ends in ``*`` (not known, as in
    the label set of 2005) or names no more than a limb: 0 is "unspecified", and nobody takes
    one image of a whole leg for the leg itself.

    Parameters
    ----------
    path
        The folder with the tables, or one table.
    label_set
        2005, 2006, 2007 or 2008: the labels that the task of that year asked for, and only the
        images that it knows. By default the whole code of every image.
    codes
        Names of tables in the folder; by default those that have "codes" in their names, and
        "ImageCLEF" if any has.
    version
        Version of the list of IRMA codes.
    exhaustive
        Whether an image shows nothing but the part that its code names and what lies beside it:
        the code has one body region for the whole image.
    require_images
        Whether a row without a file is an error; else it is counted.

    Raises
    ------
    DataSetError
        A table is missing or malformed, or no row has an image.
    """
    chosen = None if label_set is None else str(label_set)
    if chosen is not None and chosen not in _LABEL_SETS:
        raise DataSetError(
            "option label_set", f"'{chosen}'", f"one of {', '.join(_LABEL_SETS)}", "Correct it."
        )
    folder = path.parent if path.is_file() else path
    leftovers = Leftovers(folder)
    tables = [path] if path.is_file() else _tables(folder, codes)
    rows = _rows(tables, chosen, leftovers)
    files = Pictures(folder, _number)
    samples: list[Sample] = []
    for key, row in rows.items():
        if row.code.lower() in _NO_LABEL:
            files.of(key[1])
            leftovers.leave("a row without a label in the label set", row.where)
            continue
        code = _code(row, version, leftovers)
        file = _file(files, folder, key, row.where, leftovers)
        if code is not None and file is not None:
            part = key[0] or _division(file.relative_to(folder).parent.as_posix())
            samples.append(_sample(key[1], file, part, code, version, terminology))
    for file in files.unused():
        leftovers.leave("an image file without a row", leftovers.place(file))
    if require_images:
        leftovers.forbid(_NO_FILE, "a picture for each row", _REMEDY)
    leftovers.check(len(samples), _REMEDY)
    return Collection(
        NAME,
        tuple(samples),
        Declaration(exhaustive_over=frozenset({EVERYTHING} if exhaustive else ())),
        leftovers.left_out(),
    )


def _tables(folder: Path, names: str | Sequence[str] | None) -> list[Path]:
    """Return the tables of codes, that of the training images first."""
    if names is not None:
        return [folder / name for name in ([names] if isinstance(names, str) else names)]
    near = (*folder.glob("*"), *folder.glob("*/*"))
    found = [
        path
        for path in near
        if path.suffix.lower() in {".csv", ".txt"} and "codes" in path.stem.lower()
    ]
    if not found:
        what, expected = "no table of codes", "a .csv or .txt file with 'codes' in its name"
        raise DataSetError(str(folder), what, expected, _REMEDY)
    found = [path for path in found if NAME in path.name.lower()] or found
    return sorted(found, key=lambda path: (_division(path.name) != "train", path))


def _division(name: str) -> str | None:
    """Return which division a file or folder of that name is of."""
    return next((one for one in _DIVISIONS if one in name.lower()), None)


def _rows(tables: list[Path], label_set: str | None, leftovers: Leftovers) -> dict[_Key, _Row]:
    found: dict[_Key, _Row] = {}
    for table in tables:
        division = _division(table.name)
        for line, image, code in _cells(table, label_set, leftovers):
            where = leftovers.place(table, line)
            number = stem_of(image.rpartition("/")[2])
            if not number.isdecimal():
                what = f"'{image}'"
                leftovers.broken(where, "a row without an image number", what, "a number")
                continue
            key = (division, str(int(number)))
            before = found.setdefault(key, _Row(where, code))
            if before.where == where:
                continue
            if before.code == code:
                leftovers.leave("a row that stands twice", where)
            else:
                what = f"another code than {before.where} for the same image"
                leftovers.broken(where, "two rows that disagree", what, "one code an image")
    return found


def _cells(
    table: Path, label_set: str | None, leftovers: Leftovers
) -> Iterator[tuple[int, str, str]]:
    """Yield line, image and code of each row; the code is empty where the label set has none."""
    lines = list(text_lines(table))
    first = lines[0][1] if lines else ""
    delimiter = next((one for one in _DELIMITERS if one in first), " ")
    if _WHOLE in first.lower() or _IMAGE in first.lower():
        column, of_class = (_WHOLE, None) if label_set is None else _LABEL_SETS[label_set]
        needed = [_IMAGE, column, *([of_class] if of_class else [])]
        for line, cells in table_rows(table, needed, leftovers, delimiter=delimiter):
            known = of_class is None or cells[of_class].lower() not in _NO_LABEL
            yield line, cells[_IMAGE], cells[column] if known else ""
        return
    if label_set not in {None, "2007"}:
        raise DataSetError(
            str(table),
            f"no column of the label set {label_set}: the table has no header",
            "the tables of ImageCLEF 2009, which have the label sets of all years",
            "Leave the option 'label_set' out.",
        )
    for line, text in lines:
        cells_there = [cell.strip(" \"'") for cell in re.split(r"[;,\t ]+", text.strip(" ;,\t"))]
        leftovers.rows += 1
        if len(cells_there) == 2:
            yield line, cells_there[0], cells_there[1]
        else:
            where, what = leftovers.place(table, line), f"{len(cells_there)} cells"
            leftovers.broken(where, "a row with the wrong number of cells", what, "number;code")


def _number(name: str) -> str:
    """Return the number of the image that a file of that name is, without leading zeros."""
    return stem_of(name).lstrip("0") or "0"


def _file(
    files: Pictures, folder: Path, key: _Key, where: str, leftovers: Leftovers
) -> Path | None:
    """Return the picture of an image, or `None` after counting why there is none.

    A table of one division has no pictures in the folders of another: they count from the same
    number.
    """
    division, number = key
    found: defaultdict[str | None, list[Path]] = defaultdict(list)
    for path in files.of(number):
        of_folder = _division(path.relative_to(folder).parent.as_posix())
        if division is None or of_folder in {None, division}:
            found[of_folder].append(path)
    if len(found) > 1:
        leftovers.leave("a row with an image in several folders", where)
        return None
    if not found:
        leftovers.leave(_NO_FILE, where)
        return None
    return leftovers.first(next(iter(found.values())))


def _code(row: _Row, version: str, leftovers: Leftovers) -> IrmaCode | None:
    """Return the code of a row, or `None` after counting it as broken."""
    try:
        code = IrmaCode.parse(row.code)
        embedded_lists().of(version).check(code)
    except IdentifierError as error:
        reason, what = "a code that is no IRMA code", f"'{row.code}': {error.where}: {error.what}"
        leftovers.broken(row.where, reason, what, error.expected)
        return None
    return code


def _sample(
    number: str,
    file: Path,
    part: str | None,
    code: IrmaCode,
    version: str,
    terminology: Terminology,
) -> Sample:
    reading = terminology.codes.read("irma", str(code), version)
    examined, side = None, reading.laterality
    best = next((one for one in reading.targets if one.predicate in _STANDING), None)
    if best is not None:
        examined, own_side = canonical(terminology.graph, best.code)
        side = side or own_side
    modality = next(
        (
            one.code
            for one in reading.others
            if one.category == _MODALITY and one.predicate in _STANDING
        ),
        None,
    )
    identifier = number if part is None else f"{part}/{number}"
    return Sample(
        key=f"{NAME}/{identifier}",
        path=file,
        source=NAME,
        group=f"{NAME}:{identifier}",
        examined=examined,
        coarse=examined is not None and _is_coarse(code.anatomical),
        view=None if reading.view is None else reading.view.code,
        laterality=side,
        modality=modality,
        irma=str(code),
        part=part,
    )


def _is_coarse(anatomical: str) -> bool:
    return UNKNOWN in anatomical or specified(anatomical) in _LIMBS
