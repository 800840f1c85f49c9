"""Judge the open pairs of CUI and SNOMED CT code by rule.

Run as ``python -m terminology.sources.umls_derive --reference FOLDER``. It needs the folder of
reference tables (`cui_sct_candidates.csv`, `uberon_xrefs.csv`, `anatomic_locations.csv`;
mappings/README.md says where they come from) and the tables in `mappings/`, and makes
`umls-derived.sssom.tsv`. Every candidate pair gets one outcome, and the report counts them.
`umls_evidence`, `umls_uberon` and `umls_names` read and compare; the rules are here:

1. What `umls-cui.sssom.tsv` decides is decided, pair by pair and CUI by CUI.
2. The code has a right check digit and is, or has as its successor, a body structure of the
   embedded subset. A code beside it goes by its name to the subset, or by its container in the
   RadLex locations (broadMatch: the OBJECT is broader).
3. The names agree: what the source calls the code is what the subset calls it. The RadLex
   locations have shifted rows; a name that differs betrays them.
4. Names that other sources give the CUI may not mean a structure elsewhere: two concepts of which
   neither subsumes the other contradict. The one that more lineages state wins, else both go.
   DICOM, PixelMed and Annex L are one lineage; RadLex and Uberon are one each.
5. An Entire concept stands for its structure: by the Uberon class of the CUI, whose label the
   subset has (exactMatch), or whose is-a and part-of chain reaches one that it has (broadMatch).
   Of several CUIs of a class the first is the structure's, the others are Entire concepts
   (broadMatch). Classes of animals and embryos are left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from terminology import sssom
from terminology.concept import Laterality
from terminology.files import written_whole
from terminology.graph import BodyStructureGraph
from terminology.identifiers import cui_problem, sctid_problem
from terminology.mapping import BROAD, EXACT, MappingSet, SemanticMapping
from terminology.sources.umls_evidence import (
    RADLEX_LINEAGE,
    UBERON_LINEAGE,
    Candidate,
    Locations,
    read_candidates,
)
from terminology.sources.umls_names import Names, side_of
from terminology.sources.umls_uberon import KINDS, Uberon
from terminology.tables import mappings_folder

CURATED_TABLE: Final = "umls-cui.sssom.tsv"
DERIVED_TABLE: Final = "umls-derived.sssom.tsv"
TOOL: Final = "terminology.sources.umls_derive"

# What outcome a pair gets; the report is in this order.
KEPT_EXACT: Final = "kept: exact"
KEPT_BROAD: Final = "kept: broader"
KEPT_ENTIRE: Final = "kept: Entire concept, its structure exact"
KEPT_ENTIRE_BROAD: Final = "kept: Entire concept, a structure broader"
SUPPORTS: Final = "supports a kept pair of the CUI"
CURATED: Final = "decided by the curated table"
NOT_A_CODE: Final = "rejected: the CUI or the code is none"
NO_STRUCTURE: Final = "rejected: no body structure that the subset has or can place"
NAMES_DIFFER: Final = "rejected: the names differ"
CONTRADICTED: Final = "rejected: the sources contradict each other"
OUTVOTED: Final = "rejected: more lineages state another concept"
NO_CLASS: Final = "rejected: Entire concept without a class that names its structure"
ANIMAL: Final = "rejected: a structure of animals or embryos"
OUTCOMES: Final = (
    KEPT_EXACT,
    KEPT_BROAD,
    KEPT_ENTIRE,
    KEPT_ENTIRE_BROAD,
    SUPPORTS,
    CURATED,
    NOT_A_CODE,
    NO_STRUCTURE,
    NAMES_DIFFER,
    CONTRADICTED,
    OUTVOTED,
    NO_CLASS,
    ANIMAL,
)
# How sure a pair is by the number of lineages that state it; RadLex alone has shifted rows.
_BY_LINEAGES: Final = {1: 0.75, 2: 0.85, 3: 0.9}
_RADLEX_ALONE: Final = 0.65
_BY_LABEL: Final = 0.8
_BY_CHAIN: Final = 0.7
_BY_CONTAINER: Final = 0.65

# Names in which left and right tell apart what is no pair.
_NO_SIDE: Final = re.compile(
    r"atri|bundle|circumflex|col(?:ic|on)|coronary|descending|gastr|hepat|main|marginal|ventric"
)
_BACKGROUND: Final = "semapv:BackgroundKnowledgeBasedMatching"
_COMPOSITE: Final = "semapv:CompositeMatching"
_LEXICAL: Final = "semapv:LexicalMatching"
_CHAINING: Final = "semapv:MappingChaining"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The rows that hold, and for each candidate pair (CUI, code) what became of it."""

    rows: tuple[SemanticMapping, ...]
    outcomes: Mapping[tuple[str, str], str]

    def counts(self) -> dict[str, int]:
        """Return how many pairs have each outcome, in the order of `OUTCOMES`."""
        found = Counter(self.outcomes.values())
        return {outcome: found[outcome] for outcome in OUTCOMES}


@dataclass(frozen=True, slots=True)
class _Claim:
    """That a CUI is `code` (of the graph), by `lineages`; `label` is the sources' name."""

    code: str
    predicate: str
    label: str
    lineages: frozenset[str]
    justification: str
    comment: str
    pairs: tuple[str, ...]

    @property
    def confidence(self) -> float:
        if self.justification == _CHAINING:
            return _BY_CONTAINER if self.lineages == {RADLEX_LINEAGE} else _BY_CHAIN
        if self.justification == _LEXICAL:
            return _BY_LABEL
        return _RADLEX_ALONE if self.lineages == {RADLEX_LINEAGE} else _BY_LINEAGES[self._count]

    @property
    def _count(self) -> int:
        return len(self.lineages)


class Judge:
    """Applies the rules to one CUI after the other.

    Parameters
    ----------
    graph
        The embedded body structures.
    uberon, locations
        The classes and containers of the reference tables.
    curated
        The curated table, which decides before everything here.
    """

    def __init__(
        self,
        graph: BodyStructureGraph,
        uberon: Uberon,
        locations: Locations,
        curated: MappingSet,
    ) -> None:
        self._graph = graph
        self._names = Names(graph)
        self._uberon = uberon
        self._locations = locations
        self._curated = {sssom.subject_code(row) for row in curated.mappings}
        self._taken = {
            sssom.object_code(row)
            for row in curated.mappings
            if row.predicate_id == EXACT and not row.negated and not row.no_match
        }

    def judge(self, candidates: Iterable[Candidate]) -> Judgement:
        """Return what holds of `candidates`."""
        by_cui: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            by_cui[candidate.cui].append(candidate)
        outcomes: dict[tuple[str, str], str] = {}
        kept: list[tuple[str, _Claim]] = []
        for cui, own in sorted(by_cui.items()):
            found, claims = self._judge_cui(cui, own)
            outcomes.update({(cui, sct): outcome for sct, outcome in found.items()})
            kept.extend((cui, claim) for claim in claims)
        rows = [self._row(cui, claim) for cui, claim in self._entire_apart(kept, outcomes)]
        return Judgement(tuple(rows), outcomes)

    def _entire_apart(
        self, kept: list[tuple[str, _Claim]], outcomes: dict[tuple[str, str], str]
    ) -> Iterator[tuple[str, _Claim]]:
        """Yield the claims; a CUI whose structure has its own CUI means the Entire concept."""
        taken = self._taken | {
            claim.code
            for _, claim in kept
            if claim.predicate == EXACT and claim.justification != _LEXICAL
        }
        for cui, claim in kept:
            if claim.justification == _LEXICAL and claim.code in taken:
                outcomes.update({(cui, sct): KEPT_ENTIRE_BROAD for sct in claim.pairs})
                yield cui, replace(claim, predicate=BROAD)
                continue
            if claim.predicate == EXACT:
                taken.add(claim.code)
            yield cui, claim

    def _judge_cui(
        self, cui: str, own: list[Candidate]
    ) -> tuple[dict[str, str], tuple[_Claim, ...]]:
        if cui in self._curated:
            return {one.sct: CURATED for one in own}, ()
        outcomes: dict[str, str] = {}
        claims: list[_Claim] = []
        for one in own:
            if cui_problem(cui) or sctid_problem(one.sct):
                outcomes[one.sct] = NOT_A_CODE
            elif not one.entire:
                claim = self._stated(one)
                if isinstance(claim, str):
                    outcomes[one.sct] = claim
                else:
                    claims.append(claim)
        entire = [one for one in own if one.entire and one.sct not in outcomes]
        by_class = self._by_class(cui, entire)
        kept = self._settle(claims, by_class, outcomes)
        for one in entire:
            if isinstance(by_class, str):
                outcomes[one.sct] = SUPPORTS if kept and by_class != ANIMAL else by_class
            elif any(one.sct in claim.pairs for claim in kept):
                exact = any(claim.predicate == EXACT for claim in by_class)
                outcomes[one.sct] = KEPT_ENTIRE if exact else KEPT_ENTIRE_BROAD
            else:
                outcomes.setdefault(one.sct, SUPPORTS if kept else CONTRADICTED)
        return outcomes, kept

    def _stated(self, one: Candidate) -> _Claim | str:
        """Return what an equivalent pair claims, or why it is rejected."""
        code = self._graph.current(one.sct) if one.sct in self._graph else one.sct
        if code not in self._graph:
            return self._placed(one)
        if not self._names.agree(one.sct, one.meaning) and not self._names.agree(code, one.meaning):
            # A code of DICOM with another meaning of DICOM is the same code; only RadLex shifts.
            if one.lineages <= {RADLEX_LINEAGE, UBERON_LINEAGE}:
                return NAMES_DIFFER
            if self._names.lookup(one.meaning) not in (None, code):
                return NAMES_DIFFER
        several = len(one.lineages) > 1
        return _Claim(
            code,
            EXACT,
            one.meaning,
            one.lineages,
            _COMPOSITE if several else _BACKGROUND,
            ", ".join(sorted(one.lineages)),
            (one.sct,),
        )

    def _placed(self, one: Candidate) -> _Claim | str:
        """Return the broader structure that contains a code which the subset lacks."""
        found = self._locations.container(one.sct, one.meaning, self._names)
        if found is None:
            return NO_STRUCTURE
        code, path = found
        return _Claim(
            code, BROAD, one.meaning, frozenset({RADLEX_LINEAGE}), _CHAINING, path, (one.sct,)
        )

    def _by_class(self, cui: str, entire: list[Candidate]) -> tuple[_Claim, ...] | str:
        """Return what the Uberon classes of the CUI say of its structure, or why nothing."""
        if not entire:
            return ()
        pairs = tuple(one.sct for one in entire)
        targets = set(pairs)
        classes = [
            uberon for uberon in self._uberon.classes(cui) if targets & self._uberon.sct(uberon)
        ] or self._uberon.classes(cui)
        adult = [uberon for uberon in classes if not self._uberon.animal_or_embryo(uberon)]
        if classes and not adult:
            return ANIMAL
        claims: dict[str, _Claim] = {}
        for uberon in adult:
            for code, path in self._uberon.structures(uberon, self._names, self._graph):
                exact = not path
                label = self._uberon.label(uberon)
                claims[code] = _Claim(
                    code,
                    EXACT if exact else BROAD,
                    label,
                    frozenset({UBERON_LINEAGE}),
                    _LEXICAL if exact else _CHAINING,
                    f"Uberon {uberon}" if exact else f"Uberon {path}",
                    pairs,
                )
        if not claims:
            return NO_CLASS
        exact_claims = [claim for claim in claims.values() if claim.predicate == EXACT]
        if len(exact_claims) > 1:
            return CONTRADICTED
        nearest = [
            claim
            for claim in claims.values()
            if not any(self._graph.subsumes(claim.code, other) for other in claims)
        ]
        return tuple(exact_claims or nearest)

    def _settle(
        self,
        stated: list[_Claim],
        by_class: tuple[_Claim, ...] | str,
        outcomes: dict[str, str],
    ) -> tuple[_Claim, ...]:
        """Return the claims that stand; `outcomes` gets those of the equivalent pairs."""
        if isinstance(by_class, str):
            by_class = ()
        merged: dict[str, _Claim] = {}
        for claim in stated:
            other = merged.get(claim.code)
            merged[claim.code] = claim if other is None else _joined(other, claim)
        best = list(merged.values())
        if not best:
            return by_class
        for claim in by_class:
            own = merged.get(claim.code)
            if own is not None and claim.predicate == EXACT:
                merged[claim.code] = _joined(own, claim)
        best = [one for one in merged.values() if one.predicate == EXACT] or list(merged.values())
        exact_class = [claim for claim in by_class if claim.predicate == EXACT]
        against = [one for one in exact_class if one.code not in merged]
        winner = self._winner(best, against)
        for claim in merged.values():
            for sct in claim.pairs:
                if winner is None:
                    outcomes[sct] = CONTRADICTED
                elif claim is not winner:
                    outcomes[sct] = OUTVOTED
                else:
                    outcomes[sct] = KEPT_EXACT if claim.predicate == EXACT else KEPT_BROAD
        if winner is None:
            return ()
        places = [
            claim.code for claim in by_class if self._graph.lookup(claim.code).display not in KINDS
        ]
        related = any(self._related(winner.code, code) for code in places)
        if places and not related and len(winner.lineages) == 1:
            # What one source states alone may not lie elsewhere than Uberon's chain leads.
            for sct in winner.pairs:
                outcomes[sct] = CONTRADICTED
            return ()
        return (winner,)

    def _winner(self, best: list[_Claim], against: list[_Claim]) -> _Claim | None:
        ranked = sorted(best, key=lambda claim: (-len(claim.lineages), claim.code))
        first = ranked[0]
        rivals = [*ranked[1:], *against]
        equals = [one for one in rivals if len(one.lineages) >= len(first.lineages)]
        if not equals:
            return first
        # Structures of which one holds the other do not contradict: the broader one is safe.
        codes = [first.code, *(one.code for one in equals)]
        for claim in ranked:
            if all(self._holds(claim.code, code) for code in codes):
                return claim
        return None

    def _related(self, one: str, other: str) -> bool:
        return self._holds(one, other) or self._holds(other, one)

    def _holds(self, one: str, other: str) -> bool:
        return one == other or self._graph.subsumes(one, other)

    def _side(self, claim: _Claim) -> Laterality | None:
        """Return the side of the concept, else the one that the label states of a paired part."""
        _, side = self._graph.unsided(claim.code)
        stated = side_of(claim.label)
        return side or (None if _NO_SIDE.search(claim.label.lower()) else stated)

    def _row(self, cui: str, claim: _Claim) -> SemanticMapping:
        concept = self._graph.lookup(claim.code)
        return SemanticMapping(
            subject_id=f"UMLS:{cui}",
            subject_label=claim.label,
            subject_type=None,
            predicate_id=claim.predicate,
            predicate_modifier=None,
            object_id=f"{sssom.SNOMED_PREFIX}{claim.code}",
            object_label=concept.display,
            object_laterality=self._side(claim),
            mapping_justification=claim.justification,
            mapping_tool=TOOL,
            confidence=claim.confidence,
            comment=claim.comment,
        )


def _joined(one: _Claim, other: _Claim) -> _Claim:
    lineages = one.lineages | other.lineages
    return _Claim(
        one.code,
        EXACT if EXACT in (one.predicate, other.predicate) else one.predicate,
        one.label,
        lineages,
        _COMPOSITE if len(lineages) > 1 else one.justification,
        ", ".join(sorted(lineages)),
        (*one.pairs, *other.pairs),
    )


def derive(reference: Path, folder: Path) -> Judgement:
    """Return the judgement of the candidates in `reference` over the tables in `folder`.

    Raises
    ------
    TableError
        A table of either folder is missing or has bad rows.
    """
    graph = BodyStructureGraph.load(folder)
    judge = Judge(
        graph,
        Uberon.read(reference),
        Locations.read(reference),
        sssom.read(folder / CURATED_TABLE),
    )
    return judge.judge(read_candidates(reference))


def block() -> tuple[str, ...]:
    """Return the metadata block of the derived table, line by line."""
    return tuple(_BLOCK.strip().split("\n"))


_BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/mappings/umls-derived
mapping_set_version: "2026-11-20"
mapping_set_title: UMLS concept unique identifiers to SNOMED CT body structures, by rule
mapping_set_description: >-
  CUIs of body structures that the curated table leaves open, judged by rule from the pairs that
  open sources state: DICOM PS3.16, PixelMed, the RadLex anatomic locations and Uberon (release
  2026-04-01 and subset of 2022-04-06, CC BY 3.0). Made by python -m
  terminology.sources.umls_derive, which says the rules; edit the curated table, not this one.
  Labels are those of the open sources, never of the UMLS. With broadMatch the object is broader.
license: https://creativecommons.org/licenses/by/3.0/
mapping_date: "2026-11-20"
curie_map:
  UMLS: https://uts.nlm.nih.gov/uts/umls/concept/
  bodysite: https://w3id.org/bodysite/
  snomedct: http://snomed.info/id/
  xsd: http://www.w3.org/2001/XMLSchema#
subject_source: http://www.nlm.nih.gov/research/umls
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: bodysite:object_laterality
    type_hint: xsd:string
"""


@click.command()
@click.option(
    "--reference",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The folder of reference tables.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another folder of mapping tables than the installed one.",
)
@click.option("--write", is_flag=True, help=f"Write {DERIVED_TABLE} into the folder of tables.")
def main(reference: Path, folder: Path | None, write: bool) -> None:
    """Judge the open pairs of CUI and SNOMED CT code, and count what became of them."""
    folder = folder or mappings_folder()
    judgement = derive(reference, folder)
    for outcome, count in judgement.counts().items():
        click.echo(f"{count:6d}  {outcome}")
    click.echo(f"{len(judgement.outcomes):6d}  pairs; {len(judgement.rows)} rows")
    if write:
        table = MappingSet(DERIVED_TABLE.removesuffix(".sssom.tsv"), {}, judgement.rows, block())
        with written_whole(folder / DERIVED_TABLE) as stream:
            stream.write(sssom.dumps(table))
        click.echo(f"written: {folder / DERIVED_TABLE}", err=True)


if __name__ == "__main__":
    main()
