"""Judge the open pairs of CUI and SNOMED CT code by rule.

Every candidate pair gets one outcome. `curation.umls_evidence`, `curation.umls_uberon` and
`terminology.sources.umls_names` read and compare; the rules are here:

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from curation.umls_evidence import (
    RADLEX_LINEAGE,
    UBERON_LINEAGE,
    Candidate,
    Locations,
)
from curation.umls_uberon import KINDS, Uberon
from terminology import sssom
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from terminology.identifiers import cui_problem, sctid_problem
from terminology.mapping import BROAD, EXACT, MappingSet, SemanticMapping
from terminology.sources.umls_names import Names, side_of

TOOL: Final = "curation/umls.py"

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
    """That a CUI is `code` (of the graph), by `lineages`; `label` is the sources' name.

    `pairs` are the codes of the candidates that it rests on.
    """

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
        if self.lineages == {RADLEX_LINEAGE}:
            return _RADLEX_ALONE
        return _BY_LINEAGES[len(self.lineages)]


@dataclass(frozen=True, slots=True)
class _Classes:
    """What the Uberon classes of a CUI claim; `silent` is the outcome where they claim nothing."""

    claims: tuple[_Claim, ...] = ()
    silent: str = ""

    @property
    def exact(self) -> tuple[_Claim, ...]:
        return tuple(claim for claim in self.claims if claim.predicate == EXACT)


# The outcome of the pairs of one CUI, by code.
_Outcomes = dict[str, str]


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
            claims, found = self._judge_cui(cui, own)
            outcomes.update({(cui, sct): outcome for sct, outcome in found.items()})
            kept.extend((cui, claim) for claim in claims)
        entire = self._entire_concepts(kept)
        rows = []
        for place, (cui, claim) in enumerate(kept):
            if place in entire:
                outcomes.update({(cui, sct): KEPT_ENTIRE_BROAD for sct in claim.pairs})
                rows.append(self._row(cui, replace(claim, predicate=BROAD)))
            else:
                rows.append(self._row(cui, claim))
        return Judgement(tuple(rows), outcomes)

    def _entire_concepts(self, kept: Sequence[tuple[str, _Claim]]) -> set[int]:
        """Return the places of the claims by label whose structure has a CUI of its own.

        Such a CUI means the Entire concept. Of several by label, the first is the structure's.
        """
        taken = self._taken | {
            claim.code
            for _, claim in kept
            if claim.predicate == EXACT and claim.justification != _LEXICAL
        }
        entire = set()
        for place, (_, claim) in enumerate(kept):
            if claim.justification == _LEXICAL and claim.code in taken:
                entire.add(place)
            elif claim.predicate == EXACT:
                taken.add(claim.code)
        return entire

    def _judge_cui(
        self, cui: str, own: Sequence[Candidate]
    ) -> tuple[tuple[_Claim, ...], _Outcomes]:
        """Return the claims of a CUI that stand, and the outcome of each of its pairs."""
        if cui in self._curated:
            return (), dict.fromkeys((one.sct for one in own), CURATED)
        stated, rejected = self._all_stated(own)
        entire = [one for one in own if one.entire and one.sct not in rejected]
        classes = self._classes(cui, entire)
        kept, settled = self._settle(stated, classes)
        of_entire = {one.sct: _of_entire(one.sct, kept, classes, settled) for one in entire}
        return kept, {**rejected, **settled, **of_entire}

    def _all_stated(self, own: Iterable[Candidate]) -> tuple[list[_Claim], _Outcomes]:
        """Return what the equivalent pairs claim, and the outcome of the pairs that are refused."""
        claims: list[_Claim] = []
        rejected: _Outcomes = {}
        for one in own:
            if cui_problem(one.cui) or sctid_problem(one.sct):
                rejected[one.sct] = NOT_A_CODE
            elif not one.entire:
                claim = self._stated(one)
                if isinstance(claim, str):
                    rejected[one.sct] = claim
                else:
                    claims.append(claim)
        return claims, rejected

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
        return _Claim(
            code,
            EXACT,
            one.meaning,
            one.lineages,
            _COMPOSITE if len(one.lineages) > 1 else _BACKGROUND,
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

    def _classes(self, cui: str, entire: Sequence[Candidate]) -> _Classes:
        """Return what the Uberon classes of the CUI say of the structure of its Entire concepts."""
        if not entire:
            return _Classes()
        pairs = tuple(one.sct for one in entire)
        own = self._uberon.classes(cui)
        shared = [uberon for uberon in own if self._uberon.sct(uberon).intersection(pairs)]
        classes = shared or own
        adult = [uberon for uberon in classes if not self._uberon.animal_or_embryo(uberon)]
        if classes and not adult:
            return _Classes(silent=ANIMAL)
        claims = {
            code: _by_class(uberon, self._uberon.label(uberon), code, path, pairs)
            for uberon in adult
            for code, path in self._uberon.structures(uberon, self._names, self._graph)
        }
        if not claims:
            return _Classes(silent=NO_CLASS)
        found = _Classes(tuple(claims.values()))
        if len(found.exact) > 1:
            return _Classes(silent=CONTRADICTED)
        nearest = tuple(
            claim
            for claim in found.claims
            if not any(self._graph.subsumes(claim.code, other) for other in claims)
        )
        return _Classes(found.exact or nearest)

    def _settle(
        self, stated: Sequence[_Claim], classes: _Classes
    ) -> tuple[tuple[_Claim, ...], _Outcomes]:
        """Return the claims that stand, and the outcomes of the pairs that `stated` rest on."""
        if not stated:
            return classes.claims, {}
        claims = _merged(stated, classes)
        winner = self._winner(claims, classes)
        lost = CONTRADICTED if winner is None else OUTVOTED
        outcomes = {sct: lost for claim in claims for sct in claim.pairs}
        if winner is None:
            return (), outcomes
        if self._elsewhere(winner, classes):
            return (), {**outcomes, **dict.fromkeys(winner.pairs, CONTRADICTED)}
        won = KEPT_EXACT if winner.predicate == EXACT else KEPT_BROAD
        return (winner,), {**outcomes, **dict.fromkeys(winner.pairs, won)}

    def _winner(self, claims: Sequence[_Claim], classes: _Classes) -> _Claim | None:
        """Return the claim that more lineages state than any other, exact ones before broader."""
        best = [claim for claim in claims if claim.predicate == EXACT] or claims
        ranked = sorted(best, key=lambda claim: (-len(claim.lineages), claim.code))
        first = ranked[0]
        codes = {claim.code for claim in claims}
        against = [claim for claim in classes.exact if claim.code not in codes]
        equals = [
            rival for rival in (*ranked[1:], *against) if len(rival.lineages) >= len(first.lineages)
        ]
        if not equals:
            return first
        # Structures of which one holds the other do not contradict: the broader one is safe.
        contested = [first.code, *(one.code for one in equals)]
        for claim in ranked:
            if all(self._holds(claim.code, code) for code in contested):
                return claim
        return None

    def _elsewhere(self, claim: _Claim, classes: _Classes) -> bool:
        """Return whether what one lineage states alone lies elsewhere than Uberon's chain leads."""
        places = [
            other.code
            for other in classes.claims
            if self._graph.lookup(other.code).display not in KINDS
        ]
        if not places or len(claim.lineages) > 1:
            return False
        return not any(
            self._holds(claim.code, code) or self._holds(code, claim.code) for code in places
        )

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


def _by_class(uberon: str, label: str, code: str, path: str, pairs: tuple[str, ...]) -> _Claim:
    """Return what a class claims: by its name, or by the chain `path` that leads to `code`."""
    return _Claim(
        code,
        BROAD if path else EXACT,
        label,
        frozenset({UBERON_LINEAGE}),
        _CHAINING if path else _LEXICAL,
        f"Uberon {path or uberon}",
        pairs,
    )


def _of_entire(sct: str, kept: Sequence[_Claim], classes: _Classes, settled: _Outcomes) -> str:
    """Return the outcome of the pair with an Entire concept."""
    if classes.silent:
        return SUPPORTS if kept and classes.silent != ANIMAL else classes.silent
    if any(sct in claim.pairs for claim in kept):
        return KEPT_ENTIRE if classes.exact else KEPT_ENTIRE_BROAD
    return settled.get(sct, SUPPORTS if kept else CONTRADICTED)


def _merged(stated: Iterable[_Claim], classes: _Classes) -> tuple[_Claim, ...]:
    """Return one claim a code: what is stated, joined with what a class says of the same code."""
    found: dict[str, _Claim] = {}
    for claim in stated:
        other = found.get(claim.code)
        found[claim.code] = claim if other is None else _joined(other, claim)
    for claim in classes.exact:
        if claim.code in found:
            found[claim.code] = _joined(found[claim.code], claim)
    return tuple(found.values())


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
