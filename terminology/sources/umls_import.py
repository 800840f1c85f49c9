"""A site's licensed UMLS files → its own table of CUIs. Nothing of them enters the repository.

MRCONSO.RRF pairs CUIs with SNOMED CT codes; MRMAP.RRF maps codes of other vocabularies, and CUIs,
to SNOMED CT. The table that is made holds codes, and labels of the release or the embedded subset;
a name of the UMLS is looked at (an Entire concept without a release) and never written. Both files
have tens of millions of rows and are streamed.

The table overrides the shipped ones, so what those refuse is copied into it: a CUI that image sets
misuse stays blocked, and a shifted pair stays refused, whatever MRCONSO says.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, cast

from terminology import sssom
from terminology.concept import Laterality
from terminology.errors import RowProblem, TableError
from terminology.graph import BodyStructureGraph
from terminology.identifiers import cui_problem, sctid_problem
from terminology.mapping import (
    BROAD,
    CLOSE,
    EXACT,
    NARROW,
    RELATED,
    MappingSet,
    SemanticMapping,
)
from terminology.release.anatomy import Anatomy
from terminology.sources.umls import is_blocked
from terminology.sources.umls_names import Names, normalised

TABLE: Final = "umls-cui.sssom.tsv"
TOOL: Final = "bodysite mappings import-umls"
Progress = Callable[[int], None]

# UMLS Reference Manual, MRCONSO.RRF: every row ends with a bar.
# fmt: off
MRCONSO: Final = (
    "CUI", "LAT", "TS", "LUI", "STT", "SUI", "ISPREF", "AUI", "SAUI", "SCUI", "SDUI", "SAB",
    "TTY", "CODE", "STR", "SRL", "SUPPRESS", "CVF",
)
# UMLS Reference Manual, MRMAP.RRF.
MRMAP: Final = (
    "MAPSETCUI", "MAPSETSAB", "MAPSUBSETID", "MAPRANK", "MAPID", "MAPSID", "FROMID", "FROMSID",
    "FROMEXPR", "FROMTYPE", "FROMRULE", "FROMRES", "REL", "RELA", "TOID", "TOSID", "TOEXPR",
    "TOTYPE", "TORULE", "TORES", "MAPRULE", "MAPRES", "MAPTYPE", "MAPATN", "MAPATV", "CVF",
)
# fmt: on
_SNOMED_SABS: Final = frozenset({"SNOMEDCT_US", "SNOMEDCT"})
# UMLS Reference Manual, SUPPRESS: O obsolete, Y and E suppressed by editors.
_SHOWN: Final = "N"
_CODE_TYPES: Final = frozenset({"CODE", "SCUI", "SDUI"})
# UMLS Reference Manual, REL: how what is mapped from stands to what it is mapped to.
_PREDICATES: Final = {
    "SY": EXACT,
    "RL": CLOSE,
    "RQ": CLOSE,
    "RN": BROAD,
    "RB": NARROW,
    "RO": RELATED,
    "RU": RELATED,
}
_RANK: Final = {EXACT: 0, CLOSE: 1, BROAD: 2, NARROW: 3, RELATED: 4}
_CONFIDENCE: Final = {EXACT: 0.95, CLOSE: 0.85, BROAD: 0.85, NARROW: 0.7, RELATED: 0.5}
_ENTIRE: Final = "Entire "
_NO_ENTIRE: Final[Mapping[str, str]] = MappingProxyType({})
_MOST_PROBLEMS: Final = 20
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class RrfMapping:
    """A row of MRMAP that leads to a SNOMED CT code, from a CUI or from a code of `sab`."""

    sab: str
    source: str
    sct: str
    predicate: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the rows: `counts` by a short phrase, and the table that was made."""

    counts: dict[str, int]
    table: MappingSet

    @property
    def subjects(self) -> int:
        """How many CUIs the table decides."""
        return len({row.subject_id for row in self.table.mappings})


def read_mrmap(path: Path, progress: Progress | None = None) -> Iterator[RrfMapping]:
    """Yield the rows of MRMAP.RRF that lead to one SNOMED CT code without a condition.

    Raises
    ------
    TableError
        The file is missing or rows have not the columns of MRMAP.
    """
    for _, cells in _rows(path, MRMAP, progress, lambda _: True):
        (sab, source, kind, rel, target, target_kind, *rules) = (
            cells[MRMAP.index(column)]
            for column in (
                *("MAPSETSAB", "FROMEXPR", "FROMTYPE", "REL", "TOEXPR", "TOTYPE"),
                *("FROMRULE", "TORULE", "MAPRULE"),
            )
        )
        predicate = _PREDICATES.get(rel)
        if predicate is None or target_kind not in _CODE_TYPES or sctid_problem(target):
            continue
        if any(rule not in ("", "TRUE", "ALWAYS") for rule in rules):
            continue
        if kind == "CUI" and not cui_problem(source):
            yield RrfMapping("", source, target, predicate)
        elif kind in _CODE_TYPES and sab not in _SNOMED_SABS:
            yield RrfMapping(sab, source, target, predicate)


class UmlsImport:
    """Gathers pairs of the licensed files, and makes the table of them.

    Parameters
    ----------
    graph
        The body structures that may be answers: of a release, or the embedded ones.
    shipped
        The tables of CUIs that come with Bodysite.
    entire
        Entire concepts and their structures, where a release does not say so.
    """

    def __init__(
        self,
        graph: BodyStructureGraph,
        shipped: Iterable[MappingSet],
        entire: Mapping[str, str] = _NO_ENTIRE,
    ) -> None:
        self._graph = graph
        self._anatomy = Anatomy(graph.index)
        self._entire = entire
        self._names: Names | None = None
        self._shipped: dict[str, list[SemanticMapping]] = {}
        for table in shipped:
            own: dict[str, list[SemanticMapping]] = defaultdict(list)
            for row in table.mappings:
                own[row.subject_id or ""].append(row)
            # The first table that decides a code decides it alone, as in the crosswalk.
            self._shipped.update(
                {key: rows for key, rows in own.items() if key not in self._shipped}
            )
        # CUI → structure → the best predicate that a row states.
        self._pairs: dict[str, dict[str, str]] = defaultdict(dict)
        self._placed: dict[str, tuple[tuple[str, str], ...]] = {}
        self._counts: Counter[str] = Counter()

    def read(
        self,
        mrconso: Path,
        mrmap: Path | None = None,
        progress: Callable[[Path], Progress] | None = None,
    ) -> None:
        """Read the files; `progress` gives, for each, what is told how many bytes were read.

        Raises
        ------
        TableError
            A file is missing, or rows have not the columns of MRCONSO and MRMAP. The first
            wrong rows are named by line and column.
        """
        mapped: list[tuple[str, RrfMapping]] = []
        wanted: dict[tuple[str, str], list[RrfMapping]] = defaultdict(list)
        if mrmap is not None:
            for mapping in read_mrmap(mrmap, progress(mrmap) if progress else None):
                if mapping.sab:
                    wanted[mapping.sab, mapping.source].append(mapping)
                else:
                    mapped.append((mapping.source, mapping))
        bar = progress(mrconso) if progress else None
        mapped.extend(self._read_mrconso(mrconso, wanted, bar))
        # Only now is it known which codes are Entire concepts.
        for cui, mapping in mapped:
            self._add(cui, mapping.sct, "", mapping.predicate, "MRMAP")

    def _read_mrconso(
        self,
        path: Path,
        wanted: dict[tuple[str, str], list[RrfMapping]],
        progress: Progress | None,
    ) -> list[tuple[str, RrfMapping]]:
        """Add the pairs of MRCONSO; return the rows of MRMAP whose code it gives a CUI."""
        mapped: list[tuple[str, RrfMapping]] = []
        sabs = _SNOMED_SABS | {sab for sab, _ in wanted}
        marks = [f"|{sab}|".encode() for sab in sabs]
        position = {column: place for place, column in enumerate(MRCONSO)}

        def concerns(line: bytes) -> bool:
            return any(mark in line for mark in marks)

        for number, cells in _rows(path, MRCONSO, progress, concerns):
            cui, sab = cells[position["CUI"]], cells[position["SAB"]]
            if reason := cui_problem(cui):
                raise TableError(
                    [RowProblem(path.name, number, "CUI", f"'{cui}' {reason}", "a CUI")]
                )
            if sab not in sabs or cells[position["SUPPRESS"]] != _SHOWN:
                continue
            codes = {cells[position["CODE"]], cells[position["SCUI"]], cells[position["SDUI"]]}
            if sab in _SNOMED_SABS:
                sct = cells[position["SCUI"]] or cells[position["CODE"]]
                self._add(cui, sct, cells[position["STR"]], EXACT, "MRCONSO")
            for code in codes - {""}:
                mapped.extend((cui, mapping) for mapping in wanted.get((sab, code), ()))
        return mapped

    def _add(self, cui: str, sct: str, name: str, predicate: str, source: str) -> None:
        places = self._places(sct, name)
        if not places:
            return
        self._counts[f"rows of {source} that lead to a body structure"] += 1
        for code, entire in places:
            # With broadMatch the OBJECT is broader: the structure is, than its Entire concept.
            found = BROAD if entire and predicate in (EXACT, CLOSE) else predicate
            known = self._pairs[cui].get(code, RELATED)
            self._pairs[cui][code] = min(known, found, key=_RANK.__getitem__)

    def _places(self, sct: str, name: str) -> tuple[tuple[str, str], ...]:
        """Return the structures for a code, each with "entire" where the code is the Entire one."""
        if sct in self._placed:
            return self._placed[sct]
        if sct in self._graph:
            found = self._structures(self._graph.current(sct))
            self._placed[sct] = found
            return found
        if self._entire.get(sct) in self._graph:
            self._placed[sct] = ((self._entire[sct], "entire"),)
            return self._placed[sct]
        if name.startswith(_ENTIRE):
            if self._names is None:
                self._names = Names(self._graph)
            code = self._names.lookup(name.removeprefix(_ENTIRE))
            if code is not None:
                self._placed[sct] = ((code, "entire"),)
                return self._placed[sct]
        return ()

    def _structures(self, code: str) -> tuple[tuple[str, str], ...]:
        triple = self._anatomy.triple(code) if self._graph.index.find(code) >= 0 else None
        if triple is not None:
            return ((triple.structure, "" if triple.structure == code else "entire"),)
        display = self._graph.lookup(code).display
        if not display.startswith(_ENTIRE):
            return ((code, ""),)
        wanted = normalised(display)
        found: set[str] = set()
        level = {code}
        while level and not found:
            level = {parent for one in level for parent in self._graph.parents(one)}
            found = {
                one for one in level if not self._graph.lookup(one).display.startswith(_ENTIRE)
            }
        named = {one for one in found if normalised(self._graph.lookup(one).display) == wanted}
        return tuple((one, "entire") for one in sorted(named or found))

    def table(self, existing: MappingSet | None, date: str) -> ImportReport:
        """Return the table, and what became of the pairs.

        `existing` is the site's table as it stands: rows in it that the import did not make are
        the site's own decisions, which stay and decide their CUIs. `date` is ISO 8601.
        """
        counts = Counter(self._counts)
        rows: list[SemanticMapping] = []
        own = [row for row in existing.mappings if row.mapping_tool != TOOL] if existing else []
        decided = {row.subject_id for row in own}
        for cui, pairs in sorted(self._pairs.items()):
            subject = f"UMLS:{cui}"
            if subject in decided:
                counts["CUIs that the site has decided itself"] += 1
                continue
            shipped = self._shipped.get(subject, [])
            if is_blocked(shipped):
                counts["CUIs that stay blocked"] += 1
                rows.extend(_copied(row) for row in shipped)
                continue
            refused = self._same({sssom.object_code(row) for row in shipped if row.negated})
            kept = {code: predicate for code, predicate in pairs.items() if code not in refused}
            counts["pairs that stay refused"] += len(pairs) - len(kept)
            if not kept:
                continue
            rows.extend(_copied(row) for row in shipped if row.negated)
            rows.extend(self._rows(subject, kept, shipped))
            counts["CUIs that the licensed files decide"] += 1
            before = {sssom.object_code(row) for row in shipped if not row.negated}
            if before and not any(self._near(one, two) for one in before for two in kept):
                counts["CUIs that the shipped tables put elsewhere"] += 1
        block = tuple(_BLOCK.format(date=date).strip().split("\n"))
        table = MappingSet(TABLE.removesuffix(".sssom.tsv"), {}, (*own, *rows), block)
        return ImportReport(dict(counts), table)

    def _rows(
        self, subject: str, pairs: dict[str, str], shipped: Sequence[SemanticMapping]
    ) -> Iterator[SemanticMapping]:
        asserted = [row for row in shipped if not row.negated and not row.no_match]
        # A CUI that image sets misuse is weak evidence, however sure its meaning is.
        weak = [row for row in asserted if (row.confidence or 1) <= _CONFIDENCE[RELATED]]
        exact = [code for code, predicate in pairs.items() if predicate == EXACT]
        preferred = {sssom.object_code(row) for row in asserted if row.predicate_id == EXACT}
        for code, predicate in pairs.items():
            if predicate == EXACT and len(exact) > 1 and code not in preferred:
                predicate = CLOSE
            confidence = _CONFIDENCE[predicate]
            yield SemanticMapping(
                subject_id=subject,
                subject_label=None,
                subject_type=None,
                predicate_id=predicate,
                predicate_modifier=None,
                object_id=f"{sssom.SNOMED_PREFIX}{code}",
                object_label=self._graph.lookup(code).display,
                object_laterality=self._side(code),
                mapping_justification="semapv:UnspecifiedMatching",
                mapping_tool=TOOL,
                confidence=min(confidence, weak[0].confidence or 0) if weak else confidence,
                comment=weak[0].comment if weak else None,
            )

    def _same(self, codes: set[str]) -> set[str]:
        """Return `codes` with their former and present ones."""
        return codes.union(*(self._graph.equivalents(one) for one in codes if one in self._graph))

    def _side(self, code: str) -> Laterality | None:
        return self._graph.unsided(code)[1]

    def _near(self, one: str, other: str) -> bool:
        if one not in self._graph:
            return False
        return (
            one == other
            or self._graph.subsumes(one, other)
            or self._graph.subsumes(other, one)
            or bool(self._graph.equivalents(one) & {other})
        )


def _copied(row: SemanticMapping) -> SemanticMapping:
    """Return a refusal of the shipped tables as the import writes it, so that it stays."""
    return replace(row, mapping_tool=TOOL)


def _rows(
    path: Path,
    columns: Sequence[str],
    progress: Progress | None,
    concerns: Callable[[bytes], bool],
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of the rows that concern us; every row's columns are counted."""
    problems: list[RowProblem] = []
    bars = len(columns)
    expected = f"the {bars} columns of {path.name.partition('.')[0]}, each ended by a bar"
    read = lines = 0
    with _opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            lines = number
            read += len(line)
            if progress is not None and not number % _CHUNK:
                progress(read)
                read = 0
            if line.count(b"|") != bars or not line.rstrip(b"\r\n").endswith(b"|"):
                found = f"{line.count(b'|')} bars"
                problems.append(RowProblem(path.name, number, columns[0], found, expected))
                if len(problems) == _MOST_PROBLEMS:
                    break
                continue
            if problems or not concerns(line):
                continue
            try:
                cells = line.decode("utf-8").rstrip("\r\n").split("|")
            except UnicodeDecodeError as error:
                column = columns[line[: error.start].count(b"|")]
                found = "bytes that are not UTF-8"
                problems.append(RowProblem(path.name, number, column, found, "UTF-8 text"))
                break
            yield number, cells
    if not lines:
        problems.append(RowProblem(path.name, 1, "file", "no rows", expected))
    if problems:
        raise TableError(problems)
    if progress is not None:
        progress(read)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(path.open("rb"))
            if path.suffix == ".gz":
                stream = cast("IO[bytes]", stack.enter_context(gzip.open(stream)))
            yield stream
    except FileNotFoundError:
        problem = RowProblem(path.name, 1, "file", f"no file in {path.parent}", "an RRF file")
        raise TableError([problem]) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        problem = RowProblem(path.name, 1, "file", "no whole gzip file", "an RRF file")
        raise TableError([problem]) from None


_BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/local/umls-cui
mapping_set_version: "{date}"
mapping_set_title: UMLS concept unique identifiers to SNOMED CT body structures, of this site
mapping_set_description: >-
  Made by bodysite mappings import-umls from licensed files of the UMLS Metathesaurus, for use under
  that licence and not for publication. Refusals of the tables that come with Bodysite are copied,
  so that they hold. Rows of another tool or author stay at the next import.
license: https://www.nlm.nih.gov/research/umls/knowledge_sources/metathesaurus/release/license_agreement.html
mapping_date: "{date}"
curie_map:
  UMLS: https://uts.nlm.nih.gov/uts/umls/concept/
  bodysite: https://w3id.org/bodysite/
  snomedct: http://snomed.info/id/
  xsd: http://www.w3.org/2001/XMLSchema#
subject_source: http://www.nlm.nih.gov/research/umls
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: bodysite:object_laterality
    type_hint: xsd:string
"""
