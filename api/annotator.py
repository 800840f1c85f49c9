"""One item → its annotation, under the PHI policy, or the reason why there is none."""

from __future__ import annotations

import hashlib
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Final

from api.dicomfile import PARSE_FAILURES, Header, damaged, read_header
from api.errors import NotDicomError, RequestError, place_of
from api.inputs import Item, Rejected
from api.limits import Limits
from api.model.cancel import AbandonedError, check_wanted
from api.phi import PhiGuard
from api.signatures import picture_kind
from classifier.errors import PredictionError
from classifier.fusion import NO_MODEL, FusionSettings, HeaderReliability, fuse
from classifier.prediction import Prediction, Predictor
from terminology.annotation import BodySiteAnnotation, HeaderReading, Instance
from terminology.errors import BodySiteError, DicomError
from terminology.instance import instance_of, is_modality
from terminology.library import Terminology

logger = logging.getLogger(__name__)


_LOCK: Final = threading.Lock()
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Picture:
    """A plain picture: PNG, JPEG or TIFF.

    `digest` is the SHA-256 of its file in hexadecimal, as the PHI policy lets it out.
    """

    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Annotated:
    """A file that was understood.

    `picture` is what a file without a header is, else `None`. `refused` is why the model has no
    answer for an image whose header has one. `imageless` says that a model was asked about a file
    that was never an image: a report, contours, a header alone.
    """

    name: str
    annotation: BodySiteAnnotation
    picture: Picture | None = None
    refused: PredictionError | None = None
    imageless: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that was not. `passed_by` marks what nobody asked to annotate: it is no error."""

    name: str
    error: BodySiteError
    passed_by: bool = False


Result = Annotated | Failed


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A DICOM file with its header and identifiers, or a picture, which has neither."""

    header: Header | None = None
    instance: Instance | None = None
    picture: Picture | None = None


def check_modality(value: str | None, where: str = "modality") -> str | None:
    """Return what a caller says of a picture, or raise `RequestError` when it is no modality."""
    if value is not None and not is_modality(value):
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
    """Reads headers, asks the model if there is one, joins the answers, applies the policy.

    `absent` says in words why there is no `predictor`, where that is known. `fusion` and
    `reliability` are as of `classifier.fusion.fuse`.
    """

    terminology: Terminology
    guard: PhiGuard
    limits: Limits
    predictor: Predictor | None = None
    absent: str | None = None
    fusion: FusionSettings | None = None
    reliability: HeaderReliability | None = None

    def annotate_all(
        self, items: Iterable[Item | Rejected], modality: str | None = None
    ) -> Iterator[Result]:
        """Yield one result an item, in the order of `items`.

        Raises
        ------
        AbandonedError
            Nobody waits for the results any more (`api.model.cancel`).
        """
        for item in items:
            check_wanted()
            if isinstance(item, Rejected):
                yield Failed(item.name, item.error)
            else:
                yield self.annotate(item, modality)

    def annotate(self, item: Item, modality: str | None = None) -> Result:
        """Return the annotation of one file.

        `modality` is what the caller says of a plain picture; a DICOM file says it itself.
        """
        try:
            return self._annotate(item, modality)
        except AbandonedError:
            raise
        except Exception as error:  # noqa: BLE001 (a fault of ours in one file must not end a batch)
            logger.error("unexpected %s at %s", type(error).__name__, place_of(error))
            return Failed(item.name, _fault(item.name))

    def _annotate(self, item: Item, modality: str | None) -> Result:
        try:
            parsed = self._parse(item)
        except NotDicomError as error:
            return Failed(item.name, error, passed_by=not item.named)
        except BodySiteError as error:
            return Failed(item.name, _naming(item.name, error))
        except PARSE_FAILURES as error:
            return Failed(item.name, damaged(item.name, error))
        reading: HeaderReading | None = None
        if parsed.header is not None:
            with _quiet():
                reading = self.terminology.header.read(parsed.header.dataset)
        prediction: Prediction | None = None
        refused: PredictionError | None = None
        try:
            prediction = self._predict(item)
        except PredictionError as error:
            if parsed.header is None:
                return Failed(item.name, _unanswered(item.name, error))
            refused = error
        annotation = fuse(
            parsed.instance,
            reading,
            prediction,
            self.terminology.graph,
            self.fusion,
            self.reliability,
        )
        if refused is not None:
            others = (note for note in annotation.notes if note != NO_MODEL)
            annotation = replace(annotation, notes=(_header_alone(refused), *others))
        elif self.predictor is None and self.absent:
            annotation = replace(annotation, notes=(*annotation.notes, self.absent))
        imageless = False
        if parsed.header is not None:
            flags = (*annotation.flags, *parsed.header.flags)
            annotation = replace(annotation, flags=flags)
            if refused is not None and "Rows" not in parsed.header.dataset:
                refused, imageless = None, True
        elif modality is not None:
            annotation = replace(annotation, modality=modality)
        annotation = self.guard.protect(annotation)
        return Annotated(item.name, annotation, parsed.picture, refused, imageless)

    def _parse(self, item: Item) -> _Parsed:
        """Return what pydicom and Pillow understand of the file; what they raise is its damage."""
        kind = picture_kind(item.stream)
        if kind is not None:
            if not item.named and self.predictor is None:
                raise _beside_dicom(item.name, kind)
            with _quiet():
                _check_picture(item, kind)
            return _Parsed(picture=Picture(kind, self.guard.picture(_sha256(item.stream))))
        with _quiet():
            header = read_header(item.stream, item.name, self.limits)
            if header.is_media_directory:
                raise NotDicomError(
                    item.name,
                    "the file is a DICOMDIR, the table of contents of a medium",
                    "a DICOM image",
                    "Name the folder that it lies in.",
                )
            return _Parsed(header, instance_of(header.dataset))

    def _predict(self, item: Item) -> Prediction | None:
        if self.predictor is None:
            return None
        item.stream.seek(0)
        return self.predictor.predict(item.stream.read())


@contextmanager
def _quiet() -> Iterator[None]:
    """Read without warnings: pydicom warns of odd values, the header reader reports them as flags.

    `warnings.catch_warnings` changes the whole process, so only one thread may be in it. Header
    reading is pure Python: threads would not make it faster.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_picture(item: Item, kind: str) -> None:
    """Raise `DicomError` unless Pillow can identify the picture; its pixels are not decoded."""
    from PIL import Image

    try:
        with Image.open(item.stream, formats=[kind]) as picture:
            picture.verify()
    except (Image.DecompressionBombError, SyntaxError, *PARSE_FAILURES) as error:
        raise DicomError(
            item.name,
            f"the {kind} picture is damaged or too large ({type(error).__name__})",
            "a whole PNG, JPEG or TIFF picture of at most 178 million pixels",
            "Export it again.",
        ) from error


def _beside_dicom(name: str, kind: str) -> NotDicomError:
    return NotDicomError(
        name,
        f"the file is a {kind} picture in a folder or zip of DICOM files, and no model is loaded",
        "a DICOM file",
        "Name the picture itself, or load a model, to annotate it.",
    )


def _sha256(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _naming(name: str, error: BodySiteError) -> BodySiteError:
    """Return `error` with the file in its place: in a batch the attribute alone says too little."""
    if error.where.startswith(name):
        return error
    return DicomError(f"{name} {error.where}", error.what, error.expected, error.remedy)


def _fault(name: str) -> RequestError:
    return RequestError(
        name,
        "the file could not be annotated because of a fault of the service",
        "an annotation, or a reason why there is none",
        "The log names the kind of error and the place; please report both.",
        status=500,
        issue="exception",
    )


def _unanswered(name: str, error: PredictionError) -> RequestError:
    """Return the error for a picture: without a header only the model could have answered."""
    return RequestError(
        name,
        f"the model has no answer for the picture ({error.what})",
        error.expected,
        error.remedy,
        status=422,
        issue="processing",
    )


def _header_alone(error: PredictionError) -> str:
    return (
        f"The model has no answer for the image ({error.what}): what is said rests on the header"
        " alone."
    )
