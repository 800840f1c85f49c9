"""Make the tables of anatomy codes: RadLex, FMA, Uberon, Entire concepts and SNOMED RT.

Run from the root of a clone as ``python -m curation.anatomy --reference DIR [--write]``. The rules
stand in `curation.radlex`, `curation.uberon`, `curation.fma` and `curation.snomed`; what they
share, in `curation.subset`. A row is dated only by its table, so that a diff shows what changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from curation import fma, radlex, snomed, uberon
from curation.command import CuratorCommand, folder_option, reference_option, today, write_option
from curation.computed import ComputedTable, bring_up, plain_table, sssom_table
from curation.subset import Subset
from terminology import sssom
from terminology.sources.dicom import SNOMED_ENTIRE_TABLE, SNOMED_RT_TABLE

CUI_TABLE: Final = "umls-cui.sssom.tsv"


def tables(reference: Path, folder: Path) -> tuple[ComputedTable, ...]:
    """Return the tables that `reference` and the curated tables in `folder` give.

    Raises
    ------
    TableError
        A table of either folder is missing or has bad rows.
    """
    subset = Subset(folder)
    locations = radlex.RadLex(radlex.read_locations(reference), subset)
    pairs = uberon.read_pairs(reference)
    cuis = uberon.exact_of_cuis(sssom.read(folder / CUI_TABLE))
    classes = uberon.Uberon(uberon.read_classes(reference), pairs, locations, cuis, subset)
    identifiers = fma.Fma(pairs, locations, classes, subset)
    return (
        sssom_table("radlex.sssom.tsv", radlex.BLOCK, list(locations.rows())),
        sssom_table("uberon.sssom.tsv", uberon.BLOCK, list(classes.rows())),
        sssom_table("fma.sssom.tsv", fma.BLOCK, list(identifiers.rows())),
        plain_table(
            SNOMED_ENTIRE_TABLE,
            snomed.ENTIRE_COLUMNS,
            snomed.entire_rows(reference, classes, subset),
        ),
        plain_table(SNOMED_RT_TABLE, snomed.RT_COLUMNS, snomed.rt_rows(reference, subset)),
    )


@click.command(cls=CuratorCommand)
@reference_option
@folder_option
@write_option
def main(reference: Path, folder: Path, write: bool) -> None:
    """Make the tables of anatomy codes, and say which differ from those that are there."""
    bring_up(tables(reference, folder), folder, today(), write=write)


if __name__ == "__main__":
    main()
