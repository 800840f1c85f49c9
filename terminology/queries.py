"""What the command line and the MCP server answer about concepts, as plain objects for JSON.

A *code* is an SCTID or, where it says so, a post-coordinated expression in SNOMED CT compositional
grammar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pyroaring import BitMap, FrozenBitMap

from terminology import ecl, expressions
from terminology.concept import Laterality
from terminology.ecl.syntax import MemberOf
from terminology.errors import UnknownConceptError
from terminology.graph import BodyStructureGraph
from terminology.release.anatomy import Anatomy
from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex
from terminology.release.values import Attribute, ConcreteValue

Found = dict[str, Any]


class Queries:
    """Questions to a release and to the body structures that stand on it.

    Parameters
    ----------
    graph
        The body structures; `graph.index` is the release.
    languages
        BCP-47 tags in order of preference for the terms that are shown.

    Raises
    ------
    UnknownConceptError, IdentifierError, ExpressionError, EclError
        From the methods that are handed such a code, expression or constraint.
    """

    def __init__(self, graph: BodyStructureGraph, languages: Sequence[str] = ()) -> None:
        self.graph = graph
        self.index: ReleaseIndex = graph.index
        self.languages = tuple(languages)

    def info(self) -> Found:
        """Say which release is in use and how much it holds."""
        index, graph = self.index, self.graph
        return {
            "version": index.version,
            "concepts": len(graph),
            "edges": graph.edge_count(),
            "former_codes": sum(1 for _ in graph.former()),
            "release_concepts": len(index),
            "active_concepts": len(index.active),
            "descriptions": len(index.descriptions_table),
            "relationships": len(index.relations) + len(index.concretes),
            "reference_sets": len(index.refsets),
            "languages": list(index.descriptions_table.languages),
            "dialects": dict(index.dialects),
        }

    def lookup(self, code: str) -> Found:
        """Describe a concept, or an expression."""
        code = _bare(code)
        if _is_expression(code):
            return self._expression(code)
        if self.index.find(code) < 0:
            return self._table_concept(code)
        index, ordinal = self.index, self.index.ordinal(code)
        display = index.display(ordinal, self.languages)
        descriptions = index.descriptions(ordinal)
        named = any(one.type == "fsn" for one in descriptions)
        found: Found = {
            "code": code,
            "display": display,
            "fsn": index.fsn(ordinal, self.languages) if named else None,
            "active": index.is_active(ordinal),
            "synonyms": [
                one.term for one in descriptions if one.type == "synonym" and one.term != display
            ],
            "definitions": [one.term for one in descriptions if one.type == "definition"],
        }
        if code in self.graph:
            found["parents"] = self._listed(self.graph.parents(code))
            found["children"] = self._listed(self.graph.children(code))
        else:
            found["parents"] = self._concepts(index.parents(ordinal))
            found["children"] = self._concepts(index.children(ordinal))
        found["attributes"] = self._attributes(index.attributes(ordinal))
        return found | self._anatomy(code) | self._history(code) | {"version": index.version}

    def subsumes(self, code_a: str, code_b: str) -> str:
        """Return how one code or expression stands to another, in the words of FHIR."""
        code_a, code_b = _bare(code_a), _bare(code_b)
        if _is_expression(code_a) or _is_expression(code_b):
            return expressions.compare(code_a, code_b, self.index)
        if code_a in self.graph and code_b in self.graph:
            return self.graph.compare(code_a, code_b)
        return self.index.compare(code_a, code_b)

    def expand(self, constraint: str, *, limit: int | None = None, offset: int = 0) -> Found:
        """Return the concepts that an ECL constraint names, by code: a page, and the total."""
        tree = ecl.parse(constraint)
        if isinstance(tree, MemberOf) and tree.fields:
            return self._rows(constraint, limit, offset)
        codes = self.index.codes(ecl.evaluate(constraint, self.index))
        page = codes[offset:] if limit is None else codes[offset : offset + limit]
        return {"total": len(codes), "concepts": self._listed(page)}

    def search(
        self, text: str, *, within: str | None = None, limit: int = 20, offset: int = 0
    ) -> Found:
        """Find concepts by words or their beginnings, among those that `within` (ECL) names.

        Without `within` the body structures are searched. `fuzzy` says that nothing matched as it
        was typed, so that words were taken as misspelt.
        """
        chosen = self.graph.site if within is None else ecl.evaluate(within, self.index)
        result = self.index.search.search(
            text,
            within=chosen,
            languages=self.languages,
            limit=limit,
            offset=offset,
            inactive=not chosen.issubset(self.index.active),
        )
        hits = [
            {
                "code": self.index.code(hit.ordinal),
                "display": self.index.display(hit.ordinal, self.languages),
                "term": hit.term,
            }
            for hit in result.hits
        ]
        found: Found = {"total": result.total, "fuzzy": result.fuzzy, "concepts": hits}
        if within is None and self.graph.extra:
            return self._with_extra(found, text, limit, offset)
        return found

    def history(self, code: str) -> Found:
        """Say what replaced a code and what it replaced."""
        return {"code": code} | self._history(code, must_exist=True)

    def common(self, codes: Sequence[str]) -> Found:
        """Return the nearest sites that hold all of several, and the distances between them."""
        return {
            "codes": list(codes),
            "nearest_common": self._listed(self.graph.nearest_common(codes)),
            "distances": [
                {"code_a": a, "code_b": b, "edges": edges}
                for a, b, edges in self.graph.distances(codes)
            ],
        }

    def into(self, code: str, targets: Sequence[str]) -> Found:
        """Return the most specific of `targets` that subsume a code."""
        return {"code": code, "targets": self._listed(self.graph.map_into(code, targets))}

    def parts(self, code: str) -> Found:
        """Return the parts of a body structure and what it is a part of."""
        lacking = code in self.graph and code not in self.index
        anatomy = (embedded_index() if lacking else self.index).derived(Anatomy)
        return {
            "code": code,
            "part_of": self._listed(sorted(anatomy.wholes(code), key=int)),
            "parts": self._listed(sorted(anatomy.parts(code), key=int)),
        }

    def display(self, code: str) -> str:
        """Return the term of a code or expression in the languages asked for."""
        if _is_expression(code):
            return expressions.describe(expressions.parse(code), self.index, self.languages)
        ordinal = self.index.find(code)
        if ordinal >= 0:
            return self.index.display(ordinal, self.languages)
        return self.graph.lookup(code).display

    def _with_extra(self, found: Found, text: str, limit: int, offset: int) -> Found:
        """Add, after what the release has, the embedded structures that it lacks."""
        index = embedded_index()
        within = index.ordinals(self.graph.extra)
        past = max(0, offset - found["total"])
        result = index.search.search(text, within=within, limit=limit, offset=past)
        if result.fuzzy and found["total"] and not found["fuzzy"]:
            return found
        if found["fuzzy"] and result.total and not result.fuzzy:
            found = {"total": 0, "fuzzy": False, "concepts": []}
        room = limit - len(found["concepts"])
        more = [
            {
                "code": index.code(hit.ordinal),
                "display": index.display(hit.ordinal),
                "term": hit.term,
            }
            for hit in result.hits[:room]
        ]
        return {
            "total": found["total"] + result.total,
            "fuzzy": result.fuzzy if not found["total"] else found["fuzzy"],
            "concepts": [*found["concepts"], *more],
        }

    def _rows(self, constraint: str, limit: int | None, offset: int) -> Found:
        """Return the rows of a reference set with the fields that were asked for."""
        fields, rows = ecl.select(constraint, self.index)
        page = rows[offset:] if limit is None else rows[offset : offset + limit]
        return {
            "total": len(rows),
            "rows": [dict(zip(fields, row, strict=True)) for row in page],
        }

    def _expression(self, text: str) -> Found:
        index = self.index
        expression = expressions.parse(text)
        findings = expressions.validate(expression, index)
        found: Found = {
            "code": expressions.canonical(expression),
            "findings": [
                {"severity": one.severity, "position": one.position, "text": one.text}
                for one in findings
            ],
        }
        if not expressions.is_valid(findings):
            return found
        same = expressions.equivalent_concept(expression, index)
        unsided, side = expressions.split(expression, index)
        return found | {
            "display": expressions.describe(expression, index, self.languages),
            "equivalent_to": None if same is None else self._concept(same),
            "parents": self._concepts(expressions.parents(expression, index)),
            "normal_form": expressions.render(
                expressions.normal_expression(expressions.normalise(expression, index), index)
            ),
            "laterality": side,
            "unsided": None if side is None else unsided,
            "version": index.version,
        }

    def _table_concept(self, code: str) -> Found:
        """Describe an embedded concept that the release in use does not hold."""
        concept = self.graph.lookup(code)
        return {
            "code": code,
            "display": concept.display,
            "fsn": None,
            "active": True,
            "synonyms": list(concept.synonyms),
            "definitions": [],
            "parents": self._listed(self.graph.parents(code)),
            "children": self._listed(self.graph.children(code)),
            "attributes": [],
            **self._anatomy(code),
            **self._history(code),
            "version": self.graph.tables_version,
        }

    def _anatomy(self, code: str) -> Found:
        if code not in self.graph:
            return {}
        concept = self.graph.lookup(code)
        other = self.graph.other_side(code)
        triple = self.index.derived(Anatomy).triple(code) if code in self.index else None
        return {
            "laterality": concept.laterality,
            "unsided": concept.unsided,
            "other_side": other,
            "sided": {
                str(side): sided
                for side in Laterality
                if (sided := self.graph.sided(code, side)) is not None
            },
            "structure": triple.structure if triple else None,
            "entire": triple.entire if triple else None,
            "part": triple.part if triple else None,
        }

    def _history(self, code: str, *, must_exist: bool = False) -> Found:
        try:
            history = self.graph.history(code)
        except UnknownConceptError:
            if must_exist and code not in self.index:
                raise
            return {"replaced_by": [], "replaces": []}
        return {
            "replaced_by": self._listed(history.successors),
            "replaces": self._listed(history.predecessors),
        }

    def _attributes(self, attributes: Iterable[Attribute]) -> list[Found]:
        groups: dict[int, list[Found]] = defaultdict(list)
        for one in attributes:
            value: object
            if isinstance(one.value, ConcreteValue):
                value = str(one.value)
            else:
                value = self._concept(one.value)
            groups[one.group].append({"type": self._concept(one.type), "value": value})
        return [{"group": group, "attributes": held} for group, held in sorted(groups.items())]

    def _concept(self, ordinal: int) -> dict[str, str]:
        return {
            "code": self.index.code(ordinal),
            "display": self.index.display(ordinal, self.languages),
        }

    def _concepts(self, ordinals: BitMap | FrozenBitMap) -> list[dict[str, str]]:
        return self._listed(self.index.codes(ordinals))

    def _listed(self, codes: Iterable[str]) -> list[dict[str, str]]:
        return [{"code": code, "display": self.display(code)} for code in codes]


def _bare(code: str) -> str:
    """Return the code of a concept that is written with its term, such as 85562004 |Hand|."""
    if "|" not in code:
        return code
    expression = expressions.parse(code)
    return expression.focus[0].code if expression.is_concept else code


def _is_expression(code: str) -> bool:
    """Return whether a text is more than one bare code: refined, combined, or with a term."""
    return any(sign in code for sign in ":+|=<(")
