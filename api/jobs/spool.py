"""Uploads that wait on the disk for the job that annotates them.

They lie in a folder of their own and never in the database: what is stored and backed up obeys the
PHI policy, and an upload as it came does not. A folder appears whole, by a rename, and goes as soon
as its job is over.

The folder has a name of its own, its *place*. Processes with the same folder, on one machine or by
a shared file system, take each other's jobs; others leave them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

from api.errors import RequestError
from api.inputs import is_clutter
from api.signatures import is_zip
from api.uploads import Upload, too_many_files

_CHUNK: Final = 1 << 20
_MANIFEST: Final = "uploads.json"
_PLACE: Final = "place"
_UNFINISHED: Final = ".part"
# An upload that was not finished by then never will be.
_SECONDS_TO_UPLOAD: Final = 6 * 3600.0
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class Spool:
    """The folder `root`, which is made with the first upload."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._place: str | None = None

    @property
    def place(self) -> str | None:
        """The name of the folder, `None` while there is none."""
        if self._place is None:
            with suppress(FileNotFoundError):
                self._place = (self._root / _PLACE).read_text("ascii").strip() or None
        return self._place

    def make_place(self) -> str:
        """Return the name of the folder, which is made where there is none."""
        if self.place is None:
            self._root.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            own = self._root / f"{_PLACE}-{uuid4().hex}"
            _write(own, uuid4().hex.encode())
            try:
                # Of two processes that begin at once, one name stands.
                os.link(own, self._root / _PLACE)
            except FileExistsError:
                pass
            finally:
                own.unlink()
        assert self.place is not None  # noqa: S101
        return self.place

    def keep(self, job_id: str, uploads: Sequence[Upload], max_files: int) -> int:
        """Write uploads to the disk, and return how many files there are in them.

        Raises
        ------
        LimitError
            There are more than `max_files`.
        RequestError
            507: the disk is full or cannot be written.
        """
        self.make_place()
        folder = self._root / f"{job_id}{_UNFINISHED}"
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER)
            total = 0
            rows: list[dict[str, Any]] = []
            for number, upload in enumerate(uploads):
                rows.append({"name": upload.name, "media": upload.media, "refusal": None})
                if upload.refusal is not None:
                    rows[-1]["refusal"] = _refusal_as_json(upload.refusal)
                path = folder / str(number)
                with _opened(path) as file:
                    upload.stream.seek(0)
                    shutil.copyfileobj(upload.stream, file, _CHUNK)
                    _to_disk(file)
                total += _files_in(path)
            if total > max_files:
                raise too_many_files(max_files)
            _write(folder / _MANIFEST, json.dumps({"total": total, "uploads": rows}).encode())
            folder.rename(self._root / job_id)
            _folder_to_disk(self._root)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _no_room(error) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return total

    def open(self, job_id: str, stack: ExitStack) -> list[Upload]:
        """Return the uploads of a job; their files live until `stack` is closed.

        Raises
        ------
        RequestError
            They are not there.
        """
        folder = self._root / job_id
        try:
            rows = json.loads((folder / _MANIFEST).read_bytes())["uploads"]
            return [
                Upload(
                    row["name"],
                    stack.enter_context((folder / str(number)).open("rb")),
                    row["media"],
                    RequestError(**row["refusal"]) if row["refusal"] else None,
                )
                for number, row in enumerate(rows)
            ]
        except (OSError, ValueError) as error:
            raise RequestError(
                f"job {job_id}",
                f"its upload cannot be read any more ({type(error).__name__})",
                "the files that were sent",
                "Send them again; those that went through are updated, not doubled.",
                status=500,
                issue="incomplete",
            ) from error

    def clean(self, unfinished: Callable[[Collection[str]], Collection[str]]) -> None:
        """Remove the uploads of jobs that are over; `unfinished` tells which of some are not."""
        if self.place is None:
            return
        folders = [path for path in self._root.iterdir() if path.is_dir()]
        whole = [path for path in folders if path.suffix != _UNFINISHED]
        wanted = set(unfinished([path.name for path in whole])) if whole else set()
        gone = [path for path in whole if path.name not in wanted and _is_old(path, 60.0)]
        gone += [
            path
            for path in folders
            if path.suffix == _UNFINISHED and _is_old(path, _SECONDS_TO_UPLOAD)
        ]
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """Remove the uploads of a job, if there are any."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)


def _is_old(path: Path, seconds: float) -> bool:
    try:
        return path.stat().st_mtime < time.time() - seconds
    except FileNotFoundError:
        return False


def _files_in(path: Path) -> int:
    """Return how many files an upload is; one that cannot be unpacked is one that fails."""
    with path.open("rb") as stream:
        if not is_zip(stream):
            return 1
        stream.seek(0)
        try:
            with zipfile.ZipFile(stream) as archive:
                return max(1, sum(not is_clutter(one) for one in archive.infolist()))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
            return 1


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE), "wb")


def _write(path: Path, content: bytes) -> None:
    with _opened(path) as file:
        file.write(content)
        _to_disk(file)


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal_as_json(error: RequestError) -> dict[str, Any]:
    names = ("where", "what", "expected", "remedy", "status", "issue")
    return {name: getattr(error, name) for name in names}


def _no_room(error: OSError) -> RequestError:
    return RequestError(
        "request body",
        f"the upload cannot be kept on the disk ({error.strerror or type(error).__name__})",
        "room in the folder that BODYSITE_DATA_DIR names",
        "Ask whoever runs the server, or send the files without 'Prefer: respond-async'.",
        status=507,
        issue="no-store",
    )
