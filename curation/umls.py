"""Make the derived table of CUIs.

Run from the root of a clone as ``python -m curation.umls --reference DIR [--write]``. It counts
what became of every pair of CUI and SNOMED CT code that the reference tables state; the rules stand
in `curation.umls_judge`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from curation.command import CuratorCommand, folder_option, reference_option, today, write_option
from curation.computed import ComputedTable, bring_up, sssom_table
from curation.umls_evidence import Locations, read_candidates
from curation.umls_judge import Judge, Judgement
from curation.umls_uberon import Uberon
from terminology import sssom
from terminology.graph import BodyStructureGraph

CURATED_TABLE: Final = "umls-cui.sssom.tsv"
DERIVED_TABLE: Final = "umls-derived.sssom.tsv"

BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/mappings/umls-derived
mapping_set_version: "{date}"
mapping_set_title: UMLS concept unique identifiers to SNOMED CT body structures, by rule
mapping_set_description: >-
  CUIs of body structures that the curated table leaves open, judged by rule from the pairs that
  open sources state: DICOM PS3.16, PixelMed, the RadLex anatomic locations and Uberon (release
  2026-04-01 and subset of 2022-04-06, CC BY 3.0). Made by python -m curation.umls, whose modules
  say the rules; edit the curated table, not this one. Labels are those of the open sources, never
  of the UMLS. With broadMatch the object is broader.
license: https://creativecommons.org/licenses/by/3.0/
mapping_date: "{date}"
curie_map:
  UMLS: https://uts.nlm.nih.gov/uts/umls/concept/
  bodysite: https://w3id.org/bodysite/
  nlm: http://www.nlm.nih.gov/research/
  snomed: http://snomed.info/
  snomedct: http://snomed.info/id/
  xsd: http://www.w3.org/2001/XMLSchema#
subject_source: http://www.nlm.nih.gov/research/umls
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: bodysite:object_laterality
    type_hint: xsd:string
"""


def derive(reference: Path, folder: Path) -> Judgement:
    """Return the judgement of the candidates in `reference` over the tables in `folder`.

    Raises
    ------
    TableError
        A table of either folder is missing or has bad rows.
    """
    judge = Judge(
        BodyStructureGraph.load(folder),
        Uberon.read(reference),
        Locations.read(reference),
        sssom.read(folder / CURATED_TABLE),
    )
    return judge.judge(read_candidates(reference))


def table(judgement: Judgement) -> ComputedTable:
    """Return the derived table of what holds."""
    return sssom_table(DERIVED_TABLE, BLOCK, judgement.rows)


@click.command(cls=CuratorCommand)
@reference_option
@folder_option
@write_option
def main(reference: Path, folder: Path, write: bool) -> None:
    """Judge the open pairs of CUI and SNOMED CT code, and count what became of them."""
    judgement = derive(reference, folder)
    for outcome, count in judgement.counts().items():
        click.echo(f"{count:6d}  {outcome}")
    click.echo(f"{len(judgement.outcomes):6d}  pairs")
    bring_up([table(judgement)], folder, today(), write=write)


if __name__ == "__main__":
    main()
