"""`read_release`: release packages → `ReleaseRows`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from terminology.rf2.components import (
    Context,
    concept_rows,
    concrete_rows,
    description_rows,
    identifier_rows,
    relationship_rows,
)
from terminology.rf2.errors import Problems
from terminology.rf2.latest import Members
from terminology.rf2.layouts import LAYOUTS
from terminology.rf2.members import LANGUAGE, Components, dependencies, member_rows
from terminology.rf2.names import Content
from terminology.rf2.packages import ReleaseFile, select
from terminology.rf2.rows import FileReport, RefsetRows, ReleaseRows
from terminology.rf2.tables import FileRows, Table, header_of, read_into
from terminology.rf2.version import Dependency, check_version_uri, derive_version

Progress = Callable[[str, float], None]

_REMEDY: Final = (
    "Correct the rows, or get the release again. An extension is read together with the edition"
    " that it extends: name that one first."
)


def read_release(
    paths: Sequence[Path],
    *,
    version_uri: str | None = None,
    progress: Progress | None = None,
) -> ReleaseRows:
    """Return the rows of a release: every component once, in its latest state.

    Read are the Snapshot files, and the Full file where there is no Snapshot of the same content.
    Of several states of a component the one with the latest `effectiveTime` counts, and of equal
    ones the last in reading order: packages as given, files by name.

    Members of reference sets that refer to components, or to a reference set, that the release
    lacks are left out, as derivative packages hold such; the report counts them.

    Parameters
    ----------
    paths
        Folders or zips of releases as published: an edition, then what extends it.
    version_uri
        The version URI; by default it is derived from the module dependencies.
    progress
        Is told the file and how much of all bytes is read, in [0, 1].

    Raises
    ------
    ReleaseError
        Something is wrong with the release: the bad rows are named with file, line and column.
    """
    if version_uri is not None:
        check_version_uri(version_uri)
    selection = select(paths)
    context = Context(
        files=[FileRows(file) for file in selection.files],
        names=tuple(file.shown for file in selection.files),
        problems=Problems(),
    )
    reader = _Reader(context, progress or (lambda file, done: None))
    return _converted(reader, context, selection.left_out, version_uri)


class _Reader:
    """Reads the files kind by kind, so that few raw rows are held at once."""

    def __init__(self, context: Context, progress: Progress) -> None:
        self._context = context
        self._advance = _Advance(context.files, progress)
        problems = context.problems
        layouts = [header_of(found.file, problems) for found in context.files]
        problems.raise_any(_REMEDY)
        self._unread = {
            number: columns for number, columns in enumerate(layouts) if columns is not None
        }

    def components(self, *contents: Content) -> Table:
        """Return the rows of all files of these contents."""
        table = Table(LAYOUTS[contents[0]][0])
        files = self._context.files
        self._read(table, [one for one in self._unread if files[one].file.name.content in contents])
        return table

    def members(self) -> Iterator[Table]:
        """Yield the rows of all reference sets, one table for each layout, language first."""
        waiting = [LANGUAGE, *self._unread.values()]
        for layout in dict.fromkeys(waiting):
            table = Table(layout)
            self._read(table, [one for one, other in self._unread.items() if other == layout])
            yield table

    def _read(self, table: Table, numbers: list[int]) -> None:
        problems = self._context.problems
        before = problems.total
        for number in numbers:
            found = self._context.files[number]
            columns = self._unread.pop(number)
            read_into(table, columns, number, found, problems, self._advance)
            if not problems.room:
                break
        if problems.total == before:
            return
        # Rows that are broken can make others seem so: nothing is converted any more, but what is
        # wrong in the cells of the other files is told as well.
        while self._unread and problems.room:
            number, columns = self._unread.popitem()
            found = self._context.files[number]
            read_into(Table(columns), columns, number, found, problems, self._advance)
        problems.raise_any(_REMEDY)


class _Advance:
    """Turns bytes of files into a share of all bytes."""

    def __init__(self, files: Sequence[FileRows], progress: Progress) -> None:
        self._size = max(sum(found.file.size for found in files), 1)
        self._done = 0
        self._progress = progress

    def __call__(self, file: ReleaseFile, size: int) -> None:
        self._done += size
        self._progress(file.shown, min(self._done / self._size, 1.0))


def _converted(
    reader: _Reader,
    context: Context,
    left_out: tuple[FileReport, ...],
    version_uri: str | None,
) -> ReleaseRows:
    """Return the rows of the release; rows that refer to what is not there are raised together."""
    concepts = concept_rows(reader.components(Content.CONCEPT), context)
    known = Members(concepts.id)
    descriptions, described = description_rows(
        reader.components(Content.DESCRIPTION, Content.TEXT_DEFINITION), known, context
    )
    relationships, additional, related = relationship_rows(
        reader.components(Content.RELATIONSHIP), known, context
    )
    concrete, valued = concrete_rows(reader.components(Content.CONCRETE), known, context)
    components = Components(known, described, Members(np.concatenate((related.ids, valued.ids))))
    del related, valued
    identifiers = identifier_rows(
        reader.components(Content.IDENTIFIER), context, components.unknown
    )
    needed: list[Dependency] = []
    refsets: list[RefsetRows] = []
    for table in reader.members():
        needed += dependencies(table, context)
        refsets.append(member_rows(table, components, context))
    context.problems.raise_any(_REMEDY)
    if version_uri is None:
        unpublished = any(found.file.name.unpublished for found in context.files)
        version_uri = derive_version(needed, unpublished=unpublished)
    return ReleaseRows(
        version=version_uri,
        concepts=concepts,
        descriptions=descriptions,
        relationships=relationships,
        concrete=concrete,
        language=refsets[0],
        refsets=tuple(refsets[1:]),
        report=(*map(_report, context.files), *left_out),
        additional=additional,
        identifiers=identifiers,
    )


def _report(found: FileRows) -> FileReport:
    return FileReport(
        found.file.shown,
        found.file.name.shown,
        found.rows,
        found.active,
        "; ".join(found.left_out) or None,
    )
