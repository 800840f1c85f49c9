"""What the Observations of images are coded with: LOINC and DICOM where they have it, else ours.

Codes of ours are in the systems ``https://w3id.org/bodysite/CodeSystem/…``: `annotation` names what
an element says, `relation`, `router-group` and `review` have the values of the annotation of the
same name.
"""

from __future__ import annotations

from typing import Any, Final

from terminology.annotation import Relation
from terminology.concept import DICOM

LOINC: Final = "http://loinc.org"
_SYSTEMS: Final = "https://w3id.org/bodysite/CodeSystem"
ANNOTATION: Final = f"{_SYSTEMS}/annotation"
RELATION: Final = f"{_SYSTEMS}/relation"
ROUTER_GROUP: Final = f"{_SYSTEMS}/router-group"
REVIEW: Final = f"{_SYSTEMS}/review"

# What the Observation states is the site itself. LOINC 39111-0 says so for any patient; DICOM's
# 123014 is the name that PS3.16 TID 1602 gives the anatomic region in an image library.
EXAMINED: Final[dict[str, Any]] = {
    "coding": [
        {"system": LOINC, "code": "39111-0", "display": "Body site"},
        {"system": DICOM, "code": "123014", "display": "Target Region"},
    ],
    "text": "Examined body site",
}


def coded(code: str, display: str) -> dict[str, Any]:
    """Return a CodeableConcept of ours that names an element."""
    return {"coding": [{"system": ANNOTATION, "code": code, "display": display}]}


def _dicom(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": DICOM, "code": code, "display": display}]}


VISIBLE: Final = {
    **coded("visible", "Body sites that an image shows"),
    "text": "Visible body sites",
}
# PS3.16 TID 1602: the names of modality, side and view; 111012 is what a device places upon its
# finding.
MODALITY: Final = _dicom("121139", "Modality")
LATERALITY: Final = _dicom("111027", "Image Laterality")
VIEW: Final = _dicom("111031", "Image View")
CERTAINTY: Final = _dicom("111012", "Certainty of Finding")
RELATED: Final = coded("relation", "How header and image stand to each other")
ROUTED: Final = coded("router-group", "Group of the DICOM Imaging Router")
REASON: Final = coded("review", "Why a person should look")
NEEDED: Final = coded("review-needed", "A person should look")
# The five ways of joining header and image, by the name in `Answers`.
ANSWERS: Final = {
    "header": coded("answer-header", "What the header says alone"),
    "image": coded("answer-image", "What the image says alone"),
    "union": coded("answer-union", "What header or image says"),
    "intersection": coded("answer-intersection", "What header and image agree on"),
    "bayes": coded("answer-bayes", "What both say, by how reliable they are"),
}
RELATIONS: Final = {
    Relation.EQUAL: "Both say the same",
    Relation.HEADER_BROADER: "What the header says contains what the image says",
    Relation.HEADER_NARROWER: "What the image says contains what the header says",
    Relation.NEIGHBOUR: "They say neighbours",
    Relation.CONFLICT: "They contradict each other",
    Relation.HEADER_ONLY: "Only the header says something",
    Relation.IMAGE_ONLY: "Only the image says something",
    Relation.NONE: "Neither says something",
}
