"""Post-coordinated SNOMED CT expressions: read, check, compare, show.

`parse` and `render` know the grammar only; the others ask a `ReleaseIndex` what the concepts are.
`describe` is the display of an expression, `canonical` its one text.
"""

from terminology.expressions.candidate import candidate
from terminology.expressions.errors import ExpressionError
from terminology.expressions.normal import NormalForm, normal_expression
from terminology.expressions.parsing import parse
from terminology.expressions.rendering import canonical, describe, render
from terminology.expressions.sites import sided, split
from terminology.expressions.subsumption import (
    Outcome,
    compare,
    equivalent_concept,
    normalise,
    parents,
    subsumes,
    supertypes,
)
from terminology.expressions.syntax import Expression
from terminology.expressions.validation import Finding, is_valid, validate

__all__ = [
    "Expression",
    "ExpressionError",
    "Finding",
    "NormalForm",
    "Outcome",
    "candidate",
    "canonical",
    "compare",
    "describe",
    "equivalent_concept",
    "is_valid",
    "normal_expression",
    "normalise",
    "parents",
    "parse",
    "render",
    "sided",
    "split",
    "subsumes",
    "supertypes",
    "validate",
]
