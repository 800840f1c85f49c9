"""Annotations → ImagingStudy, Observation, Device and Provenance (FHIR R4).

A study is built from all annotations of its instances at once, a picture from its own alone; the
same annotations always give the same resources under the same ids.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter

from api.bodystructures import body_structures
from api.devices import Devices
from api.fhir import (
    ABSENT,
    DICOM_UID,
    instance_of,
    logical_id,
    modality_coding,
    resource,
    without_empty,
)
from api.findings import Finding, clean, findings_of, sites_of_study, visible_in
from api.model.description import ModelDescription
from api.observations import (
    About,
    codes_of,
    examined_observation,
    site_concept,
    visible_observation,
)
from api.phi import PSEUDONYM_SYSTEM, PhiPolicy
from api.profiles import mii
from api.profiles.names import EXAMINED_SITE, STUDY
from api.records import MACHINE, PERSON, Origin, Resource, Stored, Token
from api.review.studies import overlaid_study
from api.review.tasks import review_task, task_id
from api.review.verdicts import Verdicts
from api.series import Series, date_time, first, observation_id, valid_modality
from classifier.fusion import NO_MODEL
from classifier.prediction import Predictor
from terminology.annotation import BodySiteAnnotation
from terminology.concept import SNOMED
from terminology.graph import BodyStructureGraph

# What a picture is known by that has no UIDs: the SHA-256 of its file.
PICTURE_SYSTEM: Final = "https://w3id.org/bodysite/NamingSystem/picture"
_IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_DESCRIPTION: Final = "StudyDescription"

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

    Parameters
    ----------
    predictor
        The model that is loaded; it is described where annotations rest on it.
    profiles
        What the resources follow beside our own profiles: "mii".
    patients
        Returns the id of the one Patient that is stored with an identifier (system, `None` for
        any, and value), `None` where there is none or more than one.
    """

    graph: BodyStructureGraph
    policy: PhiPolicy
    predictor: Predictor | None = None
    profiles: frozenset[str] = frozenset()
    patients: Callable[[str | None, str], str | None] | None = None
    _current: ModelDescription | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.predictor is not None:
            object.__setattr__(self, "_current", ModelDescription.of(self.predictor))

    def study(
        self, annotations: Sequence[BodySiteAnnotation], verdicts: Sequence[Stored] = ()
    ) -> list[Resource]:
        """Return ImagingStudy, Observations, BodyStructures, Task, Provenance, Devices of a study.

        Parameters
        ----------
        annotations
            Those of all known instances of one study, at least one, each with its `instance`.
        verdicts
            The resources of it that persons own: what they say goes before what the machine says.
        """
        said = Verdicts(verdicts, self.graph)
        of_study = study_id(instance_of(annotations[0]).study_uid)
        ordered = sorted(annotations, key=_instance_order)
        series: dict[str, list[BodySiteAnnotation]] = defaultdict(list)
        for annotation in ordered:
            series[instance_of(annotation).series_uid].append(annotation)
        built = [
            Series(uid, tuple(members), of_study, said, self.graph, for_mii=self._for_mii)
            for uid, members in series.items()
        ]
        subject = self._subject(ordered)
        devices = self._devices(ordered)
        study = self._imaging_study(built, ordered, subject, said)
        observations = [
            observation
            for one in built
            for observation in self._of_series(one, study.id, subject, devices)
        ]
        uid = instance_of(ordered[0]).study_uid
        source = {"identifier": {"system": DICOM_UID, "value": f"urn:oid:{uid}"}}
        sites = (finding for one in built for finding in one.sites)
        structures = list(
            body_structures(study.id, sites, subject, self.graph, for_mii=self._for_mii)
        )
        made = (study, *observations, *structures)
        provenance = self._provenance(made, devices, source, study.id)
        reviewed = [one.reviewed() for one in built]
        judged = [one.observation for one in said.all]
        owned = said.owned("Task", task_id(study.id))
        task = review_task(study.id, subject, reviewed, judged, owned, self.graph)
        tasks = [] if task is None else [task]
        scanners = {one.scanner.id: one.scanner for one in built if one.scanner is not None}
        return [*made, *tasks, provenance, *devices, *scanners.values()]

    def picture(
        self,
        annotation: BodySiteAnnotation,
        digest: str,
        verdicts: Sequence[Stored] = (),
    ) -> list[Resource]:
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
            modality=valid_modality(annotation.modality),
            for_mii=self._for_mii,
        )

        def id_of(finding: Finding) -> str:
            return observation_id("picture", digest, finding)

        judged = Verdicts(verdicts, self.graph).on_series(
            None, [annotation], findings_of([annotation]), id_of
        )
        observations = [
            examined_observation(id_of(one), one, about, devices, self.graph)
            for one in judged.standing
        ]
        if annotation.visible:
            shown = visible_in([annotation])
            visible = logical_id("observation", "picture", digest, "visible")
            observations.append(
                visible_observation(visible, shown, about, devices, [annotation], self.graph)
            )
        if not observations:
            return []
        source = {"identifier": identifier}
        provenance = self._provenance(observations, devices, source, picture_id(digest))
        return [*observations, provenance, *devices]

    @property
    def _for_mii(self) -> bool:
        return "mii" in self.profiles

    def _devices(self, annotations: Iterable[BodySiteAnnotation]) -> Devices:
        return Devices.of(annotations, self.graph, self._current, for_mii=self._for_mii)

    def _of_series(
        self, series: Series, study: str, subject: Mapping[str, Any], devices: Devices
    ) -> Iterable[Resource]:
        about = About(
            subject,
            study=study,
            started=series.started,
            extensions=({"url": mii.SERIES_UID, "valueId": series.uid},),
            for_mii=self._for_mii,
        )
        for finding in series.judged.standing:
            resource_id = observation_id(study, series.uid, finding)
            yield examined_observation(resource_id, finding, about, devices, self.graph)
        visible = visible_in(series.members)
        if visible:
            resource_id = logical_id("observation", study, series.uid, "visible")
            yield visible_observation(
                resource_id, visible, about, devices, series.members, self.graph
            )

    def _imaging_study(
        self,
        series: Sequence[Series],
        annotations: Sequence[BodySiteAnnotation],
        subject: Mapping[str, Any],
        said: Verdicts,
    ) -> Resource:
        one_of = instance_of(annotations[0])
        identifiers: list[dict[str, Any]] = [
            {"system": DICOM_UID, "value": f"urn:oid:{one_of.study_uid}"}
        ]
        accession = first(
            clean(instance_of(one).accession_number or "") or None for one in annotations
        )
        if accession is not None:
            identifiers.append(_accession(accession, self.policy))
        modalities = sorted({one.modality for one in series})
        started = [date_time(instance_of(one).started) for one in annotations]
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
        extensions = [
            {"url": EXAMINED_SITE, "valueCodeableConcept": site_concept(one, self.graph)}
            for one in sites
        ]
        if self._for_mii:
            extensions += mii.study_extensions(annotations)
        content: dict[str, Any] = {
            "meta": {"profile": [STUDY, *([mii.STUDY] if self._for_mii else [])]},
            "extension": extensions,
            "identifier": identifiers,
            "status": "available",
            "modality": [modality_coding(code) for code in modalities],
            "subject": dict(subject),
            "started": min((value for value in started if value), default=None),
            "description": mii.described(annotations, _DESCRIPTION) if self._for_mii else None,
            "numberOfSeries": len(series),
            "numberOfInstances": len(annotations),
            "note": [{"text": text} for text in notes if text],
            "series": [one.element() for one in series],
        }
        # Every site that was found, not only the one that ImagingStudy.series has room for.
        extra = [
            Token("bodysite", SNOMED, code)
            for one in series
            for finding in one.judged.sites
            for code in codes_of(finding, self.graph)
        ]
        resource_id = study_id(one_of.study_uid)
        owned = said.owned("ImagingStudy", resource_id)
        if owned is not None:
            content = overlaid_study(without_empty(content), json.loads(owned.body))
        origin: Origin = MACHINE if owned is None else PERSON
        return resource("ImagingStudy", resource_id, content, self.graph, extra, origin=origin)

    def _provenance(
        self, targets: Sequence[Resource], devices: Devices, source: Mapping[str, Any], of: str
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
        return resource("Provenance", logical_id("provenance", of), content, self.graph)

    def _subject(self, annotations: Sequence[BodySiteAnnotation]) -> dict[str, Any]:
        """Return a logical reference: ImagingStudy.subject must be there, a Patient need not.

        Where one is stored that has the identifier, it is referred to as well.
        """
        known = next((one for one in annotations if clean(instance_of(one).patient_id or "")), None)
        if known is None:
            return self._unknown_subject()
        instance = instance_of(known)
        identifier: dict[str, Any] = {"value": clean(instance.patient_id or "")}
        if self.policy is PhiPolicy.HASH:
            identifier["system"] = PSEUDONYM_SYSTEM
        if instance.issuer_of_patient_id:
            identifier["assigner"] = {"display": clean(instance.issuer_of_patient_id)}
        stored = None
        if self.patients is not None:
            stored = self.patients(identifier.get("system"), identifier["value"])
        reference = {"reference": f"Patient/{stored}"} if stored is not None else {}
        return {**reference, "type": "Patient", "identifier": identifier}

    def _unknown_subject(self) -> dict[str, Any]:
        reason = "masked" if self.policy is PhiPolicy.DROP else "unknown"
        return {"type": "Patient", "extension": [{"url": ABSENT, "valueCode": reason}]}


def _accession(value: str, policy: PhiPolicy) -> dict[str, Any]:
    coding = {"system": _IDENTIFIER_TYPE, "code": "ACSN", "display": "Accession ID"}
    identifier: dict[str, Any] = {"type": {"coding": [coding]}}
    if policy is PhiPolicy.HASH:
        identifier["system"] = PSEUDONYM_SYSTEM
    return {**identifier, "value": clean(value)}


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
