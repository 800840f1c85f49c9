"""The concept model of a release: which attribute may stand where, with which values, how often.

Read from the MRCM reference sets of the release, by their columns, so that those of an extension
count too; where a module scope reference set is present, only those it names for the edition.
The embedded subset has none: there the one rule is our own, for 272741003 |Laterality|.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

from pyroaring import BitMap

from terminology.ecl import Candidate, evaluate, satisfies
from terminology.errors import BodySiteError
from terminology.release.index import ReleaseIndex
from terminology.release.refsets import RefsetTable
from terminology.release.sides import SIDES_BY_CODE
from terminology.release.values import LATERALITY, LATERALIZABLE, PART_OF, ConcreteValue
from terminology.rf2.rows import TextColumn

CONCEPT_MODEL_ATTRIBUTE: Final = "410662002"
LINKAGE_CONCEPT: Final = "106237007"
# CID 244 and 66459002 |Unilateral|: what the embedded subset takes as a side.
SIDES: Final = (*SIDES_BY_CODE, "66459002")
MODULE_SCOPE: Final = "723563008"

_REFERENCE_SET: Final = "900000000000455006"
_MANDATORY: Final = 723597001
# Rules for all content and for post-coordinated content; the others are for authors of releases.
_APPLICABLE: Final = {723596005, 723595009}
_CARDINALITY: Final = re.compile(r"\s*(\d+)\.\.(\d+|\*)\s*", re.ASCII)
_CONCRETE: Final = re.compile(r"\s*(int|dec|str|bool)\s*\((.*)\)\s*", re.DOTALL)
_BOUNDS: Final = re.compile(
    r"(?:(>?)#([+-]?\d+(?:\.\d+)?))?\.\.(?:(<?)#([+-]?\d+(?:\.\d+)?))?", re.ASCII
)
_TERM: Final = re.compile(r"\|[^|]*\|")
_CODE: Final = re.compile(r"\d{6,18}", re.ASCII)
_OPTION: Final = re.compile(
    r'#([+-]?\d+(?:\.\d+)?)|"((?:[^"\\]|\\.)*)"|(true|false)', re.ASCII | re.I
)


@dataclass(frozen=True, slots=True)
class DomainRule:
    """A row of an MRCM attribute domain reference set; `most` is `None` for any number."""

    attribute: int
    domain: str
    grouped: bool
    least: int
    most: int | None
    most_in_group: int | None
    mandatory: bool


@dataclass(frozen=True, slots=True)
class RangeRule:
    """A row of an MRCM attribute range reference set."""

    attribute: int
    constraint: str
    mandatory: bool


def concept_model(index: ReleaseIndex) -> ConceptModel:
    """Return the concept model of a release, read once for each index."""
    return index.derived(ConceptModel)


class ConceptModel:
    """The rules for post-coordinated content.

    Attributes
    ----------
    laterality, part_of
        Ordinals of 272741003 and 123005000, -1 when the release does not hold them.
    """

    def __init__(self, index: ReleaseIndex) -> None:
        self._index = index
        self.laterality = index.find(LATERALITY)
        self.part_of = index.find(PART_OF)
        self._sets: dict[str, BitMap | None] = {}
        self._domain_sets: dict[str, BitMap | None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether the release has no attribute domain rules at all."""
        return not self.domains

    @cached_property
    def domains(self) -> dict[int, tuple[DomainRule, ...]]:
        """The domain rules by attribute."""
        found: dict[int, list[DomainRule]] = {}
        for table, row in self._rows("domainId", "attributeCardinality"):
            attribute = self._index.find(int(table.component[row]))
            domain = str(_number(table, "domainId", row))
            least, most = _cardinality(_text(table, "attributeCardinality", row))
            _, most_in_group = _cardinality(_text(table, "attributeInGroupCardinality", row))
            if attribute >= 0:
                found.setdefault(attribute, []).append(
                    DomainRule(
                        attribute,
                        domain,
                        _number(table, "grouped", row) == 1,
                        least,
                        most,
                        most_in_group,
                        _number(table, "ruleStrengthId", row) == _MANDATORY,
                    )
                )
        return {attribute: tuple(rules) for attribute, rules in found.items()}

    @cached_property
    def ranges(self) -> dict[int, tuple[RangeRule, ...]]:
        """The range rules by attribute."""
        found: dict[int, list[RangeRule]] = {}
        for table, row in self._rows("rangeConstraint", "attributeRule"):
            attribute = self._index.find(int(table.component[row]))
            found.setdefault(attribute, []).append(
                RangeRule(
                    attribute,
                    _text(table, "rangeConstraint", row),
                    _number(table, "ruleStrengthId", row) == _MANDATORY,
                )
            )
        return {attribute: tuple(rules) for attribute, rules in found.items()}

    @cached_property
    def required(self) -> tuple[DomainRule, ...]:
        """The domain rules by which an attribute must be there."""
        return tuple(rule for rules in self.domains.values() for rule in rules if rule.least)

    @cached_property
    def never_grouped(self) -> frozenset[int]:
        """The attributes that stand in no group, in any domain."""
        found = {
            attribute
            for attribute, rules in self.domains.items()
            if not any(rule.grouped for rule in rules)
        }
        if self.laterality not in self.domains:
            found.add(self.laterality)
        if self.part_of not in self.domains:
            found.add(self.part_of)
        return frozenset(found - {-1})

    @cached_property
    def sides(self) -> frozenset[int]:
        """The sides that the embedded subset takes, as far as it holds them."""
        return frozenset(one for code in SIDES if (one := self._index.find(code)) >= 0)

    @cached_property
    def lateralizable(self) -> BitMap:
        """The members of 723264001; in the embedded subset the concepts that have sided ones."""
        index = self._index
        if index.lateralizable or not index.embedded or self.laterality < 0:
            return BitMap(index.lateralizable)
        table = index.relations
        sided = BitMap(table.source[table.by_type_destination[table.type_range(self.laterality)]])
        found = BitMap()
        for concept in sided:
            if index.is_defined(concept):
                wholes = {
                    one.value for one in index.attributes(concept) if one.type == self.part_of
                }
                found.update(set(index.parents(concept)) - wholes)
        return found - sided

    def domain(self, domain: str) -> BitMap | None:
        """Return the concepts of a domain; `None` when the release does not say which they are.

        A reference set without members is one that was left out of the release, not an empty
        domain: an extract has the rule of 723264001 and none of its rows. A hierarchy that is not
        there is empty, for what a release holds has all its ancestors.
        """
        if domain not in self._domain_sets:
            self._domain_sets[domain] = self._domain(domain)
        return self._domain_sets[domain]

    def permits(self, constraint: str, value: int | Candidate) -> bool | None:
        """Return whether a range has a concept or a nested expression; `None` if it is unknown."""
        unknown = False
        for part in _alternatives(constraint):
            concepts = self._constrained(part)
            if concepts is None:
                unknown = True
            elif concepts and (
                value in concepts if isinstance(value, int) else satisfies(part, self._index, value)
            ):
                return True
        return None if unknown else False

    def _domain(self, domain: str) -> BitMap | None:
        index = self._index
        concept, refsets = index.find(domain), index.find(_REFERENCE_SET)
        if domain == LATERALIZABLE:
            return self.lateralizable or None
        if concept < 0:
            return BitMap()
        if concept in index.refsets or (refsets >= 0 and index.is_above(refsets, concept)):
            return BitMap(index.members(concept)) or None
        constraint = self._domain_constraints.get(concept)
        if constraint is not None:
            return self._constrained(constraint)
        return BitMap(index.descendants(concept)) | BitMap([concept])

    def _constrained(self, constraint: str) -> BitMap | None:
        """Return the concepts that an expression constraint of the model names.

        None of them where it names only concepts that the release, an extract, does not hold: what
        is held has all its ancestors. `None` when it cannot be evaluated for another reason.
        """
        if constraint not in self._sets:
            try:
                self._sets[constraint] = evaluate(constraint, self._index)
            except BodySiteError:
                codes = _CODE.findall(_TERM.sub("", constraint))
                absent = codes and all(self._index.find(code) < 0 for code in codes)
                self._sets[constraint] = BitMap() if absent else None
        return self._sets[constraint]

    @cached_property
    def _domain_constraints(self) -> dict[int, str]:
        found = {}
        for table, row in self._rows("domainConstraint", "parentDomain"):
            found[self._index.find(int(table.component[row]))] = _text(
                table, "domainConstraint", row
            )
        return found

    def _rows(self, *fields: str) -> Iterator[tuple[RefsetTable, int]]:
        """Yield the active, applicable rows of the tables that have these columns."""
        tables = [
            table
            for table in self._index.refsets.values()
            if all(field in table.fields for field in fields)
        ]
        if self._in_scope and any(table.refset in self._in_scope for table in tables):
            tables = [table for table in tables if table.refset in self._in_scope]
        for table in tables:
            for row in table.active.nonzero()[0].tolist():
                if (
                    "contentTypeId" not in table.fields
                    or _number(table, "contentTypeId", row) in _APPLICABLE
                ):
                    yield table, row

    @cached_property
    def _in_scope(self) -> frozenset[str]:
        """The rule reference sets that the edition's module uses; none when it is not said."""
        table = self._index.refsets.get(self._index.find(MODULE_SCOPE))
        if table is None or "mrcmRuleRefsetId" not in table.fields:
            return frozenset()
        module = re.search(r"/x?sct/(\d+)", self._index.version)
        rows = table.rows_of(module[1]) if module else range(0)
        return frozenset(
            str(_number(table, "mrcmRuleRefsetId", row)) for row in rows if table.active[row]
        )


def _alternatives(constraint: str) -> list[str]:
    """Return the parts that a constraint joins by OR, outside of all brackets."""
    bare = _TERM.sub("", constraint)
    return re.split(r"\bor\b", bare, flags=re.I) if not re.search(r"[(){}\[\]:]", bare) else [bare]


def concrete_range(constraint: str) -> tuple[str, str] | None:
    """Return kind and body of a range of concrete values such as ``dec(>#0..)``, or `None`."""
    found = _CONCRETE.fullmatch(constraint)
    return (found[1], found[2]) if found else None


def in_concrete_range(value: ConcreteValue, kind: str, body: str) -> bool:
    """Return whether `value` is of a kind (int, dec, str, bool) and within a body's bounds.

    A body holds bounds (``>#0..<#10``), values (``#1 #2``) or nothing.
    """
    if value.kind not in _KINDS[kind]:
        return False
    if not body.strip():
        return True
    number = value.number
    bounds = _BOUNDS.fullmatch(body.strip())
    if bounds is not None:
        if number is None:
            return False
        above, low, below, high = bounds.groups()
        return not (
            (low is not None and (number < Decimal(low) or (above and number == Decimal(low))))
            or (
                high is not None and (number > Decimal(high) or (below and number == Decimal(high)))
            )
        )
    for digits, text, truth in _OPTION.findall(body):
        if digits and number is not None and number == Decimal(digits):
            return True
        if value.kind == "string" and not digits and not truth and text == value.text:
            return True
        if truth and value.text == truth.lower():
            return True
    return False


_KINDS: Final = {
    "int": {"integer"},
    "dec": {"integer", "decimal"},
    "str": {"string"},
    "bool": {"boolean"},
}


def _cardinality(text: str) -> tuple[int, int | None]:
    found = _CARDINALITY.fullmatch(text)
    if found is None:
        return 0, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _number(table: RefsetTable, name: str, row: int) -> int:
    column = table.field(name)
    return 0 if isinstance(column, TextColumn) else int(column[row])


def _text(table: RefsetTable, name: str, row: int) -> str:
    column = table.field(name)
    return column[row] if isinstance(column, TextColumn) else str(column[row])
