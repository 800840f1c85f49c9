"""A request for resources, free of HTTP's machinery → its answer.

What the routes and the entries of a Bundle have in common: the address, the method, what came with
it. R4 and R5 go in and out here; the store has R4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from api.errors import RequestError
from api.negotiation import Return, is_strict, returning
from api.outcome import outcome
from api.records import Stored
from api.rendering import rendered
from api.rest.content import expected, loads, parse
from api.rest.history import HistoryRequest, history_entry, last_modified
from api.rest.kinds import KINDS, READ_ONLY, check_writable, is_id
from api.rest.patch import patched
from api.rest.preconditions import check_match, etag, is_known
from api.rest.published import PUBLISHED, Publications
from api.rest.summaries import View
from api.search import Searcher, SearchRequest
from api.security.actor import Actor
from api.store import ResourceStore, Transaction
from api.tx.answers import Answer, Asked
from api.tx.resources_store import R4
from api.writing import Change, Draft, Writing, check_id

Json = dict[str, Any]
_VERSION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class ResourceDispatcher:
    """Answers requests for what lives in the store, and for what the service publishes.

    Parameters
    ----------
    page_size, max_page_size
        Of a history.
    """

    def __init__(
        self,
        store: ResourceStore,
        searcher: Searcher,
        writing: Writing,
        publications: Publications,
        page_size: int,
        max_page_size: int,
    ) -> None:
        self.writing = writing
        self._store = store
        self._searcher = searcher
        self._publications = publications
        self._page_size = page_size
        self._max_page_size = max_page_size

    @staticmethod
    def takes(path: tuple[str, ...]) -> bool:
        """Return whether an address is one of resources here, whatever the method."""
        if not path:
            return True
        if path in {("_history",), ("_search",)}:
            return True
        ours = path[0] in KINDS or path[0] in PUBLISHED
        return ours and not any(part.startswith("$") for part in path)

    def allowed(self, path: Sequence[str]) -> tuple[str, ...]:
        """Return the methods that an address takes, none for no address."""
        if any(part.startswith("$") for part in path):
            return ()
        match tuple(path):
            case ():
                return ("GET", "POST")
            case ("_search",):
                return ("POST",)
            case ("_history",):
                return ("GET",)
            case (kind,) if kind in PUBLISHED:
                return ("GET",)
            case (kind, "_search") if kind in PUBLISHED or kind in KINDS:
                return ("POST",)
            case (kind, _) if kind in PUBLISHED:
                return ("GET",)
            case (kind,) if kind in READ_ONLY:
                return ("GET",)
            case (kind,) if kind in KINDS:
                return ("GET", "POST", "PUT", "PATCH", "DELETE")
            case (kind, "_history") if kind in KINDS:
                return ("GET",)
            case (kind, _) if kind in KINDS:
                return ("GET",) if kind in READ_ONLY else ("GET", "PUT", "PATCH", "DELETE")
            case (kind, _, "_history") | (kind, _, "_history", _) if kind in KINDS:
                return ("GET",)
        return ()

    def answer(self, asked: Asked, who: Actor, tx: Transaction | None = None) -> Answer:
        """Return the answer.

        Parameters
        ----------
        tx
            The transaction to read and write in; without one, each write has its own.

        Raises
        ------
        BodySiteError
            The request cannot be answered as it stands.
        """
        self.check_method(asked)
        match asked.method, asked.path:
            case "GET", ("_history",):
                return self._history(asked, None, None)
            case "GET" | "POST", (kind, *rest) if kind in PUBLISHED:
                return self._published(asked, kind, rest)
            case ("GET", () | (_,)) | ("POST", (*_, "_search")):
                return self._search(asked)
            case "GET", (kind, "_history"):
                return self._history(asked, kind, None)
            case "GET", (kind, resource_id):
                return self._read(asked, kind, resource_id, tx)
            case "GET", (kind, resource_id, "_history"):
                return self._history(asked, kind, resource_id)
            case "GET", (kind, resource_id, "_history", version):
                return self._vread(asked, kind, resource_id, version, tx)
        return self._written(asked, who, tx)

    def check_method(self, asked: Asked) -> None:
        """Refuse an address that nothing is at (404), or a method that it does not take (405)."""
        allowed = self.allowed(asked.path)
        if not allowed:
            raise RequestError(
                "address",
                "nothing is here",
                "an address that metadata lists",
                "/docs explains them.",
                status=404,
                issue="not-found",
            )
        if asked.method not in allowed:
            raise RequestError(
                "method",
                "this address does not take it",
                ", ".join(allowed),
                "metadata lists what each type takes.",
                status=405,
                issue="not-supported",
            )

    # -- reading -----------------------------------------------------------------------------

    def _read(self, asked: Asked, kind: str, resource_id: str, tx: Transaction | None) -> Answer:
        stored = (tx or self._store).read(kind, resource_id) if is_id(resource_id) else None
        return self._of_stored(asked, kind, resource_id, stored)

    def _vread(
        self, asked: Asked, kind: str, resource_id: str, version: str, tx: Transaction | None
    ) -> Answer:
        stored = None
        if is_id(resource_id) and _VERSION.fullmatch(version):
            stored = (tx or self._store).read_version(kind, resource_id, int(version))
        return self._of_stored(asked, kind, resource_id, stored)

    def _of_stored(
        self, asked: Asked, kind: str, resource_id: str, stored: Stored | None
    ) -> Answer:
        if stored is None:
            raise missing(kind, resource_id)
        if stored.deleted:
            raise _gone(kind, resource_id, stored)
        headers = headers_of(stored)
        if is_known(
            stored, asked.headers.get("if-none-match"), asked.headers.get("if-modified-since")
        ):
            return Answer(None, 304, headers)
        view = _view(asked)
        return Answer(self._form(stored, asked.release, view), 200, headers)

    def _form(self, stored: Stored, release: str, view: View) -> Json | str:
        """Return a resource as a release has it; as text where nothing has to be done to it."""
        if release == R4 and view.whole:
            return stored.body
        return view.shown(rendered(loads(stored.body), release), release)

    def _search(self, asked: Asked) -> Answer:
        head = asked.path[0] if asked.path else ""
        request = SearchRequest(
            # Without a type, `_type` says which ones are searched.
            kind=head if head in KINDS else "",
            parameters=tuple(_parameters(asked)),
            base=asked.base,
            strict=is_strict(asked.headers.get("prefer")),
            release=asked.release,
        )
        return Answer(self._searcher.search(request))

    def _history(self, asked: Asked, kind: str | None, resource_id: str | None) -> Answer:
        wanted = HistoryRequest.of(asked.query, self._page_size, self._max_page_size)
        page = self._store.history(
            kind,
            resource_id,
            wanted.count,
            since=wanted.since,
            at=wanted.at,
            before=wanted.before,
        )
        if kind is not None and resource_id is not None and not page.versions:
            known = is_id(resource_id) and self._store.read(kind, resource_id) is not None
            if not known:
                raise missing(kind, resource_id)
        address = "/".join((asked.base, *(one for one in (kind, resource_id) if one), "_history"))
        bundle: Json = {"resourceType": "Bundle", "type": "history"}
        if page.total is not None:
            bundle["total"] = page.total
        bundle["link"] = wanted.links(address, page)
        entries = [
            history_entry(
                one,
                None if one.deleted else self._content(one, asked.release, wanted.view),
                asked.base,
            )
            for one in page.versions
        ]
        if entries and wanted.view.summary != "count":
            bundle["entry"] = entries
        return Answer(bundle)

    def _content(self, stored: Stored, release: str, view: View) -> Json:
        return view.shown(rendered(loads(stored.body), release), release)

    def _published(self, asked: Asked, kind: str, rest: Sequence[str]) -> Answer:
        if rest and rest[0] != "_search":
            return self._publications.read(asked, kind, rest[0], _view(asked))
        return self._publications.search(asked, kind, _parameters(asked))

    # -- writing -----------------------------------------------------------------------------

    def _written(self, asked: Asked, who: Actor, tx: Transaction | None) -> Answer:
        kind, *rest = asked.path
        check_writable(kind)
        match asked.method, rest:
            case "POST", []:
                return self._create(asked, kind, who, tx)
            case "PUT", [resource_id]:
                content = resource_of(asked, kind)
                change = self.writing.update(
                    kind,
                    resource_id,
                    content,
                    who=who,
                    release=asked.release,
                    if_match=asked.headers.get("if-match"),
                    if_none_match=asked.headers.get("if-none-match"),
                    tx=tx,
                )
                return self.answer_of(asked, change)
            case "PUT", []:
                return self._conditional_update(asked, kind, who, tx)
            case "PATCH", [resource_id]:
                return self._patch(asked, kind, resource_id, who, tx)
            case "PATCH", []:
                query = self.writing.condition(kind, asked.query, asked.release)
                return self._in(
                    tx,
                    lambda inner: self._patch(
                        asked, kind, _one_of(inner, kind, query, asked).id, who, inner
                    ),
                )
            case "DELETE", [resource_id]:
                return self._delete(asked, kind, resource_id, who, tx)
        query = self.writing.condition(kind, asked.query, asked.release)
        return self._in(tx, lambda inner: self._conditional_delete(asked, kind, query, who, inner))

    def _create(self, asked: Asked, kind: str, who: Actor, tx: Transaction | None) -> Answer:
        content = resource_of(asked, kind)
        condition = asked.headers.get("if-none-exist")
        if condition is None:
            change = self.writing.create(kind, content, who=who, release=asked.release, tx=tx)
            return self.answer_of(asked, change)
        query = self.writing.condition(kind, condition_of(condition, kind), asked.release)
        draft = self.writing.draft(kind, content, asked.release)

        def work(inner: Transaction) -> Answer:
            found = only_match(inner.matching(query, 2), kind)
            if found is not None:
                return self.answer_of_match(asked, found)
            return self.answer_of(asked, self.writing.add(inner, draft, who))

        return self._in(tx, work)

    def _conditional_update(
        self, asked: Asked, kind: str, who: Actor, tx: Transaction | None
    ) -> Answer:
        content = resource_of(asked, kind)
        query = self.writing.condition(kind, asked.query, asked.release)
        draft = self.writing.draft(kind, content, asked.release)

        def work(inner: Transaction) -> Answer:
            found = only_match(inner.matching(query, 2), kind)
            change = self.upsert(inner, draft, found, asked.headers.get("if-match"), who)
            return self.answer_of(asked, change)

        return self._in(tx, work)

    def upsert(
        self, tx: Transaction, draft: Draft, found: Stored | None, if_match: str | None, who: Actor
    ) -> Change:
        """Store a draft in the place of the one match of a condition, or anew.

        FHIR R4, 3.1.0.4.3: no match and no id is a create; no match and an id is an update under
        that id, unless it is taken; a match and another id is an error.
        """
        kind, own = draft.kind, draft.content.get("id")
        if found is not None:
            if own is not None and own != found.id:
                raise RequestError(
                    f"{kind}.id",
                    "it is not the id of the resource that meets the condition",
                    "that id, or none",
                    "Leave the id out.",
                    issue="value",
                )
            return self.writing.replace(tx, draft, found.id, who, if_match)
        if own is None:
            check_match(None, if_match)
            return self.writing.add(tx, draft, who)
        check_id(kind, own, draft.content)
        there = tx.read(kind, own)
        if there is not None and not there.deleted:
            raise RequestError(
                f"{kind}.id",
                "a resource of this id is here, and does not meet the condition",
                "an id that is free, or none",
                "Leave the id out.",
                status=409,
                issue="conflict",
            )
        return self.writing.replace(tx, draft, own, who, if_match)

    def _patch(
        self, asked: Asked, kind: str, resource_id: str, who: Actor, tx: Transaction | None
    ) -> Answer:
        def work(inner: Transaction) -> Answer:
            there = inner.read(kind, resource_id) if is_id(resource_id) else None
            if there is None:
                raise missing(kind, resource_id)
            if there.deleted:
                raise _gone(kind, resource_id, there)
            check_match(there, asked.headers.get("if-match"))
            before = rendered(loads(there.body), asked.release)
            content = patched(before, asked.body, kind)
            change = self.writing.update(
                kind,
                resource_id,
                content,
                who=who,
                release=asked.release,
                # The patch was made of this version.
                if_match=etag(there.version_id),
                tx=inner,
            )
            return self.answer_of(asked, change)

        return self._in(tx, work)

    def _delete(
        self, asked: Asked, kind: str, resource_id: str, who: Actor, tx: Transaction | None
    ) -> Answer:
        if not is_id(resource_id):
            raise missing(kind, resource_id)
        match = asked.headers.get("if-match")

        def work(inner: Transaction) -> Answer:
            change = self.writing.remove(inner, kind, resource_id, who, match)
            if change is None:
                # FHIR R4, 3.1.0.7: what is not there any more has been deleted well.
                if inner.read(kind, resource_id) is None:
                    raise missing(kind, resource_id)
                return Answer(None, 204)
            return self.answer_of(asked, change)

        return self._in(tx, work)

    def _conditional_delete(
        self, asked: Asked, kind: str, query: Any, who: Actor, tx: Transaction
    ) -> Answer:
        found = only_match(tx.matching(query, 2), kind)
        if found is None:
            return Answer(None, 204)
        change = self.writing.remove(tx, kind, found.id, who, asked.headers.get("if-match"))
        return Answer(None, 204) if change is None else self.answer_of(asked, change)

    def _in(self, tx: Transaction | None, work: Any) -> Answer:
        found: Answer = work(tx) if tx is not None else self.writing.run(work)
        return found

    def answer_of_match(self, asked: Asked, found: Stored) -> Answer:
        """Return the answer to a conditional create of what is there: it is left as it is.

        FHIR R4, 3.1.0.8.1.
        """
        headers = {**headers_of(found), "Location": _location(asked, found)}
        if returning(asked.headers.get("prefer")) is Return.MINIMAL:
            return Answer(None, 200, headers)
        return Answer(self._form(found, asked.release, View()), 200, headers)

    def answer_of(self, asked: Asked, change: Change) -> Answer:
        """Return the answer to a write, with as much in it as the client prefers."""
        after = change.after
        wish = returning(asked.headers.get("prefer"))
        if after.deleted:
            headers = {"ETag": etag(after.version_id)}
            if wish is Return.OUTCOME:
                return Answer(_done("deleted", after), 200, headers)
            return Answer(None, 204, headers)
        status = 201 if change.created else 200
        headers = {**headers_of(after), "Location": _location(asked, after)}
        if wish is Return.MINIMAL:
            return Answer(None, status, headers)
        if wish is Return.OUTCOME:
            word = "created" if change.created else "updated" if change.changed else "unchanged"
            return Answer(_done(word, after), status, headers)
        return Answer(self._form(after, asked.release, View()), status, headers)


def resource_of(asked: Asked, kind: str) -> Json:
    """Return the resource that came with a request, of the type of its address."""
    if isinstance(asked.body, bytes):
        return parse(asked.body, kind)
    return expected(asked.body, kind)


def condition_of(text: str, kind: str) -> list[tuple[str, str]]:
    """Return the search parameters of If-None-Exist; it may have come with the type ahead."""
    _, found, query = text.rpartition("?")
    return parse_qsl(query if found else text, keep_blank_values=True)


def only_match(found: Sequence[Stored], kind: str) -> Stored | None:
    """Return the one match of a condition, or none; several are refused with 412."""
    if len(found) > 1:
        raise RequestError(
            kind,
            "several resources meet the condition",
            "one or none",
            "Add a search parameter that tells them apart.",
            status=412,
            issue="multiple-matches",
        )
    return found[0] if found else None


def _one_of(tx: Transaction, kind: str, query: Any, asked: Asked) -> Stored:
    found = only_match(tx.matching(query, 2), kind)
    if found is None:
        raise RequestError(
            kind,
            "no resource meets the condition",
            "one resource",
            "Search for it first.",
            status=404,
            issue="not-found",
        )
    return found


def headers_of(stored: Stored) -> Mapping[str, str]:
    """Return the headers that tell a version."""
    return {"ETag": etag(stored.version_id), "Last-Modified": last_modified(stored)}


def missing(kind: str, resource_id: str) -> RequestError:
    """Return the error for a resource that is not here."""
    return RequestError(
        kind,
        "no resource with this id is stored here" if is_id(resource_id) else "this is no id",
        "the id of a resource that a search finds",
        "Search for it.",
        status=404,
        issue="not-found",
    )


def _gone(kind: str, resource_id: str, stored: Stored) -> RequestError:
    return RequestError(
        f"{kind}/{resource_id}",
        f"it was deleted in version {stored.version_id}",
        "a resource that is there",
        "Its history has what it was; PUT stores it anew.",
        status=410,
        issue="deleted",
    )


def _location(asked: Asked, stored: Stored) -> str:
    return f"{asked.base}/{stored.type}/{stored.id}/_history/{stored.version_id}"


def _done(word: str, stored: Stored) -> Json:
    text = f"{stored.type}/{stored.id}: {word}, version {stored.version_id}."
    return outcome("information", "informational", text)


def _view(asked: Asked) -> View:
    return View.of(asked.query)


def _parameters(asked: Asked) -> list[tuple[str, str]]:
    """Return the search parameters of the address, and of the form that came with a POST."""
    form = asked.body if isinstance(asked.body, bytes) else b""
    pairs = parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True)
    return [*asked.query, *pairs]
