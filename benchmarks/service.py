"""Speed of the header reader, of `$annotate` and of `bodysite:below` beside networkx.

Usage: python benchmarks/service.py [--headers 10000] [--studies 100000] [--requests 400]
           [--images 100] [--side 2000] [--model FILE]

With a model (the one that is shipped, or --model), `$annotate` is measured with pixels too: drawn
images as uncompressed DICOM of 12 bits and as PNG, with and without joining concurrent requests.
Prints one JSON object a line. Ratios compare two ways of doing the same work in one process, asked
in turn.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import networkx as nx
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from generate import as_file, headers

from api.phi import PhiPolicy
from api.records import Resource, Token
from api.resources import ResourceBuilder
from api.search import Searcher, SearchRequest
from api.store import SqlStore
from classifier.fusion import fuse
from terminology.concept import SNOMED
from terminology.instance import instance_of
from terminology.library import Terminology

_TEMPLATES = 500
_BATCH = 2000
_ROUNDS = 7
_IMAGES = 4
# Lower limb, knee, chest, everything.
_SITES = ("61685007", "72696002", "816094009", "123037004")


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--headers", type=int, default=10_000)
    options.add_argument("--studies", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=400)
    options.add_argument("--images", type=int, default=100)
    options.add_argument("--side", type=int, default=2000)
    options.add_argument("--model", type=Path)
    chosen = options.parse_args()
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
    )
    terminology = Terminology.load()
    read_headers(terminology, chosen.headers)
    with tempfile.TemporaryDirectory() as folder:
        annotate(Path(folder), chosen.requests)
        annotate_pixels(Path(folder), chosen.images, chosen.side, chosen.model)
        search(Path(folder), terminology, chosen.studies)


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def read_headers(terminology: Terminology, count: int) -> None:
    """Measure headers a second: first sight of each header, and the same headers again."""
    datasets = list(headers(count))
    cold = timed(lambda: [terminology.header.read(dataset) for dataset in datasets])
    warm = timed(lambda: [terminology.header.read(dataset) for dataset in datasets])
    known = sum(bool(terminology.header.read(dataset).sites) for dataset in datasets)
    show(
        {
            "benchmark": "header reader",
            "headers": count,
            "answered": known,
            "headers_per_second": round(count / cold),
            "headers_per_second_seen_before": round(count / warm),
        }
    )


def annotate(folder: Path, count: int) -> None:
    """Measure `$annotate` requests a second over HTTP, one client and eight; each is stored."""
    files = [as_file(dataset) for dataset in headers(3 * count, seed=2)]
    server = served(folder / "annotate.sqlite", {"BODYSITE_MODEL": "none"})
    with server as address, httpx.Client(base_url=address) as client:
        url = "/r4/ImagingStudy/$annotate"

        def post(body: bytes) -> None:
            answer = client.post(url, content=body, headers={"content-type": "application/dicom"})
            answer.raise_for_status()

        for body in files[:20]:
            post(body)
        one = timed(lambda: [post(body) for body in files[count : 2 * count]])
        with ThreadPoolExecutor(8) as pool:
            eight = timed(lambda: list(pool.map(post, files[2 * count :])))
    show(
        {
            "benchmark": "$annotate",
            "requests": count,
            "requests_per_second_1_client": round(count / one, 1),
            "requests_per_second_8_clients": round(count / eight, 1),
        }
    )


def annotate_pixels(folder: Path, count: int, side: int, model: Path | None) -> None:
    """Measure `$annotate` with pixels: requests a second and the memory of the process."""
    if model is None:
        from classifier.serving.artefact import shipped_model

        model = shipped_model()
    if model is None or count < 1:
        show({"benchmark": "$annotate with pixels", "skipped": "no model; name one: --model FILE"})
        return
    bodies = {
        "application/dicom": [xray(side, number) for number in range(_IMAGES)],
        "image/png": [as_png(drawing(side, number)) for number in range(_IMAGES)],
    }
    for joined in (True, False):
        settings = {"BODYSITE_MODEL": str(model)}
        if not joined:
            settings |= {"BODYSITE_MODEL_BATCH": "1", "BODYSITE_MODEL_WAIT_MS": "0"}
        server = served(folder / f"pixels-{joined}.sqlite", settings)
        with server as address, httpx.Client(base_url=address, timeout=60) as client:
            figures: dict[str, object] = {
                "benchmark": "$annotate with pixels",
                "joins_requests": joined,
                "side": side,
                "megabytes_at_start": server.megabytes(),
            }
            for media, contents in bodies.items():
                # Unstored: what is measured is the way from the file to the answer.
                url = "/r4/ImagingStudy/$annotate?persist=false"

                def post(
                    number: int, url: str = url, media: str = media, of: list[bytes] = contents
                ) -> None:
                    body = of[number % len(of)]
                    client.post(
                        url, content=body, headers={"content-type": media}
                    ).raise_for_status()

                post(0)
                one = timed(lambda ask=post: [ask(number) for number in range(count)])
                with ThreadPoolExecutor(8) as pool:
                    eight = timed(lambda ask=post: list(pool.map(ask, range(count))))
                kind = media.partition("/")[2]
                figures[f"{kind}_milliseconds_1_client"] = round(1000 * one / count, 1)
                figures[f"{kind}_requests_per_second_1_client"] = round(count / one, 1)
                figures[f"{kind}_requests_per_second_8_clients"] = round(count / eight, 1)
            figures["megabytes_at_most"] = server.megabytes(peak=True)
            show(figures)


def drawing(side: int, number: int) -> NDArray[np.uint16]:
    """Return a smooth picture with noise, 12 bits: uint16 (side, side)."""
    rng = np.random.default_rng([5, number])
    across = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    noise = rng.normal(0, 40, (side, side))
    return np.clip(3600 * across + 200 + noise, 0, 4095).astype(np.uint16)


def xray(side: int, number: int) -> bytes:
    """Return a DICOM file of a drawing, uncompressed."""
    (dataset,) = headers(1, seed=100 + number)
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = drawing(side, number).tobytes()
    return as_file(dataset)


def as_png(grey: NDArray[np.uint16]) -> bytes:
    """Return the upper 8 of 12 bits as a PNG file."""
    out = io.BytesIO()
    Image.fromarray((grey >> 4).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def search(folder: Path, terminology: Terminology, count: int) -> None:
    """Measure `bodysite:below` over `count` studies beside networkx asked at query time."""
    store = SqlStore(f"sqlite:///{folder / 'search.sqlite'}")
    seconds = timed(lambda: fill(store, terminology, count))
    show({"benchmark": "fill", "studies": count, "seconds": round(seconds, 1)})
    searcher = Searcher(store, terminology.graph)
    engine = sa.create_engine(f"sqlite:///{folder / 'search.sqlite'}")
    for code in _SITES:
        show(compare(searcher, engine, terminology, code, count))
    engine.dispose()
    store.close()


def compare(
    searcher: Searcher, engine: sa.Engine, terminology: Terminology, code: str, count: int
) -> dict[str, object]:
    """Return the latencies of one search, done in three ways that must find the same."""
    ways: dict[str, Callable[[], int]] = {
        "ours": lambda: below(searcher, code),
        "first": lambda: below(searcher, code, total=False),
        "descendants": lambda: by_networkx(engine, terminology, code),
        "paths": lambda: by_paths(engine, terminology, code),
    }
    hits = ways["ours"]()
    if not hits == ways["descendants"]() == ways["paths"]():
        raise SystemExit(f"the ways disagree on {code}")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    return {
        "benchmark": "bodysite:below",
        "site": str(terminology.graph.lookup(code)),
        "studies": count,
        "hits": hits,
        "page_and_total_ms": milliseconds(seconds["ours"]),
        "page_without_total_ms": milliseconds(seconds["first"]),
        "networkx_descendants_at_query_time_ms": milliseconds(seconds["descendants"]),
        "networkx_path_per_study_ms": milliseconds(seconds["paths"]),
        "ratio_descendants": ratio(seconds["descendants"], seconds["ours"]),
        "ratio_paths": ratio(seconds["paths"], seconds["ours"]),
    }


def below(searcher: Searcher, code: str, *, total: bool = True) -> int:
    """Search as the service does: 20 studies, and the total unless it is not asked for."""
    parameters = [("bodysite:below", f"{SNOMED}|{code}"), ("_count", "20")]
    parameters.append(("_total", "accurate" if total else "none"))
    request = SearchRequest("ImagingStudy", tuple(parameters), "http://127.0.0.1/r4")
    return int(json.loads(searcher.search(request)).get("total", 0))


def by_networkx(engine: sa.Engine, terminology: Terminology, code: str) -> int:
    """Do the same with networkx: all descendants now, then the bodies of 20 studies and a count."""
    # Edges go from child to parent, so networkx calls our descendants ancestors.
    codes = nx.ancestors(terminology.graph.nx, code) | {code}
    codes |= {old for one in codes for old in terminology.graph.history(one).predecessors}
    marks = sa.text(_STUDIES).bindparams(sa.bindparam("codes", expanding=True))
    with engine.connect() as connection:
        rows = connection.execute(marks, {"codes": sorted(codes)}).scalars().all()
        _bodies(connection, rows[:20])
    return len(rows)


def by_paths(engine: sa.Engine, terminology: Terminology, code: str) -> int:
    """Do the same by asking networkx for a path from the code of every stored study."""
    graph = terminology.graph
    found: dict[int, None] = {}
    with engine.connect() as connection:
        for rid, site in connection.execute(sa.text(_CODES)):
            if rid not in found and nx.has_path(graph.nx, graph.current(site), code):
                found[rid] = None
        _bodies(connection, list(found)[:20])
    return len(found)


_STUDIES = """
    SELECT DISTINCT token.rid FROM token JOIN token_value USING (value_id)
    WHERE type = 'ImagingStudy' AND param = 'bodysite' AND code IN :codes ORDER BY token.rid
"""
_CODES = """
    SELECT token.rid, code FROM token JOIN token_value USING (value_id)
    WHERE type = 'ImagingStudy' AND param = 'bodysite' ORDER BY token.rid
"""


def _bodies(connection: sa.Connection, rids: list[int]) -> list[object]:
    statement = sa.text("SELECT body FROM resource WHERE rid IN :rids").bindparams(
        sa.bindparam("rids", expanding=True)
    )
    return [json.loads(body) for body in connection.execute(statement, {"rids": rids}).scalars()]


def fill(store: SqlStore, terminology: Terminology, count: int) -> None:
    """Store `count` studies: some are built in full, the others are copies under their own ids."""
    builder = ResourceBuilder(terminology.graph, PhiPolicy.KEEP)
    templates = []
    for dataset in headers(_TEMPLATES, seed=3):
        annotation = fuse(
            instance_of(dataset), terminology.header.read(dataset), None, terminology.graph
        )
        study = builder.study([annotation])[0]
        templates.append((str(dataset.StudyInstanceUID), study))
    chance = random.Random(4)
    for start in range(0, count, _BATCH):
        batch = []
        for number in range(start, min(start + _BATCH, count)):
            uid, study = chance.choice(templates)
            batch.append(_copy(study, uid, f"2.25.{number}", number))
        store.put(batch)


def _copy(study: Resource, uid: str, new_uid: str, number: int) -> Resource:
    content = json.loads(json.dumps(study.content).replace(uid, new_uid))
    tokens = tuple(
        Token(token.param, token.system, token.code.replace(uid, new_uid)) for token in study.tokens
    )
    return Resource(study.type, f"study-{number}", content, tokens)


class served:  # noqa: N801
    """A real `bodysite serve` on a free port, for the length of a with block."""

    def __init__(self, database: Path, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._database = database

    def __enter__(self) -> str:
        command = ["serve", "--port", str(self._port), "--database", f"sqlite:///{self._database}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from api.cli import main; main()", *command],
            stdout=subprocess.DEVNULL,
            env={**os.environ, **self._settings},
        )
        address = f"http://127.0.0.1:{self._port}"
        for _ in range(600):
            try:
                if httpx.get(f"{address}/health").is_success:
                    return address
            except httpx.TransportError:
                time.sleep(0.1)
        raise SystemExit("bodysite serve did not start")

    def megabytes(self, *, peak: bool = False) -> int:
        """Return the memory that the process has now, or has had at most."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("utf-8")
        name = "VmHWM:" if peak else "VmRSS:"
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) // 1024

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def milliseconds(seconds: list[float]) -> float:
    """Return the median in milliseconds."""
    return round(1000 * statistics.median(seconds), 2)


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios pair by pair."""
    pairs: Iterator[float] = (a / b for a, b in zip(slow, fast, strict=True))
    return round(statistics.median(pairs), 1)


if __name__ == "__main__":
    main()
