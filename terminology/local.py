"""A site's own tables: what they decide overrides the shipped rows. Reading only.

A folder of `.sssom.tsv` files. `header-words.sssom.tsv` holds decisions about header values: a
row of scope "value" decides a whole value (in one attribute, where it names a `subject_field`), a
row of scope "word" adds a word to the vocabulary or overrides one. Every other table maps codes,
and comes before the shipped tables of its `subject_source`. Edits are the business of
`terminology.decisions`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from terminology import sssom
from terminology.crosswalk import crosswalk_tables
from terminology.errors import RowProblem, TableError
from terminology.mapping import MappingSet, SemanticMapping

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

DECISIONS_TABLE: Final = "header-words.sssom.tsv"


@dataclass(frozen=True, slots=True)
class LocalMappings:
    """The tables of one site: `decisions` about header values, `tables` of codes.

    `folder` is where they were read from, `None` for none at all.
    """

    folder: Path | None = None
    decisions: MappingSet | None = None
    tables: tuple[MappingSet, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> LocalMappings:
        """Return the tables of `folder`; a folder without tables decides nothing.

        Raises
        ------
        TableError
            With the bad rows of all tables.
        """
        problems: list[RowProblem] = []

        def table(path: Path) -> MappingSet | None:
            try:
                return sssom.read(path)
            except TableError as error:
                file = f"{folder.name}/{path.name}"
                problems.extend(replace(problem, file=file) for problem in error.problems)
                return None

        path = folder / DECISIONS_TABLE
        decisions = table(path) if path.exists() else None
        tables = [table(path) for path in crosswalk_tables(folder)]
        if problems:
            raise TableError(problems)
        return cls(folder, decisions, tuple(one for one in tables if one is not None))

    def problems(self, graph: BodyStructureGraph, views: Collection[str]) -> Iterator[RowProblem]:
        """Yield what cannot be answered with: codes that `graph` or `views` do not hold.

        A decision that was made with another release must not be dropped in silence.
        """
        folder = self.folder.name if self.folder is not None else "local"
        if self.decisions is not None:
            file = f"{folder}/{DECISIONS_TABLE}"
            for row in self.decisions.mappings:
                yield from object_problems(row, file, graph)
                yield from _decision_problems(row, file, views)
        for table in self.tables:
            for row in table.mappings:
                yield from object_problems(row, f"{folder}/{table.name}.sssom.tsv", graph)


def object_problems(
    row: SemanticMapping, file: str, graph: BodyStructureGraph
) -> Iterator[RowProblem]:
    """Yield why the object of `row` is no answer: not in `graph`, or of another side than stated.

    `file` is what a message calls the table.
    """
    # Views, modalities and body systems are no body structures; what is refused need not be one.
    if row.no_match or row.negated or row.object_category:
        return
    code = sssom.object_code(row)
    if code not in graph:
        expected = f"a body structure of {graph.version}"
        yield RowProblem(file, row.line, "object_id", f"'{row.object_id}'", expected)
        return
    _, side = graph.unsided(code)
    if side is not None and row.object_laterality != side:
        what = f"'{row.object_laterality or ''}' with {graph.lookup(code)}"
        yield RowProblem(
            file, row.line, "object_laterality", what, f"{side}, the side of the object"
        )


def _decision_problems(
    row: SemanticMapping, file: str, views: Collection[str]
) -> Iterator[RowProblem]:
    if row.subject_type != sssom.LITERAL:
        expected = "a literal; rows of codes go into a table of their own"
        yield RowProblem(file, row.line, "subject_type", f"'{row.subject_type or ''}'", expected)
    if row.object_view and row.object_view not in views:
        expected = "a projection of views.tsv"
        yield RowProblem(file, row.line, "object_view", f"'{row.object_view}'", expected)
    if row.subject_field and tag_for_keyword(row.subject_field) is None:
        what = f"'{row.subject_field}'"
        yield RowProblem(file, row.line, "subject_field", what, "a DICOM keyword")
