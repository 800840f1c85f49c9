"""The search parameters of every type of resource that is stored, for R4 and R5.

Names, types, targets and elements are HL7's (FHIR R4, 4.0.1, and R5, 5.0.0, search parameter
registries); elements are those of the R4 form, which is what the store has. What only R5 has is
looked for in the extension that R4 keeps it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from api.codes import REVIEW
from api.indexing.parameter import R4, R5, Kind, Parameter
from api.profiles.names import EXAMINED_SITE

_HL7: Final = "http://hl7.org/fhir"
_SITE_NOTE: Final = (
    "A SNOMED CT body structure as system|code or bare code, current or former, sided, or a"
    " post-coordinated expression. :below finds the concept and everything in or under it, :above"
    " what contains it, :in a value set (http://snomed.info/sct?fhir_vs=ecl/..., =isa/..., =refset/"
    "... or any that the terminology service knows), :text words in any language of the vocabulary."
    " Sided concepts are found by their own code and by the unsided one."
)
_SHOWN_NOTE: Final = (
    "A SNOMED CT body structure that the images show, whether or not it was examined. Modifiers as"
    " of body-site. Sides are not told."
)
_ACTORS: Final = (
    "Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson",
)  # fmt: skip
_ANY: Final = (
    "ImagingStudy", "Observation", "Device", "Provenance", "BodyStructure", "Task", "AuditEvent",
    "Patient", "Practitioner", "ServiceRequest", "DiagnosticReport", "Encounter", "Organization",
    "Location", "Media", "DocumentReference", "Procedure",
)  # fmt: skip


def _row(name: str, kind: Kind, *paths: str, hl7: str | None = "", **more: Any) -> Parameter:
    """Return a row; `hl7` is the id of the definition where it is not ``Type-name``."""
    documentation = more.pop("documentation", "")
    only_in = more.pop("only_in", None)
    releases = (only_in,) if only_in else (R4, R5)
    definition = None if hl7 is None else dict.fromkeys(releases, hl7)
    return Parameter(
        name, kind, paths, releases=releases, definition=definition,
        documentation=documentation, **more,
    )  # fmt: skip


def _token(name: str, *paths: str, **more: Any) -> Parameter:
    return _row(name, "token", *paths, **more)


def _reference(name: str, *paths: str, to: tuple[str, ...], **more: Any) -> Parameter:
    return _row(name, "reference", *paths, targets=to, **more)


def _date(name: str, *paths: str, **more: Any) -> Parameter:
    return _row(name, "date", *paths, **more)


def _string(name: str, *paths: str, **more: Any) -> Parameter:
    return _row(name, "string", *paths, **more)


def _quantity(name: str, *paths: str, **more: Any) -> Parameter:
    return _row(name, "quantity", *paths, **more)


def _uri(name: str, *paths: str, **more: Any) -> Parameter:
    return _row(name, "uri", *paths, **more)


def _pair(name: str, path: str, code: str, kind: Kind, value: str, **more: Any) -> Parameter:
    second = {"token": "value-concept"}.get(kind, f"value-{kind}")
    parts = (Parameter("code", "token", (code,)), Parameter(second, kind, (value,)))
    return _row(name, "composite", path, parts=parts, **more)


_PATIENT: Final[dict[str, Any]] = {"to": ("Patient",), "only": True, "hl7": "clinical-patient"}
_IDENTIFIER: Final = _token("identifier", "identifier", hl7="clinical-identifier")

# FHIR R4, 3.1.1.4.1: what every resource can be searched by.
COMMON: Final = (
    _token("_id", "id", hl7="Resource-id", quiet=True, documentation="Logical ids."),
    _date("_lastUpdated", hl7="Resource-lastUpdated", documentation="When it changed last."),
    _token("_tag", "meta.tag", hl7="Resource-tag"),
    _uri("_profile", "meta.profile", hl7="Resource-profile"),
    _token("_security", "meta.security", hl7="Resource-security"),
    _uri("_source", "meta.source", hl7="Resource-source"),
    _token(
        "_language", "language", hl7="Resource-language", only_in=R5, quiet=True,
        system="urn:ietf:bcp:47",
    ),
)  # fmt: skip

_IMAGING_STUDY: Final = (
    _reference(
        "basedon", "basedOn", names={R5: "based-on"},
        to=("ServiceRequest", "CarePlan", "Task", "Appointment", "AppointmentResponse"),
    ),
    _token(
        "bodysite", "series", f"extension({EXAMINED_SITE}).valueCodeableConcept",
        "series.extension(r5:ImagingStudy.series.bodySite).extension(concept)"
        ".valueCodeableConcept",
        names={R5: "body-site"}, aliases=("body-site", "bodysite"), body_site=True,
        documentation=_SITE_NOTE,
    ),
    _reference(
        "body-structure", "series.extension(r5:ImagingStudy.series.bodySite)"
        ".extension(reference).valueReference", only_in=R5, to=("BodyStructure",),
    ),
    _token("dicom-class", "series.instance.sopClass"),
    _reference("encounter", "encounter", to=("Encounter",)),
    _reference("endpoint", "endpoint", "series.endpoint", to=("Endpoint",)),
    _IDENTIFIER,
    _token("instance", "series.instance.uid", uid=True, quiet=True),
    _reference(
        "interpreter", "interpreter", to=("Practitioner", "PractitionerRole"), only_in=R4
    ),
    _token(
        "modality", "modality", "series.modality",
        documentation="A modality of any series (DICOM CID 33).",
    ),
    _reference("patient", "subject", **_PATIENT),
    _reference("performer", "series.performer.actor", to=_ACTORS),
    _token("reason", "reasonCode", concept=True),
    _reference("referrer", "referrer", to=("Practitioner", "PractitionerRole")),
    _token(
        "series", "series.uid", uid=True, quiet=True,
        documentation="Series Instance UID as urn:dicom:uid|urn:oid:… or bare.",
    ),
    _date("started", "started"),
    _token("status", "status", system=f"{_HL7}/imagingstudy-status", quiet=True),
    _reference("subject", "subject", to=("Patient", "Group", "Device")),
)  # fmt: skip

_CONCEPT: Final = "valueCodeableConcept"
_COMPONENT: Final = "component"
_OBSERVATION: Final = (
    _reference(
        "based-on", "basedOn",
        to=("ServiceRequest", "CarePlan", "DeviceRequest", "MedicationRequest"),
    ),
    _token(
        "body-site", "bodySite",
        aliases=("bodysite",), hl7=None, body_site=True, documentation=_SITE_NOTE,
    ),
    _token(
        "visible-site", "component", hl7=None, body_site=True, documentation=_SHOWN_NOTE
    ),
    _token(
        "review", "component", hl7=None, quiet=True, system=REVIEW,
        documentation="Why a person should look: a code of"
        " https://w3id.org/bodysite/CodeSystem/review; review:missing=false finds all of them.",
    ),
    _token("category", "category"),
    _token("code", "code", hl7="clinical-code", concept=True),
    _pair("code-value-concept", "", "code", "token", _CONCEPT),
    _pair("code-value-date", "", "code", "date", "valueDateTime"),
    _pair("code-value-quantity", "", "code", "quantity", "valueQuantity"),
    _pair("code-value-string", "", "code", "string", "valueString", only_in=R4),
    _token("combo-code", union=("code", "component-code"), concept=True),
    _row(
        "combo-code-value-concept", "composite",
        union=("code-value-concept", "component-code-value-concept"),
    ),
    _row(
        "combo-code-value-quantity", "composite",
        union=("code-value-quantity", "component-code-value-quantity"),
    ),
    _token(
        "combo-data-absent-reason", union=("data-absent-reason", "component-data-absent-reason")
    ),
    _token(
        "combo-value-concept", union=("value-concept", "component-value-concept"), concept=True
    ),
    _quantity("combo-value-quantity", union=("value-quantity", "component-value-quantity")),
    _token("component-code", "component.code", concept=True, quiet=True),
    _pair("component-code-value-concept", _COMPONENT, "code", "token", _CONCEPT),
    _pair("component-code-value-quantity", _COMPONENT, "code", "quantity", "valueQuantity"),
    _token("component-data-absent-reason", "component.dataAbsentReason", quiet=True),
    _token("component-value-concept", "component.valueCodeableConcept", concept=True, quiet=True),
    _quantity("component-value-quantity", "component.valueQuantity"),
    _uri(
        "component-value-canonical",
        "component.extension(r5:Observation.component.value).valueCanonical", only_in=R5,
    ),
    _reference(
        "component-value-reference",
        "component.extension(r5:Observation.component.value).valueReference",
        to=("MolecularSequence",), only_in=R5,
    ),
    _token("data-absent-reason", "dataAbsentReason"),
    _date(
        "date", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming.event",
        hl7="clinical-date",
    ),
    _reference(
        "derived-from", "derivedFrom",
        to=("ImagingStudy", "Observation", "Media", "DocumentReference", "QuestionnaireResponse",
            "MolecularSequence", "ImagingSelection", "GenomicStudy"),
        documentation="The ImagingStudy or what else it was derived from.",
    ),
    _reference("device", "device", to=("Device", "DeviceMetric")),
    _reference("encounter", "encounter", to=("Encounter",), hl7="clinical-encounter"),
    _reference("focus", "focus", to=_ANY),
    _reference(
        "has-member", "hasMember", to=("Observation", "QuestionnaireResponse", "MolecularSequence")
    ),
    _IDENTIFIER,
    _token("method", "method", concept=True),
    _reference("part-of", "partOf", to=("ImagingStudy", "Procedure", "MedicationAdministration")),
    _reference("patient", "subject", **_PATIENT),
    _reference("performer", "performer", to=(*_ACTORS, "CareTeam")),
    _reference("specimen", "specimen", to=("Specimen", "Group")),
    _token("status", "status", system=f"{_HL7}/observation-status", quiet=True),
    _reference("subject", "subject", to=("Patient", "Group", "Device", "Location")),
    _uri("value-canonical", "extension(r5:Observation.value).valueCanonical", only_in=R5),
    _token("value-concept", "valueCodeableConcept", concept=True),
    _date("value-date", "valueDateTime", "valuePeriod"),
    _quantity("value-quantity", "valueQuantity"),
    _reference(
        "value-reference", "extension(r5:Observation.value).valueReference",
        to=("MolecularSequence",), only_in=R5,
    ),
    _string(
        "value-string", "valueString", "valueCodeableConcept.text", names={R5: "value-markdown"},
        aliases=("value-string",),
    ),
)  # fmt: skip

_DEVICE: Final = (
    _token(
        "biological-source-event", "extension(r5:Device.biologicalSourceEvent).valueIdentifier",
        only_in=R5,
    ),
    _token("code", "extension(r5:Device.definition).extension(concept).valueCodeableConcept",
           only_in=R5, concept=True),
    _reference("definition", "definition", to=("DeviceDefinition",), only_in=R5),
    _string("device-name", "deviceName.name", "type.coding.display", "type.text"),
    _date("expiration-date", "expirationDate", only_in=R5),
    _token("identifier", "identifier"),
    _reference("location", "location", to=("Location",)),
    _string("lot-number", "lotNumber", only_in=R5),
    _date("manufacture-date", "manufactureDate", only_in=R5),
    _string("manufacturer", "manufacturer"),
    _string("model", "modelNumber"),
    _reference("organization", "owner", to=("Organization",)),
    _reference("parent", "parent", to=("Device",), only_in=R5),
    _reference("patient", "patient", to=("Patient",), only=True, only_in=R4),
    _string("serial-number", "serialNumber", "identifier.value", only_in=R5),
    _token("specification", "specialization.systemType", only_in=R5, concept=True),
    _string("specification-version", "specialization.version", only_in=R5),
    _token("status", "status", system=f"{_HL7}/device-status", quiet=True),
    _token("type", "type", concept=True),
    _string("udi-carrier", "udiCarrier.carrierHRF"),
    _string("udi-di", "udiCarrier.deviceIdentifier"),
    _uri("url", "url"),
    _string("version", "version.value", only_in=R5),
    _pair("code-value-concept", "property", "type", "token", "valueCode", only_in=R5),
)  # fmt: skip

_PROVENANCE: Final = (
    _token("activity", "activity", only_in=R5, concept=True),
    _reference("agent", "agent.who", to=_ACTORS),
    _token("agent-role", "agent.role"),
    _token("agent-type", "agent.type"),
    _reference(
        "based-on", "extension(r5:Provenance.basedOn).valueReference",
        to=("ServiceRequest", "Task"), only_in=R5,
    ),
    _reference(
        "encounter", "extension(r5:Provenance.encounter).valueReference", to=("Encounter",),
        only_in=R5,
    ),
    _reference("entity", "entity.what", to=_ANY),
    _reference("location", "location", to=("Location",)),
    _reference(
        "patient", "target", "extension(r5:Provenance.patient).valueReference", to=("Patient",),
        only=True,
    ),
    _date("recorded", "recorded"),
    _token("signature-type", "signature.type"),
    _reference("target", "target", to=_ANY),
    _date("when", "occurredDateTime", "occurredPeriod"),
)  # fmt: skip

_BODY_STRUCTURE: Final = (
    _token(
        "excluded_structure", "extension(r5:BodyStructure.excludedStructure)"
        ".extension(structure).valueCodeableConcept", hl7="BodyStructure-excludedstructure",
        body_site=True, only_in=R5,
    ),
    _token("identifier", "identifier"),
    _token(
        "location", "location",
        "extension(r5:BodyStructure.includedStructure).extension(structure).valueCodeableConcept",
        names={R5: "included_structure"}, aliases=("location",), body_site=True,
        documentation=_SITE_NOTE,
    ),
    _token("morphology", "morphology", concept=True),
    _reference("patient", "patient", to=("Patient",), only=True),
)  # fmt: skip

_TASK: Final = (
    _reference(
        "actor", "extension(r5:Task.performer).extension(actor).valueReference", to=_ACTORS,
        only_in=R5,
    ),
    _date("authored-on", "authoredOn"),
    _reference("based-on", "basedOn", to=_ANY),
    _token("business-status", "businessStatus"),
    _token("code", "code", concept=True),
    _reference("encounter", "encounter", to=("Encounter",)),
    _reference("focus", "focus", to=_ANY),
    _token("group-identifier", "groupIdentifier"),
    _token("identifier", "identifier", hl7="Task-identifier"),
    _token("intent", "intent", system=f"{_HL7}/task-intent", quiet=True),
    _date("modified", "lastModified"),
    _reference("output", "output.valueReference", to=_ANY, only_in=R5),
    _reference("owner", "owner", to=_ACTORS),
    _reference("part-of", "partOf", to=("Task",)),
    _reference("patient", "for", to=("Patient",), only=True),
    _token("performer", "performerType"),
    _date("period", "executionPeriod"),
    _token("priority", "priority", system=f"{_HL7}/request-priority", quiet=True),
    _reference(
        "requestedperformer-reference",
        "extension(r5:Task.requestedPerformer).extension(reference).valueReference",
        to=_ACTORS, only_in=R5,
    ),
    _reference("requester", "requester", to=_ACTORS),
    _token("status", "status", system=f"{_HL7}/task-status", quiet=True),
    _reference("subject", "for", to=_ANY),
)  # fmt: skip

_AUDIT_EVENT: Final = (
    _token("action", "action", system=f"{_HL7}/audit-event-action", quiet=True),
    _string("address", "agent.network.address", only_in=R4),
    _reference("agent", "agent.who", to=_ACTORS),
    _string("agent-name", "agent.name", only_in=R4),
    _token("agent-role", "agent.role"),
    _token("altid", "agent.altId", only_in=R4, quiet=True),
    _reference(
        "based-on", "extension(r5:AuditEvent.basedOn).valueReference", to=("ServiceRequest",),
        only_in=R5,
    ),
    _date("date", "recorded"),
    _reference(
        "encounter", "extension(r5:AuditEvent.encounter).valueReference", to=("Encounter",),
        only_in=R5,
    ),
    _reference("entity", "entity.what", to=_ANY),
    _string("entity-name", "entity.name", only_in=R4),
    _token("entity-role", "entity.role"),
    _token("entity-type", "entity.type", only_in=R4),
    _token("outcome", "outcome", system=f"{_HL7}/audit-event-outcome", quiet=True),
    _reference(
        "patient", "agent.who", "entity.what", "extension(r5:AuditEvent.patient).valueReference",
        to=("Patient",), only=True,
    ),
    _uri("policy", "agent.policy"),
    _token("purpose", "purposeOfEvent", "agent.purposeOfUse", only_in=R5),
    _token("site", "source.site", only_in=R4, quiet=True),
    _reference("source", "source.observer", to=_ACTORS),
    _token("subtype", "subtype", names={R5: "code"}, aliases=("subtype",)),
    _token("type", "type", names={R5: "category"}, aliases=("type",)),
)  # fmt: skip


def _person(gender: str = f"{_HL7}/administrative-gender") -> tuple[Parameter, ...]:
    """Return what people are searched by, whatever they are to us."""
    return (
        _token("active", "active", quiet=True, hl7=""),
        _string("address", "address", hl7="individual-address"),
        _string("address-city", "address.city", hl7="individual-address-city"),
        _string("address-country", "address.country", hl7="individual-address-country"),
        _string("address-postalcode", "address.postalCode", hl7="individual-address-postalcode"),
        _string("address-state", "address.state", hl7="individual-address-state"),
        _token(
            "address-use", "address.use", hl7="individual-address-use", quiet=True,
            system=f"{_HL7}/address-use",
        ),
        _token("email", "telecom", hl7="individual-email", quiet=True),
        _string("family", "name.family", hl7="individual-family"),
        _token("gender", "gender", hl7="individual-gender", quiet=True, system=gender),
        _string("given", "name.given", hl7="individual-given"),
        _token("identifier", "identifier", hl7=""),
        _string("name", "name", hl7=""),
        _token("phone", "telecom", hl7="individual-phone", quiet=True),
        _string("phonetic", "name", hl7="individual-phonetic"),
        _token("telecom", "telecom", hl7="individual-telecom", quiet=True),
    )  # fmt: skip


_PATIENT_KIND: Final = (
    *_person(),
    _date("birthdate", "birthDate", hl7="individual-birthdate"),
    _date("death-date", "deceasedDateTime"),
    _token("deceased", "deceased[x]", quiet=True),
    _reference(
        "general-practitioner", "generalPractitioner",
        to=("Practitioner", "Organization", "PractitionerRole"),
    ),
    _token("language", "communication.language"),
    _reference("link", "link.other", to=("Patient", "RelatedPerson")),
    _reference("organization", "managingOrganization", to=("Organization",)),
)  # fmt: skip

_PRACTITIONER: Final = (
    *_person(),
    _token("communication", "communication"),
    _date(
        "death-date", "extension(r5:Practitioner.deceased).valueDateTime", only_in=R5,
    ),
    _token("deceased", "extension(r5:Practitioner.deceased).value[x]", only_in=R5, quiet=True),
    _date("qualification-period", "qualification.period", only_in=R5),
)  # fmt: skip


def _defined(kind: str, row: Parameter) -> Parameter:
    """Return `row` with the ids of its definitions spelt out."""
    if row.definition is None:
        return row
    return replace(
        row,
        definition={
            release: known or f"{kind}-{row.name_in(release)}"
            for release, known in row.definition.items()
        },
    )


PARAMETERS: Final[Mapping[str, tuple[Parameter, ...]]] = {
    kind: tuple(_defined(kind, row) for row in rows)
    for kind, rows in {
        "AuditEvent": _AUDIT_EVENT,
        "BodyStructure": _BODY_STRUCTURE,
        "Device": _DEVICE,
        "ImagingStudy": _IMAGING_STUDY,
        "Observation": _OBSERVATION,
        "Patient": _PATIENT_KIND,
        "Practitioner": _PRACTITIONER,
        "Provenance": _PROVENANCE,
        "Task": _TASK,
    }.items()
}


def parameters_of(kind: str, release: str | None = None) -> dict[str, Parameter]:
    """Return what resources of a type are searched by, by every name a client may use.

    Parameters
    ----------
    release
        R4 or R5; without one, by the names in the store.
    """
    rows = [*COMMON, *PARAMETERS[kind]]
    if release is None:
        return {one.name: one for one in rows}
    found: dict[str, Parameter] = {}
    for one in rows:
        if release in one.releases:
            found.update(dict.fromkeys(one.aliases, one))
    for one in rows:
        if release in one.releases:
            found[one.name_in(release)] = one
    return found
