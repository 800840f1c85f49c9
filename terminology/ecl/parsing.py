"""Text → syntax tree, or an `EclError` that says where and what was expected."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Final

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from terminology.ecl.building import RefusalError, builder
from terminology.ecl.syntax import Constraint
from terminology.errors import EclError

# So many brackets, braces and filters may stand inside one another: far more than anybody writes,
# and few enough for the trees to be walked by recursion.
DEEPEST: Final = 100
# Trees of expressions up to this length are kept; a long one would keep megabytes.
_KEPT_LENGTH: Final = 1000
_KEPT: Final = 1024
# How much of a long expression an error shows.
_SHOWN: Final = 2000

_SKIPPED_OR_BRACKET: Final = re.compile(
    r"/\*(?:[^*]*\*+(?:[^/*][^*]*\*+)*/|.*)"
    r"|\|[^|]*\|?"
    r'|"(?:[^"\\]|\\.)*"?'
    r"|(?P<open>[({])|(?P<close>[)}])",
    re.DOTALL,
)
_NAMES: Final = {
    "$END": "the end",
    "ACTIVE_VALUE": "1, 0, true or false",
    "ALTERNATE": "an alternate identifier such as LOINC#54486-6",
    "BOOLEAN": "true or false",
    "CARDINALITY": "a cardinality such as [1..3]",
    "COLON": "':'",
    "DIALECT_ALIAS": "a dialect such as en-gb",
    "DOT": "'.'",
    "FIELD": "the name of a reference set field",
    "FILTER": "'{{'",
    "LANGUAGE_CODE": "a language code such as en",
    "LBRACE": "'{'",
    "NUMBER": "a number such as #10",
    "REVERSE": "R",
    "SCTID": "a concept identifier",
    "STAR": "'*'",
    "STRING": "a text in quotes",
    "TERM": "a term between |",
    "TIME": 'a date such as "20250101"',
    "WILD_STRING": "a text in quotes",
    "ACCEPTABLE": "accept",
    "DEFINED": "defined",
    "DEFINITION": "def",
    "FULLY_SPECIFIED_NAME": "fsn",
    "PREFERRED": "prefer",
    "PRIMITIVE": "primitive",
    "SYNONYM": "syn",
    "ACTIVE": "active",
    "DIALECT": "dialect",
    "DIALECT_ID": "dialectId",
    "EFFECTIVE_TIME": "effectiveTime",
    "HISTORY": "HISTORY",
    "ID": "id",
    "LANGUAGE": "language",
    "MODULE_ID": "moduleId",
    "STATUS": "definitionStatus",
    "STATUS_ID": "definitionStatusId",
    "TERM_KEY": "term",
    "TYPE": "type",
    "TYPE_ID": "typeId",
    "_AND": "AND",
    "_COMMA": "','",
    "_END_FILTER": "'}}'",
    "_LPAR": "'('",
    "_MINUS": "MINUS",
    "_OR": "OR",
    "_RBRACE": "'}'",
    "_RPAR": "')'",
    "_RSQB": "']'",
}
_OPERATORS: Final = frozenset(
    {
        "ANCESTOR_OF",
        "ANCESTOR_OR_SELF_OF",
        "BOTTOM",
        "CHILD_OF",
        "CHILD_OR_SELF_OF",
        "DESCENDANT_OF",
        "DESCENDANT_OR_SELF_OF",
        "MEMBER_OF",
        "PARENT_OF",
        "PARENT_OR_SELF_OF",
        "TOP",
    }
)
_COMPARATORS: Final = {"=": "EQUAL", "!=": "NOT_EQUAL"}


def parse(text: str) -> Constraint:
    """Return the syntax tree of an expression constraint, in brief or long syntax.

    Nothing is looked up: whether the concepts exist is for the evaluation to say.

    Raises
    ------
    EclError
        The text is no expression constraint of ECL 2.2, holds a code that is no SNOMED CT
        identifier, or is nested deeper than `DEEPEST`.
    """
    return (_parse_short if len(text) <= _KEPT_LENGTH else _parse)(text)


def shown(text: str) -> str:
    """Return an expression as an error shows it: a very long one is cut."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def _parse(text: str) -> Constraint:
    _check_depth(text)
    try:
        tree: Constraint = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except RefusalError as error:
        raise error.of(shown(text)) from None
    return tree


_parse_short = lru_cache(maxsize=_KEPT)(_parse)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("terminology.ecl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=builder())


def _check_depth(text: str) -> None:
    depth = 0
    for found in _SKIPPED_OR_BRACKET.finditer(text):
        if found["open"]:
            depth += 1
            if depth > DEEPEST:
                raise EclError(
                    shown(text),
                    found.start(),
                    "brackets nested too deep",
                    f"at most {DEEPEST} levels",
                    "Split the expression.",
                )
        elif found["close"]:
            depth -= 1


def _syntax_error(text: str, error: UnexpectedInput) -> EclError:
    if isinstance(error, UnexpectedToken):
        wanted, found = set(error.accepts or error.expected), str(error.token)
        at_end = error.token.type == "$END"
    elif isinstance(error, UnexpectedCharacters):
        wanted = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
        found, at_end = error.char, False
    else:
        wanted, found, at_end = set(), "", True
    position = len(text) if at_end else (error.pos_in_stream or 0)
    what = "the expression ends" if at_end else f"'{shown(found)}' does not belong there"
    return EclError(shown(text), position, what, _expected(wanted))


def _expected(wanted: set[str]) -> str:
    names = [f"'{sign}'" for sign, token in _COMPARATORS.items() if token in wanted]
    names += sorted({_NAMES[name] for name in wanted & _NAMES.keys()})
    if wanted & _OPERATORS:
        names.append("a hierarchy operator such as <<")
    return " or ".join(names) or "an expression constraint"
