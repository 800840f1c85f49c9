"""Images decoded and fitted once, kept as rows of a memory-mapped file.

A store holds what `Preprocessing.fit_image` makes of image files, for one size and way of fitting
and for the code as it is: ``NAME.u8`` has the pixels, row by row, ``NAME.jsonl`` says which row is
which file. A file is known by path, size and time of change, so that one that changed is decoded
again. Rows are only added. A process that is killed leaves a store that the next one goes on with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.data.sample import Sample
from classifier.errors import TrainingError
from classifier.preprocess.pipeline import Preprocessing
from terminology.errors import BodySiteError

if sys.platform != "win32":
    import fcntl

# Packages whose code decides on the pixels of a fitted image.
_CODE: Final = ("pixels", "preprocess")
# Fewer images than this are decoded faster than processes start.
_WORTH_PROCESSES: Final = 256
_IN_FLIGHT: Final = 4

Told = Callable[[int, int], None]
"""Called with how many images are done and how many there are."""


class ImageIdentity(NamedTuple):
    """What an image file is known by."""

    path: str
    frame: int
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Undecodable:
    """An image that is left out, and why."""

    key: str
    path: Path
    reason: str


@dataclass(frozen=True)
class CachedImages:
    """The fitted images of some samples, in their order.

    Attributes
    ----------
    pixels
        uint8 (M, S, S), memory-mapped; 0 is black.
    rows
        intp (N,): where in `pixels` each sample's image is.
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the image of sample `index`, uint8 (S, S)."""
        image: NDArray[np.uint8] = self.pixels[self.rows[index]]
        return image

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> CachedImages:
        """Return the images of some of the samples."""
        return CachedImages(self.pixels, self.rows[np.asarray(indices, dtype=np.intp)])


def default_folder() -> Path:
    """Return the folder of stores: ``$BODYSITE_CACHE``, or one below ``~/.cache``."""
    if named := os.environ.get("BODYSITE_CACHE"):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "bodysite" / "images"


def cached(
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    folder: Path,
    *,
    processes: int = 0,
    tell: Told | None = None,
) -> tuple[CachedImages, tuple[int, ...], tuple[Undecodable, ...]]:
    """Return the fitted images of `samples`, decoding those that the store in `folder` lacks.

    Parameters
    ----------
    processes
        How many decode; 0 is one a core.

    Returns
    -------
    images
        Of the samples that decode.
    usable
        Which samples those are, in ascending order.
    undecodable
        The others.

    Raises
    ------
    TrainingError
        The folder cannot be written.
    """
    store = _Store(folder, preprocessing)
    missing: dict[int, str] = {}
    identities: dict[int, ImageIdentity] = {}
    for at, sample in enumerate(samples):
        try:
            identities[at] = identity(sample)
        except OSError as error:
            missing[at] = f"it cannot be read ({error.strerror})"
    failed: dict[ImageIdentity, str] = {}
    try:
        with store.filled() as (known, add):
            wanted = [one for one in dict.fromkeys(identities.values()) if one not in known]
            for done, (one, fitted) in enumerate(
                _decoded(wanted, preprocessing, processes or os.cpu_count() or 1), 1
            ):
                if isinstance(fitted, str):
                    failed[one] = fitted
                else:
                    add(one, fitted)
                if tell is not None:
                    tell(done, len(wanted))
            rows = dict(known)
    except OSError as error:
        raise TrainingError(
            str(folder),
            f"decoded images cannot be kept there ({error.strerror})",
            "a folder that can be written, with room for them",
            "Name one with data.cache, or BODYSITE_CACHE.",
        ) from error
    missing |= {at: failed[one] for at, one in identities.items() if one in failed}
    usable = tuple(at for at in range(len(samples)) if at not in missing)
    images = CachedImages(
        store.pixels(), np.array([rows[identities[at]] for at in usable], dtype=np.intp)
    )
    left_out = tuple(
        Undecodable(samples[at].key, samples[at].path, missing[at]) for at in sorted(missing)
    )
    return images, usable, left_out


def identity(sample: Sample) -> ImageIdentity:
    """Return what the image of `sample` is known by; `OSError` where there is no such file."""
    path = sample.path.resolve()
    found = path.stat()
    return ImageIdentity(str(path), sample.frame, found.st_size, found.st_mtime_ns)


class _Store:
    """The two files of one size, way of fitting and state of the code."""

    def __init__(self, folder: Path, preprocessing: Preprocessing) -> None:
        self._folder = folder
        self._size = preprocessing.size
        # What `Preprocessing.fit_image` reads; the other settings are for later steps.
        kept = f"{preprocessing.fit}-{preprocessing.size}-{preprocessing.reducing_gap or 0:g}"
        kept += "-trim" * preprocessing.trim + "-stretch" * preprocessing.stretch
        self._name = f"{kept}-{_code_version()}"

    def _path(self, ending: str) -> Path:
        return self._folder / f"{self._name}.{ending}"

    def pixels(self) -> NDArray[np.uint8]:
        """Return all rows, uint8 (M, S, S)."""
        path, size = self._path("u8"), self._size
        count = path.stat().st_size // (size * size)
        if count == 0:
            return np.zeros((0, size, size), np.uint8)
        return np.memmap(path, dtype=np.uint8, mode="r", shape=(count, size, size))

    @contextlib.contextmanager
    def filled(
        self,
    ) -> Iterator[
        tuple[Mapping[ImageIdentity, int], Callable[[ImageIdentity, NDArray[np.uint8]], None]]
    ]:
        """Yield the rows that are there and what adds one; nobody else adds meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (
            self._path("lock").open("ab") as lock,
            self._path("u8").open("ab") as pixels,
            self._path("jsonl").open("ab+") as index,
        ):
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX)
            known = self._known(index)
            size = self._size * self._size
            # What was killed while it wrote left half a row, or one that no line names.
            pixels.truncate(size * (1 + max(known.values(), default=-1)))
            pixels.seek(0, os.SEEK_END)

            def add(one: ImageIdentity, fitted: NDArray[np.uint8]) -> None:
                if fitted.shape != (self._size, self._size) or fitted.dtype != np.uint8:
                    raise TypeError(f"fit_image gave {fitted.dtype} {fitted.shape}")
                row = pixels.tell() // size
                pixels.write(fitted.tobytes())
                pixels.flush()
                index.write(json.dumps([*one, row]).encode() + b"\n")
                index.flush()
                known[one] = row

            yield known, add

    def _known(self, index: IO[bytes]) -> dict[ImageIdentity, int]:
        """Return the rows that `index` names, and cut off a line that was not written whole."""
        index.seek(0)
        known: dict[ImageIdentity, int] = {}
        whole = 0
        for line in index:
            if not line.endswith(b"\n"):
                break
            path, frame, size, changed, row = json.loads(line)
            known[ImageIdentity(path, frame, size, changed)] = row
            whole += len(line)
        index.truncate(whole)
        index.seek(0, os.SEEK_END)
        return known


def _code_version() -> str:
    """Return a digest of the code that decides on the pixels."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for package in _CODE:
        for path in sorted((root / package).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _decoded(
    wanted: Sequence[ImageIdentity], preprocessing: Preprocessing, processes: int
) -> Iterator[tuple[ImageIdentity, NDArray[np.uint8] | str]]:
    """Yield each image with its pixels, or with why there are none, in any order."""
    if processes == 1 or len(wanted) < _WORTH_PROCESSES:
        for one in wanted:
            yield one, _decode(one, preprocessing)
        return
    waiting = list(reversed(wanted))
    while waiting:
        in_flight: dict[Future[NDArray[np.uint8] | str], ImageIdentity] = {}
        try:
            with _pool(processes) as pool:
                while waiting or in_flight:
                    while waiting and len(in_flight) < _IN_FLIGHT * processes:
                        one = waiting.pop()
                        in_flight[pool.submit(_decode, one, preprocessing)] = one
                    done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
                    for future in done:
                        fitted = future.result()
                        yield in_flight.pop(future), fitted
        except BrokenProcessPool:
            # One of those in flight brought its process down: each is tried alone.
            for one in in_flight.values():
                yield one, _decoded_alone(one, preprocessing)


def _decoded_alone(one: ImageIdentity, preprocessing: Preprocessing) -> NDArray[np.uint8] | str:
    try:
        with _pool(1) as pool:
            return pool.submit(_decode, one, preprocessing).result()
    except BrokenProcessPool:
        return "the decoder crashed"


def _pool(processes: int) -> ProcessPoolExecutor:
    # A forked copy of a process with threads, such as torch's, may hang.
    method = "spawn" if sys.platform == "win32" else "forkserver"
    return ProcessPoolExecutor(processes, multiprocessing.get_context(method), _start)


def _start() -> None:
    """Leave Ctrl-C to the process that waits, and one core to each process."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _decode(one: ImageIdentity, preprocessing: Preprocessing) -> NDArray[np.uint8] | str:
    from classifier.pixels.read import open_image

    try:
        return preprocessing.fit_image(open_image(Path(one.path)).frame(one.frame))
    except BodySiteError as error:
        return error.what
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
