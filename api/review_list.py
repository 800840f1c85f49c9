"""The review list of `bodysite annotate --review`: instances that a person should look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.annotator import Annotated, Result

if TYPE_CHECKING:
    from terminology.annotation import BodySiteAnnotation, Site

COLUMNS: Final = (
    "file", "sop_instance_uid", "series_uid", "study_uid", "modality", "review", "relation",
    "header_code", "header_display", "header_laterality", "header_confidence",
    "image_code", "image_display", "image_laterality", "image_confidence",
    "answer_code", "answer_display", "answer_source", "conflicts",
)  # fmt: skip


def review_row(result: Result) -> dict[str, Any] | None:
    """Return the cells of one instance; `None` where nobody need look at it.

    `review` holds the codes of why, separated by spaces; `header_...` and `image_...` what each
    says alone, its best answer, and `answer_...` what is answered.
    """
    if not isinstance(result, Annotated) or not result.annotation.review:
        return None
    annotation = result.annotation
    instance = annotation.instance
    answer = annotation.examined[0] if annotation.examined else None
    return {
        "file": result.name,
        "sop_instance_uid": instance and instance.sop_instance_uid,
        "series_uid": instance and instance.series_uid,
        "study_uid": instance and instance.study_uid,
        "modality": annotation.modality,
        "review": " ".join(annotation.review),
        "relation": annotation.relation,
        **_cells("header", _of_header(annotation)),
        **_cells("image", next(iter(annotation.image), None)),
        "answer_code": answer and answer.site.code,
        "answer_display": answer and answer.site.display,
        "answer_source": answer and answer.source,
        "conflicts": "; ".join(annotation.conflicts),
    }


def _of_header(annotation: BodySiteAnnotation) -> Site | None:
    if annotation.answers is not None:
        return next(iter(annotation.answers.header), None)
    return next((site for statement in annotation.header for site in statement.sites), None)


def _cells(whose: str, site: Site | None) -> dict[str, Any]:
    if site is None:
        return {}
    return {
        f"{whose}_code": site.code,
        f"{whose}_display": site.display,
        f"{whose}_laterality": site.laterality,
        f"{whose}_confidence": site.confidence,
    }
