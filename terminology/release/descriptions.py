"""The descriptions of a release as columns, and the choice of the term to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array
from terminology.release.dialects import DIALECTS
from terminology.release.refsets import packed
from terminology.release.values import (
    FSN,
    GB_ENGLISH,
    PREFERRED,
    SYNONYM,
    TYPES,
    US_ENGLISH,
    Description,
)
from terminology.rf2.rows import DescriptionRows, RefsetRows

PREFERRED_MARK: Final = 2
ACCEPTABLE_MARK: Final = 1
_NO_ROW: Final = 0xFFFFFFFF


class DescriptionTable:
    """Every description, sorted by concept ordinal and id.

    Attributes
    ----------
    starts
        int64 (concepts + 1,): the rows of concept `i` are ``starts[i] : starts[i + 1]``.
    concept
        uint32 (rows,), ordinals.
    id, module, type_id, case_significance
        int64 (rows,), SCTIDs.
    active
        bool (rows,).
    effective_time
        int32 (rows,).
    language, languages
        uint8 (rows,) into the ISO 639 codes `languages`.
    dialects
        BCP-47 tag in lower case → language reference set, for those that the release has.
    default_refset
        The language reference set that decides the term where no language is asked for.
    """

    def __init__(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self.starts: NDArray[np.int64] = arrays["description.starts"]
        self.concept: NDArray[np.uint32] = arrays["description.concept"]
        self.id: NDArray[np.int64] = arrays["description.id"]
        self.active: NDArray[np.bool_] = arrays["description.active"]
        self.effective_time: NDArray[np.int32] = arrays["description.effective_time"]
        self.language: NDArray[np.uint8] = arrays["description.language"]
        self.languages: tuple[str, ...] = tuple(facts["languages"])
        self.dialects: Mapping[str, str] = facts["dialects"]
        self.default_refset: str | None = facts["default_refset"]
        self.language_refsets: tuple[str, ...] = tuple(facts["language_refsets"])
        self._term_starts: NDArray[np.int64] = arrays["description.term.starts"]
        self._term_data: NDArray[np.uint8] = arrays["description.term.data"]
        self._marks = {code: arrays[f"language.{code}"] for code in self.language_refsets}
        self._display: NDArray[np.uint32] = arrays["concept.display"]
        self._fsn: NDArray[np.uint32] = arrays["concept.fsn"]
        self._starts = self._term_starts.data
        self._bytes = self._term_data.data

    def __len__(self) -> int:
        return len(self.id)

    @property
    def module(self) -> NDArray[np.int64]:
        """int64 (rows,): the module of each description."""
        return self._decoded("module")

    @property
    def type_id(self) -> NDArray[np.int64]:
        """int64 (rows,): the type of each description."""
        return self._decoded("type")

    def coded(self, column: str) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """Return column "module", "type" or "case" as positions in a short list of SCTIDs."""
        arrays = self._arrays
        return arrays[f"description.{column}"], arrays[f"description.{column}.codes"]

    def term(self, row: int) -> str:
        """Return the term of a row."""
        starts = self._starts
        return str(self._bytes[starts[row] : starts[row + 1]], "utf-8")

    @property
    def terms(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Starts int64 (rows + 1,) and the UTF-8 bytes of all terms, one after the other."""
        return self._term_starts, self._term_data

    def acceptability(self, refset: str) -> NDArray[np.uint8]:
        """Return uint8 (rows,): 2 preferred, 1 acceptable, 0 neither in this language refset."""
        return self._marks[refset]

    def rows(self, ordinal: int) -> range:
        """Return the rows of a concept."""
        return range(int(self.starts[ordinal]), int(self.starts[ordinal + 1]))

    def description(self, row: int, concept: str) -> Description:
        """Return a row as a value; `concept` is the code it belongs to."""
        type_id = str(self._one("type", row))
        return Description(
            id=str(self.id[row]) if self.id[row] > 0 else "",
            concept=concept,
            term=self.term(row),
            type=TYPES.get(type_id, "other"),
            type_id=type_id,
            language=self.languages[self.language[row]],
            active=bool(self.active[row]),
            module=str(self._one("module", row)),
            effective_time=int(self.effective_time[row]),
            case_significance=str(self._one("case", row)),
            acceptability={
                code: "preferred" if marks[row] == PREFERRED_MARK else "acceptable"
                for code, marks in self._marks.items()
                if marks[row]
            },
        )

    def refsets_for(self, languages: Iterable[str]) -> list[tuple[str, str | None]]:
        """Return (language, language refset or `None`) in the order of the tags in `languages`.

        A tag is a BCP-47 tag such as "en-GB" or "de", or the SNOMED form "en-x-sctlang-" followed
        by the refset's SCTID in blocks of eight digits. A tag without a reference set of its own
        takes those of its language; one the release has nothing for is passed over.
        """
        found: list[tuple[str, str | None]] = []
        for tag in languages:
            for pair in self._refsets_of(tag.strip().lower().replace("_", "-")):
                if pair not in found:
                    found.append(pair)
        return found

    def best_row(
        self, ordinal: int, type_code: str, wanted: Iterable[tuple[str, str | None]]
    ) -> int | None:
        """Return the row to show for a concept: the preferred one of the first refset that has it.

        `wanted` as `refsets_for` gives it; `None` when no active description of the type is in any
        of these languages.
        """
        rows = self.rows(ordinal)
        kinds, codes = self.coded("type")
        fitting = [row for row in rows if self.active[row] and codes[kinds[row]] == int(type_code)]
        for language, refset in wanted:
            if refset is None:
                in_language = [r for r in fitting if self.languages[self.language[r]] == language]
                if in_language:
                    return in_language[0]
                continue
            marks = self._marks[refset]
            for row in fitting:
                if marks[row] == PREFERRED_MARK:
                    return row
        return None

    def display_row(self, ordinal: int) -> int | None:
        """Return the row of the preferred synonym in the default language."""
        row = int(self._display[ordinal])
        return None if row == _NO_ROW else row

    def fsn_row(self, ordinal: int) -> int | None:
        """Return the row of the fully specified name in the default language."""
        row = int(self._fsn[ordinal])
        return None if row == _NO_ROW else row

    def _refsets_of(self, tag: str) -> list[tuple[str, str | None]]:
        language, _, rest = tag.partition("-")
        if rest.startswith("x-sctlang-"):
            refset = rest.removeprefix("x-sctlang-").replace("-", "")
            return [(language, refset)] if refset in self._marks else []
        # The tag's own; then, of the other dialects of its language, the default one first.
        near = sorted(
            (name for name in self.dialects if name.partition("-")[0] == language),
            key=lambda name: (name != tag, self.dialects[name] != self.default_refset, name),
        )
        found: list[tuple[str, str | None]] = [(language, self.dialects[name]) for name in near]
        if language in self.languages:
            found.append((language, None))
        return found

    def _decoded(self, column: str) -> NDArray[np.int64]:
        positions, codes = self.coded(column)
        return codes[positions]

    def _one(self, column: str, row: int) -> int:
        positions, codes = self.coded(column)
        return int(codes[positions[row]])


def description_arrays(
    rows: DescriptionRows,
    members: RefsetRows,
    ordinals: NDArray[np.int64],
    count: int,
) -> tuple[dict[str, Any], Iterator[tuple[str, Array]]]:
    """Return the facts and the arrays of the descriptions.

    `ordinals` int64 (rows,) has the ordinal of each description's concept.
    """
    order = np.lexsort((rows.id, ordinals))
    concept = ordinals[order].astype(np.uint32)
    by_id = np.argsort(rows.id[order], kind="stable")
    sorted_ids = rows.id[order][by_id]
    marks = _marks(members, sorted_ids, by_id, len(order))
    languages = tuple(rows.languages)
    dialects = {tag: code for tag, code in DIALECTS.items() if code in marks}
    default = _default_refset(marks)
    facts = {
        "languages": languages,
        "dialects": dialects,
        "default_refset": default,
        "language_refsets": sorted(marks),
    }
    return facts, _arrays(rows, order, concept, count, marks, default)


def _arrays(
    rows: DescriptionRows,
    order: NDArray[np.int64],
    concept: NDArray[np.uint32],
    count: int,
    marks: Mapping[str, NDArray[np.uint8]],
    default: str | None,
) -> Iterator[tuple[str, Array]]:
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(concept, minlength=count), out=starts[1:])
    active, types = rows.active[order], rows.type_id[order]
    yield "description.starts", starts
    yield "description.concept", concept
    yield "description.id", rows.id[order]
    yield "description.active", active
    yield "description.effective_time", rows.effective_time[order]
    yield "description.language", rows.language[order]
    for name, column in (
        ("module", rows.module_id[order]),
        ("type", types),
        ("case", rows.case_significance_id[order]),
    ):
        codes, positions = np.unique(column, return_inverse=True)
        yield f"description.{name}", positions.astype(np.uint16)
        yield f"description.{name}.codes", codes
    offsets, data = packed(rows.term, order)
    yield "description.term.starts", offsets
    yield "description.term.data", data
    for code, refset_marks in marks.items():
        yield f"language.{code}", refset_marks
    chosen = marks.get(default) if default is not None else None
    for name, type_code in (("display", SYNONYM), ("fsn", FSN)):
        fitting = active & (types == int(type_code))
        yield f"concept.{name}", _shown(concept, fitting, chosen, count)


def _shown(
    concept: NDArray[np.uint32],
    fitting: NDArray[np.bool_],
    marks: NDArray[np.uint8] | None,
    count: int,
) -> NDArray[np.uint32]:
    """Return, for each concept, the fitting row that is preferred, else acceptable, else any."""
    shown = np.full(count, _NO_ROW, dtype=np.uint32)
    ranks = [fitting]
    if marks is not None:
        ranks += [fitting & (marks == ACCEPTABLE_MARK), fitting & (marks == PREFERRED_MARK)]
    for rank in ranks:
        # The last write wins, so that rows are written from the last to the first.
        chosen = np.flatnonzero(rank)[::-1]
        shown[concept[chosen]] = chosen
    return shown


def _marks(
    members: RefsetRows,
    sorted_ids: NDArray[np.int64],
    by_id: NDArray[np.int64],
    count: int,
) -> dict[str, NDArray[np.uint8]]:
    acceptability = members.fields["acceptabilityId"]
    assert isinstance(acceptability, np.ndarray)  # noqa: S101
    places = np.searchsorted(sorted_ids, members.referenced_component_id)
    places[places == count] = 0
    known = members.active & (
        (sorted_ids[places] == members.referenced_component_id) if count else members.active
    )
    found = {}
    for refset in np.unique(members.refset_id).tolist():
        chosen = known & (members.refset_id == refset)
        marks = np.zeros(count, dtype=np.uint8)
        preferred = acceptability[chosen] == int(PREFERRED)
        marks[by_id[places[chosen]]] = np.where(preferred, PREFERRED_MARK, ACCEPTABLE_MARK)
        found[str(refset)] = marks
    return found


def _default_refset(marks: Mapping[str, NDArray[np.uint8]]) -> str | None:
    for code in (US_ENGLISH, GB_ENGLISH):
        if code in marks:
            return code
    return max(marks, key=lambda code: (int(np.count_nonzero(marks[code])), code), default=None)
