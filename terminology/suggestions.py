"""`Suggestions`: what a value without an answer may mean, for a person who decides.

Candidates come from near words, from known words inside of unknown ones, from what the other
attributes of the same images say, and from what was decided about near values. They are ranked
and each says why; none of them is an answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler

from terminology import sssom
from terminology.entries import Entry, Kind
from terminology.folding import fold, tokens_of
from terminology.mapping import SemanticMapping
from terminology.words import HeaderWords

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

MOST: Final = 3
# Of the words of the vocabulary and of decided values: how near is near enough to be shown.
_NEAR_WORD: Final = 0.86
_NEAR_VALUE: Final = 80.0
_SHORTEST_NEAR: Final = 4
_SHORTEST_PART: Final = 4
# Longer tokens are no misspelt words but data; and what takes their square of time is not tried.
_LONGEST_NEAR: Final = 64
_LONGEST_PART: Final = 256
_LONGEST_VALUE: Final = 1024
_NEAREST: Final = 5
# A site that other attributes name on fewer of the images says nothing about the value.
_LEAST_SHARE: Final = 0.2
_LEAST_SCORE: Final = 0.1
# How much a candidate of each kind counts at the most.
_WORD_WEIGHT: Final = 0.7
_PART_WEIGHT: Final = 0.5
_TOGETHER_WEIGHT: Final = 0.8
_DECIDED_WEIGHT: Final = 0.9


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A candidate: a body structure, how strongly it suggests itself in (0, 1), and why."""

    code: str
    display: str
    score: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.code} |{self.display}|"


@dataclass(frozen=True, slots=True)
class Companion:
    """What other attributes say on the images of one value: a site on `share` of them.

    `named` is the attribute and value that names it most often, on `named_share` of them.
    """

    code: str
    display: str
    share: float
    named: tuple[str, str]
    named_share: float

    @property
    def reason(self) -> str:
        """Why the site suggests itself, in words."""
        keyword, value = self.named
        often = f"on {self.named_share:.0%} of the images, {keyword} is '{value}'"
        if self.share > self.named_share:
            return f"{self.share:.0%} of the images name it; {often}"
        return often


class Suggestions:
    """Makes suggestions out of a vocabulary and what a site has decided.

    Parameters
    ----------
    words
        The vocabulary.
    graph
        The body structures; nothing else is suggested.
    decisions
        The rows of a site's own decisions.
    """

    def __init__(
        self,
        words: HeaderWords,
        graph: BodyStructureGraph,
        decisions: Iterable[SemanticMapping] = (),
    ) -> None:
        self._graph = graph
        self._words: dict[str, Entry] = {}
        for key, entry in words.sites.items():
            text = "".join(key)
            if entry.kind is Kind.SITE and len(text) >= _SHORTEST_NEAR:
                self._words.setdefault(text, entry)
        self._known = frozenset(token for key in (*words.sites, *words.others) for token in key)
        self._decided = {
            " ".join(tokens_of(fold(row.subject_label or ""))): row
            for row in decisions
            if not row.no_match and not row.negated
        }
        self._spelled = list(self._words)
        self._longest = max(map(len, self._words), default=0)
        self._near = lru_cache(maxsize=65536)(self._near_words)
        self._inside = lru_cache(maxsize=65536)(self._parts)

    def of(self, value: str, companions: Sequence[Companion] = ()) -> list[Suggestion]:
        """Return the best candidates for `value`, the strongest first; none is an answer."""
        found: dict[str, dict[str, float]] = defaultdict(dict)

        def offer(code: str, reason: str, score: float) -> None:
            site = self._site(code)
            if site is not None and score > found[site].get(reason, 0):
                found[site][reason] = score

        for one in companions:
            if one.share >= _LEAST_SHARE:
                offer(one.code, one.reason, _TOGETHER_WEIGHT * one.share)
        tokens = tokens_of(fold(value[:_LONGEST_VALUE]))
        unknown = [token for token in tokens if token not in self._known]
        # A value is often one word that was cut up, or several that were run together.
        for token in dict.fromkeys((*unknown, "".join(unknown))):
            for code, word, score in self._near(token):
                offer(code, f"'{token}' is near '{word}'", score)
            for code, word, score in self._inside(token):
                offer(code, f"'{word}' is in '{token}'", score)
        for code, label, score in self._near_decided(tokens):
            offer(code, f"'{label}' was decided so", score)
        ranked = [self._suggestion(code, reasons) for code, reasons in found.items() if reasons]
        ranked = [one for one in ranked if one.score >= _LEAST_SCORE]
        return sorted(ranked, key=lambda one: (-one.score, one.code))[:MOST]

    def _suggestion(self, code: str, reasons: Mapping[str, float]) -> Suggestion:
        doubt = 1.0
        for score in reasons.values():
            doubt *= 1 - score
        ranked = sorted(reasons, key=lambda reason: -reasons[reason])
        display = self._graph.lookup(code).display
        return Suggestion(code, display, round(1 - doubt, 3), tuple(ranked[:MOST]))

    def _near_words(self, token: str) -> list[tuple[str, str, float]]:
        if not _SHORTEST_NEAR <= len(token) <= _LONGEST_NEAR:
            return []
        found = process.extract(
            token,
            self._spelled,
            scorer=JaroWinkler.similarity,
            score_cutoff=_NEAR_WORD,
            limit=_NEAREST,
        )
        scale = _WORD_WEIGHT / (1 - _NEAR_WORD)
        return [
            (self._words[word].code, self._words[word].phrase, scale * (score - _NEAR_WORD) * 0.9)
            for word, score, _ in found
        ]

    def _parts(self, token: str) -> list[tuple[str, str, float]]:
        """Return the longest known words inside of `token`."""
        if not _SHORTEST_PART <= len(token) <= _LONGEST_PART:
            return []
        found = []
        for start in range(len(token) - _SHORTEST_PART + 1):
            last = min(len(token), start + self._longest)
            for end in range(last, start + _SHORTEST_PART - 1, -1):
                entry = self._words.get(token[start:end])
                if entry is not None and end - start < len(token):
                    share = (end - start) / len(token)
                    found.append((entry.code, entry.phrase, _PART_WEIGHT * share))
                    break
        return found

    def _near_decided(self, tokens: Sequence[str]) -> list[tuple[str, str, float]]:
        if not self._decided or not tokens:
            return []
        found = process.extract(
            " ".join(tokens),
            list(self._decided),
            scorer=fuzz.token_sort_ratio,
            score_cutoff=_NEAR_VALUE,
            limit=_NEAREST,
        )
        return [
            (
                sssom.object_code(self._decided[label]),
                self._decided[label].subject_label or "",
                _DECIDED_WEIGHT * score / 100,
            )
            for label, score, _ in found
        ]

    def _site(self, code: str) -> str | None:
        """Return the unsided current concept of `code`, if the release holds it."""
        if code not in self._graph:
            return None
        return self._graph.unsided(self._graph.current(code))[0]
