"""Annotations → ImagingStudy, Observation, Device and Provenance (FHIR R4).

Only this file imports fhir.resources; its R4B classes have, for what is used here, the elements of
R4 (4.0.1). A study is built from all annotations of its instances at once, and the same
annotations always give the same resources under the same ids.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import metadata
from typing import Any, Final
from uuid import UUID, uuid5

from fhir.resources.R4B.device import Device
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.provenance import Provenance
from pydantic import TypeAdapter
from pydicom.sr.codedict import codes

from api.findings import Finding, clean, findings_of, vote
from api.phi import PSEUDONYM_SYSTEM, PhiPolicy
from api.records import Resource, Token
from classifier.prediction import Predictor
from terminology.annotation import BodySiteAnnotation, Instance, Source
from terminology.concept import DICOM, SNOMED, Coding, View
from terminology.graph import BodyStructureGraph
from terminology.instance import is_modality

DICOM_UID: Final = "urn:dicom:uid"
LOINC: Final = "http://loinc.org"
URI: Final = "urn:ietf:rfc:3986"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_NAMESPACE: Final = UUID("6f0c1d0e-8f0b-5d0c-9b57-3f2f6a0f5a11")

# What the Observation states is the site itself. LOINC 39111-0 says so for any patient; DICOM's
# 123014 is the name that PS3.16 TID 1602 gives the anatomic region in an image library.
_SITE_CODE: Final = {
    "coding": [
        {"system": LOINC, "code": "39111-0", "display": "Body site"},
        {"system": DICOM, "code": "123014", "display": "Target Region"},
    ],
    "text": "Examined body site",
}
# PS3.16 TID 1602: the names of side and view; 111012 is what a device places upon its finding.
_LATERALITY_CODE: Final = {
    "coding": [{"system": DICOM, "code": "111027", "display": "Image Laterality"}]
}
_VIEW_CODE: Final = {"coding": [{"system": DICOM, "code": "111031", "display": "Image View"}]}
_CERTAINTY_CODE: Final = {
    "coding": [{"system": DICOM, "code": "111012", "display": "Certainty of Finding"}]
}

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
_NOT_A_DEVICE: Final = "For research and data curation; this is no medical device."

ANNOTATION: Final = TypeAdapter(BodySiteAnnotation)


def study_id(study_uid: str) -> str:
    """Return the logical id of the ImagingStudy of a Study Instance UID."""
    return _id("study", study_uid)


@dataclass(frozen=True, slots=True)
class ResourceBuilder:
    """Builds the resources of studies from the annotations of their instances."""

    graph: BodyStructureGraph
    policy: PhiPolicy
    predictor: Predictor | None = None

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
            series[_instance(annotation).series_uid].append(annotation)
        built = [_Series(uid, tuple(members)) for uid, members in series.items()]
        subject = self._subject(ordered)
        devices = self.devices(ordered)
        study = self._imaging_study(built, ordered, subject)
        observations = [
            self._observation(one, finding, study.id, subject, devices)
            for one in built
            for finding in one.findings
        ]
        provenance = self._provenance(study, observations, devices, ordered)
        return [study, *observations, provenance, *devices.values()]

    def devices(self, annotations: Iterable[BodySiteAnnotation]) -> dict[Source, Resource]:
        """Return the devices behind `annotations`: the header reader, and the model if it spoke."""
        devices = {Source.HEADER: _device("Bodysite header reader", _version(), self.graph.version)}
        spoke = any(annotation.image for annotation in annotations)
        if spoke and self.predictor is not None:
            devices[Source.IMAGE] = _device(
                self.predictor.name, self.predictor.version, self.graph.version
            )
        return devices

    def _imaging_study(
        self,
        series: Sequence[_Series],
        annotations: Sequence[BodySiteAnnotation],
        subject: Mapping[str, Any],
    ) -> Resource:
        first = _instance(annotations[0])
        identifiers: list[dict[str, Any]] = [
            {"system": DICOM_UID, "value": f"urn:oid:{first.study_uid}"}
        ]
        accession = _first(
            clean(_instance(one).accession_number or "") or None for one in annotations
        )
        if accession is not None:
            identifiers.append(_accession(accession, self.policy))
        modalities = sorted({one.modality for one in series})
        started = [_date_time(_instance(one).started) for one in annotations]
        notes = dict.fromkeys(
            clean(text)
            for one in annotations
            for text in (*one.conflicts, *(f"Header: {flag}." for flag in one.flags))
        )
        content: dict[str, Any] = {
            "identifier": identifiers,
            "status": "available",
            "modality": [_modality(code) for code in modalities],
            "subject": dict(subject),
            "started": min((value for value in started if value), default=None),
            "numberOfSeries": len(series),
            "numberOfInstances": len(annotations),
            "note": [{"text": text} for text in notes if text],
            "series": [one.element() for one in series],
        }
        tokens = [
            *(Token("identifier", one.get("system", ""), one["value"]) for one in identifiers),
            *_patient_tokens(subject),
            *(Token("modality", DICOM, code) for code in modalities),
            *(Token("series", DICOM_UID, f"urn:oid:{one.uid}") for one in series),
            # Every site that was found, not only the one that ImagingStudy.series has room for.
            *(
                Token("bodysite", SNOMED, code)
                for one in series
                for finding in one.findings
                for code in self._codes(finding)
            ),
            Token("status", "http://hl7.org/fhir/imagingstudy-status", "available"),
        ]
        return _resource("ImagingStudy", study_id(first.study_uid), content, tokens)

    def _observation(
        self,
        series: _Series,
        finding: Finding,
        study: str,
        subject: Mapping[str, Any],
        devices: Mapping[Source, Resource],
    ) -> Resource:
        site = finding.best.site
        coding = {"system": SNOMED, "code": site.code, "display": site.display}
        body_site: dict[str, Any] = {"coding": [coding], "text": _site_text(finding)}
        sided = self._sided(finding)
        if sided is not None:
            display = self.graph.lookup(sided).display
            body_site["coding"].append({"system": SNOMED, "code": sided, "display": display})
        components = []
        if finding.laterality is not None:
            components.append(_component(_LATERALITY_CODE, _concept(finding.laterality.coding)))
        views = _view_concepts(finding.stated_by)
        components.extend(_component(_VIEW_CODE, view) for view in views)
        if site.confidence is not None:
            certainty = {
                "value": round(site.confidence * 100, 1),
                "unit": "%",
                "system": "http://unitsofmeasure.org",
                "code": "%",
            }
            components.append({"code": _CERTAINTY_CODE, "valueQuantity": certainty})
        device = devices.get(finding.best.source, devices[Source.HEADER])
        content = {
            "extension": [{"url": _SERIES_UID, "valueId": series.uid}],
            "status": "preliminary",
            "category": [
                {"coding": [{"system": _CATEGORY, "code": "imaging", "display": "Imaging"}]}
            ],
            "code": _SITE_CODE,
            "subject": dict(subject),
            "effectiveDateTime": series.started,
            "valueCodeableConcept": {"coding": [coding]},
            "note": [{"text": text} for text in finding.notes],
            "bodySite": body_site,
            "device": {"reference": f"Device/{device.id}"},
            "derivedFrom": [{"reference": f"ImagingStudy/{study}"}],
            "component": components,
        }
        tokens = [
            *_patient_tokens(subject),
            *(Token("body-site", SNOMED, code) for code in self._codes(finding)),
            *(Token("code", one["system"], one["code"]) for one in _SITE_CODE["coding"]),  # type: ignore[index]
            Token("status", "http://hl7.org/fhir/observation-status", "preliminary"),
            Token("category", _CATEGORY, "imaging"),
            Token("derived-from", "ImagingStudy", study),
        ]
        side = finding.laterality or ""
        resource_id = _id("observation", study, series.uid, site.code, side)
        return _resource("Observation", resource_id, content, tokens)

    def _provenance(
        self,
        study: Resource,
        observations: Sequence[Resource],
        devices: Mapping[Source, Resource],
        annotations: Sequence[BodySiteAnnotation],
    ) -> Resource:
        targets = [f"{one.type}/{one.id}" for one in (study, *observations)]
        assembler = {"system": _PARTICIPANT, "code": "assembler", "display": "Assembler"}
        uid = _instance(annotations[0]).study_uid
        content = {
            "target": [{"reference": target} for target in targets],
            "recorded": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "activity": {"text": "Body sites read from DICOM instances"},
            "agent": [
                {
                    "type": {"coding": [assembler]},
                    "who": {"reference": f"Device/{device.id}"},
                }
                for device in devices.values()
            ],
            "entity": [
                {
                    "role": "source",
                    "what": {"identifier": {"system": DICOM_UID, "value": f"urn:oid:{uid}"}},
                }
            ],
        }
        return _resource("Provenance", _id("provenance", study.id), content, ())

    def _subject(self, annotations: Sequence[BodySiteAnnotation]) -> dict[str, Any]:
        """Return a logical reference: ImagingStudy.subject must be there, a Patient need not."""
        known = next((one for one in annotations if clean(_instance(one).patient_id or "")), None)
        reference: dict[str, Any] = {"type": "Patient"}
        if known is None:
            reason = "masked" if self.policy is PhiPolicy.DROP else "unknown"
            return {**reference, "extension": [{"url": ABSENT, "valueCode": reason}]}
        instance = _instance(known)
        identifier: dict[str, Any] = {"value": clean(instance.patient_id or "")}
        if self.policy is PhiPolicy.HASH:
            identifier["system"] = PSEUDONYM_SYSTEM
        if instance.issuer_of_patient_id:
            identifier["assigner"] = {"display": clean(instance.issuer_of_patient_id)}
        return {**reference, "identifier": identifier}

    def _sided(self, finding: Finding) -> str | None:
        if finding.laterality is None:
            return None
        return self.graph.sided(finding.best.site.code, finding.laterality)

    def _codes(self, finding: Finding) -> tuple[str, ...]:
        """Return the codes that a search finds the finding by: the site, and its sided concept."""
        sided = self._sided(finding)
        return (finding.best.site.code, sided) if sided else (finding.best.site.code,)


def _patient_tokens(subject: Mapping[str, Any]) -> list[Token]:
    """Return what `patient:identifier` finds the resource by."""
    identifier = subject.get("identifier")
    if identifier is None:
        return []
    return [Token("patient", identifier.get("system", ""), identifier["value"])]


class _Series:
    """A series with the answer that most of its instances give."""

    def __init__(self, uid: str, members: tuple[BodySiteAnnotation, ...]) -> None:
        self.uid = uid
        self.members = members
        self.modality = _first(_valid_modality(one.modality) for one in members) or "OT"
        self.started = _first(_date_time(_instance(one).started) for one in members)
        self.findings = findings_of(members)
        self.answer = vote(members, self.findings)

    def element(self) -> dict[str, Any]:
        """Return the element ImagingStudy.series."""
        number = _first(_instance(one).series_number for one in self.members)
        content: dict[str, Any] = {
            "extension": self._projection(),
            "uid": self.uid,
            "number": number if number is not None and number >= 0 else None,
            "modality": _modality(self.modality),
            "numberOfInstances": len(self.members),
            "instance": [_instance_element(_instance(one)) for one in self.members],
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
        return _without_empty(content)

    def _projection(self) -> list[dict[str, Any]]:
        """Return the view as an extension, when the images of the series agree on one."""
        views = _view_concepts(self.members)
        if self.modality not in _PROJECTION_MODALITIES or len(views) != 1:
            return []
        view = {"url": "viewPosition", "valueCodeableConcept": views[0]}
        return [{"url": _PROJECTION, "extension": [view]}]


def _view_concepts(annotations: Iterable[BodySiteAnnotation]) -> list[dict[str, Any]]:
    """Return the views of the images, each once, ordered by code."""
    found = {one.view.code: one.view for one in annotations if one.view is not None}
    return [_concept(view) for _, view in sorted(found.items())]


def _site_text(finding: Finding) -> str:
    side = finding.laterality
    return f"{finding.best.site.display} ({side})" if side else finding.best.site.display


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
    return _without_empty(content)


def _accession(value: str, policy: PhiPolicy) -> dict[str, Any]:
    coding = {"system": _IDENTIFIER_TYPE, "code": "ACSN", "display": "Accession ID"}
    identifier: dict[str, Any] = {"type": {"coding": [coding]}}
    if policy is PhiPolicy.HASH:
        identifier["system"] = PSEUDONYM_SYSTEM
    return {**identifier, "value": clean(value)}


def _component(code: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": dict(code), "valueCodeableConcept": dict(value)}


def _concept(value: Coding | View) -> dict[str, Any]:
    """Return a CodeableConcept of a SNOMED CT code."""
    return {"coding": [{"system": SNOMED, "code": value.code, "display": value.display}]}


@cache
def _modality_names() -> Mapping[str, str]:
    """Return the modalities of PS3.16 CID 33, code → meaning."""
    context = codes.cid33
    return {str(one.value): str(one.meaning) for one in map(context.__getattr__, context.dir())}


def _modality(code: str) -> dict[str, str]:
    coding = {"system": DICOM, "code": code}
    display = _modality_names().get(code)
    return {**coding, "display": display} if display else coding


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


def _instance(annotation: BodySiteAnnotation) -> Instance:
    assert annotation.instance is not None  # noqa: S101
    return annotation.instance


def _instance_order(annotation: BodySiteAnnotation) -> tuple[Any, ...]:
    one = _instance(annotation)
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


def _without_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value not in (None, [], {}, "")}


@cache
def _device(name: str, version: str, structures: str) -> Resource:
    """Return the Device of a piece of software that reads body structures of a version."""
    content = {
        "status": "active",
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "version": [
            {"type": {"text": "software"}, "value": version},
            {"type": {"text": "body structures"}, "value": structures},
        ],
        "note": [{"text": _NOT_A_DEVICE}],
    }
    return _resource("Device", _id("device", name, version, structures), content, ())


@cache
def _version() -> str:
    return metadata.version("bodysite")


def _id(*parts: str) -> str:
    return str(uuid5(_NAMESPACE, "|".join(parts)))


_MODELS: Final[dict[str, Any]] = {
    "ImagingStudy": ImagingStudy,
    "Observation": Observation,
    "Provenance": Provenance,
    "Device": Device,
}


def _resource(
    kind: str, resource_id: str, content: Mapping[str, Any], tokens: Iterable[Token]
) -> Resource:
    """Return the resource after fhir.resources has checked its structure."""
    whole = {"resourceType": kind, "id": resource_id, **_without_empty(content)}
    _MODELS[kind].model_validate(whole)
    return Resource(kind, resource_id, whole, tuple(tokens))
