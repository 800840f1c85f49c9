"""A terminology request, free of HTTP's machinery → its answer: operations and resources.

What the routes and the entries of a Bundle have in common: the address, the method, what came with
it. FHIR R4 and R5 go in and out here; everything behind works in R5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from api.errors import RequestError
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

Json = dict[str, Any]
_TOO_COSTLY: Final = "x-too-costly-threshold"


class Dispatcher:
    """Answers requests for terminology.

    Parameters
    ----------
    page_size, max_page_size
        Of a search.
    limits
        How much one operation may cost.
    """

    def __init__(
        self,
        service: TerminologyService,
        page_size: int,
        max_page_size: int,
        limits: Limits,
    ) -> None:
        self.service = service
        self._limits = limits
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
