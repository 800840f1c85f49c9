"""Speed of reading header values and headers, beside what a user would write instead.

Usage: python benchmarks/words.py [--values 20000] [--files 5000]

Prints one JSON object a line. Ratios compare two ways of doing the same work in one process, asked
in turn; times are CPU seconds of this process, the best of three rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pydicom
from rapidfuzz import fuzz, process

sys.path.append(str(Path(__file__).resolve().parent))
from generate import as_file, headers

from api.annotator import Annotator, Failed
from api.inputs import from_paths
from api.limits import Limits
from api.output import as_json
from api.phi import PhiGuard, PhiPolicy
from terminology.columns import map_column
from terminology.evaluation import read_observed
from terminology.library import Terminology, load_terminology
from terminology.text import TextReader
from terminology.words import HeaderWords

_ROUNDS = 3
_SIDES = ("", " li", " re", " left", " right", " L", " R", "_LI")
_NOISE = ("", " AP", " lateral", " 2 views", " portable", " w/o contrast", " seitl.", " PA upright")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Elements of an ordinary acquisition that nothing here reads, as archives hold them.
_OTHERS = 100


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--values", type=int, default=20_000)
    options.add_argument("--files", type=int, default=5_000)
    chosen = options.parse_args()
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
    )
    terminology = load_terminology()
    values(terminology, chosen.values)
    misspelt(terminology, chosen.values // 4)
    column(terminology, 50 * chosen.values)
    with tempfile.TemporaryDirectory() as folder:
        files(terminology, Path(folder), chosen.files)


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def department_values(count: int, seed: int = 1) -> list[str]:
    """Return `count` distinct header values: parts with sides, views and noise."""
    chance = random.Random(seed)
    words = [value.value for value in read_observed()]
    found: dict[str, None] = {}
    while len(found) < count:
        word, side, noise = chance.choice(words), chance.choice(_SIDES), chance.choice(_NOISE)
        found[f"{word}{side}{noise} {chance.randrange(1000)}"] = None
    return list(found)


def misspellings(words: HeaderWords, count: int, seed: int = 2) -> list[str]:
    """Return `count` words with one letter wrong, none of which the vocabulary holds."""
    chance = random.Random(seed)
    known = sorted(word for word in words.fuzzy_words if len(word) >= 7)
    found: dict[str, None] = {}
    while len(found) < count:
        word = chance.choice(known)
        place = chance.randrange(1, len(word))
        wrong = word[:place] + chance.choice(_LETTERS) + word[place + 1 :]
        if (wrong,) not in words.sites and (wrong,) not in words.others:
            found[wrong] = None
    return list(found)


def values(terminology: Terminology, count: int) -> None:
    """Measure values a second that were never seen, beside rapidfuzz over the same phrases."""
    given = department_values(count)
    phrases = [" ".join(key) for key in terminology.text.words.sites]
    few = given[:200]

    def theirs(_: TextReader) -> object:
        return [
            process.extractOne(value.lower(), phrases, scorer=fuzz.WRatio, score_cutoff=80)
            for value in few
        ]

    reading(terminology, "values never seen", given, few, theirs)


def misspelt(terminology: Terminology, count: int) -> None:
    """Measure values a second when each needs the search by edit distance."""
    given = misspellings(terminology.text.words, count)
    known = list(terminology.text.words.fuzzy_words)
    few = given[:500]

    def theirs(_: TextReader) -> object:
        return [process.extractOne(value, known, score_cutoff=80) for value in few]

    reading(terminology, "values that are misspelt", given, few, theirs)


def reading(
    terminology: Terminology,
    name: str,
    given: list[str],
    few: list[str],
    theirs: Callable[[TextReader], object],
) -> None:
    """Measure and show our reading of `given` beside `theirs`, rapidfuzz over a `few` of them."""

    def ours(reader: TextReader) -> object:
        return [reader.read(value) for value in given]

    mine, other = measured(terminology, ours, theirs)
    reader = fresh(terminology)
    show(
        {
            "benchmark": name,
            "values": len(given),
            "answered": sum(bool(reader.read(value).sites) for value in given),
            "values_per_second": round(len(given) / mine),
            "rapidfuzz_extractOne_values_per_second": round(len(few) / other),
            "ratio": round((other / len(few)) / (mine / len(given)), 1),
        }
    )


def column(terminology: Terminology, count: int) -> None:
    """Measure rows a second of a pandas column, as archives have them: few values, many rows."""
    chance = random.Random(3)
    distinct = department_values(2_000)
    series = pd.Series(chance.choices(distinct, k=count))

    def ours(_: TextReader) -> object:
        return map_column(series, terminology)

    def theirs(_: TextReader) -> object:
        return series.map(lambda value: terminology.text.read(value))

    mine, other = measured(terminology, ours, theirs)
    show(
        {
            "benchmark": "pandas column",
            "rows": count,
            "distinct": len(distinct),
            "rows_per_second": round(count / mine),
            "series_map_rows_per_second": round(count / other),
            "ratio": round(other / mine, 1),
        }
    )


def files(terminology: Terminology, folder: Path, count: int) -> None:
    """Measure files a second from path to JSON line, beside a loop that only reads with pydicom."""
    for number, body in enumerate(archive(count)):
        (folder / f"{number}.dcm").write_bytes(body)
    limits = Limits()
    annotator = Annotator(terminology, PhiGuard(PhiPolicy.HASH, bytes(32)), limits)

    def ours(_: TextReader) -> object:
        results = list(annotator.annotate_all(from_paths([str(folder)], limits)))
        failed = sum(isinstance(result, Failed) for result in results)
        if failed or len(results) != count:
            raise SystemExit(f"{failed} of {count} files failed")
        return [json.dumps(as_json(result, terminology.graph)) for result in results]

    def theirs(_: TextReader) -> object:
        read = (pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir())
        return [(one.get("BodyPartExamined"), one.get("StudyDescription")) for one in read]

    mine, other = measured(terminology, ours, theirs)
    show(
        {
            "benchmark": "folder of DICOM files, header only",
            "files": count,
            "files_per_second": round(count / mine),
            "pydicom_read_loop_files_per_second": round(count / other),
            "ratio": round(other / mine, 2),
        }
    )


def archive(count: int) -> Iterator[bytes]:
    """Yield DICOM files with as many elements as real ones and 128 KiB of pixels."""
    for dataset in headers(count, seed=4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = dataset.private_block(0x0019, "BODYSITE BENCHMARK", create=True)
            for number in range(_OTHERS):
                block.add_new(number, "LO", f"value {number}")
            dataset.Rows = dataset.Columns = 256
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
            dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
            dataset.PhotometricInterpretation = "MONOCHROME2"
            dataset.PixelData = bytes(2 * 256 * 256)
            dataset["PixelData"].VR = "OW"
            yield as_file(dataset)


def fresh(terminology: Terminology) -> TextReader:
    """Return a reader that has seen nothing yet."""
    return TextReader(terminology.text.words, terminology.graph, like=terminology.text)


def measured(terminology: Terminology, *ways: Callable[[TextReader], object]) -> list[float]:
    """Return the best CPU seconds of each way, asked in turn, each with a fresh reader."""
    best = [float("inf")] * len(ways)
    for _ in range(_ROUNDS):
        for place, way in enumerate(ways):
            reader = fresh(terminology)
            reader.read("x")
            start = time.process_time()
            way(reader)
            best[place] = min(best[place], time.process_time() - start)
    return best


if __name__ == "__main__":
    main()
