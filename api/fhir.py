"""What is common to the resources that are made of annotations: identifiers, codings, checks.

The R4B classes of fhir.resources have, for what is used here, the elements of R4 (4.0.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final
from uuid import UUID, uuid5

from fhir.resources.R4B import get_fhir_model_class
from pydicom.sr.codedict import codes

from api.indexing import indexed
from api.records import MACHINE, Origin, Resource, Token
from terminology.annotation import BodySiteAnnotation, Instance
from terminology.concept import DICOM, SNOMED, Coding, View
from terminology.graph import BodyStructureGraph

DICOM_UID: Final = "urn:dicom:uid"
URI: Final = "urn:ietf:rfc:3986"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NAMESPACE: Final = UUID("6f0c1d0e-8f0b-5d0c-9b57-3f2f6a0f5a11")


def logical_id(*parts: str) -> str:
    """Return the logical id of what `parts` name: the same for the same parts."""
    return str(uuid5(_NAMESPACE, "|".join(parts)))


def resource(
    kind: str,
    resource_id: str,
    content: Mapping[str, Any],
    graph: BodyStructureGraph,
    extra: Iterable[Token] = (),
    *,
    origin: Origin = MACHINE,
) -> Resource:
    """Return the resource with what it is found by, after fhir.resources has checked it.

    Parameters
    ----------
    extra
        Tokens that its elements do not show.
    """
    whole = {"resourceType": kind, "id": resource_id, **without_empty(content)}
    get_fhir_model_class(kind).model_validate(whole)
    return indexed(kind, whole, graph=graph, extra=extra, origin=origin)


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


def is_standard_modality(code: str) -> bool:
    """Return whether PS3.16 CID 33 has a modality."""
    return code in _modality_names()


@cache
def _modality_names() -> Mapping[str, str]:
    """Return the modalities of PS3.16 CID 33, code → meaning."""
    context = codes.cid33
    return {str(one.value): str(one.meaning) for one in map(context.__getattr__, context.dir())}


def instance_of(annotation: BodySiteAnnotation) -> Instance:
    """Return the identifiers of an annotated DICOM instance, which has some."""
    assert annotation.instance is not None  # noqa: S101
    return annotation.instance
