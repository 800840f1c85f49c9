"""Many requests at the same time: none sees half a change, and each answers as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.tx.resources_store import ResourceLibrary
from api.tx.service import TerminologyService
from terminology.library import Terminology
from terminology.release.build import build_index
from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex
from terminology.rf2.reader import read_release
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, UNIFESP, coding, request, value
from tests.api.tx.small_release import VERSION, small_index

HAND, ARM, LIVER = "85562004", "53120007", "10200004"
URL = "http://x.org/rooms"
THREADS = 6


def rooms(number: int) -> dict[str, Any]:
    """Return a code system in which everything says the same number."""
    return {
        "resourceType": "CodeSystem",
        "id": "rooms",
        "url": URL,
        "version": str(number),
        "status": "active",
        "content": "complete",
        "concept": [{"code": code, "display": f"{code} {number}"} for code in "abcdef"],
    }


def at_once(number: int, ask: Callable[[int], Any]) -> list[Any]:
    """Return the answers of as many threads that begin together."""
    barrier = threading.Barrier(number)

    def one(place: int) -> Any:
        barrier.wait()
        return ask(place)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_what_changes_while_it_is_read_is_read_whole(
    library: ResourceLibrary, database: str, terminology: Terminology
) -> None:
    service = TerminologyService((embedded_index(),), terminology, library)
    library.put("CodeSystem", "rooms", "R5", rooms(0))
    changes, written = 25, threading.Event()
    other = ResourceLibrary(database)

    def write() -> None:
        for number in range(1, changes):
            other.put("CodeSystem", "rooms", "R5", rooms(number))
        written.set()

    def read() -> list[int]:
        seen = []
        last = False
        while not last:
            last = written.is_set()
            (provider,) = service.registry("R5").code_systems(URL)
            told = {provider.version}
            for concept in provider.all_concepts().iterate():
                told.add(str(provider.display(concept)).partition(" ")[2])
            assert len(told) == 1
            seen.append(int(str(provider.version)))
            at_once_ = service.registry_at_once("R5")
            if at_once_ is not None:
                (provider,) = at_once_.code_systems(URL)
                seen.append(int(str(provider.version)))
        return seen

    found = at_once(THREADS, lambda place: write() if place == 0 else read())
    other.close()
    for seen in found[1:]:
        assert seen == sorted(seen)
        assert seen[-1] == changes - 1


@pytest.fixture(scope="module")
def index_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    small_index(folder)
    path = folder / "small.index"
    build_index(read_release([folder], version_uri=VERSION), path)
    return path


ASKED: list[tuple[str, dict[str, str]]] = [
    ("CodeSystem/$lookup", {"system": SCT, "code": HAND, "property": "*"}),
    ("CodeSystem/$lookup", {"system": SCT, "code": f"{HAND}:272741003=7771000"}),
    ("CodeSystem/$lookup", {"system": IRMA, "code": "414"}),
    ("CodeSystem/$subsumes", {"system": SCT, "codeA": ARM, "codeB": HAND}),
    ("CodeSystem/$validate-code", {"url": SCT, "code": LIVER, "displayLanguage": "de"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs=isa/{ARM}", "filter": "h"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs=ecl/<< {ARM}: 272741003 = *"}),
    ("ValueSet/$expand", {"url": f"{SCT}?fhir_vs=refset"}),
    ("ConceptMap/$translate", {"system": UNIFESP, "code": "12", "targetsystem": SCT}),
    ("ConceptMap/$translate", {"url": f"{SCT}?fhir_cm=447562003", "system": SCT, "code": LIVER}),
]


def plain(answer: Any) -> Any:
    """Return an answer without what is new each time."""
    if isinstance(answer, dict):
        return {key: plain(one) for key, one in answer.items() if key != "timestamp"}
    return [plain(one) for one in answer] if isinstance(answer, list) else answer


def test_what_is_built_at_first_use_is_built_for_all(
    index_file: Path, open_site: Callable[..., Client]
) -> None:
    def fresh() -> Client:
        return open_site(releases=(ReleaseIndex.open(index_file),))

    alone = fresh()
    wanted = [plain(alone.get(f"/r5/{path}", params=query).json()) for path, query in ASKED]
    assert all(one["resourceType"] != "OperationOutcome" for one in wanted)
    for _ in range(3):
        site = fresh()

        def ask(place: int, site: Client = site) -> Any:
            path, query = ASKED[place]
            return plain(site.get(f"/r5/{path}", params=query).json())

        assert at_once(len(ASKED), ask) == wanted


def test_requests_of_one_loop_do_not_mix(
    index_file: Path, open_site: Callable[..., Client]
) -> None:
    site = open_site(releases=(ReleaseIndex.open(index_file),))
    asked = [(f"/{root}/{path}", query) for path, query in ASKED for root in ("r4", "r5")] * 3
    wanted = [plain(site.get(path, params=query).json()) for path, query in asked]

    async def together() -> list[Any]:
        transport = httpx.ASGITransport(site.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answers = [client.get(path, params=query) for path, query in asked]
            return [plain(one.json()) for one in await asyncio.gather(*answers)]

    assert asyncio.run(together()) == wanted


def test_a_closure_table_takes_concepts_from_many_clients(site: Client) -> None:
    codes = [HAND, ARM, "7569003", "56459004", "10200004", "123037004"]
    site.post("/r4/$closure", json=request(name="t"))

    def add(place: int) -> int:
        body = request(coding("concept", SCT, codes[place]), name="t")
        return site.post("/r4/$closure", json=body).status_code

    assert at_once(len(codes), add) == [200] * len(codes)
    site.post("/r4/$closure", json=request(name="alone"))
    together = request(*(coding("concept", SCT, code) for code in codes), name="alone")
    alone = site.post("/r4/$closure", json=together).json()
    whole = site.post("/r4/$closure", json=request(name="t", version="0")).json()
    assert whole["version"] == str(len(codes))

    def pairs(answer: dict[str, Any]) -> set[tuple[str, str]]:
        return {
            (element["code"], target["code"])
            for group in answer["group"]
            for element in group["element"]
            for target in element["target"]
        }

    assert pairs(whole) == pairs(alone)
    assert value(site.get(f"/r4/CodeSystem/$lookup?system={SCT}&code={HAND}").json(), "display")
