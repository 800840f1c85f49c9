"""Searches of the store against a slow evaluation of the same resources, on both databases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.indexing import indexed
from api.search import Searcher, SearchRequest
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.search import oracle

pytestmark = pytest.mark.databases
SCT = "http://snomed.info/sct"
SITES = ("85562004", "7569003", "72696002", "56459004", "53120007", "61685007", "123037004")
Json = dict[str, Any]
Case = tuple[str, str, Callable[[Json], bool]]

dates = st.sampled_from(
    ["2023", "2024", "2024-01", "2024-02", "2024-02-29", "2024-03-01", "2024-12-31",
     "2024-02-29T10:00:00Z", "2024-02-29T23:59:59+01:00", "2025-01-01T00:30:00+02:00"]
)  # fmt: skip
periods = st.builds(
    lambda start, end: {"start": start} | ({"end": end} if end else {}),
    st.sampled_from(["2023-05", "2024", "2024-02-28"]),
    st.sampled_from([None, "2024-03", "2026-01-01"]),
) | st.builds(lambda end: {"end": end}, st.sampled_from(["2023", "2024-02-29"]))
coding = st.builds(
    lambda system, code: ({"system": system} if system else {}) | {"code": code},
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["x", "y", "z"]),
)
notes = st.sampled_from(["Knie links", "rechtes Knie", "Kniegelenk", "Hüfte", "Hand, Knie"])
names = st.sampled_from(["Müller", "Muller", "Möller-Braun", "mül", "Åse", "O'Neil", "100%_x"])
numbers = st.sampled_from([0, 1, 5.4, 5.44, 5.35, 5.45, 95, 99.5, -3])


def _without_none(content: Json) -> Json:
    return {key: value for key, value in content.items() if value not in (None, [], {})}


@st.composite
def populations(draw: st.DrawFn) -> list[Json]:
    """A few studies and patients, and Observations that refer to them."""
    studies = [
        _without_none(
            {
                "resourceType": "ImagingStudy",
                "id": f"s{number}",
                "status": "available",
                "modality": [{"system": "d", "code": code}],
                "started": draw(st.none() | dates),
            }
        )
        for number, code in enumerate(draw(st.lists(st.sampled_from(["CT", "MR"]), max_size=4)))
    ]
    patients = [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": name}]}
        for number, name in enumerate(draw(st.lists(names, max_size=4)))
    ]
    observations = []
    for number in range(draw(st.integers(1, 8))):
        when = draw(st.none() | dates | periods)
        study = draw(st.none() | st.integers(0, 4))
        patient = draw(st.none() | st.integers(0, 4))
        quantity = draw(st.none() | numbers)
        site = draw(st.none() | st.sampled_from(SITES))
        content = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": draw(st.sampled_from(["final", "preliminary", "amended"])),
            "code": {"coding": draw(st.lists(coding, min_size=1, max_size=2))},
            "effectivePeriod" if isinstance(when, dict) else "effectiveDateTime": when,
            "derivedFrom": [{"reference": f"ImagingStudy/s{study}"}] if study is not None else [],
            "subject": {"reference": f"Patient/p{patient}"} if patient is not None else None,
            "valueQuantity": {"value": quantity, "unit": "mm", "code": "mm", "system": "u"}
            if quantity is not None
            else None,
            "bodySite": {"coding": [{"system": SCT, "code": site}]} if site else None,
            "note": [{"text": text} for text in draw(st.lists(notes, max_size=2))],
        }
        observations.append(_without_none(content))
    return [*studies, *patients, *observations]


def _cases(world: Sequence[Json], graph: Any) -> Iterator[tuple[str, Case]]:
    """Yield searches as type of resource, parameter, value and what each match must be."""
    by_id = {one["id"]: one for one in world}
    sources = [one for one in world if one["resourceType"] == "Observation"]

    def when(one: Json) -> Any:
        return one.get("effectiveDateTime") or one.get("effectivePeriod")

    def study(one: Json) -> Json:
        links = one.get("derivedFrom", [])
        return by_id.get(links[0]["reference"].partition("/")[2], {}) if links else {}

    def family(one: Json) -> str:
        link = one.get("subject", {}).get("reference", "/").partition("/")[2]
        patient = one if one["resourceType"] == "Patient" else by_id.get(link, {})
        return patient.get("name", [{"family": ""}])[0]["family"]

    for prefix, asked in itertools.product(
        ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"), ("2024", "2024-02", "2024-02-29")
    ):
        yield (
            "Observation",
            (
                "date",
                prefix + asked,
                lambda one, p=prefix, a=asked: (
                    when(one) is not None and oracle.date_holds(p, a, when(one))
                ),
            ),
        )
    for asked in ("x", "a|x", "|y", "b|", "a|x,b|z"):

        def coded(one: Json, asked: str = asked) -> bool:
            return any(oracle.token_holds(part, one["code"]) for part in asked.split(","))

        yield "Observation", ("code", asked, coded)
        yield "Observation", ("code:not", asked, lambda one, f=coded: not f(one))
    for prefix, asked in itertools.product(
        ("eq", "ne", "gt", "lt", "ge", "le"), ("5.4", "95", "0")
    ):
        yield (
            "Observation",
            (
                "value-quantity",
                prefix + asked,
                lambda one, p=prefix, a=asked: (
                    "valueQuantity" in one
                    and oracle.number_holds(p, a, one["valueQuantity"]["value"])
                ),
            ),
        )
    for modality in ("CT", "MR"):
        yield (
            "Observation",
            (
                "derived-from:ImagingStudy.modality",
                modality,
                lambda one, m=modality: any(
                    code == m for _, code in oracle.codings(study(one).get("modality", []))
                ),
            ),
        )
    for status in ("final", "amended"):
        yield (
            "ImagingStudy",
            (
                "_has:Observation:derived-from:status",
                status,
                lambda one, s=status: any(
                    study(source) is one and source["status"] == s for source in sources
                ),
            ),
        )
    for asked in ("mul", "MÜ", "möller", "o", "100%_", "%"):
        starts = oracle.bare(asked)
        yield (
            "Patient",
            (
                "family",
                asked,
                lambda one, s=starts: oracle.bare(family(one)).startswith(s),
            ),
        )
        yield (
            "Patient",
            (
                "family:contains",
                asked,
                lambda one, s=starts: s in oracle.bare(family(one)),
            ),
        )
        yield "Patient", ("family:exact", asked, lambda one, a=asked: family(one) == a)
        yield (
            "Observation",
            (
                "patient.family",
                asked,
                lambda one, s=starts: bool(family(one)) and oracle.bare(family(one)).startswith(s),
            ),
        )
    for param, element in (("date", None), ("body-site", "bodySite"), ("subject", "subject")):
        for missing in ("true", "false"):
            yield (
                "Observation",
                (
                    f"{param}:missing",
                    missing,
                    lambda one, e=element, m=missing: (
                        (when(one) is None if e is None else e not in one) == (m == "true")
                    ),
                ),
            )
    for site in SITES:
        yield (
            "Observation",
            (
                "body-site:below",
                f"{SCT}|{site}",
                lambda one, s=site: "bodySite" in one and oracle.below(graph, s, one["bodySite"]),
            ),
        )
        yield (
            "Observation",
            (
                "body-site:in",
                f"{SCT}?fhir_vs=ecl/<< {site}",
                lambda one, s=site: "bodySite" in one and oracle.below(graph, s, one["bodySite"]),
            ),
        )
    for asked, holds in (
        ("knie", lambda found: "knie" in found),
        ("knie*", lambda found: any(one.startswith("knie") for one in found)),
        ("hüfte", lambda found: "hufte" in found),
        ('"rechtes knie"', lambda found: ("rechtes", "knie") in set(itertools.pairwise(found))),
        ("links rechtes", lambda found: {"links", "rechtes"} <= set(found)),
        ("links OR rechtes", lambda found: bool({"links", "rechtes"} & set(found))),
    ):

        def worded(one: Json, holds: Any = holds) -> bool:
            # The sites bring their own names; words of notes are looked at without them.
            return bool(holds([word.strip(",") for word in oracle.words(one)]))

        yield "Observation without sites", ("_content", asked, worded)


def _fill(store: SqlStore, world: Sequence[Json], graph: Any) -> None:
    with store.engine.begin() as connection:
        for table in (
            "token", "token_value", "date_value", "text_value", "quantity_value", "resource_text",
            "resource_version", "resource",
        ):  # fmt: skip
            connection.execute(sa.delete(sa.table(table)))
    # Keys that the store knew are not there any more.
    store._value_ids.clear()
    store.put([indexed(one["resourceType"], one, graph=graph) for one in world])


def _found(searcher: Searcher, kind: str, *parameters: tuple[str, str]) -> Json:
    request = SearchRequest(kind, parameters, "http://here/r4", strict=True)
    found: Json = json.loads(searcher.search(request))
    return found


def _ids(bundle: Json) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", [])]


@pytest.fixture(params=[2000, 1], ids=["gathered", "walked"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many matches count as few, so that either way of searching is taken."""
    monkeypatch.setattr("api.store.clauses.FEW", request.param)
    return int(request.param)


@pytest.fixture(scope="session")
def tx(terminology: Terminology) -> Any:
    from api.tx.service import TerminologyService
    from terminology.release.embedded import embedded_index

    return TerminologyService((embedded_index(),), terminology)


_SETTINGS = settings(
    max_examples=3,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_SETTINGS
@given(world=populations(), data=st.data())
def test_a_search_finds_what_a_look_at_every_resource_finds(
    store: SqlStore, terminology: Terminology, tx: Any, few: int, world: list[Json], data: Any
) -> None:
    graph = terminology.graph
    _fill(store, world, graph)
    searcher = Searcher(store, graph, 100, 100, tx)
    for kind, (name, value, holds) in _cases(world, graph):
        bare = kind == "Observation without sites"
        of_kind = [one for one in world if one["resourceType"] == kind.split()[0]]
        if bare:
            of_kind = [one for one in of_kind if "bodySite" not in one]
        wanted = [one["id"] for one in of_kind if holds(one)]
        extra = (("body-site:missing", "true"),) if bare else ()
        bundle = _found(searcher, kind.split()[0], (name, value), *extra)
        assert _ids(bundle) == wanted, f"{kind}?{name}={value}"
        total = _found(searcher, kind.split()[0], (name, value), *extra, ("_summary", "count"))
        assert total["total"] == len(wanted), f"{kind}?{name}={value}"
    cases = [one for kind, one in _cases(world, graph) if kind == "Observation"]
    for _ in range(10):
        (first, one, holds), (second, other, also) = data.draw(
            st.tuples(st.sampled_from(cases), st.sampled_from(cases))
        )
        wanted = [
            each["id"]
            for each in world
            if each["resourceType"] == "Observation" and holds(each) and also(each)
        ]
        bundle = _found(searcher, "Observation", (first, one), (second, other))
        assert _ids(bundle) == wanted, f"{first}={one}&{second}={other}"


_SORTS: tuple[tuple[str, Callable[[Json], Any]], ...] = (
    ("status", lambda one: one["status"]),
    ("_id", lambda one: one["id"]),
    ("date", lambda one: oracle.time_of(_when(one))[0] if _when(one) else None),
    ("value-quantity", lambda one: one.get("valueQuantity", {}).get("value")),
    ("subject", lambda one: one.get("subject", {}).get("reference")),
)


def _when(one: Json) -> Any:
    return one.get("effectiveDateTime") or one.get("effectivePeriod")


@_SETTINGS
@given(world=populations(), count=st.integers(1, 3))
def test_pages_of_a_sorted_search_are_the_sorted_list_cut(
    store: SqlStore, terminology: Terminology, few: int, world: list[Json], count: int
) -> None:
    graph = terminology.graph
    _fill(store, world, graph)
    searcher = Searcher(store, graph, 100, 100)
    observations = [one for one in world if one["resourceType"] == "Observation"]
    for (first, key), (second, other) in itertools.permutations(_SORTS, 2):
        ordered = sorted(observations, key=lambda one, f=other: _last(f(one)))
        ordered.sort(key=lambda one, f=key: _last(f(one)))
        wanted = [one["id"] for one in ordered]
        sort = ("_sort", f"{first},{second}")
        pages = list(_pages(searcher, sort, ("_count", str(count))))
        assert [one for page in pages for one in _ids(page)] == wanted, sort
        back = pages[-1]
        seen = _ids(back)
        while link := _link(back, "previous"):
            back = _found(searcher, "Observation", sort, ("_count", str(count)), link)
            seen = _ids(back) + seen
        assert seen == wanted, sort


def test_a_descending_key_turns_the_order_but_leaves_missing_values_last(
    store: SqlStore, terminology: Terminology
) -> None:
    values = {"o1": 5, "o2": None, "o3": 9, "o4": 5}
    world = [
        _without_none(
            {
                "resourceType": "Observation",
                "id": one,
                "status": "final",
                "code": {"text": "length"},
                "valueQuantity": {"value": value} if value is not None else None,
            }
        )
        for one, value in values.items()
    ]
    _fill(store, world, terminology.graph)
    searcher = Searcher(store, terminology.graph, 100, 100)
    pages = list(_pages(searcher, ("_sort", "-value-quantity"), ("_count", "1")))
    assert [one for page in pages for one in _ids(page)] == ["o3", "o1", "o4", "o2"]


def _last(value: Any) -> tuple[bool, Any]:
    return value is None, value if value is not None else 0


def _link(bundle: Json, relation: str) -> tuple[str, str] | None:
    from urllib.parse import parse_qsl, urlsplit

    for one in bundle["link"]:
        if one["relation"] == relation:
            pairs = parse_qsl(urlsplit(one["url"]).query)
            return next(pair for pair in pairs if pair[0] in {"_after", "_before"})
    return None


def _pages(searcher: Searcher, *parameters: tuple[str, str]) -> Iterator[Json]:
    page = _found(searcher, "Observation", *parameters)
    yield page
    while link := _link(page, "next"):
        page = _found(searcher, "Observation", *parameters, link)
        yield page
