"""The JSON objects that `map --json` and `annotate --format json` share; programs rely on them.

A new key may be added, none renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from terminology.annotation import Answers, Evidence, Site
from terminology.concept import View
from terminology.crosswalk import MappedTarget
from terminology.sources.reading import CodeReading

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph


def site_object(site: Site, graph: BodyStructureGraph) -> dict[str, Any]:
    """Return a site: code, display, laterality, confidence, sided.

    `sided` is the concept of that side, as code and display, where SNOMED CT has one.
    """
    sided = None
    if site.laterality is not None and site.code in graph:
        code = graph.sided(site.code, site.laterality)
        sided = None if code is None else {"code": code, "display": graph.lookup(code).display}
    return {
        "code": site.code,
        "display": site.display,
        "laterality": site.laterality,
        "confidence": site.confidence,
        "sided": sided,
    }


def view_object(view: View | None) -> dict[str, Any] | None:
    """Return a view: code, display, dicom; `None` where there is none."""
    if view is None:
        return None
    return {"code": view.code, "display": view.display, "dicom": view.dicom}


def answers_object(answers: Answers | None, graph: BodyStructureGraph) -> dict[str, Any] | None:
    """Return the sites by each way of joining header and image; `None` while there is no image."""
    if answers is None:
        return None
    return {
        "header": [site_object(site, graph) for site in answers.header],
        "image": [site_object(site, graph) for site in answers.image],
        "union": [site_object(site, graph) for site in answers.union],
        "intersection": [site_object(site, graph) for site in answers.intersection],
        "bayes": [site_object(site, graph) for site in answers.bayes],
    }


def evidence_object(evidence: Evidence) -> dict[str, Any]:
    """Return a piece of evidence: source, words, rows, note."""
    return {
        "source": evidence.source,
        "words": list(evidence.words),
        "rows": list(evidence.rows),
        "note": evidence.note,
    }


def code_object(reading: CodeReading) -> dict[str, Any]:
    """Return what a foreign code says, with the keys of a header word and some of its own."""
    return {
        "value": reading.value,
        "field": None,
        "system": reading.system,
        "parts": [
            {"system": part.system, "code": part.code, "display": part.display}
            for part in reading.parts
        ],
        "sites": [target_object(target) for target in reading.targets],
        "laterality": reading.laterality,
        "view": view_object(reading.view),
        "others": [
            {**target_object(target), "system": target.system, "category": target.category}
            for target in reading.others
        ],
        "ignored": [],
        "evidence": [evidence_object(one) for one in reading.evidence],
        "reason": reading.reason,
    }


def target_object(target: MappedTarget) -> dict[str, Any]:
    """Return a target of a mapping: code, display, laterality, confidence, predicate."""
    return {
        "code": target.code,
        "display": target.display,
        "laterality": target.laterality,
        "confidence": target.confidence,
        "predicate": target.predicate,
    }
