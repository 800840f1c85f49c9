"""What a reader sees for a class of a label space: displays, never bare codes."""

from __future__ import annotations

import csv
from functools import lru_cache

from classifier.data.labels import Head, LabelSpace
from terminology.concept import View
from terminology.graph import BodyStructureGraph
from terminology.tables import mappings_folder


def class_names(
    space: LabelSpace, head: Head, graph: BodyStructureGraph | None = None
) -> tuple[str, ...]:
    """Return the displays of the classes of `head`, in the order of its columns.

    With a `graph`, body structures are named as in its release. Two classes that share a display
    get their codes behind it. A class without a display is named by its code.
    """
    codes = space.columns(head)
    if head in (Head.EXAMINED, Head.VISIBLE):
        columns, displays = space.vocabulary.columns, space.vocabulary.displays
        names = [
            graph.lookup(code).display
            if graph is not None and code in graph
            else (displays[columns[code]] if code in columns else code)
            for code in codes
        ]
    elif head is Head.VIEW:
        names = [view_of(code).display for code in codes]
    else:
        names = list(codes)
    return tuple(
        f"{name} ({code})" if names.count(name) > 1 and name != code else name
        for name, code in zip(names, codes, strict=True)
    )


def view_of(code: str) -> View:
    """Return the view of an SCTID; named by its code where no table names it."""
    return _views().get(code) or View(code, code)


@lru_cache(maxsize=1)
def _views() -> dict[str, View]:
    views: dict[str, View] = {}
    with (mappings_folder() / "views.tsv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            view = View(row["code"], row["display"], row["dicom"] or None)
            # The row that has the value of ViewPosition, of a view that has one.
            if view.dicom or view.code not in views:
                views[view.code] = view
    return views
