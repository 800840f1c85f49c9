"""AuditEvent, which R5 has put together anew."""

from __future__ import annotations

import json
from typing import Any, Final

from api.rendering.shapes import (
    ABSENT,
    Part,
    Rule,
    coding_of,
    concept_of,
    each,
    one,
    renamed,
    required_in_r4,
)

_SEVERITY: Final = "http://hl7.org/fhir/issue-severity"
# FHIR R4, ValueSet audit-event-outcome; FHIR R5, ValueSet audit-event-outcome.
_OUTCOMES: Final = {"0": "success", "4": "warning", "8": "error", "12": "fatal"}
_CODES: Final = {severity: code for code, severity in _OUTCOMES.items()}
# FHIR R4, ValueSet network-type: 5 is a URI.
_URI: Final = "5"


def _kind_up(part: Part) -> Part:
    """R4 type, then subtype; R5 category, then code, which it requires."""
    if "type" not in part:
        return {"code": dict(ABSENT)}
    codings = part.get("subtype") or [part["type"]]
    return {"category": [concept_of(part["type"])], "code": {"coding": list(codings)}}


def _kind_down(part: Part) -> Part:
    code = part.get("code", {})
    categories = part.get("category", ())
    if not categories:
        return {"type": coding_of(code)}
    found: Part = {"type": coding_of(categories[0])}
    if code != categories[0]:
        found["subtype"] = list(code.get("coding", ())) or [coding_of(code)]
    return found


def _outcome_up(part: Part) -> Part:
    code, text = part.get("outcome"), part.get("outcomeDesc")
    if code is None and text is None:
        return {}
    severity = {"system": _SEVERITY, "code": _OUTCOMES[code]} if code in _OUTCOMES else ABSENT
    return {
        "outcome": {
            "code": dict(severity),
            **({"detail": [{"text": text}]} if text is not None else {}),
        }
    }


def _outcome_down(part: Part) -> Part:
    said = part.get("outcome", {})
    found = {}
    code = _CODES.get(said.get("code", {}).get("code"))
    if code is not None:
        found["outcome"] = code
    text = next((one["text"] for one in said.get("detail", ()) if "text" in one), None)
    if text is not None:
        found["outcomeDesc"] = text
    return found


def _who_up(part: Part) -> Part:
    if "who" in part:
        return {"who": part["who"]}
    who: dict[str, Any] = {}
    if "altId" in part:
        who["identifier"] = {"value": part["altId"]}
    if "name" in part:
        who["display"] = part["name"]
    return {"who": who or dict(ABSENT)}


def _who_down(part: Part) -> Part:
    return {} if part.get("who") == ABSENT else dict(part)


def _network_up(part: Part) -> Part:
    network = part.get("network", {})
    if "address" not in network:
        return {}
    name = "networkUri" if network.get("type") == _URI else "networkString"
    return {name: network["address"]}


def _network_down(part: Part) -> Part:
    if "networkUri" in part:
        return {"network": {"address": part["networkUri"], "type": _URI}}
    return {"network": {"address": part["networkString"]}} if "networkString" in part else {}


def _agent(*, requestor: Rule) -> tuple[Rule, ...]:
    return (
        Rule(("who", "name", "altId"), ("who",), _who_up, _who_down),
        requestor,
        Rule(("network",), ("networkString", "networkUri"), _network_up, _network_down),
        renamed("purposeOfUse", "authorization"),
    )


def _detail_up(part: Part) -> Part:
    return {"type": {"text": part["type"]} if "type" in part else dict(ABSENT)}


def _detail_down(part: Part) -> Part:
    concept = part.get("type", {})
    text = (
        concept.get("text") or coding_of(concept).get("display") or coding_of(concept).get("code")
    )
    return {"type": text} if text else {"_type": ABSENT}


_DETAILS: Final = (
    "valueString",
    "valueQuantity",
    "valueCodeableConcept",
    "valueBoolean",
    "valueInteger",
    "valueRange",
    "valueRatio",
    "valueTime",
    "valueDateTime",
    "valuePeriod",
)


def _value_down(part: Part) -> Part:
    """R4 has text only, and requires it."""
    if "valueString" in part or not part:
        return part
    value = next((one for key, one in part.items() if not key.startswith("_")), "")
    text = value if isinstance(value, str) else json.dumps(_bare(value), ensure_ascii=False)
    return {"valueString": text}


def _bare(value: Any) -> Any:
    """Return a value without its extensions."""
    if isinstance(value, dict):
        return {
            key: _bare(one)
            for key, one in value.items()
            if key != "extension" and not key.startswith("_")
        }
    return [_bare(one) for one in value] if isinstance(value, list) else value


AUDIT: Final[dict[str, tuple[Rule, ...]]] = {
    "AuditEvent": (
        Rule(("type", "subtype"), ("category", "code"), _kind_up, _kind_down),
        Rule(("outcome", "outcomeDesc"), ("outcome",), _outcome_up, _outcome_down),
        renamed("period", "occurredPeriod"),
        renamed("purposeOfEvent", "authorization"),
    ),
    "AuditEvent.agent": _agent(requestor=required_in_r4("requestor")),
    "AuditEvent.source": (
        one(
            "site",
            "site",
            lambda text: {"display": text},
            lambda said: said.get("display") or said.get("reference"),
        ),
        each("type", "type", concept_of, coding_of),
    ),
    "AuditEvent.entity": (
        one("role", "role", concept_of, coding_of),
        each("securityLabel", "securityLabel", concept_of, coding_of),
    ),
    "AuditEvent.entity.detail": (
        Rule(("type",), ("type",), _detail_up, _detail_down),
        Rule(("valueString",), _DETAILS, dict, _value_down),
    ),
}
