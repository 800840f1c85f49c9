"""What `bodysite annotate` writes: json, csv, one Bundle, or resources line by line."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from api import review_list
from api.annotator import Annotator, Failed, Result
from terminology.annotation import (
    BodySiteAnnotation,
    ExaminedSite,
    HeaderStatement,
    Site,
)
from terminology.contract import answers_object, evidence_object, site_object, view_object
from terminology.errors import BodySiteError
from terminology.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.bundles import Entry
    from api.resources import ResourceBuilder
    from api.store import ResourceStore
    from terminology.graph import BodyStructureGraph

_NAMES: Final = {
    "json": "annotations.jsonl",
    "csv": "annotations.csv",
    "fhir": "bundle.json",
    "ndjson": "resources.ndjson",
}
# With a store, what a command that is killed leaves undone.
BLOCK_FILES: Final = 1000
_BASE: Final = "https://w3id.org/bodysite/fhir/r4"
_CSV_COLUMNS: Final = (
    "file", "sop_instance_uid", "modality", "code", "display", "laterality", "confidence",
    "source", "other_codes", "view_code", "view_display", "router_group", "relation", "error",
    "visible_codes", "image_code", "image_display", "image_confidence", "header_codes",
    "union_codes", "intersection_codes", "bayes_codes", "view_confidence", "reasons", "review",
)  # fmt: skip


def target_of(out: Path, form: str) -> Path:
    """Return the file that --out means: in a folder, one with the usual name of the format."""
    return out / _NAMES[form] if out.is_dir() else out


@contextlib.contextmanager
def open_output(out: Path | None, option: str = "--out") -> Iterator[IO[str]]:
    """Yield stdout, or the file `out` that takes its name only when it is complete."""
    if out is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(written_whole(out))
        except OSError as error:
            raise BodySiteError(
                option,
                f"'{out}' cannot be written ({error.strerror})",
                "a file in a folder that exists and is writable",
                "Make the folder, or choose another.",
            ) from error
        yield stream


def with_review(results: Iterable[Result], stream: IO[str]) -> Iterator[Result]:
    """Yield `results`, and write those that a person should look at to `stream`, a CSV."""
    stream.write(review_head())
    for result in results:
        stream.write("".join(review_lines(result)))
        yield result


def review_head() -> str:
    """Return the first line of a review list."""
    return csv_line(review_list.COLUMNS)


def review_lines(result: Result) -> tuple[str, ...]:
    """Return the line of a result in the review list, if it has one."""
    row = review_list.review_row(result)
    return () if row is None else (csv_line(map(row.get, review_list.COLUMNS)),)


def write_results(
    results: Iterable[Result],
    form: str,
    stream: IO[str],
    annotator: Annotator,
    store: ResourceStore | None,
) -> None:
    """Write `results` to `stream` in the given format, and into `store` when there is one.

    The store is filled block by block, and a result is written only when it is stored. json and
    csv are written as the files go by; fhir and ndjson when all are known, since a study is built
    from all of its instances.
    """
    if form in {"json", "csv"}:
        if store is not None:
            results = stored(results, storing(annotator, store))
        stream.write(head(form))
        for result in results:
            stream.write(line(result, form, annotator.terminology.graph))
        return
    from api.batch import Batch, answer, once, outcome_entries, unstored_entries

    if store is not None:
        studies: dict[str, list[Entry]] = {}
        store_block = storing(annotator, store)
        batch = Batch.of(stored(results, lambda block: studies.update(store_block(block))))
        entries = once(studies.values())
    else:
        batch = Batch.of(results)
        builder = _builder(annotator)
        entries = unstored_entries(batch, builder, _BASE)
    if form == "fhir":
        stream.write(answer(batch, entries) + "\n")
    else:
        for entry in (*entries, *outcome_entries(batch)):
            stream.write(entry.body + "\n")


def storing(
    annotator: Annotator, store: ResourceStore
) -> Callable[[list[Result]], dict[str, list[Entry]]]:
    """Return what stores a block of results, and says what each study of it has become."""
    from api.batch import Batch, stored_studies

    builder = _builder(annotator)
    return lambda block: stored_studies(Batch.of(block), builder, store, _BASE)


def _builder(annotator: Annotator) -> ResourceBuilder:
    from api.profiles import chosen
    from api.resources import ResourceBuilder

    return ResourceBuilder(
        annotator.terminology.graph,
        annotator.guard.policy,
        annotator.predictor,
        chosen(),
    )


def stored(
    results: Iterable[Result], store_block: Callable[[list[Result]], object]
) -> Iterator[Result]:
    """Yield `results`, each after the block that it belongs to was stored."""
    left = iter(results)
    while block := list(islice(left, BLOCK_FILES)):
        store_block(block)
        yield from block


def head(form: str) -> str:
    """Return what stands before the lines of json or csv."""
    return csv_line(_CSV_COLUMNS) if form == "csv" else ""


def line(result: Result, form: str, graph: BodyStructureGraph) -> str:
    """Return a result as a line of json or csv."""
    if form == "csv":
        return csv_line(map(_as_row(result).get, _CSV_COLUMNS))
    text = json.dumps(as_json(result, graph), ensure_ascii=False)
    # A byte of a file name that is not UTF-8 is a lone surrogate; JSON has an escape for it.
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def csv_line(cells: Iterable[object]) -> str:
    """Return a line of CSV."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue().encode("utf-8", "backslashreplace").decode()


def as_json(result: Result, graph: BodyStructureGraph) -> dict[str, Any]:
    """Return the object that `--format json` writes for one file; its keys are a contract."""
    if isinstance(result, Failed):
        return {
            "file": result.name,
            **_facts(BodySiteAnnotation(None), graph),
            "error": _error(result),
        }
    return {"file": result.name, **_facts(result.annotation, graph), "error": None}


def _facts(annotation: BodySiteAnnotation, graph: BodyStructureGraph) -> dict[str, Any]:
    instance = annotation.instance
    return {
        "sop_instance_uid": instance.sop_instance_uid if instance else None,
        "series_uid": instance.series_uid if instance else None,
        "study_uid": instance.study_uid if instance else None,
        "modality": annotation.modality,
        "examined": [_examined(one, graph) for one in annotation.examined],
        "visible": [site_object(one, graph) for one in annotation.visible],
        "view": view_object(annotation.view),
        "laterality": annotation.laterality,
        "router_group": annotation.router_group,
        "relation": annotation.relation,
        "header": [_statement(one, graph) for one in annotation.header],
        "image": [site_object(one, graph) for one in annotation.image],
        "evidence": [evidence_object(one) for one in annotation.evidence],
        "conflicts": list(annotation.conflicts),
        "flags": list(annotation.flags),
        "notes": list(annotation.notes),
        "answers": answers_object(annotation.answers, graph),
        "review": list(annotation.review),
        "view_confidence": annotation.view_confidence,
        "reasons": list(annotation.reasons),
    }


def _examined(examined: ExaminedSite, graph: BodyStructureGraph) -> dict[str, Any]:
    return {**site_object(examined.site, graph), "source": examined.source}


def _statement(statement: HeaderStatement, graph: BodyStructureGraph) -> dict[str, Any]:
    return {
        "keyword": statement.keyword,
        "tag": statement.tag,
        "value": statement.value,
        "sites": [site_object(one, graph) for one in statement.sites],
        "laterality": statement.laterality,
        "view": view_object(statement.view),
    }


def _error(failed: Failed) -> dict[str, str]:
    error = failed.error
    return {
        "type": type(error).__name__,
        "where": error.where,
        "what": error.what,
        "expected": error.expected,
        "remedy": error.remedy,
    }


def _as_row(result: Result) -> dict[str, Any]:
    if isinstance(result, Failed):
        return {"file": result.name, "error": str(result.error)}
    annotation = result.annotation
    row: dict[str, Any] = {
        "file": result.name,
        "sop_instance_uid": annotation.instance.sop_instance_uid if annotation.instance else None,
        "modality": annotation.modality,
        "laterality": annotation.laterality,
        "router_group": annotation.router_group,
        "relation": annotation.relation,
    }
    if annotation.view is not None:
        row["view_code"] = annotation.view.code
        row["view_display"] = annotation.view.display
    if annotation.examined:
        first, *others = annotation.examined
        row["code"] = first.site.code
        row["display"] = first.site.display
        row["laterality"] = first.site.laterality or annotation.laterality
        row["confidence"] = first.site.confidence
        row["source"] = first.source
        row["other_codes"] = _codes(one.site for one in others)
    row["visible_codes"] = _codes(annotation.visible)
    if annotation.image:
        best = annotation.image[0]
        row["image_code"] = best.code
        row["image_display"] = best.display
        row["image_confidence"] = best.confidence
    if annotation.answers is not None:
        row["header_codes"] = _codes(annotation.answers.header)
        row["union_codes"] = _codes(annotation.answers.union)
        row["intersection_codes"] = _codes(annotation.answers.intersection)
        row["bayes_codes"] = _codes(annotation.answers.bayes)
    row["view_confidence"] = annotation.view_confidence
    row["reasons"] = " ".join(annotation.reasons)
    row["review"] = " ".join(annotation.review)
    return row


def _codes(sites: Iterable[Site]) -> str:
    return " ".join(site.code for site in sites)
