"""ROCO: figures of PubMed Central with captions, keywords, CUIs and licences (Pelka et al. 2018).

As razorx89/roco-dataset has it: ``data/<train|validation|test>/radiology`` with text files by tabs
(captions.txt ``ROCO_00020 <tab> text``, cuis.txt and keywords.txt ``ROCO_00020 <tab><tab> one
<tab> one``, dlinks.txt) and licences.txt by commas (``ROCO_ID,PMC_ID,CC``). The pictures are links
there; scripts/fetch.py puts them into ``images/``, as ``<archive>_<name>``, which is PMC_ID; other
copies call them ``ROCO_00020.jpg``. Many links are dead by now.

Not read: the parts without radiology, and semtypes.txt. ROCOv2 has a layout of its own, which
`classifier.data.rocov2` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from classifier.data import rocov2
from classifier.data.figures import NO_FILE, Figure, FigureReader, is_cui
from classifier.data.leftovers import Leftovers
from classifier.data.pictures import Pictures
from classifier.data.rows import table_rows, text_lines
from classifier.data.sample import EVERYTHING, Collection, Declaration
from classifier.errors import DataSetError

if TYPE_CHECKING:
    from terminology.library import Terminology

NAME: Final = "roco"
_DIVISIONS: Final = ("train", "validation", "test")
_FOLDER: Final = "radiology"
_KEY: Final = re.compile(r"ROCO_[0-9]+")
_ARCHIVE: Final = re.compile(r"PMC[0-9]+")
_LINK: Final = re.compile(r"\S*/(PMC[0-9]+)\.tar\.gz")
_REMEDY: Final = (
    "Give a copy of razorx89/roco-dataset; its scripts/fetch.py gets the pictures of dlinks.txt."
)


def read(
    path: Path,
    terminology: Terminology,
    *,
    version: str | None = None,
    exhaustive: bool = False,
    require_images: bool = False,
) -> Collection:
    """Return the radiology figures that have a picture, in the order of the captions.

    What the CUIs of a figure name is in the frame; no part is known to be the examined one. The
    modality is what caption, keywords or CUIs name, where they name one: RG for "X-ray" and the
    like, CT, MR, US, PT, XA, RF, MG, PX, IO, NM. The group is the article, which mostly has one
    patient.

    Parameters
    ----------
    path
        The copy of the repository, its folder ``data``, or the folder of ROCOv2.
    version
        Version of the tables of CUIs; by default the newest.
    exhaustive
        Whether what the CUIs do not name is absent. Captions speak of what matters to the
        article, so silence says nothing; published experiments took it for absence.
    require_images
        Whether a figure without a picture is an error; else it is counted.

    Raises
    ------
    DataSetError
        Files are missing or malformed, or no figure has a picture.
    """
    leftovers = Leftovers(path)
    if rocov2.is_rocov2(path):
        name, remedy = rocov2.NAME, rocov2.REMEDY
        figures = rocov2.figures(path, leftovers)
        reader = FigureReader(name, terminology, version, coded_first=True)
    else:
        name, remedy = NAME, _REMEDY
        figures = _figures(path, leftovers)
        reader = FigureReader(name, terminology, version, coded_first=False)
    samples = tuple(reader.sample(figure) for figure in figures)
    if require_images:
        leftovers.forbid(NO_FILE, "a picture for each figure", remedy)
    leftovers.check(len(samples), remedy)
    return Collection(
        name,
        samples,
        Declaration(exhaustive_over=frozenset({EVERYTHING} if exhaustive else ())),
        leftovers.left_out(),
    )


def _figures(path: Path, leftovers: Leftovers) -> Iterator[Figure]:
    """Yield the figures that have a picture, and count the others."""
    bases = (path / "data", path / "all_data", path)
    base = next((base for base in bases if _folders(base)), None)
    if base is None:
        what, expected = "no figures", f"folders {_DIVISIONS[0]}/{_FOLDER} and the like in 'data'"
        raise DataSetError(str(path), what, expected, _REMEDY)
    seen: dict[str, str] = {}
    for folder in _folders(base):
        if not folder.is_dir():
            leftovers.leave("a part of the set that is not there", leftovers.place(folder))
            continue
        yield from _division(folder, seen, leftovers)


def _folders(base: Path) -> list[Path]:
    """Return the folders of the three parts, if `base` has any of them."""
    folders = [base / division / _FOLDER for division in _DIVISIONS]
    return folders if any(folder.is_dir() for folder in folders) else []


def _division(folder: Path, seen: dict[str, str], leftovers: Leftovers) -> Iterator[Figure]:
    captions = _lines(folder / "captions.txt", leftovers)
    cuis = _lines(folder / "cuis.txt", leftovers)
    keywords = _lines(folder / "keywords.txt", leftovers, optional=True)
    names = _links(folder / "dlinks.txt", leftovers)
    licences: dict[str, str] = {}
    if (folder / "licences.txt").is_file():
        for _, row in table_rows(folder / "licences.txt", ("ROCO_ID", "PMC_ID", "CC"), leftovers):
            licences[row["roco_id"]] = row["cc"]
            names.setdefault(row["roco_id"], row["pmc_id"])
    files = Pictures(folder / "images")
    for key in dict.fromkeys((*captions, *cuis, *names)):
        where = seen.setdefault(key, leftovers.place(folder))
        if where != leftovers.place(folder):
            leftovers.leave("a figure of another part of the set", f"{key} in {where}")
            continue
        name = names.get(key, "")
        found = (*files.of(name), *files.of(key))
        if not found:
            leftovers.leave(NO_FILE, f"{leftovers.place(folder)}/images/{name or key}")
            continue
        file = leftovers.first(found)
        if not file.stat().st_size:
            leftovers.leave("an empty image file", leftovers.place(file))
            continue
        for word in cuis.get(key, ()):
            if not is_cui(word):
                leftovers.leave("a word of cuis.txt that is no CUI", f"{key}: '{word}'")
        archive = _ARCHIVE.match(name)
        yield Figure(
            key,
            file,
            folder.parent.name,
            tuple(word for word in cuis.get(key, ()) if is_cui(word)),
            " ".join(captions.get(key, ())),
            keywords.get(key, ()),
            licences.get(key, ""),
            archive[0] if archive else "",
        )
    for file in files.unused():
        leftovers.leave("an image file without a figure", leftovers.place(file))


def _lines(
    path: Path, leftovers: Leftovers, *, optional: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return what stands behind each identifier, cell by cell; empty cells are left out."""
    found: dict[str, tuple[str, ...]] = {}
    if optional and not path.is_file():
        return found
    for number, line in text_lines(path):
        key, *cells = (cell.strip() for cell in line.split("\t"))
        where = leftovers.place(path, number)
        leftovers.rows += 1
        if not _KEY.fullmatch(key):
            what = f"'{key[:40]}'"
            leftovers.broken(where, "a line without an identifier", what, "ROCO_ and a number")
        elif key in found:
            what = f"{key} stands twice"
            leftovers.broken(where, "an identifier that stands twice", what, "one line a figure")
        else:
            found[key] = tuple(cell for cell in cells if cell)
    return found


def _links(path: Path, leftovers: Leftovers) -> dict[str, str]:
    """Return the file names that fetch.py gives the pictures: ``<archive>_<name>``."""
    found: dict[str, str] = {}
    for key, cells in _lines(path, leftovers, optional=True).items():
        link = next((match for cell in cells if (match := _LINK.search(cell))), None)
        if link is not None and len(cells) > 1:
            found[key] = f"{link[1]}_{cells[-1]}"
    return found
