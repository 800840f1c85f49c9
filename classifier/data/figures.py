"""`Figure`: a picture of a journal with its caption and CUIs, and the sample that it makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifier.data.captions import modalities_of, one_modality
from classifier.data.sample import Sample
from terminology.library import Terminology
from terminology.mapping import BROAD, CLOSE, EXACT
from terminology.vocabulary import canonical

# UMLS CUIs of imaging procedures, as ROCO and ROCOv2 give them.
_MODALITIES: Final = {
    "C0002978": "XA",  # angiogram
    "C0013516": "US",  # echocardiography
    "C0016356": "RF",  # fluoroscopy
    "C0024485": "MR",  # magnetic resonance imaging
    "C0024671": "MG",  # mammography
    "C0032743": "PT",  # positron-emission tomography
    "C0040405": "CT",  # X-ray computed tomography
    "C0041618": "US",  # ultrasonography
    "C0043299": "RG",  # diagnostic radiologic examination
    "C1306645": "RG",  # plain X-ray
    "C1699633": "PT",  # PET/CT scan
    "C1962945": "RG",  # radiographic imaging procedure
}
NO_FILE: Final = "a figure without an image file"
_CUI: Final = re.compile(r"C[0-9]{7}")
# Said of the part itself, or of what it is in; a narrower part need not be in the picture.
_STANDING: Final = (EXACT, CLOSE, BROAD)


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as its set describes it; `article` is the publication that it stands in."""

    identifier: str
    path: Path
    part: str
    cuis: tuple[str, ...] = ()
    caption: str = ""
    keywords: tuple[str, ...] = ()
    licence: str = ""
    article: str = ""


def is_cui(text: str) -> bool:
    """Return whether `text` is a CUI: C and seven digits."""
    return _CUI.fullmatch(text) is not None


class FigureReader:
    """Makes samples of figures; the parts of a CUI are looked up once.

    Parameters
    ----------
    name
        The set.
    terminology
        What reads the CUIs.
    version
        Version of the tables of CUIs; by default the newest.
    coded_first
        Whether the CUIs of imaging procedures are surer of the modality than the caption.
    """

    def __init__(
        self, name: str, terminology: Terminology, version: str | None, *, coded_first: bool
    ) -> None:
        self._name = name
        self._terminology = terminology
        self._version = version
        self._coded_first = coded_first
        self._parts: dict[str, str | None] = {}

    def sample(self, figure: Figure) -> Sample:
        """Return the sample of `figure`: the parts that its CUIs name are in the frame.

        Sides are not kept: of a chest whose left lung is named, the image is not a left one.
        """
        parts = (self._part(cui) for cui in figure.cuis)
        return Sample(
            key=f"{self._name}/{figure.identifier}",
            path=figure.path,
            source=self._name,
            group=f"{self._name}:{figure.article or figure.identifier}",
            visible=tuple(dict.fromkeys(part for part in parts if part is not None)),
            modality=self._modality(figure),
            caption=figure.caption or None,
            licence=figure.licence or None,
            part=figure.part,
        )

    def _part(self, cui: str) -> str | None:
        """Return the body structure of a CUI; `None` where no table has one, or one blocks it."""
        if cui not in self._parts:
            reading = self._terminology.codes.read("umls", cui, self._version)
            best = next((one for one in reading.targets if one.predicate in _STANDING), None)
            graph = self._terminology.graph
            self._parts[cui] = None if best is None else canonical(graph, best.code)[0]
        return self._parts[cui]

    def _modality(self, figure: Figure) -> str | None:
        """Return the modality by the first of caption, keywords and CUIs that names one.

        Keywords and CUIs of ROCO were made from the caption, and "CT" and "MRI" in it have no CUI.
        """
        coded: Iterable[str] = [_MODALITIES[cui] for cui in figure.cuis if cui in _MODALITIES]
        told = [modalities_of(figure.caption), modalities_of(", ".join(figure.keywords))]
        told.insert(0 if self._coded_first else len(told), frozenset(coded))
        return one_modality(next((named for named in told if named), ()))
