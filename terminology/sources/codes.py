"""`CodeReader`: reads the codes of every foreign vocabulary, by its short name or its URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence
from terminology.concept import Coding
from terminology.crosswalk import DICOM_BODY_PART, IRMA_ANATOMY, UMLS, UNIFESP
from terminology.identifiers import irma_anatomy_part
from terminology.sources.reading import CodeReading

if TYPE_CHECKING:
    from terminology.crosswalk import Crosswalk

IRMA: Final = "https://w3id.org/bodysite/CodeSystem/irma"
# The names that commands take.
SYSTEMS: Final = {"dicom": DICOM_BODY_PART, "irma": IRMA, "umls": UMLS, "unifesp": UNIFESP}


class CodeReader:
    """Reads codes; safe to share between threads.

    Parameters
    ----------
    crosswalk
        The tables.
    """

    def __init__(self, crosswalk: Crosswalk) -> None:
        self._crosswalk = crosswalk

    def read(self, system: str, value: str, version: str | None = None) -> CodeReading:
        """Return what `value` says as a code of `system`.

        `system` is a short name of `SYSTEMS` or the URI of a code system.

        Raises
        ------
        UnknownSystemError
            No table maps from the system.
        """
        uri = SYSTEMS.get(system, system)
        if uri == IRMA:
            return self._single(IRMA_ANATOMY, irma_anatomy_part(value), version)
        return self._single(uri, value, version)

    def _single(self, system: str, value: str, version: str | None) -> CodeReading:
        answer = self._crosswalk.translate(Coding(system, value, version=version))
        body = tuple(target for target in answer.targets if target.category is None)
        sides = {target.laterality for target in body}
        evidence = tuple(Evidence(system, (value,), target.rows) for target in answer.targets)
        return CodeReading(
            system=system,
            value=value,
            parts=(answer.source,),
            targets=body,
            others=tuple(target for target in answer.targets if target.category is not None),
            laterality=sides.pop() if len(sides) == 1 else None,
            evidence=evidence or (Evidence(system, (value,), note=answer.reason),),
            reason=answer.reason,
        )
