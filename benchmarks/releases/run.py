"""Speed and size of the terminology at full International size, beside what was wanted of it.

Usage: python benchmarks/releases/run.py [--scale 1.0] [--json FILE] [--without http,others]

Generates a synthetic release (unless --release names one), builds its index, and asks it. networkx,
pronto and nxontology answer the same questions about the same is-a graph; the last two are looked
for in the Python that --others-python names and left out where they are missing. All runs on one
machine: the HTTP client shares the cores with the server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
from http_load import Load, Served, load
from measure import Figure, Report, median_of, percentile, run_process, timed
from questions import (
    Pairs,
    concept_with,
    half_positive_pairs,
    random_pairs,
    typed_texts,
    write_obo,
)

from terminology.ecl import evaluate
from terminology.release.index import ReleaseIndex

_HERE = Path(__file__).resolve().parent
_FINDING = "404684003"
_ANATOMY = "91723000"
_FINDING_SITE = "363698007"
_PRODUCT = "373873005"
_STRENGTH = "1142135004"
_SYSTEM = quote("http://snomed.info/sct", safe="")
_PARTS = ("memory", "subsumes", "sets", "search", "http", "others")
_CLI = [sys.executable, "-c", "from api.cli import main; main()"]


def main() -> None:
    """Run all parts that are not left out."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--release", type=Path, help="an RF2 release in place of a generated one")
    options.add_argument("--index", type=Path, help="an index that is built already")
    options.add_argument("--json", type=Path)
    options.add_argument("--without", default="", help=f"parts to leave out: {','.join(_PARTS)}")
    options.add_argument("--requests", type=int, default=4000)
    options.add_argument("--others-python", default=sys.executable)
    chosen = options.parse_args()
    left_out = set(filter(None, chosen.without.split(",")))
    if left_out - set(_PARTS):
        options.error(f"--without: expected some of {','.join(_PARTS)}")
    about: dict[str, object] = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "scale": chosen.scale,
    }
    print(json.dumps(about))
    report = Report()
    with tempfile.TemporaryDirectory(prefix="bodysite-bench-") as name:
        folder = Path(name)
        path = chosen.index or _build(report, folder, chosen.release, chosen.scale)
        index = ReleaseIndex.open(path)
        chance = np.random.default_rng(1)
        if "memory" not in left_out:
            _open(report, path)
        if "subsumes" not in left_out:
            _subsumes(report, index, chance)
        if "sets" not in left_out:
            _sets(report, path)
        if "search" not in left_out:
            _search(report, index, chance)
        if "http" not in left_out:
            _http(report, path, index, chance, chosen.requests)
        if "others" not in left_out:
            for library in ("networkx", "nxontology", "pronto"):
                _others(report, folder, path, library, chosen.others_python)
    if chosen.json:
        report.save(chosen.json, about)
    missed = report.missed()
    print(f"{len(missed)} of {sum(one.wanted is not None for one in report.figures)} missed")
    for figure in missed:
        print(f"  {figure.name}: {figure.measured:.3g} {figure.unit}, wanted {figure.wanted:g}")


def _build(report: Report, folder: Path, release: Path | None, scale: float) -> Path:
    if release is None:
        generate = [str(_HERE / "generate.py"), str(folder / "rf2"), "--scale", str(scale)]
        run = run_process([sys.executable, *generate], limit=1200)
        report.add(Figure("generate the release", run.seconds, "s", note=f"CPU {run.cpu:.0f} s"))
        release = folder / "rf2"
    path = folder / "release.index"
    run = run_process([*_CLI, "terminology", "build", str(release), "-o", str(path)], limit=1800)
    report.add(Figure("build the index", run.seconds, "s", 90, note=f"CPU {run.cpu:.0f} s"))
    report.add(Figure("build: largest memory", run.peak, "MiB", 3072))
    report.add(Figure("index file", path.stat().st_size / 2**20, "MiB", 600))
    return path


_OPENING = """
import json, sys, time
from pathlib import Path
from measure import private_mib
from terminology.release.index import ReleaseIndex
before = private_mib()
start = time.perf_counter()
index = ReleaseIndex.open(Path(sys.argv[1]))
opened = time.perf_counter() - start
index.subsumes("404684003", "64572001")
own = private_mib() - before
index.display(index.root), index.rooted, index.attributes(index.root)
index.search.search("frac", limit=10)
used = private_mib() - before
print(json.dumps([opened, own, used, private_mib()]))
"""


def _open(report: Report, path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{_HERE}{os.pathsep}{_HERE.parent.parent}"}
    rounds = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", _OPENING, str(path)],
            check=True,
            capture_output=True,
            env=environment,
        )
        rounds.append(json.loads(done.stdout))
    opened, own, used, whole = (sorted(one)[2] for one in zip(*rounds, strict=True))
    report.add(Figure("open", opened, "s", 0.3))
    report.add(Figure("private memory after open", own, "MiB", 50, note="more than before"))
    report.add(
        Figure(
            "private memory after first questions",
            used,
            "MiB",
            note=f"set, display, search; the whole process has {whole:.0f} MiB",
        )
    )


def _subsumes(report: Report, index: ReleaseIndex, chance: np.random.Generator) -> None:
    count = 100_000
    for name, make in (("random", random_pairs), ("half positive", half_positive_pairs)):
        pairs = make(index, chance, 4_000_000)
        report.add(
            Figure(
                f"subsumes, {name} pairs, all different",
                _microseconds(index, pairs, count, 1),
                "µs",
                1,
                note="codes as text",
            )
        )
        report.add(
            Figure(
                f"subsumes, {name} pairs, 2,000 in turn",
                _microseconds(index, pairs, 2000, 50),
                "µs",
                1,
            )
        )
        index.subsumes_many(pairs.above, pairs.below)
        seconds = median_of(partial(index.subsumes_many, pairs.above, pairs.below), 5)
        report.add(
            Figure(f"subsumes_many, {name} pairs", 4 / seconds, "M/s", 20, more_is_better=True)
        )


def _microseconds(index: ReleaseIndex, pairs: Pairs, count: int, rounds: int) -> float:
    """Return the time a call, the loop's share included.

    Of batches of 2,000 calls it is the tenth percentile: as with timeit, the slower ones were
    disturbed by something else.
    """
    codes = pairs.codes(index, count) * rounds
    subsumes = index.subsumes
    timings = []
    for start in range(0, len(codes), 2000):
        batch = codes[start : start + 2000]
        begun = time.perf_counter()
        for above, below in batch:
            subsumes(above, below)
        timings.append((time.perf_counter() - begun) / len(batch))
    return 1e6 * percentile(timings, 0.1)


def _sets(report: Report, path: Path) -> None:
    index = ReleaseIndex.open(path)
    large = concept_with(index, 40_000)
    ordinal = index.ordinal(large)
    count = len(index.descendants(ordinal))
    whole = f"<< {large}"
    evaluate(whole, index)

    def fresh() -> float:
        other = ReleaseIndex.open(path)
        other.ordinal(large)
        return timed(lambda: evaluate(whole, other))

    report.add(
        Figure(
            "<< of 40,000 descendants, first time",
            1000 * percentile([fresh() for _ in range(7)], 0.5),
            "ms",
            2,
            note=f"{count:,} descendants; a bitmap, index just opened",
        )
    )
    report.add(
        Figure(
            "<< of 40,000 descendants, again",
            1000 * median_of(lambda: evaluate(whole, index)),
            "ms",
            2,
        )
    )
    found = evaluate(whole, index)
    report.add(
        Figure("its codes as text, sorted", 1000 * median_of(lambda: index.codes(found)), "ms")
    )
    site = concept_with(index, 1000, below=_ANATOMY)
    refined = f"< {_FINDING} : {_FINDING_SITE} = << {site}"
    grouped = f"< {_FINDING} : {{ {_FINDING_SITE} = << {site}, 116676008 = * }}"
    counted = f"< {_FINDING} : [2..*] {_FINDING_SITE} = << {_ANATOMY}"
    for name, constraint in (
        ("refinement over 100,000", refined),
        ("refinement with a group", grouped),
        ("refinement with a cardinality", counted),
        ("refinement with a number", f"< {_PRODUCT} : {_STRENGTH} >= #10"),
    ):
        evaluate(constraint, ReleaseIndex.open(path))
        seconds = []
        for _ in range(7):
            other = ReleaseIndex.open(path)
            seconds.append(timed(partial(evaluate, constraint, other)))
        hits = len(evaluate(constraint, index))
        focus = len(evaluate(constraint.partition(" :")[0], index))
        report.add(
            Figure(
                f"{name}, first time",
                1000 * percentile(seconds, 0.5),
                "ms",
                50,
                note=f"{focus:,} concepts, {hits:,} hits",
            )
        )


def _search(report: Report, index: ReleaseIndex, chance: np.random.Generator) -> None:
    texts = typed_texts(index, chance, 1000)
    for text in texts[:20]:
        index.search.search(text, limit=20)
    seconds = [timed(partial(index.search.search, text, limit=20)) for text in texts]
    slowest = texts[int(np.argmax(seconds))]
    report.add(Figure("text search p50", 1000 * percentile(seconds, 0.5), "ms"))
    report.add(
        Figure(
            "text search p95",
            1000 * percentile(seconds, 0.95),
            "ms",
            10,
            note=f"slowest {1000 * max(seconds):.1f} ms: {slowest!r}",
        )
    )
    within = evaluate(f"<< {_FINDING}", index)
    seconds = [timed(partial(index.search.search, text, within=within, limit=20)) for text in texts]
    report.add(
        Figure("text search in 100,000 concepts p95", 1000 * percentile(seconds, 0.95), "ms", 10)
    )


def _http(
    report: Report, path: Path, index: ReleaseIndex, chance: np.random.Generator, count: int
) -> None:
    pairs = half_positive_pairs(index, chance, count).codes(index, count)
    subsumes = [
        f"/r4/CodeSystem/$subsumes?system={_SYSTEM}&codeA={above}&codeB={below}"
        for above, below in pairs
    ]
    lookups = [f"/r4/CodeSystem/$lookup?system={_SYSTEM}&code={below}" for _, below in pairs]
    ecl = quote(f"http://snomed.info/sct?fhir_vs=ecl/<< {_FINDING}", safe="")
    expands = [
        f"/r4/ValueSet/$expand?url={ecl}&count=20&filter={quote(text)}"
        for text in typed_texts(index, chance, count // 4)
    ]
    with Served(path, 2) as port:
        for paths in (subsumes, lookups, expands):
            load(port, paths[-200:], 8)
        for name, paths in (("$subsumes", subsumes), ("$lookup", lookups)):
            single = _checked(load(port, paths[: count // 4], 1))
            report.add(Figure(f"HTTP {name} p50", 1000 * percentile(single.seconds, 0.5), "ms", 2))
            several = _checked(load(port, paths, 8))
            report.add(
                Figure(
                    f"HTTP {name}, 2 workers",
                    several.per_second,
                    "/s",
                    1500,
                    more_is_better=True,
                    note="8 connections, client on the same cores",
                )
            )
        single = _checked(load(port, expands, 1))
        report.add(Figure("HTTP $expand?filter p50", 1000 * percentile(single.seconds, 0.5), "ms"))
        report.add(
            Figure("HTTP $expand?filter p95", 1000 * percentile(single.seconds, 0.95), "ms", 20)
        )


def _checked(found: Load) -> Load:
    if found.failed:
        raise SystemExit(f"{found.failed} requests failed, such as {found.first_failure}")
    return found


def _others(report: Report, folder: Path, path: Path, library: str, python: str) -> None:
    """Ask a library and the index the same, and print how many times faster the index is."""
    python = sys.executable if library == "networkx" else python
    known = subprocess.run([python, "-c", f"import {library}"], capture_output=True)
    if known.returncode:
        print(f"{library} is not installed in {python}: left out")
        return
    index = ReleaseIndex.open(path)
    graph = folder / "graph.obo"
    concepts = len(index.active)
    if not graph.exists():
        write_obo(index, str(graph))
    ancestor = concept_with(index, min(40_000, concepts // 9))
    pairs = half_positive_pairs(index, np.random.default_rng(3), 2000)
    codes = pairs.codes(index, 2000)
    expected = [index.subsumes(above, below) for above, below in codes]
    questions = folder / "questions.json"
    asked = {"ancestor": ancestor, "pairs": codes, "expected": expected, "limit": 60}
    questions.write_text(json.dumps(asked), "utf-8")
    command = [python, str(_HERE / "alternatives.py"), library, str(graph), str(questions)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=900)
    except subprocess.TimeoutExpired:
        print(f"{library} did not finish in 900 s with {concepts:,} concepts")
        return
    theirs = json.loads(done.stdout)
    ordinal = index.ordinal(ancestor)
    if theirs["descendants"] != len(index.descendants(ordinal)):
        raise SystemExit(f"{library} finds {theirs['descendants']} descendants of {ancestor}")
    whole = f"< {ancestor}"
    ours = {
        "load_seconds": timed(lambda: ReleaseIndex.open(path)),
        "descendants_seconds": median_of(lambda: evaluate(whole, index)),
        "codes_seconds": median_of(lambda: index.codes(evaluate(whole, index))),
        "subsumes_seconds": timed(lambda: [index.subsumes(above, below) for above, below in codes])
        / len(codes),
    }
    theirs["codes_seconds"] = theirs["descendants_seconds"]
    for name, said, unit, factor in (
        ("load_seconds", "load", "s", 1),
        ("descendants_seconds", "descendants, ours a bitmap", "ms", 1000),
        ("codes_seconds", "descendants, ours a list of text", "ms", 1000),
        ("subsumes_seconds", "subsumes", "µs", 1_000_000),
    ):
        report.add(
            Figure(
                f"{library} {said}",
                factor * theirs[name],
                unit,
                note=f"ours {factor * ours[name]:.3g} {unit}: {theirs[name] / ours[name]:,.0f}×",
            )
        )
    report.add(Figure(f"{library} memory", theirs["peak_mib"], "MiB"))


if __name__ == "__main__":
    main()
