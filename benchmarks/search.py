"""Speed of `bodysite:below` over many studies, beside a search that climbs an is-a table.

Usage: python benchmarks/search.py [--studies 20000] [--requests 200] [--folder DIR]
           [--store sqlite|postgresql|both] [--postgresql URL]

The studies are written straight into the tables of the store, once a folder: a database that holds
as many as are asked for is measured as it is. PostgreSQL is the server of --postgresql, or one that
pgserver starts. Full text is left out. Prints one JSON object a line: milliseconds at the median
and at 95 %, of the first page, of `_total=accurate`, and of the same page by WITH RECURSIVE over
the concepts' parents, asked in turn; `ratio` is the median of the latter by that of the former.
The recursive one is SQL alone; the others are whole searches, from the parameters to the Bundle.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.indexing import indexed
from api.records import Resource
from api.search import Searcher, SearchRequest
from api.store import SqlStore
from api.store.schema import date, resource, text, token, value
from terminology.concept import SNOMED
from terminology.graph import BodyStructureGraph
from terminology.library import load_terminology

_BATCH = 5000
# Everything, lower limb, chest, hand; then the rarest sites that the studies have.
_BROAD = ("123037004", "61685007", "816094009", "85562004")
_MODALITIES = ("CR", "DX", "CT", "MR", "US", "XA", "MG")
_UNIQUE = frozenset({"identifier", "series", "instance"})
_IS_A = sa.Table(
    "benchmark_is_a",
    sa.MetaData(),
    sa.Column("parent", sa.Text, primary_key=True),
    sa.Column("child", sa.Text, primary_key=True),
)
_CLIMB = sa.text(
    """
    WITH RECURSIVE below (code) AS (
        SELECT CAST(:code AS TEXT)
        UNION
        SELECT is_a.child FROM benchmark_is_a AS is_a JOIN below ON is_a.parent = below.code
    )
    SELECT r.body FROM resource AS r WHERE r.rid IN (
        SELECT DISTINCT t.rid
        FROM below
        JOIN token_value AS v
            ON v.type = 'ImagingStudy' AND v.param = 'bodysite' AND v.code = below.code
        JOIN token AS t ON t.value_id = v.value_id
        ORDER BY t.rid LIMIT 21
    ) ORDER BY r.rid
    """
)


def main() -> None:
    """Fill the databases where they are not, and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("run/benchmark-search"))
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--postgresql", help="URL of an empty database, or of one filled before")
    options = parser.parse_args()
    graph = load_terminology().graph
    options.folder.mkdir(parents=True, exist_ok=True)
    stores = ("sqlite", "postgresql") if options.store == "both" else (options.store,)
    for name in stores:
        store = SqlStore(_address(name, options))
        try:
            _fill(store, graph, options.studies)
            _measure(name, store, graph, options.studies, options.requests)
        finally:
            store.close()


def _address(name: str, options: argparse.Namespace) -> str:
    if name == "sqlite":
        return f"sqlite:///{options.folder}/{options.studies}.sqlite"
    if options.postgresql:
        return str(options.postgresql)
    from pgserver.postgres_server import get_server

    server = get_server(options.folder / "postgresql", cleanup_mode="stop")
    database = f"studies_{options.studies}"
    known = server.psql("SELECT datname FROM pg_database")
    if database not in known:
        server.psql(f"CREATE DATABASE {database}")
    return str(server.get_uri(database))


# -- filling ------------------------------------------------------------------------------------


def _fill(store: SqlStore, graph: BodyStructureGraph, studies: int) -> None:
    with store.engine.connect() as connection:
        held = connection.scalar(sa.select(sa.func.count()).select_from(resource))
    if held == studies:
        return
    if held:
        sys.exit(f"The database holds {held} resources, not {studies}: name another folder.")
    templates = list(_templates(graph))
    choose = random.Random(1)
    # A few sites are in most studies, most sites in few.
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(len(templates))))
    keys = itertools.count(1)
    shared: dict[tuple[str, str, str], int] = {}
    started = time.perf_counter()
    for start in range(0, studies, _BATCH):
        rows: dict[sa.Table, list[dict[str, Any]]] = {
            one: [] for one in (resource, value, token, date, text)
        }
        for number in range(start, min(start + _BATCH, studies)):
            (template,) = choose.choices(templates, cum_weights=weights)
            _add(rows, template, number, keys, shared)
        _write(store, rows)
        _progress(start + _BATCH, studies, started)
    with store.engine.begin() as connection:
        _IS_A.create(connection)
        edges = [
            {"parent": parent, "child": code}
            for code in graph.codes()
            for parent in graph.parents(code)
        ]
        connection.execute(sa.insert(_IS_A), edges)
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as connection:
            settled = connection.execution_options(isolation_level="AUTOCOMMIT")
            settled.execute(sa.text("VACUUM (ANALYZE) token"))
            # Rows were written with their keys; what comes later goes on behind them.
            settled.execute(sa.text(f"SELECT setval('resource_rid_seq', {studies + 1})"))
            last = next(keys)
            settled.execute(sa.text(f"SELECT setval('token_value_value_id_seq', {last})"))


def _templates(graph: BodyStructureGraph) -> Iterator[Resource]:
    """Yield one study for each of many sites, in an order that mixes the body."""
    codes = sorted(graph.codes())
    random.Random(2).shuffle(codes)
    for place, code in enumerate(codes[:400]):
        modality = {
            "system": "http://dicom.nema.org/resources/ontology/DCM",
            "code": _MODALITIES[place % len(_MODALITIES)],
        }
        content = {
            "resourceType": "ImagingStudy",
            "id": "?",
            "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:?"}],
            "status": "available",
            "modality": [modality],
            "subject": {"type": "Patient", "identifier": {"value": f"patient {place % 97}"}},
            "started": f"20{10 + place % 15}-0{1 + place % 9}-11",
            "numberOfSeries": 1,
            "numberOfInstances": 1,
            "series": [
                {
                    "uid": "?.1",
                    "modality": modality,
                    "bodySite": {"system": SNOMED, "code": code},
                    "instance": [{"uid": "?.2", "sopClass": {"code": "urn:oid:1.2"}}],
                }
            ],
        }
        made = indexed("ImagingStudy", content, graph=graph)
        yield replace(made, content={"body": json.dumps(content)})


def _add(
    rows: dict[sa.Table, list[dict[str, Any]]],
    template: Resource,
    number: int,
    keys: Iterator[int],
    shared: dict[tuple[str, str, str], int],
) -> None:
    rid, name = number + 1, f"1.2.826.{number}"
    body = str(template.content["body"]).replace("?", name)
    rows[resource].append(
        {
            "rid": rid,
            "type": template.type,
            "id": name,
            "study_id": None,
            "version_id": 1,
            "last_updated": 1_700_000_000_000_000 + number * 1000,
            "deleted": False,
            "digest": "",
            "body": body,
        }
    )
    for one in template.tokens:
        code = one.code.replace("?", name)
        key = None if one.param in _UNIQUE else shared.get((one.param, one.system, code))
        if key is None:
            key = next(keys)
            if one.param not in _UNIQUE:
                shared[one.param, one.system, code] = key
            rows[value].append(
                {
                    "value_id": key,
                    "type": template.type,
                    "param": one.param,
                    "code": code,
                    "system": one.system,
                }
            )
        rows[token].append({"value_id": key, "rid": rid})
    for when in template.dates:
        rows[date].append({"rid": rid, "param": when.param, "low": when.low, "high": when.high})
    for said in template.texts:
        words = {"folded": said.text.lower(), "exact": said.text}
        rows[text].append({"rid": rid, "param": said.param, **words})


def _write(store: SqlStore, rows: dict[sa.Table, list[dict[str, Any]]]) -> None:
    with store.engine.begin() as connection:
        for table, found in rows.items():
            if not found:
                continue
            if store.engine.dialect.name == "sqlite":
                connection.execute(sa.insert(table), found)
                continue
            names = list(found[0])
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101
            with driver.cursor() as cursor:
                sql = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
                with cursor.copy(sql) as copy:
                    for row in found:
                        copy.write_row([row[name] for name in names])


def _progress(done: int, studies: int, started: float) -> None:
    share = min(1.0, done / studies)
    seconds = time.perf_counter() - started
    bar = "#" * int(share * 40)
    left = seconds / share - seconds
    print(f"\r{bar:<40} {share:4.0%} {left:5.0f} s left", end="", file=sys.stderr, flush=True)
    if share == 1.0:
        print(file=sys.stderr)


# -- measuring ----------------------------------------------------------------------------------


def _measure(
    name: str, store: SqlStore, graph: BodyStructureGraph, studies: int, requests: int
) -> None:
    searcher = Searcher(store, graph)
    in_use = store.codes_in_use("ImagingStudy", "bodysite", SNOMED)
    with store.engine.connect() as connection:
        counted = connection.execute(
            sa.select(token.c.value_id, sa.func.count().label("found"))
            .where(token.c.value_id.in_(in_use.values()))
            .group_by(token.c.value_id)
            .order_by("found")
        ).all()
    by_key = {key: code for code, key in in_use.items()}
    narrow = [by_key[row.value_id] for row in counted[:2]]
    middle = by_key[counted[len(counted) // 2].value_id]
    for code in (*_BROAD, middle, *narrow):
        asked = (("bodysite:below", f"{SNOMED}|{code}"),)
        page = _asking(searcher, asked)
        total = _asking(searcher, (*asked, ("_total", "accurate")))
        climb = _climbing(store, code)
        found = json.loads(total())["total"]
        times = _turns((page, total, climb), requests)
        line = {
            "store": name,
            "studies": studies,
            "below": code,
            "display": graph.lookup(code).display,
            "matches": found,
            "page": _quantiles(times[0]),
            "total": _quantiles(times[1]),
            "recursive": _quantiles(times[2]),
            "ratio": round(statistics.median(times[2]) / statistics.median(times[0]), 1),
        }
        print(json.dumps(line), flush=True)


def _asking(searcher: Searcher, parameters: tuple[tuple[str, str], ...]) -> Callable[[], str]:
    request = SearchRequest("ImagingStudy", parameters, "http://localhost/r4")
    return lambda: searcher.search(request)


def _climbing(store: SqlStore, code: str) -> Callable[[], str]:
    def climb() -> str:
        with store.engine.connect() as connection:
            bodies = connection.scalars(_CLIMB, {"code": code}).all()
        return "".join(bodies)

    return climb


def _turns(ways: Sequence[Callable[[], str]], requests: int) -> list[list[float]]:
    """Return the seconds that each way took, all asked in turn; slow ones less often."""
    times: list[list[float]] = [[] for _ in ways]
    spent = [0.0] * len(ways)
    for turn in range(requests):
        for place, way in enumerate(ways):
            if turn >= 5 and spent[place] > 20:
                continue
            started = time.perf_counter()
            way()
            took = time.perf_counter() - started
            times[place].append(took)
            spent[place] += took
    return times


def _quantiles(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return {
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p95_ms": round(cuts[-1] * 1000, 2),
    }


if __name__ == "__main__":
    main()
