"""All documents of a store, as they were at one instant, into a folder of bulk requests.

A file is at most so large that it can be sent as one request. It appears whole, and only then the
state of the export says that it is there: an export that was ended goes on behind the last file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from api.errors import RequestError
from api.jobs.snapshot import PAGE, Past, changed_studies, count_of, cut, past, past_of_studies
from api.search_documents.document import StudyDocuments, bulk_lines
from api.store.rows import instant, now

STATE: Final = "export.json"
_PART: Final = ".part"
_SINCE_NEXT: Final = "transactionTime"
Report = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is, and what it is of; times are microseconds since 1970.

    The export goes on behind the study with the `rid` `after`.
    """

    index: str
    moment: int
    since: int | None
    of: int
    after: int = 0
    files: int = 0
    documents: int = 0
    deleted: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    rid: int
    deleted: bool
    lines: tuple[str, ...]


class DocumentExport:
    """Exports the studies behind `engine`."""

    def __init__(self, engine: sa.Engine, documents: StudyDocuments) -> None:
        self._engine = engine
        self._documents = documents

    def begin(self, index: str, since: int | None) -> Progress:
        """Return the progress of an export that begins now."""
        moment = cut(self._engine, at_least=now())
        return Progress(index, moment, since, count_of(self._engine, "ImagingStudy"))

    def lines(self, progress: Progress) -> Iterator[_Entry]:
        """Yield what is left to export, a study at a time."""
        only = None
        if progress.since is not None:
            only = changed_studies(self._engine, progress.since)
        studies = past(
            self._engine,
            "ImagingStudy",
            progress.moment,
            after=progress.after,
            only=only,
            deleted=progress.since is not None,
        )
        for page in _pages(studies):
            observed = past_of_studies(
                self._engine, "Observation", [one.id for one in page], progress.moment
            )
            for one in page:
                document = None
                if not one.deleted:
                    found = (json.loads(other.body) for other in observed.get(one.id, ()))
                    document = self._documents.document(one, found)
                lines = tuple(bulk_lines(progress.index, one, document))
                yield _Entry(one.rid, one.deleted, lines)

    def into(self, folder: Path, progress: Progress, file_bytes: int, report: Report) -> Progress:
        """Write what is left to export into files of `folder`, and return how it ended."""
        lines: list[str] = []
        size = 0
        counted = progress
        for entry in self.lines(progress):
            lines += entry.lines
            size += sum(len(one.encode()) + 1 for one in entry.lines)
            counted = replace(
                counted,
                after=entry.rid,
                documents=counted.documents + (not entry.deleted),
                deleted=counted.deleted + entry.deleted,
            )
            if size >= file_bytes:
                counted = _written(folder, counted, lines)
                report(counted)
                lines, size = [], 0
        if lines:
            counted = _written(folder, counted, lines)
        counted = replace(counted, done=True)
        _save(folder, counted)
        return counted


def found_in(folder: Path) -> Progress | None:
    """Return the state of the export in a folder, `None` where there is none.

    Raises
    ------
    RequestError
        The folder holds something else.
    """
    try:
        text = (folder / STATE).read_text("utf-8")
    except FileNotFoundError:
        if folder.exists() and any(folder.iterdir()):
            raise RequestError(
                "--out",
                f"{folder} holds other files",
                "a new or an empty folder, or one that an export was begun in",
                "Name another folder.",
            ) from None
        return None
    try:
        content = json.loads(text)
        del content[_SINCE_NEXT]
        return Progress(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(
            "--out",
            f"{folder / STATE} cannot be read",
            "what an export wrote there",
            "Name another folder.",
        ) from error


def _written(folder: Path, progress: Progress, lines: Sequence[str]) -> Progress:
    """Write one file, then how far the export is."""
    progress = replace(progress, files=progress.files + 1)
    name = f"studies-{progress.files:06}.ndjson"
    _whole(folder / name, "".join(f"{line}\n" for line in lines))
    _save(folder, progress)
    return progress


def _save(folder: Path, progress: Progress) -> None:
    # The next export takes this time as its --since.
    content = {_SINCE_NEXT: instant(progress.moment), **asdict(progress)}
    _whole(folder / STATE, json.dumps(content, indent=1) + "\n")


def _whole(path: Path, text: str) -> None:
    """Write a file that appears complete or not at all."""
    part = path.with_name(path.name + _PART)
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _pages(studies: Iterator[Past]) -> Iterator[tuple[Past, ...]]:
    while page := tuple(islice(studies, PAGE)):
        yield page
