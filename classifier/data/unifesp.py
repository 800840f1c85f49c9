"""UNIFESP X-ray body part classifier (Kaggle 2022): train.csv and DICOM files in nested folders.

train.csv has ``SOPInstanceUID,Target``; a target is one or more of the labels 0 to 21, parted by
blanks ("3 11 "). A file is ``<SOPInstanceUID>-c.dcm`` at some depth below; the files of the test
part have no row. Age, side, view and patient are taken from the headers, pixels are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import dcmread

from classifier.data.headers import DAMAGED, hashed
from classifier.data.leftovers import Leftovers
from classifier.data.pictures import Pictures, stem_of
from classifier.data.rows import table_rows
from classifier.data.sample import EVERYTHING, Collection, Declaration, Sample
from classifier.errors import DataSetError
from terminology.annotation import HeaderReading
from terminology.vocabulary import canonical

if TYPE_CHECKING:
    from terminology.library import Terminology

NAME: Final = "unifesp"
_TABLE: Final = "train.csv"
_INSTANCE, _TARGET = "SOPInstanceUID", "Target"
# What the files of the set have behind the UID.
_COPY: Final = "-c"
_NO_FILE: Final = "a row without an image file"
_REMEDY: Final = "Give the folder that the archive of the competition unpacks to, with train.csv."


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    target: str


@dataclass(frozen=True, slots=True)
class _Labels:
    """What the labels of an image say; `examined` only where they say it together."""

    visible: tuple[str, ...]
    examined: str | None


@dataclass(frozen=True, slots=True)
class _Header:
    """What a header says; nothing for a picture that has none."""

    reading: HeaderReading = field(default_factory=HeaderReading)
    patient: str = ""
    study: str = ""


def read(
    path: Path,
    terminology: Terminology,
    *,
    table: str = _TABLE,
    version: str | None = None,
    exhaustive: bool = True,
    require_images: bool = False,
) -> Collection:
    """Return the labelled images below `path`, in the order of the table.

    The part examined is the one that is labelled, or the one concept that all labels of an image
    together are. An image with "Others" beside other labels is left out: it shows what no label
    names, against what the collection declares.

    Parameters
    ----------
    path
        The folder with the table, or the table.
    table
        Name of the table in the folder.
    version
        Version of the mapping of the labels; by default the newest.
    exhaustive
        Whether silence means absence. The competition takes its labels for complete: it scores by
        mean F1, where a label more than its own is an error, and has "Others" for what it does not
        name.
    require_images
        Whether a row without a file is an error; else it is counted.

    Raises
    ------
    DataSetError
        The table is missing or malformed, or no row has an image.
    """
    source = path if path.is_file() else path / table
    folder = source.parent
    leftovers = Leftovers(folder)
    rows = _rows(source, leftovers)
    files = Pictures(folder, _instance)
    samples: list[Sample] = []
    headers: list[_Header] = []
    for instance, row in rows.items():
        labels = _labels(row, terminology, version, leftovers)
        found = files.of(instance)
        if not found:
            leftovers.leave(_NO_FILE, row.where)
            continue
        file = leftovers.first(found)
        header = _header(file, terminology)
        if header is None:
            leftovers.leave("a file that cannot be read as DICOM", leftovers.place(file))
        elif labels is not None:
            samples.append(_sample(instance, file, labels, header))
            headers.append(header)
    for file in files.unused():
        leftovers.leave("an image file without a row", leftovers.place(file))
    if require_images:
        leftovers.forbid(_NO_FILE, "a DICOM file for each row", _REMEDY)
    leftovers.check(len(samples), _REMEDY)
    return Collection(
        NAME,
        _grouped(samples, headers),
        Declaration(exhaustive_over=frozenset({EVERYTHING} if exhaustive else ())),
        leftovers.left_out(),
    )


def _rows(source: Path, leftovers: Leftovers) -> dict[str, _Row]:
    """Return the rows by SOP instance UID."""
    if not source.is_file():
        raise DataSetError(
            str(source), "there is no such file", f"{_TABLE} with the labels", _REMEDY
        )
    found: dict[str, _Row] = {}
    for line, cells in table_rows(source, (_INSTANCE, _TARGET), leftovers):
        where = leftovers.place(source, line)
        instance = cells[_INSTANCE.lower()]
        row = _Row(where, cells[_TARGET.lower()])
        before = found.get(instance)
        if not instance:
            leftovers.broken(where, "a row without a UID", f"no {_INSTANCE}", "the UID of an image")
        elif before is None:
            found[instance] = row
        elif before.target == row.target:
            leftovers.leave("a row that stands twice", where)
        else:
            what = f"other labels than {before.where} for the same image"
            leftovers.broken(where, "two rows that disagree", what, "one row an image")
    return found


def _instance(name: str) -> str:
    """Return the SOP instance UID that a file of that name has."""
    return stem_of(name).removesuffix(_COPY)


def _labels(
    row: _Row, terminology: Terminology, version: str | None, leftovers: Leftovers
) -> _Labels | None:
    """Return what the labels of a row say, or `None` after counting why it cannot be used."""
    reading = terminology.codes.read("unifesp", row.target, version)
    labels = [part.code for part in reading.parts]
    refused = [one.note for one in reading.evidence if one.note and one.words[0] not in labels]
    if refused or not labels:
        what = str(refused[0]) if refused else "no label"
        leftovers.broken(row.where, "a target that is no list of labels", what, "labels 0 to 21")
        return None
    own = [terminology.codes.read("unifesp", label, version) for label in labels]
    best = [one.targets[0].code for one in own if one.targets]
    if best and len(best) < len(labels):
        leftovers.leave("a label that names no part (14, Others) beside others", row.where)
        return None
    parts = [canonical(terminology.graph, code)[0] for code in best]
    if len(parts) < 2:
        return _Labels((), parts[0] if parts else None)
    region = terminology.text.words.regions.get(frozenset(best))
    together = None if region is None else canonical(terminology.graph, region.code)[0]
    return _Labels(tuple(dict.fromkeys(parts)), together)


def _header(file: Path, terminology: Terminology) -> _Header | None:
    """Return what the header says, or `None` where the file is no DICOM."""
    if file.suffix.lower() != ".dcm":
        return _Header()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file, stop_before_pixels=True)
            reading = terminology.header.read(dataset)
            patient, study = (
                str(dataset.get(keyword, "") or "").strip()
                for keyword in ("PatientID", "StudyInstanceUID")
            )
    except DAMAGED:
        return None
    return _Header(reading, patient, study)


def _sample(instance: str, file: Path, labels: _Labels, header: _Header) -> Sample:
    reading = header.reading
    return Sample(
        key=f"{NAME}/{instance}",
        path=file,
        source=NAME,
        group=f"{NAME}:{instance}",
        examined=labels.examined,
        visible=labels.visible,
        view=None if reading.view is None else reading.view.code,
        laterality=reading.laterality,
        modality=reading.modality,
        age_years=reading.age_years,
    )


def _grouped(samples: Sequence[Sample], headers: Sequence[_Header]) -> tuple[Sample, ...]:
    """Return the samples grouped by patient, where the headers name no patient by study.

    The group is a hash: it is written beside the run, and the set may be a hospital's own.
    One PatientID in the headers of all studies is what a de-identification left, and nobody.
    """
    patients = {header.patient for header in headers}
    studies = {header.study for header in headers}
    named = len(patients) > 1 or len(studies) == 1
    found: list[Sample] = []
    for sample, header in zip(samples, headers, strict=True):
        group = (header.patient if named else "") or header.study
        found.append(replace(sample, group=f"{NAME}:{hashed(group)}") if group else sample)
    return tuple(found)
