"""Header words: free strings as a code system of literals, and a map whose answers are computed.

The CodeSystem holds the words and phrases of the vocabulary, a fragment of what departments write.
A $translate reads any string as the readers of headers do (`terminology.text`,
`terminology.header`), with the DICOM keyword and the modality where the request gives them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from api.concept_maps import (
    CONCEPT_MAPS,
    EQUIVALENT_OF,
    FIELD,
    MODALITY,
    PUBLISHER,
    RELATED_TO,
    concept_map_head,
    date_of,
    equivalence_of,
)
from api.tx.maps import Found, Match, as_json, found_of
from api.tx.r4_maps import RELATIONSHIP
from api.tx.table_maps import AskedMap, TableMap, products_of, text_of
from api.tx.versions import join_canonical
from terminology import sssom
from terminology.annotation import HeaderStatement, Site, TextReading
from terminology.concept import SNOMED, Coding
from terminology.crosswalk import DICOM_BODY_PART
from terminology.library import Terminology
from terminology.mapping import EXACT, MappingSet, SemanticMapping
from terminology.wholes import LOCAL_PREFIX, whole_key

Json = dict[str, Any]
HEADER_WORDS: Final = "https://w3id.org/bodysite/CodeSystem/header-words"
HEADER_WORDS_ID: Final = "header-words"
# Says that a map's answers are worked out when they are asked for.
COMPUTED: Final = {
    "url": "https://w3id.org/bodysite/StructureDefinition/computed-map",
    "valueBoolean": True,
}
_EQUIVALENT: Final = EQUIVALENT_OF[EXACT]
# The TARGET is wider: the string says more than the site, such as its side.
_WIDER: Final = "wider"


@dataclass(frozen=True, slots=True)
class WordTables:
    """The vocabulary of body-part words as tables: a site's decisions, then the shipped words."""

    shipped: MappingSet
    decisions: MappingSet | None

    @classmethod
    def of(cls, terminology: Terminology) -> WordTables | None:
        """Return the tables behind the readers of `terminology`, `None` where there are none."""
        shipped = terminology.text.words.table
        return None if shipped is None else cls(shipped, terminology.local.decisions)

    @property
    def version(self) -> str:
        """The version of the words; a site's decisions add theirs, which each edit changes."""
        version = str(self.shipped.metadata["mapping_set_version"])
        if self.decisions is None:
            return version
        own = "-".join(str(self.decisions.metadata["mapping_set_version"]).split())
        content = sssom.dumps(self.decisions).encode()
        digest = hashlib.sha256(content, usedforsecurity=False).hexdigest()
        return f"{version}+{own}.{digest[:8]}"

    @property
    def rows(self) -> Iterable[SemanticMapping]:
        """Every row, those that decide first."""
        if self.decisions is not None:
            yield from self.decisions.mappings
        yield from self.shipped.mappings


def code_system_head(words: WordTables) -> Json:
    """Return the CodeSystem of the words, without them."""
    return {
        "resourceType": "CodeSystem",
        "id": HEADER_WORDS_ID,
        "url": HEADER_WORDS,
        "version": words.version,
        "name": "HeaderWords",
        "title": "Words for body parts in DICOM headers",
        "status": "active",
        "experimental": False,
        "date": date_of(words.shipped),
        "publisher": PUBLISHER,
        "description": (
            "Literal strings: any text that a DICOM header may hold is a code, and means itself."
            " The fragment holds the words and phrases that the vocabulary lists. Case and accents"
            " do not count."
        ),
        "copyright": words.shipped.metadata["license"],
        "caseSensitive": False,
        "valueSet": "https://w3id.org/bodysite/ValueSet/header-words",
        "compositional": True,
        "content": "fragment",
        "property": [
            {
                "code": "language",
                "description": "A language, as a BCP 47 tag, in which the word is used.",
                "type": "string",
            }
        ],
    }


def concepts(words: WordTables) -> list[Json]:
    """Return the words, each once, in the order of their letters."""
    found: dict[str, Json] = {}
    for row in words.rows:
        # FHIR: a code has no other white space than single spaces inside.
        code = " ".join((row.subject_label or "").split())
        if not code:
            continue
        concept = found.setdefault(code.casefold(), {"code": code, "display": code})
        listed = {one["valueString"] for one in concept.get("property", ())}
        for tag in (row.subject_language or "").split("|"):
            if tag and tag not in listed:
                listed.add(tag)
                concept.setdefault("property", []).append({"code": "language", "valueString": tag})
    return [found[key] for key in sorted(found)]


def concept_map_head_of(words: WordTables) -> Json:
    """Return the ConceptMap of the words, which says that its answers are computed."""
    head = concept_map_head(words.shipped, HEADER_WORDS_ID, CONCEPT_MAPS + HEADER_WORDS_ID)
    said = str(head.get("description", ""))
    return {
        **head,
        "extension": [COMPUTED],
        "version": words.version,
        "title": "Strings of DICOM headers to SNOMED CT body structures, computed",
        "description": (
            "An algorithmic map: $translate reads the string that is given as code (normalised,"
            " then as words, compounds and, with care, misspellings), so that it answers for any"
            " string, also for one that no element lists. Each match says how sure it is"
            " (confidence) and which rows of the vocabulary it rests on (comment); side and"
            " projection are products. The dependencies field (a DICOM keyword) and modality are"
            f" minded. The elements are the words of the vocabulary, each for itself. {said}"
        ),
    }


class HeaderWordsMap:
    """The map from strings to body structures; see `api.tx.maps.BuiltinMap`."""

    def __init__(self, terminology: Terminology, words: WordTables) -> None:
        self._terminology = terminology
        self._words = words
        self.url: str | None = CONCEPT_MAPS + HEADER_WORDS_ID
        self.version: str | None = words.version
        self.canonical = join_canonical(CONCEPT_MAPS + HEADER_WORDS_ID, words.version)

    def asked(self, dependencies: Mapping[str, Any], *, alone: bool) -> AskedWords:
        """Return the map as one request sees it."""
        return AskedWords(self, dependencies, alone)

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from `source` to `target` (`None`: any)."""
        return source == HEADER_WORDS and target in (None, SNOMED)

    def read(
        self, value: str, field: str | None, modality: str | None
    ) -> TextReading | HeaderStatement:
        """Return what a string says, in one attribute or anywhere.

        Raises
        ------
        DicomError
            `field` is no DICOM keyword.
        """
        if field is None:
            return self._terminology.text.read(value, modality=modality)
        return self._terminology.header.read_value(field, value, modality)

    def row(self, ref: str) -> SemanticMapping | None:
        """Return the row of a table of words or of defined terms, by its ``file:line``."""
        return self._rows.get(ref)

    def exact(self, code: str) -> Found:
        """Return the words whose row names a concept, the site's own first."""
        concept = Coding(SNOMED, code)
        matched = [
            one
            for table in self._tables
            for one in table.asked({}, alone=True).reverse(concept, HEADER_WORDS).matches
        ]
        return found_of(matched, [], f"no word of the vocabulary names '{code}'")

    @cached_property
    def _tables(self) -> Sequence[TableMap]:
        url = CONCEPT_MAPS + HEADER_WORDS_ID
        decisions = self._words.decisions
        own = [] if decisions is None else [TableMap(decisions, url, folder=LOCAL_PREFIX)]
        return [*own, TableMap(self._words.shipped, url)]

    @cached_property
    def _rows(self) -> Mapping[str, SemanticMapping]:
        named = [("", self._words.shipped)]
        if self._words.decisions is not None:
            named.append((LOCAL_PREFIX, self._words.decisions))
        crosswalk = self._terminology.crosswalk
        if DICOM_BODY_PART in crosswalk.systems:
            named += [("", table) for table in crosswalk.mapping_sets(DICOM_BODY_PART)]
        return {
            f"{folder}{table.name}.sssom.tsv:{row.line}": row
            for folder, table in named
            for row in table.mappings
        }


class AskedWords(AskedMap[HeaderWordsMap]):
    """The map as one request sees it: with the attribute and the modality of the string."""

    __slots__ = ()

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return the body structures that a string names, the best first."""
        if not self.leads(coding.system, target):
            return Found(reason=f"the ConceptMap does not map from '{coding.system}'")
        field = text_of(self.dependencies, FIELD, "field")
        modality = text_of(self.dependencies, MODALITY, "modality")
        reading = self.map.read(coding.code, field, modality)
        if not reading.sites:
            return Found(reason=_why_no_site(reading))
        equivalence = self._equivalence(reading)
        comments = tuple(_comments(reading))
        return Found(
            tuple(
                Match(
                    as_json(Coding(SNOMED, site.code, site.display)),
                    RELATIONSHIP[equivalence],
                    equivalence,
                    self.map.canonical,
                    products_of(site.laterality, reading.view),
                    confidence=site.confidence,
                    comments=comments,
                )
                for site in reading.sites
            )
        )

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return the words of the vocabulary that name a concept, where words are asked for."""
        wanted = source == HEADER_WORDS or (self.alone and source is None)
        if coding.system != SNOMED or not wanted:
            return Found()
        return self.map.exact(coding.code)

    def _equivalence(self, reading: TextReading | HeaderStatement) -> str:
        """Return how the sites stand to the string, in R4's words, read from the target.

        A word with a row of its own has the word of that row. What says more than one site (side,
        projection, further words) is narrower than it; what was found by a rule is related to it.
        """
        if len(reading.sites) != 1 or any(one.note for one in reading.evidence):
            return RELATED_TO
        (site,) = reading.sites
        rows = [self.map.row(ref) for one in reading.evidence for ref in one.rows]
        key = whole_key(reading.value)
        for row in rows:
            if row is not None and whole_key(row.subject_label or "") == key:
                return _word_of(row, site) or RELATED_TO
        words = {word for row in rows if (word := _word_of(row, site)) is not None}
        if len(rows) == len(words) == 1 and not (
            site.laterality or reading.view or reading.ignored
        ):
            return words.pop()
        return _WIDER if words and words <= {_EQUIVALENT, _WIDER} else RELATED_TO


def _word_of(row: SemanticMapping | None, site: Site) -> str | None:
    """Return R4's word of a row about a site; `None` of a row about a side or a projection."""
    if row is None or row.no_match:
        return None
    if sssom.object_code(row) == site.code:
        # A side that the row states is more than its concept says.
        return equivalence_of(row) if row.object_laterality is None else _WIDER
    # The row names the sided concept, the site is its unsided one.
    return _WIDER if site.laterality is not None else RELATED_TO


def _why_no_site(reading: TextReading | HeaderStatement) -> str:
    """Return that a string names no body site, and what it says otherwise."""
    said = [f"the side '{reading.laterality}'"] if reading.laterality is not None else []
    if reading.view is not None:
        said.append(f"the projection {reading.view.code} |{reading.view.display}|")
    comments = list(_comments(reading))
    return "; ".join(
        (
            f"'{reading.value[:100]}' names no body site",
            *((f"it says {' and '.join(said)}",) if said else ()),
            *comments,
        )
    )


def _comments(reading: TextReading | HeaderStatement) -> Iterable[str]:
    """Yield what a reading rests on: rows, with the words of the string, and rules in words."""
    for one in reading.evidence:
        words = f" '{' '.join(one.words)}'" if one.words else ""
        rows = ", ".join(one.rows)
        said = ": ".join(part for part in (f"{rows}{words}".strip(), one.note or "") if part)
        if said:
            yield said
    if reading.ignored:
        yield f"not used: {', '.join(reading.ignored)}"
