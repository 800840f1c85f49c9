"""`bodysite mappings export`: the crosswalk tables for programs that read no SSSOM."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from terminology.console import misuse
from terminology.files import written_whole

if TYPE_CHECKING:
    from terminology.crosswalk import Crosswalk

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
)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["conceptmap", "csv"]),
    default="conceptmap",
    show_default=True,
    help="conceptmap: a FHIR R4 ConceptMap a line; csv: a row a mapping.",
)
@click.option("--table", metavar="NAME", help="Only this table, such as irma-anatomy-2008.")
@click.option("--out", type=click.Path(path_type=Path), help="Write here instead of stdout.")
def export(form: str, table: str | None, out: Path | None) -> None:
    """Export the crosswalk tables as FHIR ConceptMap resources or as one CSV."""
    from terminology.crosswalk import Crosswalk

    crosswalk = Crosswalk.load()
    names = [crosswalk.mapping_set(system).name for system in crosswalk.systems]
    if table is not None and table not in names:
        misuse(f"--table: '{table}' is no crosswalk; expected one of {', '.join(sorted(names))}.")
    text = _csv(crosswalk, table) if form == "csv" else _concept_maps(crosswalk, table)
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


def _concept_maps(crosswalk: Crosswalk, table: str | None) -> str:
    from api.concept_maps import concept_maps

    found = concept_maps(crosswalk)
    lines = [json.dumps(found[name], ensure_ascii=False) for name in found if table in (None, name)]
    return "\n".join(lines) + "\n"


def _csv(crosswalk: Crosswalk, table: str | None) -> str:
    from terminology import sssom

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for system in crosswalk.systems:
        mapping_set = crosswalk.mapping_set(system)
        if table not in (None, mapping_set.name):
            continue
        for row in mapping_set.mappings:
            if row.negated:
                continue
            writer.writerow(
                (
                    mapping_set.name,
                    system,
                    sssom.subject_code(row),
                    row.subject_label,
                    row.predicate_id,
                    "" if row.no_match else sssom.object_code(row),
                    row.object_label,
                    row.object_laterality,
                    row.confidence,
                    row.comment,
                )
            )
    return stream.getvalue()
