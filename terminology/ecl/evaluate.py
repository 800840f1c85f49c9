"""Parse an expression constraint and evaluate it on bitmaps of ordinals."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Final

from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import (
    UnexpectedCharacters,
    UnexpectedEOF,
    UnexpectedInput,
    UnexpectedToken,
    VisitError,
)
from pyroaring import BitMap, FrozenBitMap

from terminology.concept import Concept
from terminology.errors import EclError
from terminology.graph import BodyStructureGraph
from terminology.identifiers import sctid_problem
from terminology.index import CompiledGraph

# Constructs of ECL 2.2 that begin with these characters and need more than the hierarchy.
_NOT_BUILT: Final = {
    ":": "a refinement (:)",
    "^": "a reference set (^)",
    "{": "a filter or group ({)",
    ".": "a dotted attribute (.)",
    "[": "a cardinality ([)",
    "=": "an attribute comparison (=)",
    "#": "an alternate identifier (#)",
}
# Expressions up to this length keep their parse tree; a long one would keep megabytes.
_CACHED_LENGTH: Final = 1000
_NAMES: Final = {
    "SCTID": "a concept identifier",
    "TERM": "a term between |",
    "LPAR": "'('",
    "RPAR": "')'",
    "STAR": "'*'",
    "_AND": "AND",
    "_OR": "OR",
    "_MINUS": "MINUS",
    "$END": "the end",
}


def expand(expression: str, graph: BodyStructureGraph) -> tuple[Concept, ...]:
    """Return the concepts that `expression` names, sorted by code.

    Raises
    ------
    EclError
        The expression does not parse (with the position and what was expected), names a concept
        that the release does not hold, or uses a part of ECL that is not built.
    """
    found = ordinals(expression, graph)
    return tuple(graph.lookup(code) for code in graph.index.decode(found))


def ordinals(expression: str, graph: BodyStructureGraph) -> BitMap:
    """Return the ordinals in `graph.index` that `expression` names; errors as in `expand`."""
    try:
        return _Evaluator(expression, graph).transform(_parse(expression))
    except VisitError as error:
        if isinstance(error.orig_exc, EclError):
            raise error.orig_exc from None
        raise
    except RecursionError:
        raise EclError(
            expression[:40] + " …",
            None,
            "brackets nested too deep",
            "fewer than some 300 levels",
            "Split the expression.",
        ) from None


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("terminology.ecl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True)


def _parse(expression: str) -> Tree[Token]:
    return (_parse_short if len(expression) <= _CACHED_LENGTH else _parse_any)(expression)


def _parse_any(expression: str) -> Tree[Token]:
    try:
        return _parser().parse(expression)
    except UnexpectedInput as error:
        raise _syntax_error(expression, error) from None


_parse_short = lru_cache(maxsize=1024)(_parse_any)


def _syntax_error(expression: str, error: UnexpectedInput) -> EclError:
    if isinstance(error, UnexpectedToken):
        wanted, found = set(error.accepts or error.expected), str(error.token)
        at_end = error.token.type == "$END"
    elif isinstance(error, UnexpectedCharacters):
        wanted, found, at_end = set(error.allowed or ()), error.char, False
    else:
        wanted = set(error.expected) if isinstance(error, UnexpectedEOF) else set()
        found, at_end = "", True
    position = len(expression) if at_end else (error.pos_in_stream or 0)
    if found[:1] in _NOT_BUILT:
        what = f"{_NOT_BUILT[found[:1]]} is not supported yet,"
        return EclError(
            expression,
            position,
            what,
            "hierarchy operators, AND, OR, MINUS and brackets",
            "Rewrite the expression with these; no partial answer is given.",
        )
    operators = {name for name in wanted if name not in _NAMES}
    names = sorted(_NAMES[name] for name in wanted & _NAMES.keys())
    if operators - {"COMMENT", "WS"}:
        names.append("a hierarchy operator such as <<")
    what = "the expression ends" if at_end else f"'{found}' does not belong there"
    return EclError(expression, position, what, " or ".join(names) or "an expression constraint")


@v_args(inline=True)
class _Evaluator(Transformer[Token, BitMap]):
    """Turns a parse tree into a bitmap, from the leaves up; each method makes a set of its own."""

    def __init__(self, expression: str, graph: BodyStructureGraph) -> None:
        super().__init__()
        self._expression = expression
        self._graph = graph
        self._index = graph.index

    def start(self, found: BitMap) -> BitMap:
        return found

    def everything(self) -> BitMap:
        return BitMap(self._index.everything)

    def concept(self, token: Token, _term: Token | None) -> BitMap:
        code = str(token)
        if reason := sctid_problem(code):
            raise EclError(
                self._expression,
                token.start_pos,
                f"'{code}' {reason},",
                "a SNOMED CT concept identifier",
                "Check for a lost or doubled digit.",
            )
        if code not in self._graph:
            raise EclError(
                self._expression,
                token.start_pos,
                f"unknown concept '{code}'",
                f"a concept of {self._graph.version}",
                "Look it up with 'bodysite terminology search'.",
            )
        return BitMap([self._index.ordinal(code)])

    def operator(self, token: Token) -> str:
        return str(token.type)

    def constraint(self, operator: str | None, focus: BitMap) -> BitMap:
        return _OPERATORS[operator](self._index, focus) if operator else focus

    def conjunction(self, *sets: BitMap) -> BitMap:
        return BitMap.intersection(*sets)

    def disjunction(self, *sets: BitMap) -> BitMap:
        return BitMap.union(*sets)

    def exclusion(self, kept: BitMap, removed: BitMap) -> BitMap:
        return kept - removed


def _reach(step: Callable[[CompiledGraph, int], FrozenBitMap], with_self: bool) -> _Operator:
    def operator(index: CompiledGraph, focus: BitMap) -> BitMap:
        found = BitMap(focus) if with_self else BitMap()
        for ordinal in focus:
            found |= step(index, ordinal)
        return found

    return operator


def _top(index: CompiledGraph, focus: BitMap) -> BitMap:
    """Keep the concepts of the set that have no ancestor in it."""
    return BitMap(one for one in focus if not index.ancestors(one) & focus)


def _bottom(index: CompiledGraph, focus: BitMap) -> BitMap:
    """Keep the concepts of the set that have no descendant in it."""
    return BitMap(one for one in focus if not index.descendants(one) & focus)


_Operator = Callable[[CompiledGraph, BitMap], BitMap]
_OPERATORS: Final[dict[str, _Operator]] = {
    "DESCENDANT": _reach(CompiledGraph.descendants, False),
    "DESCENDANT_OR_SELF": _reach(CompiledGraph.descendants, True),
    "CHILD": _reach(CompiledGraph.children, False),
    "CHILD_OR_SELF": _reach(CompiledGraph.children, True),
    "ANCESTOR": _reach(CompiledGraph.ancestors, False),
    "ANCESTOR_OR_SELF": _reach(CompiledGraph.ancestors, True),
    "PARENT": _reach(CompiledGraph.parents, False),
    "PARENT_OR_SELF": _reach(CompiledGraph.parents, True),
    "TOP": _top,
    "BOTTOM": _bottom,
}
