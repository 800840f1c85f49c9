"""A terminology request, free of HTTP's machinery → its answer: operations, resources, batch.

What the routes and the entries of a batch have in common: the address, the method, what came with
it. FHIR R4 and R5 go in and out here; everything behind works in R5.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import sqlalchemy as sa

from api.errors import LimitError, RequestError, place_of
from api.outcome import outcome, outcome_of, outcome_of_status, status_of
from api.tx import requests
from api.tx.answers import Answer, Asked
from api.tx.checks import problems_of_form
from api.tx.context import Limits, Registry
from api.tx.crud import Editor
from api.tx.operations import BY_PATH, Call, Operation
from api.tx.parameters import whole_number
from api.tx.quick import is_quick
from api.tx.r4 import resource_to_r5
from api.tx.resources_store import R4, TYPES
from api.tx.service import TerminologyService
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
MAX_BATCH: Final = 1000
STORE_FAILED: Final = (
    "The store does not answer. Try again later; what is sent twice is stored once."
)
_UNEXPECTED: Final = (
    "The server failed unexpectedly at this entry. Its log names the kind of error and the place."
    " Please report both."
)
# RFC 3986: an address with a scheme, or without one of another host.
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_TOO_COSTLY: Final = "x-too-costly-threshold"


class Dispatcher:
    """Answers requests for terminology.

    Parameters
    ----------
    page_size, max_page_size
        Of a search.
    limits
        How much one operation may cost.
    batch_seconds
        Time for the entries of one batch; those that are left over are refused.
    """

    def __init__(
        self,
        service: TerminologyService,
        page_size: int,
        max_page_size: int,
        limits: Limits,
        batch_seconds: float,
    ) -> None:
        self.service = service
        self._limits = limits
        self._batch_seconds = batch_seconds
        self._editor = Editor(service, page_size, max_page_size)

    @staticmethod
    def operation(path: Sequence[str]) -> Operation | None:
        """Return the operation that an address means, whatever the method."""
        last = path[-1] if path else ""
        if not last.startswith("$") or len(path) > 3:
            return None
        return BY_PATH.get((path[0] if len(path) > 1 else "", last[1:]))

    def answer(self, asked: Asked) -> Answer:
        """Return the answer.

        Raises
        ------
        BodySiteError
            The request cannot be answered as it stands.
        """
        match asked.path:
            case ():
                return self._batch(asked)
            case (kind, "_search") if kind in TYPES and asked.method == "POST":
                return self._search(asked)
            case (*_, last) if last.startswith("$"):
                operation = self.operation(asked.path)
                if operation is None:
                    raise _nowhere()
                return self._operate(operation, _entries(operation, asked), asked)
            case (kind,) | (kind, _) if kind in TYPES:
                return self._editor.answer(asked)
        raise _nowhere()

    def _search(self, asked: Asked) -> Answer:
        form = asked.body if isinstance(asked.body, bytes) else b""
        pairs = parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True)
        found = self._editor.search(asked, asked.path[0], [*asked.query, *pairs])
        return Answer(found)

    def answer_at_once(self, asked: Asked) -> Answer | None:
        """Return the answer when it takes microseconds and no look at the database, else `None`.

        Raises
        ------
        BodySiteError
            The request cannot be answered as it stands.
        """
        operation = self.operation(asked.path)
        if operation is None or not operation.quick or len(asked.path) != 2:
            return None
        entries = _entries(operation, asked)
        releases = self.service.releases if operation.neighbours else ()
        if not is_quick(entries, releases):
            return None
        registry = self.service.registry_at_once(asked.release)
        return None if registry is None else self._operate(operation, entries, asked, registry)

    def _operate(
        self,
        operation: Operation,
        entries: list[Json],
        asked: Asked,
        registry: Registry | None = None,
    ) -> Answer:
        """Answer a call; `registry` is what it sees, when that is known already."""
        request: Json = {"resourceType": "Parameters", "parameter": entries}
        problem = _first_problem(entries, asked) if operation.checks else None
        if problem is not None:
            raise problem
        try:
            return Answer(self._run(operation, request, asked, registry))
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            # What a request brings along is checked only where it went wrong: most are good, and
            # checking takes longer than answering.
            problem = None if isinstance(error, BodySiteError) else _first_problem(entries, asked)
            if problem is None:
                raise
            raise problem from error

    def _run(
        self, operation: Operation, request: Json, asked: Asked, registry: Registry | None
    ) -> Json:
        if asked.release == R4 and asked.body is not None:
            request = resource_to_r5(request)
        _refuse(operation, request)
        if len(asked.path) == 3:
            request = self._of_instance(operation, request, asked.path[1])
        if operation.strict:
            requests.check_codings(f"${operation.name}", request["parameter"])
        context = self.service.context(
            request,
            asked.release,
            accept_language=asked.headers.get("accept-language"),
            limits=_lowered(self._limits, asked),
            registry=registry,
        )
        found = operation.run(Call(request, context, self.service))
        return operation.in_form(found, asked.release, request)

    def _of_instance(self, operation: Operation, request: Json, resource_id: str) -> Json:
        """Return the request with the resource that the address names as its subject."""
        held = self.service.find(operation.type, resource_id)
        if held is None or operation.instance is None:
            raise _no_such(operation.type, resource_id)
        taken = {operation.instance, operation.inline, "url"} - {None}
        named = {entry["name"] for entry in request["parameter"]} & taken
        if named:
            raise RequestError(
                f"${operation.name} {min(str(one) for one in named)}",
                "the address names the resource already",
                "one of both",
                "Leave the parameter out, or ask at type level.",
            )
        resource = held.r5
        subject: list[Json]
        if resource.get("url"):
            subject = [{"name": operation.instance, "valueUri": resource["url"]}]
            subject += _version_parameter(operation, resource)
        elif operation.inline is not None:
            subject = [{"name": operation.inline, "resource": resource}]
        else:
            raise RequestError(
                f"{operation.type}/{resource_id}",
                "the resource has no url, so that no code can be of it",
                "a CodeSystem with a url",
                "Give it one.",
                status=422,
                issue="business-rule",
            )
        return {**request, "parameter": [*subject, *request["parameter"]]}

    # -- batch -------------------------------------------------------------------------------------

    def _batch(self, asked: Asked) -> Answer:
        if asked.method != "POST":
            raise _wrong_method()
        bundle = requests.parse(asked.body, "Bundle") if isinstance(asked.body, bytes) else {}
        if bundle.get("type") != "batch":
            raise RequestError(
                "Bundle.type",
                f"'{bundle.get('type')}' is not done here",
                "batch",
                "Send a batch: its entries stand for themselves.",
                issue="not-supported",
            )
        entries = bundle.get("entry", [])
        if not isinstance(entries, list) or len(entries) > MAX_BATCH:
            raise RequestError(
                "Bundle.entry",
                "the entries are too many, or no list",
                f"at most {MAX_BATCH}",
                "Send them in parts.",
                status=413,
                issue="too-costly",
            )
        found: Json = {"resourceType": "Bundle", "type": "batch-response"}
        end = time.monotonic() + self._batch_seconds
        answers = [self._entry(entry, asked, end) for entry in entries]
        if answers:
            found["entry"] = answers
        return Answer(found)

    def _entry(self, entry: Any, asked: Asked, end: float) -> Json:
        """Return the answer to one entry; whatever goes wrong with it, the others stand."""
        try:
            if time.monotonic() > end:
                raise _no_time(self._batch_seconds)
            one = replace(_entry_asked(entry, asked), seconds=end - time.monotonic())
            head = one.method == "HEAD"
            answer = self.answer(replace(one, method="GET") if head else one)
        except BodySiteError as error:
            return _failed(status_of(error), outcome_of(error))
        except sa.exc.OperationalError as error:
            # The statement and its values may hold what a client sent: the type alone is logged.
            logger.error("the store failed: %s", type(error).__name__)
            return _failed(503, outcome("error", "transient", STORE_FAILED))
        except Exception as error:  # noqa: BLE001
            logger.error("unexpected %s at %s", type(error).__name__, place_of(error))
            return _failed(500, outcome_of_status(500, _UNEXPECTED))
        response: Json = {"status": str(answer.status)}
        for header, name in (("Location", "location"), ("ETag", "etag")):
            if header in answer.headers:
                response[name] = answer.headers[header]
        body = requests.parse(answer.body.encode()) if isinstance(answer.body, str) else answer.body
        if body is None or head:
            return {"response": response}
        return {"resource": body, "response": response}


def _entries(operation: Operation, asked: Asked) -> list[Json]:
    """Return the parameters of a request: those of the address, then those of the body."""
    if asked.method != "POST" and (asked.method != "GET" or operation.changes):
        raise _wrong_method()
    entries = requests.of_query(f"${operation.name}", asked.query)
    if asked.body is not None:
        entries += _of_body(operation, asked.body)
    return entries


def _of_body(operation: Operation, body: bytes | Json) -> list[Json]:
    """Return the parameters of a body: Parameters, or the one resource that an operation is about.

    FHIR lets a client send the resource itself, with the simple parameters in the address.
    """
    name = f"${operation.name}"
    resource = requests.parse(body) if isinstance(body, bytes) else body
    if resource.get("resourceType") == operation.type and operation.inline is not None:
        return [{"name": operation.inline, "resource": resource}]
    return requests.of_parameters(name, requests.expected(resource, "Parameters"))


def _entry_asked(entry: Any, asked: Asked) -> Asked:
    """Return what an entry of a batch asks, under the same endpoint."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not all(
        isinstance(request.get(name), str) for name in ("method", "url")
    ):
        raise RequestError(
            "Bundle.entry.request",
            "method and url are missing",
            "a method, and an address below the base",
            "Correct the entry.",
            issue="required",
        )
    below, _, query = _below(request["url"], asked.base).partition("?")
    path = tuple(unquote(one) for one in below.split("/") if one)
    if not path:
        raise _nowhere()
    headers = dict(asked.headers)
    for name, header in (("ifMatch", "if-match"), ("ifNoneExist", "if-none-exist")):
        headers.pop(header, None)
        if isinstance(request.get(name), str):
            headers[header] = request[name]
    resource = entry.get("resource")
    return Asked(
        asked.release,
        request["method"].upper(),
        path,
        parse_qsl(query, keep_blank_values=True),
        resource if isinstance(resource, dict) else None,
        headers,
        asked.base,
    )


def _below(url: str, base: str) -> str:
    """Return the part of an entry's address under the base; it may have been sent without."""
    if base and url.startswith(f"{base}/"):
        return url[len(base) :]
    if _ABSOLUTE.match(url):
        raise RequestError(
            "Bundle.entry.request.url",
            f"'{url[:100]}' is no address of this service",
            f"an address below {base}",
            "Write it without the base.",
            issue="value",
        )
    return url


def _no_time(seconds: float) -> LimitError:
    return LimitError(
        "Bundle.entry",
        f"the time for the batch, {seconds:g} seconds, was over",
        "entries that take less time",
        "Send this entry again, in another batch.",
        status=503,
    )


def _failed(status: int, outcome: Json) -> Json:
    return {"response": {"status": str(status), "outcome": outcome}}


def _first_problem(entries: Sequence[Json], asked: Asked) -> RequestError | None:
    """Return what is wrong with a resource that the request brought along, if anything is."""
    for number, entry in enumerate(entries):
        resource = entry.get("resource")
        if resource is None or resource["resourceType"] not in TYPES:
            continue
        problem = next(problems_of_form(resource, asked.release), None)
        if problem is not None:
            return RequestError(
                f"parameter[{number}] {entry['name']}",
                f"the {resource['resourceType']} is not valid: {problem}",
                f"a {resource['resourceType']} of FHIR {asked.release}",
                "Correct it.",
                issue="structure",
            )
    return None


def _lowered(limits: Limits, asked: Asked) -> Limits:
    """Return the limits of a request: it may ask for a lower one, and a batch has its own time."""
    if asked.seconds is not None:
        limits = replace(limits, seconds=min(limits.seconds, max(asked.seconds, 0.0)))
    wanted = whole_number(asked.headers.get(_TOO_COSTLY, ""))
    if wanted is None:
        return limits
    return replace(limits, expansion=min(wanted, limits.expansion))


def _version_parameter(operation: Operation, resource: Json) -> list[Json]:
    """Return the version of an instance, under the name that the operation has for it."""
    name = {
        "expand": "valueSetVersion",
        "translate": "conceptMapVersion",
        "validate-code": "valueSetVersion" if operation.type == "ValueSet" else "version",
    }.get(operation.name, "version")
    version = resource.get("version")
    return [{"name": name, "valueString": version}] if version else []


def _refuse(operation: Operation, request: Json) -> None:
    """Refuse parameters that would change the answer and are not supported."""
    names = {entry["name"] for entry in request["parameter"]} & operation.refused
    for name in sorted(names):
        raise RequestError(
            f"${operation.name} {name}",
            "the parameter is not supported",
            " or ".join(operation.parameters),
            "Leave it out; /docs shows what the operation takes.",
            issue="not-supported",
        )


def _no_such(kind: str, resource_id: str) -> RequestError:
    return RequestError(
        kind,
        f"'{resource_id[:64]}' is not here",
        "the id of a resource that a search finds",
        f"Search: /{kind}.",
        status=404,
        issue="not-found",
    )


def _nowhere() -> RequestError:
    return RequestError(
        "address",
        "nothing is here",
        "an address that metadata lists",
        "/docs explains them.",
        status=404,
        issue="not-found",
    )


def _wrong_method() -> RequestError:
    return RequestError(
        "method",
        "this address does not take it",
        "what metadata lists",
        "/docs explains it.",
        status=405,
        issue="not-supported",
    )
