"""ROCOv2 (Rückert et al. 2024): figures of PubMed Central with captions and curated CUIs.

For each of train, valid and test: ``<part>_captions.csv`` (ID, Caption), ``<part>_concepts.csv``
and ``<part>_concepts_manual.csv`` (ID, CUIs joined by semicolons; the manual ones have modality and
body region), ``license_information.csv`` (ID, PMCID, Attribution, Link), and pictures ``<ID>.jpg``
in the folders that the archives ``<part>_images.zip`` unpack to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from classifier.data.figures import NO_FILE, Figure, is_cui
from classifier.data.leftovers import Leftovers
from classifier.data.pictures import Pictures
from classifier.data.rows import table_rows

NAME: Final = "rocov2"
REMEDY: Final = "Unpack the archives of the data set (doi 10.5281/zenodo.10821435) into one folder."
# How the set calls its parts, and how samples do.
_DIVISIONS: Final = {"train": "train", "valid": "validation", "test": "test"}
_ARTICLE: Final = re.compile(r"PMC[0-9]+")


def is_rocov2(path: Path) -> bool:
    """Return whether `path` is a folder with a table of ROCOv2's concepts."""
    return any((path / f"{division}_concepts.csv").is_file() for division in _DIVISIONS)


def figures(path: Path, leftovers: Leftovers) -> Iterator[Figure]:
    """Yield the figures that have a picture, and count the others."""
    files = Pictures(path)
    licences, articles = _licences(path / "license_information.csv", leftovers)
    for division, part in _DIVISIONS.items():
        table = path / f"{division}_concepts.csv"
        if not table.is_file():
            leftovers.leave("a part of the set that is not there", leftovers.place(table))
            continue
        captions = _column(path / f"{division}_captions.csv", "Caption", leftovers)
        cuis: defaultdict[str, list[str]] = defaultdict(list)
        for file in (path / f"{division}_concepts_manual.csv", table):
            if file == table or file.is_file():
                for key, words in _column(file, "CUIs", leftovers).items():
                    cuis[key] += [word.strip() for word in words.split(";") if word.strip()]
        for key in dict.fromkeys((*captions, *cuis)):
            found = files.of(key)
            if not found:
                leftovers.leave(NO_FILE, f"{leftovers.place(table)}: {key}")
                continue
            for word in cuis[key]:
                if not is_cui(word):
                    leftovers.leave("a word of the concepts that is no CUI", f"{key}: '{word}'")
            yield Figure(
                key,
                leftovers.first(found),
                part,
                tuple(word for word in dict.fromkeys(cuis[key]) if is_cui(word)),
                captions.get(key, ""),
                licence=licences.get(key, ""),
                article=articles.get(key, ""),
            )
    for file in files.unused():
        leftovers.leave("an image file without a figure", leftovers.place(file))


def _column(path: Path, column: str, leftovers: Leftovers) -> dict[str, str]:
    """Return a column of a table by the figure."""
    found: dict[str, str] = {}
    for line, row in table_rows(path, ("ID", column), leftovers):
        if found.setdefault(row["id"], row[column.lower()]) != row[column.lower()]:
            where, what = leftovers.place(path, line), f"{row['id']} stands twice"
            leftovers.broken(where, "an identifier that stands twice", what, "one row a figure")
    return found


def _licences(path: Path, leftovers: Leftovers) -> tuple[dict[str, str], dict[str, str]]:
    """Return the licence and the article of each figure, where the file is there and says it."""
    licences: dict[str, str] = {}
    articles: dict[str, str] = {}
    if path.is_file():
        for _, row in table_rows(path, ("ID",), leftovers):
            licences[row["id"]] = row.get("attribution", "")
            article = _ARTICLE.search(" ".join((row.get("pmcid", ""), row.get("link", ""))))
            articles[row["id"]] = article[0] if article else ""
    return licences, articles
