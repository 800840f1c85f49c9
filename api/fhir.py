"""What is common to the resources that are made of annotations: identifiers, codings, checks.

The R4B classes of fhir.resources have, for what is used here, the elements of R4 (4.0.1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
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
# FHIR R4, 2.24.0.1: what tells primitive types apart; a string is of the first kind that it is.
_DAY: Final = (
    r"[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME: Final = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
)
_WORD: Final = r"[^\s\x00-\x20\x7f]+"
_TEXT: Final = re.compile(
    rf"(?P<date>{_DAY})|(?P<instant>{_DAY}T{_TIME})|(?P<digits>[0-9]{{5,64}})"
    # Neither a number nor the beginning of a time.
    r"|(?P<id>(?![0-9]*\.?[0-9]*$|[0-9]{4}-[0-9]{2}|-)[A-Za-z0-9\-.]{1,64})"
    rf"|(?P<uri>(?![0-9+\-]){_WORD})|(?P<code>(?![0-9+\-]){_WORD}(?: {_WORD})+)"
)
_INT32: Final = 2**31
_MAX_SHAPES: Final = 1024
_SHORT: Final = 100
# Shapes of resources that fhir.resources has found to be right.
_right: set[tuple[str, object]] = set()


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

    What the service builds of DICOM headers is of few shapes: what has the same elements, with
    values of the same kinds, as one before it is not checked again (`shape_of`). What a person owns
    always is.

    Parameters
    ----------
    extra
        Tokens that its elements do not show.
    """
    whole = {"resourceType": kind, "id": resource_id, **without_empty(content)}
    check(kind, whole, by_shape=origin == MACHINE)
    return indexed(kind, whole, graph=graph, extra=extra, origin=origin)


def check(kind: str, content: Mapping[str, Any], *, by_shape: bool) -> None:
    """Have fhir.resources check a resource.

    Parameters
    ----------
    by_shape
        Not where one of its shape has passed before.

    Raises
    ------
    pydantic.ValidationError
        It is not as FHIR R4 has it.
    """
    shape = (kind, shape_of(content)) if by_shape else None
    if shape in _right:
        return
    get_fhir_model_class(kind).model_validate(content)
    if shape is None:
        return
    if len(_right) >= _MAX_SHAPES:
        _right.clear()
    _right.add(shape)


def shape_of(value: Any) -> object:
    """Return what fhir.resources looks at in a resource, without what differs by patient.

    It is the names of elements and the kinds of their values, items of a list once for each shape.
    Strings that are dates, times, identifiers, addresses or plain words are of a kind each; any
    other stands for itself, so that it passes only where the very same was checked in its place.
    """
    if isinstance(value, str):
        return _kind_of(value)
    if isinstance(value, dict):
        return tuple(
            [
                (key, _kind_of(child) if isinstance(child, str) else shape_of(child))
                for key, child in value.items()
            ]
        )
    if isinstance(value, list):
        return ("[]", frozenset(map(shape_of, value)))
    if isinstance(value, bool):
        return bool
    if isinstance(value, int) and abs(value) < _INT32:
        return int, (value > 0) - (value < 0)
    if isinstance(value, float) and math.isfinite(value):
        return float
    # Something that JSON does not have, or has seldom: nothing but itself is like it.
    return type(value), repr(value)


def _kind_of(text: str) -> object:
    """Return the kind of a string, or itself where it is of none."""
    return _kind_of_short(text) if len(text) <= _SHORT else _classified(text)


def _classified(text: str) -> object:
    found = _TEXT.fullmatch(text)
    return text if found is None else (found.lastgroup,)


# Most are the same few codes, displays and addresses.
_kind_of_short: Final = lru_cache(maxsize=8192)(_classified)


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
