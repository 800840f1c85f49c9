"""What a request needs: method and path → interactions and resource types.

What is within a request is not seen here: entries of a batch, resource types that a search includes
or chains through. Whoever takes those apart asks `Actor.require` for each.

An address under ``/r4`` or ``/r5`` that this module does not know needs everything: a new route is
closed until it is entered here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from api.security.actor import Actor, ForbiddenError

Need = tuple[str, str]

ROOTS: Final = ("/r4", "/r5")
WELL_KNOWN: Final = ".well-known/smart-configuration"
EVERYTHING: Final[tuple[Need, ...]] = tuple((letter, "*") for letter in "cruds")
# Descriptions of the service hold nothing of a patient and are what a client reads first.
_PUBLISHED: Final = frozenset({"OperationDefinition", "SearchParameter", "StructureDefinition"})
_TERMINOLOGY: Final = frozenset({"CodeSystem", "ValueSet", "ConceptMap"})
# Operations of systems that name no type, by the type that they ask.
_SYSTEM_TERMINOLOGY: Final = {"$closure": "ConceptMap", "$versions": "CodeSystem"}
_TERMINOLOGY_ROOTS: Final = frozenset({"NamingSystem", *_TERMINOLOGY})
# Each instance that is annotated makes or renews its study and what was observed on it.
_ANNOTATE: Final[tuple[Need, ...]] = (
    ("c", "ImagingStudy"),
    ("u", "ImagingStudy"),
    ("c", "Observation"),
    ("u", "Observation"),
)
_KIND: Final = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_TYPE_LEVEL: Final = {"GET": "s", "POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
_INSTANCE_LEVEL: Final = {"GET": "r", "PUT": "u", "PATCH": "u", "DELETE": "d"}
# Checked by what they do: entries of a batch each, an export by the types that it is asked for.
_WITHIN: Final[tuple[Need, ...]] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """The rule of a service: `terminology` says whether looking up terminology takes a scope."""

    terminology_scopes: bool = False

    def needs(self, method: str, path: str, *, conditional: bool = False) -> tuple[Need, ...]:
        """Return what a request needs; nothing for what any known client may do.

        Parameters
        ----------
        path
            Without its query.
        conditional
            The request has ``If-None-Exist``, or another write that rests on a search.
        """
        root, _, rest = path[1:].partition("/")
        if f"/{root}" not in ROOTS:
            return ()
        method = "GET" if method == "HEAD" else method
        parts = tuple(filter(None, rest.split("/")))
        if not parts:
            # A search names its types, and asks for each.
            return _WITHIN
        head, tail = parts[0], parts[1:]
        if rest in ("metadata", WELL_KNOWN):
            return ()
        if head in _PUBLISHED and method == "GET":
            return ()
        if head.startswith(("$", "_")):
            return self._system(method, parts)
        if not _KIND.fullmatch(head):
            return EVERYTHING
        if head in _TERMINOLOGY_ROOTS and self._looks_up(method, tail):
            return (("r", head), ("s", head)) if self.terminology_scopes else ()
        return _of_type(method, head, tail, conditional=conditional)

    def check(self, actor: Actor, method: str, path: str, *, conditional: bool = False) -> None:
        """Raise `ForbiddenError` when `actor` lacks what the request needs."""
        for interaction, kind in self.needs(method, path, conditional=conditional):
            if not actor.may(interaction, kind):
                raise ForbiddenError(f"{method} {kind}", interaction, kind)

    def _system(self, method: str, parts: tuple[str, ...]) -> tuple[Need, ...]:
        head = parts[0]
        if head in _SYSTEM_TERMINOLOGY:
            kind = _SYSTEM_TERMINOLOGY[head]
            return (("r", kind), ("s", kind)) if self.terminology_scopes else ()
        if head == "_history":
            return (("s", "*"),)
        if head == "_search":
            return _WITHIN
        if head in ("$export", "_jobs"):
            # The job behind them knows whose it is and which types it gives out.
            return _WITHIN
        return EVERYTHING

    def _looks_up(self, method: str, tail: tuple[str, ...]) -> bool:
        """Return whether a request only asks: a read, a search, an operation."""
        return method == "GET" or (
            method == "POST" and bool(tail) and tail[-1].startswith(("$", "_search"))
        )


def _of_type(
    method: str, kind: str, tail: tuple[str, ...], *, conditional: bool
) -> tuple[Need, ...]:
    operation = next((part for part in tail if part.startswith("$")), None)
    if operation is not None:
        if operation == "$annotate" and kind == "ImagingStudy":
            return _ANNOTATE
        if operation == "$export":
            return _WITHIN
        return EVERYTHING
    if tail == ("_search",):
        return (("s", kind),)
    if not tail:
        found = _TYPE_LEVEL.get(method)
        if found is None:
            return EVERYTHING
        # A write that rests on a search tells what the search would find, and may create.
        searched = conditional or found in ("u", "d")
        also: tuple[Need, ...] = (("s", kind),) if searched else ()
        created: tuple[Need, ...] = (("c", kind),) if method == "PUT" else ()
        return ((found, kind), *created, *also)
    if tail[0] == "_history":
        return (("s", kind),)
    found = _INSTANCE_LEVEL.get(method)
    known = len(tail) == 1 or (tail[1] == "_history" and len(tail) <= 3 and method == "GET")
    return ((found, kind),) if found is not None and known else EVERYTHING
