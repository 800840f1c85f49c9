"""The profiles of ours: what an ImagingStudy and the Observations that the service makes have."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any, Final

from api import codes
from api.profiles.names import (
    EXAMINED,
    EXAMINED_SITE,
    JUDGED_ANSWER,
    STUDY,
    VISIBLE,
    of_release,
)
from api.profiles.snapshot import Definition, snapshot
from api.rendering.structure import R4

_DATE: Final = "2026-11-21"
_VERSIONS: Final = {"R4": "4.0.1", "R5": "5.0.0"}
_FHIR: Final = "http://hl7.org/fhir/StructureDefinition"
_SITES: Final = "http://snomed.info/sct?fhir_vs=isa/123037004"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"


def _at(path: str, **constraints: Any) -> Definition:
    """Return an element of a differential; in a path, ``:name`` is a slice."""
    plain = ".".join(part.partition(":")[0] for part in path.split("."))
    last = path.rpartition(".")[2]
    slice_name = {"sliceName": last.partition(":")[2]} if ":" in last else {}
    return {"id": path, "path": plain, **slice_name, **constraints}


def _sliced(path: str, kind: str, by: str) -> Definition:
    slicing = {"discriminator": [{"type": kind, "path": by}], "rules": "open"}
    return _at(path, slicing=slicing)


def _bound(description: str) -> Definition:
    return {"strength": "required", "description": description, "valueSet": _SITES}


def _extension(path: str, url: str, high: str, short: str) -> Definition:
    kind = [{"code": "Extension", "profile": [url]}]
    return _at(path, short=short, definition=short, min=0, max=high, type=kind)


def _study(release: str) -> list[Definition]:
    site = "A SNOMED CT body structure, without its side"
    return [
        _at("ImagingStudy", short="An imaging study with the body sites that it examines"),
        _sliced("ImagingStudy.extension", "value", "url"),
        _extension(
            "ImagingStudy.extension:examinedSite", EXAMINED_SITE, "*", "A site that it examines"
        ),
        {**_sliced("ImagingStudy.identifier", "value", "system"), "min": 1},
        _at(
            "ImagingStudy.identifier:studyInstanceUid",
            short="Study Instance UID, as urn:oid",
            min=1,
            max="1",
        ),
        _at("ImagingStudy.identifier:studyInstanceUid.system", min=1, fixedUri="urn:dicom:uid"),
        _at("ImagingStudy.identifier:studyInstanceUid.value", min=1),
        _at("ImagingStudy.modality", min=1),
        _at("ImagingStudy.numberOfSeries", min=1),
        _at("ImagingStudy.numberOfInstances", min=1),
        _at("ImagingStudy.series", min=1),
        _at(
            "ImagingStudy.series.bodySite",
            short=site if release == R4 else f"{site}, and the BodyStructure that has it",
            binding=_bound("Body structures of SNOMED CT"),
        ),
        _at(
            "ImagingStudy.series.laterality",
            short="The side: 7771000 left, 24028007 right, 51440002 both",
        ),
    ]


def _observation(title: str, code: Definition) -> list[Definition]:
    imaging = {"coding": [{"system": _CATEGORY, "code": "imaging"}]}
    return [
        _at("Observation", short=title),
        {**_sliced("Observation.category", "pattern", "$this"), "min": 1},
        _at("Observation.category:imaging", min=1, max="1", patternCodeableConcept=imaging),
        _at("Observation.code", patternCodeableConcept=code),
        _at("Observation.subject", min=1),
    ]


def _pattern(code: Definition) -> Definition:
    """Return what tells a code: its first Coding, without the name."""
    first = code["coding"][0]
    return {"coding": [{"system": first["system"], "code": first["code"]}]}


def _component(name: str, code: Definition, high: str, value: str, short: str) -> list[Definition]:
    path = f"Observation.component:{name}"
    return [
        _at(path, short=short, min=0, max=high),
        _at(f"{path}.code", patternCodeableConcept=_pattern(code)),
        _at(f"{path}.value[x]", min=1, type=[{"code": value}]),
    ]


def _examined(_release: str) -> list[Definition]:
    concept = [{"code": "CodeableConcept"}]
    return [
        *_observation("A body site that the images of a series examine", _pattern(codes.EXAMINED)),
        _at(
            "Observation.value[x]",
            short="The site, without its side",
            min=1,
            type=concept,
            binding=_bound("Body structures of SNOMED CT"),
        ),
        _at(
            "Observation.bodySite",
            short="The site, then its sided concept if there is one",
            min=1,
            binding=_bound("Body structures of SNOMED CT"),
        ),
        _sliced("Observation.component", "pattern", "code"),
        *_component("modality", codes.MODALITY, "1", "CodeableConcept", "Modality of a picture"),
        *_component("laterality", codes.LATERALITY, "1", "CodeableConcept", "The side"),
        *_component("view", codes.VIEW, "*", "CodeableConcept", "A view of the images"),
        *_component("certainty", codes.CERTAINTY, "1", "Quantity", "How sure the site is, in %"),
        *_component("review", codes.REASON, "*", "CodeableConcept", "Why a person should look"),
    ]


def _visible(_release: str) -> list[Definition]:
    return [
        *_observation("All body sites that the images of a series show", _pattern(codes.VISIBLE)),
        _at("Observation.component", short="A site that is shown", min=1),
        _at("Observation.component.code", binding=_bound("Body structures of SNOMED CT")),
        _at(
            "Observation.component.value[x]",
            short="How sure it is, in %; true where that is not known",
            min=1,
            type=[{"code": "Quantity"}, {"code": "boolean"}],
        ),
    ]


_PROFILES: Final = (
    (
        STUDY,
        "ImagingStudy",
        "ImagingStudyWithBodySites",
        "Imaging study with body sites",
        "The images of a study: its series, each with the site and side that most of them give.",
        _study,
    ),
    (
        EXAMINED,
        "Observation",
        "ExaminedSiteObservation",
        "Examined body site",
        "One body site that a series examines; preliminary until a person has looked at it.",
        _examined,
    ),
    (
        VISIBLE,
        "Observation",
        "VisibleSitesObservation",
        "Visible body sites",
        "All body sites that the images of a series show, as a model sees them.",
        _visible,
    ),
)


@cache
def profiles(release: str) -> tuple[Definition, ...]:
    """Return the StructureDefinitions of ours in a release: profiles, then extensions."""
    found = [
        _definition(of_release(url, release), release, kind, name, title, text, elements(release))
        for url, kind, name, title, text, elements in _PROFILES
    ]
    return (*found, _examined_site(release), _judged_answer(release))


def _definition(
    url: str,
    release: str,
    kind: str,
    name: str,
    title: str,
    text: str,
    differential: list[Definition],
) -> Definition:
    suffix = "" if release == R4 else release
    is_extension = kind == "Extension"
    return {
        "resourceType": "StructureDefinition",
        "id": url.rpartition("/")[2],
        "url": url,
        "version": metadata.version("bodysite"),
        "name": name + suffix,
        "title": title,
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": text,
        "fhirVersion": _VERSIONS[release],
        "kind": "complex-type" if is_extension else "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": f"{_FHIR}/{kind}",
        "derivation": "constraint",
        "snapshot": {"element": snapshot(kind, release, differential)},
        "differential": {"element": differential},
    }


def _in_context(definition: Definition, *paths: str) -> Definition:
    context = [{"type": "element", "expression": path} for path in paths]
    return {**definition, "context": context}


def _examined_site(release: str) -> Definition:
    elements = [
        _at("Extension", short="A body site that the study examines", min=0, max="*"),
        _at("Extension.extension", max="0"),
        _at("Extension.url", fixedUri=EXAMINED_SITE),
        _at(
            "Extension.value[x]",
            short="A SNOMED CT body structure, then its sided concept if there is one",
            min=1,
            type=[{"code": "CodeableConcept"}],
            binding=_bound("Body structures of SNOMED CT"),
        ),
    ]
    text = (
        "A body site that an imaging study examines: the sites of its series, but none that"
        " contains another of them."
    )
    whole = _definition(
        EXAMINED_SITE,
        release,
        "Extension",
        "ExaminedBodySite",
        "Examined body site",
        text,
        elements,
    )
    return _in_context(whole, "ImagingStudy")


def _judged_answer(release: str) -> Definition:
    def part(name: str, high: str, short: str) -> list[Definition]:
        path = f"Extension.extension:{name}"
        return [
            _at(path, short=short, min=0, max=high),
            _at(f"{path}.extension", max="0"),
            _at(f"{path}.url", fixedUri=name),
            _at(f"{path}.value[x]", min=1, type=[{"code": "CodeableConcept"}]),
        ]

    elements = [
        _at("Extension", short="What the machine had said when a person judged it", min=0, max="1"),
        _sliced("Extension.extension", "value", "url"),
        *part("judged", "1", "The answer that was judged: a site, then its side"),
        *part("beside", "*", "What the machine said beside it"),
        _at("Extension.url", fixedUri=JUDGED_ANSWER),
        _at("Extension.value[x]", max="0"),
    ]
    text = (
        "The answer of the machine that a person's Observation was written on, so that the verdict"
        " holds for it whenever it is given again."
    )
    whole = _definition(
        JUDGED_ANSWER, release, "Extension", "JudgedAnswer", "Judged answer", text, elements
    )
    return _in_context(whole, "Observation")
