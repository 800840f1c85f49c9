"""The JSON objects that `map --json` and `annotate --format json` share; programs rely on them.

A new key may be added, none renamed.
"""

from __future__ import annotations

from typing import Any

from terminology.annotation import Evidence, Site
from terminology.concept import View
from terminology.crosswalk import MappedTarget
from terminology.sources.reading import CodeReading


def site_object(site: Site) -> dict[str, Any]:
    """Return a site: code, display, laterality, confidence."""
    return {
        "code": site.code,
        "display": site.display,
        "laterality": site.laterality,
        "confidence": site.confidence,
    }


def view_object(view: View | None) -> dict[str, Any] | None:
    """Return a view: code, display, dicom; `None` where there is none."""
    if view is None:
        return None
    return {"code": view.code, "display": view.display, "dicom": view.dicom}


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
        "sites": [_target_object(target) for target in reading.targets],
        "laterality": reading.laterality,
        "view": view_object(reading.view),
        "others": [
            {**_target_object(target), "system": target.system, "category": target.category}
            for target in reading.others
        ],
        "ignored": [],
        "evidence": [evidence_object(one) for one in reading.evidence],
        "reason": reading.reason,
    }


def _target_object(target: MappedTarget) -> dict[str, Any]:
    return {
        "code": target.code,
        "display": target.display,
        "laterality": target.laterality,
        "confidence": target.confidence,
        "predicate": target.predicate,
    }
