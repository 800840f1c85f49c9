"""The issues about one code: unknown, inactive, deprecated, or written otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.tx.inquiry import Inquiry, Trial
from api.tx.issues import Issue
from api.tx.messages import issue
from api.tx.property_names import standards_status
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.value_sets import canonical_of
from api.tx.versions import join_canonical

_DEPRECATED_URL: Final = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"


def unknown_code(provider: CodeSystemProvider, trial: Trial) -> list[Issue]:
    """Return the issues that a code system does not know a code, an error unless it is a part."""
    at = trial.at("code")
    if provider.content != "complete":
        name = "UNKNOWN_CODE_IN_FRAGMENT"
        told = (trial.code, provider.url, provider.version)
        return [issue("warning", "code-invalid", "invalid-code", name, *told, at=at)]
    name = "Unknown_Code_in_Version" if provider.version else "Unknown_Code_in"
    found = issue(
        "error",
        "code-invalid",
        "invalid-code",
        name,
        trial.code,
        provider.url,
        provider.version,
        at=at,
    )
    if provider.version_label:
        text = f"{found.text} ({provider.version_label})"
        found = Issue(found.severity, found.code, found.kind, text, name, found.expression)
    reason = provider.why_unknown(trial.code)
    if not reason:
        return [found]
    return [found, Issue("information", "code-invalid", "invalid-code", reason, None, (at,))]


def differs_by_case(provider: CodeSystemProvider, trial: Trial, concept: Concept) -> Issue:
    """Return the issue that a code is right but for its case."""
    return issue(
        "information",
        "business-rule",
        "code-rule",
        "CODE_CASE_DIFFERENCE",
        trial.code,
        concept.code,
        join_canonical(provider.url, provider.version),
        at=trial.at("code"),
    )


def deprecated_in(
    value_set: Mapping[str, Any],
    provider: CodeSystemProvider,
    trial: Trial,
    reference: Mapping[str, Any],
) -> Issue | None:
    """Return the issue that a value set lists a code but advises against it, if it does."""
    status = standards_status(reference)
    if status not in {"withdrawn", "deprecated"}:
        urls = {extension.get("url") for extension in reference.get("extension") or ()}
        if _DEPRECATED_URL not in urls:
            return None
        status = "deprecated"
    return issue(
        "warning",
        "business-rule",
        "code-comment",
        "CONCEPT_DEPRECATED_IN_VALUESET",
        provider.url,
        trial.code,
        status,
        canonical_of(value_set),
        at=trial.at("code"),
    )


def inactive_or_deprecated(inquiry: Inquiry, last: Trial | None) -> Issue | None:
    """Return the issue that a concept should no longer be used, if there is one such.

    Parameters
    ----------
    last
        The coding looked at last, which the status in `inquiry` is of.
    """
    status = inquiry.status
    if inquiry.inactive is not None:
        path, code = inquiry.inactive
        plain = status is None or status in {"inactive", "DISCOURAGED"}
        name = "INACTIVE_CONCEPT_FOUND" if plain else "INACTIVE_CONCEPT_FOUND_ADD"
        told = (status or "inactive", code, "inactive")
    elif status and status.lower() == "deprecated" and last is not None:
        path, name = last.path, "DEPRECATED_CONCEPT_FOUND"
        told = (status, last.code, "")
    else:
        return None
    return issue("warning", "business-rule", "code-comment", name, *told, at=path or "code")
