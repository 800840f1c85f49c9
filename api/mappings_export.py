"""`bodysite mappings export`: the tables for programs that read no SSSOM, or as SSSOM."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from terminology.console import mappings_option, misuse
from terminology.files import written_whole

if TYPE_CHECKING:
    from terminology.mapping import MappingSet

_COLUMNS: Final = (
    "table",
    "system",
    "code",
    "code_display",
    "predicate",
    "sct",
    "sct_display",
    "laterality",
    "confidence",
    "comment",
    "version",
    "category",
    "target_system",
    "field",
    "scope",
    "view",
    "author",
    "date",
)

_WORDS: Final = "header-words"


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["conceptmap", "csv", "sssom"]),
    default="conceptmap",
    show_default=True,
    help="conceptmap: a FHIR R4 ConceptMap a line; csv: a row a mapping; sssom: one --table.",
)
@click.option("--table", metavar="NAME", help="Only this table, such as irma-anatomy-2008.")
@mappings_option
@click.option("--out", type=click.Path(path_type=Path), help="Write here instead of stdout.")
def export(form: str, table: str | None, mappings: Path | None, out: Path | None) -> None:
    """Export the crosswalk tables as FHIR ConceptMap resources, as one CSV, or as SSSOM.

    With --mappings, a site's own tables instead: its decisions are the table header-words. The
    shipped one of that name is exported where --table names it. The CSV has no refused pairs.
    """
    tables = _tables(mappings, with_words=table == _WORDS)
    if not tables:
        misuse(f"--mappings: {mappings} holds no table. 'bodysite mappings add' makes the first.")
    if table is not None:
        shipped = () if mappings is not None else (_WORDS,)
        known = ", ".join(sorted({*shipped, *(one.name for one in tables)}))
        tables = [one for one in tables if one.name == table]
        if not tables:
            misuse(f"--table: '{table}' is no crosswalk; expected one of {known}.")
    if form == "sssom" and len(tables) != 1:
        misuse("--format sssom: one table a file; expected --table NAME. Name the table.")
    if form == "sssom":
        from terminology import sssom

        text = sssom.dumps(tables[0])
    else:
        text = _csv(tables) if form == "csv" else _concept_maps(tables)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with written_whole(out) as stream:
            stream.write(text)
    except OSError as error:
        misuse(
            f"--out: {out} cannot be written ({error.strerror}). Name a file in a folder of yours."
        )


def _tables(mappings: Path | None, *, with_words: bool) -> list[MappingSet]:
    from terminology import sssom
    from terminology.crosswalk import Crosswalk
    from terminology.local import LocalMappings
    from terminology.tables import mappings_folder

    if mappings is not None:
        local = LocalMappings.read(mappings)
        return [*local.tables, *([local.decisions] if local.decisions is not None else [])]
    if with_words:
        return [sssom.read(mappings_folder() / f"{_WORDS}.sssom.tsv")]
    return list(Crosswalk.load().tables)


def _concept_maps(tables: Iterable[MappingSet]) -> str:
    from api.concept_maps import concept_map
    from api.tx.r4 import resource_to_r4

    lines = [json.dumps(resource_to_r4(concept_map(one)), ensure_ascii=False) for one in tables]
    return "\n".join(lines) + "\n"


def _csv(tables: Iterable[MappingSet]) -> str:
    from terminology import sssom

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for table in tables:
        for row in table.mappings:
            if row.negated:
                continue
            writer.writerow(
                (
                    table.name,
                    table.metadata["subject_source"],
                    sssom.subject_code(row),
                    row.subject_label,
                    row.predicate_id,
                    "" if row.no_match else sssom.object_code(row),
                    row.object_label,
                    row.object_laterality,
                    row.confidence,
                    row.comment,
                    table.metadata.get("subject_source_version"),
                    row.category,
                    "" if row.no_match else sssom.object_system(row),
                    row.subject_field,
                    row.subject_scope,
                    row.object_view,
                    row.author_id,
                    row.mapping_date,
                )
            )
    return stream.getvalue()
