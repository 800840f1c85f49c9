"""The code systems that the Observations of images are coded with, as CodeSystem resources."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from api import codes
from api.concept_maps import PUBLISHER, computable_name

Json = dict[str, Any]
_DATE: Final = "2026-11-20"
_VALUE_SETS: Final = "https://w3id.org/bodysite/ValueSet"
# The licence of Bodysite itself.
_LICENCE: Final = "https://www.apache.org/licenses/LICENSE-2.0"


def own_systems() -> list[tuple[Json, list[Json]]]:
    """Return head and concepts of each code system of `api.codes`."""
    return [
        _system(
            codes.ANNOTATION,
            "Elements of the annotation of an image",
            "Names what a component of an Observation says, or asks for.",
            _concepts(codes.ELEMENTS),
        ),
        _system(
            codes.RELATION,
            "Relation of header and image",
            "How the body site that a DICOM header names and the one that the image shows stand to"
            " each other.",
            _concepts({str(code): display for code, display in codes.RELATIONS.items()}),
        ),
        _system(
            codes.ROUTER_GROUP,
            "Groups of the DICOM Imaging Router",
            "The five groups that an image belongs to by its site and the age of the patient.",
            _concepts({str(code): display for code, display in codes.GROUPS.items()}),
        ),
        _system(
            codes.REVIEW,
            "Why a person should look at an image",
            "What header and image contradict each other in, or why no model can answer for the"
            " image.",
            [
                {
                    "code": str(code),
                    "display": codes.review_display(code),
                    "definition": meaning,
                }
                for code, meaning in codes.REVIEWS.items()
            ],
        ),
    ]


def _concepts(displays: Mapping[str, str]) -> list[Json]:
    return [{"code": code, "display": display} for code, display in displays.items()]


def _system(
    url: str, title: str, description: str, concepts: list[Json]
) -> tuple[Json, list[Json]]:
    name = url.rpartition("/")[2]
    head = {
        "resourceType": "CodeSystem",
        "id": name,
        "url": url,
        "version": metadata.version("bodysite"),
        "name": computable_name(name),
        "title": title,
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": PUBLISHER,
        "description": description,
        "copyright": _LICENCE,
        "caseSensitive": True,
        "valueSet": f"{_VALUE_SETS}/{name}",
        "compositional": False,
        "content": "complete",
        "count": len(concepts),
    }
    return head, concepts
