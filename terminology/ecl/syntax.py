"""What an expression constraint says: frozen values, nothing looked up.

The names are those of ECL 2.2. `position` is the character, counted from 0, at which a part begins
in the text it was read from; it takes no part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Operator(StrEnum):
    """A constraint operator, by its brief form."""

    DESCENDANT_OF = "<"
    DESCENDANT_OR_SELF_OF = "<<"
    CHILD_OF = "<!"
    CHILD_OR_SELF_OF = "<<!"
    ANCESTOR_OF = ">"
    ANCESTOR_OR_SELF_OF = ">>"
    PARENT_OF = ">!"
    PARENT_OR_SELF_OF = ">>!"
    TOP = "!!>"
    BOTTOM = "!!<"


class Comparator(StrEnum):
    """A comparison operator, by its brief form."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class HistoryProfile(StrEnum):
    """Which historical associations a supplement follows; `ALL` is the keyword alone."""

    MINIMUM = "HISTORY-MIN"
    MODERATE = "HISTORY-MOD"
    MAXIMUM = "HISTORY-MAX"
    ALL = "HISTORY"


class TypeToken(StrEnum):
    """A description type by its keyword."""

    SYNONYM = "syn"
    FULLY_SPECIFIED_NAME = "fsn"
    DEFINITION = "def"


class StatusToken(StrEnum):
    """A definition status by its keyword."""

    PRIMITIVE = "primitive"
    DEFINED = "defined"


class AcceptabilityToken(StrEnum):
    """An acceptability by its keyword."""

    ACCEPTABLE = "accept"
    PREFERRED = "prefer"


# The focus


@dataclass(frozen=True, slots=True)
class ConceptReference:
    """A concept by its identifier, with the term that stands beside it, if any."""

    code: str
    term: str | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``*``: any concept."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AlternateIdentifier:
    """A concept by an identifier of another scheme, such as ``LOINC#54486-6``.

    `quoted` says whether it stood in quotes, where a text to search for may stand as well.
    """

    scheme: str
    identifier: str
    term: str | None = None
    position: int = field(default=0, compare=False)
    quoted: bool = field(default=False, compare=False)


# Sub-expressions


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A constraint operator and what it is applied to."""

    operator: Operator
    operand: Constraint
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MemberOf:
    """``^``: the members of reference sets.

    Attributes
    ----------
    refsets
        The reference sets.
    fields
        The fields whose values are asked for, or ("*",); none means `referencedComponentId`.
    filters
        The member filters, each a conjunction of conditions on a row.
    """

    refsets: Constraint
    fields: tuple[str, ...] = ()
    filters: tuple[tuple[MemberCondition, ...], ...] = ()
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DescriptionFilter:
    """``{{ D … }}``: one description of the concept meets every condition."""

    conditions: tuple[DescriptionCondition, ...]


@dataclass(frozen=True, slots=True)
class ConceptFilter:
    """``{{ C … }}``: the concept meets every condition."""

    conditions: tuple[ConceptCondition, ...]


@dataclass(frozen=True, slots=True)
class Filtered:
    """A sub-expression and its description and concept filters, all of which must hold."""

    operand: Constraint
    filters: tuple[DescriptionFilter | ConceptFilter, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class History:
    """``{{ + HISTORY … }}``: a set and the concepts whose historical associations point into it.

    `refsets` stands in place of a profile: the association reference sets to follow.
    """

    operand: Constraint
    profile: HistoryProfile | None
    refsets: Constraint | None = None
    position: int = field(default=0, compare=False)


# Expressions


@dataclass(frozen=True, slots=True)
class Conjunction:
    """AND: two operands or more."""

    operands: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """OR: two operands or more."""

    operands: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """MINUS."""

    kept: Constraint
    removed: Constraint


@dataclass(frozen=True, slots=True)
class Refined:
    """A focus and its refinement, which stands behind the colon at `position`."""

    focus: Constraint
    refinement: Refinement
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Dotted:
    """``X . a . b``: values of the attributes, followed from left to right."""

    source: Constraint
    attributes: tuple[Constraint, ...]
    position: int = field(default=0, compare=False)


Constraint = (
    ConceptReference
    | Wildcard
    | AlternateIdentifier
    | Hierarchy
    | MemberOf
    | Filtered
    | History
    | Conjunction
    | Disjunction
    | Exclusion
    | Refined
    | Dotted
)


# Refinements


@dataclass(frozen=True, slots=True)
class Cardinality:
    """At least `minimum`, at most `maximum`; `None` is many."""

    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """One ``name comparison``; without a cardinality it is [1..*]."""

    name: Constraint
    comparison: AttributeComparison
    cardinality: Cardinality | None = None
    reverse: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """``{ … }``: attributes that hold in one relationship group; holds no group itself."""

    attributes: Refinement
    cardinality: Cardinality | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AllOf:
    """A conjunction of refinements: two or more."""

    parts: tuple[Refinement, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A disjunction of refinements: two or more."""

    parts: tuple[Refinement, ...]


Refinement = Attribute | Group | AllOf | AnyOf


# Comparisons


@dataclass(frozen=True, slots=True)
class ConceptComparison:
    """The value is (`equal`), or is not, in a set of concepts."""

    equal: bool
    value: Constraint


@dataclass(frozen=True, slots=True)
class NumericComparison:
    """The value is a number that compares so."""

    comparator: Comparator
    value: Decimal


@dataclass(frozen=True, slots=True)
class WordSearch:
    """``"heart att"``: every word begins a word of the text, in any order."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WildSearch:
    r"""``wild:"cardi*opathy"``: the whole text; escapes (``\"``, ``\\``, ``\*``) as written."""

    pattern: str


SearchTerm = WordSearch | WildSearch


@dataclass(frozen=True, slots=True)
class TextComparison:
    """The text matches one of the search terms, or (not `equal`) none of them."""

    equal: bool
    terms: tuple[SearchTerm, ...]


@dataclass(frozen=True, slots=True)
class BooleanComparison:
    """The value is, or is not, this truth value."""

    equal: bool
    value: bool


@dataclass(frozen=True, slots=True)
class TimeComparison:
    """The date compares so with one of `times`, numbers YYYYMMDD; 0 is "no date yet"."""

    comparator: Comparator
    times: tuple[int, ...]


AttributeComparison = ConceptComparison | NumericComparison | TextComparison | BooleanComparison


# Conditions of filters


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """``(A B)``: two concept references or more, in a filter."""

    concepts: tuple[ConceptReference, ...]


@dataclass(frozen=True, slots=True)
class TermCondition:
    """``term = …``."""

    comparison: TextComparison


@dataclass(frozen=True, slots=True)
class LanguageCondition:
    """``language = …``; codes in lower case."""

    equal: bool
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypeCondition:
    """``type = …``."""

    equal: bool
    types: tuple[TypeToken, ...]


@dataclass(frozen=True, slots=True)
class TypeIdCondition:
    """``typeId = …``."""

    equal: bool
    value: Constraint | ConceptSet


Acceptability = tuple[AcceptabilityToken | ConceptReference, ...]


@dataclass(frozen=True, slots=True)
class DialectAlias:
    """An alias such as ``en-gb``, in lower case, perhaps with an acceptability of its own."""

    alias: str
    acceptability: Acceptability = ()
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DialectReference:
    """A language reference set in a set of them, perhaps with an acceptability of its own."""

    concept: ConceptReference
    acceptability: Acceptability = ()


@dataclass(frozen=True, slots=True)
class DialectCondition:
    """``dialect = …``; `acceptability` holds for aliases that have none of their own."""

    equal: bool
    dialects: tuple[DialectAlias, ...]
    acceptability: Acceptability = ()


@dataclass(frozen=True, slots=True)
class DialectIdCondition:
    """``dialectId = …``; `acceptability` holds for reference sets that have none of their own."""

    equal: bool
    dialects: Constraint | tuple[DialectReference, ...]
    acceptability: Acceptability = ()


@dataclass(frozen=True, slots=True)
class ModuleCondition:
    """``moduleId = …``."""

    equal: bool
    value: Constraint | ConceptSet


@dataclass(frozen=True, slots=True)
class EffectiveTimeCondition:
    """``effectiveTime = …``."""

    comparison: TimeComparison


@dataclass(frozen=True, slots=True)
class ActiveCondition:
    """``active = …``."""

    comparison: BooleanComparison


@dataclass(frozen=True, slots=True)
class DescriptionIdCondition:
    """``id = …``: description identifiers."""

    equal: bool
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusCondition:
    """``definitionStatus = …``."""

    equal: bool
    statuses: tuple[StatusToken, ...]


@dataclass(frozen=True, slots=True)
class StatusIdCondition:
    """``definitionStatusId = …``."""

    equal: bool
    value: Constraint | ConceptSet


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """A field of a reference set compares so."""

    field_name: str
    comparison: AttributeComparison | TimeComparison
    position: int = field(default=0, compare=False)


RowCondition = ModuleCondition | EffectiveTimeCondition | ActiveCondition
DescriptionCondition = (
    TermCondition
    | LanguageCondition
    | TypeCondition
    | TypeIdCondition
    | DialectCondition
    | DialectIdCondition
    | DescriptionIdCondition
    | RowCondition
)
ConceptCondition = StatusCondition | StatusIdCondition | RowCondition
MemberCondition = FieldCondition | RowCondition
