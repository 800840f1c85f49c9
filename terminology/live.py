"""`LiveTerminology`: the terminology of a program that outlives an edit of a site's tables.

The files of the site's folder are looked at when somebody asks, at most twice a second; nothing
runs in between. A table with bad rows changes no answer: the last good state goes on, and
`problem` says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from terminology.errors import BodySiteError, TableError
from terminology.graph import BodyStructureGraph
from terminology.library import Terminology, load_terminology
from terminology.local import LocalMappings
from terminology.release.index import ReleaseIndex
from terminology.settings import HeaderSettings
from terminology.structures import BodyStructures

logger = logging.getLogger(__name__)

# Seconds between two looks at the folder.
INTERVAL: Final = 0.5
_SHOWN_PROBLEMS: Final = 20

# Of each table: name, time of change in ns, size, inode.
_Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class MappingsState:
    """What is served of a site's folder: since when, how many rows, what is wrong with it now."""

    loaded: datetime
    decisions: int
    tables: int
    problem: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the state, ready for JSON."""
        return {
            "loaded": self.loaded.isoformat(timespec="seconds"),
            "decisions": self.decisions,
            "tables": self.tables,
            "problem": list(self.problem) or None,
        }


class LiveTerminology:
    """The terminology as it is now; safe to share between threads.

    Parameters
    ----------
    graph
        The body structures; they are kept.
    folder
        A site's own tables. Without one, nothing ever changes.
    settings
        How headers are read.
    terminology
        What was loaded already, where nothing ever changes.
    clock
        Seconds that never go back; a test brings its own.

    Raises
    ------
    TableError
        The tables have bad rows at the start.
    """

    def __init__(
        self,
        graph: BodyStructureGraph,
        folder: Path | None = None,
        settings: HeaderSettings | None = None,
        *,
        terminology: Terminology | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._signature: _Signature | None = None if folder is None else _signature(folder)
        if terminology is None:
            local = None if folder is None else LocalMappings.read(folder)
            terminology = Terminology.over(graph, local=local, settings=settings)
        self.latest = terminology
        self.state = _state(self.latest)
        self._listeners: list[Callable[[Terminology], None]] = []

    @classmethod
    def open(
        cls, release: Path | None = None, folder: Path | None = None, settings: Path | None = None
    ) -> LiveTerminology:
        """Return the terminology over the index in `release`, by default the embedded subset.

        Raises
        ------
        IndexFileError
            `release` is no whole index.
        TableError
            A table of `folder` has bad rows.
        """
        if folder is None:
            return cls.fixed(load_terminology(release, None, settings))
        graph = (
            BodyStructureGraph.load()
            if release is None
            else BodyStructureGraph(ReleaseIndex.open(release), BodyStructures.load())
        )
        return cls(graph, folder, None if settings is None else HeaderSettings.read(settings))

    @classmethod
    def fixed(cls, terminology: Terminology) -> LiveTerminology:
        """Return `terminology` as one that never changes."""
        return cls(terminology.graph, terminology=terminology)

    @property
    def folder(self) -> Path | None:
        """The folder that is looked at, if any."""
        return self._folder

    @property
    def due(self) -> bool:
        """Whether `current` would look at the folder."""
        return self._folder is not None and self._clock() - self._looked >= INTERVAL

    def on_change(self, listener: Callable[[Terminology], None]) -> None:
        """Call `listener` with each new terminology, before anybody else is given it."""
        self._listeners.append(listener)

    def current(self) -> Terminology:
        """Return the terminology of the tables as they are; reads them when they have changed.

        While one thread reads, the others go on with what there was.
        """
        if self.due and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self.latest

    def _refresh(self) -> None:
        assert self._folder is not None  # noqa: S101
        self._looked = self._clock()
        try:
            signature = _signature(self._folder)
            if signature == self._signature:
                return
            self._signature = signature
            found = self.latest.decided_by(LocalMappings.read(self._folder))
            for listener in self._listeners:
                listener(found)
        except OSError as error:
            # Once it can be read again, it is.
            self._signature = None
            self._keep(error)
            return
        except BodySiteError as error:
            self._keep(error)
            return
        except Exception as error:
            logger.exception("mappings not read again")
            self._keep(error)
            return
        self.latest = found
        self.state = _state(found)
        logger.info(
            "mappings read again: %d decisions, %d tables", self.state.decisions, self.state.tables
        )

    def _keep(self, error: Exception) -> None:
        """Go on with what there was, and say so, once for each state of the files."""
        problem = _problem(error)
        before = self.state
        if problem != before.problem:
            logger.error("mappings not read again, the former ones stay: %s", problem[0])
        self.state = MappingsState(before.loaded, before.decisions, before.tables, problem)


def _signature(folder: Path) -> _Signature:
    found = []
    for path in sorted(folder.glob("*.sssom.tsv")):
        facts = path.stat()
        found.append((path.name, facts.st_mtime_ns, facts.st_size, facts.st_ino))
    if not found and not folder.is_dir():
        raise FileNotFoundError(2, "the folder of mappings is gone", folder.name)
    return tuple(found)


def _state(terminology: Terminology) -> MappingsState:
    local = terminology.local
    rows = 0 if local.decisions is None else len(local.decisions.mappings)
    return MappingsState(datetime.now(UTC), rows, len(local.tables))


def _problem(error: Exception) -> tuple[str, ...]:
    if isinstance(error, TableError):
        return tuple(str(problem) for problem in error.problems[:_SHOWN_PROBLEMS])
    if isinstance(error, OSError):
        return (f"{error.filename}: {error.strerror}",)
    if isinstance(error, BodySiteError):
        return (str(error),)
    return (f"a fault of the service ({type(error).__name__}); its log names the place",)
