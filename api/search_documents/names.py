"""A body site → its names in the languages of the vocabulary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from terminology.errors import IdentifierError, UnknownConceptError
from terminology.graph import BodyStructureGraph
from terminology.library import Terminology
from terminology.mapping import EXACT

ENGLISH: Final = "en"
_OBJECT: Final = "snomedct:"


class SiteNames:
    """What the sites of a terminology are called.

    In English the terms of the release come first. The words are those of the tables of header
    words that mean just the site: no sides, no words of one header field, no near matches.
    """

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology

    @property
    def graph(self) -> BodyStructureGraph:
        """The body structures that the names are of."""
        return self._terminology.graph

    def of(self, code: str) -> dict[str, list[str]]:
        """Return the names of a site by language (BCP 47), each once; none for unknown codes."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        try:
            concept = self.graph.lookup(code)
        except (IdentifierError, UnknownConceptError):
            pass
        else:
            found[ENGLISH].update(dict.fromkeys((concept.display, *concept.synonyms)))
        for language, words in self._words.get(code, {}).items():
            found[language].update(dict.fromkeys(words))
        return {language: list(found[language]) for language in sorted(found)}

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages in which any site has a name, sorted."""
        spoken = {language for names in self._words.values() for language in names}
        return tuple(sorted({ENGLISH, *spoken}))

    @cached_property
    def _words(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Code → language → words, in the order of the table."""
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        table = self._terminology.text.words.table
        for row in table.mappings if table is not None else ():
            if (
                row.predicate_id == EXACT
                and row.predicate_modifier is None
                and row.object_laterality is None
                and row.subject_field is None
                and row.object_category is None
                and row.subject_label
                and row.object_id.startswith(_OBJECT)
            ):
                for language in (row.subject_language or ENGLISH).split("|"):
                    found[row.object_id.removeprefix(_OBJECT)][language].append(row.subject_label)
        return found
