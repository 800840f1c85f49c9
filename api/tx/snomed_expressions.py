"""Post-coordinated expressions as codes: read, checked against a release, shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from terminology.ecl.candidate import Candidate
from terminology.errors import BodySiteError
from terminology.expressions import (
    Expression,
    ExpressionError,
    Finding,
    candidate,
    canonical,
    parse,
    render,
    validate,
)
from terminology.expressions.syntax import AttributeValue
from terminology.release.index import ReleaseIndex

# An expression keeps its meaning when a concept in it goes out of use, as a concept does.
_NO_FAULT: Final = frozenset({"inactive-concept"})
_NOT_CHECKED: Final = (
    "The expression is grammatically correct and the concepts are valid, but the expression has"
    " not been checked against the SNOMED CT concept model (MRCM)"
)


@dataclass(frozen=True, slots=True)
class PostCoordinated:
    """A valid expression; two are equal when they say the same parts.

    Parameters
    ----------
    key
        The canonical text, for comparing.
    code
        The expression without terms, its parts in the order they were written.
    notes
        What could not be checked, and what the concept model warns of.
    inactive
        Whether a concept in it is not in use.
    """

    key: str
    code: str = field(compare=False)
    expression: Expression = field(compare=False)
    candidate: Candidate = field(compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    inactive: bool = field(default=False, compare=False)


class InvalidExpressionError(BodySiteError):
    """A code that is no valid expression; `reason` says it as HL7's tools do."""

    def __init__(self, code: str, reason: str) -> None:
        self.reason = f"Not a valid expression: {reason}"
        super().__init__(
            "code", f"'{code}' is refused: {reason}", "a SNOMED CT code or expression", ""
        )


def read_expression(code: str, index: ReleaseIndex) -> Expression | PostCoordinated:
    """Return the expression that `code` is; as an `Expression` when it is one concept alone.

    Its concepts exist, its attributes are attributes, and it breaks no mandatory rule of the
    concept model that the release lets one check.

    Raises
    ------
    InvalidExpressionError
        It does not.
    """
    try:
        expression = parse(code)
        findings = validate(expression, index)
    except ExpressionError as error:
        raise InvalidExpressionError(code, f"{error.what}; expected {error.expected}") from error
    faults = [one.text for one in findings if one.severity == "error" and one.rule not in _NO_FAULT]
    if faults:
        raise InvalidExpressionError(code, "; ".join(dict.fromkeys(faults)))
    if expression.is_concept:
        return expression
    return PostCoordinated(
        canonical(expression),
        render(expression, terms=False),
        expression,
        candidate(expression, index),
        _notes(findings),
        any(one.rule in _NO_FAULT for one in findings),
    )


def _notes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the warnings; where some rules could not be checked, only that."""
    told = tuple(findings)
    if any(one.rule == "unchecked" for one in told):
        return (_NOT_CHECKED,)
    return tuple(dict.fromkeys(one.text for one in told if one.severity == "warning"))


def stated_attributes(expression: Expression) -> Iterator[tuple[str, AttributeValue]]:
    """Yield the name and the value of each attribute that the expression states itself."""
    for _, attribute in expression.attributes():
        yield attribute.name.code, attribute.value
