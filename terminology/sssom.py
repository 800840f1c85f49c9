"""Read, check and write `.sssom.tsv` tables.

The format is SSSOM 1.1 TSV with the metadata embedded as a ``#`` block of YAML
(https://mapping-commons.github.io/sssom/). Columns stand in the canonical order of the standard,
columns that are empty throughout are left out, extension slots come last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from terminology.concept import DICOM, SNOMED, Laterality
from terminology.errors import RowProblem, TableError
from terminology.files import written_whole
from terminology.identifiers import cui_problem, irma_anatomy_problem, sctid_problem
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
_Refuse = Callable[[str, str, str], None]

_DICOM_CODE = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)
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
    header: list[str] | None = None
    metadata_lines: list[str] = []
    mappings: list[SemanticMapping] = []
    name = path.name
    for number, line in numbered_lines(path):
        if header is None and line.startswith("#"):
            metadata_lines.append(line[1:])
            continue
        cells = line.split("\t")
        if header is None:
            header = cells
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
            slots = dict(zip(header, cells, strict=True))
            found = _row_problems(name, number, slots)
            problems.extend(found)
            if not found:
                mappings.append(_mapping(slots, number))
    metadata = _metadata(name, metadata_lines, problems)
    mapping_set = MappingSet(
        path.name.removesuffix(".sssom.tsv"), metadata, tuple(mappings), tuple(metadata_lines)
    )
    problems.extend(_set_problems(name, mapping_set))
    if problems:
        raise TableError(sorted(problems, key=lambda problem: problem.line))
    return mapping_set


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


def _mapping(slots: dict[str, str], line: int) -> SemanticMapping:
    def slot(column: str) -> str | None:
        return slots.get(column) or None

    side = slot("object_laterality")
    confidence = slot("confidence")
    return SemanticMapping(
        subject_id=slot("subject_id"),
        subject_label=slot("subject_label"),
        subject_type=slot("subject_type"),
        predicate_id=slots["predicate_id"],
        predicate_modifier=slot("predicate_modifier"),
        object_id=slots["object_id"],
        object_label=slot("object_label"),
        object_laterality=Laterality(side) if side else None,
        mapping_justification=slots["mapping_justification"],
        author_id=slot("author_id"),
        mapping_tool=slot("mapping_tool"),
        mapping_date=slot("mapping_date"),
        confidence=float(confidence) if confidence else None,
        mapping_source=slot("mapping_source"),
        comment=slot("comment"),
        subject_language=slot("subject_language"),
        object_category=slot("object_category"),
        object_view=slot("object_view"),
        subject_field=slot("subject_field"),
        subject_scope=slot("subject_scope"),
        line=line,
    )


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


class _TextLoader(yaml.SafeLoader):
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
    if subject.startswith("UMLS:") and (reason := cui_problem(subject.removeprefix("UMLS:"))):
        refuse("subject_id", f"'{subject}' {reason}", "a CUI such as UMLS:C0024109")
    if subject.startswith("irma:") and (
        reason := irma_anatomy_problem(subject.removeprefix("irma:"))
    ):
        refuse("subject_id", f"'{subject}' {reason}", "an IRMA code such as irma:414")
    confidence = slots.get("confidence")
    if confidence and not _is_fraction(confidence):
        refuse("confidence", f"'{confidence}'", "a number from 0 to 1")
    side = slots.get("object_laterality")
    if side and side not in set(Laterality):
        refuse("object_laterality", f"'{side}'", "left, right or bilateral")
    view = slots.get("object_view")
    if view and (reason := sctid_problem(view)):
        refuse("object_view", f"'{view}' {reason}", "a SNOMED CT concept identifier")
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
    for row in mapping_set.mappings:
        for slot in _ENTITIES:
            value = getattr(row, slot)
            if value is None:
                continue
            curie = _CURIE.fullmatch(value)
            if curie is None or curie[1] not in declared:
                problems.append(
                    RowProblem(name, row.line, slot, f"'{value}'", "a CURIE with a declared prefix")
                )
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
