"""Expression constraints the plain way: Python sets over the rows of RF2 files, nothing compiled.

Written against ECL 2.2 and independent of the index. It knows the letters of English only, and
search terms without accents; what it does not know it leaves `Unanswered`.
"""

import csv
import re
from collections import defaultdict
from decimal import Decimal
from functools import cache, reduce
from pathlib import Path

from terminology.ecl import syntax as ecl

ROOT, IS_A = "138875005", "116680003"
TYPES = {
    "syn": "900000000000013009",
    "fsn": "900000000000003001",
    "def": "900000000000550004",
}
STATUSES = {"primitive": "900000000000074008", "defined": "900000000000073002"}
MARKS = {"prefer": "900000000000548007", "accept": "900000000000549004"}
ALIASES = {
    "en-us": "900000000000509007",
    "en-gb": "900000000000508004",
    "sv-se": "46011000052107",
}
PROFILES = {
    "HISTORY-MIN": {"900000000000527005"},
    "HISTORY-MOD": {
        "900000000000527005", "900000000000526001", "900000000000528000", "1186924009",
    },
}  # fmt: skip
HISTORICAL = "900000000000522004"


def _rows(folder, pattern):
    for path in sorted(Path(folder).rglob(pattern)):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(reader)
            for row in reader:
                yield header, dict(zip(header, row, strict=True))


class Unanswered(Exception):  # noqa: N818 - no error
    """The constraint has a part that this evaluator does not know."""


class Everything:
    """What the wildcard names in a filter: any concept at all."""

    def __contains__(self, code):
        return True


class Naive:
    """The rows of a release, and `evaluate`, which gives a set of codes."""

    def __init__(self, folder):
        self.concepts = {row["id"]: row for _, row in _rows(folder, "sct2_Concept_*")}
        self.parents, self.children = defaultdict(set), defaultdict(set)
        attributes = set()
        for _, row in _rows(folder, "sct2_Relationship_*"):
            if row["active"] != "1":
                continue
            source, target = row["sourceId"], row["destinationId"]
            if row["typeId"] == IS_A:
                self.parents[source].add(target)
                self.children[target].add(source)
            else:
                attributes.add((source, row["relationshipGroup"], row["typeId"], target))
        for _, row in _rows(folder, "sct2_RelationshipConcreteValues_*"):
            if row["active"] == "1":
                value = _concrete(row["value"])
                attributes.add((row["sourceId"], row["relationshipGroup"], row["typeId"], value))
        self.attributes = sorted(attributes, key=str)
        self.by_source, self.by_target = defaultdict(list), defaultdict(list)
        for row in self.attributes:
            self.by_source[row[0]].append(row)
            if isinstance(row[3], str):
                self.by_target[row[3]].append(row)
        self.descriptions = defaultdict(list)
        for pattern in ("sct2_Description_*", "sct2_TextDefinition_*"):
            for _, row in _rows(folder, pattern):
                self.descriptions[row["conceptId"]].append(row)
        self.language = defaultdict(dict)
        self.members = defaultdict(list)
        self.fields = {}
        for header, row in _rows(folder, "der2_*"):
            if "acceptabilityId" in row:
                if row["active"] == "1":
                    marks = self.language[row["referencedComponentId"]]
                    marks[row["refsetId"]] = row["acceptabilityId"]
            else:
                self.members[row["refsetId"]].append(row)
                self.fields[row["refsetId"]] = header[5:]
        self.rooted = self.below(ROOT) | {ROOT}

    @cache  # noqa: B019
    def below(self, code):
        return self._reach(self.children, code)

    @cache  # noqa: B019
    def above(self, code):
        return self._reach(self.parents, code)

    @staticmethod
    def _reach(steps, code):
        found, waiting = set(), [code]
        while waiting:
            for one in steps[waiting.pop()]:
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return frozenset(found)

    def evaluate(self, tree):
        match tree:
            case ecl.ConceptReference(code):
                assert code in self.concepts
                return {code}
            case ecl.Wildcard():
                return set(self.rooted)
            case ecl.Hierarchy(operator, operand):
                return self._hierarchy(operator.value, self.evaluate(operand))
            case ecl.MemberOf(refsets, fields, filters):
                return self._members(self.evaluate(refsets), fields, filters)
            case ecl.Filtered(operand, filters):
                found = self.evaluate(operand)
                if isinstance(operand, ecl.Wildcard) and any(map(_wants_inactive, filters)):
                    found |= {code for code, row in self.concepts.items() if row["active"] == "0"}
                for one in filters:
                    keep = self._concept if isinstance(one, ecl.ConceptFilter) else self._described
                    found = {code for code in found if keep(one, code)}
                return found
            case ecl.History(operand, profile, refsets):
                return self._history(self.evaluate(operand), profile, refsets)
            case ecl.Conjunction(operands):
                return reduce(set.__and__, map(self.evaluate, operands))
            case ecl.Disjunction(operands):
                return reduce(set.__or__, map(self.evaluate, operands))
            case ecl.Exclusion(kept, removed):
                return self.evaluate(kept) - self.evaluate(removed)
            case ecl.Dotted(source, attributes):
                found = self.evaluate(source)
                for name in attributes:
                    names = self._any(name)
                    found = {
                        row[3]
                        for one in found
                        for row in self.by_source[one]
                        if row[2] in names and isinstance(row[3], str)
                    }
                return found
            case ecl.Refined(focus, refinement):
                prepared = self._prepared(refinement)
                return {one for one in self.evaluate(focus) if self._refined(prepared, one)}
        raise Unanswered(tree)

    def _any(self, value):
        return Everything() if isinstance(value, ecl.Wildcard) else self.evaluate(value)

    def _hierarchy(self, operator, found):
        if operator in {"!!>", "!!<"}:
            near = self.above if operator == "!!>" else self.below
            return {code for code in found if not near(code) & found}
        step = {
            "<": self.below,
            ">": self.above,
            "<!": lambda code: self.children[code],
            ">!": lambda code: self.parents[code],
        }[operator.replace("<<", "<").replace(">>", ">")]
        reached = {one for code in found for one in step(code)}
        return reached | found if operator[:2] in {"<<", ">>"} else reached

    # Refinements: names and values are evaluated once, then each concept is looked at

    def _prepared(self, refinement):
        match refinement:
            case ecl.AllOf(parts):
                return ("all", [self._prepared(part) for part in parts])
            case ecl.AnyOf(parts):
                return ("any", [self._prepared(part) for part in parts])
            case ecl.Group(attributes, cardinality):
                return ("group", self._prepared(attributes), cardinality)
            case ecl.Attribute(name, comparison, cardinality, reverse):
                names = None if isinstance(name, ecl.Wildcard) else self.evaluate(name)
                return ("attribute", names, self._value_test(comparison), cardinality, reverse)
        raise AssertionError(refinement)

    def _value_test(self, comparison):
        match comparison:
            case ecl.ConceptComparison(equal, ecl.Wildcard()):
                return lambda value: equal
            case ecl.ConceptComparison(equal, value):
                wanted = self.evaluate(value)
                return lambda value: isinstance(value, str) and (value in wanted) == equal
            case ecl.NumericComparison(comparator, number):
                return lambda value: (
                    isinstance(value, tuple)
                    and value[0] == "number"
                    and _compare(value[1], comparator.value, number)
                )
            case ecl.TextComparison(equal, terms):
                return lambda value: (
                    isinstance(value, tuple)
                    and value[0] == "text"
                    and _matches(value[1], terms, fold=False) == equal
                )
            case ecl.BooleanComparison(equal, truth):
                return lambda value: (
                    isinstance(value, tuple)
                    and value[0] == "truth"
                    and (value[1] == truth) == equal
                )
        raise AssertionError(comparison)

    def _refined(self, prepared, code):
        match prepared:
            case ("all", parts):
                return all(self._refined(part, code) for part in parts)
            case ("any", parts):
                return any(self._refined(part, code) for part in parts)
            case ("attribute", names, test, cardinality, True):
                sources = {
                    row[0]
                    for row in self.by_target[code]
                    if (names is None or row[2] in names) and test(row[0])
                }
                return _allows(cardinality, len(sources))
            case ("attribute", names, test, cardinality, False):
                count = sum(
                    (names is None or row[2] in names) and test(row[3])
                    for row in self.by_source[code]
                )
                return _allows(cardinality, count)
            case ("group", inner, cardinality):
                inverted = all(_flags(inner))
                rows = self.by_target[code] if inverted else self.by_source[code]
                groups = defaultdict(list)
                for row in rows:
                    if row[1] != "0":
                        groups[row[0], row[1]].append(row)
                count = sum(
                    self._in_group(inner, code, group, inverted) for group in groups.values()
                )
                return _allows(cardinality, count)
        raise AssertionError(prepared)

    def _in_group(self, prepared, code, group, inverted):
        match prepared:
            case ("all", parts):
                return all(self._in_group(part, code, group, inverted) for part in parts)
            case ("any", parts):
                return any(self._in_group(part, code, group, inverted) for part in parts)
            case ("attribute", names, test, cardinality, reverse):
                count = 0
                for row in group:
                    if names is not None and row[2] not in names:
                        continue
                    if reverse:
                        count += row[3] == code and test(row[0])
                    else:
                        count += test(row[3])
                return _allows(cardinality, count)
        raise AssertionError(prepared)

    # Filters

    def _row(self, condition, row):
        match condition:
            case ecl.ActiveCondition(comparison):
                return ((row["active"] == "1") == comparison.value) == comparison.equal
            case ecl.EffectiveTimeCondition(comparison):
                return _time(row["effectiveTime"], comparison)
            case ecl.ModuleCondition(equal, value):
                return (row["moduleId"] in self._set(value)) == equal
        raise AssertionError(condition)

    def _set(self, value):
        if isinstance(value, ecl.ConceptSet):
            return {one.code for one in value.concepts}
        return self._any(value)

    def _concept(self, one, code):
        row = self.concepts[code]
        for condition in one.conditions:
            match condition:
                case ecl.StatusCondition(equal, statuses):
                    wanted = {STATUSES[status] for status in statuses}
                    passed = (row["definitionStatusId"] in wanted) == equal
                case ecl.StatusIdCondition(equal, value):
                    passed = (row["definitionStatusId"] in self._set(value)) == equal
                case _:
                    passed = self._row(condition, row)
            if not passed:
                return False
        return True

    def _described(self, one, code):
        any_state = any(isinstance(part, ecl.ActiveCondition) for part in one.conditions)
        return any(
            (any_state or row["active"] == "1")
            and all(self._description(part, row) for part in one.conditions)
            for row in self.descriptions[code]
        )

    def _description(self, condition, row):
        match condition:
            case ecl.TermCondition(comparison):
                return _matches(row["term"], comparison.terms) == comparison.equal
            case ecl.LanguageCondition(equal, codes):
                return (row["languageCode"] in codes) == equal
            case ecl.TypeCondition(equal, types):
                return (row["typeId"] in {TYPES[one] for one in types}) == equal
            case ecl.TypeIdCondition(equal, value):
                return (row["typeId"] in self._set(value)) == equal
            case ecl.DescriptionIdCondition(equal, ids):
                return (row["id"] in ids) == equal
            case ecl.DialectCondition(equal, dialects, outer):
                if any(one.alias not in ALIASES for one in dialects):
                    raise Unanswered(dialects)
                pairs = [(ALIASES[one.alias], one.acceptability or outer) for one in dialects]
                return self._accepted(row, pairs) == equal
            case ecl.DialectIdCondition(equal, tuple(dialects), outer):
                pairs = [(one.concept.code, one.acceptability or outer) for one in dialects]
                return self._accepted(row, pairs) == equal
            case ecl.DialectIdCondition(equal, value, outer):
                pairs = [(code, outer) for code in self.evaluate(value)]
                return self._accepted(row, pairs) == equal
        return self._row(condition, row)

    def _accepted(self, row, pairs):
        marks = self.language[row["id"]]
        for refset, acceptability in pairs:
            wanted = {
                MARKS[one] if isinstance(one, ecl.AcceptabilityToken) else one.code
                for one in acceptability
            } or set(MARKS.values())
            if marks.get(refset) in wanted:
                return True
        return False

    # Reference sets

    def _members(self, refsets, fields, filters):
        field = fields[0] if fields else "referencedComponentId"
        conditions = [condition for one in filters for condition in one]
        any_state = any(isinstance(part, ecl.ActiveCondition) for part in conditions)
        return {
            row[field]
            for refset in refsets
            for row in self.members.get(refset, ())
            if field in row
            and row[field] in self.concepts
            and (any_state or row["active"] == "1")
            and all(self._member(condition, row) for condition in conditions)
        }

    def _member(self, condition, row):
        if not isinstance(condition, ecl.FieldCondition):
            return self._row(condition, row)
        value = row.get(condition.field_name)
        if value is None:
            return False
        match condition.comparison:
            case ecl.ConceptComparison(equal, wanted):
                return (value in self._any(wanted)) == equal
            case ecl.NumericComparison(comparator, number):
                return _compare(Decimal(value), comparator.value, number)
            case ecl.TextComparison(equal, terms):
                return _matches(value, terms) == equal
        raise Unanswered(condition)

    def _history(self, found, profile, refsets):
        if refsets is not None and not isinstance(refsets, ecl.Wildcard):
            chosen = self.evaluate(refsets)
        else:
            chosen = PROFILES.get(profile, self.below(HISTORICAL))
        return found | {
            row["referencedComponentId"]
            for refset in chosen
            for row in self.members.get(refset, ())
            if row["active"] == "1" and row.get("targetComponentId") in found
        }


def _concrete(text):
    if text.startswith("#"):
        return ("number", Decimal(text[1:]))
    if text.startswith('"'):
        return ("text", text[1:-1])
    return ("truth", text == "true")


def _flags(prepared):
    if prepared[0] == "attribute":
        return [prepared[4]]
    return [flag for part in prepared[1] for flag in _flags(part)]


def _allows(cardinality, count):
    if cardinality is None:
        return count >= 1
    most = cardinality.maximum
    return cardinality.minimum <= count and (most is None or count <= most)


def _compare(value, sign, wanted):
    return {
        "=": value == wanted,
        "!=": value != wanted,
        "<": value < wanted,
        "<=": value <= wanted,
        ">": value > wanted,
        ">=": value >= wanted,
    }[sign]


def _time(text, comparison):
    if 0 in comparison.times:
        raise Unanswered(comparison)
    value = int(text)
    results = [_compare(value, comparison.comparator.value, time) for time in comparison.times]
    return all(results) if comparison.comparator == "!=" else any(results)


def _wants_inactive(one):
    return isinstance(one, ecl.ConceptFilter) and any(
        isinstance(condition, ecl.ActiveCondition)
        and condition.comparison.value != condition.comparison.equal
        for condition in one.conditions
    )


def _matches(text, terms, *, fold=True):
    for term in terms:
        if isinstance(term, ecl.WordSearch):
            if not all(word.isascii() and word.isalnum() for word in term.words):
                raise Unanswered(term)
            words = re.findall(r"[^\W_]+", text.lower() if fold else text)
            wanted = [word.lower() if fold else word for word in term.words]
            if all(any(word.startswith(one) for word in words) for one in wanted):
                return True
        else:
            if "\\" in term.pattern or not term.pattern.isascii():
                raise Unanswered(term)
            pattern = ".*".join(map(re.escape, term.pattern.split("*")))
            if re.fullmatch(pattern, text, re.DOTALL | (re.IGNORECASE if fold else 0)):
                return True
    return False
