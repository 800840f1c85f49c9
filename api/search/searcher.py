"""FHIR search parameters → a store query, one page, and the Bundle that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from api.bundles import Entry, dump, searchset
from api.errors import SearchError
from api.indexing import PARAMETERS, R4
from api.outcome import outcome
from api.records import Page, Query, Stored
from api.rendering import rendered
from api.rest.content import dump as dump_content
from api.rest.content import loads
from api.rest.summaries import View
from api.search.criteria import Criteria
from api.search.includes import included
from api.search.plan import Plan, Planner, encoded, kinds_of, now
from api.search.sites import Sites
from api.search.value_sets import ValueSets
from api.security.actor import current_actor
from api.store import ResourceStore
from api.store.query import Total
from api.tx.service import TerminologyService
from terminology.graph import BodyStructureGraph


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as it came in: resource type, parameters in order, and how it wants to be taken.

    Without a `kind` it is one of the whole system, whose types `_type` names.
    """

    kind: str
    parameters: tuple[tuple[str, str], ...]
    base: str
    strict: bool = False
    release: str = R4


@dataclass(frozen=True, slots=True)
class Searcher:
    """Answers searches from a store and a graph.

    `tx` is what knows value sets; without it, `:in` is refused.
    """

    store: ResourceStore
    graph: BodyStructureGraph
    page_size: int = 20
    max_page_size: int = 1000
    tx: TerminologyService | None = None

    def search(self, request: SearchRequest) -> str:
        """Return the searchset Bundle of `request`.

        Raises
        ------
        SearchError
            A value or a modifier is wrong, or a parameter is unknown and handling is strict.
        """
        kinds = kinds_of(request.kind, request.parameters)
        for kind in kinds:
            current_actor().require("s", kind, "_type")
        criteria = self._criteria(kinds, request.release, request.base)
        plan = Planner(
            criteria,
            page_size=self.page_size,
            max_page_size=self.max_page_size,
            strict=request.strict,
        ).plan(request.parameters)
        outcomes = [_ignored_entry(plan.ignored)] if plan.ignored else []
        if plan.counts_only:
            links = [("self", _url(request, plan.understood))]
            total = None if plan.total == "none" else self.store.count(plan.query)
            return searchset(outcomes, links, total)
        wanted: Total = {"": "few", "none": "known"}.get(plan.total, "all")  # type: ignore[assignment]
        page = self.store.search(
            plan.query, plan.count, after=plan.after, before=plan.before, total=wanted
        )
        others = included(self.store, plan.includes, page.matches, request.release)
        view = View(plan.summary, plan.elements)
        entries = [_entry(request, view, one, "match") for one in page.matches]
        entries += [_entry(request, view, one, "include") for one in others]
        links = _links(request, plan, page)
        total = None if plan.total == "none" else page.total
        return searchset([*entries, *outcomes], links, total)

    def query_of(
        self, kind: str, parameters: Sequence[tuple[str, str]], release: str = R4, base: str = ""
    ) -> Query:
        """Return the query of search criteria, such as those of a conditional update.

        Raises
        ------
        SearchError
            A parameter is unknown, says nothing about what matches, or has a wrong value.
        """
        if kind not in PARAMETERS:
            raise SearchError(
                "criteria", f"'{kind[:100]}' is not searched here", ", ".join(PARAMETERS),
                "Name one of them.",
            )  # fmt: skip
        criteria = self._criteria((kind,), release, base)
        conditions = []
        for name, value in parameters:
            condition = criteria.condition(name, value)
            if condition is None:
                raise SearchError(
                    name,
                    f"{kind} is not searched by '{name[:200]}'",
                    "a parameter that metadata lists",
                    "Leave it out.",
                    issue="not-supported",
                )
            conditions.append(condition)
        return Query(kind, where=tuple(conditions))

    def _criteria(self, kinds: tuple[str, ...], release: str, base: str) -> Criteria:
        value_sets = ValueSets(self.tx, release) if self.tx is not None else None
        sites = Sites(self.graph, value_sets)
        return Criteria(self.store, sites, kinds, release, base.rstrip("/"), now())


def _entry(request: SearchRequest, view: View, stored: Stored, mode: str) -> Entry:
    body = stored.body
    if request.release != R4 or not view.whole:
        content = rendered(loads(body), request.release)
        body = dump_content(view.shown(content, request.release))
    return Entry(body, f"{request.base}/{stored.type}/{stored.id}", mode)


def _links(request: SearchRequest, plan: Plan, page: Page) -> list[tuple[str, str]]:
    here = [
        (f"_{name}", encoded(value))
        for name, value in (("after", plan.after), ("before", plan.before))
        if value is not None
    ]
    links = [
        ("self", _url(request, (*plan.understood, *here))),
        ("first", _url(request, plan.understood)),
    ]
    if page.matches and page.has_previous:
        before = ("_before", encoded(page.first))
        links.append(("previous", _url(request, (*plan.understood, before))))
    if page.matches and page.has_next:
        after = ("_after", encoded(page.last))
        links.append(("next", _url(request, (*plan.understood, after))))
    return links


def _ignored_entry(names: Sequence[str]) -> Entry:
    listed = ", ".join(f"'{name[:200]}'" for name in dict.fromkeys(names))
    text = (
        f"Ignored: {listed}. The server does not know these parameters or values;"
        " send 'Prefer: handling=strict' to have them refused."
    )
    return Entry(dump(outcome("warning", "not-supported", text)), mode="outcome")


def _url(request: SearchRequest, parameters: Sequence[tuple[str, str]]) -> str:
    address = f"{request.base}/{request.kind}" if request.kind else request.base
    query = urlencode(parameters, quote_via=quote, safe=":/,")
    return f"{address}?{query}" if query else address
