"""ImagingStudy as a person left it, with what the machine and the verdicts say of it now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from api import codes
from api.profiles.names import EXAMINED_SITE
from api.review.completing import completed
from api.review.statement import SERIES_UID
from api.review.verdicts import settling_id
from terminology.graph import BodyStructureGraph

if TYPE_CHECKING:
    from api.security.actor import Actor

_IMAGING: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "imaging",
    "display": "Imaging",
}
# What follows from the annotations and the verdicts, whatever a person writes there.
_MANAGED: Final = ("modality", "numberOfSeries", "numberOfInstances")
_MANAGED_OF_SERIES: Final = (
    "uid", "modality", "numberOfInstances", "instance", "bodySite", "laterality",
)  # fmt: skip


def overlaid_study(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ImagingStudy that a person has changed.

    Sites, sides, instances and what is counted are as `ours` has them; everything else, series
    without an annotated instance included, as `theirs` has it.
    """
    meta = {
        key: value
        for key, value in theirs.get("meta", {}).items()
        if key not in ("versionId", "lastUpdated")
    }
    found = {key: value for key, value in theirs.items() if key not in ("meta", *_MANAGED)}
    if meta:
        found["meta"] = meta
    found.update({key: ours[key] for key in _MANAGED if key in ours})
    extensions = _extensions(ours, theirs)
    found.pop("extension", None)
    if extensions:
        found["extension"] = extensions
    mine = {one.get("uid"): one for one in ours.get("series", ())}
    others = {one.get("uid"): one for one in theirs.get("series", ())}
    series = [_series(one, others.get(uid, {})) for uid, one in mine.items()]
    series += [one for uid, one in others.items() if uid not in mine]
    found["series"] = series
    found["numberOfSeries"] = len(series)
    return found


def _extensions(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Any]:
    kept = [one for one in theirs.get("extension", ()) if one.get("url") != EXAMINED_SITE]
    sites = [one for one in ours.get("extension", ()) if one.get("url") == EXAMINED_SITE]
    return [*sites, *kept]


def _series(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    managed = {key: ours[key] for key in _MANAGED_OF_SERIES if key in ours}
    mine = {one.get("url"): one for one in ours.get("extension", ())}
    kept = [one for one in theirs.get("extension", ()) if one.get("url") not in mine]
    extension = [*mine.values(), *kept]
    others = {
        key: value
        for key, value in {**ours, **theirs}.items()
        if key not in (*_MANAGED_OF_SERIES, "extension")
    }
    return {**({"extension": extension} if extension else {}), **managed, **others}


def changed_series(
    content: Mapping[str, Any], was: Mapping[str, Any]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield place and element of every series whose site or side is another one than it was."""
    before = {one.get("uid"): one for one in was.get("series", ())}
    for place, one in enumerate(content.get("series", ())):
        known = before.get(one.get("uid"))
        if known is not None and _named(one) != _named(known):
            yield place, one


def missing_series(content: Mapping[str, Any], was: Mapping[str, Any]) -> frozenset[str]:
    """Return the UIDs of series with instances that were there and are not there now."""
    there = {one.get("uid") for one in content.get("series", ())}
    return frozenset(
        one["uid"]
        for one in was.get("series", ())
        if one.get("instance") and one["uid"] not in there
    )


def verdict_on_series(
    study: Mapping[str, Any],
    series: Mapping[str, Any],
    who: Actor,
    graph: BodyStructureGraph,
) -> dict[str, Any]:
    """Return the Observation that says what a person wrote into ImagingStudy.series."""
    site = series["bodySite"]
    side = series.get("laterality")
    content: dict[str, Any] = {
        "resourceType": "Observation",
        "id": settling_id(study["id"], series["uid"]),
        "extension": [{"url": SERIES_UID, "valueId": series["uid"]}],
        "status": "final",
        "category": [{"coding": [_IMAGING]}],
        "code": codes.EXAMINED,
        "subject": study["subject"],
        "valueCodeableConcept": {"coding": [site]},
        "bodySite": {"coding": [site]},
        "derivedFrom": [{"reference": f"ImagingStudy/{study['id']}"}],
    }
    if side is not None:
        component = {"code": codes.LATERALITY, "valueCodeableConcept": {"coding": [side]}}
        content["component"] = [component]
    if "started" in study:
        content["effectiveDateTime"] = study["started"]
    return completed(content, None, who, graph, (), by_machine=False)


def _named(series: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(series.get(name, {}).get("code") for name in ("bodySite", "laterality"))
