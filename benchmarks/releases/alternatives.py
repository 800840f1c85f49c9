"""The same questions asked of networkx, pronto and nxontology, in a process of their own.

Usage: python alternatives.py LIBRARY GRAPH.obo QUESTIONS.json

Prints one JSON object: seconds to load, MiB, seconds for all descendants of one concept (median)
and for one subsumption test. The library must be importable by the Python that runs this.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ROUNDS = 5


def main() -> None:
    """Measure one library."""
    library, graph, questions = sys.argv[1:]
    asked = json.loads(Path(questions).read_text("utf-8"))
    start = time.perf_counter()
    descendants, subsumes = _LIBRARIES[library](Path(graph))
    loaded = time.perf_counter() - start
    timings = []
    count = 0
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        count = len(descendants(asked["ancestor"]))
        timings.append(time.perf_counter() - start)
    answers = []
    start = time.perf_counter()
    for above, below in asked["pairs"]:
        answers.append(subsumes(above, below))
        if time.perf_counter() - start > asked["limit"]:
            break
    spent = time.perf_counter() - start
    if answers != asked["expected"][: len(answers)]:
        raise SystemExit(f"{library} answers differently")
    print(
        json.dumps(
            {
                "load_seconds": loaded,
                "peak_mib": _peak_mib(),
                "descendants": count,
                "descendants_seconds": statistics.median(timings),
                "subsumes_seconds": spent / len(answers),
            }
        )
    )


def _peak_mib() -> float:
    # Not from getrusage: that counts the process that started this one.
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


Ask = tuple[Callable[[str], Any], Callable[[str, str], bool]]


def _edges(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (child, parent) of an OBO file."""
    own = ""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("id: "):
                own = line[8:-1]
            elif line.startswith("is_a: "):
                yield own, line[10:-1]


def _networkx(path: Path) -> Ask:
    import networkx as nx

    # From parent to child, so that the library's words are ours.
    graph = nx.DiGraph((parent, child) for child, parent in _edges(path))
    return (
        lambda code: nx.descendants(graph, code),
        lambda above, below: above != below and bool(nx.has_path(graph, above, below)),
    )


def _nxontology(path: Path) -> Ask:
    from nxontology import NXOntology

    ontology: Any = NXOntology()
    ontology.graph.add_edges_from((parent, child) for child, parent in _edges(path))
    ontology.freeze()
    # `node_info` keeps what it has answered: a new one is made, as for the first question. Its
    # closures hold the concept itself.
    return (
        lambda code: type(ontology.node_info(code))(ontology, code).descendants - {code},
        lambda above, below: above != below and above in ontology.node_info(below).ancestors,
    )


def _pronto(path: Path) -> Ask:
    import pronto

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ontology: Any = pronto.Ontology(str(path))
    return (
        lambda code: ontology[f"SCT:{code}"].subclasses(with_self=False).to_set(),
        lambda above, below: (
            above != below
            and ontology[f"SCT:{above}"]
            in ontology[f"SCT:{below}"].superclasses(with_self=False).to_set()
        ),
    )


_LIBRARIES: dict[str, Callable[[Path], Ask]] = {
    "networkx": _networkx,
    "nxontology": _nxontology,
    "pronto": _pronto,
}


if __name__ == "__main__":
    main()
