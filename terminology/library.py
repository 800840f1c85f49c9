"""`Terminology`: the graph, the crosswalk and the readers, loaded together and once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from terminology.crosswalk import Crosswalk
from terminology.errors import TableError
from terminology.graph import BodyStructureGraph
from terminology.header import HeaderReader
from terminology.local import LocalMappings
from terminology.release.index import ReleaseIndex
from terminology.settings import HeaderSettings
from terminology.sources.codes import CodeReader
from terminology.statements import StatementReader
from terminology.structures import BodyStructures
from terminology.text import TextReader
from terminology.words import HeaderWords


@dataclass(frozen=True, slots=True)
class Terminology:
    """Everything that turns words, codes and headers into body sites.

    `local` are the site's own tables that were read, `settings` how headers are read.
    """

    graph: BodyStructureGraph
    crosswalk: Crosswalk
    text: TextReader
    header: HeaderReader
    codes: CodeReader
    local: LocalMappings = field(default_factory=LocalMappings)
    settings: HeaderSettings = field(default_factory=HeaderSettings)

    @classmethod
    def load(
        cls,
        folder: Path | None = None,
        release: ReleaseIndex | None = None,
        *,
        local: LocalMappings | None = None,
        settings: HeaderSettings | None = None,
    ) -> Terminology:
        """Return the terminology of the tables in `folder`, by default the embedded ones.

        With a `release`, its body structures answer; the tables' own structures are woven in
        where it lacks them. What `local` decides overrides the tables.

        Raises
        ------
        TableError
            A table has bad rows.
        """
        if release is None:
            graph = BodyStructureGraph.load(folder)
        else:
            graph = BodyStructureGraph(release, BodyStructures.load(folder))
        return cls.over(graph, folder, local=local, settings=settings)

    @classmethod
    def over(
        cls,
        graph: BodyStructureGraph,
        folder: Path | None = None,
        *,
        local: LocalMappings | None = None,
        settings: HeaderSettings | None = None,
    ) -> Terminology:
        """Return the terminology over `graph`: the tables are read, the graph is kept.

        Raises
        ------
        TableError
            A table has bad rows, or one of `local` names what `graph` does not hold.
        """
        local = local or LocalMappings()
        with _collector_paused():
            crosswalk = Crosswalk.load(folder, local.tables)
            words = HeaderWords.load(folder)
            return cls._over(graph, crosswalk, words, folder, local, settings)

    def decided_by(self, local: LocalMappings, folder: Path | None = None) -> Terminology:
        """Return this terminology with the tables of `local` in the place of its own local ones.

        The shipped tables, which came from `folder`, are not read again. A decision about a
        whole value costs little; a word of the site's own makes the indexes anew.

        Raises
        ------
        TableError
            A table of `local` names what the graph does not hold.
        """
        crosswalk = self.crosswalk.decided_by(local.tables)
        words = self.text.words.shipped or self.text.words
        with _collector_paused():
            return self._over(self.graph, crosswalk, words, folder, local, self.settings, self.text)

    @classmethod
    def _over(
        cls,
        graph: BodyStructureGraph,
        crosswalk: Crosswalk,
        words: HeaderWords,
        folder: Path | None,
        local: LocalMappings,
        settings: HeaderSettings | None,
        like: TextReader | None = None,
    ) -> Terminology:
        settings = settings or HeaderSettings()
        if problems := [*local.problems(graph, words.views)]:
            raise TableError(problems)
        if local.decisions is not None:
            words = words.decided_by(local.decisions)
        text = TextReader(words, graph, settings, like)
        attributes = StatementReader(text, crosswalk, graph, folder, settings)
        header = HeaderReader(attributes, words, graph, settings)
        codes = CodeReader(crosswalk, words.regions, words.views)
        return cls(graph, crosswalk, text, header, codes, local, settings)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python from looking for garbage while hundreds of thousands of lasting values are made.

    It would look again and again, find none, and take a quarter of the time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@lru_cache(maxsize=4)
def load_terminology(
    release: Path | None = None, mappings: Path | None = None, settings: Path | None = None
) -> Terminology:
    """Return the terminology over the index in `release`, by default over the embedded subset.

    The tables of a site in the folder `mappings` override the shipped ones; the TOML file
    `settings` says how headers are read. Loaded at the first call and shared after it: a program
    that outlives an edit of the tables asks `terminology.live`.

    Raises
    ------
    IndexFileError
        `release` is no whole index.
    TableError
        A table of `mappings` has bad rows.
    SettingsError
        `settings` cannot be read, or sets what there is not.
    """
    return Terminology.load(
        release=None if release is None else ReleaseIndex.open(release),
        local=None if mappings is None else LocalMappings.read(mappings),
        settings=None if settings is None else HeaderSettings.read(settings),
    )
