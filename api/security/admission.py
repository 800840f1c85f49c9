"""What a resource that a client sends keeps under the PHI policy.

====================================  ==========================  ==========================
                                      hash                        drop
====================================  ==========================  ==========================
Patient, RelatedPerson, Person        pseudonyms, gender, active  refused (contained: gender)
reference to a patient                pseudonym, or the random    masked
                                      id of a Patient here
accession and other identifiers       pseudonym                   left out
DICOM UIDs                            as they stand               2.25.<HMAC>
dates of studies and observations     as they stand               the year
narratives, notes, descriptions,      left out                    left out
other free text, attachments
====================================  ==========================  ==========================

Under "keep" everything stands. Concepts (``CodeableConcept``, ``Coding``) and persons who work
(Practitioner) are never changed. What the version that is there says already has passed the policy,
and may be sent again. A resource that was changed says so in ``meta.security``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.errors import RequestError
from api.fhir import ABSENT, DICOM_UID
from api.phi import PSEUDONYM_SYSTEM, PhiGuard, PhiPolicy

Json = dict[str, Any]

# https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html: PSEUDED, REDACTED.
_SECURITY: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_LABELS: Final = {
    PhiPolicy.HASH: {"system": _SECURITY, "code": "PSEUDED", "display": "pseudonymized"},
    PhiPolicy.DROP: {"system": _SECURITY, "code": "REDACTED", "display": "redacted"},
}
_PERSONS: Final = frozenset({"Patient", "RelatedPerson", "Person"})
_OF_PERSON: Final = ("resourceType", "id", "meta", "active", "gender", "deceasedBoolean")
# Their identifiers are of things and of people at work.
_NOT_PATIENTS: Final = frozenset({"Device", "Practitioner", "PractitionerRole", "Organization"})
# Who does something, where a name is all that is known of them.
_ACTORS: Final = frozenset(
    {
        "author",
        "interpreter",
        "onBehalfOf",
        "operator",
        "owner",
        "performer",
        "actor",
        "referrer",
        "requester",
        "who",
    }
)
_SUBJECTS: Final = frozenset({"subject", "patient", "for", "individual"})
_FREE_TEXT: Final = frozenset(
    {
        "note",
        "comment",
        "description",
        "instruction",
        "image",
        "photo",
        "valueString",
        "valueMarkdown",
        "valueAttachment",
        "valueAnnotation",
        "valueHumanName",
        "valueAddress",
        "valueContactPoint",
        "valueContactDetail",
        "valueBase64Binary",
        "contentAttachment",
    }
)
_DATES: Final = frozenset({"started", "effectiveDateTime", "valueDateTime", "valueDate"})
_PERIODS: Final = frozenset({"effectivePeriod", "effectiveTiming", "effectiveInstant"})
_CODES: Final = frozenset({"system", "url", "profile", "version", "code", "coding"})
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PATIENT: Final = re.compile(r"(?:^|/)(?:Patient|RelatedPerson|Person)/([^/]+)")
_UID: Final = re.compile(r"(urn:oid:)?([0-2](?:\.(?:0|[1-9][0-9]*)){3,})", re.ASCII)
# FHIR R5, 2.1.28: the types of data, as extensions between releases name them.
_TYPES: Final = (
    "base64Binary boolean canonical code date dateTime decimal id instant integer integer64"
    " markdown oid positiveInt string time unsignedInt uri url uuid"
    " Address Age Annotation Attachment Availability BackboneElement CodeableConcept"
    " CodeableReference Coding ContactDetail ContactPoint Contributor Count DataRequirement"
    " Distance Dosage Duration Element Expression ExtendedContactDetail HumanName Identifier Meta"
    " MonetaryComponent Money Narrative ParameterDefinition Period Quantity Range Ratio RatioRange"
    " Reference RelatedArtifact SampledData Signature Timing TriggerDefinition UsageContext"
    " VirtualServiceDetail"
)
_TYPE_NAMES: Final = frozenset(_TYPES.split())
# PS3.6 Annex A: SOP Classes and transfer syntaxes are under the root of DICOM, and nobody's.
_STANDARD: Final = "1.2.840.10008."
_GONE: Final = object()


def admitted(guard: PhiGuard, content: Json, previous: Mapping[str, Any] | None = None) -> Json:
    """Return `content`, of R4, with what the policy lets through.

    Parameters
    ----------
    previous
        The version that is there, when there is one.

    Raises
    ------
    RequestError
        422: a resource of which nothing would be left, or an id that identifies a patient.
    """
    if guard.policy is PhiPolicy.KEEP:
        return content
    kind = content.get("resourceType")
    if kind in _PERSONS:
        _check_person(guard, content, previous)
    known = frozenset(_texts(previous)) if previous is not None else frozenset()
    found = _Filter(guard, known).resource(content)
    return found if found == content else _labelled(found, guard.policy)


def _check_person(guard: PhiGuard, content: Json, previous: Mapping[str, Any] | None) -> None:
    kind = content["resourceType"]
    if guard.policy is PhiPolicy.DROP:
        raise RequestError(
            kind,
            "under the PHI policy 'drop' nothing of a patient is stored",
            "resources without patients",
            "Leave it out, or use a database with another policy.",
            status=422,
            issue="business-rule",
        )
    resource_id = content.get("id")
    if previous is None and resource_id is not None and not _UUID.fullmatch(str(resource_id)):
        raise RequestError(
            f"{kind}.id",
            "under the PHI policy 'hash' an id of your own could be one that identifies a patient",
            "an id that the service gives, or a random UUID",
            "Create it by POST.",
            status=422,
            issue="business-rule",
        )


def _labelled(content: Json, policy: PhiPolicy) -> Json:
    meta = dict(content.get("meta") or {})
    label = _LABELS[policy]
    security = [one for one in meta.get("security", ()) if one.get("code") != label["code"]]
    return {**content, "meta": {**meta, "security": [*security, label]}}


@dataclass(frozen=True, slots=True)
class _Filter:
    """Leaves out or replaces what identifies, element by element; `known` is let through."""

    guard: PhiGuard
    known: frozenset[str]

    def resource(self, content: Mapping[str, Any]) -> Json:
        kind = str(content.get("resourceType"))
        if kind in _PERSONS:
            return self._person(content)
        found: Json = {}
        for key, value in content.items():
            if key == "text":
                # The narrative repeats what the elements say, and whatever else was written there.
                continue
            if key == "identifier" and kind not in _NOT_PATIENTS:
                kept = [one for one in map(self._identifier, _listed(value)) if one is not None]
                if kept:
                    found[key] = kept if isinstance(value, list) else kept[0]
                continue
            cleaned = self._value(key, value)
            if cleaned is not _GONE:
                found[key] = cleaned
        return found

    def _person(self, content: Mapping[str, Any]) -> Json:
        found = {key: content[key] for key in _OF_PERSON if key in content}
        if self.guard.policy is PhiPolicy.HASH:
            identifiers = [self._of_patient(one) for one in _listed(content.get("identifier"))]
            kept = [one for one in identifiers if one is not None]
            if kept:
                found["identifier"] = kept
        return found

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, list):
            kept = [one for one in (self._value(key, one) for one in value) if one is not _GONE]
            return kept or _GONE
        if isinstance(value, Mapping):
            return self._element(key, value)
        if isinstance(value, str):
            return self._text(key, value)
        return value

    def _element(self, key: str, value: Mapping[str, Any]) -> Any:
        if "resourceType" in value:
            return self.resource(value)
        if value.get("url") == "_datatype" and value.get("valueString") in _TYPE_NAMES:
            # What R5 has and R4 has not is kept in extensions that name its type.
            return dict(value)
        if key in _FREE_TEXT:
            texts = list(_texts(value))
            return dict(value) if texts and self.known.issuperset(texts) else _GONE
        if self._is_patient(key, value):
            return self._patient(value)
        if key in _PERIODS and self.guard.policy is PhiPolicy.DROP:
            return _GONE
        if key == "valueIdentifier":
            return self._identifier(value) or _GONE
        found: Json = {}
        for name, inner in value.items():
            if name == "display" and not self._may_show(key, value):
                continue
            if name == "identifier":
                identifiers = [self._identifier(one) for one in _listed(inner)]
                kept = [one for one in identifiers if one is not None]
                if kept:
                    found[name] = kept if isinstance(inner, list) else kept[0]
                continue
            cleaned = self._value(name, inner)
            if cleaned is not _GONE:
                found[name] = cleaned
            elif name.startswith("value"):
                # An extension or an input without its value says nothing, and is not valid.
                return _GONE
        if _says_only_its_type(found):
            return _GONE
        return found or _GONE

    def _text(self, key: str, value: str) -> Any:
        if value in self.known:
            return value
        if key in _FREE_TEXT:
            return _GONE
        if self.guard.policy is not PhiPolicy.DROP or key in _CODES:
            return value
        if key in _DATES:
            return value[:4]
        if key in _PERIODS:
            return _GONE
        return self._uid(value)

    def _uid(self, value: str) -> str:
        """Return what stands for a UID; anything else as it stands."""
        found = _UID.fullmatch(value)
        if found is None or value in self.known or found[2].startswith(_STANDARD):
            return value
        return f"{found[1] or ''}{self.guard.uid(found[2])}"

    def _may_show(self, key: str, value: Mapping[str, Any]) -> bool:
        """Return whether a display is that of a concept, a thing or a person at work."""
        if "code" in value or value["display"] in self.known:
            return True
        reference = value.get("reference")
        target = str(reference).rpartition("/")[0].rpartition("/")[2] if reference else ""
        kind = _type_of(value) or target
        return kind in _NOT_PATIENTS if kind else key in _ACTORS

    # -- identifiers and references ---------------------------------------------------------------

    def _identifier(self, one: Any) -> Json | None:
        """Return an identifier of anything but a patient."""
        if not isinstance(one, Mapping):
            return None
        value, system = one.get("value"), str(one.get("system", ""))
        if not isinstance(value, str) or value in self.known or _is_pseudonym(one):
            return dict(one)
        if system == DICOM_UID or _UID.fullmatch(value):
            hidden = self.guard.policy is PhiPolicy.DROP
            return {**one, "value": self._uid(value) if hidden else value}
        if self.guard.policy is PhiPolicy.DROP:
            return None
        codes = {coding.get("code") for coding in _listed((one.get("type") or {}).get("coding"))}
        pseudonym = (
            self.guard.accession(value) if "ACSN" in codes else self.guard.other(system, value)
        )
        kept = {key: one[key] for key in ("use", "type") if key in one}
        return {**kept, "system": PSEUDONYM_SYSTEM, "value": pseudonym}

    def _of_patient(self, one: Any) -> Json | None:
        """Return an identifier of a patient: the pseudonym that DICOM headers give, too."""
        if not isinstance(one, Mapping) or not isinstance(one.get("value"), str):
            return None
        if _is_pseudonym(one):
            return {"system": PSEUDONYM_SYSTEM, "value": one["value"]}
        issuer = (one.get("assigner") or {}).get("display", "")
        value = self.guard.patient(one["value"], str(issuer))
        return {"system": PSEUDONYM_SYSTEM, "value": value}

    def _is_patient(self, key: str, value: Mapping[str, Any]) -> bool:
        if _type_of(value) in _PERSONS:
            return True
        reference = value.get("reference")
        if isinstance(reference, str):
            if _PATIENT.search(reference):
                return True
            if reference.startswith("#"):
                return False
        return key in _SUBJECTS and "type" not in value and not isinstance(reference, str)

    def _patient(self, value: Mapping[str, Any]) -> Json:
        kind = _type_of(value) if _type_of(value) in _PERSONS else "Patient"
        reference = value.get("reference")
        if self.guard.policy is PhiPolicy.DROP:
            return {"type": kind, "extension": _absent(value)}
        found: Json = {"type": kind}
        if isinstance(reference, str):
            target = _PATIENT.search(reference)
            if reference.startswith("#") or (
                target is not None
                and target.start() == 0
                and not reference.startswith("/")
                and (_UUID.fullmatch(target[1]) or reference in self.known)
            ):
                found["reference"] = reference
            elif "identifier" not in value:
                name = target[1] if target is not None else reference
                pseudonym = self.guard.patient(name)
                found["identifier"] = {"system": PSEUDONYM_SYSTEM, "value": pseudonym}
        identifier = self._of_patient(value.get("identifier"))
        if identifier is not None:
            found["identifier"] = identifier
        if len(found) == 1:
            found["extension"] = _absent(value)
        return found


def _absent(value: Mapping[str, Any]) -> list[Json]:
    """Return why a reference is none: what it said itself, or that it is masked."""
    said = [
        {"url": ABSENT, "valueCode": one["valueCode"]}
        for one in _listed(value.get("extension"))
        if one.get("url") == ABSENT and one.get("valueCode") in ("unknown", "masked")
    ]
    nothing_else = not any(key in value for key in ("reference", "identifier", "display"))
    return said if said and nothing_else else [{"url": ABSENT, "valueCode": "masked"}]


def _type_of(value: Mapping[str, Any]) -> str | None:
    """Return Reference.type; the `type` of other elements, a CodeableConcept, is none."""
    kind = value.get("type")
    return kind if isinstance(kind, str) else None


def _says_only_its_type(element: Mapping[str, Any]) -> bool:
    nested = element.get("extension")
    return set(element) == {"url", "extension"} and all(
        one.get("url") == "_datatype" for one in _listed(nested)
    )


def _is_pseudonym(one: Mapping[str, Any]) -> bool:
    # Whoever calls something else a pseudonym is not believed.
    return one.get("system") == PSEUDONYM_SYSTEM and bool(
        _DIGEST.fullmatch(str(one.get("value", "")))
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
