"""Examples of our profiles: what the service makes of one radiograph of a left hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from api.phi import PhiPolicy
from api.profiles.names import EXAMINED, STUDY, VISIBLE
from api.rendering import rendered
from api.resources import ResourceBuilder
from terminology.annotation import (
    BodySiteAnnotation,
    Evidence,
    ExaminedSite,
    Instance,
    Relation,
    Site,
    Source,
)
from terminology.concept import Laterality, View
from terminology.library import load_terminology

_HAND: Final = Site("85562004", "Hand", Laterality.LEFT, 0.97)
_WRIST: Final = Site("8205005", "Wrist", None, 0.81)
_RADIOGRAPH: Final = BodySiteAnnotation(
    Instance(
        study_uid="2.25.1",
        series_uid="2.25.2",
        sop_instance_uid="2.25.3",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        modality="DX",
        patient_id="example",
        started="2026-03-01",
        series_number=1,
        instance_number=1,
    ),
    modality="DX",
    examined=(ExaminedSite(_HAND, Source.FUSED),),
    visible=(_HAND, _WRIST),
    view=View("399348003", "Antero-posterior projection", "AP"),
    laterality=Laterality.LEFT,
    relation=Relation.EQUAL,
    image=(_HAND,),
    evidence=(Evidence("BodyPartExamined", ("HAND",)), Evidence("Example net 1")),
)


@cache
def examples(release: str) -> tuple[dict[str, Any], ...]:
    """Return one resource of each profile of ours, in a release."""
    builder = ResourceBuilder(load_terminology().graph, PhiPolicy.KEEP)
    found: dict[str, Mapping[str, Any]] = {}
    for resource in builder.study([_RADIOGRAPH]):
        for profile in resource.content.get("meta", {}).get("profile", ()):
            found.setdefault(profile, resource.content)
    return tuple(rendered(found[profile], release) for profile in (STUDY, EXAMINED, VISIBLE))
