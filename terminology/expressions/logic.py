"""The reasoner: normal forms of concepts and expressions, and structural subsumption on them.

- An attribute that the concept model never groups (laterality) stands alone wherever it was
  written.
- A group that was written stands beside those of the focus concept: description logic says no more.
- An attribute outside braces that belongs into a group refines, in an expression with one focus
  concept, the one group of that concept that it makes more specific; it is a group of its own where
  there is no such group or several (SNOMED CT Postcoordination Guide, transformation level 1). The
  definition status changes nothing in this: none means ``===``.

Left out: general concept inclusions and property chains of the OWL axioms, which the inferred
relationships do not hold. What they alone entail is not found; nothing false is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Final

import numpy as np
from pyroaring import BitMap, FrozenBitMap

from terminology.expressions.errors import ExpressionError
from terminology.expressions.model import ConceptModel, concept_model
from terminology.expressions.normal import NormalForm, Pair, Value, concrete, plain
from terminology.expressions.rendering import canonical
from terminology.expressions.syntax import (
    Attribute,
    AttributeValue,
    ConceptReference,
    DefinitionStatus,
    Expression,
)
from terminology.release.index import ReleaseIndex
from terminology.release.ordinals import bitmap_of, bitmap_of_flags
from terminology.release.values import ConcreteValue

# What was found of concepts and of expressions is kept; each cache is emptied when full.
_KEPT: Final = 4_096
_KEPT_EXPRESSIONS: Final = 1_024


def logic(index: ReleaseIndex) -> Logic:
    """Return the reasoner of a release, made once for each index."""
    return index.derived(Logic)


class Logic:
    """Structural subsumption over one release. Not strict: everything subsumes itself."""

    def __init__(self, index: ReleaseIndex) -> None:
        self._index = index
        self._model: ConceptModel = concept_model(index)
        self._forms: dict[int, NormalForm] = {}
        self._expressions: dict[Expression, NormalForm] = {}
        self._supertypes: dict[tuple[NormalForm, FrozenBitMap], FrozenBitMap] = {}
        self._above: dict[int, FrozenBitMap] = {}
        self._defined: dict[int, bool] = {}
        self._having: dict[tuple[int, int], FrozenBitMap] = {}

    def above(self, concept: int) -> FrozenBitMap:
        """Return the ancestors of a concept and the concept itself."""
        found = self._above.get(concept)
        if found is None:
            if len(self._above) >= _KEPT:
                self._above.clear()
            found = FrozenBitMap(self._index.ancestors(concept) | BitMap([concept]))
            self._above[concept] = found
        return found

    def concept_form(self, concept: int) -> NormalForm:
        """Return the normal form of a concept."""
        found = self._forms.get(concept)
        if found is None:
            if len(self._forms) >= _KEPT:
                self._forms.clear()
            found = self._forms[concept] = self._concept_form(concept)
        return found

    def form(self, expression: Expression) -> NormalForm:
        """Return the normal form of an expression."""
        return self._form_of(expression, expression)

    def supertypes(self, form: NormalForm) -> FrozenBitMap:
        """Return all concepts that subsume `form`.

        The search goes from what is above `form` downwards, through defined concepts: all parents
        of a supertype are supertypes, so that every further one is a child of one found before, and
        it asks for an attribute that the form has.
        """
        key = (form, form.above)
        found = self._supertypes.get(key)
        if found is None:
            if len(self._supertypes) >= _KEPT_EXPRESSIONS:
                self._supertypes.clear()
            found = self._supertypes[key] = FrozenBitMap(self._search(form))
        return found

    def _search(self, form: NormalForm) -> BitMap:
        index = self._index
        found = BitMap(form.above)
        candidates = self._candidates(form) - found
        waiting = list(found) if candidates else []
        while waiting:
            reached = BitMap.union(*(index.children(one) for one in waiting)) & candidates
            waiting = []
            for concept in reached:
                # One whose parents are not all found comes again with the last of them.
                if index.parents(concept) <= found:
                    candidates.remove(concept)
                    if self.subsumes(concept, form):
                        found.add(concept)
                        waiting.append(concept)
        return found

    def _candidates(self, form: NormalForm) -> BitMap:
        """Return the defined concepts that could be supertypes and are not above `form` already.

        What the focus concept has itself was classified by whoever made the release, so that a
        further supertype asks for something that the expression adds to it.
        """
        specific = self._index.most_specific(form.above)
        found = BitMap()
        if len(specific) == 1:
            own = self.concept_form(specific[0])
            added = set(form.ungrouped - own.ungrouped)
            for group in form.groups - own.groups:
                added |= min((group - other for other in own.groups), key=len, default=group)
        else:
            added = {*form.ungrouped, *(pair for group in form.groups for pair in group)}
            found |= self._conjunctions
        for kind, value in added:
            kinds = self.above(kind) & self._used
            if isinstance(value, ConcreteValue):
                found.update(*(self._defined_with_concrete(one, value) for one in kinds))
                continue
            values = self.above(value) if isinstance(value, int) else self.supertypes(value)
            found |= BitMap.union(
                BitMap(), *(self._defined_with(one, place) for one in kinds for place in values)
            )
        return found

    @cached_property
    def _used(self) -> BitMap:
        """The attributes that some concept has."""
        index = self._index
        return BitMap(index.relations.types) | bitmap_of(index.concretes.type)

    def _defined_with(self, kind: int, value: int) -> FrozenBitMap:
        """Return the defined concepts that have exactly this attribute."""
        found = self._having.get((kind, value))
        if found is None:
            if len(self._having) >= _KEPT:
                self._having.clear()
            table = self._index.relations
            sources = table.source[table.with_value(kind, value)]
            found = FrozenBitMap(bitmap_of(sources[self._index.defined[sources]]))
            self._having[kind, value] = found
        return found

    def _defined_with_concrete(self, kind: int, value: ConcreteValue) -> BitMap:
        """Return the defined concepts that have this attribute with an equal concrete value."""
        table = self._index.concretes
        rows = np.flatnonzero((table.type == kind) & self._index.defined[table.source])
        return BitMap(
            int(table.source[row]) for row in rows.tolist() if plain(table.value(row)) == value
        )

    @cached_property
    def _conjunctions(self) -> BitMap:
        """The defined concepts without attributes: what their parents say together."""
        bare = self._index.defined.copy()
        bare[self._index.relations.source] = False
        bare[self._index.concretes.source] = False
        return bitmap_of_flags(bare) & self._index.active

    def subsumes(self, a: Value, b: Value) -> bool:
        """Return whether `a` subsumes, or equals, `b`."""
        return self._subsumes(a, b, {})

    def is_defined(self, concept: int) -> bool:
        """Return whether the release defines a concept sufficiently, and means it.

        Extracts lose attributes and keep the definition status. A definition that says no more than
        those of the parents, though some of what is below all of them is not below the concept,
        contradicts the hierarchy: the concept then counts as primitive.
        """
        found = self._defined.get(concept)
        if found is None:
            if len(self._defined) >= _KEPT:
                self._defined.clear()
            found = self._defined[concept] = self._index.is_defined(concept) and self._agrees(
                concept
            )
        return found

    def _agrees(self, concept: int) -> bool:
        index = self._index
        parents = index.parents(concept)
        ungrouped, groups = self._attributes(concept)
        for parent in parents:
            theirs, their_groups = self._attributes(parent)
            ungrouped -= theirs
            groups -= their_groups
        if ungrouped or groups:
            return True
        if len(parents) < 2:
            return False
        below_all = FrozenBitMap.intersection(*(index.descendants(one) for one in parents))
        return len(below_all) == len(index.descendants(concept)) + 1

    def _attributes(self, concept: int) -> tuple[set[Pair], set[frozenset[Pair]]]:
        """Return the attributes of a concept: those never grouped, and the groups of the others."""
        index = self._index
        ungrouped: set[Pair] = set()
        groups: dict[object, set[Pair]] = {}
        for one in index.attributes(concept):
            # The embedded subset's part-of edges are is-a edges as well; they define nothing.
            if index.embedded and one.type == self._model.part_of:
                continue
            pair = (one.type, one.value if isinstance(one.value, int) else plain(one.value))
            if one.type in self._model.never_grouped:
                ungrouped.add(pair)
            else:
                groups.setdefault(one.group or pair, set()).add(pair)
        return ungrouped, {frozenset(group) for group in groups.values()}

    def _concept_form(self, concept: int) -> NormalForm:
        ungrouped, groups = self._attributes(concept)
        focus = self._primitives(concept) if self.is_defined(concept) else {concept}
        return self._reduced(focus, ungrouped, groups, self.above(concept))

    def _primitives(self, concept: int) -> set[int]:
        """Return the nearest primitive ancestors."""
        found, waiting, seen = BitMap(), [concept], {concept}
        while waiting:
            for parent in self._index.parents(waiting.pop()):
                if parent in seen:
                    continue
                seen.add(parent)
                if self.is_defined(parent):
                    waiting.append(parent)
                else:
                    found.add(parent)
        return set(self._index.most_specific(found))

    def _form_of(self, expression: Expression, whole: Expression) -> NormalForm:
        if expression.is_concept:
            return self.concept_form(self._ordinal(expression.focus[0], whole))
        found = self._expressions.get(expression)
        if found is None:
            if len(self._expressions) >= _KEPT_EXPRESSIONS:
                self._expressions.clear()
            found = self._expressions[expression] = self._form(expression, whole)
        return found

    def _form(self, expression: Expression, whole: Expression) -> NormalForm:
        forms = [
            self.concept_form(self._ordinal(reference, whole)) for reference in expression.focus
        ]
        above = FrozenBitMap.union(*(form.above for form in forms))
        focus = set(self._index.most_specific(BitMap(set().union(*(f.focus for f in forms)))))
        ungrouped: set[Pair] = set().union(*(form.ungrouped for form in forms))
        given = [group for form in forms for group in form.groups]
        written: set[frozenset[Pair]] = set()
        never = self._model.never_grouped
        for group in expression.groups:
            pairs = [self._pair(attribute, whole) for attribute in group.attributes]
            ungrouped.update(pair for pair in pairs if pair[0] in never)
            if together := frozenset(pair for pair in pairs if pair[0] not in never):
                written.add(together)
        loose = {self._pair(attribute, whole) for attribute in expression.ungrouped}
        ungrouped.update(pair for pair in loose if pair[0] in never)
        loose = {pair for pair in loose if pair[0] not in never}
        if len(forms) == 1:
            loose -= self._refine(given, loose)
        written.update(frozenset([pair]) for pair in loose)
        nominal = expression.status is DefinitionStatus.SUBTYPE_OF
        return self._reduced(
            focus, ungrouped, {*given, *written}, above, canonical(expression) if nominal else ""
        )

    def _refine(self, groups: list[frozenset[Pair]], loose: set[Pair]) -> set[Pair]:
        """Put loose attributes into the one group that each makes more specific.

        Returns those for which there was one. None refines what another would refine as well.
        """
        refined: dict[tuple[int, Pair], list[Pair]] = {}
        for pair in loose:
            found = [
                (place, old)
                for place, group in enumerate(groups)
                for old in group
                if self._pair_subsumes(old, pair, {})
            ]
            if len(found) == 1:
                refined.setdefault(found[0], []).append(pair)
        used: set[Pair] = set()
        for (place, old), pairs in refined.items():
            if len(pairs) == 1:
                groups[place] = groups[place] - {old} | set(pairs)
                used.update(pairs)
        return used

    def _reduced(
        self,
        focus: Iterable[int],
        ungrouped: set[Pair],
        groups: Iterable[frozenset[Pair]],
        above: FrozenBitMap,
        unequalled: str = "",
    ) -> NormalForm:
        """Leave out the attributes and groups that others imply."""
        memo: _Memo = {}
        kept = self._most_specific_pairs(ungrouped, memo)
        inner = {self._most_specific_pairs(group, memo) for group in groups}
        specific: list[frozenset[Pair]] = []
        # Of two that mean the same the one that names concepts stays.
        for group in sorted(inner, key=_nested):
            if any(self._group_subsumes(group, other, memo) for other in specific):
                continue
            specific = [other for other in specific if not self._group_subsumes(other, group, memo)]
            specific.append(group)
        return NormalForm(frozenset(focus), kept, frozenset(specific), unequalled, above)

    def _most_specific_pairs(self, pairs: Iterable[Pair], memo: _Memo) -> frozenset[Pair]:
        kept: list[Pair] = []
        for pair in sorted(pairs, key=lambda one: _nested([one])):
            if any(self._pair_subsumes(pair, other, memo) for other in kept):
                continue
            kept = [other for other in kept if not self._pair_subsumes(other, pair, memo)]
            kept.append(pair)
        return frozenset(kept)

    def _subsumes(self, a: Value, b: Value, memo: _Memo) -> bool:
        if isinstance(a, ConcreteValue) or isinstance(b, ConcreteValue):
            return a == b
        if isinstance(a, int):
            if isinstance(b, int):
                return a in self.above(b)
            if a in b.above:
                return True
            return self.is_defined(a) and self._implied(self.concept_form(a), b, memo)
        return self._implied(a, self.concept_form(b) if isinstance(b, int) else b, memo)

    def _implied(self, a: NormalForm, b: NormalForm, memo: _Memo) -> bool:
        """Return whether everything that `a` asks for holds of `b`."""
        if a is b:
            return True
        key = (id(a), id(b))
        found = memo.get(key)
        if found is None:
            found = memo[key] = (self._all_implied(a, b, memo), a, b)
        return found[0]

    def _all_implied(self, a: NormalForm, b: NormalForm, memo: _Memo) -> bool:
        if a.unequalled:
            return a.unequalled == b.unequalled
        return (
            all(concept in b.above for concept in a.focus)
            and all(
                any(self._pair_subsumes(mine, other, memo) for other in b.ungrouped)
                for mine in a.ungrouped
            )
            and all(
                any(self._group_subsumes(mine, other, memo) for other in b.groups)
                for mine in a.groups
            )
        )

    def _group_subsumes(self, a: frozenset[Pair], b: frozenset[Pair], memo: _Memo) -> bool:
        return all(any(self._pair_subsumes(mine, other, memo) for other in b) for mine in a)

    def _pair_subsumes(self, a: Pair, b: Pair, memo: _Memo) -> bool:
        return (a[0] == b[0] or a[0] in self.above(b[0])) and self._subsumes(a[1], b[1], memo)

    def _pair(self, attribute: Attribute, whole: Expression) -> Pair:
        return self._ordinal(attribute.name, whole), self._value(attribute.value, whole)

    def _value(self, value: AttributeValue, whole: Expression) -> Value:
        match value:
            case ConceptReference():
                return self._ordinal(value, whole)
            case Expression():
                if value.is_concept:
                    return self._ordinal(value.focus[0], whole)
                return self._form_of(value, whole)
            case _:
                return concrete(value)

    def _ordinal(self, reference: ConceptReference, whole: Expression) -> int:
        ordinal = self._index.find(reference.code)
        if ordinal < 0:
            raise ExpressionError(
                canonical(whole),
                None,
                f"unknown concept '{reference.code}'",
                f"a concept of {self._index.version}",
                "Look it up with 'bodysite terminology search'.",
            )
        return ordinal


def _nested(pairs: Iterable[Pair]) -> int:
    return sum(isinstance(value, NormalForm) for _, value in pairs)


# The forms are kept beside the answer: while they live, no other form can have their id.
_Memo = dict[tuple[int, int], tuple[bool, NormalForm, NormalForm]]
