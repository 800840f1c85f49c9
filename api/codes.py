"""What the Observations of images are coded with: LOINC and DICOM where they have it, else ours.

Codes of ours are in the systems ``https://w3id.org/bodysite/CodeSystem/…``: `annotation` names what
an element says, `relation`, `router-group` and `review` have the values of the annotation of the
same name. `api.tx.own_systems` publishes them out of the tables here.
"""

from __future__ import annotations

from typing import Any, Final

from classifier.calibration.reasons import Reason
from classifier.fusion.review import Review
from terminology.annotation import Relation, RouterGroup
from terminology.concept import DICOM

LOINC: Final = "http://loinc.org"
_SYSTEMS: Final = "https://w3id.org/bodysite/CodeSystem"
ANNOTATION: Final = f"{_SYSTEMS}/annotation"
RELATION: Final = f"{_SYSTEMS}/relation"
ROUTER_GROUP: Final = f"{_SYSTEMS}/router-group"
REVIEW: Final = f"{_SYSTEMS}/review"

# Names of elements, by their code in `ANNOTATION`.
ELEMENTS: Final = {
    "visible": "Body sites that an image shows",
    "view-confidence": "How sure the model is of the view",
    "relation": "How header and image stand to each other",
    "router-group": "Group of the DICOM Imaging Router",
    "review": "Why a person should look",
    "review-needed": "A person should look",
    "answer-header": "What the header says alone",
    "answer-image": "What the image says alone",
    "answer-union": "What header or image says",
    "answer-intersection": "What header and image agree on",
    "answer-bayes": "What both say, by how reliable they are",
    "classes": "Body sites that the model tells apart",
}
RELATIONS: Final = {
    Relation.EQUAL: "Both say the same",
    Relation.HEADER_BROADER: "What the header says contains what the image says",
    Relation.HEADER_NARROWER: "What the image says contains what the header says",
    Relation.NEIGHBOUR: "They say neighbours",
    Relation.CONFLICT: "They contradict each other",
    Relation.HEADER_ONLY: "The answer rests on the header alone",
    Relation.IMAGE_ONLY: "The answer rests on the image alone",
    Relation.NONE: "Neither says something",
}
GROUPS: Final = {group: group.capitalize() for group in RouterGroup}
# Why a person should look, code → what it means: what fusion finds, and what a model says of an
# image that it cannot answer for.
REVIEWS: Final[dict[str, str]] = {
    Review.CONFLICT: "The image shows another part of the body than the header names.",
    Review.VIEW_CONFLICT: "The image shows another view than the header says.",
    Review.LATERALITY_CONFLICT: "The image shows another side than the header says.",
    Review.MODALITY_CONFLICT: "The image is of another modality than the header says.",
    Review.HEADER_CONFLICT: "Attributes of the header contradict one another.",
    Review.LOW_CONFIDENCE: "What header and image say together is not probable enough.",
    Review.NO_ANSWER: "Neither header nor image names a site.",
    **{reason: reason.sentence for reason in Reason},
}

# What the Observation states is the site itself. LOINC 39111-0 says so for any patient; DICOM's
# 123014 is the name that PS3.16 TID 1602 gives the anatomic region in an image library.
EXAMINED: Final[dict[str, Any]] = {
    "coding": [
        {"system": LOINC, "code": "39111-0", "display": "Body site"},
        {"system": DICOM, "code": "123014", "display": "Target Region"},
    ],
    "text": "Examined body site",
}


def review_display(code: str) -> str:
    """Return what a code of `REVIEW` is called."""
    return code.replace("-", " ").capitalize()


def _element(code: str) -> dict[str, Any]:
    return {"coding": [{"system": ANNOTATION, "code": code, "display": ELEMENTS[code]}]}


def _dicom(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": DICOM, "code": code, "display": display}]}


VISIBLE: Final = {**_element("visible"), "text": "Visible body sites"}
# PS3.16 TID 1602: the names of modality, side and view; 111012 is what a device places upon its
# finding.
MODALITY: Final = _dicom("121139", "Modality")
LATERALITY: Final = _dicom("111027", "Image Laterality")
VIEW: Final = _dicom("111031", "Image View")
CERTAINTY: Final = _dicom("111012", "Certainty of Finding")
VIEW_CONFIDENCE: Final = _element("view-confidence")
RELATED: Final = _element("relation")
ROUTED: Final = _element("router-group")
REASON: Final = _element("review")
NEEDED: Final = _element("review-needed")
CLASSES: Final = _element("classes")
# The five ways of joining header and image, by the name in `Answers`.
ANSWERS: Final = {
    name: _element(f"answer-{name}")
    for name in ("header", "image", "union", "intersection", "bayes")
}
