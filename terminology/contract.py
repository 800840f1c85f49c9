"""The JSON objects that `map --json` and `annotate --format json` share; programs rely on them.

A new key may be added, none renamed.
"""

from __future__ import annotations

from typing import Any

from terminology.annotation import Evidence, Site
from terminology.concept import View


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
