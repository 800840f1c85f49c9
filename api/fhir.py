"""What is common to the resources that are made of annotations: identifiers, codings, checks.

Only this file imports fhir.resources; its R4B classes have, for what is used here, the elements of
R4 (4.0.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final
from uuid import UUID, uuid5

from fhir.resources.R4B.device import Device
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.provenance import Provenance
from pydicom.sr.codedict import codes

from api.records import Resource, Token
from terminology.annotation import BodySiteAnnotation, Instance
from terminology.concept import DICOM, SNOMED, Coding, View

DICOM_UID: Final = "urn:dicom:uid"
URI: Final = "urn:ietf:rfc:3986"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NAMESPACE: Final = UUID("6f0c1d0e-8f0b-5d0c-9b57-3f2f6a0f5a11")
_MODELS: Final[dict[str, Any]] = {
    "ImagingStudy": ImagingStudy,
    "Observation": Observation,
    "Provenance": Provenance,
    "Device": Device,
}


def logical_id(*parts: str) -> str:
    """Return the logical id of what `parts` name: the same for the same parts."""
    return str(uuid5(_NAMESPACE, "|".join(parts)))


def resource(
    kind: str, resource_id: str, content: Mapping[str, Any], tokens: Iterable[Token]
) -> Resource:
    """Return the resource after fhir.resources has checked its structure."""
    whole = {"resourceType": kind, "id": resource_id, **without_empty(content)}
    _MODELS[kind].model_validate(whole)
    return Resource(kind, resource_id, whole, tuple(tokens))


def without_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return `content` without the elements that say nothing, which FHIR does not allow."""
    return {key: value for key, value in content.items() if value not in (None, [], {}, "")}


def concept(value: Coding | View) -> dict[str, Any]:
    """Return a CodeableConcept of a SNOMED CT code."""
    return {"coding": [{"system": SNOMED, "code": value.code, "display": value.display}]}


def modality_coding(code: str) -> dict[str, str]:
    """Return the Coding of a modality."""
    coding = {"system": DICOM, "code": code}
    display = _modality_names().get(code)
    return {**coding, "display": display} if display else coding


@cache
def _modality_names() -> Mapping[str, str]:
    """Return the modalities of PS3.16 CID 33, code → meaning."""
    context = codes.cid33
    return {str(one.value): str(one.meaning) for one in map(context.__getattr__, context.dir())}


def patient_tokens(subject: Mapping[str, Any]) -> list[Token]:
    """Return what `patient:identifier` finds the resource by."""
    identifier = subject.get("identifier")
    if identifier is None:
        return []
    return [Token("patient", identifier.get("system", ""), identifier["value"])]


def instance_of(annotation: BodySiteAnnotation) -> Instance:
    """Return the identifiers of an annotated DICOM instance, which has some."""
    assert annotation.instance is not None  # noqa: S101
    return annotation.instance
