"""`Sample`, one image and what is said of it; `Declaration`, what a source's silence means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import canonical

# In `Declaration.exhaustive_over`: the source names every part that is in the frame.
EVERYTHING: Final = "*"
# What a reader of words or headers is less sure of is a misspelling, or has several meanings.
SURE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, and what its source says of it, in concepts.

    Codes are SCTIDs of today and unsided (`terminology.vocabulary.canonical`). An empty or `None`
    field is unknown, never "none".

    Attributes
    ----------
    key
        Who the sample is within all collections: ``source/identifier of the source``.
    path
        The image file.
    source
        The collection, hospital or repository it is from: what leave-one-source-out leaves out.
    group
        The patient, as ``source:patient``; what must not be split. The image itself where the
        source does not say.
    frame
        Which frame of a multi-frame file, from 0.
    examined
        The part that was examined.
    coarse
        Whether `examined` is only a region within which the part lies: what is below is unknown.
    visible
        Parts that are in the frame, as stated; `examined` need not be repeated. What subsumes
        them follows.
    absent
        Parts that the source states not to be in the frame.
    view
        SNOMED CT code of the view (CID 4010 and others); 399033003 |frontal| stands for AP or PA.
    modality
        DICOM code of Modality, such as DX, CT, MR.
    irma
        The IRMA code in the form TTTT-DDD-AAA-BBB.
    """

    key: str
    path: Path
    source: str
    group: str
    frame: int = 0
    examined: str | None = None
    coarse: bool = False
    visible: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    view: str | None = None
    laterality: Laterality | None = None
    modality: str | None = None
    irma: str | None = None
    age_years: float | None = None
    caption: str | None = None
    licence: str | None = None
    part: str | None = None
    """The source's own division: ``train``, ``validation``, ``test``."""
    router_group: RouterGroup | None = None
    """Where the source states it; else it follows from `examined` and `age_years`."""
    origin: str | None = None
    """The key of the sample that the image was cut out of."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the labels of a source say about absence.

    Attributes
    ----------
    positive_closure
        Whether a part that is there implies that what subsumes it is there.
    exhaustive_over
        SCTIDs of regions: a label at or below one of them that the source does not name is
        absent. `EVERYTHING` for all. Empty: silence says nothing.
    coarse_only
        Whether every label is only a region within which the part lies.
    """

    positive_closure: bool = True
    exhaustive_over: frozenset[str] = frozenset()
    coarse_only: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that a reader could not use: where, why, and how many of that kind."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Collection:
    """The samples of one data set, in the order of its files, and what its silence means."""

    name: str
    samples: tuple[Sample, ...]
    declaration: Declaration = field(default_factory=Declaration)
    left_out: tuple[LeftOut, ...] = ()


def regions(codes: str | Sequence[str], graph: BodyStructureGraph) -> frozenset[str]:
    """Return `codes`, one or several, as `Declaration.exhaustive_over` holds them.

    Raises
    ------
    UnknownConceptError
        The graph lacks one of them.
    """
    given = (codes,) if isinstance(codes, str) else codes
    return frozenset(one if one == EVERYTHING else canonical(graph, one)[0] for one in given)
