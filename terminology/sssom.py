"""Read, check and write `.sssom.tsv` tables.

The format is SSSOM 1.1 TSV with the metadata embedded as a ``#`` block of YAML
(https://mapping-commons.github.io/sssom/). Columns stand in the canonical order of the standard,
columns that are empty throughout are left out, extension slots come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from itertools import takewhile
from operator import attrgetter, contains, itemgetter
from pathlib import Path
from typing import Any, Final

import yaml

from terminology.concept import DICOM, SNOMED, Laterality
from terminology.errors import RowProblem, TableError
from terminology.files import written_whole
from terminology.identifiers import cui_problem, irma_problem, sctid_problem
from terminology.mapping import NO_TERM_FOUND, PREDICATES, MappingSet, SemanticMapping
from terminology.tables import numbered_lines

COLUMNS: Final = (
    "subject_id",
    "subject_label",
    "predicate_id",
    "predicate_modifier",
    "object_id",
    "object_label",
    "object_category",
    "mapping_justification",
    "author_id",
    "subject_type",
    "mapping_source",
    "mapping_tool",
    "mapping_date",
    "confidence",
    "comment",
    "subject_language",
    "subject_field",
    "subject_scope",
    "object_laterality",
    "object_view",
)
_REQUIRED: Final = ("predicate_id", "object_id", "mapping_justification")
_REQUIRED_METADATA: Final = (
    "mapping_set_id",
    "mapping_set_version",
    "license",
    "curie_map",
    "subject_source",
    "object_source",
)
LITERAL: Final = "rdfs literal"
SNOMED_PREFIX: Final = "snomedct:"
# PS3.16 Annex D: the codes that DICOM itself defines, modalities among them.
DICOM_PREFIX: Final = "dcm:"
SCOPES: Final = ("value", "word")

# SSSOM: prefixes that need no declaration.
_BUILT_IN_PREFIXES: Final = frozenset({"owl", "rdf", "rdfs", "skos", "sssom", "semapv"})
_JUSTIFICATIONS: Final = frozenset(
    f"semapv:{name}"
    for name in (
        "LexicalMatching",
        "LogicalReasoning",
        "CompositeMatching",
        "UnspecifiedMatching",
        "SemanticSimilarityThresholdMatching",
        "LexicalSimilarityThresholdMatching",
        "MappingChaining",
        "MappingReview",
        "ManualMappingCuration",
        "MappingInversion",
        "StructuralMatching",
        "InstanceBasedMatching",
        "BackgroundKnowledgeBasedMatching",
    )
)
# SSSOM: slots that refer to an entity and therefore hold a CURIE.
_ENTITIES: Final = (
    "subject_id",
    "object_id",
    "author_id",
    "mapping_justification",
    "mapping_source",
)
# The prefixes of the IRMA axes, and how many characters the codes of each have at most.
_IRMA_WIDTHS: Final = {
    "irma": 3,
    "irma-technical": 4,
    "irma-directional": 3,
    "irma-biological": 3,
}
# The slots of a mapping, and those by which its rows are checked: values that many rows share, and
# values of which it matters only, beside the subject's own form, whether they are there.
_entities = attrgetter(*_ENTITIES)
_SLOTS: Final = tuple(one.name for one in fields(SemanticMapping) if one.name != "line")
_SIDE: Final = _SLOTS.index("object_laterality")
_CONFIDENCE: Final = _SLOTS.index("confidence")
_SIDES: Final[dict[str | None, Laterality | None]] = {
    None: None,
    **{str(side): side for side in Laterality},
}
_REPEATED: Final = (
    "subject_type",
    "predicate_id",
    "predicate_modifier",
    "object_id",
    "mapping_justification",
    "confidence",
    "subject_language",
    "subject_scope",
    "object_laterality",
    "object_view",
)
_UNLIKE: Final = ("subject_id", "subject_label", "author_id", "mapping_tool")
_Refuse = Callable[[str, str, str], None]

_DICOM_CODE = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)
# BCP 47: a language, perhaps with a script and a region; several are parted by "|".
_LANGUAGES = re.compile(
    r"(?:[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?(?:\|(?!\Z)|\Z))+", re.ASCII
)
_CURIE = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*):(\S+)")


def read(path: Path) -> MappingSet:
    """Return the mapping set in the `.sssom.tsv` file at `path`, rows in file order.

    Raises
    ------
    TableError
        With every bad row: a missing slot, an undeclared prefix, a failed check digit, an unknown
        predicate or justification, a confidence outside [0, 1], a pair that is repeated, or both
        asserted and negated.
    """
    problems: list[RowProblem] = []
    header: list[str] = []
    rows: _RowReader | None = None
    metadata_lines: list[str] = []
    mappings: list[SemanticMapping] = []
    name = path.name
    for number, line in numbered_lines(path):
        if rows is None and line.startswith("#"):
            metadata_lines.append(line[1:])
            continue
        cells = line.split("\t")
        if rows is None:
            header = cells
            rows = _RowReader(name, header)
            unknown = [column for column in header if column not in COLUMNS]
            if unknown:
                raise TableError(
                    [RowProblem(name, number, unknown[0], "unknown column", "an SSSOM slot")]
                )
        elif len(cells) != len(header):
            problems.append(
                RowProblem(name, number, "row", f"{len(cells)} cells", f"{len(header)} cells")
            )
        else:
            found = rows.problems(cells, number)
            problems.extend(found)
            if not found:
                mappings.append(rows.mapping(cells, number))
    metadata = _metadata(name, metadata_lines, problems)
    mapping_set = MappingSet(
        path.name.removesuffix(".sssom.tsv"), metadata, tuple(mappings), tuple(metadata_lines)
    )
    problems.extend(_set_problems(name, mapping_set))
    if problems:
        raise TableError(sorted(problems, key=lambda problem: problem.line))
    return mapping_set


class MappingFile:
    """A `.sssom.tsv` file whose metadata are known and whose rows are read when they are needed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TableError
        There is no such file, or its metadata cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name: Final = path.name.removesuffix(".sssom.tsv")
        block = [line[1:] for _, line in takewhile(_is_metadata, numbered_lines(path))]
        problems: list[RowProblem] = []
        self.metadata: Final = _metadata(path.name, block, problems)
        if problems:
            raise TableError(problems)

    @cached_property
    def mapping_set(self) -> MappingSet:
        """The whole table; `TableError` with every bad row."""
        return read(self._path)


def _is_metadata(numbered: tuple[int, str]) -> bool:
    return numbered[1].startswith("#")


def dumps(mapping_set: MappingSet) -> str:
    """Return `mapping_set` as text: its own ``#`` block, canonical columns, sorted rows, LF."""
    rows = sorted(mapping_set.mappings, key=sort_key)
    cells = [_cells(row) for row in rows]
    used = [column for column in COLUMNS if any(row[column] for row in cells)]
    lines = [f"#{line}" for line in mapping_set.block]
    lines.append("\t".join(used))
    lines.extend("\t".join(row[column] for column in used) for row in cells)
    return "\n".join(lines) + "\n"


def write(mapping_set: MappingSet, path: Path) -> None:
    """Write `mapping_set` to `path` in canonical form; reading it gives the same set.

    The file is replaced in one step, so that a reader never sees half of it.
    """
    with written_whole(path) as stream:
        stream.write(dumps(mapping_set))


def subject_code(mapping: SemanticMapping) -> str:
    """Return the subject as its own system writes it: the code, or the string of a literal."""
    if mapping.subject_id is None:
        return mapping.subject_label or ""
    return mapping.subject_id.partition(":")[2]


def object_code(mapping: SemanticMapping) -> str:
    """Return the object as a bare code of its own system."""
    return mapping.object_id.partition(":")[2]


def object_system(mapping: SemanticMapping) -> str:
    """Return the URI of the code system that the object is of."""
    return DICOM if mapping.object_id.startswith(DICOM_PREFIX) else SNOMED


def sort_key(mapping: SemanticMapping) -> tuple[str, str, str, str]:
    """Return what rows are ordered by: subject, predicate, object."""
    return (
        mapping.subject_id or "",
        mapping.subject_label or "",
        mapping.predicate_id,
        mapping.object_id,
    )


class _RowReader:
    """Reads the rows of one file. What was found right in one row is right in the next."""

    def __init__(self, name: str, header: list[str]) -> None:
        self._name = name
        self._header = header
        place = {column: number for number, column in enumerate(header)}
        absent = len(header)
        self._slots = itemgetter(*(place.get(slot, absent) for slot in _SLOTS))
        self._repeated = itemgetter(*(place.get(slot, absent) for slot in _REPEATED))
        self._unlike = itemgetter(*(place.get(slot, absent) for slot in _UNLIKE))
        self._right: tuple[set[str], ...] = tuple(set() for _ in _REPEATED)
        self._shapes: set[tuple[str | bool, ...]] = set()

    def problems(self, cells: list[str], line: int) -> list[RowProblem]:
        """Return what is wrong with a row that has as many cells as the header."""
        padded = [*cells, ""]
        repeated, unlike = self._repeated(padded), self._unlike(padded)
        # The first repeated slot is the subject type, which says which others must be empty.
        shape = (repeated[0], *map(bool, unlike))
        if (
            shape in self._shapes
            and all(map(contains, self._right, repeated))
            and _subject_problem(unlike[0]) is None
        ):
            return []
        found = _row_problems(self._name, line, dict(zip(self._header, cells, strict=True)))
        if not found:
            self._shapes.add(shape)
            for right, value in zip(self._right, repeated, strict=True):
                right.add(value)
        return found

    def mapping(self, cells: list[str], line: int) -> SemanticMapping:
        """Return the mapping of a row that has no problems."""
        slots: list[Any] = [value or None for value in self._slots([*cells, ""])]
        slots[_SIDE] = _SIDES[slots[_SIDE]]
        if slots[_CONFIDENCE]:
            slots[_CONFIDENCE] = float(slots[_CONFIDENCE])
        return SemanticMapping(*slots, line)  # type: ignore[call-arg]


def _subject_problem(subject: str) -> tuple[str, str] | None:
    """Return why a subject is no code of a system that we know, and what would be."""
    prefix, _, code = subject.partition(":")
    if prefix == "UMLS" and (reason := cui_problem(code)):
        return reason, "a CUI such as UMLS:C0024109"
    if prefix in _IRMA_WIDTHS and (reason := irma_problem(code, _IRMA_WIDTHS[prefix])):
        return reason, "a code of the IRMA axis, such as irma:414"
    return None


def _cells(mapping: SemanticMapping) -> dict[str, str]:
    cells = {column: getattr(mapping, column) for column in COLUMNS}
    if mapping.confidence is not None:
        cells["confidence"] = f"{mapping.confidence:g}"
    return {column: "" if value is None else str(value) for column, value in cells.items()}


def _metadata(name: str, lines: list[str], problems: list[RowProblem]) -> dict[str, object]:
    try:
        metadata = yaml.load("\n".join(lines), Loader=_TextLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problems.append(RowProblem(name, line, "metadata", "not YAML", "a block of YAML"))
        return {}
    if not isinstance(metadata, dict):
        problems.append(RowProblem(name, 1, "metadata", "no # block", "a block of YAML"))
        return {}
    problems.extend(
        RowProblem(name, 1, slot, "missing in the # block", "a value")
        for slot in _REQUIRED_METADATA
        if not metadata.get(slot)
    )
    return metadata


class _TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which a date or a version stays the text that stands there."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _row_problems(name: str, line: int, slots: dict[str, str]) -> list[RowProblem]:
    problems: list[RowProblem] = []

    def refuse(slot: str, what: str, expected: str) -> None:
        problems.append(RowProblem(name, line, slot, what, expected))

    for slot in _REQUIRED:
        if not slots.get(slot):
            refuse(slot, "empty", "a value")
    if slots.get("subject_type") == LITERAL:
        if slots.get("subject_id") or not slots.get("subject_label"):
            refuse("subject_id", "literal with an id or no label", "the string in subject_label")
    elif not slots.get("subject_id"):
        refuse("subject_id", "empty", "a CURIE, or subject_type 'rdfs literal'")
    predicate = slots.get("predicate_id")
    if predicate and predicate not in PREDICATES:
        refuse("predicate_id", f"'{predicate}'", f"one of {', '.join(PREDICATES)}")
    if slots.get("predicate_modifier", "") not in {"", "Not"}:
        refuse("predicate_modifier", f"'{slots['predicate_modifier']}'", "'Not' or nothing")
    justification = slots.get("mapping_justification")
    if justification and justification not in _JUSTIFICATIONS:
        refuse("mapping_justification", f"'{justification}'", "a term of semapv")
    _check_object(slots.get("object_id", ""), refuse)
    subject = slots.get("subject_id", "")
    if refused := _subject_problem(subject):
        refuse("subject_id", f"'{subject}' {refused[0]}", refused[1])
    confidence = slots.get("confidence")
    if confidence and not _is_fraction(confidence):
        refuse("confidence", f"'{confidence}'", "a number from 0 to 1")
    side = slots.get("object_laterality")
    if side and side not in set(Laterality):
        refuse("object_laterality", f"'{side}'", "left, right or bilateral")
    view = slots.get("object_view")
    if view and (reason := sctid_problem(view)):
        refuse("object_view", f"'{view}' {reason}", "a SNOMED CT concept identifier")
    languages = slots.get("subject_language")
    if languages and not _LANGUAGES.fullmatch(languages):
        refuse("subject_language", f"'{languages}'", "BCP 47 tags such as de or de|pt-BR")
    scope = slots.get("subject_scope")
    if scope and scope not in SCOPES:
        refuse("subject_scope", f"'{scope}'", " or ".join(SCOPES))
    if not slots.get("author_id") and not slots.get("mapping_tool"):
        refuse("author_id", "neither author_id nor mapping_tool", "who or what made the row")
    return problems


def _check_object(object_id: str, refuse: _Refuse) -> None:
    if not object_id or object_id == NO_TERM_FOUND:
        return
    if object_id.startswith(DICOM_PREFIX):
        if not _DICOM_CODE.fullmatch(object_id.removeprefix(DICOM_PREFIX)):
            refuse("object_id", f"'{object_id}'", f"{DICOM_PREFIX} and a code value of PS3.16 D")
    elif not object_id.startswith(SNOMED_PREFIX):
        expected = f"{SNOMED_PREFIX}<SCTID>, {DICOM_PREFIX}<code> or {NO_TERM_FOUND}"
        refuse("object_id", f"'{object_id}'", expected)
    elif reason := sctid_problem(object_id.removeprefix(SNOMED_PREFIX)):
        refuse("object_id", f"'{object_id}' {reason}", "a SNOMED CT concept identifier")


def _set_problems(name: str, mapping_set: MappingSet) -> list[RowProblem]:
    problems: list[RowProblem] = []
    declared = _BUILT_IN_PREFIXES | set(mapping_set.curie_map)
    seen: dict[tuple[str | None, ...], SemanticMapping] = {}
    right: set[str | None] = {None}
    for row in mapping_set.mappings:
        for slot, value in zip(_ENTITIES, _entities(row), strict=True):
            if value in right:
                continue
            curie = _CURIE.fullmatch(value)
            if curie is None or curie[1] not in declared:
                problems.append(
                    RowProblem(name, row.line, slot, f"'{value}'", "a CURIE with a declared prefix")
                )
            else:
                right.add(value)
        pair = (row.subject_id, row.subject_label if row.subject_id is None else None)
        key = (*pair, row.subject_field, row.object_id, str(row.object_laterality))
        other = seen.setdefault(key, row)
        if other is not row:
            what = (
                f"the pair of line {other.line} again"
                if other.negated == row.negated
                else f"negates line {other.line}"
            )
            problems.append(RowProblem(name, row.line, "object_id", what, "each pair once"))
    return problems


def _is_fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
