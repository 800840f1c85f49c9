"""Folders of DICOM files whose headers are trusted: the labels are what the header reader says.

What a header leaves open, or contradicts itself about, is left out and counted. Pixels are not
read. Patients become hashes at once: no identifier of theirs is kept, shown or written.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError

from classifier.data.headers import DAMAGED, hashed
from classifier.data.leftovers import Leftovers
from classifier.data.sample import SURE, Collection, Declaration, Sample, regions
from classifier.errors import DataSetError
from terminology.annotation import HeaderReading
from terminology.concept import Laterality
from terminology.elements import Elements
from terminology.library import Terminology
from terminology.patient import is_animal
from terminology.vocabulary import canonical

_REMEDY: Final = "Give a folder that holds DICOM images, at any depth."
# The group of the attributes that identify a patient (PS3.6).
_PATIENT: Final = 0x0010


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image stands: its hashed patient, its study and series, its number there."""

    patient: str
    study: str
    series: str
    number: int


def read(
    path: Path,
    terminology: Terminology,
    *,
    name: str | None = None,
    source: str | None = None,
    frames: int = 1,
    slices: int = 0,
    least_confidence: float = SURE,
    salt: str = "",
    exhaustive_over: str | Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Collection:
    """Return the images below `path` with what their headers say, in the order of their paths.

    Parameters
    ----------
    name
        Of the collection; by default the folder's.
    source
        DICOM keyword of the attribute that tells sources apart, such as ``InstitutionName``; by
        default all is one source.
    frames
        Samples of a multi-frame file, evenly spread; 1 is the frame in the middle.
    slices
        Samples of a series at the most, evenly spread by InstanceNumber; 0 for all.
    least_confidence
        Sites that the header reader is less sure of are left out.
    salt
        What patients are hashed with. With one that is secret, nobody who knows a PatientID finds
        it again.
    exhaustive_over
        SCTIDs of the regions of which a header names all that is to be seen; ``*`` for all. By
        default its silence says nothing.
    progress
        Told how many files are read, and of how many.

    Raises
    ------
    DataSetError
        A number or a keyword makes no sense, or no file is a DICOM image.
    """
    if frames < 1 or slices < 0:
        raise DataSetError(
            "options of 'dicom'",
            f"frames {frames}, slices {slices}",
            "1 frame or more; 0 slices, for all, or more",
            "Correct the number.",
        )
    tag = None if source is None else tag_for_keyword(source)
    if source is not None and (tag is None or tag >> 16 == _PATIENT):
        raise DataSetError(
            "options of 'dicom'",
            f"source '{source}'",
            "the keyword of a DICOM attribute that is not the patient's, such as InstitutionName",
            "Correct the keyword.",
        )
    leftovers = Leftovers(path)
    reader = _FileReader(
        path,
        name or path.resolve().name,
        terminology,
        leftovers,
        source,
        frames,
        least_confidence,
        salt,
    )
    files = sorted(one for one in path.rglob("*") if one.is_file())
    found: list[tuple[_Place, list[Sample]]] = []
    for number, file in enumerate(files, start=1):
        leftovers.rows += 1
        if (one := reader.read(file)) is not None:
            found.append(one)
        if progress is not None:
            progress(number, len(files))
    found = _thinned(found, slices, leftovers)
    leftovers.check(len(found), _REMEDY)
    return Collection(
        reader.name,
        _grouped(reader.name, found),
        Declaration(exhaustive_over=regions(exhaustive_over, terminology.graph)),
        leftovers.left_out(),
    )


@dataclass(frozen=True, slots=True)
class _FileReader:
    path: Path
    name: str
    terminology: Terminology
    leftovers: Leftovers
    source: str | None
    frames: int
    least: float
    salt: str

    def read(self, file: Path) -> tuple[_Place, list[Sample]] | None:
        """Return the samples of a file; `None`, and a count, where it is no image of a human."""
        where = self.leftovers.place(file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = dcmread(file, stop_before_pixels=True, defer_size=4096)
                reading = self.terminology.header.read(dataset)
                elements = Elements(dataset)
                animal = is_animal(elements)
                rows = _number(dataset, "Rows")
                frames = _number(dataset, "NumberOfFrames")
                place = self._place(elements, _number(dataset, "InstanceNumber"))
                source = elements.text(self.source) if self.source else ""
        except InvalidDicomError:
            self.leftovers.leave("a file that is no DICOM", where)
        except DAMAGED as error:
            self.leftovers.leave(f"a file that cannot be read ({type(error).__name__})", where)
        else:
            if rows < 1:
                self.leftovers.leave("a DICOM file that is no image", where)
            elif animal:
                self.leftovers.leave("an image of an animal", where)
            else:
                sample = self._sample(file, where, reading, source or self.name)
                return place, [
                    sample
                    if frame == 0
                    else replace(sample, key=f"{sample.key}#{frame}", frame=frame)
                    for frame in _spread(max(frames, 1), self.frames)
                ]
        return None

    def _sample(self, file: Path, where: str, reading: HeaderReading, source: str) -> Sample:
        graph = self.terminology.graph
        conflicts = _conflicts(reading)
        for subject in sorted(conflicts):
            self.leftovers.leave(f"a header that contradicts itself about the {subject}", where)
        sure = [
            one for one in reading.sites if one.confidence is None or one.confidence >= self.least
        ]
        if len(sure) < len(reading.sites):
            self.leftovers.leave("a part that the header reader is not sure of", where)
        parts = list(dict.fromkeys(canonical(graph, one.code)[0] for one in sure))
        if "part" in conflicts:
            parts = []
        elif not reading.sites:
            self.leftovers.leave("a header that names no part: the label is unknown", where)
        elif len(parts) > 1:
            self.leftovers.leave("several parts: none is taken for the one examined", where)
        view = None if reading.view is None or "view" in conflicts else reading.view.code
        return Sample(
            key=f"{self.name}/{where}",
            path=file,
            source=source,
            group=f"{self.name}:{where}",
            examined=parts[0] if len(parts) == 1 else None,
            visible=tuple(parts) if len(parts) > 1 else (),
            view=view,
            laterality=None if "side" in conflicts else reading.laterality,
            modality=reading.modality,
            age_years=reading.age_years,
        )

    def _place(self, elements: Elements, number: int) -> _Place:
        patient = elements.text("PatientID")
        issuer = elements.text("IssuerOfPatientID")
        return _Place(
            self._hashed(f"{issuer}\\{patient}") if patient else "",
            self._hashed(elements.text("StudyInstanceUID")),
            elements.text("SeriesInstanceUID"),
            number,
        )

    def _hashed(self, value: str) -> str:
        return hashed(value, self.salt) if value else ""


def _number(dataset: Dataset, keyword: str) -> int:
    """Return a whole number of the header; 0 where there is none."""
    value = str(dataset.get(keyword) or "").strip()
    return int(value) if value.isdecimal() else 0


def _conflicts(reading: HeaderReading) -> set[str]:
    """Return what a header contradicts itself about: the part, the side, the view."""
    subjects = set()
    for conflict in reading.conflicts:
        # As the header reader writes them: "<keyword> says <parts as code |term|, side or view>".
        if "|" in conflict:
            subjects.add("part")
        elif conflict.rpartition(" ")[2] in {*Laterality}:
            subjects.add("side")
        else:
            subjects.add("view")
    return subjects


def _spread(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` of `count` places: the middles of as many equal parts."""
    if wanted >= count:
        return list(range(count))
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def _thinned(
    found: list[tuple[_Place, list[Sample]]], slices: int, leftovers: Leftovers
) -> list[tuple[_Place, list[Sample]]]:
    """Return at most `slices` images of each series, in the same order."""
    if not slices:
        return found
    series: defaultdict[str, list[int]] = defaultdict(list)
    for at, (place, samples) in enumerate(found):
        series[place.series or samples[0].key].append(at)
    kept: set[int] = set()
    for members in series.values():
        ordered = sorted(members, key=lambda at: (found[at][0].number, at))
        kept.update(ordered[one] for one in _spread(len(ordered), slices))
    for at, (_, samples) in enumerate(found):
        if at not in kept:
            leftovers.leave("a further image of its series", leftovers.place(samples[0].path))
    return [found[at] for at in sorted(kept)]


def _grouped(name: str, found: Sequence[tuple[_Place, list[Sample]]]) -> tuple[Sample, ...]:
    """Return the samples grouped by patient; by study where the headers name no patient.

    One PatientID in the headers of all studies is what a de-identification left, and nobody.
    """
    patients = {place.patient for place, _ in found}
    studies = {place.study for place, _ in found}
    named = len(patients) > 1 or len(studies) == 1
    samples: list[Sample] = []
    for place, own in found:
        group = (place.patient if named else "") or place.study
        samples += [replace(one, group=f"{name}:{group}") if group else one for one in own]
    return tuple(samples)
