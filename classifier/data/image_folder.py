"""Class folders, as torchvision's ImageFolder has them: the name of a folder is the label.

::

    data/hand/0001.png                    data/train/hand/0001.png
    data/knee left/0001.png               data/test/hand/0002.png

Names are words of any language of the terminology, with side and view, or SCTIDs. When all are
groups of the DICOM Imaging Router ("Adult Chest", "Others", ...), they are labels of its head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifier.data.leftovers import Leftovers
from classifier.data.pictures import SUFFIXES
from classifier.data.sample import SURE, Collection, Declaration, Sample, regions
from classifier.errors import DataSetError
from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.errors import BodySiteError
from terminology.library import Terminology
from terminology.suggestions import Suggestions
from terminology.vocabulary import canonical

_PARTS: Final = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_CODE: Final = re.compile(r"(\d{6,18})(?:\s*\|.*)?")
# Names of the five groups, without case, blanks and signs, and the part that they name.
_ROUTER: Final[Mapping[str, tuple[RouterGroup, str | None]]] = {
    "abdomen": (RouterGroup.ABDOMEN, "818981001"),
    "adultchest": (RouterGroup.ADULT_CHEST, "816094009"),
    "chestadult": (RouterGroup.ADULT_CHEST, "816094009"),
    "paediatricchest": (RouterGroup.PAEDIATRIC_CHEST, "816094009"),
    "pediatricchest": (RouterGroup.PAEDIATRIC_CHEST, "816094009"),
    "chestpediatric": (RouterGroup.PAEDIATRIC_CHEST, "816094009"),
    "spine": (RouterGroup.SPINE, "421060004"),
    "other": (RouterGroup.OTHER, None),
    "others": (RouterGroup.OTHER, None),
}
_REMEDY: Final = (
    'Rename the folders, or give the option \'classes\', such as {"folder": "85562004"}; a folder'
    " that is to be left out gets an empty code."
)


@dataclass(frozen=True, slots=True)
class _Label:
    examined: str | None = None
    laterality: Laterality | None = None
    view: str | None = None
    router_group: RouterGroup | None = None


def read(
    path: Path,
    terminology: Terminology,
    *,
    name: str | None = None,
    classes: Mapping[str, str] | None = None,
    patient: str | None = None,
    modality: str | None = None,
    coarse: bool = False,
    licence: str | None = None,
    exhaustive_over: str | Sequence[str] = (),
) -> Collection:
    """Return the images below the class folders of `path`, in the order of their paths.

    Parameters
    ----------
    name
        Of the collection and source; by default the folder's.
    classes
        For folders whose name says nothing, or something else: an SCTID or words; empty to leave
        the folder out.
    patient
        Regular expression that is searched in the path of an image, relative to its class folder;
        its first group is the patient. By default each image is a patient of its own.
    modality
        DICOM modality of all images.
    coarse
        Whether the classes are only regions within which the parts lie.
    licence
        Of all images.
    exhaustive_over
        SCTIDs of the regions of which a class names all that is to be seen; ``*`` for all. By
        default its silence says nothing.

    Raises
    ------
    DataSetError
        A folder's name is not understood and not in `classes`, or is two classes at once; a
        pattern is malformed or finds no patient; or there is no image.
    """
    leftovers = Leftovers(path)
    own = name or path.resolve().name
    folders = _class_folders(path)
    labels = _labels({folder.name for folder, _ in folders}, classes or {}, terminology, path)
    pattern = _pattern(patient)
    samples: list[Sample] = []
    for folder, part in folders:
        label = labels[folder.name]
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            leftovers.rows += 1
            where = leftovers.place(file)
            if file.suffix.lower() not in SUFFIXES:
                leftovers.leave("a file that is no image by its name", where)
            elif label is None:
                leftovers.leave(f"the class '{folder.name}' is not asked for", where)
            else:
                group = _patient(file.relative_to(folder).as_posix(), pattern) or where
                samples.append(
                    Sample(
                        key=f"{own}/{where}",
                        path=file,
                        source=own,
                        group=f"{own}:{group}",
                        examined=label.examined,
                        coarse=coarse and label.examined is not None,
                        view=label.view,
                        laterality=label.laterality,
                        modality=modality,
                        licence=licence,
                        part=part,
                        router_group=label.router_group,
                    )
                )
    for file in sorted(one for one in path.iterdir() if one.is_file()):
        leftovers.leave("a file outside of the class folders", leftovers.place(file))
    leftovers.check(len(samples), "Give the folder whose folders are the classes.")
    declared = regions(exhaustive_over, terminology.graph)
    declaration = Declaration(exhaustive_over=declared, coarse_only=coarse)
    return Collection(own, tuple(samples), declaration, leftovers.left_out())


def _class_folders(path: Path) -> list[tuple[Path, str | None]]:
    """Return the class folders, each with the part of the split that it is in."""
    if not path.is_dir():
        raise DataSetError(str(path), "it is no folder", "a folder of class folders", _REMEDY)
    folders = _folders(path)
    if not folders or not all(one.name.lower() in _PARTS for one in folders):
        return [(folder, None) for folder in folders]
    return [(inner, _PARTS[outer.name.lower()]) for outer in folders for inner in _folders(outer)]


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _labels(
    names: set[str], classes: Mapping[str, str], terminology: Terminology, path: Path
) -> dict[str, _Label | None]:
    """Return what each folder says; `None` for one that is to be left out."""
    if unused := sorted(classes.keys() - names):
        raise DataSetError(
            f"{path}, option 'classes'",
            f"there is no class folder '{unused[0]}'",
            f"one of {', '.join(sorted(names)) or 'no folders'}",
            "Name the folders as they are called.",
        )
    router = {name: _ROUTER.get(re.sub(r"[\W_]", "", name).casefold()) for name in names}
    if not classes and len(names) > 1 and all(router.values()):
        return {
            name: _Label(examined=found[1], router_group=found[0])
            for name, found in router.items()
            if found is not None
        }
    labels: dict[str, _Label | None] = {}
    unknown: list[str] = []
    for name in sorted(names):
        words = classes.get(name, name)
        label = _label(words, terminology) if words else None
        if words and label is None:
            unknown.append(name)
        labels[name] = label
    if unknown:
        raise _not_understood(unknown, terminology, path)
    return labels


def _label(words: str, terminology: Terminology) -> _Label | None:
    """Return what a name says; `None` where it names no part, several, or not surely."""
    graph = terminology.graph
    if code := _CODE.fullmatch(words.strip()):
        try:
            examined, side = canonical(graph, code[1])
        except BodySiteError:
            return None
        return _Label(examined, side)
    reading = terminology.text.read(words.replace("_", " "))
    if len(reading.sites) != 1:
        return None
    site = reading.sites[0]
    # A misspelt or ambiguous name of a class would mislabel all its images.
    if site.confidence is not None and site.confidence < SURE:
        return None
    examined, side = canonical(graph, site.code)
    view = reading.view.code if reading.view is not None and len(reading.views) == 1 else None
    return _Label(examined, site.laterality or side or reading.laterality, view)


def _not_understood(names: list[str], terminology: Terminology, path: Path) -> DataSetError:
    near = Suggestions(terminology.text.words, terminology.graph)
    told = []
    for name in names:
        words = name.replace("_", " ")
        found = [f"{one.code} |{one.display}|" for one in terminology.text.read(words).sites]
        found = found or [str(one) for one in near.of(words)]
        told.append(f"'{name}'" + (f" (perhaps {' or '.join(found)})" if found else ""))
    return DataSetError(
        str(path),
        "class folders that name no one part: " + ", ".join(told),
        "words for one body part, or an SCTID",
        _REMEDY,
    )


def _pattern(patient: str | None) -> re.Pattern[str] | None:
    if patient is None:
        return None
    try:
        pattern = re.compile(patient)
    except re.error as error:
        raise _bad_pattern(patient, str(error)) from error
    if not pattern.groups:
        raise _bad_pattern(patient, "it has no group")
    return pattern


def _bad_pattern(patient: str, what: str) -> DataSetError:
    return DataSetError(
        f"option 'patient' '{patient}'",
        what,
        "a regular expression whose first group is the patient",
        "For 'P0012_3.png' it is '^(P[0-9]+)_'.",
    )


def _patient(name: str, pattern: re.Pattern[str] | None) -> str | None:
    """Return the patient in a path; an image in which none is found must not pass for a patient."""
    if pattern is None:
        return None
    found = pattern.search(name)
    if found is None or not found[1]:
        raise _bad_pattern(pattern.pattern, f"it finds no patient in '{name}'")
    return found[1]
