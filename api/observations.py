"""Observation: an examined site of a series or picture, and all sites that it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from api import codes
from api.bodystructures import referring, structure_id
from api.devices import Devices, model_of
from api.fhir import concept, instance_of, modality_coding, resource
from api.findings import Finding, clean
from api.profiles import mii
from api.profiles.names import EXAMINED, VISIBLE
from api.records import Resource
from terminology.annotation import BodySiteAnnotation, Site
from terminology.concept import SNOMED
from terminology.graph import BodyStructureGraph

_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM: Final = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class About:
    """What an Observation is about: a series of a study, or a picture.

    Attributes
    ----------
    study
        Logical id of the ImagingStudy, `None` of a picture.
    """

    subject: Mapping[str, Any]
    study: str | None = None
    started: str | None = None
    extensions: tuple[Mapping[str, Any], ...] = ()
    identifiers: tuple[Mapping[str, Any], ...] = ()
    modality: str | None = None
    for_mii: bool = False

    def content(self, profile: str, members: Sequence[BodySiteAnnotation]) -> dict[str, Any]:
        """Return the elements that every Observation about it has.

        Parameters
        ----------
        profile
            The one of ours that the Observation follows.
        members
            The instances that it rests on.
        """
        imaging = {"system": _CATEGORY, "code": "imaging", "display": "Imaging"}
        extensions = list(self.extensions)
        if self.study and self.for_mii and len(members) == 1:
            uid = instance_of(members[0]).sop_instance_uid
            extensions.append({"url": mii.SOP_INSTANCE_UID, "valueId": uid})
        return {
            "meta": {"profile": [profile, *([mii.OBSERVATION] if self.for_mii else [])]},
            "extension": extensions,
            "identifier": list(self.identifiers),
            "status": "preliminary",
            "category": [{"coding": [imaging, *([mii.CATEGORY] if self.for_mii else [])]}],
            "subject": dict(self.subject),
            "effectiveDateTime": self.started,
            "derivedFrom": [{"reference": f"ImagingStudy/{self.study}"}] if self.study else [],
        }


def sided_code(finding: Finding, graph: BodyStructureGraph) -> str | None:
    """Return the code of the site of `finding` with its side, where there is one."""
    if finding.laterality is None:
        return None
    return graph.sided(finding.best.site.code, finding.laterality)


def codes_of(finding: Finding, graph: BodyStructureGraph) -> tuple[str, ...]:
    """Return the codes that a search finds `finding` by: the site, and its sided concept."""
    sided = sided_code(finding, graph)
    return (finding.best.site.code, sided) if sided else (finding.best.site.code,)


def views_of(annotations: Iterable[BodySiteAnnotation]) -> list[dict[str, Any]]:
    """Return the views of the images, each once, ordered by code."""
    found = {one.view.code: one.view for one in annotations if one.view is not None}
    return [concept(view) for _, view in sorted(found.items())]


def site_concept(finding: Finding, graph: BodyStructureGraph) -> dict[str, Any]:
    """Return the site of `finding`, followed by its sided concept where there is one."""
    codings = [_coding(finding.best.site)]
    sided = sided_code(finding, graph)
    if sided is not None:
        codings.append({"system": SNOMED, "code": sided, "display": graph.lookup(sided).display})
    return {"coding": codings, "text": _site_text(finding)}


def examined_observation(
    resource_id: str,
    finding: Finding,
    about: About,
    devices: Devices,
    graph: BodyStructureGraph,
) -> Resource:
    """Return the Observation of one examined site.

    Its components say with what side and view it is examined, how sure site and view are, how
    header and image stand to each other, what each of the ways of joining them answers, and why a
    person should look, which `interpretation` then asks for.
    """
    review = any(one.review for one in finding.led_by)
    device = devices.of_site(finding.best, finding.best_of)
    site = site_concept(finding, graph)
    if about.study:
        site = {"extension": [referring(structure_id(about.study, finding.key))], **site}
    content = {
        **about.content(EXAMINED, finding.stated_by),
        "code": codes.EXAMINED,
        "valueCodeableConcept": {"coding": [_coding(finding.best.site)]},
        "interpretation": [codes.NEEDED] if review else [],
        "note": [{"text": text} for text in finding.notes],
        "bodySite": site,
        "device": {"reference": f"Device/{device.id}"},
        "component": _components(finding, about.modality),
    }
    return resource("Observation", resource_id, content, graph)


def visible_observation(
    resource_id: str,
    sites: Sequence[Site],
    about: About,
    devices: Devices,
    members: Sequence[BodySiteAnnotation],
    graph: BodyStructureGraph,
) -> Resource:
    """Return the Observation of what images show: a component a site, with how sure that is."""
    model = next((name for one in members if one.visible and (name := model_of(one))), "")
    device = devices.models.get(model, devices.header)
    content = {
        **about.content(VISIBLE, members),
        "code": codes.VISIBLE,
        # The profile of the initiative asks for a value beside the components.
        "valueString": ", ".join(site.display for site in sites) if about.for_mii else None,
        "device": {"reference": f"Device/{device.id}"},
        "component": [
            {
                "code": {"coding": [_coding(site)]},
                **(
                    {"valueQuantity": _percent(site.confidence)}
                    if site.confidence is not None
                    else {"valueBoolean": True}
                ),
            }
            for site in sites
        ],
    }
    return resource("Observation", resource_id, content, graph)


def _components(finding: Finding, modality: str | None) -> list[dict[str, Any]]:
    found = []
    if modality is not None:
        found.append(_component(codes.MODALITY, {"coding": [modality_coding(modality)]}))
    if finding.laterality is not None:
        found.append(_component(codes.LATERALITY, concept(finding.laterality.coding)))
    views = views_of(finding.stated_by)
    found += [_component(codes.VIEW, view) for view in views]
    sure = [one.view_confidence for one in finding.stated_by if one.view_confidence is not None]
    # Of several views it would not be said which one is meant.
    if len(views) == 1 and sure:
        found.append({"code": codes.VIEW_CONFIDENCE, "valueQuantity": _percent(max(sure))})
    confidence = finding.best.site.confidence
    if confidence is not None:
        found.append({"code": codes.CERTAINTY, "valueQuantity": _percent(confidence)})
    for annotation in finding.led_by:
        found += _of_instance(annotation)
    # The instances of a series mostly say the same.
    return [one for place, one in enumerate(found) if one not in found[:place]]


def _of_instance(annotation: BodySiteAnnotation) -> Iterable[dict[str, Any]]:
    """Yield what is said of one instance beside its site."""
    if annotation.router_group is not None:
        group = annotation.router_group
        yield _component(codes.ROUTED, _own(codes.ROUTER_GROUP, group.value, codes.GROUPS[group]))
    if model_of(annotation) is not None:
        relation = annotation.relation
        display = codes.RELATIONS[relation]
        yield _component(codes.RELATED, _own(codes.RELATION, relation.value, display))
    if annotation.answers is not None:
        for field in fields(annotation.answers):
            for site in getattr(annotation.answers, field.name):
                yield _component(codes.ANSWERS[field.name], {"coding": [_coding(site)]})
    for reason in annotation.review:
        text = clean(reason)
        yield _component(codes.REASON, _own(codes.REVIEW, text, codes.review_display(text)))


def _own(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _component(code: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": dict(code), "valueCodeableConcept": dict(value)}


def _coding(site: Site) -> dict[str, str]:
    return {"system": SNOMED, "code": site.code, "display": site.display}


def _percent(share: float) -> dict[str, Any]:
    return {"value": round(share * 100, 1), "unit": "%", "system": _UCUM, "code": "%"}


def _site_text(finding: Finding) -> str:
    side = finding.laterality
    return f"{finding.best.site.display} ({side})" if side else finding.best.site.display
