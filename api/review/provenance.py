"""Who changed what: the Provenance of a person's write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from api.fhir import logical_id
from api.findings import Key
from api.indexing import indexed
from api.records import PERSON, Resource, Stored
from api.review.completing import performer
from api.review.statement import Statement, is_examined, key_of, site_of
from terminology.graph import BodyStructureGraph

if TYPE_CHECKING:
    from api.security.actor import Actor

# FHIR R4, Provenance.activity: v3-DataOperation.
_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def provenance_of(
    former: Stored | None, after: Stored, who: Actor, graph: BodyStructureGraph
) -> Iterator[Resource]:
    """Yield the Provenance of a change of an Observation; none where nothing has changed."""
    live = former is not None and not former.deleted
    if former is not None and former.version_id == after.version_id:
        return
    before = json.loads(former.body) if former is not None and live else None
    now = json.loads(after.body) if not after.deleted else None
    operation = "DELETE" if now is None else "UPDATE" if before is not None else "CREATE"
    reference = f"{after.type}/{after.id}"
    content: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": logical_id("verdict", reference, str(after.version_id)),
        "target": [{"reference": f"{reference}/_history/{after.version_id}"}],
        "recorded": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "activity": {
            "coding": [{"system": _OPERATION, "code": operation, "display": operation.lower()}],
            "text": _told(before, now, graph),
        },
        "agent": list(_agents(now, who)),
    }
    if before is not None and former is not None:
        what = {"reference": f"{reference}/_history/{former.version_id}"}
        role = "removal" if now is None else "revision"
        content["entity"] = [{"role": role, "what": what}]
    yield indexed("Provenance", content, graph=graph, origin=PERSON)


def _agents(now: dict[str, Any] | None, who: Actor) -> Iterator[dict[str, Any]]:
    """Yield who said it, and who brought it where that is another one."""
    asking = performer(who)
    authors = (now or {}).get("performer") or [asking]
    for author in authors:
        yield {"type": _participant("author", "Author"), "who": author}
    if asking not in authors:
        yield {"type": _participant("enterer", "Enterer"), "who": asking}


def _participant(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": _PARTICIPANT, "code": code, "display": display}]}


def _told(
    before: dict[str, Any] | None, now: dict[str, Any] | None, graph: BodyStructureGraph
) -> str:
    """Return what has changed, in words; no element of a patient is among them."""
    if now is None:
        return "Withdrawn: what the machine says counts again."
    parts = [f"status {now.get('status')}"]
    if before is not None and before.get("status") != now.get("status"):
        parts = [f"status {before.get('status')} → {now.get('status')}"]
    old = _site(before, graph) if before is not None else None
    new = _site(now, graph)
    if before is not None and old != new:
        parts.append(f"body site {_named(old, graph)} → {_named(new, graph)}")
    elif new is not None:
        parts.append(f"body site {_named(new, graph)}")
    views = Statement.of(now).views
    if before is not None and Statement.of(before).views != views:
        parts.append(f"view {', '.join(views) or 'none'}")
    return "; ".join(parts)


def _site(content: dict[str, Any], graph: BodyStructureGraph) -> Key | None:
    if not is_examined(content):
        return None
    said = Statement.of(content)
    key = key_of(said.site or said.value, graph)
    return None if key is None else (key[0], key[1] or said.side)


def _named(key: Key | None, graph: BodyStructureGraph) -> str:
    if key is None:
        return "none"
    site = site_of(key, graph)
    return f"{site.code} |{site.display}|" + (f" {key[1]}" if key[1] else "")
