"""Body sites that a search means → those of the codes in use that it has to find.

The codes that a search for a concept must look for are cut with the codes in use, and the store is
asked for those. A new release therefore needs no re-indexing.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

from api.errors import SearchError
from api.indexing.systems import is_snomed
from api.indexing.words import labels, words_of
from api.search.parsing import phrases, token
from api.search.value_sets import ValueSets
from terminology import expressions
from terminology.concept import SNOMED
from terminology.errors import BodySiteError, UnknownConceptError
from terminology.expressions import Expression, ExpressionError
from terminology.graph import BodyStructureGraph
from terminology.identifiers import check_sctid

_MOST_HITS: Final = 5000


class Sites:
    """Finds the codes in use that a value of a site parameter means.

    Parameters
    ----------
    graph
        The body structures.
    value_sets
        What answers `:in`; `None` where no terminology service is here.
    """

    def __init__(self, graph: BodyStructureGraph, value_sets: ValueSets | None) -> None:
        self._graph = graph
        self._value_sets = value_sets

    def found(self, name: str, modifier: str, value: str, in_use: Sequence[str]) -> Iterable[str]:
        """Return those of `in_use`, codes and expressions of SNOMED CT, that `value` means.

        Parameters
        ----------
        name
            The parameter as the client wrote it.
        modifier
            "", below or above.
        value
            A token; a bare code is one of SNOMED CT.

        Raises
        ------
        SearchError
            The code is of another system, or of no body structure.
        IdentifierError
            It is no SCTID and no expression.
        """
        system, code = token(name, value)
        if system and not is_snomed(system):
            raise SearchError(
                name,
                f"the code system '{system[:200]}' is not the one of body sites",
                f"{SNOMED}|code",
                "Translate the code first: /r4/ConceptMap/$translate.",
                issue="code-invalid",
            )
        if code is None:
            return in_use
        simple = [one for one in in_use if one.isdigit()]
        others = [one for one in in_use if not one.isdigit()]
        if _is_expression(code):
            return self._by_expression(name, modifier, code, simple, others)
        check_sctid(code, where=name)
        return [*self._by_code(name, modifier, code, simple), *self._post(modifier, code, others)]

    def named(self, name: str, value: str, in_use: Sequence[str]) -> Iterable[str]:
        """Return those of `in_use` that are in or under a site which words name.

        A site is named by a text that is one of its names in any language, else by a name that has
        words which begin like all of the words of the text. ``knie*`` asks for such beginnings.
        """
        found: set[str] = set()
        simple = [one for one in in_use if one.isdigit()]
        for alternative in phrases(name, value):
            words = tuple(word for phrase, _ in alternative for word in phrase)
            open_ = any(is_open for _, is_open in alternative)
            for code in _names(self._graph).sites(words, exact=not open_):
                found.update(self._graph.found_below(code, simple))
        return found

    def members(
        self, name: str, canonical: str, in_use: Iterable[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Return those of the codes in use that are in a value set, by themselves or now.

        A former code of SNOMED CT is in a value set as well where what replaced it is.
        """
        if self._value_sets is None:
            raise SearchError(
                name,
                "no terminology service is here",
                "a code, or :below",
                "Search through the service.",
                issue="not-supported",
            )
        meant = {one: self._meanings(*one) for one in in_use}
        asked = {code for codes in meant.values() for code in codes}
        inside = self._value_sets.members(name, canonical, sorted(asked))
        return {one for one, codes in meant.items() if not inside.isdisjoint(codes)}

    def _meanings(self, system: str, code: str) -> set[tuple[str, str]]:
        meant = {(system, code)}
        if system == SNOMED and code.isdigit():
            with contextlib.suppress(BodySiteError):
                meant.update((SNOMED, one) for one in self._graph.history(code).successors)
        return meant

    def _by_code(self, name: str, modifier: str, code: str, in_use: Sequence[str]) -> Iterable[str]:
        try:
            if modifier == "below":
                return _found_below(self._graph, code, tuple(in_use))
            if modifier == "above":
                return self._graph.found_above(code, in_use)
            wanted = self._graph.equivalents(code)
        except UnknownConceptError as error:
            if modifier in {"below", "above"}:
                raise SearchError(
                    name, error.what, error.expected, error.remedy, issue="not-found"
                ) from None
            wanted = frozenset({code})
        return [one for one in in_use if one in wanted]

    def _post(self, modifier: str, code: str, in_use: Iterable[str]) -> Iterator[str]:
        """Yield the expressions in use that a code means."""
        for one in in_use:
            for meant in {code, self._now(code)}:
                if self._stands(modifier, meant, one):
                    yield one
                    break

    def _by_expression(
        self, name: str, modifier: str, text: str, simple: Sequence[str], others: Sequence[str]
    ) -> Iterable[str]:
        try:
            parsed = expressions.parse(text)
            code = self._code_of(parsed)
            if code is None:
                # Every concept of it has to be here.
                expressions.normalise(parsed, self._graph.index)
        except (ExpressionError, UnknownConceptError) as error:
            raise SearchError(
                name, error.what, error.expected, error.remedy, issue="code-invalid"
            ) from None
        if code is not None:
            return [
                *self._by_code(name, modifier, code, simple),
                *(one for one in others if self._stands(modifier, text, one)),
            ]
        return [one for one in (*simple, *others) if self._stands(modifier, text, self._now(one))]

    def _now(self, code: str) -> str:
        """Return the code to use today, or `code` where nothing is known of it."""
        with contextlib.suppress(BodySiteError):
            return self._graph.current(code)
        return code

    def _code_of(self, expression: Expression) -> str | None:
        """Return the code of the concept that an expression means, if there is one."""
        index = self._graph.index
        concept = expressions.equivalent_concept(expression, index)
        if concept is not None:
            return index.code(concept)
        site, side = expressions.split(expression, index)
        if side is None:
            return site if site.isdigit() else None
        return self._graph.sided(site, side) if site.isdigit() and site in self._graph else None

    def _stands(self, modifier: str, wanted: str, one: str) -> bool:
        """Return whether a code or expression in use stands as asked to the one wanted."""
        return _stands(self._graph, modifier, wanted, one)


@lru_cache(maxsize=1000)
def _found_below(graph: BodyStructureGraph, code: str, in_use: tuple[str, ...]) -> list[str]:
    """Return what is in or under a site; the codes in use seldom change."""
    return graph.found_below(code, in_use)


@lru_cache(maxsize=20_000)
def _stands(graph: BodyStructureGraph, modifier: str, wanted: str, one: str) -> bool:
    try:
        below = expressions.subsumes(wanted, one, graph.index)
        if modifier == "below":
            return below
        above = expressions.subsumes(one, wanted, graph.index)
    except BodySiteError:
        # What was stored need not be an expression of this release.
        return wanted == one
    return above if modifier == "above" else below and above


def _is_expression(code: str) -> bool:
    """Return whether `code` has more than a concept in it (SNOMED CT compositional grammar)."""
    return any(char in code for char in ":+|{=") or code.startswith("<<<") or "===" in code


class _Names:
    """The names of body sites in every language, by their words."""

    def __init__(self, graph: BodyStructureGraph) -> None:
        self._graph = graph
        self._exact: dict[tuple[str, ...], set[str]] = defaultdict(set)
        by_word: dict[str, set[int]] = defaultdict(set)
        self._codes: list[str] = []
        for code, name in self._all():
            words = tuple(words_of(name))
            self._exact[words].add(code)
            for word in words:
                by_word[word].add(len(self._codes))
            self._codes.append(code)
        self._by_word: Mapping[str, set[int]] = by_word

    def sites(self, words: tuple[str, ...], *, exact: bool) -> set[str]:
        """Return the sites that `words` name, in one of their names or in its beginnings."""
        found = set(self._exact.get(words, ())) if exact else set()
        if not self._graph.index.embedded:
            found |= self._of_release(words, exact=exact)
        if found:
            return found
        kept: set[int] | None = None
        for word in words:
            rows = {
                row
                for known, rows in self._by_word.items()
                if known.startswith(word)
                for row in rows
            }
            kept = rows if kept is None else kept & rows
        return {self._codes[row] for row in kept or ()} | (
            set() if self._graph.index.embedded else self._of_release(words, exact=False)
        )

    def _all(self) -> Iterator[tuple[str, str]]:
        for code, names in labels().items():
            if code in self._graph:
                yield from ((code, name) for name in names)
        if self._graph.index.embedded:
            for code in self._graph.codes():
                concept = self._graph.lookup(code)
                yield from ((code, name) for name in (concept.display, *concept.synonyms))

    def _of_release(self, words: tuple[str, ...], *, exact: bool) -> set[str]:
        """Return what the release has by the words: whole names, or words that begin so."""
        index = self._graph.index
        result = index.search.search(" ".join(words), within=self._graph.site, limit=_MOST_HITS)
        if result.fuzzy:
            return set()
        return {
            index.code(hit.ordinal)
            for hit in result.hits
            if not exact or tuple(words_of(hit.term)) == words
        }


_known: WeakKeyDictionary[BodyStructureGraph, _Names] = WeakKeyDictionary()


def _names(graph: BodyStructureGraph) -> _Names:
    found = _known.get(graph)
    if found is None:
        found = _known[graph] = _Names(graph)
    return found
