"""The rows of a release as columns: one array a column, one buffer for the text of a column.

Identifiers are int64 (an SCTID has up to 18 digits), `effective_time` is int32 (20250731), `active`
is bool. Each component stands once, in its latest state; inactive components are there as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Times = NDArray[np.int32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Text of many rows: row `i` is `data[starts[i] : starts[i] + lengths[i]]`, UTF-8.

    `data` uint8 (bytes,), `starts` int64 (rows,), `lengths` int32 (rows,). Rows may share bytes and
    stand in any order, so that choosing rows copies no text.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> str:
        start = int(self.starts[row])
        return bytes(self.data[start : start + int(self.lengths[row])]).decode()

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> TextColumn:
        """Return the column of `rows` (positions or a mask), over the same bytes."""
        return TextColumn(self.data, self.starts[rows], self.lengths[rows])

    @classmethod
    def of(cls, texts: list[str]) -> TextColumn:
        """Return a column that holds `texts`."""
        encoded = [text.encode() for text in texts]
        lengths = np.array([len(one) for one in encoded], dtype=np.int32)
        starts = np.zeros(len(encoded), dtype=np.int64)
        if len(encoded) > 1:
            np.cumsum(lengths[:-1], out=starts[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), starts, lengths)


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row was read: `file` int16 (rows,) into `files`, `line` int32 (rows,), 1-based."""

    files: tuple[str, ...]
    file: NDArray[np.int16]
    line: NDArray[np.int32]

    def of(self, row: int) -> str:
        """Return `file:line` of a row."""
        return f"{self.files[int(self.file[row])]}:{int(self.line[row])}"


@dataclass(frozen=True, slots=True)
class ConceptRows:
    """sct2_Concept; sorted by `id`."""

    id: Ids
    effective_time: Times
    active: Flags
    module_id: Ids
    definition_status_id: Ids
    places: Places


@dataclass(frozen=True, slots=True)
class DescriptionRows:
    """sct2_Description and sct2_TextDefinition, of every language; sorted by `concept_id`, `id`.

    `language` uint8 (rows,) is a position in `languages`, the ISO 639-1 codes that occur.
    """

    id: Ids
    effective_time: Times
    active: Flags
    module_id: Ids
    concept_id: Ids
    language: NDArray[np.uint8]
    languages: tuple[str, ...]
    type_id: Ids
    term: TextColumn
    case_significance_id: Ids
    places: Places


@dataclass(frozen=True, slots=True)
class RelationshipRows:
    """sct2_Relationship, inferred rows; sorted by `source_id`, `group`, `type_id`."""

    id: Ids
    effective_time: Times
    active: Flags
    module_id: Ids
    source_id: Ids
    destination_id: Ids
    group: NDArray[np.int32]
    type_id: Ids
    places: Places


@dataclass(frozen=True, slots=True)
class ConcreteRows:
    """sct2_RelationshipConcreteValues, inferred rows; `value` as published: #10, "text", true."""

    id: Ids
    effective_time: Times
    active: Flags
    module_id: Ids
    source_id: Ids
    value: TextColumn
    group: NDArray[np.int32]
    type_id: Ids
    places: Places


@dataclass(frozen=True, slots=True)
class RefsetRows:
    """Members of all reference sets of one pattern, such as "cissccRefset", and names of fields.

    Sorted by refset and component.

    `id` uint8 (rows, 16), the UUID; `fields` the further columns by their RF2 name, in file order:
    int64 for SCTIDs and integers, `TextColumn` for strings. `kinds` has a letter a field: c, i, s.
    """

    pattern: str
    id: NDArray[np.uint8]
    effective_time: Times
    active: Flags
    module_id: Ids
    refset_id: Ids
    referenced_component_id: Ids
    kinds: str
    fields: Mapping[str, Ids | TextColumn]
    places: Places


@dataclass(frozen=True, slots=True)
class IdentifierRows:
    """sct2_Identifier: codes of other schemes for components; sorted by scheme, identifier.

    The key of a row is the pair (`identifier_scheme_id`, `alternate_identifier`).
    """

    identifier_scheme_id: Ids
    alternate_identifier: TextColumn
    effective_time: Times
    active: Flags
    module_id: Ids
    referenced_component_id: Ids
    places: Places


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: `rows` read; `left_out` says why it, or a part, was not."""

    name: str
    content: str
    rows: int
    active: int
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRows:
    """A release, every component once. Language members are apart: there are millions of them.

    Attributes
    ----------
    version
        The version URI, http://snomed.info/sct/MODULE/version/YYYYMMDD (`xsct` when unpublished).
    relationships
        The inferred relationships: what defines the concepts.
    refsets
        All reference sets but language and OWL, one `RefsetRows` for each pattern of columns and
        names of fields.
    language
        The language reference sets: pattern "cRefset" with the field `acceptabilityId`.
    additional
        Relationships of characteristic type 900000000000227009 |Additional relationship|, which
        define nothing; `None` when there are none.
    identifiers
        `None` when the release has no such file, or an empty one.
    """

    version: str
    concepts: ConceptRows
    descriptions: DescriptionRows
    relationships: RelationshipRows
    concrete: ConcreteRows
    language: RefsetRows
    refsets: tuple[RefsetRows, ...]
    report: tuple[FileReport, ...] = field(default=())
    additional: RelationshipRows | None = None
    identifiers: IdentifierRows | None = None
