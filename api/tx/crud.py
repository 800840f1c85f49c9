"""Read, search, create, update and delete of CodeSystem, ValueSet and ConceptMap."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import uuid4

from api.errors import RequestError
from api.tx import requests
from api.tx.answers import Answer, Asked
from api.tx.catalog import Builtin, Held, matching, search, shown
from api.tx.checks import checked
from api.tx.resources_store import Owned, ResourceLibrary
from api.tx.service import TerminologyService

Json = dict[str, Any]
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_STRICT: Final = re.compile(r"handling\s*=\s*\"?strict", re.IGNORECASE)
_MINIMAL: Final = re.compile(r"return\s*=\s*\"?minimal", re.IGNORECASE)
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,9})"')


class _IsThereError(Exception):
    """What was to be created only if it is not there is there."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        self.held = held


class Editor:
    """Keeps the terminology resources of a site, beside those that come with Bodysite."""

    def __init__(self, service: TerminologyService, page_size: int, max_page_size: int) -> None:
        self._service = service
        self._page_size = page_size
        self._max_page_size = max_page_size

    def answer(self, asked: Asked) -> Answer:
        """Return the answer to a request for ``Type`` or ``Type/id``."""
        kind, *rest = asked.path
        match asked.method, rest:
            case "GET", []:
                return Answer(self.search(asked, kind, asked.query))
            case "GET", [resource_id]:
                return self._read(asked, kind, resource_id)
            case "POST", []:
                return self._create(asked, kind)
            case "PUT", []:
                return self._conditional_update(asked, kind)
            case "PUT", [resource_id]:
                return self._update(asked, kind, resource_id)
            case "DELETE", [resource_id]:
                return self._delete(asked, kind, resource_id)
        raise RequestError(
            "method",
            f"'{asked.method[:20]}' is not done here",
            "GET, POST and PUT of a type; GET, PUT and DELETE of a resource",
            "/docs explains them.",
            status=405,
            issue="not-supported",
        )

    def search(self, asked: Asked, kind: str, pairs: Sequence[tuple[str, str]]) -> str:
        """Return the searchset Bundle as JSON."""
        return search(
            kind,
            self._service.held(),
            pairs,
            release=asked.release,
            base=asked.base,
            strict=bool(_STRICT.search(asked.headers.get("prefer", ""))),
            page_size=self._page_size,
            max_page_size=self._max_page_size,
        )

    def _read(self, asked: Asked, kind: str, resource_id: str) -> Answer:
        held = self._service.find(kind, resource_id)
        if held is None:
            library = self._service.library
            may_be = library is not None and _ID.fullmatch(resource_id)
            if may_be and library is not None and library.was_deleted(kind, resource_id):
                raise _gone(kind, resource_id)
            raise _missing(kind, resource_id)
        headers = _headers(held)
        if _is_known(asked.headers.get("if-none-match"), held):
            return Answer(None, 304, headers)
        wish = dict(asked.query)
        elements = frozenset(filter(None, wish.get("_elements", "").split(",")))
        return Answer(
            shown(held, asked.release, wish.get("_summary", "false"), elements),
            headers=headers,
        )

    def _create(self, asked: Asked, kind: str) -> Answer:
        condition = asked.headers.get("if-none-exist")
        if condition is None:
            return self._put(asked, kind, uuid4().hex, lambda _: None)
        pairs = parse_qsl(condition.lstrip("?"), keep_blank_values=True)

        def check(_: int | None) -> None:
            found = self._matching(kind, pairs)
            if found:
                raise _IsThereError(found[0])

        try:
            check(None)
            # Once more where nobody else can write: another client may be as fast.
            return self._put(asked, kind, uuid4().hex, check)
        except _IsThereError as error:
            return Answer(error.held.form(asked.release), 200, _headers(error.held))

    def _conditional_update(self, asked: Asked, kind: str) -> Answer:
        conditions = [(name, value) for name, value in asked.query if not name.startswith("_")]
        if not conditions:
            raise RequestError(
                kind,
                "the address names no resource",
                f"{kind}/id, or {kind}?url=…",
                "Say which resource is to be updated.",
                issue="required",
            )
        own_id = _resource(asked, kind).get("id")
        found = self._matching(kind, conditions)
        if not found and isinstance(own_id, str) and self._service.find(kind, own_id) is not None:
            raise _conflict(
                f"{kind}.id",
                f"'{own_id[:64]}' is here already, and does not meet the conditions",
                "an id that is free, or conditions that the resource meets",
                status=409,
            )
        if found and own_id not in {None, found[0].id}:
            raise RequestError(
                f"{kind}.id",
                f"'{str(own_id)[:64]}' is not the id of what meets the conditions",
                found[0].id,
                "Leave the id out, or put the right one.",
                issue="value",
            )
        # FHIR R4, 3.1.0.7.1: with an id of its own, what is new gets that one.
        resource_id = found[0].id if found else own_id or uuid4().hex
        precondition = _precondition(asked)

        def check(version_id: int | None) -> None:
            precondition(version_id)
            if [one.id for one in self._matching(kind, conditions)] != [one.id for one in found]:
                raise _conflict(
                    kind, "what meets the conditions has changed meanwhile", "no other writer"
                )

        return self._keep(asked, kind, resource_id, check)

    def _matching(self, kind: str, pairs: Sequence[tuple[str, str]]) -> list[Held]:
        """Return the one resource that meets conditions, or none; several are refused."""
        found = matching(kind, self._service.held(), pairs)
        if len(found) > 1:
            raise RequestError(
                kind,
                "several resources meet the conditions",
                "one or none",
                "Add the version to the url.",
                status=412,
                issue="multiple-matches",
            )
        return found

    def _update(self, asked: Asked, kind: str, resource_id: str) -> Answer:
        return self._keep(asked, kind, resource_id, _precondition(asked))

    def _keep(
        self, asked: Asked, kind: str, resource_id: Any, check: Callable[[int | None], None]
    ) -> Answer:
        """Store a resource under an id that the client has chosen."""
        if not isinstance(resource_id, str) or not _ID.fullmatch(resource_id):
            raise RequestError(
                f"{kind}/id",
                f"'{str(resource_id)[:64]}' is no logical id",
                "1 to 64 of A-Z, a-z, 0-9, '-' and '.'",
                "Choose another id.",
                issue="value",
            )
        return self._put(asked, kind, resource_id, check)

    def _put(
        self, asked: Asked, kind: str, resource_id: str, check: Callable[[int | None], None]
    ) -> Answer:
        library = self._library()
        self._refuse_builtin(kind, resource_id)
        body = _resource(asked, kind)
        own_id = body.get("id")
        if asked.method == "PUT" and len(asked.path) == 2 and own_id != resource_id:
            raise RequestError(
                f"{kind}.id",
                f"'{own_id}' is not the id of the address",
                resource_id,
                "Put the id into the resource too.",
                issue="value",
            )
        checked(body, asked.release)
        url = body.get("url")
        if (kind, url) in self._service.builtin_urls and body.get("content") != "supplement":
            raise RequestError(
                f"{kind}.url",
                f"'{url}' is the url of a {kind} that comes with Bodysite",
                "a url that no other resource here has",
                "Give it a url of your own.",
                status=409,
                issue="duplicate",
            )
        owned, new = library.put(kind, resource_id, asked.release, body, check=check)
        headers = _headers(owned)
        headers["Location"] = f"{asked.base}/{kind}/{resource_id}"
        minimal = _MINIMAL.search(asked.headers.get("prefer", ""))
        return Answer(None if minimal else owned.body, 201 if new else 200, headers)

    def _delete(self, asked: Asked, kind: str, resource_id: str) -> Answer:
        library = self._library()
        self._refuse_builtin(kind, resource_id)
        if not _ID.fullmatch(resource_id):
            raise _missing(kind, resource_id)
        if not library.delete(kind, resource_id, check=_precondition(asked)) and (
            not library.was_deleted(kind, resource_id)
        ):
            raise _missing(kind, resource_id)
        return Answer(None, 204)

    def _library(self) -> ResourceLibrary:
        if self._service.library is None:
            raise RequestError(
                "method",
                "no resource can be kept here",
                "a service with a database",
                "Start it with --database.",
                status=405,
                issue="not-supported",
            )
        return self._service.library

    def _refuse_builtin(self, kind: str, resource_id: str) -> None:
        if any((one.type, one.id) == (kind, resource_id) for one in self._service.builtin):
            raise RequestError(
                f"{kind}/{resource_id}",
                "this resource comes with Bodysite and cannot be changed",
                "a resource of your own",
                "Choose another id, and another url.",
                status=405,
                issue="not-supported",
            )


def _resource(asked: Asked, kind: str) -> Json:
    if isinstance(asked.body, bytes):
        return requests.parse(asked.body, kind)
    if not isinstance(asked.body, dict) or asked.body.get("resourceType") != kind:
        raise RequestError(
            "request body",
            f"the resource is not '{kind}'",
            f"a {kind} resource",
            "Send it.",
            issue="structure",
        )
    return asked.body


def _precondition(asked: Asked) -> Callable[[int | None], None]:
    """Return the check of If-Match and If-None-Match against the version that is there."""
    match, none_match = asked.headers.get("if-match"), asked.headers.get("if-none-match")

    def check(version_id: int | None) -> None:
        if match is not None and not (
            version_id is not None and (match.strip() == "*" or _names(match, version_id))
        ):
            there = "nothing" if version_id is None else f'W/"{version_id}"'
            raise _conflict("If-Match", f"'{match[:40]}' is not what is here", there)
        if none_match is not None and none_match.strip() == "*" and version_id is not None:
            raise _conflict("If-None-Match", "the resource is here already", "no resource yet")

    return check


def _conflict(where: str, what: str, expected: str, *, status: int = 412) -> RequestError:
    return RequestError(
        where, what, expected, "Read the resource and try again.", status=status, issue="conflict"
    )


def _names(tags: str | None, version_id: int) -> bool:
    """Return whether an If-Match or If-None-Match header names a version."""
    if tags is None:
        return False
    return tags.strip() == "*" or str(version_id) in _ETAG.findall(tags)


def _is_known(tags: str | None, held: Held) -> bool:
    """Return whether If-None-Match names a resource as it is."""
    if isinstance(held, Owned):
        return _names(tags, held.version_id)
    return tags is not None and (tags.strip() == "*" or held.etag in tags)


def _headers(held: Held) -> dict[str, str]:
    if isinstance(held, Builtin):
        return {"ETag": held.etag}
    return {
        "ETag": f'W/"{held.version_id}"',
        "Last-Modified": format_datetime(held.last_updated, usegmt=True),
    }


def _missing(kind: str, resource_id: str) -> RequestError:
    return RequestError(
        kind,
        f"'{resource_id[:64]}' is not here",
        "the id of a resource that a search finds",
        "Search for it.",
        status=404,
        issue="not-found",
    )


def _gone(kind: str, resource_id: str) -> RequestError:
    return RequestError(
        kind,
        f"'{resource_id[:64]}' was deleted",
        "the id of a resource that a search finds",
        "Store it anew with PUT.",
        status=410,
        issue="deleted",
    )
