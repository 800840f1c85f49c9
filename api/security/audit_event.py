"""A request and what became of it → an AuditEvent of FHIR R4, by the PHI policy.

What a client sent stands in it under the policy "keep" only: under the others there are resource
types, and references to resources that are there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from api.phi import PhiPolicy
from api.rest.kinds import KINDS
from api.security.actor import Actor

Json = dict[str, Any]

# FHIR R4, AuditEvent.agent: how many resources one event names at most.
MAX_ENTITIES: Final = 100
_EVENT: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_KIND: Final = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_OPERATIONS: Final = frozenset({"$annotate", "$export"})
# Descriptions of the service and terminology: nobody's data.
_NOT_OURS: Final = frozenset(
    {
        "metadata",
        ".well-known",
        "CodeSystem",
        "ValueSet",
        "ConceptMap",
        "NamingSystem",
        "StructureDefinition",
        "SearchParameter",
        "OperationDefinition",
        "$versions",
        "$closure",
    }
)
_WRITES: Final = frozenset({"C", "U", "D", "E"})
_INSTANCE: Final = {
    "GET": ("R", "read"),
    "PUT": ("U", "update"),
    "PATCH": ("U", "patch"),
    "DELETE": ("D", "delete"),
}
_TYPE: Final = {
    "GET": ("E", "search-type"),
    "POST": ("C", "create"),
    "PUT": ("U", "update"),
    "PATCH": ("U", "patch"),
    "DELETE": ("D", "delete"),
}


@dataclass(frozen=True, slots=True)
class Deed:
    """What a request asks for: the letter of AuditEvent.action, the interaction, the resource."""

    action: str
    interaction: str
    kind: str | None = None
    resource_id: str | None = None
    operation: str | None = None

    @property
    def changes(self) -> bool:
        """Whether it writes, or hands out in bulk."""
        return self.action in _WRITES and not self.interaction.startswith("search")


def deed_of(method: str, path: str) -> Deed | None:
    """Return what a request asks for; `None` for what no audit is about."""
    root, _, rest = path[1:].partition("/")
    if root not in ("r4", "r5"):
        return None
    parts = tuple(filter(None, rest.split("/")))
    if parts and parts[0] in _NOT_OURS:
        return None
    method = "GET" if method == "HEAD" else method
    if not parts:
        batch = Deed("E", "batch") if method == "POST" else Deed("E", "search-system")
        return batch if method in ("GET", "POST") else None
    # Of what is not known here, the address is nothing but what the client sent.
    kind = parts[0] if parts[0] in KINDS else None
    operation = next((part for part in parts if part.startswith("$")), None)
    if operation is not None:
        named = operation if operation in _OPERATIONS else None
        return Deed("E", "operation", kind, operation=named)
    if kind is None:
        if parts[0] == "_history":
            return Deed("R", "history-system")
        return Deed("E", "search-system") if parts[0] == "_search" else None
    return _of_type(method, kind, parts[1:])


def _of_type(method: str, kind: str, tail: Sequence[str]) -> Deed | None:
    if not tail:
        found = _TYPE.get(method)
        return None if found is None else Deed(*found, kind)
    if tail[0] == "_search":
        return Deed("E", "search-type", kind)
    if tail[0] == "_history":
        return Deed("R", "history-type", kind)
    resource_id = tail[0] if _ID.fullmatch(tail[0]) else None
    if len(tail) > 1:
        version = len(tail) > 2
        return Deed("R", "vread" if version else "history-instance", kind, resource_id)
    one = _INSTANCE.get(method)
    return None if one is None else Deed(*one, kind, resource_id)


@dataclass(frozen=True, slots=True)
class Happened:
    """A request that was answered: who, from where, what, how it went, what it was about.

    `references` name resources that the answer made or gave, as far as its route told of them.
    Several requests that differ in nothing else are one: `times` of them, the first one at `begun`.
    """

    actor: Actor
    address: str | None
    deed: Deed
    status: int
    query: str = ""
    references: tuple[str, ...] = ()
    recorded: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: datetime | None = None
    times: int = 1


def merged(happened: Iterable[Happened]) -> list[Happened]:
    """Return what happened with like requests made one, as far as it can name their resources.

    A client that sends the instances of a study one by one makes one event in every batch of
    events, and not hundreds.
    """
    found: list[Happened] = []
    last: dict[object, int] = {}
    for one in happened:
        key = (one.actor.kind, one.actor.name, one.address, one.deed, one.status, one.query)
        place = last.get(key)
        if place is not None:
            before = found[place]
            references = tuple(dict.fromkeys((*before.references, *one.references)))
            if len(references) <= MAX_ENTITIES:
                found[place] = replace(
                    before,
                    references=references,
                    recorded=one.recorded,
                    begun=before.begun or before.recorded,
                    times=before.times + one.times,
                )
                continue
        last[key] = len(found)
        found.append(one)
    return found


@dataclass(frozen=True, slots=True)
class AuditWriter:
    """Builds AuditEvents under a policy; `key` makes the pseudonyms of network addresses."""

    policy: PhiPolicy
    key: bytes
    site: str | None = None

    def event(self, one: Happened) -> Json:
        """Return the AuditEvent of what happened."""
        deed = one.deed
        subtype = {"system": _INTERACTION, "code": deed.interaction}
        source: Json = {
            "observer": {"display": "Bodysite"},
            "type": [{"system": _SOURCE, "code": "3", "display": "Web Server"}],
        }
        if self.site:
            source["site"] = self.site
        told = f"HTTP status {one.status}"
        period = {}
        if one.begun is not None:
            told += f", {one.times} requests"
            period = {"period": {"start": _instant(one.begun), "end": _instant(one.recorded)}}
        return {
            "resourceType": "AuditEvent",
            "id": str(uuid4()),
            "type": {"system": _EVENT, "code": "rest", "display": "RESTful Operation"},
            "subtype": [subtype],
            "action": deed.action,
            **period,
            "recorded": _instant(one.recorded),
            "outcome": _outcome(one.status),
            "outcomeDesc": told,
            "agent": [self._agent(one.actor, one.address)],
            "source": source,
            "entity": self._entities(one),
        }

    def _agent(self, actor: Actor, address: str | None) -> Json:
        role = {"system": _DICOM, "code": "110153", "display": "Source Role ID"}
        found: Json = {
            "type": {"coding": [role]},
            "who": dict(actor.reference) or {"display": actor.name},
            "requestor": True,
        }
        shown = self._address(address)
        if shown is not None:
            found["network"] = {"address": shown, "type": "2"}
        return found

    def _address(self, address: str | None) -> str | None:
        if address is None or self.policy is PhiPolicy.DROP:
            return None
        if self.policy is PhiPolicy.KEEP:
            return address
        digest = hmac.new(self.key, f"address\0{address}".encode(), hashlib.sha256)
        return digest.hexdigest()

    def _entities(self, one: Happened) -> list[Json]:
        deed = one.deed
        references = list(one.references[:MAX_ENTITIES])
        if deed.kind and deed.resource_id and (self.policy is PhiPolicy.KEEP or one.status < 400):
            # Of what is not here, the address is nothing but what the client sent.
            references.insert(0, f"{deed.kind}/{deed.resource_id}")
        found = [
            {
                "what": {"reference": reference},
                "type": {"system": _ENTITY, "code": "2", "display": "System Object"},
                "role": {"system": _ROLE, "code": "4", "display": "Domain Resource"},
            }
            for reference in dict.fromkeys(references)
        ]
        asked = self._asked(one, named=bool(found))
        return [asked, *found] if asked is not None else found

    def _asked(self, one: Happened, *, named: bool) -> Json | None:
        """Return the entity of a search or an operation: its parameters under "keep" alone.

        Where no resource is `named`, it says at least of which type it was to be.
        """
        deed = one.deed
        asks = deed.interaction.startswith(("search", "history")) or deed.operation is not None
        if not asks and named:
            return None
        entity: Json = {
            "type": {"system": _ENTITY, "code": "2", "display": "System Object"},
            "role": {"system": _ROLE, "code": "24", "display": "Query"},
        }
        target = "/".join(part for part in (deed.kind, deed.operation) if part)
        if self.policy is PhiPolicy.KEEP and one.query:
            query = f"{target}?{one.query}".encode()
            # FHIR R4, AuditEvent.entity: a name or a query, not both (sev-1).
            return {**entity, "query": base64.b64encode(query).decode("ascii")}
        return {**entity, "name": target or deed.interaction}


def _instant(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _outcome(status: int) -> str:
    # FHIR R4, AuditEvent.outcome: 0 success, 4 minor failure, 8 serious failure.
    if status < 400:
        return "0"
    return "4" if status < 500 else "8"


def reference_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Return what the header Location of an answer names, as ``Type/id``."""
    location = headers.get(b"location", b"").decode("latin-1").partition("/_history/")[0]
    rest, _, resource_id = location.rpartition("/")
    kind = rest.rpartition("/")[2]
    if _KIND.fullmatch(kind) and _ID.fullmatch(resource_id):
        return f"{kind}/{resource_id}"
    return None
