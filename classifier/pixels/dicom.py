"""DICOM files and datasets → `Image`: pydicom parses and decodes, what is shown is decided here.

Of a file the header is read, and of the pixels only the frame that is asked for. Uncompressed
grey levels are taken as they lie in the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from classifier.errors import ImageError, NoPixelsError
from classifier.pixels.codestream import read_frame_header
from classifier.pixels.decoding import decode_frame, missing_decoders
from classifier.pixels.dicom_file import PixelElement, element_of, parse_file, transfer_syntax
from classifier.pixels.display import Display, Grey, Stored, luminance, show
from classifier.pixels.header import PALETTE, Layout, read_display, read_layout
from classifier.pixels.image import Image
from classifier.pixels.limits import PixelLimits
from classifier.pixels.lookup import read_palette
from classifier.pixels.malformed import MalformedError
from classifier.pixels.quiet import quiet
from classifier.pixels.source import BoundedStream, Source
from classifier.pixels.transform import LookUp
from terminology.elements import BROKEN as UNPARSED

# What pydicom and its plugins raise on damaged pixel data, beside what they raise on headers:
# RuntimeError when no plugin decodes a frame.
BROKEN: Final = (*UNPARSED, ArithmeticError, MemoryError, RuntimeError, ImportError, zlib.error)

_DATASET: Final = "dataset"
_MOST_INDICES: Final = 1 << 17
_WHOLE_WORDS: Final = frozenset(JPEG2000TransferSyntaxes) | frozenset(JPEGLSTransferSyntaxes)
_NATIVE_BITS: Final = (8, 16, 32)
_RGB: Final = "RGB"
_FULL: Final = "YBR_FULL"
_FULL_422: Final = "YBR_FULL_422"
# PS3.3 C.7.6.3.1.2: luminance from 16 (black) to 235 (white) of 8 bits
_PARTIAL: Final = ("YBR_PARTIAL_422",)
_PARTIAL_BLACK: Final = 16
_PARTIAL_RANGE: Final = 219
_REVERSIBLE: Final = ("YBR_ICT", "YBR_RCT")
_COLOURS: Final = (_RGB, _FULL, _FULL_422, *_PARTIAL, *_REVERSIBLE)


@dataclass(frozen=True, slots=True)
class DicomReader:
    """Decodes the frames of one DICOM image."""

    where: str
    dataset: Dataset
    layout: Layout
    element: PixelElement
    syntax: UID
    decoder: Decoder

    def read(self, index: int) -> Grey:
        """Return one frame as shown."""
        with _refused(self.where, self.syntax):
            values, photometric = self._values(index)
            if self.layout.samples > 1:
                return _show_colours(values, photometric, self.layout)
            with quiet():
                stored = self._stored(values)
                if photometric == PALETTE:
                    return _show_palette(stored, self.dataset, self.layout)
                display = read_display(self.dataset, self.layout, index)
            return show(stored, display)

    def _stored(self, values: NDArray[np.generic]) -> Stored:
        layout = self.layout
        if self.syntax in _WHOLE_WORDS or layout.is_float:
            return Stored(values, layout.bits_stored)
        # A JPEG decoder gives numbers from the lowest bit on; RLE the words as they were.
        whole = self.syntax.is_encapsulated and self.syntax != RLELossless
        shift = 0 if whole else layout.shift
        if layout.bits_allocated == 1 or layout.bits_stored == 8 * values.dtype.itemsize:
            return Stored(values, layout.bits_stored)
        return Stored(values, layout.bits_stored, shift)

    def _values(self, index: int) -> tuple[NDArray[np.generic], str]:
        """Return (H, W) or (H, W, 3) and the Photometric Interpretation that they have."""
        if self.syntax.is_encapsulated:
            return self._decompressed(index)
        layout = self.layout
        if layout.is_float or (
            layout.bits_allocated in _NATIVE_BITS
            and layout.photometric not in (_FULL_422, *_PARTIAL)
            and not self._is_swapped
        ):
            return self._plain(index), layout.photometric
        if layout.bits_allocated == 1:
            return self._bits(index), layout.photometric
        return self._unpacked(index), layout.photometric

    def _bits(self, index: int) -> NDArray[np.generic]:
        """Return the bits of a frame, which begins within a byte (PS3.5 8.1.1, 8.2)."""
        count = self.layout.rows * self.layout.columns * self.layout.samples
        first, last = index * count, (index + 1) * count
        end = -(-last // 8)
        self._check_length(end)
        start = self.element.offset + first // 8
        packed = self.element.source.array(start, end - first // 8, np.dtype(np.uint8))
        bits = np.unpackbits(cast(NDArray[np.uint8], packed), bitorder="little")
        return bits[first % 8 :][:count].reshape(self.layout.rows, self.layout.columns)

    @property
    def _is_swapped(self) -> bool:
        """Whether bytes lie in the words of a big endian file."""
        swapped = not self.layout.little_endian and self.layout.bits_allocated == 8
        return swapped and self.element.vr == "OW"

    def _plain(self, index: int) -> NDArray[np.generic]:
        """Return numbers as they lie in the file; nothing is copied of what is in memory."""
        layout = self.layout
        kind = "f" if layout.is_float else "i" if layout.signed else "u"
        order = "<" if layout.little_endian else ">"
        dtype = np.dtype(f"{order}{kind}{layout.bits_allocated // 8}")
        count = layout.rows * layout.columns * layout.samples
        start = index * count * dtype.itemsize
        self._check_length(start + count * dtype.itemsize)
        values = self.element.source.array(self.element.offset + start, count, dtype)
        if layout.samples == 1:
            return values.reshape(layout.rows, layout.columns)
        if layout.planar:
            planes = values.reshape(layout.samples, layout.rows, layout.columns)
            return planes.transpose(1, 2, 0)
        return values.reshape(layout.rows, layout.columns, layout.samples)

    def _unpacked(self, index: int) -> NDArray[np.generic]:
        """Return what pydicom makes of subsampled colours and swapped bytes."""
        layout = self.layout
        pixels = layout.rows * layout.columns
        halved = layout.photometric in (_FULL_422, *_PARTIAL)
        samples = 2 if halved else layout.samples
        self._check_length(pixels * samples * (index + 1) * layout.bits_allocated // 8)
        with self.element.source.open() as stream, quiet():
            stream.seek(self.element.offset)
            options = self._options(_FULL_422 if halved else layout.photometric)
            values, _ = self.decoder.as_array(stream, index=index, raw=True, **options)
        return cast(NDArray[np.generic], values)

    def _decompressed(self, index: int) -> tuple[NDArray[np.generic], str]:
        layout = self.layout
        offsets = self.dataset.get("ExtendedOffsetTable")
        lengths = self.dataset.get("ExtendedOffsetTableLengths")
        with self.element.source.open() as stream, quiet():
            stream.seek(self.element.offset)
            bounded = cast(BinaryIO, BoundedStream(stream, self.element.source.size))
            frame = get_frame(
                bounded,
                index,
                number_of_frames=layout.frames,
                extended_offsets=(offsets, lengths) if offsets and lengths else None,
            )
            self._check_frame(frame)
            return decode_frame(self.decoder, frame, self._options(layout.photometric, frames=1))

    def _check_frame(self, frame: bytes) -> None:
        """Refuse a compressed frame that is not what the header says."""
        layout = self.layout
        found = read_frame_header(frame, self.syntax)
        if found is None:
            return
        if (found.rows, found.columns) != (layout.rows, layout.columns):
            raise MalformedError(
                f"the compressed frame has {found.rows} x {found.columns} pixels, "
                f"the header says {layout.rows} x {layout.columns}"
            )
        if found.samples != layout.samples or found.precision > layout.bits_allocated:
            raise MalformedError(
                f"the compressed frame has {found.samples} samples of {found.precision} bits, "
                f"the header says {layout.samples} of {layout.bits_allocated}"
            )

    def _options(self, photometric: str, *, frames: int | None = None) -> dict[str, Any]:
        layout = self.layout
        options: dict[str, Any] = {
            "transfer_syntax_uid": self.syntax,
            "pixel_keyword": "PixelData",
            "pixel_vr": self.element.vr,
            "rows": layout.rows,
            "columns": layout.columns,
            "samples_per_pixel": layout.samples,
            "photometric_interpretation": photometric,
            "number_of_frames": frames or layout.frames,
            "bits_allocated": layout.bits_allocated,
            "bits_stored": layout.bits_stored,
            "pixel_representation": int(layout.signed),
            # The unused bits are left out when the values are shown, wherever they are.
            "correct_unused_bits": False,
        }
        if layout.samples > 1:
            options["planar_configuration"] = layout.planar
        return options

    def _check_length(self, needed: int) -> None:
        length = self.element.length
        available = self.element.source.size - self.element.offset
        if length is None or needed > min(length, available):
            raise MalformedError("the pixel data end before the frame does")


def open_dicom(source: Source, limits: PixelLimits) -> Image:
    """Return a DICOM file as an image.

    Raises
    ------
    ImageError
        It is no DICOM, is damaged, or has an encoding that nothing here decodes; `NoPixelsError`
        when it is no image.
    """
    with _refused(source.where, None), quiet():
        dataset, element = parse_file(source, limits)
    return _image(source.where, dataset, element, limits)


def open_dataset(dataset: Dataset, limits: PixelLimits) -> Image:
    """Return a dataset with pixels as an image; it is not copied and must not be changed."""
    with _refused(_DATASET, None), quiet():
        element = element_of(dataset, _DATASET, limits)
    return _image(_DATASET, dataset, element, limits)


def _image(
    where: str, dataset: Dataset, element: PixelElement | None, limits: PixelLimits
) -> Image:
    with _refused(where, None), quiet():
        syntax = transfer_syntax(dataset)
        if element is None:
            raise _no_pixels(where, dataset)
    with _refused(where, syntax), quiet():
        decoder = _decoder(where, syntax)
        little_endian = syntax != ExplicitVRBigEndian
        layout = read_layout(dataset, element.keyword, little_endian=little_endian)
        limits.check_frame(where, layout.rows, layout.columns)
        limits.check_count(where, layout.frames)
        _check_kind(layout)
        modality = str(dataset.get("Modality") or "").strip() or None
    reader = DicomReader(where, dataset, layout, element, syntax, decoder)
    return Image(layout.frames, modality, dataset, reader)


def _check_kind(layout: Layout) -> None:
    """Refuse combinations that the standard does not have and that could not be shown rightly."""
    single = layout.samples == 1 and (layout.is_grey or layout.photometric == PALETTE)
    if layout.is_float:
        single = single and layout.is_grey
    if not single and not (layout.samples == 3 and layout.photometric in _COLOURS):
        raise MalformedError(
            f"{layout.samples} samples a pixel do not go with its Photometric Interpretation"
        )


def _decoder(where: str, syntax: UID) -> Decoder:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ImageError(
            where,
            f"images of the transfer syntax {_named(syntax)} are not decoded",
            "uncompressed, RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K",
            "Convert it first, for instance with 'gdcmconv --raw'.",
            transfer_syntax=_named(syntax),
        ) from error
    missing = missing_decoders(syntax, decoder)
    if missing:
        raise ImageError(
            where,
            f"nothing is installed that decodes {_named(syntax)} ({missing})",
            "a decoder",
            "pip install 'bodysite[pixels]'",
            transfer_syntax=_named(syntax),
        )
    return decoder


def _named(syntax: UID) -> str:
    return f"{syntax.name} ({syntax})" if syntax.name != syntax else str(syntax)[:64]


@contextmanager
def _refused(where: str, syntax: UID | None) -> Iterator[None]:
    """Turn what is raised on damaged data into one `ImageError`, which says no value of it."""
    try:
        yield
    except BROKEN as error:
        reason = str(error) if isinstance(error, MalformedError) else type(error).__name__
        encoding = f" of {_named(syntax)}" if syntax else ""
        raise ImageError(
            where,
            f"the DICOM image{encoding} cannot be read ({reason})",
            "a whole image that follows DICOM PS3.3 C.7.6.3 and PS3.5",
            "Export it again; 'dcmdump' or 'pydicom show' tells what is in it.",
            transfer_syntax=_named(syntax) if syntax else None,
        ) from error


def _no_pixels(where: str, dataset: Dataset) -> ImageError:
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    uid = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
    kind = UID(uid).name or "DICOM object"
    if dataset.get("Rows"):
        return ImageError(
            where,
            "the header describes an image, but there are no pixel data behind it",
            "Pixel Data (7FE0,0010)",
            "Export the whole file again.",
        )
    return NoPixelsError(
        where,
        f"'{kind}' holds no image",
        "an image with Pixel Data (7FE0,0010)",
        "Choose an image of the study; reports, waveforms, contours and documents have none.",
    )


def _show_colours(values: NDArray[np.generic], photometric: str, layout: Layout) -> Grey:
    """Return the luminance of RGB or YBR values (H, W, 3)."""
    if photometric in _PARTIAL:
        # BT.601: Y is the luminance already, on the narrow scale
        scale = 255.0 / _PARTIAL_RANGE
        level = (values[..., 0].astype(np.float64) - _PARTIAL_BLACK) * scale
        return np.clip(np.rint(level), 0, 255).astype(np.uint8)
    if photometric in (_FULL, _FULL_422):
        if values.dtype != np.uint8:
            return show(Stored(values[..., 0], layout.bits_stored))
        values = convert_color_space(values, _FULL, _RGB)
    return show(Stored(luminance(values), layout.bits_stored))


def _show_palette(stored: Stored, dataset: Dataset, layout: Layout) -> Grey:
    """Return the luminance of indices of a palette (PS3.3 C.7.6.3.1.5)."""
    channels = read_palette(dataset, little_endian=layout.little_endian)
    # PS3.3 has one descriptor for all three; they are taken as they are.
    first = min(channel.first for channel in channels)
    last = max(channel.first + len(channel.entries) for channel in channels)
    if last - first > _MOST_INDICES:
        raise MalformedError("the palettes of red, green and blue are of different places")
    indices = np.arange(first, last, dtype=np.float64)
    colours = np.stack([np.rint(channel.level(indices) * 255.0) for channel in channels], axis=-1)
    grey = luminance(colours.astype(np.uint8)[None])[0].astype(np.uint16)
    return show(stored, Display(voi=LookUp(first, grey, 8)))
