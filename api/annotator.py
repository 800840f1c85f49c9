"""One item → its annotation, under the PHI policy, or the reason why there is none."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Final

from api.dicomfile import PARSE_FAILURES, check_uids, is_media_directory, read_header
from api.errors import NotDicomError, RequestError
from api.inputs import Item, Rejected
from api.limits import Limits
from api.phi import PhiGuard
from classifier.fusion import fuse
from classifier.prediction import Prediction, Predictor
from terminology.annotation import BodySiteAnnotation, HeaderReading, Instance
from terminology.errors import BodySiteError, DicomError
from terminology.instance import instance_of
from terminology.library import Terminology

# PS3.5: the value representation CS of (0008,0060).
_MODALITY: Final = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)
_PICTURES: Final = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}

_LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Annotated:
    """A file that was understood. `picture` is "PNG" or "JPEG" for a picture without a header."""

    name: str
    annotation: BodySiteAnnotation
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that was not. `passed_by` marks what nobody asked to annotate: it is no error."""

    name: str
    error: BodySiteError
    passed_by: bool = False


Result = Annotated | Failed


def check_modality(value: str | None, where: str = "modality") -> str | None:
    """Return what a caller says of a picture, or raise `RequestError` when it is no modality."""
    if value is not None and not _MODALITY.fullmatch(value):
        raise RequestError(
            where,
            f"'{value[:40]}' is no modality",
            "a code of DICOM CID 29 such as DX",
            "Correct the value, or leave it out.",
            issue="value",
        )
    return value


@dataclass(frozen=True, slots=True)
class Annotator:
    """Reads headers, asks the model if there is one, joins the answers, applies the policy."""

    terminology: Terminology
    guard: PhiGuard
    limits: Limits
    predictor: Predictor | None = None

    def annotate_all(
        self, items: Iterable[Item | Rejected], modality: str | None = None
    ) -> Iterator[Result]:
        """Yield one result an item, in the order of `items`."""
        for item in items:
            if isinstance(item, Rejected):
                yield Failed(item.name, item.error)
            else:
                yield self.annotate(item, modality)

    def annotate(self, item: Item, modality: str | None = None) -> Result:
        """Return the annotation of one file.

        `modality` is what the caller says of a plain picture; a DICOM file says it itself.
        """
        instance: Instance | None = None
        reading: HeaderReading | None = None
        flags: tuple[str, ...] = ()
        try:
            with _reading():
                kind = _picture_kind(item.stream)
                if kind is None:
                    instance, reading, flags = self._read(item)
                else:
                    _check_picture(item, kind)
        except NotDicomError as error:
            return Failed(item.name, error, passed_by=not item.named)
        except BodySiteError as error:
            return Failed(item.name, _naming(item.name, error))
        except PARSE_FAILURES as error:
            return Failed(item.name, _unreadable(item.name, error))
        annotation = fuse(instance, reading, self._predict(item.stream), self.terminology.graph)
        if kind is None:
            annotation = replace(annotation, flags=(*annotation.flags, *flags))
        else:
            annotation = replace(annotation, modality=modality)
        return Annotated(item.name, self.guard.protect(annotation), kind)

    def _read(self, item: Item) -> tuple[Instance, HeaderReading, tuple[str, ...]]:
        header = read_header(item.stream, item.name, self.limits)
        if is_media_directory(header.dataset):
            raise NotDicomError(
                item.name,
                "the file is a DICOMDIR, the table of contents of a medium",
                "a DICOM image",
                "Name the folder that it lies in.",
            )
        instance = check_uids(instance_of(header.dataset), item.name)
        return instance, self.terminology.header.read(header.dataset), header.flags

    def _predict(self, stream: IO[bytes]) -> Prediction | None:
        if self.predictor is None:
            return None
        stream.seek(0)
        return self.predictor.predict(stream.read())


@contextmanager
def _reading() -> Iterator[None]:
    """Read without warnings: pydicom warns of odd values, the header reader reports them as flags.

    `warnings.catch_warnings` changes the whole process, so only one thread may be in it. Header
    reading is pure Python: threads would not make it faster.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _picture_kind(stream: IO[bytes]) -> str | None:
    stream.seek(0)
    start = stream.read(132)
    stream.seek(0)
    # A DICOM preamble is free for other formats to use (PS3.10 7.1).
    if start[128:] == b"DICM":
        return None
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _check_picture(item: Item, kind: str) -> None:
    """Raise `DicomError` unless Pillow can identify the picture; its pixels are not decoded."""
    from PIL import Image

    if not item.named:
        raise NotDicomError(
            item.name,
            f"the file is a {kind} picture in a folder or zip of DICOM files",
            "a DICOM file",
            "Name the picture itself to annotate it.",
        )
    try:
        with Image.open(item.stream, formats=[kind]) as picture:
            picture.verify()
    except (Image.DecompressionBombError, SyntaxError, *PARSE_FAILURES) as error:
        raise DicomError(
            item.name,
            f"the {kind} picture is damaged or too large ({type(error).__name__})",
            "a whole PNG or JPEG picture of at most 178 million pixels",
            "Export it again.",
        ) from error


def _naming(name: str, error: BodySiteError) -> BodySiteError:
    """Return `error` with the file in its place: in a batch the attribute alone says too little."""
    if error.where.startswith(name):
        return error
    return DicomError(f"{name} {error.where}", error.what, error.expected, error.remedy)


def _unreadable(name: str, error: Exception) -> DicomError:
    return DicomError(
        name,
        f"the DICOM header is damaged ({type(error).__name__})",
        "a header that follows DICOM PS3.5",
        "Export the file again; 'pydicom show' tells where it breaks.",
    )
