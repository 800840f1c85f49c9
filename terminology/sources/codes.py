"""`CodeReader`: reads the codes of every foreign vocabulary, by its short name or its URI."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence
from terminology.concept import Coding
from terminology.crosswalk import DICOM_BODY_PART, UMLS, UNIFESP
from terminology.sources.dicom import FMA, ICD_O_3, RADLEX, UBERON, code_of
from terminology.sources.irma import IRMA
from terminology.sources.irma_reading import IRMA_SYSTEMS, read_irma
from terminology.sources.reading import CodeReading
from terminology.sources.umls import read_umls
from terminology.sources.unifesp import UnifespLabels, read_unifesp

if TYPE_CHECKING:
    from terminology.concept import View
    from terminology.crosswalk import Crosswalk
    from terminology.entries import Region

# The names that commands take.
SYSTEMS: Final = {
    "dicom": DICOM_BODY_PART,
    "fma": FMA,
    "icd-o-3": ICD_O_3,
    "irma": IRMA,
    "radlex": RADLEX,
    "uberon": UBERON,
    "umls": UMLS,
    "unifesp": UNIFESP,
}
_NO_REGIONS: Final[Mapping[frozenset[str], Region]] = MappingProxyType({})
_NO_VIEWS: Final[Mapping[str, View]] = MappingProxyType({})


class CodeReader:
    """Reads codes; safe to share between threads.

    Parameters
    ----------
    crosswalk
        The tables.
    regions
        Which concepts together are one concept, for strings of several labels.
    views
        The views by their code, for the values of ViewPosition.
    """

    def __init__(
        self,
        crosswalk: Crosswalk,
        regions: Mapping[frozenset[str], Region] = _NO_REGIONS,
        views: Mapping[str, View] = _NO_VIEWS,
    ) -> None:
        self._crosswalk = crosswalk
        self._regions = regions
        self._views = views
        self._unifesp = lru_cache(maxsize=8)(self._unifesp_labels)

    def read(self, system: str, value: str, version: str | None = None) -> CodeReading:
        """Return what `value` says as a code of `system`.

        `system` is a short name of `SYSTEMS` or the URI of a code system.

        Raises
        ------
        UnknownSystemError
            No table maps from the system.
        """
        uri = SYSTEMS.get(system, system)
        if uri in IRMA_SYSTEMS:
            return read_irma(self._crosswalk, self._views, uri, value, version)
        if uri == UNIFESP:
            labels = self._unifesp(version)
            return read_unifesp(self._crosswalk, labels, self._regions, value, version)
        if uri == UMLS:
            return read_umls(self._crosswalk, value, version)
        return self._single(uri, value, version)

    def _unifesp_labels(self, version: str | None) -> UnifespLabels:
        return UnifespLabels.of(self._crosswalk.mapping_sets(UNIFESP, version))

    def _single(self, system: str, value: str, version: str | None) -> CodeReading:
        code = code_of(system, value) or value
        answer = self._crosswalk.translate(Coding(system, code, version=version))
        evidence = tuple(Evidence(system, (value,), target.rows) for target in answer.targets)
        return CodeReading.of(
            system,
            value,
            answer.targets,
            parts=(answer.source,),
            evidence=evidence or (Evidence(system, (value,), note=answer.reason),),
            reason=answer.reason,
        )
