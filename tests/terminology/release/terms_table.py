"""A description table of a few rows, and a search over it that looks at every one of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from terminology.release.descriptions import DescriptionTable
from terminology.release.folding import filed, folding_of, sought
from terminology.release.termarrays import term_arrays
from terminology.release.terms import TermSearch
from terminology.release.values import FSN, SYNONYM
from terminology.rf2.rows import TextColumn

US = "900000000000509007"
GB = "900000000000508004"
SWEDISH = "46011000052107"
DIALECTS = {"en-us": US, "en-gb": GB, "sv-se": SWEDISH}


@dataclass(frozen=True)
class Row:
    """A description; `concept` is an ordinal, `preferred` has language reference sets."""

    concept: int
    term: str
    language: str = "en"
    type_id: str = SYNONYM
    active: bool = True
    preferred: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """Descriptions sorted by concept, and codes and state of the concepts by ordinal."""

    rows: Sequence[Row]
    codes: Sequence[int]
    inactive: frozenset[int] = frozenset()
    first_description: int = 9_000_010
    table: DescriptionTable = field(init=False)
    search: TermSearch = field(init=False)

    def __post_init__(self) -> None:
        rows = self.rows
        terms = TextColumn.of([row.term for row in rows])
        concept = np.array([row.concept for row in rows], dtype=np.uint32)
        languages = tuple(dict.fromkeys(row.language for row in rows))
        starts = np.zeros(len(self.codes) + 1, dtype=np.int64)
        np.cumsum(np.bincount(concept, minlength=len(self.codes)), out=starts[1:])
        shown = np.full(len(self.codes), 0xFFFFFFFF, dtype=np.uint32)
        columns = {
            "description.starts": starts,
            "description.concept": concept,
            "description.id": np.arange(len(rows)) + self.first_description,
            "description.active": np.array([row.active for row in rows], dtype=np.bool_),
            "description.effective_time": np.zeros(len(rows), dtype=np.int32),
            "description.language": np.array(
                [languages.index(row.language) for row in rows], dtype=np.uint8
            ),
            "description.term.starts": np.append(terms.starts, len(terms.data)),
            "description.term.data": terms.data,
            "concept.display": shown,
            "concept.fsn": shown,
        }
        for refset in DIALECTS.values():
            columns[f"language.{refset}"] = np.array(
                [2 * (refset in row.preferred) for row in rows], dtype=np.uint8
            )
        facts = {
            "languages": languages,
            "dialects": DIALECTS,
            "default_refset": US,
            "language_refsets": sorted(DIALECTS.values()),
        }
        table = DescriptionTable(facts, columns)
        arrays = term_arrays(
            terms=terms,
            concept=concept,
            language=table.language,
            languages=languages,
            active=table.active,
            type_id=np.array([int(row.type_id) for row in rows], dtype=np.int64),
            codes=np.array(self.codes),
            concept_active=~np.isin(np.arange(len(self.codes)), list(self.inactive)),
        )
        find = {code: ordinal for ordinal, code in enumerate(self.codes)}
        object.__setattr__(self, "table", table)
        object.__setattr__(
            self, "search", TermSearch(arrays, table, lambda code: find.get(code, -1))
        )

    def rows_having(self, text: str) -> list[int]:
        """Return every row of which the term has the words of `text`."""
        return [
            number
            for number, row in enumerate(self.rows)
            if (wanted := _sought(row.language, text))
            and all(any(word.startswith(one) for word in _filed(row)) for one in wanted)
        ]

    def expected(
        self,
        text: str,
        *,
        within: Iterable[int] | None = None,
        languages: Sequence[str] = (),
        inactive: bool = False,
        inactive_terms: bool = False,
    ) -> list[tuple[int, int, bool]]:
        """Return ordinal, row and exactness of all hits in their order."""
        wanted = self.table.refsets_for(languages) or [("", US)]
        allowed = range(len(self.codes)) if within is None else set(within)
        ranked = []
        for number in self.rows_having(text):
            row = self.rows[number]
            if (
                row.type_id not in (FSN, SYNONYM)
                or row.concept not in allowed
                or (not row.active and not inactive_terms)
                or (row.concept in self.inactive and not inactive)
            ):
                continue
            exact = _same(row, text)
            ranked.append(
                (
                    not exact,
                    _class(row, wanted),
                    (not row.active, row.concept in self.inactive),
                    len(row.term),
                    row.term,
                    self.codes[row.concept],
                    number,
                )
            )
        best: dict[int, tuple[int, int, bool]] = {}
        for inexact, *_, number in sorted(ranked):
            concept = self.rows[number].concept
            best.setdefault(concept, (concept, number, not inexact))
        return list(best.values())


@cache
def _filed(row: Row) -> list[str]:
    return filed(folding_of(row.language).words(row.term))


@cache
def _sought(language: str, text: str) -> list[tuple[str, ...]]:
    return sought(folding_of(language).words(text))


def _same(row: Row, text: str) -> bool:
    have, want = (folding_of(row.language).words(one) for one in (row.term, text))
    return len(have) == len(want) and all(
        set(one) & set(other) for one, other in zip(have, want, strict=True)
    )


def _class(row: Row, wanted: list[tuple[str, str | None]]) -> int:
    if row.type_id == FSN:
        return len(wanted) + 1
    for place, (language, refset) in enumerate(wanted):
        if (row.language == language) if refset is None else (refset in row.preferred):
            return place
    return len(wanted)
