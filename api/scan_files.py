"""Files → counts of their header values: one after another, or in several processes.

A file, or a zip as a whole, is one unit. Units are walked in one fixed order, counted in it, and
what was counted can be saved with the place that was reached, so that a scan can go on there.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import time
import warnings
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from api.dicomfile import PARSE_FAILURES, damaged, read_header
from api.errors import NotDicomError, RequestError
from api.inputs import Item, Rejected, from_paths
from api.limits import Limits
from api.plainheader import read_plain
from api.signatures import has_preamble
from terminology.elements import tag_of
from terminology.errors import BodySiteError, DicomError
from terminology.files import written_whole
from terminology.scan import ATTRIBUTES, IDENTIFYING, Combination, HeaderValues, Inventory

_FORMAT: Final = 1
_CHUNK: Final = 64
# Chunks that wait for each process: enough that none is idle, few enough to stay small.
_AHEAD: Final = 3
# Beyond these, bad files are counted only.
MOST_ERRORS: Final = 10_000
# A state is saved so seldom that saving takes at most a tenth of the time.
_SAVE_SECONDS: Final = 15.0
_SAVE_SHARE: Final = 10
_WANTED: Final = frozenset(
    int(tag_of(keyword)) for keyword in (*ATTRIBUTES, *IDENTIFYING, "SpecificCharacterSet")
)

# What reading a file raises that is no saved scan.
_NO_STATE: Final = (
    *(OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError),
    RecursionError,
)

Walked = tuple[int, str]


@dataclass(slots=True)
class Counted:
    """What a chunk of files held: header values, files that failed, files that are no DICOM."""

    counts: Counter[Combination] = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)
    passed_by: int = 0


@dataclass(slots=True)
class Scan:
    """A scan under way, or finished: what was counted, what failed, the place that was reached."""

    sources: tuple[str, ...]
    inventory: Inventory = field(default_factory=Inventory)
    errors: list[tuple[str, str]] = field(default_factory=list)
    failed: int = 0
    passed_by: int = 0
    reached: Walked | None = None
    done: bool = False

    def add(self, counted: Counted, reached: Walked) -> None:
        """Count a chunk of files, the last of which stands at `reached`."""
        self.inventory.add_all(counted.counts)
        self.failed += len(counted.errors)
        self.errors.extend(counted.errors[: max(MOST_ERRORS - len(self.errors), 0)])
        self.passed_by += counted.passed_by
        self.reached = reached

    def save(self, path: Path) -> None:
        """Write the scan to `path`, whole or not at all.

        Raises
        ------
        RequestError
            The file cannot be written.
        """
        content = {
            "format": _FORMAT,
            "sources": list(self.sources),
            "reached": self.reached,
            "done": self.done,
            "failed": self.failed,
            "passed_by": self.passed_by,
            "errors": self.errors,
            "inventory": self.inventory.as_dict(),
        }
        # Escapes keep the bytes of a file name that are not UTF-8: the scan goes on there.
        packed = gzip.compress(json.dumps(content).encode(), 3)
        try:
            with written_whole(path, binary=True) as stream:
                stream.write(packed)
        except OSError as error:
            raise RequestError(
                f"--resume {path}",
                f"the file cannot be written ({error.strerror or type(error).__name__})",
                "a file in a folder of yours",
                "Check the path, its permissions and the space on the disk.",
            ) from error


def read_scan(path: Path, sources: Sequence[str]) -> Scan:
    """Return the scan that was saved in `path`, or a new one of `sources` where there is none.

    Raises
    ------
    RequestError
        The file is no saved scan, or one of other sources.
    """
    given = tuple(str(Path(source).absolute()) for source in sources)
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        return Scan(given)
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})") from error
    try:
        found: dict[str, Any] = json.loads(gzip.decompress(packed))
        if found["format"] != _FORMAT:
            raise _unusable(path, f"it has format {found['format']}, not {_FORMAT}")
        if tuple(found["sources"]) != given:
            raise _unusable(path, f"it is of {', '.join(found['sources'])}")
        reached = found["reached"]
        return Scan(
            sources=given,
            inventory=Inventory.from_dict(found["inventory"]),
            errors=[(str(name), str(what)) for name, what in found["errors"]],
            failed=int(found["failed"]),
            passed_by=int(found["passed_by"]),
            reached=None if reached is None else (int(reached[0]), str(reached[1])),
            done=bool(found["done"]),
        )
    except _NO_STATE as error:
        raise _unusable(path, f"it is no saved scan ({type(error).__name__})") from error


def _unusable(path: Path, what: str) -> RequestError:
    return RequestError(
        f"--resume {path}",
        what,
        "the state of a scan of the same paths",
        "Name another file, or remove it to begin anew.",
    )


def scan_files(
    scan: Scan,
    values: HeaderValues,
    limits: Limits,
    *,
    workers: int = 1,
    state: Path | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> None:
    """Count the files of `scan` that are not counted yet, with so many processes.

    `state` is saved now and then, at the end, and when the scan is interrupted. `watch` is told
    how many files were looked at, after each chunk.
    """
    saver = _Saver(scan, state)
    # A state that cannot be written is no news for the end of a long scan.
    saver.save()
    try:
        if not scan.done:
            chunks = _chunks(_after(scan.reached, _walk(scan.sources)))
            for counted, reached in _counted(chunks, scan.sources, values, limits, workers):
                scan.add(counted, reached)
                watch(sum(counted.counts.values()) + len(counted.errors) + counted.passed_by)
                saver.now_and_then()
            scan.done = True
    finally:
        saver.save()


class _Saver:
    """Saves the state of a scan, seldom enough."""

    def __init__(self, scan: Scan, path: Path | None) -> None:
        self._scan = scan
        self._path = path
        self._next = time.monotonic() + _SAVE_SECONDS

    def now_and_then(self) -> None:
        if self._path is not None and time.monotonic() >= self._next:
            started = time.monotonic()
            self.save()
            took = time.monotonic() - started
            self._next = started + max(_SAVE_SECONDS, _SAVE_SHARE * took)

    def save(self) -> None:
        if self._path is not None:
            self._scan.save(self._path)


def _counted(
    chunks: Iterator[list[Walked]],
    sources: Sequence[str],
    values: HeaderValues,
    limits: Limits,
    workers: int,
) -> Iterator[tuple[Counted, Walked]]:
    """Yield what each chunk held, in the order of the chunks."""

    def named(chunk: list[Walked]) -> list[tuple[str, bool]]:
        return [(path, path == sources[number]) for number, path in chunk]

    if workers == 1:
        for chunk in chunks:
            yield count_files(named(chunk), values, limits), chunk[-1]
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (values, limits))
    waiting: deque[tuple[Future[Counted], Walked]] = deque()
    try:
        for chunk in chunks:
            waiting.append((pool.submit(_work, named(chunk)), chunk[-1]))
            if len(waiting) >= workers * _AHEAD:
                future, reached = waiting.popleft()
                yield future.result(), reached
        while waiting:
            future, reached = waiting.popleft()
            yield future.result(), reached
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: list[tuple[HeaderValues, Limits]] = []


def _begin(values: HeaderValues, limits: Limits) -> None:
    """Prepare a process; Ctrl-C is the business of the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.append((values, limits))


def _work(files: list[tuple[str, bool]]) -> Counted:
    return count_files(files, *_worker[0])


def count_files(files: Iterable[tuple[str, bool]], values: HeaderValues, limits: Limits) -> Counted:
    """Return the header values of files and zips, one header in memory at a time.

    Each file comes with whether it was named itself: what is no DICOM is then an error.
    """
    # pydicom warns of odd values; what cannot be read is an error here, the rest is counted.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _count(files, values, limits)


def _count(files: Iterable[tuple[str, bool]], values: HeaderValues, limits: Limits) -> Counted:
    counted = Counted()
    for path, named in files:
        if Path(path).is_dir():
            counted.errors.append((on_paper(path), on_paper(str(_closed(path)))))
            continue
        for item in from_paths([path], limits):
            name = on_paper(item.name)
            if isinstance(item, Rejected):
                counted.errors.append((name, on_paper(str(item.error))))
                continue
            try:
                combination = _take(item, values, limits)
            except NotDicomError as error:
                if named and item.named:
                    counted.errors.append((name, on_paper(str(error))))
                else:
                    counted.passed_by += 1
            except BodySiteError as error:
                counted.errors.append((name, on_paper(str(error))))
            except PARSE_FAILURES as error:
                counted.errors.append((name, on_paper(str(damaged(item.name, error)))))
            else:
                counted.counts[combination] += 1
    return counted


def on_paper(name: str) -> str:
    """Return a file name as a terminal and a file may show it: without bytes that do something."""
    if name.isprintable():
        return name
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in name
    )


def _take(item: Item, values: HeaderValues, limits: Limits) -> Combination:
    """Return the values of one file; `NotDicomError` for a table of contents, too."""
    if has_preamble(item.stream):
        size = item.stream.seek(0, io.SEEK_END)
        plain = read_plain(item.stream, size, most=limits.max_header_bytes, wanted=_WANTED)
        if plain is not None:
            _refuse_directory(item.name, plain.is_media_directory)
            return values.take(plain.dataset)
    item.stream.seek(0)
    header = read_header(item.stream, item.name, limits)
    _refuse_directory(item.name, header.is_media_directory)
    return values.take(header.dataset)


def _refuse_directory(name: str, is_directory: bool) -> None:
    if is_directory:
        raise NotDicomError(name, "it is a DICOMDIR", "a DICOM image", "Nothing is to be done.")


def _walk(sources: Sequence[str]) -> Iterator[Walked]:
    """Yield the files of the sources in a fixed order: those of a folder before its folders.

    Folders that cannot be read stand among the files: they are not passed by in silence.
    """
    for number, source in enumerate(sources):
        if not Path(source).is_dir() or _is_closed(source):
            yield number, source
            continue
        for root, folders, files in os.walk(source):
            folders.sort()
            closed = [name for name in folders if _is_closed(Path(root, name))]
            for name in sorted([*files, *closed]):
                path = Path(root, name)
                if path.is_file() or name in closed:
                    yield number, str(path)


def _is_closed(folder: str | Path) -> bool:
    return not os.access(folder, os.R_OK | os.X_OK)


def _closed(folder: str) -> DicomError:
    return DicomError(
        folder,
        "the folder cannot be read",
        "a folder with permission to list it",
        "Check its permissions; nothing below it was counted.",
    )


def _after(reached: Walked | None, walked: Iterable[Walked]) -> Iterator[Walked]:
    """Yield what stands behind `reached` in the order of the walk."""
    if reached is None:
        yield from walked
        return
    place = _place(reached)
    for one in walked:
        if one[0] > reached[0] or (one[0] == reached[0] and _place(one) > place):
            yield one


def _place(walked: Walked) -> tuple[tuple[int, str], ...]:
    """Return what the walk of one source is ordered by: files of a folder before its folders."""
    *folders, name = Path(walked[1]).parts
    return (*((1, folder) for folder in folders), (0, name))


def _chunks(walked: Iterator[Walked]) -> Iterator[list[Walked]]:
    while chunk := list(islice(walked, _CHUNK)):
        yield chunk
