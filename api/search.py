"""FHIR search parameters → a store query, one page, and the Bundle that answers.

A body site is searched through the graph: the codes that a search for a concept must look for are
cut with the codes in use, and the store is asked for those. A new release therefore needs no
re-indexing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from api.bundles import Entry, dump, searchset
from api.dates import time_range
from api.errors import SearchError
from api.outcome import outcome
from api.records import Criterion, Query, Stored, TimeRange
from api.store import ResourceStore
from terminology.concept import SNOMED
from terminology.errors import UnknownConceptError
from terminology.graph import BodyStructureGraph
from terminology.identifiers import check_sctid


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter: its name in the store, and what clients may call it and add to it."""

    name: str
    aliases: tuple[str, ...] = ()
    body_site: bool = False
    modifiers: tuple[str, ...] = ("not",)
    type: str = "token"
    documentation: str = ""


_SITE_NOTE: Final = (
    "A SNOMED CT body structure as system|code or bare code, current or former. Modifiers: :below"
    " (the concept and everything in or under it), :above, :not. Sided concepts are found by their"
    " own code and by the unsided one."
)


_SHOWN_NOTE: Final = (
    "A SNOMED CT body structure that the images show, whether or not it was examined: system|code"
    " or bare code, current or former. Modifiers: :below (the concept and everything in or under"
    " it), :above, :not. Sides are not told."
)


def _site_parameter(name: str, *aliases: str, note: str = _SITE_NOTE) -> Parameter:
    return Parameter(
        name,
        aliases,
        body_site=True,
        modifiers=("below", "above", "not"),
        documentation=note,
    )


_PATIENT: Final = Parameter(
    "patient",
    ("subject",),
    modifiers=("identifier",),
    type="reference",
    documentation="The patient by what the PHI policy left of the PatientID:"
    " patient:identifier=system|value. No Patient resource is here, so a reference finds nothing.",
)
PARAMETERS: Final[dict[str, tuple[Parameter, ...]]] = {
    "ImagingStudy": (
        _site_parameter("bodysite", "body-site"),
        Parameter("modality", documentation="A modality of any series (DICOM CID 33). :not."),
        Parameter(
            "identifier",
            documentation="Study Instance UID as urn:dicom:uid|urn:oid:…, or accession number."
            " :not.",
        ),
        _PATIENT,
        Parameter("series", documentation="Series Instance UID as urn:dicom:uid|urn:oid:…. :not."),
        Parameter("status", documentation="Status of the study. :not."),
    ),
    "Observation": (
        _site_parameter("body-site", "bodysite"),
        _site_parameter("visible-site", note=_SHOWN_NOTE),
        Parameter("code", documentation="What is observed. :not."),
        Parameter("category", documentation="imaging. :not."),
        Parameter("status", documentation="Status of the observation. :not."),
        _PATIENT,
        Parameter(
            "derived-from",
            type="reference",
            documentation="The ImagingStudy, as ImagingStudy/id or id. :not.",
        ),
    ),
    "Device": (),
    "Provenance": (),
}
CONTROL: Final = (
    "_id", "_lastUpdated", "_count", "_total", "_summary", "_include", "_revinclude", "_format",
    "_pretty", "_after", "_before",
)  # fmt: skip
_INCLUDE: Final = "Observation:derived-from"
_SNOMED_ALIASES: Final = ("sct", "snomedct", "urn:oid:2.16.840.1.113883.6.96")
_MAX_CURSOR: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as it came in: resource type, parameters in order, and how it wants to be taken."""

    kind: str
    parameters: tuple[tuple[str, str], ...]
    base: str
    strict: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    query: Query
    count: int
    after: int | None
    before: int | None
    total: bool
    summary_count: bool
    include: bool
    revinclude: bool
    understood: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class Searcher:
    """Answers searches from a store and a graph."""

    store: ResourceStore
    graph: BodyStructureGraph
    page_size: int = 20
    max_page_size: int = 1000

    def search(self, request: SearchRequest) -> str:
        """Return the searchset Bundle of `request`.

        Raises
        ------
        SearchError
            A value or a modifier is wrong, or a parameter is unknown and handling is strict.
        """
        plan = self._plan(request)
        outcomes = [self._ignored_entry(plan.ignored)] if plan.ignored else []
        if plan.summary_count or plan.count == 0:
            links = [("self", _url(request, plan.understood))]
            return searchset(outcomes, links, self._total(plan, None))
        if plan.empty:
            matches: tuple[Stored, ...] = ()
            links = [("self", _url(request, plan.understood))]
            total = self._total(plan, 0)
        else:
            page = self.store.search(plan.query, plan.count, after=plan.after, before=plan.before)
            matches = page.matches
            links = self._links(request, plan, matches, page.has_previous, page.has_next)
            total = self._total(plan, page.total)
        entries = [_entry(request.base, one, "match") for one in matches]
        entries += [_entry(request.base, one, "include") for one in self._included(plan, matches)]
        return searchset([*entries, *outcomes], links, total)

    def _total(self, plan: _Plan, known: int | None) -> int | None:
        if not plan.total:
            return None
        if plan.empty:
            return 0
        return known if known is not None else self.store.count(plan.query)

    def _plan(self, request: SearchRequest) -> _Plan:
        by_name = {
            name: parameter
            for parameter in PARAMETERS[request.kind]
            for name in (parameter.name, *parameter.aliases)
        }
        plan = _Plan(
            Query(request.kind), self.page_size, None, None,
            total=True, summary_count=False, include=False, revinclude=False,
            understood=(), ignored=(), empty=False,
        )  # fmt: skip
        for name, value in request.parameters:
            base, _, modifier = name.partition(":")
            if base in by_name:
                parameter = by_name[base]
                criterion = self._criterion(request.kind, parameter, name, modifier, value)
                empty = not criterion.values and not criterion.negated
                plan = replace(
                    plan,
                    query=replace(plan.query, criteria=(*plan.query.criteria, criterion)),
                    empty=plan.empty or empty,
                )
            elif base in CONTROL and not modifier:
                changed = self._control(plan, request.kind, base, value)
                if changed is None:
                    plan = _ignoring(plan, name, request.strict)
                    continue
                plan = changed
            else:
                plan = _ignoring(plan, name, request.strict)
                continue
            if base not in {"_after", "_before", "_format", "_pretty"}:
                plan = replace(plan, understood=(*plan.understood, (name, value)))
        return plan

    def _control(self, plan: _Plan, kind: str, name: str, value: str) -> _Plan | None:
        """Return `plan` with a parameter that begins with ``_``; `None` to ignore its value."""
        query = plan.query
        if name == "_id":
            if not value:
                raise _bad_value(name, value, "a logical id")
            ids = tuple(value.split(","))
            kept = ids if query.ids is None else tuple(set(ids) & set(query.ids))
            return replace(plan, query=replace(query, ids=kept), empty=plan.empty or not kept)
        if name == "_lastUpdated":
            return replace(plan, query=replace(query, times=(*query.times, _times(value))))
        if name == "_count":
            return replace(plan, count=min(_whole(name, value), self.max_page_size))
        if name in {"_after", "_before"}:
            cursor = _whole(name, value)
            if cursor > _MAX_CURSOR:
                raise _bad_value(name, value, "a cursor from a paging link")
            if name == "_after":
                return replace(plan, after=cursor)
            return replace(plan, before=cursor)
        if name == "_total":
            if value not in {"none", "accurate", "estimate"}:
                raise _bad_value(name, value, "none, estimate or accurate")
            return replace(plan, total=value != "none")
        if name == "_summary":
            if value not in {"count", "false", "true", "text", "data"}:
                raise _bad_value(name, value, "count or false")
            if value in {"count", "false"}:
                return replace(plan, summary_count=value == "count")
            return None
        if name in {"_include", "_revinclude"}:
            wanted = kind == ("Observation" if name == "_include" else "ImagingStudy")
            if not wanted or value not in {_INCLUDE, f"{_INCLUDE}:ImagingStudy"}:
                return None
            return replace(
                plan,
                include=plan.include or name == "_include",
                revinclude=plan.revinclude or name == "_revinclude",
            )
        return plan

    def _criterion(
        self, kind: str, parameter: Parameter, name: str, modifier: str, value: str
    ) -> Criterion:
        allowed = parameter.modifiers
        if modifier and modifier not in allowed:
            raise SearchError(
                name,
                f"the modifier ':{modifier}' is not supported here",
                " or ".join(f":{one}" for one in allowed),
                "See /r4/metadata for what each parameter takes.",
                issue="not-supported",
            )
        alternatives = _split(value, ",")
        if not any(alternatives):
            raise _bad_value(name, value, "a value")
        found: set[int] = set()
        for alternative in alternatives:
            if parameter.body_site:
                found.update(self._sites(kind, parameter.name, name, modifier, alternative))
            elif parameter.type == "reference" and modifier != "identifier":
                found.update(self._references(kind, parameter.name, alternative))
            else:
                found.update(self._tokens(kind, parameter.name, name, alternative))
        return Criterion(tuple(sorted(found)), negated=modifier == "not")

    def _sites(
        self, kind: str, parameter: str, name: str, modifier: str, value: str
    ) -> Iterable[int]:
        system, code = _token(name, value)
        if system is not None and not _is_snomed(system):
            raise SearchError(
                name,
                f"the code system '{system}' is not the one of body sites",
                f"{SNOMED}|code",
                "Translate the code first: /r4/ConceptMap/$translate.",
                issue="code-invalid",
            )
        if code is None:
            return self.store.find_values(kind, parameter, system=SNOMED, code=None)
        check_sctid(code, where=name)
        in_use = self.store.codes_in_use(kind, parameter, SNOMED)
        return [in_use[one] for one in self._wanted(name, modifier, code, in_use) if one in in_use]

    def _wanted(self, name: str, modifier: str, code: str, in_use: Iterable[str]) -> Iterable[str]:
        """Return the codes that the store is asked for: of those in use, or `code` alone."""
        try:
            if modifier == "below":
                return self.graph.found_below(code, in_use)
            if modifier == "above":
                return self.graph.found_above(code, in_use)
            return self.graph.equivalents(code)
        except UnknownConceptError as error:
            if modifier in {"below", "above"}:
                raise SearchError(
                    name, error.what, error.expected, error.remedy, issue="not-found"
                ) from None
            return (code,)

    def _tokens(self, kind: str, parameter: str, name: str, value: str) -> Iterable[int]:
        system, code = _token(name, value)
        return self.store.find_values(kind, parameter, system=system, code=code)

    def _references(self, kind: str, parameter: str, value: str) -> Iterable[int]:
        target, _, code = value.rpartition("/")
        if parameter != "derived-from":
            # The subject is a logical reference: no Patient resource is here to point at.
            return ()
        target = target.rpartition("/")[2] or "ImagingStudy"
        return self.store.find_values(kind, parameter, system=target, code=code)

    def _included(self, plan: _Plan, matches: Sequence[Stored]) -> list[Stored]:
        """Return what `_include` and `_revinclude` add, each once."""
        if plan.include:
            studies = {_derived_from(one.body) for one in matches}
            found = (self.store.read("ImagingStudy", one) for one in sorted(filter(None, studies)))
            return [one for one in found if one is not None and not one.deleted]
        if plan.revinclude and matches:
            keys = [
                key
                for one in matches
                for key in self.store.find_values(
                    "Observation", "derived-from", system="ImagingStudy", code=one.id
                )
            ]
            if keys:
                return list(self._all(Query("Observation", (Criterion(tuple(keys)),))))
        return []

    def _all(self, query: Query) -> Iterator[Stored]:
        """Yield every match of `query`: an include must be whole."""
        after = None
        while True:
            page = self.store.search(query, self.max_page_size, after=after)
            yield from page.matches
            if not page.has_next:
                return
            after = page.matches[-1].rid

    def _links(
        self,
        request: SearchRequest,
        plan: _Plan,
        matches: Sequence[Stored],
        has_previous: bool,
        has_next: bool,
    ) -> list[tuple[str, str]]:
        cursor = [
            (f"_{name}", str(value))
            for name, value in (("after", plan.after), ("before", plan.before))
            if value is not None
        ]
        links = [("self", _url(request, (*plan.understood, *cursor)))]
        links.append(("first", _url(request, plan.understood)))
        if matches and has_previous:
            before = ("_before", str(matches[0].rid))
            links.append(("previous", _url(request, (*plan.understood, before))))
        if matches and has_next:
            after = ("_after", str(matches[-1].rid))
            links.append(("next", _url(request, (*plan.understood, after))))
        return links

    def _ignored_entry(self, names: Sequence[str]) -> Entry:
        listed = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
        text = (
            f"Ignored: {listed}. The server does not know these parameters or values;"
            " send 'Prefer: handling=strict' to have them refused."
        )
        return Entry(dump(outcome("warning", "not-supported", text)), mode="outcome")


def _ignoring(plan: _Plan, name: str, strict: bool) -> _Plan:
    if strict:
        raise SearchError(
            name,
            f"the search parameter '{name}' or its value is not supported",
            "a parameter that /r4/metadata lists",
            "Leave it out, or send 'Prefer: handling=lenient' to have it ignored.",
            issue="not-supported",
        )
    return replace(plan, ignored=(*plan.ignored, name))


def _entry(base: str, stored: Stored, mode: str) -> Entry:
    return Entry(stored.body, f"{base}/{stored.type}/{stored.id}", mode)


def _url(request: SearchRequest, parameters: Sequence[tuple[str, str]]) -> str:
    address = f"{request.base}/{request.kind}"
    query = urlencode(parameters, quote_via=quote, safe=":/,")
    return f"{address}?{query}" if query else address


def _derived_from(body: str) -> str | None:
    found = re.search(r'"derivedFrom":\[\{"reference":"ImagingStudy/([^"]+)"', body)
    return found.group(1) if found else None


def _split(value: str, separator: str) -> list[str]:
    r"""Split at `separator` where no ``\`` stands before it (FHIR search, escaping)."""
    return re.split(rf"(?<!\\){re.escape(separator)}", value)


def _token(name: str, value: str) -> tuple[str | None, str | None]:
    """Return system and code of a token; `None` where any will do, "" for no system."""
    parts = [re.sub(r"\\([,|$\\])", r"\1", part).strip() for part in _split(value, "|")]
    if len(parts) == 1 and parts[0]:
        return None, parts[0]
    if len(parts) == 2 and any(parts):
        return parts[0], parts[1] or None
    raise _bad_value(name, value, "code, system|code, |code or system|")


def _is_snomed(system: str) -> bool:
    """Return whether `system` names SNOMED CT; "" does here, body sites having no other."""
    lower = system.lower()
    return (
        lower in {"", SNOMED, *_SNOMED_ALIASES}
        or lower.startswith(f"{SNOMED}/")
        or lower == SNOMED.replace("http:", "https:")
    )


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        raise _bad_value(name, value, "a whole number, 0 or more")
    return int(value)


def _times(value: str) -> TimeRange:
    try:
        return time_range(value)
    except ValueError:
        expected = "eq, ge, gt, le, lt, sa or eb and a date, such as ge2026-11-20T10:00:00Z"
        raise _bad_value("_lastUpdated", value, expected) from None


def _bad_value(name: str, value: str, expected: str) -> SearchError:
    return SearchError(name, f"'{value}' is no value for it", expected, "Correct the value.")
