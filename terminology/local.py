"""A site's own tables: what they decide overrides the shipped rows. Reading only.

A folder of `.sssom.tsv` files. `header-words.sssom.tsv` holds decisions about header values: a
row of scope "value" decides a whole value (in one attribute, where it names a `subject_field`), a
row of scope "word" adds a word to the vocabulary or overrides one. Every other table maps codes,
and comes before the shipped tables of its `subject_source`. Edits are the business of
`terminology.decisions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.crosswalk import crosswalk_tables
from terminology.errors import RowProblem, TableError
from terminology.mapping import MappingSet

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
                problems.extend(error.problems)
                return None

        path = folder / DECISIONS_TABLE
        decisions = table(path) if path.exists() else None
        tables = [table(path) for path in crosswalk_tables(folder)]
        if problems:
            raise TableError(problems)
        return cls(folder, decisions, tuple(one for one in tables if one is not None))
