"""`Terminology`: the graph, the crosswalk and the two readers, loaded together and once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from terminology.crosswalk import Crosswalk
from terminology.graph import BodyStructureGraph
from terminology.header import HeaderReader
from terminology.release.index import ReleaseIndex
from terminology.statements import StatementReader
from terminology.structures import BodyStructures
from terminology.text import TextReader
from terminology.words import HeaderWords


@dataclass(frozen=True, slots=True)
class Terminology:
    """Everything that turns words, codes and headers into body sites."""

    graph: BodyStructureGraph
    crosswalk: Crosswalk
    text: TextReader
    header: HeaderReader

    @classmethod
    def load(cls, folder: Path | None = None, release: ReleaseIndex | None = None) -> Terminology:
        """Return the terminology of the tables in `folder`, by default the embedded ones.

        With a `release`, its body structures answer; the tables' own structures are woven in
        where it lacks them.

        Raises
        ------
        TableError
            A table has bad rows.
        """
        if release is None:
            graph = BodyStructureGraph.load(folder)
        else:
            graph = BodyStructureGraph(release, BodyStructures.load(folder))
        crosswalk = Crosswalk.load(folder)
        words = HeaderWords.load(folder)
        text = TextReader(words, graph)
        attributes = StatementReader(text, crosswalk, graph, folder)
        return cls(graph, crosswalk, text, HeaderReader(attributes, words, graph))


@lru_cache(maxsize=4)
def load_terminology(release: Path | None = None) -> Terminology:
    """Return the terminology over the index in `release`, by default over the embedded subset.

    Loaded at the first call and shared after it.

    Raises
    ------
    IndexFileError
        `release` is no whole index.
    """
    return Terminology.load(release=None if release is None else ReleaseIndex.open(release))
