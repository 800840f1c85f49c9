"""`ReleaseIndex`: a release ready to be asked, memory-mapped or compiled in memory.

Inside, a concept is its ordinal, and a set of concepts is a bitmap of ordinals; at the faces a
concept is its SCTID, as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap, FrozenBitMap

from terminology.errors import UnknownConceptError
from terminology.identifiers import check_sctid
from terminology.release.arrays import Array, ArrayFile
from terminology.release.codes import CodeTable
from terminology.release.descriptions import DescriptionTable
from terminology.release.groups import GroupTable
from terminology.release.ordinals import as_array, bitmap_of_flags
from terminology.release.pairs import PairTest
from terminology.release.refsets import RefsetTable
from terminology.release.relations import Concretes, Relations, span
from terminology.release.subsumption import subsumption
from terminology.release.terms import TermSearch
from terminology.release.values import (
    FSN,
    LATERALIZABLE,
    ROOT,
    SYNONYM,
    Association,
    Attribute,
    ConcreteValue,
    Description,
)

# Bitmaps that were asked for lately are kept; the cache is emptied when it is full.
_KEPT_SETS: Final = 4_096
_NOTHING: Final = FrozenBitMap()

Made = TypeVar("Made")


class ReleaseIndex:
    """The concepts of a release: hierarchy, attributes, terms, reference sets.

    Parameters
    ----------
    facts, arrays
        What `terminology.release.build.compile_rows` made, or the `ArrayFile` that holds it.
    embedded
        Whether this is the subset that comes with Bodysite.

    Attributes
    ----------
    version
        The version URI that FHIR answers carry.
    ids
        int64 (concepts,): SCTID by ordinal. Ordinals follow a depth-first walk of the hierarchy;
        inactive concepts come last.
    effective_times, modules, defined
        int32, int64, bool (concepts,), by ordinal.
    all, active
        Every concept; the active ones.
    subsumes
        (ancestor, descendant) → whether the first code is strictly above the second; no code is
        above itself.

    Raises
    ------
    UnknownConceptError
        From every method that is handed a code the release does not hold.
    IdentifierError
        From the same methods when the code is no SNOMED CT identifier at all.
    """

    def __init__(
        self, facts: Mapping[str, Any], arrays: Mapping[str, Array], *, embedded: bool = False
    ) -> None:
        self.facts = facts
        self.arrays = arrays
        self.embedded = embedded
        self.version: str = facts["version"]
        self.ids: NDArray[np.int64] = arrays["concept.id"]
        self.effective_times: NDArray[np.int32] = arrays["concept.effective_time"]
        self.modules: NDArray[np.int64] = arrays["concept.module"]
        self.defined: NDArray[np.bool_] = arrays["concept.defined"]
        self._active: NDArray[np.bool_] = arrays["concept.active"]
        self._ids = self.ids.data
        self._above = _Lists(arrays, "ancestors")
        self._parents = _Lists(arrays, "parents")
        self._children = _Lists(arrays, "children")
        self._blob_starts = arrays["isa.descendants.starts"].data
        self._blobs = arrays["isa.descendants.data"].data
        self._found = CodeTable(arrays)
        self._below = _Below(self._read_below)
        self._derived: dict[Callable[[ReleaseIndex], Any], Any] = {}
        self._lock = RLock()
        self.subsumes: Callable[[str, str], bool] = subsumption(
            self._found, self._above.values, self._above.starts, self.ordinal
        )

    @classmethod
    def open(cls, path: Path) -> ReleaseIndex:
        """Return the index in a file, memory-mapped: processes that open it share its memory.

        Raises
        ------
        IndexFileError
            The file is missing, is no index, was cut short, or is of another format.
        """
        file = ArrayFile(path)
        return cls(file.facts, file)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and self._found[code] >= 0

    def __repr__(self) -> str:
        return f"<ReleaseIndex {self.version}, {len(self)} concepts>"

    def derived(self, make: Callable[[ReleaseIndex], Made]) -> Made:
        """Return what `make` makes of this index: made once, by one thread, and kept with it.

        `make` is a class or a function of a module; it may call `derived` itself.
        """
        if make not in self._derived:
            with self._lock:
                if make not in self._derived:
                    self._derived[make] = make(self)
        made: Made = self._derived[make]
        return made

    # Codes and ordinals

    def find(self, code: str | int) -> int:
        """Return the ordinal of a code, or -1 when the release does not hold it."""
        return self._found[str(code)]

    def ordinal(self, code: str) -> int:
        """Return the ordinal of a code; inactive concepts have one too."""
        ordinal = self._found[code]
        if ordinal < 0:
            check_sctid(code)
            raise UnknownConceptError(code, self.version)
        return ordinal

    def ordinals(self, codes: Iterable[str]) -> BitMap:
        """Return the ordinals of codes as a set."""
        return BitMap(self.ordinal(code) for code in codes)

    def code(self, ordinal: int) -> str:
        """Return the SCTID of an ordinal."""
        return str(self._ids[ordinal])

    def codes(self, ordinals: Iterable[int]) -> list[str]:
        """Return the SCTIDs of ordinals, in the order of their numbers."""
        return [str(one) for one in self.sorted_ids(ordinals).tolist()]

    def sorted_ids(self, ordinals: Iterable[int]) -> NDArray[np.int64]:
        """Return the SCTIDs of ordinals as int64, ascending."""
        return np.sort(self.ids[as_array(ordinals)])

    # Concepts

    @cached_property
    def all(self) -> FrozenBitMap:
        """Every concept, active or not."""
        return FrozenBitMap(range(len(self)))

    @cached_property
    def active(self) -> FrozenBitMap:
        """The active concepts."""
        return FrozenBitMap(bitmap_of_flags(self._active))

    @cached_property
    def by_code(self) -> NDArray[np.uint32]:
        """Every ordinal, in the order of the codes as numbers."""
        return np.argsort(self.ids).astype(np.uint32)

    @cached_property
    def root(self) -> int:
        """The ordinal of 138875005 |SNOMED CT Concept|."""
        return self.ordinal(ROOT)

    @cached_property
    def rooted(self) -> FrozenBitMap:
        """The root and everything below it: what the wildcard of ECL means."""
        return FrozenBitMap(self.descendants(self.root) | BitMap([self.root]))

    def is_active(self, ordinal: int) -> bool:
        """Return whether a concept is active."""
        return bool(self._active[ordinal])

    def is_defined(self, ordinal: int) -> bool:
        """Return whether a concept is sufficiently defined by its attributes."""
        return bool(self.defined[ordinal])

    def effective_time(self, ordinal: int) -> int:
        """Return the date of a concept's last change, as the number YYYYMMDD."""
        return int(self.effective_times[ordinal])

    def module(self, ordinal: int) -> str:
        """Return the SCTID of a concept's module; empty in the embedded subset."""
        module = int(self.modules[ordinal])
        return str(module) if module else ""

    # Hierarchy

    def parents(self, ordinal: int) -> FrozenBitMap:
        """Return the direct parents."""
        return FrozenBitMap(self._parents.of(ordinal))

    def children(self, ordinal: int) -> FrozenBitMap:
        """Return the direct children."""
        return FrozenBitMap(self._children.of(ordinal))

    def ancestors(self, ordinal: int) -> FrozenBitMap:
        """Return all ancestors, without the concept itself."""
        return FrozenBitMap(self._above.of(ordinal))

    def descendants(self, ordinal: int) -> FrozenBitMap:
        """Return all descendants, without the concept itself."""
        return self._below[ordinal]

    def is_above(self, ancestor: int, descendant: int) -> bool:
        """Return whether one ordinal is strictly above another."""
        return descendant in self._below[ancestor]

    def subsumes_many(
        self, ancestors: NDArray[np.uint32], descendants: NDArray[np.uint32]
    ) -> NDArray[np.bool_]:
        """Return, pair by pair, whether the first ordinal is strictly above the second.

        Both are uint32 of one shape; so is the answer, bool.
        """
        return self._pairs(ancestors, descendants)

    def compare(self, code_a: str, code_b: str) -> str:
        """Return the outcome of FHIR's `$subsumes` for two codes.

        One of "equivalent", "subsumes" (A is above B), "subsumed-by", "not-subsumed".
        """
        if code_a == code_b:
            self.ordinal(code_a)
            return "equivalent"
        if self.subsumes(code_a, code_b):
            return "subsumes"
        return "subsumed-by" if self.subsumes(code_b, code_a) else "not-subsumed"

    def most_specific(self, ordinals: BitMap | FrozenBitMap) -> BitMap:
        """Return the members of a set that have no descendant in it."""
        covered = BitMap()
        for ordinal in ordinals:
            covered.update(self._above.of(ordinal))
        return BitMap(ordinals) - covered

    def nearest_common(self, ordinals: Iterable[int]) -> BitMap:
        """Return the most specific concepts that subsume, or are, every one of `ordinals`."""
        shared: BitMap | None = None
        for ordinal in ordinals:
            above = BitMap(self._above.of(ordinal))
            above.add(ordinal)
            shared = above if shared is None else shared & above
        return self.most_specific(shared) if shared else BitMap()

    # Attributes

    @cached_property
    def relations(self) -> Relations:
        """The attributes whose values are concepts."""
        return Relations(self.arrays)

    @cached_property
    def concretes(self) -> Concretes:
        """The attributes whose values are numbers, text or truth values."""
        return Concretes(self.arrays)

    @cached_property
    def groups(self) -> GroupTable:
        """The relationship groups of both."""
        return GroupTable(self.arrays)

    def attributes(self, ordinal: int) -> tuple[Attribute, ...]:
        """Return the attributes of a concept, sorted by group and type."""
        table, concretes = self.relations, self.concretes
        rows, values = table.of(ordinal), concretes.of(ordinal)
        found = [
            Attribute(group, kind, value)
            for group, kind, value in zip(
                table.group[rows].tolist(),
                table.type[rows].tolist(),
                table.destination[rows].tolist(),
                strict=True,
            )
        ]
        for row in range(values.start, values.stop):
            concrete: ConcreteValue = concretes.value(row)
            found.append(Attribute(int(concretes.group[row]), int(concretes.type[row]), concrete))
        return tuple(sorted(found, key=lambda one: (one.group, one.type)))

    # Descriptions

    @cached_property
    def descriptions_table(self) -> DescriptionTable:
        """All descriptions as columns."""
        return DescriptionTable(self.facts["descriptions"], self.arrays)

    @property
    def dialects(self) -> Mapping[str, str]:
        """BCP-47 tag in lower case → language reference set."""
        return self.descriptions_table.dialects

    def descriptions(self, ordinal: int, *, inactive: bool = False) -> tuple[Description, ...]:
        """Return the descriptions of a concept: FSN, synonyms, definitions; by id within each."""
        table, code = self.descriptions_table, self.code(ordinal)
        found = [
            table.description(row, code)
            for row in table.rows(ordinal)
            if inactive or table.active[row]
        ]
        places = {"fsn": 0, "synonym": 1, "definition": 2, "other": 3}
        return tuple(sorted(found, key=lambda one: places[one.type]))

    def display(self, ordinal: int, languages: Iterable[str] = ()) -> str:
        """Return the preferred term, in the first of the `languages` (BCP-47) that has one."""
        return self._shown(ordinal, SYNONYM, languages)

    def fsn(self, ordinal: int, languages: Iterable[str] = ()) -> str:
        """Return the fully specified name, in the first of the `languages` that has one."""
        return self._shown(ordinal, FSN, languages)

    @cached_property
    def search(self) -> TermSearch:
        """Text search over the descriptions."""
        return TermSearch(self.arrays, self.descriptions_table, self.find)

    # Reference sets

    @cached_property
    def refsets(self) -> Mapping[int, RefsetTable]:
        """The reference sets by their own ordinal, but for those of languages."""
        found = {}
        for facts in self.facts["refsets"]:
            ordinal = self.find(facts["refset"])
            if ordinal >= 0:
                found[ordinal] = RefsetTable(facts, self.arrays)
        return found

    def members(self, refset: int) -> FrozenBitMap:
        """Return the concepts that active rows of a reference set refer to; none for no refset."""
        name = f"refset.{self.code(refset)}.members"
        if name not in self.arrays:
            return _NOTHING
        return FrozenBitMap.deserialize(self.arrays[name].tobytes())

    @cached_property
    def lateralizable(self) -> FrozenBitMap:
        """The members of 723264001 |Lateralizable body structure reference set|."""
        refset = self.find(LATERALIZABLE)
        return self.members(refset) if refset >= 0 else _NOTHING

    def associations(self, ordinal: int) -> tuple[Association, ...]:
        """Return what active association rows say of a concept, historical and anatomical."""
        left, right = span(self.arrays["association.source"], ordinal)
        target, refset = self.arrays["association.target"], self.arrays["association.refset"]
        return tuple(
            Association(str(refset[row]), self.code(int(target[row]))) for row in range(left, right)
        )

    def associated(self, ordinal: int) -> tuple[Association, ...]:
        """Return the same from the other end: `target` is the concept that refers to this one."""
        rows = self.arrays["association.by_target"]
        left, right = span(self.arrays["association.target"], ordinal, rows)
        source, refset = self.arrays["association.source"], self.arrays["association.refset"]
        return tuple(
            Association(str(refset[row]), self.code(int(source[row])))
            for row in rows[left:right].tolist()
        )

    # Codes of other schemes

    def find_alternate(self, scheme: str, identifier: str) -> int | None:
        """Return the concept that has a code in another scheme, such as LOINC's; `None` for none.

        `scheme` is the SCTID of the scheme's concept, or a term of it, in any case.
        """
        return self._alternates.get((scheme.casefold(), identifier))

    @cached_property
    def _alternates(self) -> Mapping[tuple[str, str], int]:
        starts = self.arrays["identifier.code.starts"]
        data = self.arrays["identifier.code.data"].tobytes()
        names: dict[int, set[str]] = {}
        found = {}
        for row, (scheme, concept) in enumerate(
            zip(
                self.arrays["identifier.scheme"].tolist(),
                self.arrays["identifier.concept"].tolist(),
                strict=True,
            )
        ):
            if scheme not in names:
                known = self.find(scheme)
                terms = () if known < 0 else self.descriptions(known)
                names[scheme] = {str(scheme), *(one.term.casefold() for one in terms)}
            code = data[starts[row] : starts[row + 1]].decode()
            for name in names[scheme]:
                found[name, code] = concept
        return found

    def _shown(self, ordinal: int, type_code: str, languages: Iterable[str]) -> str:
        table = self.descriptions_table
        row = None
        if languages:
            row = table.best_row(ordinal, type_code, table.refsets_for(languages))
        if row is None:
            row = table.display_row(ordinal) if type_code == SYNONYM else table.fsn_row(ordinal)
        if row is None:
            row = next(iter(table.rows(ordinal)), None)
        return self.code(ordinal) if row is None else table.term(row)

    @cached_property
    def _pairs(self) -> PairTest:
        return PairTest(self.arrays)

    def _read_below(self, ordinal: int) -> FrozenBitMap:
        start, end = self._blob_starts[ordinal], self._blob_starts[ordinal + 1]
        if start == end:
            return _NOTHING
        return FrozenBitMap.deserialize(bytes(self._blobs[start:end]))


class _Lists:
    """Lists by ordinal in two memory-mapped arrays."""

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        self.starts = arrays[f"isa.{name}.starts"].data
        self.values = arrays[f"isa.{name}.values"].data

    def of(self, ordinal: int) -> list[int]:
        found: list[int] = self.values[self.starts[ordinal] : self.starts[ordinal + 1]].tolist()
        return found


class _Below(dict[int, FrozenBitMap]):
    """Ordinals → descendants, filled as they are asked for."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, ordinal: int) -> FrozenBitMap:
        found: FrozenBitMap = self._read(ordinal)
        if len(self) >= _KEPT_SETS:
            self.clear()
        self[ordinal] = found
        return found
