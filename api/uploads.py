"""The body of `$annotate` → items, streamed to disk and never longer than the limit."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import IO, Any, Final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.errors import LimitError, NotDicomError, RequestError
from api.inputs import Item, Rejected, body_too_large, from_stream
from api.limits import Limits
from api.signatures import is_zip, looks_like, picture_kind
from terminology.errors import DicomError

DICOM_TYPE: Final = "application/dicom"
ZIP_TYPE: Final = "application/zip"
PICTURE_TYPES: Final = ("image/png", "image/jpeg", "image/tiff")
JSON_TYPES: Final = ("application/fhir+json", "application/json")
MULTIPART_TYPE: Final = "multipart/form-data"
ACCEPTED: Final = (MULTIPART_TYPE, DICOM_TYPE, ZIP_TYPE, *PICTURE_TYPES, *JSON_TYPES)
_SPOOL_BYTES: Final = 1 << 20
_MAX_FIELDS: Final = 100
_MAX_NAME: Final = 200


async def receive(request: Request, limits: Limits, stack: AsyncExitStack) -> list[Upload]:
    """Return the uploads of `request`; their files live until `stack` is closed.

    Raises
    ------
    RequestError
        415 for another media type, 413 beyond the size limit, 400 for a malformed body.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ACCEPTED:
        raise RequestError(
            "Content-Type",
            f"'{media[:100]}' is not accepted" if media else "the header is missing",
            " or ".join(ACCEPTED),
            "With curl: -F file=@image.dcm, or -H 'Content-Type: application/dicom'"
            " --data-binary @image.dcm.",
            status=415,
            issue="not-supported",
        )
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.max_body_bytes:
        raise body_too_large(limits.max_body_bytes)
    if media == MULTIPART_TYPE:
        return await _multipart(request, limits, stack)
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 (the stack closes it)
    stack.callback(spool.close)
    async for chunk in _limited(request, limits):
        spool.write(chunk)
    spool.seek(0)
    if media in JSON_TYPES:
        return of_json(spool.read())
    return [Upload("request body", spool, media)]


def items_of(uploads: Iterable[Upload], limits: Limits) -> Iterator[Item | Rejected]:
    """Yield the items of `uploads`; `LimitError` when there are more than allowed in all.

    Whoever takes the items works on each before the next: when the time of a request is over, what
    is left is refused with one `Rejected`.
    """
    found = 0
    deadline = time.monotonic() + limits.max_seconds_per_request
    for upload in uploads:
        for item in upload.items(limits):
            if time.monotonic() > deadline:
                yield Rejected(item.name, _out_of_time(item.name, limits))
                return
            found += 1
            if found > limits.max_files:
                raise too_many_files(limits.max_files)
            yield item


def too_many_files(limit: int) -> LimitError:
    """Return the error for a request with more than `limit` files."""
    return LimitError(
        "request body",
        f"the request has more than {limit} files",
        f"at most {limit}",
        "Send them in parts, or raise BODYSITE_MAX_FILES.",
    )


def _out_of_time(name: str, limits: Limits) -> LimitError:
    return LimitError(
        name,
        "the time for one request was over before this file and those after it were read",
        f"at most {limits.max_seconds_per_request} seconds",
        "Send them in parts, or raise BODYSITE_MAX_SECONDS_PER_REQUEST.",
    )


class Upload:
    """One uploaded file.

    `media` is what its sender calls it, `None` where nobody said so; `refusal` is why it could not
    be unpacked from the body, which has others that could.
    """

    def __init__(
        self,
        name: str,
        stream: IO[bytes],
        media: str | None,
        refusal: RequestError | None = None,
    ) -> None:
        self.name = name[:_MAX_NAME]
        self.refusal = refusal
        self.stream = stream
        self.media = media

    def items(self, limits: Limits) -> Iterator[Item | Rejected]:
        """Yield the file, or its members when it is a zip, unless it is not what was declared."""
        if self.refusal is not None:
            yield Rejected(self.name, self.refusal)
        elif self.media == ZIP_TYPE and not is_zip(self.stream):
            yield Rejected(self.name, self._not_declared("a zip"))
        elif self.media in PICTURE_TYPES and not self._is_picture():
            yield Rejected(self.name, self._not_declared("a PNG, JPEG or TIFF picture"))
        elif self.media == DICOM_TYPE and (is_zip(self.stream) or self._is_picture()):
            yield Rejected(self.name, self._not_declared("a DICOM file"))
        else:
            yield from from_stream(self.name, self.stream, limits)

    def _is_picture(self) -> bool:
        return picture_kind(self.stream) is not None

    def _not_declared(self, expected: str) -> DicomError:
        empty = self.stream.seek(0, io.SEEK_END) == 0
        looks = looks_like(self.stream)
        what = f"is not what Content-Type '{self.media}' says" + (f" but {looks}" if looks else "")
        what = "is empty (0 bytes)" if empty else what
        return NotDicomError(
            self.name, f"the body {what}", expected, "Send it under its own media type."
        )


async def _limited(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limits.max_body_bytes:
            raise body_too_large(limits.max_body_bytes)
        yield chunk


async def _multipart(request: Request, limits: Limits, stack: AsyncExitStack) -> list[Upload]:
    parser = MultiPartParser(
        request.headers,
        _limited(request, limits),
        max_files=limits.max_files,
        max_fields=_MAX_FIELDS,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        too_many = "Too many" in error.message
        raise RequestError(
            "request body",
            f"the multipart body cannot be read ({error.message.rstrip('.')})",
            f"parts with a name, each file with a filename; at most {limits.max_files} files",
            "With curl: -F file=@image.dcm, once a file.",
            status=413 if too_many else 400,
            issue="too-costly" if too_many else "structure",
        ) from error
    stack.push_async_callback(form.close)
    uploads = [
        Upload(part.filename or field, part.file, None)
        for field, part in form.multi_items()
        if isinstance(part, UploadFile)
    ]
    if not uploads:
        raise RequestError(
            "request body",
            "the form has no file",
            "one part or more with a filename",
            "With curl: -F file=@image.dcm.",
            issue="required",
        )
    return uploads


def of_json(body: bytes) -> list[Upload]:
    """Return the uploads of a Binary, or of a Parameters with Binary resources or Attachments."""
    try:
        resource = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong_json("the body is not JSON") from error
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind == "Binary":
        return _some([_of_binary("Binary", resource)])
    if kind != "Parameters":
        raise _wrong_json("the body is neither a Binary nor a Parameters resource")
    listed = resource.get("parameter")
    uploads = [
        _of_binary(f"Parameters.parameter[{number}]", content)
        for number, one in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
        and isinstance(content := one.get("resource") or one.get("valueAttachment"), dict)
    ]
    if not uploads:
        raise _wrong_json("the Parameters resource holds no file")
    return _some(uploads)


def _some(uploads: list[Upload]) -> list[Upload]:
    """Return `uploads`; raise the refusal of the first when none could be unpacked."""
    if all(one.refusal is not None for one in uploads) and uploads[0].refusal is not None:
        raise uploads[0].refusal
    return uploads


def _of_binary(place: str, content: dict[str, Any]) -> Upload:
    data = content.get("data")
    title = content.get("title")
    name = title if isinstance(title, str) and title else place
    try:
        # FHIR's base64Binary may hold white space.
        packed = "" if data is None else re.sub(r"\s+", "", data)
        decoded = base64.b64decode(packed, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return Upload(name, io.BytesIO(), None, _wrong_json(f"{place}.data is not base64"))
    return Upload(name, io.BytesIO(decoded), None)


def _wrong_json(what: str) -> RequestError:
    return RequestError(
        "request body",
        what,
        "a Binary, or Parameters with Binary resources or Attachments, each with base64 'data'",
        "Correct the body, or send the file as application/dicom.",
        issue="structure",
    )
