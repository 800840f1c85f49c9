"""Text in SNOMED CT compositional grammar → `Expression`, or an error that says where and why."""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from terminology.expressions.errors import ExpressionError
from terminology.expressions.syntax import (
    Attribute,
    AttributeGroup,
    AttributeValue,
    BooleanValue,
    ConceptReference,
    DefinitionStatus,
    Expression,
    NumericValue,
    StringValue,
)

# Far beyond any clinical expression; they keep a hostile text from costing time or the stack:
# characters, expressions nested in each other, focus concepts and attributes in all, focus concepts
# of one expression (each of which is compared with every other).
MAX_LENGTH: Final = 16_384
MAX_DEPTH: Final = 40
MAX_PARTS: Final = 256
MAX_FOCUS: Final = 16
# Texts up to this length keep their `Expression`.
_CACHED_LENGTH: Final = 500

_BLANK: Final = " \t\r\n"
_ESCAPED: Final = re.compile(r'\\(["\\])')
_NOT_IN_TERM: Final = re.compile(r"[^ !-{}~\x80-\ud7ff\ue000-\U0010ffff]")
_NAMES: Final = {
    "EQUIVALENT_TO": "'==='",
    "SUBTYPE_OF": "'<<<'",
    "SCTID": "a concept identifier",
    "TERM": "a term between |",
    "STRING": 'a text in "…"',
    "NUMBER": "a number after #",
    "BOOLEAN": "true or false",
    "_COMMA": "','",
    "COLON": "':'",
    "PLUS": "'+'",
    "EQUAL": "'='",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LPAR": "'('",
    "RPAR": "')'",
    "$END": "the end",
}


def parse(text: str) -> Expression:
    """Return what `text` says in SNOMED CT Compositional Grammar 2.4.

    Nothing is looked up: whether the concepts exist is for `validate`.

    Raises
    ------
    ExpressionError
        The text is not in the grammar, or is longer, deeper or has more parts or focus concepts
        than `MAX_LENGTH`, `MAX_DEPTH`, `MAX_PARTS` and `MAX_FOCUS` allow; with the position.
    """
    return _parse_short(text) if len(text) <= _CACHED_LENGTH else _parse_any(text)


def read(expression: Expression | str) -> Expression:
    """Return `expression` parsed, when it is text."""
    return parse(expression) if isinstance(expression, str) else expression


def _parse_any(text: str) -> Expression:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            text,
            MAX_LENGTH,
            f"{len(text)} characters",
            f"{MAX_LENGTH} characters at most",
            "Split the expression.",
        )
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except _RefusedError as error:
        raise ExpressionError(text, error.position, error.what, error.expected) from None
    assert isinstance(tree, Expression)  # noqa: S101 - what the builder's `start` returns
    return tree


_parse_short = lru_cache(maxsize=4096)(_parse_any)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("terminology.expressions").joinpath("grammar.lark").read_text("utf-8")
    # The builder runs while the text is read, so that no depth of nesting costs stack.
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=_Builder())


class _RefusedError(Exception):
    """Something the grammar file lets pass and the standard does not."""

    def __init__(self, position: int, what: str, expected: str) -> None:
        self.position = position
        self.what = what
        self.expected = expected


class _Body(NamedTuple):
    """An expression without status, how deep it is, and how many parts it has."""

    expression: Expression
    depth: int
    parts: int


class _Built(NamedTuple):
    """An attribute, with depth and parts of the expression that is its value."""

    attribute: Attribute
    depth: int
    parts: int


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Builds the values, from the leaves up; a sub-expression travels with its size."""

    def start(self, status: DefinitionStatus | None, body: _Body) -> Expression:
        expression = body.expression
        return Expression(expression.focus, expression.ungrouped, expression.groups, status)

    def status(self, token: Token) -> DefinitionStatus:
        return DefinitionStatus(str(token))

    def subexpression(
        self,
        focus: tuple[ConceptReference, ...],
        refinement: _Refinement | None,
    ) -> _Body:
        ungrouped, groups = refinement or ((), ())
        built = [one for attributes in (ungrouped, *groups) for one in attributes]
        depth = 1 + max((one.depth for one in built), default=0)
        parts = len(focus) + sum(1 + one.parts for one in built)
        if depth > MAX_DEPTH:
            raise _RefusedError(
                focus[0].position,
                f"more than {MAX_DEPTH} expressions nested in each other",
                "a flatter expression",
            )
        if parts > MAX_PARTS:
            raise _RefusedError(
                focus[0].position,
                f"{parts} focus concepts and attributes",
                f"{MAX_PARTS} of them at most",
            )
        if len(focus) > MAX_FOCUS:
            raise _RefusedError(
                focus[0].position, f"{len(focus)} focus concepts", f"{MAX_FOCUS} of them at most"
            )
        expression = Expression(
            focus,
            tuple(one.attribute for one in ungrouped),
            tuple(AttributeGroup(tuple(one.attribute for one in group)) for group in groups),
        )
        return _Body(expression, depth, parts)

    def focus(self, *concepts: ConceptReference) -> tuple[ConceptReference, ...]:
        return concepts

    def concept(self, code: Token, term: Token | None) -> ConceptReference:
        position = code.start_pos or 0
        if code.startswith("0"):
            raise _RefusedError(position, f"'{code}' begins with 0", "a concept identifier")
        if not 6 <= len(code) <= 18:
            raise _RefusedError(
                position, f"'{code[:40]}' has {len(code)} digits", "an identifier of 6 to 18 digits"
            )
        return ConceptReference(
            str(code), None if term is None else term[1:-1].strip(_BLANK), position
        )

    def refinement(self, *parts: _Built | list[_Built]) -> _Refinement:
        ungrouped = tuple(part for part in parts if isinstance(part, _Built))
        return ungrouped, tuple(part for part in parts if isinstance(part, list))

    def attribute_group(self, *attributes: _Built) -> list[_Built]:
        return list(attributes)

    def attribute(self, name: ConceptReference, value: AttributeValue | _Body) -> _Built:
        if isinstance(value, _Body):
            return _Built(Attribute(name, value.expression), value.depth, value.parts)
        return _Built(Attribute(name, value), 0, 0)

    def nested(self, body: _Body) -> _Body:
        return body

    def string(self, token: Token) -> StringValue:
        return StringValue(_ESCAPED.sub(r"\1", token[1:-1]), token.start_pos or 0)

    def number(self, token: Token) -> NumericValue:
        return NumericValue(token[1:], token.start_pos or 0)

    def boolean(self, token: Token) -> BooleanValue:
        return BooleanValue(token.lower() == "true", token.start_pos or 0)


_Refinement = tuple[tuple[_Built, ...], tuple[list[_Built], ...]]


def _syntax_error(text: str, error: UnexpectedInput) -> ExpressionError:
    if isinstance(error, UnexpectedCharacters):
        found, at_end = error.char, False
    else:
        assert isinstance(error, UnexpectedToken)  # noqa: S101 - LALR raises these two
        found, at_end = str(error.token), error.token.type == "$END"
    position = len(text) if at_end else (error.pos_in_stream or 0)
    wanted = _acceptable(text)
    expected = _listed(sorted(_NAMES[name] for name in wanted & _NAMES.keys()))
    if found == "|" and "TERM" in wanted:
        return _term_error(text, position)
    if found == '"' and "STRING" in wanted:
        what = "a text that is empty, not closed or wrongly escaped"
        return ExpressionError(text, position, what, r'"…" with \" and \\ for quote and backslash')
    what = "the expression ends" if at_end else f"{found[:40]!r} does not belong there"
    return ExpressionError(text, position, what, expected or "an expression")


def _acceptable(text: str) -> set[str]:
    """Return the names of the terminals that could stand where `text` goes wrong."""
    parser = _parser().parse_interactive(text)
    with contextlib.suppress(UnexpectedInput):
        for _ in parser.iter_parse():
            pass
    return set(parser.accepts())  # type: ignore[no-untyped-call]


def _term_error(text: str, start: int) -> ExpressionError:
    """Say what is wrong with the term whose first | is at `start`."""
    expected = "a term of printable characters and single lines between | and |"
    end = text.find("|", start + 1)
    if end < 0:
        return ExpressionError(text, start, "a term without its closing |", expected)
    inside = text[start + 1 : end]
    if not inside.strip(_BLANK):
        return ExpressionError(text, start, "an empty term", expected)
    begin = len(inside) - len(inside.lstrip(_BLANK))
    bad = _NOT_IN_TERM.search(inside.rstrip(_BLANK), begin)
    position = start if bad is None else start + 1 + bad.start()
    return ExpressionError(text, position, f"{text[position]!r} inside a term", expected)


def _listed(names: list[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} or {last}" if first else last
