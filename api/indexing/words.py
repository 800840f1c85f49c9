"""The words that a resource is found by: its narrative, and all that it says.

What is stored is folded words with blanks between them, so that both databases see the same words.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from api.store.folding import Folded, folded
from terminology import sssom
from terminology.errors import BodySiteError
from terminology.graph import BodyStructureGraph
from terminology.tables import mappings_folder
from terminology.words import WORDS_TABLE

_WORD: Final = re.compile(r"[^\W_]+")
_SCTID: Final = re.compile(r"\d{6,18}", re.ASCII)
_TAG: Final = re.compile(r"<[^>]*>")
# PostgreSQL's tsvector holds less than a megabyte.
_MAX_CHARACTERS: Final = 200_000
_MAX_WORD: Final = 200
_MAX_PHRASE: Final = 200
# What is no word for people: numbers, identities, addresses.
_SILENT: Final = frozenset(
    {
        "id", "meta", "resourceType", "reference", "system", "url", "uid", "versionId", "text",
        "lastUpdated", "contained", "implicitRules", "language", "contentType", "data",
    }
)  # fmt: skip
# Names as sure as this are synonyms; the others are guesses at what somebody meant.
_SURE: Final = 0.95
_MAX_SITES: Final = 5000
_known_names: WeakKeyDictionary[BodyStructureGraph, dict[str, tuple[str, ...]]] = (
    WeakKeyDictionary()
)


def words_of(text: str) -> list[str]:
    """Return the words of `text`, folded: letters and digits."""
    return [one for one in _WORD.findall(folded(text)) if len(one) <= _MAX_WORD]


def narrative_of(content: Mapping[str, Any]) -> str:
    """Return the words of the narrative of a resource."""
    narrative = content.get("text")
    div = narrative.get("div") if isinstance(narrative, Mapping) else None
    if not isinstance(div, str):
        return ""
    return _cut(words_of(html.unescape(_TAG.sub(" ", div))))


def content_of(content: Mapping[str, Any], sites: Iterable[str], graph: BodyStructureGraph) -> str:
    """Return the words of all that a resource says, with those of its body sites.

    Parameters
    ----------
    sites
        SCTIDs of the body sites that it names; each brings all names that the vocabulary has for
        it, in every language.
    """
    words = narrative_of(content).split()
    for text in dict.fromkeys(_strings(content, [])):
        words += _phrase(text) if len(text) <= _MAX_PHRASE else words_of(text)
    for site in dict.fromkeys(sites):
        words += _name_words(site, graph)
    return _cut(words)


@lru_cache(maxsize=2048)
def _phrase(text: str) -> tuple[str, ...]:
    """Return the words of a short text, of which most are displays of codes."""
    return tuple(words_of(text))


@cache
def labels() -> Mapping[str, tuple[str, ...]]:
    """Return the names of body sites in the vocabulary of header words, by code."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in sssom.read(mappings_folder() / WORDS_TABLE).mappings:
        if (
            row.predicate_id == "skos:exactMatch"
            and row.predicate_modifier is None
            and row.subject_label
            and row.object_id
            and row.object_laterality is None
            and (row.confidence is None or row.confidence >= _SURE)
        ):
            found[row.object_id.partition(":")[2]][row.subject_label] = None
    return {code: tuple(names) for code, names in found.items()}


def warm() -> None:
    """Read the names now: the first requests would do it all at once, each for itself."""
    labels()


def names_of(site: str, graph: BodyStructureGraph) -> Iterator[str]:
    """Yield what a body site is called: by the release, then by the vocabulary of headers.

    A former code has the names of what replaced it, an expression those of its focus concept.
    """
    focus = _SCTID.match(site)
    if focus is None:
        return
    code = focus[0]
    try:
        code = graph.current(code)
        concept = graph.lookup(code)
    except BodySiteError:
        pass
    else:
        yield concept.display
        yield from concept.synonyms
    yield from labels().get(code, ())


def _name_words(site: str, graph: BodyStructureGraph) -> tuple[str, ...]:
    """Return the words of all names of a site; a few hundred names are folded once only."""
    known = _known_names.setdefault(graph, {})
    words = known.get(site)
    if words is None:
        # Each word once: hundreds of names, most of them of the same few words, are stored with
        # every resource of the site.
        words = tuple(
            dict.fromkeys(one for name in names_of(site, graph) for one in words_of(name))
        )
        known[site] = words
        if len(known) > _MAX_SITES:
            known.clear()
    return words


def _strings(value: Any, found: list[str]) -> list[str]:
    """Add every string in `value` that is for people to `found`, and return that."""
    if isinstance(value, dict):
        for key, child in value.items():
            if isinstance(child, str):
                if key not in _SILENT or key == "text":
                    found.append(child)
            elif key not in _SILENT:
                _strings(child, found)
    elif isinstance(value, list):
        for child in value:
            _strings(child, found)
    elif isinstance(value, str):
        found.append(value)
    return found


def _cut(words: Sequence[str]) -> Folded:
    text = " ".join(words)
    if len(text) <= _MAX_CHARACTERS:
        return Folded(text)
    return Folded(text[:_MAX_CHARACTERS].rpartition(" ")[0])
