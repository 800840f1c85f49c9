"""Small DICOM datasets made of arrays."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"


def dataset(
    values: np.ndarray,
    *,
    frames: int | None = None,
    photometric: str | None = None,
    bits: int | None = None,
    high_bit: int | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    **attributes: object,
) -> Dataset:
    """Return an image of `values`: (H, W), (H, W, 3), or with `frames` one axis more before."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = DIGITAL_XRAY
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.SOPClassUID = DIGITAL_XRAY
    made.SOPInstanceUID = "1.2.3"
    made.Modality = "DX"
    shape = values.shape[1:] if frames else values.shape
    made.Rows, made.Columns = shape[:2]
    made.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    made.PhotometricInterpretation = photometric or ("RGB" if len(shape) == 3 else "MONOCHROME2")
    if len(shape) == 3:
        made.PlanarConfiguration = 0
    if frames:
        made.NumberOfFrames = frames
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if values.dtype.kind == "f":
        keyword = "FloatPixelData" if values.dtype.itemsize == 4 else "DoubleFloatPixelData"
        made.BitsAllocated = 8 * values.dtype.itemsize
        setattr(made, keyword, values.astype(values.dtype.newbyteorder(order)).tobytes())
    else:
        allocated = 8 * values.dtype.itemsize
        stored = bits or allocated
        made.BitsAllocated, made.BitsStored = allocated, stored
        made.HighBit = stored - 1 if high_bit is None else high_bit
        made.PixelRepresentation = int(values.dtype.kind == "i")
        made.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
        made["PixelData"].VR = "OW" if allocated > 8 else "OB"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def table(entries: list[int], *, first: int = 0, bits: int = 16) -> Dataset:
    """Return one item of a LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first % 65536, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = np.array(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def item(**attributes: object) -> Sequence:
    """Return a sequence of one item."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return Sequence([made])


def as_bytes(made: Dataset) -> bytes:
    """Return the file."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def picture(values: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """Return a picture file of an array, losslessly unless it is a JPEG."""
    stream = io.BytesIO()
    PIL.Image.fromarray(values).save(stream, kind, **options)
    return stream.getvalue()


def radiograph(shape: tuple[int, int] = (48, 40), *, top: int = 4095, seed: int = 0) -> np.ndarray:
    """Return something smooth with noise: int64 (H, W) in [0, top], both ends met."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    values = np.sin(x / 9.0) * np.cos(y / 7.0) + 0.05 * chance.standard_normal(shape)
    values = (values - values.min()) / (values.max() - values.min())
    return np.rint(values * top).astype(np.int64)
