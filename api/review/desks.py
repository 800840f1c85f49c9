"""`Desk`: what a reviewer reads and writes, in a database or at a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from api.errors import RequestError

if TYPE_CHECKING:
    from api.search import Searcher
    from api.security.actor import Actor
    from api.settings import Settings
    from api.store import ResourceStore
    from api.writing import Writing

Json = dict[str, Any]
_FHIR_JSON: Final = "application/fhir+json"
_SECONDS: Final = 60.0


class Desk(Protocol):
    """What a reviewer works with."""

    def search(self, kind: str, parameters: Sequence[tuple[str, str]]) -> Iterator[Json]:
        """Yield every match, in order."""

    def read(self, kind: str, resource_id: str) -> Json:
        """Return a resource; `RequestError` when there is none."""

    def write(self, content: Json) -> Json:
        """Store a resource, over the version that it has, or a new one where it has no id."""

    def delete(self, kind: str, resource_id: str) -> None:
        """Delete a resource."""


class DatabaseDesk:
    """A desk over a store.

    Parameters
    ----------
    who
        In whose name it writes.
    """

    def __init__(
        self, store: ResourceStore, searcher: Searcher, writing: Writing, who: Actor
    ) -> None:
        self._store = store
        self._searcher = searcher
        self._writing = writing
        self._who = who

    def search(self, kind: str, parameters: Sequence[tuple[str, str]]) -> Iterator[Json]:
        """Yield every match, in order."""
        query = self._searcher.query_of(kind, tuple(parameters))
        after = None
        while True:
            page = self._store.search(query, 100, after=after)
            yield from (json.loads(one.body) for one in page.matches)
            if not page.has_next:
                return
            after = page.matches[-1].rid

    def read(self, kind: str, resource_id: str) -> Json:
        """Return a resource; `RequestError` when there is none."""
        found = self._store.read(kind, resource_id)
        if found is None or found.deleted:
            raise _missing(kind, resource_id)
        content: Json = json.loads(found.body)
        return content

    def write(self, content: Json) -> Json:
        """Store a resource, over the version that it has, or a new one where it has no id."""
        kind = content["resourceType"]
        if "id" not in content:
            change = self._writing.create(kind, content, who=self._who)
        else:
            version = content["meta"]["versionId"]
            change = self._writing.update(
                kind, content["id"], content, who=self._who, if_match=f'W/"{version}"'
            )
        stored: Json = json.loads(change.after.body)
        return stored

    def delete(self, kind: str, resource_id: str) -> None:
        """Delete a resource."""
        if self._writing.delete(kind, resource_id, who=self._who) is None:
            raise _missing(kind, resource_id)


class ServerDesk:
    """A desk at a FHIR R4 endpoint.

    Parameters
    ----------
    base
        Its address, such as ``http://127.0.0.1:8000/r4``.
    token
        What is shown as bearer token, if any.
    """

    def __init__(self, base: str, token: str | None = None) -> None:
        self._base = base.rstrip("/")
        self._token = token

    def search(self, kind: str, parameters: Sequence[tuple[str, str]]) -> Iterator[Json]:
        """Yield every match, in order."""
        address: str | None = f"{self._base}/{kind}?{urlencode([*parameters, ('_count', '100')])}"
        while address is not None:
            bundle = self._ask("GET", address)
            for entry in bundle.get("entry", ()):
                if entry.get("search", {}).get("mode") == "match":
                    yield entry["resource"]
            links = {one["relation"]: one["url"] for one in bundle.get("link", ())}
            address = links.get("next")

    def read(self, kind: str, resource_id: str) -> Json:
        """Return a resource; `RequestError` when there is none."""
        return self._ask("GET", f"{self._base}/{kind}/{resource_id}")

    def write(self, content: Json) -> Json:
        """Store a resource, over the version that it has, or a new one where it has no id."""
        kind = content["resourceType"]
        if "id" not in content:
            return self._ask("POST", f"{self._base}/{kind}", content)
        version = content["meta"]["versionId"]
        address = f"{self._base}/{kind}/{content['id']}"
        return self._ask("PUT", address, content, {"If-Match": f'W/"{version}"'})

    def delete(self, kind: str, resource_id: str) -> None:
        """Delete a resource."""
        self._ask("DELETE", f"{self._base}/{kind}/{resource_id}")

    def _ask(
        self,
        method: str,
        address: str,
        content: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        if not address.startswith(("http://", "https://")):
            raise RequestError(
                "--server", f"'{address[:80]}'", "http:// or https://", "Correct it."
            )
        body = None if content is None else json.dumps(content).encode()
        request = Request(address, data=body, method=method)  # noqa: S310 (checked above)
        request.add_header("Accept", _FHIR_JSON)
        if body is not None:
            request.add_header("Content-Type", _FHIR_JSON)
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                text = answer.read()
        except HTTPError as error:
            raise _refused(address, error) from None
        except (URLError, OSError, HTTPException) as error:
            raise RequestError(
                "--server",
                f"{self._base} does not answer ({type(error).__name__})",
                "a server that 'bodysite serve' started",
                "Check the address.",
            ) from None
        found: Json = json.loads(text) if text else {}
        return found


@contextmanager
def open_database(settings: Settings, name: str, *, writes: bool) -> Iterator[DatabaseDesk]:
    """Yield a desk over the database that `settings` name.

    Parameters
    ----------
    name
        Of who reviews.
    writes
        Whether studies will be built again, for which the model is described as it is served.
    """
    from api.app import open_releases, terminology_over
    from api.commands import opened_store
    from api.model.loading import open_model
    from api.phi import PhiGuard
    from api.resources import ResourceBuilder
    from api.review.writes import Review
    from api.search import Searcher
    from api.security.actor import static_actor
    from api.security.keys import pseudonym_key
    from api.security.scopes import ALL
    from api.writing import Writing

    live = terminology_over(open_releases(settings.releases), settings)
    graph = live.latest.graph
    store = opened_store(settings.database)
    try:
        store.bind_policy(settings.phi)
        with _model(open_model, settings, graph) if writes else _nothing() as predictor:
            builder = ResourceBuilder(graph, settings.phi, predictor)
            searcher = Searcher(store, graph, settings.page_size, settings.max_page_size)
            review = Review(builder, lambda: live.latest)
            guard = PhiGuard(settings.phi, pseudonym_key(settings.phi_key_file, store))
            writing = Writing(store, searcher, graph, review, guard)
            yield DatabaseDesk(store, searcher, writing, static_actor(name, (ALL,)))
    finally:
        store.close()


@contextmanager
def _model(opened: Any, settings: Settings, graph: Any) -> Iterator[Any]:
    with opened(settings, graph) as model:
        yield model.predictor


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _refused(address: str, error: HTTPError) -> RequestError:
    """Return what a server refused as an error with its words."""
    try:
        issues = json.loads(error.read()).get("issue", [])
        said = "; ".join(str(one.get("diagnostics", one.get("code"))) for one in issues)
    except (ValueError, OSError, AttributeError):
        said = ""
    return RequestError(
        address.partition("?")[0],
        f"the server answers {error.code}" + (f": {said}" if said else ""),
        "an answer",
        "If another person was faster, read the resource again."
        if error.code in (409, 412)
        else "Correct the request.",
        status=error.code,
    )


def _missing(kind: str, resource_id: str) -> RequestError:
    return RequestError(
        f"{kind}/{resource_id}",
        "there is no such resource",
        "an id that 'bodysite review list' shows",
        "Correct the id.",
        status=404,
        issue="not-found",
    )
