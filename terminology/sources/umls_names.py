"""Names of body structures compared: the words that tell them apart, and the side they state."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

_FILLERS: Final = frozenset({"of", "the", "structure", "entire", "set", "and", "a"})
# A name may lack the word for its kind where the subset says the kind: "radius bone".
_OPTIONAL: Final = {"bone": "272673000", "muscle": "71616004"}
_SIDES: Final = {
    Laterality.LEFT: frozenset({"left"}),
    Laterality.RIGHT: frozenset({"right"}),
    Laterality.BILATERAL: frozenset({"both", "bilateral"}),
}
_WORD: Final = re.compile(r"[a-z0-9]+")
_ORDINALS: Final = {
    "1st": "first",
    "2nd": "second",
    "3rd": "third",
    "4th": "fourth",
    "5th": "fifth",
}


def side_of(name: str) -> Laterality | None:
    """Return the side that a name states; "left and right" is no statement of one."""
    words = set(_WORD.findall(name.lower()))
    found = [side for side, said in _SIDES.items() if words & said]
    return found[0] if len(found) == 1 else None


def normalised(name: str) -> tuple[str, ...]:
    """Return the words of a name that tell it apart, sorted: no articles, singular."""
    words = (_ORDINALS.get(word, word) for word in _WORD.findall(name.lower()))
    return tuple(sorted(_singular(word) for word in words if word not in _FILLERS))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Names:
    """What the subset calls its concepts, normalised."""

    def __init__(self, graph: BodyStructureGraph) -> None:
        self._graph = graph
        self._codes: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._displays: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._names: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for code in graph.codes():
            concept = graph.lookup(code)
            for name in (concept.display, *concept.synonyms):
                words = normalised(name)
                if words and "former code" not in name:
                    self._codes[words].add(code)
                    self._names[code].add(words)
                    if name == concept.display:
                        self._displays[words].add(code)

    def agree(self, code: str, name: str) -> bool:
        """Return whether `name` is one that the subset has for `code`."""
        return normalised(name) in self._names[code] or self.lookup(name) == code

    def lookup(self, name: str) -> str | None:
        """Return the one concept that the subset calls `name`, or `None`.

        What it shows goes before synonyms: "pelvis" is the region, not its bones. A bone or
        muscle may be named with or without that word: "radius bone" is the radius.
        """
        words = normalised(name)
        found = self._displays.get(words) or self._codes.get(words, set())
        if not found and " of " not in name:
            for kind, above in _OPTIONAL.items():
                other = tuple(word for word in words if word != kind)
                if other == words:
                    other = tuple(sorted((*words, kind)))
                found = {
                    code for code in self._codes.get(other, ()) if self._graph.subsumes(above, code)
                }
                if found:
                    break
        present = {self._graph.current(code) for code in found}
        return next(iter(present)) if len(present) == 1 else None
