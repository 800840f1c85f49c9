"""What a DICOM image shows, in float64, written from the standard; slow, plain and independent.

It shares no code with `classifier.pixels`: pydicom decodes, the rest is formulas. `shown` gives
grey levels in [0, 255] that are not rounded.
"""

from __future__ import annotations

import copy
import math

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import JPEGExtended12Bit

_XA = ("XA", "RF", "XRF")


def shown(dataset: Dataset, index: int = 0) -> np.ndarray:
    """Return frame `index` as float64 (H, W) in [0, 255]."""
    return from_stored(stored_values(dataset, index), dataset, index)


def stored_values(dataset: Dataset, index: int) -> np.ndarray:
    """Return the stored values, colours as RGB."""
    if dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and dataset.BitsStored > 8:
        return read_by_gdcm(dataset)
    stored = pixel_array(dataset, index=index)
    high, bits = dataset.get("HighBit"), dataset.get("BitsStored")
    if high is not None and high > bits - 1 and dataset.BitsAllocated <= 32:
        # pydicom takes the value from the lowest bit on; PS3.5 8.1.1 (2013) from High Bit down.
        from_word = copy.deepcopy(dataset)
        from_word.BitsStored = dataset.BitsAllocated
        from_word.PixelRepresentation = 0
        words = pixel_array(from_word, index=index).astype(np.int64)
        stored = words // 2 ** (high + 1 - bits) % 2**bits
        if dataset.PixelRepresentation:
            stored = np.where(stored >= 2 ** (bits - 1), stored - 2**bits, stored)
    return stored


def read_by_gdcm(dataset: Dataset) -> np.ndarray:
    """Return the only frame of a file that pydicom's plugins refuse, as GDCM itself reads it."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(dataset.filename))
    assert reader.Read()
    data = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    kind = "<i2" if dataset.PixelRepresentation else "<u2"
    return np.frombuffer(data, kind).reshape(dataset.Rows, dataset.Columns)


def from_stored(stored: np.ndarray, dataset: Dataset, index: int) -> np.ndarray:
    """Return what stored values (H, W) or (H, W, 3) look like."""
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        stored = palette(stored, dataset)
        return luminance(stored)
    if stored.ndim == 3:
        return unspecified(np.rint(luminance(stored)), is_byte=dataset.BitsStored <= 8)

    stored = stored.astype(np.float64)
    padding = is_padding(stored, dataset)
    values, unsigned_bits = modality(stored, dataset, index)
    level = voi(values, dataset, index)
    inverse = photometric == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    if "PresentationLUTSequence" in dataset:
        item = dataset.PresentationLUTSequence[0]
        if level is None:
            low, high = possible(dataset, index)
            level = (values - low) / (high - low)
        entries, _, bits = table(item, "LUTDescriptor", "LUTData", dataset)
        level = entries[np.rint(level * (len(entries) - 1)).astype(int)] / (2**bits - 1)
        inverse = False
    if level is None:
        is_byte = unsigned_bits is not None and unsigned_bits <= 8
        if is_byte:
            grey = values * 255 / (2**unsigned_bits - 1)
        else:
            grey = unspecified(values, is_byte=False, counted=~padding & np.isfinite(values))
            if not grey.any():
                return grey
    else:
        grey = level * 255
    if inverse:
        grey = 255 - grey
    grey[padding | np.isnan(grey)] = 0
    return grey


def luminance(colours: np.ndarray) -> np.ndarray:
    red, green, blue = (colours[..., part].astype(np.float64) for part in range(3))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def unspecified(values, *, is_byte: bool, counted=None) -> np.ndarray:
    """Return what is shown where nothing says how."""
    values = np.asarray(values, np.float64)
    if is_byte:
        return values
    counted = values[counted] if counted is not None else values.ravel()
    if counted.size == 0 or counted.min() == counted.max():
        return np.zeros(values.shape)
    in_order = np.sort(counted)
    few = math.ceil(in_order.size / 1000) - 1  # fewer than one pixel in 1,000
    low, high = in_order[0], in_order[-1]
    inner_low, inner_high = in_order[few], in_order[-1 - few]
    if inner_low < inner_high and inner_high - inner_low < (high - low) / 2:
        low, high = inner_low, inner_high
    return np.clip((values - low) / (high - low), 0, 1) * 255


def group(dataset: Dataset, index: int, name: str) -> Dataset:
    for holder in (
        dataset.get("PerFrameFunctionalGroupsSequence", [])[index : index + 1],
        dataset.get("SharedFunctionalGroupsSequence", [])[:1],
    ):
        for item in holder:
            if item.get(name):
                return item[name][0]
    return dataset


def modality(stored, dataset, index):
    """Return the output of the modality LUT and its bits when it is unsigned."""
    relation = dataset.get("PixelIntensityRelationship")
    ignored = dataset.get("Modality") in _XA and relation in ("LOG", "DISP")
    if dataset.get("ModalityLUTSequence") and not ignored:
        item = dataset.ModalityLUTSequence[0]
        entries, first, bits = table(item, "LUTDescriptor", "LUTData", dataset)
        return looked_up(stored, entries, first), bits
    source = group(dataset, index, "PixelValueTransformationSequence")
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    slope = 1.0 if slope in (None, "", 0) else float(slope)
    intercept = 0.0 if intercept in (None, "") else float(intercept)
    plain = slope == 1 and intercept == 0
    whole = "PixelData" in dataset and not dataset.get("PixelRepresentation")
    return stored * slope + intercept, dataset.BitsStored if plain and whole else None


def possible(dataset, index):
    """Return the least and largest output that the modality LUT may have."""
    bits = dataset.BitsStored
    ends = [0, 2**bits - 1]
    if dataset.PixelRepresentation:
        ends = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    values, bits = modality(np.array(ends, np.float64), dataset, index)
    if dataset.get("ModalityLUTSequence"):
        return 0, 2**bits - 1
    return values.min(), values.max()


def voi(values, dataset, index):
    """Return the level in [0, 1], or None."""
    source = group(dataset, index, "FrameVOILUTSequence")
    if source.get("VOILUTSequence"):
        item = source.VOILUTSequence[0]
        entries, first, bits = table(item, "LUTDescriptor", "LUTData", dataset)
        if first >= 32768 and possible(dataset, index)[0] < 0:
            first -= 65536
        return looked_up(values, entries, first) / (2**bits - 1)
    centers, widths = listed(source.get("WindowCenter")), listed(source.get("WindowWidth"))
    for c, w in zip(centers, widths, strict=False):
        if w <= 0:
            continue
        function = source.get("VOILUTFunction") or "LINEAR"
        if function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1 / (1 + np.exp(-4 * (values - c) / w))
        if function == "LINEAR_EXACT" or w < 1:
            level = (values - c) / w + 0.5
            level[values <= c - w / 2] = 0
            level[values > c + w / 2] = 1
            return level
        below = values <= c - 0.5 - (w - 1) / 2
        above = values > c - 0.5 + (w - 1) / 2
        level = np.zeros(values.shape)
        between = ~below & ~above
        level[between] = (values[between] - (c - 0.5)) / (w - 1) + 0.5
        level[above] = 1
        return level
    return None


def is_padding(stored, dataset):
    name = "Float" * ("FloatPixelData" in dataset) + "DoubleFloat" * (
        "DoubleFloatPixelData" in dataset
    )
    value = dataset.get(f"{name}PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    limit = dataset.get(f"{name}PixelPaddingRangeLimit", value)
    if not name and dataset.PixelRepresentation:
        top = 2 ** (dataset.BitsAllocated - 1)
        value, limit = (part - 2 * top if part >= top else part for part in (value, limit))
    return (stored >= min(value, limit)) & (stored <= max(value, limit))


def table(item, descriptor, data, dataset):
    """Return entries, first input and bits of a LUT."""
    count, first, bits = item[descriptor].value
    count = count or 65536
    if first >= 32768 and dataset.get("PixelRepresentation"):
        first -= 65536
    entries = item[data].value
    if isinstance(entries, bytes):
        order = ">" if dataset.original_encoding[1] is False else "<"
        kind = "u1" if len(entries) < 2 * count else f"{order}u2"
        entries = np.frombuffer(entries, kind)
    entries = np.asarray(entries, np.float64)[:count]
    return entries, first, max(bits, int(entries.max()).bit_length())


def looked_up(values, entries, first):
    place = np.rint(values).astype(int) - first
    return entries[np.clip(place, 0, len(entries) - 1)]


def palette(stored, dataset):
    """Return RGB in [0, 255]."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        colours = apply_color_lut(stored, dataset)
        return colours * 255.0 / np.iinfo(colours.dtype).max
    planes = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        entries, first, _ = table(dataset, f"{name}Descriptor", f"{name}Data", dataset)
        planes.append(looked_up(stored, entries, first))
    colours = np.stack(planes, axis=-1)
    top = max(
        np.max(
            table(
                dataset,
                f"{colour}PaletteColorLookupTableDescriptor",
                f"{colour}PaletteColorLookupTableData",
                dataset,
            )[0]
        )
        for colour in ("Red", "Green", "Blue")
    )
    return colours * 255 / (65535 if top > 255 else 255)


def listed(value):
    if value is None or value == "":
        return []
    return [float(part) for part in value] if hasattr(value, "__len__") else [float(value)]
