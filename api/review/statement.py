"""What an Observation of an examined site says: site, side, view, and which series it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import codes
from api.findings import Key
from terminology.annotation import Site
from terminology.concept import SNOMED, Laterality
from terminology.graph import BodyStructureGraph

# The series of an Observation, as the German medical informatics initiative has it.
SERIES_UID: Final = (
    "https://www.medizininformatik-initiative.de/fhir/ext/modul-bildgebung/StructureDefinition/"
    "mii-ex-bildgebung-series-uid"
)
_EXAMINED: Final = frozenset(
    (coding["system"], coding["code"]) for coding in codes.EXAMINED["coding"]
)
_SIDES: Final = {side.coding.code: side for side in Laterality}
_SIDE_NAME: Final = codes.LATERALITY["coding"][0]["code"]
_VIEW_NAME: Final = codes.VIEW["coding"][0]["code"]
_REASON_NAME: Final = codes.REASON["coding"][0]["code"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What an Observation says of a series.

    Attributes
    ----------
    study
        Logical id of the ImagingStudy that it is derived from.
    series
        Series Instance UID, `None` where it is about the whole study.
    value, site
        The SNOMED CT codes of `valueCodeableConcept` and `bodySite`, as they stand.
    side
        What the component for the side says, `None` without one.
    views
        The codes of the components for the view.
    reasons
        Why a person should look.
    """

    study: str | None
    series: str | None
    value: tuple[str, ...]
    site: tuple[str, ...]
    side: Laterality | None
    views: tuple[str, ...]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Statement:
        """Return what an Observation (R4) says, whatever is missing in it."""
        named = list(_components(content))
        sides = [code for name, code in named if name == _SIDE_NAME]
        return cls(
            study=_study(content),
            series=_series(content),
            value=tuple(_codes(content.get("valueCodeableConcept"))),
            site=tuple(_codes(content.get("bodySite"))),
            side=next((_SIDES[code] for code in sides if code in _SIDES), None),
            views=tuple(code for name, code in named if name == _VIEW_NAME),
            reasons=tuple(code for name, code in named if name == _REASON_NAME),
        )


def is_examined(content: Mapping[str, Any]) -> bool:
    """Return whether an Observation states an examined site."""
    codings = _list(_dict(content.get("code")).get("coding"))
    return any((one.get("system"), one.get("code")) in _EXAMINED for one in map(_dict, codings))


def view_of(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the view that an Observation names, as a CodeableConcept; `None` unless it is one."""
    views = [
        _dict(one.get("valueCodeableConcept"))
        for one in map(_dict, _list(content.get("component")))
        if any(name.get("code") == _VIEW_NAME for name in map(_dict, _names(one)))
    ]
    return views[0] if len(views) == 1 else None


def key_of(codes_: tuple[str, ...], graph: BodyStructureGraph) -> Key | None:
    """Return the site that codes of one concept name, unsided, with its side.

    The codes are the unsided concept, the sided one, or both. `None` where none of them is known.
    """
    keys = [graph.unsided(graph.current(code)) for code in codes_ if code in graph]
    if not keys:
        return None
    sided = next((key for key in keys if key[1] is not None), keys[0])
    return graph.current(sided[0]), sided[1]


def site_of(key: Key, graph: BodyStructureGraph) -> Site:
    """Return a key as a site."""
    display = graph.lookup(key[0]).display if key[0] in graph else key[0]
    return Site(key[0], display, key[1])


def _study(content: Mapping[str, Any]) -> str | None:
    for one in map(_dict, _list(content.get("derivedFrom"))):
        kind, _, resource_id = (
            str(one.get("reference", "")).partition("/_history/")[0].rpartition("/")
        )
        if kind.rpartition("/")[2] == "ImagingStudy":
            return resource_id
    return None


def _series(content: Mapping[str, Any]) -> str | None:
    for one in map(_dict, _list(content.get("extension"))):
        value = one.get("valueId")
        if one.get("url") == SERIES_UID and isinstance(value, str):
            return value
    return None


def _components(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of every component whose value is coded."""
    for one in map(_dict, _list(content.get("component"))):
        for name in map(_dict, _names(one)):
            for value in map(_dict, _list(_dict(one.get("valueCodeableConcept")).get("coding"))):
                yield str(name.get("code")), str(value.get("code"))


def _names(component: Mapping[str, Any]) -> list[Any]:
    return _list(_dict(component.get("code")).get("coding"))


def _codes(concept: Any) -> Iterator[str]:
    for one in map(_dict, _list(_dict(concept).get("coding"))):
        if one.get("system") == SNOMED and isinstance(one.get("code"), str):
            yield one["code"]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
