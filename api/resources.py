"""Annotations → ImagingStudy, Observation, Device and Provenance (FHIR R4).

A study is built from all annotations of its instances at once, a picture from its own alone; the
same annotations always give the same resources under the same ids.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from pydantic import TypeAdapter

from api.devices import Devices
from api.extensions import EXAMINED_SITE
from api.fhir import (
    ABSENT,
    DICOM_UID,
    URI,
    instance_of,
    logical_id,
    modality_coding,
    patient_tokens,
    resource,
    without_empty,
)
from api.findings import clean, findings_of, most_common, sites_of_study, visible_in, vote
from api.model.description import ModelDescription
from api.observations import (
    About,
    codes_of,
    examined_observation,
    site_concept,
    views_of,
    visible_observation,
)
from api.phi import PSEUDONYM_SYSTEM, PhiPolicy
from api.records import Resource, Token
from classifier.fusion import NO_MODEL
from classifier.prediction import Predictor
from terminology.annotation import BodySiteAnnotation, Instance
from terminology.concept import DICOM, SNOMED
from terminology.graph import BodyStructureGraph
from terminology.instance import is_modality

# What a picture is known by that has no UIDs: the SHA-256 of its file.
PICTURE_SYSTEM: Final = "https://w3id.org/bodysite/NamingSystem/picture"
_IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_DATE_TIME: Final = re.compile(
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)))?)?)?",
    re.ASCII,
)
# Extensions of the German medical informatics initiative (module imaging), which FHIR itself has no
# element for: the series that an Observation is about, and the view of a projection radiograph.
_MII: Final = "https://www.medizininformatik-initiative.de/fhir/ext/modul-bildgebung"
_SERIES_UID: Final = f"{_MII}/StructureDefinition/mii-ex-bildgebung-series-uid"
_PROJECTION: Final = f"{_MII}/StructureDefinition/mii-ex-bildgebung-modalitaet-mg-cr-dx"
_PROJECTION_MODALITIES: Final = frozenset({"MG", "CR", "DX"})

ANNOTATION: Final = TypeAdapter(BodySiteAnnotation)


def study_id(study_uid: str) -> str:
    """Return the logical id of the ImagingStudy of a Study Instance UID."""
    return logical_id("study", study_uid)


def picture_id(digest: str) -> str:
    """Return the id under which the store keeps what is known of a picture."""
    return logical_id("picture", digest)


@dataclass(frozen=True, slots=True)
class ResourceBuilder:
    """Builds the resources of studies and pictures from their annotations.

    `predictor` is the model that is loaded; it is described where annotations rest on it.
    """

    graph: BodyStructureGraph
    policy: PhiPolicy
    predictor: Predictor | None = None
    _current: ModelDescription | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.predictor is not None:
            object.__setattr__(self, "_current", ModelDescription.of(self.predictor))

    def study(self, annotations: Sequence[BodySiteAnnotation]) -> list[Resource]:
        """Return ImagingStudy, Observations, Provenance and Devices of one study.

        Parameters
        ----------
        annotations
            Those of all known instances of one study, at least one, each with its `instance`.
        """
        ordered = sorted(annotations, key=_instance_order)
        series: dict[str, list[BodySiteAnnotation]] = defaultdict(list)
        for annotation in ordered:
            series[instance_of(annotation).series_uid].append(annotation)
        built = [_Series(uid, tuple(members)) for uid, members in series.items()]
        subject = self._subject(ordered)
        devices = self._devices(ordered)
        study = self._imaging_study(built, ordered, subject)
        observations = [
            observation
            for one in built
            for observation in self._of_series(one, study.id, subject, devices)
        ]
        uid = instance_of(ordered[0]).study_uid
        source = {"identifier": {"system": DICOM_UID, "value": f"urn:oid:{uid}"}}
        provenance = _provenance((study, *observations), devices, source, study.id)
        return [study, *observations, provenance, *devices]

    def picture(self, annotation: BodySiteAnnotation, digest: str) -> list[Resource]:
        """Return Observations, Provenance and Devices of a plain picture; none when it has none.

        It has no UIDs, so there is no ImagingStudy.

        Parameters
        ----------
        digest
            SHA-256 of its file in hexadecimal, as the PHI policy lets it out.
        """
        devices = self._devices([annotation])
        identifier = {"system": PICTURE_SYSTEM, "value": digest}
        about = About(
            self._unknown_subject(),
            identifiers=(identifier,),
            modality=_valid_modality(annotation.modality),
        )
        observations = [
            examined_observation(
                logical_id(
                    "observation", "picture", digest, one.best.site.code, one.laterality or ""
                ),
                one,
                about,
                devices,
                self.graph,
            )
            for one in findings_of([annotation])
        ]
        if annotation.visible:
            shown = visible_in([annotation])
            visible = logical_id("observation", "picture", digest, "visible")
            observations.append(visible_observation(visible, shown, about, devices, [annotation]))
        if not observations:
            return []
        source = {"identifier": identifier}
        provenance = _provenance(observations, devices, source, picture_id(digest))
        return [*observations, provenance, *devices]

    def _devices(self, annotations: Iterable[BodySiteAnnotation]) -> Devices:
        return Devices.of(annotations, self.graph.version, self._current)

    def _of_series(
        self, series: _Series, study: str, subject: Mapping[str, Any], devices: Devices
    ) -> Iterable[Resource]:
        about = About(
            subject,
            study=study,
            started=series.started,
            extensions=({"url": _SERIES_UID, "valueId": series.uid},),
        )
        for finding in series.findings:
            side = finding.laterality or ""
            code = finding.best.site.code
            resource_id = logical_id("observation", study, series.uid, code, side)
            yield examined_observation(resource_id, finding, about, devices, self.graph)
        visible = visible_in(series.members)
        if visible:
            resource_id = logical_id("observation", study, series.uid, "visible")
            yield visible_observation(resource_id, visible, about, devices, series.members)

    def _imaging_study(
        self,
        series: Sequence[_Series],
        annotations: Sequence[BodySiteAnnotation],
        subject: Mapping[str, Any],
    ) -> Resource:
        first = instance_of(annotations[0])
        identifiers: list[dict[str, Any]] = [
            {"system": DICOM_UID, "value": f"urn:oid:{first.study_uid}"}
        ]
        accession = _first(
            clean(instance_of(one).accession_number or "") or None for one in annotations
        )
        if accession is not None:
            identifiers.append(_accession(accession, self.policy))
        modalities = sorted({one.modality for one in series})
        started = [_date_time(instance_of(one).started) for one in annotations]
        notes = dict.fromkeys(
            clean(text)
            for one in annotations
            for text in (
                *one.conflicts,
                *(f"Header: {flag}." for flag in one.flags),
                *(() if NO_MODEL in one.notes else one.notes),
            )
        )
        sites = sites_of_study((one.answer for one in series), self.graph)
        content: dict[str, Any] = {
            "extension": [
                {"url": EXAMINED_SITE, "valueCodeableConcept": site_concept(one, self.graph)}
                for one in sites
            ],
            "identifier": identifiers,
            "status": "available",
            "modality": [modality_coding(code) for code in modalities],
            "subject": dict(subject),
            "started": min((value for value in started if value), default=None),
            "numberOfSeries": len(series),
            "numberOfInstances": len(annotations),
            "note": [{"text": text} for text in notes if text],
            "series": [one.element() for one in series],
        }
        tokens = [
            *(Token("identifier", one.get("system", ""), one["value"]) for one in identifiers),
            *patient_tokens(subject),
            *(Token("modality", DICOM, code) for code in modalities),
            *(Token("series", DICOM_UID, f"urn:oid:{one.uid}") for one in series),
            # Every site that was found, not only the one that ImagingStudy.series has room for.
            *(
                Token("bodysite", SNOMED, code)
                for one in series
                for finding in one.findings
                for code in codes_of(finding, self.graph)
            ),
            Token("status", "http://hl7.org/fhir/imagingstudy-status", "available"),
        ]
        return resource("ImagingStudy", study_id(first.study_uid), content, tokens)

    def _subject(self, annotations: Sequence[BodySiteAnnotation]) -> dict[str, Any]:
        """Return a logical reference: ImagingStudy.subject must be there, a Patient need not."""
        known = next((one for one in annotations if clean(instance_of(one).patient_id or "")), None)
        if known is None:
            return self._unknown_subject()
        instance = instance_of(known)
        identifier: dict[str, Any] = {"value": clean(instance.patient_id or "")}
        if self.policy is PhiPolicy.HASH:
            identifier["system"] = PSEUDONYM_SYSTEM
        if instance.issuer_of_patient_id:
            identifier["assigner"] = {"display": clean(instance.issuer_of_patient_id)}
        return {"type": "Patient", "identifier": identifier}

    def _unknown_subject(self) -> dict[str, Any]:
        reason = "masked" if self.policy is PhiPolicy.DROP else "unknown"
        return {"type": "Patient", "extension": [{"url": ABSENT, "valueCode": reason}]}


class _Series:
    """A series with the answer that most of its instances give."""

    def __init__(self, uid: str, members: tuple[BodySiteAnnotation, ...]) -> None:
        self.uid = uid
        self.members = members
        self.modality = most_common(_valid_modality(one.modality) for one in members) or "OT"
        self.started = _first(_date_time(instance_of(one).started) for one in members)
        self.findings = findings_of(members)
        self.answer = vote(self.findings)

    def element(self) -> dict[str, Any]:
        """Return the element ImagingStudy.series."""
        number = _first(instance_of(one).series_number for one in self.members)
        content: dict[str, Any] = {
            "extension": self._projection(),
            "uid": self.uid,
            "number": number if number is not None and number >= 0 else None,
            "modality": modality_coding(self.modality),
            "numberOfInstances": len(self.members),
            "instance": [_instance_element(instance_of(one)) for one in self.members],
        }
        if self.answer is not None:
            site = self.answer.best.site
            content["bodySite"] = {"system": SNOMED, "code": site.code, "display": site.display}
            if self.answer.laterality is not None:
                side = self.answer.laterality.coding
                content["laterality"] = {
                    "system": side.system,
                    "code": side.code,
                    "display": side.display,
                }
        return without_empty(content)

    def _projection(self) -> list[dict[str, Any]]:
        """Return the view as an extension, when the images of the series agree on one."""
        views = views_of(self.members)
        if self.modality not in _PROJECTION_MODALITIES or len(views) != 1:
            return []
        view = {"url": "viewPosition", "valueCodeableConcept": views[0]}
        return [{"url": _PROJECTION, "extension": [view]}]


def _provenance(
    targets: Sequence[Resource], devices: Devices, source: Mapping[str, Any], of: str
) -> Resource:
    """Return who made `targets` out of `source`."""
    assembler = {"system": _PARTICIPANT, "code": "assembler", "display": "Assembler"}
    content = {
        "target": [{"reference": f"{one.type}/{one.id}"} for one in targets],
        "recorded": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "activity": {"text": "Body sites read from images and their headers"},
        "agent": [
            {"type": {"coding": [assembler]}, "who": {"reference": f"Device/{one.id}"}}
            for one in devices
        ],
        "entity": [{"role": "source", "what": dict(source)}],
    }
    return resource("Provenance", logical_id("provenance", of), content, ())


def _instance_element(instance: Instance) -> dict[str, Any]:
    sop_class = instance.sop_class_uid
    if sop_class and _UID.fullmatch(sop_class):
        coding: dict[str, Any] = {"system": URI, "code": f"urn:oid:{sop_class}"}
    else:
        coding = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    number = instance.instance_number
    content = {
        "uid": instance.sop_instance_uid,
        "sopClass": coding,
        "number": number if number is not None and number >= 0 else None,
    }
    return without_empty(content)


def _accession(value: str, policy: PhiPolicy) -> dict[str, Any]:
    coding = {"system": _IDENTIFIER_TYPE, "code": "ACSN", "display": "Accession ID"}
    identifier: dict[str, Any] = {"type": {"coding": [coding]}}
    if policy is PhiPolicy.HASH:
        identifier["system"] = PSEUDONYM_SYSTEM
    return {**identifier, "value": clean(value)}


def _valid_modality(value: str | None) -> str | None:
    return value if value and is_modality(value) else None


def _date_time(value: str | None) -> str | None:
    """Return `value` when it is a FHIR dateTime of a day that there is."""
    if not value or not _DATE_TIME.fullmatch(value):
        return None
    try:
        day = value[:10]
        date.fromisoformat(day + "-01-01"[len(day) - 4 :])
    except ValueError:
        return None
    return value


def _instance_order(annotation: BodySiteAnnotation) -> tuple[Any, ...]:
    one = instance_of(annotation)
    return (
        one.series_number is None,
        one.series_number or 0,
        one.series_uid,
        one.instance_number is None,
        one.instance_number or 0,
        one.sop_instance_uid,
    )


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)
