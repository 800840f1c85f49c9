"""Random expression constraints, as trees, that name what a release holds."""

import random
import re
from decimal import Decimal

from terminology.ecl import syntax as ecl
from terminology.ecl.syntax import Cardinality, Comparator, HistoryProfile, Operator

_DATES = (20020131, 20150731, 20200131, 20250909)


class Vocabulary:
    """What constraints may name, taken from a naive release."""

    def __init__(self, naive):
        self.concepts = sorted(code for code in naive.concepts if code in naive.rooted)
        self.every = sorted(naive.concepts)
        self.inner = sorted(code for code in self.concepts if naive.children[code])
        self.refsets = sorted(code for code in naive.members if code in naive.concepts)
        self.fields = naive.fields
        self.rows = naive.attributes
        self.types = sorted({row[2] for row in naive.attributes})
        self.dialects = ["en-us", "en-gb"]
        self.dialect_ids = [
            code for code in ("900000000000509007", "900000000000508004") if code in naive.concepts
        ]
        self.modules = sorted(
            {row["moduleId"] for row in naive.concepts.values()} & set(self.every)
        )
        self.statuses = [
            code for code in ("900000000000073002", "900000000000074008") if code in naive.concepts
        ]
        self.kinds = [
            code for code in ("900000000000003001", "900000000000013009") if code in naive.concepts
        ]
        rows = [row for listed in naive.descriptions.values() for row in listed]
        self.ids = sorted(row["id"] for row in rows)
        words = (word for row in rows for word in re.findall(r"[a-z]{3,}", row["term"].lower()))
        self.words = sorted(set(words))


class Generator:
    """Makes constraints; the same seed makes the same ones."""

    def __init__(self, vocabulary, seed):
        self._known = vocabulary
        self._chance = random.Random(seed)  # noqa: S311 - the same for every run

    def constraint(self, depth=3):
        chance = self._chance
        if depth <= 0 or chance.random() < 0.25:
            return self._sub(0)
        kind = chance.randrange(8)
        if kind == 0:
            return ecl.Conjunction(tuple(self.constraint(depth - 1) for _ in range(2)))
        if kind == 1:
            return ecl.Disjunction(tuple(self.constraint(depth - 1) for _ in range(2)))
        if kind == 2:
            return ecl.Exclusion(self.constraint(depth - 1), self.constraint(depth - 1))
        if kind in {3, 4, 5}:
            return ecl.Refined(self._wide(), self._refinement(depth - 1))
        if kind == 6:
            names = tuple(self._name() for _ in range(chance.choice((1, 1, 2))))
            return ecl.Dotted(self._wide(), names)
        return self._sub(depth)

    def _pick(self, values):
        return self._chance.choice(values)

    def _concept(self, codes=None):
        term = self._pick((None, None, "a term", "(x) & y"))
        return ecl.ConceptReference(self._pick(codes or self._known.every), term)

    def _wide(self):
        """A focus that holds more than a concept, as a rule."""
        kind = self._chance.randrange(4)
        if kind == 0:
            return ecl.Wildcard()
        operator = self._pick((Operator.DESCENDANT_OF, Operator.DESCENDANT_OR_SELF_OF))
        return ecl.Hierarchy(operator, self._concept(self._known.inner))

    def _sub(self, depth):
        chance, found = self._chance, self._focus(depth)
        if chance.random() < 0.15:
            found = self._member_of()
        if chance.random() < 0.6:
            found = ecl.Hierarchy(self._pick(list(Operator)), found)
        if chance.random() < 0.3:
            filters = [
                self._description_filter() if chance.random() < 0.6 else self._concept_filter()
                for _ in range(chance.choice((1, 1, 2)))
            ]
            found = ecl.Filtered(found, tuple(filters))
        if chance.random() < 0.15:
            found = self._history(found)
        return found

    def _focus(self, depth):
        if depth > 0 and self._chance.random() < 0.4:
            return self.constraint(depth - 1)
        if self._chance.random() < 0.1:
            return ecl.Wildcard()
        return self._concept()

    def _history(self, operand):
        if self._chance.random() < 0.5:
            return ecl.History(operand, self._pick(list(HistoryProfile)))
        refsets = self._pick((ecl.Wildcard(), self._concept(self._known.refsets)))
        return ecl.History(operand, None, refsets)

    # Refinements

    def _refinement(self, depth):
        kind = self._chance.randrange(6)
        if depth > 0 and kind < 2:
            parts = tuple(self._refinement(depth - 1) for _ in range(self._pick((2, 3))))
            return (ecl.AllOf if kind else ecl.AnyOf)(parts)
        if kind == 2 or kind == 3:
            return ecl.Group(self._attributes(depth), self._cardinality())
        return self._attribute(depth)

    def _attributes(self, depth):
        kind = self._chance.randrange(3)
        if kind < 2:
            parts = tuple(self._attribute(depth) for _ in range(2))
            return (ecl.AllOf if kind else ecl.AnyOf)(parts)
        return self._attribute(depth)

    def _cardinality(self):
        return self._pick(
            (
                None, None, None, Cardinality(0, 0), Cardinality(0, 1), Cardinality(1, 1),
                Cardinality(1, None), Cardinality(2, None), Cardinality(0, None), Cardinality(1, 2),
            )
        )  # fmt: skip

    def _name(self):
        kind = self._chance.randrange(6)
        if kind == 0:
            return ecl.Wildcard()
        name = self._concept(self._known.types)
        if kind == 1:
            return ecl.Hierarchy(self._pick(list(Operator)), name)
        if kind == 2:
            return ecl.Disjunction((name, self._concept(self._known.types)))
        return name

    def _attribute(self, depth):
        """An attribute, as a rule one that a concept of the release has."""
        source, _, kind, value = self._pick(self._known.rows)
        name = self._name() if self._chance.random() < 0.4 else ecl.ConceptReference(kind)
        reverse = isinstance(value, str) and self._chance.random() < 0.2
        if isinstance(value, str):
            comparison = ecl.ConceptComparison(
                self._chance.random() < 0.75, self._value(source if reverse else value, depth)
            )
        else:
            comparison = self._concrete(value)
        return ecl.Attribute(name, comparison, self._cardinality(), reverse)

    def _value(self, code, depth):
        kind = self._chance.randrange(7)
        if kind == 0:
            return ecl.Wildcard()
        if kind == 1 and depth > 0:
            return self.constraint(depth - 1)
        concept = ecl.ConceptReference(code)
        if kind == 2:
            return concept
        operator = self._pick((Operator.DESCENDANT_OR_SELF_OF, Operator.ANCESTOR_OF))
        above = ecl.Hierarchy(Operator.PARENT_OR_SELF_OF, concept)
        return ecl.Hierarchy(operator, self._pick((concept, above)))

    def _concrete(self, value):
        kind, held = value
        equal = self._chance.random() < 0.7
        if kind == "number":
            number = held if self._chance.random() < 0.7 else Decimal("2.50")
            return ecl.NumericComparison(self._pick(list(Comparator)), number)
        if kind == "text":
            word = self._pick((held.split()[0][:3], held.split()[0].lower()))
            term = self._pick((ecl.WordSearch((word,)), ecl.WildSearch(f"{word}*")))
            return ecl.TextComparison(equal, (term,))
        return ecl.BooleanComparison(equal, self._pick((True, False)))

    # Filters

    def _search(self):
        def one():
            word = self._pick(self._known.words)
            kind = self._chance.randrange(4)
            if kind == 0:
                return ecl.WildSearch(self._pick((f"*{word[1:]}", f"{word[:3]}*", f"*{word}*")))
            if kind == 1:
                return ecl.WordSearch((word[:4], self._pick(self._known.words)[:2]))
            return ecl.WordSearch((word[: self._pick((2, 3, 9))],))

        terms = tuple(one() for _ in range(self._pick((1, 1, 2))))
        return ecl.TextComparison(self._chance.random() < 0.8, terms)

    def _time(self):
        comparator = self._pick(list(Comparator))
        return ecl.TimeComparison(
            comparator, tuple(self._chance.sample(_DATES, self._pick((1, 2))))
        )

    def _equal(self):
        return self._chance.random() < 0.75

    def _chosen(self, codes):
        kind = self._chance.randrange(3)
        if kind == 0 and len(codes) > 1:
            return ecl.ConceptSet(tuple(self._concept(codes) for _ in range(2)))
        if kind == 1:
            return ecl.Hierarchy(Operator.DESCENDANT_OR_SELF_OF, self._concept(codes))
        return self._concept(codes)

    def _row_condition(self):
        kind = self._chance.randrange(3)
        if kind == 0:
            return ecl.ModuleCondition(self._equal(), self._chosen(self._known.modules))
        if kind == 1:
            return ecl.EffectiveTimeCondition(self._time())
        truth = ecl.BooleanComparison(self._equal(), self._pick((True, False)))
        return ecl.ActiveCondition(truth)

    def _description_filter(self):
        made = tuple(self._description_condition() for _ in range(self._pick((1, 2, 3))))
        return ecl.DescriptionFilter(made)

    def _acceptability(self):
        tokens = list(ecl.AcceptabilityToken)
        return self._pick(((), (), (tokens[0],), (tokens[1],), tuple(tokens)))

    def _description_condition(self):
        kind, known = self._chance.randrange(9), self._known
        if kind == 0:
            return ecl.LanguageCondition(
                self._equal(), self._pick((("en",), ("sv",), ("en", "fr")))
            )
        if kind == 1:
            types = tuple(self._chance.sample(list(ecl.TypeToken), self._pick((1, 2))))
            return ecl.TypeCondition(self._equal(), types)
        if kind == 2 and known.kinds:
            return ecl.TypeIdCondition(self._equal(), self._chosen(known.kinds))
        if kind == 3:
            dialects = tuple(
                ecl.DialectAlias(alias, self._acceptability())
                for alias in self._chance.sample(known.dialects, self._pick((1, 2)))
            )
            return ecl.DialectCondition(self._equal(), dialects, self._acceptability())
        if kind == 4 and known.dialect_ids:
            if self._chance.random() < 0.5:
                value = self._chosen(known.dialect_ids[:1])
                return ecl.DialectIdCondition(self._equal(), value, self._acceptability())
            references = tuple(
                ecl.DialectReference(ecl.ConceptReference(code), self._acceptability())
                for code in (known.dialect_ids * 2)[:2]
            )
            return ecl.DialectIdCondition(self._equal(), references, self._acceptability())
        if kind == 5:
            ids = tuple(self._chance.sample(known.ids, self._pick((1, 3))))
            return ecl.DescriptionIdCondition(self._equal(), ids)
        if kind == 6:
            return self._row_condition()
        return ecl.TermCondition(self._search())

    def _concept_filter(self):
        return ecl.ConceptFilter(
            tuple(self._concept_condition() for _ in range(self._pick((1, 1, 2))))
        )

    def _concept_condition(self):
        kind = self._chance.randrange(4)
        if kind == 0:
            statuses = tuple(self._chance.sample(list(ecl.StatusToken), self._pick((1, 2))))
            return ecl.StatusCondition(self._equal(), statuses)
        if kind == 1 and self._known.statuses:
            return ecl.StatusIdCondition(self._equal(), self._chosen(self._known.statuses))
        return self._row_condition()

    # Reference sets

    def _member_of(self):
        refset = self._pick(self._known.refsets)
        fields = self._known.fields[refset]
        kind = self._chance.randrange(5)
        if kind == 0:
            everything = self._pick((ecl.Wildcard(), self._concept()))
            return ecl.MemberOf(everything)
        filters = tuple(
            tuple(self._member_condition(fields) for _ in range(self._pick((1, 2))))
            for _ in range(self._pick((0, 1, 1, 2)))
        )
        target = ("targetComponentId",) if "targetComponentId" in fields else ()
        chosen = self._pick(((), ("referencedComponentId",), target))
        return ecl.MemberOf(ecl.ConceptReference(refset), chosen, filters)

    def _member_condition(self, fields):
        if self._chance.random() < 0.4:
            return self._row_condition()
        field = self._pick(fields)
        comparator = self._pick(list(Comparator))
        if field in {"mapGroup", "mapPriority"}:
            number = Decimal(self._pick((1, 2)))
            return ecl.FieldCondition(field, ecl.NumericComparison(comparator, number))
        if field in {"mapTarget", "mapAdvice"}:
            term = self._pick(
                (ecl.WordSearch(("J45",)), ecl.WildSearch("J*"), ecl.WordSearch(("al", "i21")))
            )
            return ecl.FieldCondition(field, ecl.TextComparison(self._equal(), (term,)))
        if field.endswith("ComponentId"):
            value = self._pick((self._wide(), self._concept()))
            return ecl.FieldCondition(field, ecl.ConceptComparison(self._equal(), value))
        return self._row_condition()
