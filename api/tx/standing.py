"""How new concepts of a code system stand to those known, and to one another.

Every pair is found from what lies above a concept, never by comparing all with all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pyroaring import AbstractBitMap, BitMap

from api.errors import LimitError
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.snomed import SnomedProvider
from api.tx.snomed_expressions import PostCoordinated
from terminology.release.index import ReleaseIndex

NARROWER: Final = "source-is-narrower-than-target"
EQUIVALENT: Final = "equivalent"
# Expressions are compared by their meaning, which takes up to milliseconds.
MAX_COMPARED: Final = 5000

Named = tuple[str, Concept]
"""A concept, and its code as it was sent: two ways to write one concept are two of these."""
Entry = tuple[str, str, str]
"""code, code above it, relationship."""


def entries(
    provider: CodeSystemProvider, new: Sequence[Named], known: Sequence[Named]
) -> Iterator[Entry]:
    """Yield each pair of a concept in `new` with one in `known` or another one in `new`, once.

    Raises
    ------
    LimitError
        Too many expressions would have to be compared.
    """
    if isinstance(provider, SnomedProvider):
        yield from _of_snomed(provider, new, known)
        return
    fresh, names = _by_key(new), _by_key((*known, *new))
    yield from _spelt_otherwise(_by_key(known), fresh)
    for code, concept in new:
        for above in _above(provider, concept):
            yield from ((code, other, NARROWER) for other in names.get(above, ()))
    for code, concept in known:
        for above in _above(provider, concept):
            yield from ((code, other, NARROWER) for other in fresh.get(above, ()))


def _above(provider: CodeSystemProvider, concept: Concept) -> Iterator[str]:
    """Yield the codes of everything above a concept, each once, without its own."""
    seen, waiting = {concept.code}, [concept]
    while waiting:
        for parent in provider.parents(waiting.pop()):
            if parent.code not in seen:
                seen.add(parent.code)
                waiting.append(parent)
                yield parent.code


def _by_key(concepts: Iterable[Named]) -> dict[str, list[str]]:
    """Return the codes as sent, by the code as the code system has it."""
    found: dict[str, list[str]] = {}
    for code, concept in concepts:
        found.setdefault(concept.code, []).append(code)
    return found


def _spelt_otherwise(known: dict[str, list[str]], fresh: dict[str, list[str]]) -> Iterator[Entry]:
    for key, codes in fresh.items():
        earlier = list(known.get(key, ()))
        for code in codes:
            yield from ((code, other, EQUIVALENT) for other in earlier)
            earlier.append(code)


def _of_snomed(
    provider: SnomedProvider, new: Sequence[Named], known: Sequence[Named]
) -> Iterator[Entry]:
    index = provider.index
    plain, expressions = _sorted(new)
    known_plain, known_expressions = _sorted(known)
    yield from _spelt_otherwise(_by_key(known_plain), _by_key(plain))
    fresh, old = _Table(plain), _Table(known_plain)
    for ordinal, codes in fresh.codes.items():
        ancestors, descendants = index.ancestors(ordinal), index.descendants(ordinal)
        for code in codes:
            for table in (old, fresh):
                yield from ((code, other, NARROWER) for other in table.named(ancestors))
            yield from ((other, code, NARROWER) for other in old.named(descendants))
    compared = 0
    for number, expression in enumerate(expressions):
        others = [*known_expressions, *expressions[:number]]
        for table in (old, fresh):
            others += table.near(index, expression[1])
        compared += len(others)
        _refuse_too_many(compared)
        yield from _compared(provider, expression, others)
    for expression in known_expressions:
        others = fresh.near(index, expression[1])
        compared += len(others)
        _refuse_too_many(compared)
        yield from _compared(provider, expression, others)


class _Table:
    """Plain concepts of SNOMED CT by ordinal, with their codes as sent."""

    def __init__(self, concepts: Iterable[Named]) -> None:
        self.codes: dict[int, list[str]] = {}
        for code, concept in concepts:
            self.codes.setdefault(concept.ref, []).append(code)
        self.ordinals = BitMap(self.codes)

    def named(self, ordinals: AbstractBitMap) -> Iterator[str]:
        """Yield the codes of those of `ordinals` that are in the table."""
        for ordinal in self.ordinals & ordinals:
            yield from self.codes[ordinal]

    def near(self, index: ReleaseIndex, expression: Concept) -> list[Named]:
        """Return the concepts above an expression, and those that may be below it.

        What an expression subsumes lies below everything that subsumes the expression.
        """
        above = expression.ref.candidate.supertypes()
        below = BitMap(self.ordinals)
        for ordinal in index.most_specific(above):
            below &= index.descendants(ordinal) | BitMap([ordinal])
        chosen = (self.ordinals & above) | below
        return [
            (code, Concept(index.code(ordinal), ordinal))
            for ordinal in chosen
            for code in self.codes[ordinal]
        ]


def _sorted(concepts: Iterable[Named]) -> tuple[list[Named], list[Named]]:
    """Return the plain concepts and the expressions."""
    plain: list[Named] = []
    expressions: list[Named] = []
    for one in concepts:
        (expressions if isinstance(one[1].ref, PostCoordinated) else plain).append(one)
    return plain, expressions


def _compared(provider: SnomedProvider, one: Named, others: Iterable[Named]) -> Iterator[Entry]:
    code, concept = one
    for other_code, other in others:
        match provider.compare(concept, other):
            case "equivalent":
                yield code, other_code, EQUIVALENT
            case "subsumed-by":
                yield code, other_code, NARROWER
            case "subsumes":
                yield other_code, code, NARROWER


def _refuse_too_many(compared: int) -> None:
    if compared > MAX_COMPARED:
        raise LimitError(
            "$closure concept",
            f"{compared} comparisons of expressions are more than one call may cost",
            f"at most {MAX_COMPARED}",
            "Send fewer expressions at once.",
        )
