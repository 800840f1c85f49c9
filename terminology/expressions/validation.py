"""What is wrong with an expression by the release and its concept model: all of it, not the first.

An expression with a finding of severity "error" is not valid. Warnings are what the release calls
an optional rule, and what is wrong in form and clear in meaning; information says what could not be
checked, or how something was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pyroaring import BitMap

from terminology.expressions.candidate import ExpressionCandidate
from terminology.expressions.logic import Logic, logic
from terminology.expressions.model import (
    CONCEPT_MODEL_ATTRIBUTE,
    LINKAGE_CONCEPT,
    ConceptModel,
    DomainRule,
    RangeRule,
    concept_model,
    concrete_range,
    in_concrete_range,
)
from terminology.expressions.normal import NormalForm, Pair, concrete
from terminology.expressions.parsing import read
from terminology.expressions.rendering import canonical
from terminology.expressions.syntax import (
    AttributeValue,
    ConceptReference,
    Expression,
)
from terminology.release.index import ReleaseIndex
from terminology.release.values import LATERALIZABLE

Severity = Literal["error", "warning", "information"]
Rule = Literal[
    "unknown-concept",
    "inactive-concept",
    "not-an-attribute",
    "domain",
    "lateralizable",
    "range",
    "cardinality",
    "group-cardinality",
    "grouping",
    "unchecked",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about an expression. `position` counts characters from 0; `text` is a sentence."""

    severity: Severity
    rule: Rule
    position: int
    text: str


def validate(expression: Expression | str, index: ReleaseIndex) -> tuple[Finding, ...]:
    """Return what is wrong with `expression`, by position; empty when nothing is.

    Every concept has to be in the release, attributes have to be attributes, and no concept of a
    refined expression may be inactive. Where these hold, the concept model is asked: domain, range,
    cardinality in the whole and in a group, grouping, and 723264001 |Lateralizable|. Cardinality
    counts what the expression means, so that a left hand that is refined to be a right one has two
    sides.

    Raises
    ------
    ExpressionError
        `expression` is text that does not parse.
    """
    expression = read(expression)
    findings = list(_references(expression, index))
    if expression.is_refined and not any(one.severity == "error" for one in findings):
        check = _Check(index)
        check.expression(expression)
        findings += check.findings
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: (one.position, one.text)))


def is_valid(findings: Iterable[Finding]) -> bool:
    """Return whether no finding is an error."""
    return not any(one.severity == "error" for one in findings)


def _references(expression: Expression, index: ReleaseIndex) -> Iterator[Finding]:
    """Check each concept by itself: that it exists, is active, and is an attribute if used as one.

    The texts for the first and the last are fixed: FHIR clients compare them.
    """
    attributes = [
        one for code in (CONCEPT_MODEL_ATTRIBUTE, LINKAGE_CONCEPT) if (one := index.find(code)) >= 0
    ]
    for reference, is_attribute in _walk(expression):
        concept = index.find(reference.code)
        if concept < 0:
            text = f"Concept {reference.code} not found"
            yield Finding("error", "unknown-concept", reference.position, text)
            continue
        if not index.is_active(concept):
            yield Finding(
                "information" if expression.is_concept else "error",
                "inactive-concept",
                reference.position,
                f"Concept {_name(concept, index)} is inactive",
            )
        if is_attribute and not any(index.is_above(one, concept) for one in attributes):
            yield Finding(
                "error",
                "not-an-attribute",
                reference.position,
                f"Concept {reference.code} is not valid in this context (must be a descendent of "
                f"one of {CONCEPT_MODEL_ATTRIBUTE},{LINKAGE_CONCEPT})",
            )


def _walk(expression: Expression) -> Iterator[tuple[ConceptReference, bool]]:
    """Yield every concept reference, and whether it names an attribute."""
    for reference in expression.focus:
        yield reference, False
    for _, attribute in expression.attributes():
        yield attribute.name, True
        if isinstance(attribute.value, Expression):
            yield from _walk(attribute.value)
        elif isinstance(attribute.value, ConceptReference):
            yield attribute.value, False


class _Check:
    """The concept model applied to expressions whose concepts are all known."""

    def __init__(self, index: ReleaseIndex) -> None:
        self._index = index
        self._model: ConceptModel = concept_model(index)
        self._logic: Logic = logic(index)
        self.findings: list[Finding] = []

    def expression(self, expression: Expression) -> None:
        """Check an expression and those nested in it."""
        form = self._logic.form(expression)
        focus = BitMap(self._index.find(one.code) for one in expression.focus)
        written: dict[int, ConceptReference] = {}
        wrong: set[int] = set()
        for number, attribute in expression.attributes():
            kind = self._index.find(attribute.name.code)
            if kind not in written:
                written[kind] = attribute.name
                self._domain(kind, attribute.name, focus)
            self._grouping(kind, attribute.name, expression, number)
            if not self._range(kind, attribute.value):
                wrong.add(kind)
            if isinstance(attribute.value, Expression) and attribute.value.is_refined:
                self.expression(attribute.value)
        for kind, name in written.items():
            # A value that is none would be counted beside those of the focus concept.
            if kind not in wrong:
                self._cardinality(kind, name, focus, form)
        self._required(form, expression)

    def _domain(self, kind: int, name: ConceptReference, focus: BitMap) -> None:
        """Check that an attribute may refine one of the focus concepts."""
        model = self._model
        rules = model.domains.get(kind, ())
        who = " + ".join(self._name(one) for one in focus)
        if not rules:
            if self._index.embedded and kind == model.laterality:
                if not focus & model.lateralizable and not self._defines(kind, focus):
                    self._add("error", "lateralizable", name, f"{who} has no side")
            elif model.is_empty:
                text = f"the release has no concept model, so {self._name(kind)} was not checked"
                self._add("information", "unchecked", name, text)
            else:
                text = f"{self._name(kind)} is no attribute of the release's concept model"
                self._add("error", "domain", name, text)
            return
        if self._defines(kind, focus):
            return
        matched, unknown = self._sorted(rules, focus)
        optional = [rule for rule in rules if not rule.mandatory and rule not in unknown]
        narrower = [rule for rule in unknown if not (matched and rule.mandatory)]
        if matched and optional and all(rule.mandatory for rule in matched):
            self._outside("warning", kind, name, who, optional)
        elif narrower and all(rule.mandatory for rule in matched):
            where = " or ".join(self._domain_name(rule.domain) for rule in narrower)
            text = f"the release does not say what is in {where}: {who} was not checked"
            self._add("information", "unchecked", name, text)
        elif matched:
            return
        else:
            strict = any(rule.mandatory for rule in rules)
            self._outside("error" if strict else "warning", kind, name, who, rules)

    def _sorted(
        self, rules: Iterable[DomainRule], focus: BitMap
    ) -> tuple[list[DomainRule], list[DomainRule]]:
        """Return the rules whose domain has a focus concept, and those whose domain is unknown."""
        matched, unknown = [], []
        for rule in rules:
            concepts = self._model.domain(rule.domain)
            if concepts is None:
                unknown.append(rule)
            elif focus & concepts:
                matched.append(rule)
        return matched, unknown

    def _defines(self, kind: int, focus: BitMap) -> bool:
        """Return whether the release itself defines a focus concept by this attribute."""
        return any(
            attribute.type == kind for one in focus for attribute in self._index.attributes(one)
        )

    def _outside(
        self,
        severity: Severity,
        kind: int,
        name: ConceptReference,
        who: str,
        rules: Iterable[DomainRule],
    ) -> None:
        domains = dict.fromkeys(rule.domain for rule in rules)
        lateralizable = list(domains) == [LATERALIZABLE]
        where = " or ".join(self._domain_name(one) for one in domains)
        text = f"{self._name(kind)} is for {where}, which {who} is not in"
        self._add(severity, "lateralizable" if lateralizable else "domain", name, text)

    def _grouping(
        self, kind: int, name: ConceptReference, expression: Expression, number: int
    ) -> None:
        """Check that an attribute stands inside or outside braces as the model says."""
        never = self._model.never_grouped
        if number and kind in never:
            group = expression.groups[number - 1].attributes
            alone = all(self._index.find(one.name.code) in never for one in group)
            if alone:
                text = f"{self._name(kind)} is never grouped; it was read without the braces"
                self._add("warning", "grouping", name, text)
            else:
                text = f"{self._name(kind)} is never grouped with other attributes"
                self._add("error", "grouping", name, text)
        elif not number and kind not in never and kind in self._model.domains:
            text = f"{self._name(kind)} belongs in a group; it was read as a refinement of one"
            self._add("information", "grouping", name, text)

    def _range(self, kind: int, value: AttributeValue) -> bool:
        """Check that a value is one that the attribute may have; return whether it can be."""
        model = self._model
        if self._index.embedded and kind == model.laterality:
            if self._ordinal(value) in model.sides:
                return True
            sides = ", ".join(self._name(one) for one in sorted(model.sides))
            self._add("error", "range", value, f"{self._shown(value)} is not one of {sides}")
            return False
        rules = model.ranges.get(kind, ())
        mandatory = [rule for rule in rules if rule.mandatory]
        optional = [rule for rule in rules if not rule.mandatory]
        return self._in_range(kind, value, mandatory, "error") and self._in_range(
            kind, value, optional, "warning"
        )

    def _in_range(
        self, kind: int, value: AttributeValue, rules: list[RangeRule], severity: Severity
    ) -> bool:
        """Return `False` where a value is in none of the ranges; say so, and say what is open."""
        verdicts = [self._permits(rule, value) for rule in rules]
        if not rules or any(verdicts):
            return True
        constraints = " or ".join(rule.constraint for rule in rules)
        if None in verdicts:
            text = f"the release cannot tell whether {self._shown(value)} is in {constraints}"
            self._add("information", "unchecked", value, text)
            return True
        name = self._name(kind)
        text = f"{self._shown(value)} is no value of {name}: its range is {constraints}"
        self._add(severity, "range", value, text)
        return severity != "error"

    def _permits(self, rule: RangeRule, value: AttributeValue) -> bool | None:
        """Return whether a value is in a range; `None` when the release cannot tell."""
        numbers = concrete_range(rule.constraint)
        if not isinstance(value, ConceptReference | Expression):
            return numbers is not None and in_concrete_range(concrete(value), *numbers)
        if numbers is not None:
            return False
        ordinal = self._ordinal(value)
        if ordinal is not None:
            return self._model.permits(rule.constraint, ordinal)
        assert isinstance(value, Expression)  # noqa: S101 - a reference has an ordinal
        nested = ExpressionCandidate(self._logic.form(value), self._index)
        return self._model.permits(rule.constraint, nested)

    def _cardinality(
        self, kind: int, name: ConceptReference, focus: BitMap, form: NormalForm
    ) -> None:
        """Check how often an attribute occurs in what the expression means."""
        rules = self._model.domains.get(kind, ())
        matched, _ = self._sorted(rules, focus)
        binding = [rule for rule in matched if rule.mandatory] or matched or list(rules)
        most = _largest(rule.most for rule in binding)
        if self._index.embedded and kind == self._model.laterality:
            most = 1
        values = [value for one, value in _pairs(form) if one == kind]
        severity: Severity = (
            "error" if not rules or any(rule.mandatory for rule in binding) else "warning"
        )
        if most is not None and len(values) > most:
            shown = sorted(self._name(one) for one in values if isinstance(one, int))
            listed = f": {', '.join(shown)}" if len(shown) == len(values) else ""
            text = f"{self._name(kind)} has {len(values)} values, {most} at most{listed}"
            self._add(severity, "cardinality", name, text)
        in_group = _largest(rule.most_in_group for rule in binding)
        if in_group is not None and kind not in self._model.never_grouped:
            for group in form.groups:
                if sum(one == kind for one, _ in group) > in_group:
                    text = f"{self._name(kind)} has more than {in_group} value in a group"
                    self._add(severity, "group-cardinality", name, text)

    def _required(self, form: NormalForm, expression: Expression) -> None:
        """Check that the attributes are there that a domain cannot do without."""
        for rule in self._model.required:
            concepts = self._model.domain(rule.domain)
            if concepts is None or not concepts & form.above:
                continue
            has = sum(rule.attribute in self._logic.above(kind) for kind, _ in _pairs(form))
            if has < rule.least:
                text = f"{self._name(rule.attribute)} is missing: {rule.least} at least"
                severity: Severity = "error" if rule.mandatory else "warning"
                self._add(severity, "cardinality", expression.focus[0], text)

    def _ordinal(self, value: AttributeValue) -> int | None:
        if isinstance(value, Expression) and value.is_concept:
            value = value.focus[0]
        return self._index.find(value.code) if isinstance(value, ConceptReference) else None

    def _shown(self, value: AttributeValue) -> str:
        if isinstance(value, Expression):
            return f"({canonical(value)})"
        if isinstance(value, ConceptReference):
            return self._name(self._index.find(value.code))
        return str(concrete(value))

    def _domain_name(self, code: str) -> str:
        concept = self._index.find(code)
        return code if concept < 0 else self._name(concept)

    def _name(self, concept: int) -> str:
        return _name(concept, self._index)

    def _add(
        self, severity: Severity, rule: Rule, at: ConceptReference | AttributeValue, text: str
    ) -> None:
        self.findings.append(Finding(severity, rule, at.position, text[0].upper() + text[1:]))


def _pairs(form: NormalForm) -> Iterator[Pair]:
    yield from form.ungrouped
    for group in form.groups:
        yield from group


def _largest(limits: Iterable[int | None]) -> int | None:
    """Return the widest of several limits; `None`, no limit, is the widest of all."""
    found = list(limits)
    return None if None in found or not found else max(one for one in found if one is not None)


def _name(concept: int, index: ReleaseIndex) -> str:
    return f"{index.code(concept)} |{index.display(concept)}|"
