"""A series of an ImagingStudy: its instances, and the answer that most of them give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from api.bodystructures import series_site, structure_id
from api.devices import scanner_of
from api.fhir import (
    ABSENT,
    URI,
    instance_of,
    is_standard_modality,
    logical_id,
    modality_coding,
    without_empty,
)
from api.findings import Finding, findings_of, most_common
from api.observations import site_concept, views_of
from api.profiles import mii
from api.records import Resource
from api.review.tasks import Reviewed
from api.review.verdicts import Verdicts
from terminology.annotation import BodySiteAnnotation, Instance
from terminology.graph import BodyStructureGraph
from terminology.instance import is_modality

_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_DATE_TIME: Final = re.compile(
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)))?)?)?",
    re.ASCII,
)

_DESCRIPTION: Final = "SeriesDescription"


class Series:
    """A series with the answer that most of its instances give, and with what persons say.

    Parameters
    ----------
    study
        Logical id of the ImagingStudy.
    for_mii
        Whether it is to be as the German medical informatics initiative has it.

    Attributes
    ----------
    scanner
        The Device that took its images, where that is asked for and known.
    """

    def __init__(
        self,
        uid: str,
        members: tuple[BodySiteAnnotation, ...],
        study: str,
        said: Verdicts,
        graph: BodyStructureGraph,
        *,
        for_mii: bool = False,
    ) -> None:
        self.uid = uid
        self.members = members
        self.modality = most_common(valid_modality(one.modality) for one in members) or "OT"
        self.started = first(date_time(instance_of(one).started) for one in members)
        self._study = study
        self._graph = graph
        self._for_mii = for_mii
        if for_mii and not is_standard_modality(self.modality):
            # Its value set is required, and has a code for others.
            self.modality = "OT"
        self.judged = said.on_series(uid, members, findings_of(members), self._id_of)
        self.answer = self.judged.answer
        self.scanner: Resource | None = scanner_of(members, graph) if for_mii else None

    @property
    def sites(self) -> tuple[Finding, ...]:
        """All that it examines, what names it included."""
        named = () if self.answer is None else (self.answer,)
        return (*self.judged.sites, *named)

    def reviewed(self) -> Reviewed:
        """Return what of it a person should still look at."""
        waiting = (one for one in self.judged.standing if any(led.review for led in one.led_by))
        return Reviewed(self.uid, self.members, self.judged, tuple(map(self._id_of, waiting)))

    def _id_of(self, finding: Finding) -> str:
        return observation_id(self._study, self.uid, finding)

    def element(self) -> dict[str, Any]:
        """Return the element ImagingStudy.series."""
        number = first(instance_of(one).series_number for one in self.members)
        extensions = self._extensions()
        content: dict[str, Any] = {
            "extension": extensions,
            "uid": self.uid,
            "number": number if number is not None and number >= 0 else None,
            "modality": modality_coding(self.modality),
            "description": mii.described(self.members, _DESCRIPTION) if self._for_mii else None,
            "numberOfInstances": len(self.members),
            "instance": [self._instance(instance_of(one)) for one in self.members],
        }
        if self.scanner is not None:
            content["performer"] = [{"actor": {"reference": f"Device/{self.scanner.id}"}}]
        if self.answer is not None:
            site = site_concept(self.answer, self._graph)
            content["bodySite"] = site["coding"][0]
            extensions.append(series_site(site, structure_id(self._study, self.answer.key)))
            if self.answer.laterality is not None:
                side = self.answer.laterality.coding
                content["laterality"] = {
                    "system": side.system,
                    "code": side.code,
                    "display": side.display,
                }
        return without_empty(content)

    def _extensions(self) -> list[dict[str, Any]]:
        """Return its view, a person's or the one that the images agree on, and how it was taken."""
        views = [self.judged.view] if self.judged.view else views_of(self.members)
        if self._for_mii:
            return list(mii.series_extensions(self.modality, self.members, views))
        if self.modality not in mii.PROJECTION or len(views) != 1:
            return []
        return [mii.projection(views)]

    def _instance(self, instance: Instance) -> dict[str, Any]:
        sop_class = instance.sop_class_uid
        if sop_class and _UID.fullmatch(sop_class):
            coding: dict[str, Any] = {"system": URI, "code": f"urn:oid:{sop_class}"}
        else:
            coding = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
        number = instance.instance_number
        content = {
            "extension": mii.instance_extensions(instance, self.modality) if self._for_mii else [],
            "uid": instance.sop_instance_uid,
            "sopClass": coding,
            "number": number if number is not None and number >= 0 else None,
        }
        return without_empty(content)


def observation_id(of: str, part: str, finding: Finding) -> str:
    """Return the logical id of the Observation of a site: of a series, or of a picture."""
    code, side = finding.key
    return logical_id("observation", of, part, code, side or "")


def valid_modality(value: str | None) -> str | None:
    """Return `value` when it has the form of a modality code."""
    return value if value and is_modality(value) else None


def date_time(value: str | None) -> str | None:
    """Return `value` when it is a FHIR dateTime of a day that there is."""
    if not value or not _DATE_TIME.fullmatch(value):
        return None
    try:
        day = value[:10]
        date.fromisoformat(day + "-01-01"[len(day) - 4 :])
    except ValueError:
        return None
    return value


def first(values: Iterable[Any]) -> Any:
    """Return the first value that there is, `None` without one."""
    return next((value for value in values if value is not None), None)
