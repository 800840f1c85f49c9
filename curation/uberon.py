"""The classes of Uberon: which structure of the subset each is, or lies in.

1. A class is the structure that all who speak of it mean: its label, its FMA identifiers (by the
   locations of RadLex and by DICOM), DICOM's own pairs with Uberon, the curated table of CUIs, and
   Uberon's pairs with SNOMED CT where the subset has the code. Where they differ it is none.
2. Labels that say another thing of animals than of people, or less than they seem to, are judged
   here one by one.
3. Other classes map to the nearest parents by part-of and is-a that are a structure (broadMatch:
   the OBJECT is broader), three steps at most; what is of embryos maps to nothing.

What an Entire concept of Uberon stands for is left to `curation.snomed`, the classes of a CUI to
`curation.umls_uberon`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from curation.radlex import RadLex
from curation.reference import TERMS_FILE, UBERON_FILE, reference_rows
from curation.subset import CHAINING, COMPOSITE, LEXICAL, LOGICAL, Claim, Subset, one_side
from terminology import sssom
from terminology.mapping import BROAD, CLOSE, EXACT, MappingSet, SemanticMapping

SOURCE: Final = "bodysite:uberon"

# FMA identifiers for which the locations of RadLex and Uberon name different structures, that the
# locations give to two, or that are doubtful.
WRONG_FMA: Final = frozenset(
    {
        "3951", "6191", "7310", "9603", "12527", "13385", "13386", "14550", "14751", "14752",
        "14753", "14768", "14773", "14775", "22963", "25902", "25912", "25927", "25929",
        "32864", "33729", "45664", "46560", "52833", "57805", "57857", "76866",
    }
)  # fmt: skip
# Codes that were current in one edition only stand for no structure of today.
_NOT_CURRENT: Final = frozenset({"superseded", "code-in-2020-edition-only"})
# Labels that name a structure in another order, number or way than the subset does.
_JUDGED: Final = {
    "UBERON:0001095": "Coccygeal vertebra",  # caudal vertebra
    "UBERON:0001118": "Lobe of thyroid",  # lobe of thyroid gland
    "UBERON:0001461": "Elbow region",  # elbow
    "UBERON:0001508": "Aortic arch",  # arch of aorta
    "UBERON:0001728": "Nasopharynx",  # nasopharynx
    "UBERON:0002224": "Thoracic cavity",  # thoracic cavity
    "UBERON:0002315": "Spinal cord gray matter",  # gray matter of spinal cord
    "UBERON:0002318": "Spinal cord white matter",  # white matter of spinal cord
    "UBERON:0002524": "Mediastinal lymph node",  # mediastinal lymph node
    "UBERON:0004548": "Left eye",  # left eye
    "UBERON:0004549": "Right eye",  # right eye
    "UBERON:0004660": "Coronoid process of mandible",  # mandible coronoid process
    "UBERON:0005897": "Hand bone",  # manus bone
    "UBERON:0008000": "Sesamoid bones of foot",  # sesamoid bone of pes
    "UBERON:0008617": "Innermost intercostal muscles",  # innermost intercostal muscle
    "UBERON:0009857": "Cavum of septum pellucidum",  # cavum septum pellucidum
    "UBERON:0014854": "Anterior mitral valve leaflet",  # anterior leaflet of mitral valve
    "UBERON:0014855": "Posterior mitral valve leaflet",  # posterior leaflet of mitral valve
    "UBERON:0015479": "Skin of scrotum",  # scrotum skin
    "UBERON:0016392": "mastoid lymph node",  # mastoid lymph node
    "UBERON:0034703": "Right ventricle inflow",  # inflow tract of right ventricle
    "UBERON:0034704": "Left ventricle inflow",  # inflow tract of left ventricle
}
# Labels whose class is none of what its cross-references say.
_NONE: Final = frozenset(
    {
        "anatomical structure",
        "bone element of skeleton",
        "bronchial lymph node",
        "common iliac lymph node",
        "lumbar vertebra",
        "mammary gland",
        "middle phalanx of manus",
        "pectoral complex",
        "pelvic complex",
        "pharyngeal arch artery",
        "regional part of nervous system",
        "subdivision of conjunctiva",
        "subdivision of trunk",
        "tarsal bone",
        "umbilical vein",
        "ventral pancreatic duct",
    }
)
# Labels that mean a little less, more or other than the structure.
_NEARLY: Final = frozenset(
    {
        "carotid sinus",
        "cranial cavity",
        "facial bone",
        "pyloric stomach",
        "radio-carpal joint",
        "stifle joint",
    }
)
# What a thing is rather than where: no answer for a part.
KINDS: Final = frozenset(
    {
        "Artery",
        "Blood vessel",
        "Bone",
        "Cardiovascular system",
        "Central nervous system",
        "Digestive system",
        "Endocrine system",
        "Gastrointestinal tract",
        "Immune system",
        "Joint",
        "Ligament",
        "Lymph node",
        "Muscle",
        "Musculoskeletal system",
        "Nerve",
        "Nervous system",
        "Peripheral nerve",
        "Peripheral nervous system",
        "Respiratory system",
        "Skeletal muscle",
        "Systemic vein",
        "Tendon",
        "Urinary system",
        "Vein",
    }
)
_EMBRYONIC: Final = re.compile(r"embryo|primordi|presumptive|anlage|blastem", re.IGNORECASE)
_MAX_STEPS: Final = 3
_MAX_OBJECTS: Final = 3
_AGREED, _STATED, _NEAR = 0.95, 0.85, 0.8
_BY_PARENT, _BY_FARTHER = 0.7, 0.6

BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/mappings/uberon
mapping_set_version: "{date}"
mapping_set_title: Uberon to SNOMED CT body structures
mapping_set_description: >-
  Classes of Uberon (CC BY 3.0, https://uberon.org) to the SNOMED CT structure of that name. The
  SNOMED CT targets that Uberon itself states are mostly Entire concepts, for which the structure
  stands here. Classes without one map to the nearest part or kind that has one (broadMatch, the
  object is broader).
license: https://creativecommons.org/licenses/by/3.0/
mapping_date: "{date}"
curie_map:
  bodysite: https://w3id.org/bodysite/
  obo: http://purl.obolibrary.org/obo/
  snomed: http://snomed.info/
  snomedct: http://snomed.info/id/
  uberon: http://purl.obolibrary.org/obo/UBERON_
subject_source: http://purl.obolibrary.org/obo/uberon.owl
subject_source_version: "2026-04-01"
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: https://w3id.org/bodysite/object_laterality
    type_hint: http://www.w3.org/2001/XMLSchema#string
"""


@dataclass(frozen=True, slots=True)
class UberonClass:
    """A class with its codes elsewhere (without prefixes) and its parents."""

    identifier: str
    label: str
    fma: list[str] = field(default_factory=list)
    cuis: list[str] = field(default_factory=list)
    sct: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """A structure in which a class lies, the parent that is it, and how many steps above."""

    code: str
    parent: str
    steps: int

    @property
    def confidence(self) -> float:
        """How sure it is that what lies in the parent lies in the structure."""
        return _BY_PARENT if self.steps == 1 else _BY_FARTHER


@dataclass(frozen=True, slots=True)
class Pair:
    """A code of DICOM's defined terms with its codes elsewhere, as PS3.16 Annex L prints them."""

    sct: str
    meaning: str
    fma: str
    uberon: str


def read_classes(reference: Path) -> tuple[UberonClass, ...]:
    """Return the classes of the folder `reference`, in its order."""
    found: dict[str, UberonClass] = {}
    for row in reference_rows(
        reference / UBERON_FILE, ("uberon_id", "label", "relation", "object")
    ):
        identifier, relation = row["uberon_id"], row["relation"]
        one = found.setdefault(identifier, UberonClass(identifier, row["label"]))
        if relation in ("is_a", "part_of"):
            one.parents.append(row["object"])
            continue
        codes = {"xref_fma": one.fma, "xref_umls": one.cuis, "xref_sct": one.sct}
        if relation in codes:
            codes[relation].append(row["object"].partition(":")[2])
    return tuple(found.values())


def read_pairs(reference: Path) -> tuple[Pair, ...]:
    """Return the current pairs of DICOM's defined terms in the folder `reference`."""
    columns = ("sct", "meaning", "fma", "uberon", "status")
    rows = reference_rows(reference / TERMS_FILE, columns)
    return tuple(
        Pair(row["sct"], row["meaning"], row["fma"], row["uberon"])
        for row in rows
        if row["status"] not in _NOT_CURRENT
    )


def exact_of_cuis(curated: MappingSet) -> dict[str, str]:
    """Return the one structure that each CUI is by the curated table."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in curated.mappings:
        if row.predicate_id == EXACT and not row.negated and not row.no_match:
            found[sssom.subject_code(row)].add(sssom.object_code(row))
    return {cui: codes.pop() for cui, codes in found.items() if len(codes) == 1}


class Uberon:
    """The classes over the subset.

    Parameters
    ----------
    classes, pairs
        Of the reference tables.
    radlex
        The locations, whose FMA identifiers say what a class is.
    cuis
        What CUIs are, by `exact_of_cuis`.
    """

    def __init__(
        self,
        classes: Iterable[UberonClass],
        pairs: Iterable[Pair],
        radlex: RadLex,
        cuis: Mapping[str, str],
        subset: Subset,
    ) -> None:
        self.classes: Final = {one.identifier: one for one in classes}
        self._subset = subset
        self._cuis = cuis
        self._dicom: dict[str, set[str]] = defaultdict(set)
        self._dicom_fma: dict[str, set[str]] = defaultdict(set)
        for pair in pairs:
            self._dicom[pair.uberon].add(pair.sct)
            self._dicom_fma[pair.fma].add(pair.sct)
        self._located: dict[str, dict[str, str]] = defaultdict(dict)
        for one in radlex.locations.values():
            claim = radlex.exact.get(one.identifier)
            if one.fma not in WRONG_FMA and claim is not None:
                self._located[one.fma][one.identifier] = claim.code

    @cached_property
    def exact(self) -> dict[str, Claim]:
        """What the classes are that the subset has, by identifier."""
        claims = ((one.identifier, self._exact(one)) for one in self.classes.values())
        return {identifier: claim for identifier, claim in claims if claim is not None}

    @cached_property
    def places(self) -> dict[str, tuple[Place, ...]]:
        """In what the other classes lie, the most specific structures, by identifier."""
        found = {
            identifier: self._places(one)
            for identifier, one in self.classes.items()
            if identifier not in self.exact and not _EMBRYONIC.search(one.label)
        }
        return {identifier: places for identifier, places in found.items() if places}

    def rows(self) -> Iterator[SemanticMapping]:
        """Yield the rows of the classes that are a structure or lie in one."""
        for identifier, one in self.classes.items():
            subject = f"uberon:{identifier.partition(':')[2]}"
            if identifier in self.exact:
                yield self._subset.row(subject, one.label, self.exact[identifier])
            for place in self.places.get(identifier, ()):
                code = on_stated_side(self._subset, place.code, one.label)
                if code is None:
                    continue
                relation = "part of or kind of" if place.steps == 1 else "below"
                comment = f"{relation} {place.parent} {self.classes[place.parent].label}"
                claim = Claim(code, BROAD, place.confidence, LOGICAL, SOURCE, comment=comment)
                yield self._subset.row(subject, one.label, claim)

    def is_nearly(self, identifier: str) -> bool:
        """Return whether a class is only close to its structure."""
        return self.classes[identifier].label in _NEARLY

    def _exact(self, one: UberonClass) -> Claim | None:
        if one.identifier in _JUDGED:
            code = self._subset.called(_JUDGED[one.identifier])
            return Claim(code, EXACT, _STATED, CHAINING, SOURCE, comment="adjudicated")
        said = self._said(one)
        if len(said) != 1 or one.label in _NONE:
            return None
        code, evidence = next(iter(said.items()))
        if self._subset.too_wide(code):
            return None
        kinds = {each.partition(" ")[0] for each in evidence}
        agreed = len(kinds) > 1 or any("DICOM" in each for each in evidence)
        nearly = one.label in _NEARLY
        if len(evidence) > 1:
            justification = COMPOSITE
        else:
            justification = LEXICAL if evidence == ["label"] else CHAINING
        return Claim(
            code,
            CLOSE if nearly else EXACT,
            _NEAR if nearly else _AGREED if agreed else _STATED,
            justification,
            SOURCE,
            comment="" if evidence == ["label"] else "; ".join(evidence),
        )

    def _said(self, one: UberonClass) -> dict[str, list[str]]:
        """Return the structures that a class is said to be, with what says so."""
        said: dict[str, list[str]] = defaultdict(list)
        named = self._subset.named(one.label)
        if named is not None:
            said[named].append("label")
        for fma in one.fma:
            for location, code in self._located.get(fma, {}).items():
                said[code].append(f"FMA {fma} {location}")
            for code in sorted(self._dicom_fma.get(fma, ())):
                said[code].append(f"DICOM FMA {fma}")
        for code in sorted(self._dicom.get(one.identifier.partition(":")[2], ())):
            said[code].append("DICOM UBERON")
        for code in sorted({self._cuis[cui] for cui in one.cuis if cui in self._cuis}):
            said[code].append("CUI")
        for code in one.sct:
            if code in self._subset:
                said[self._subset.graph.current(code)].append("SCT")
        return said

    def _places(self, one: UberonClass) -> tuple[Place, ...]:
        level, seen = [one.identifier], {one.identifier}
        for steps in range(1, _MAX_STEPS + 1):
            above = {
                parent
                for here in level
                if here in self.classes
                for parent in self.classes[here].parents
            }
            level = sorted(above - seen)
            seen.update(level)
            parents = [parent for parent in level if parent in self.exact]
            if not parents:
                continue
            by_code: dict[str, str] = {}
            for parent in parents:
                by_code.setdefault(self.exact[parent].code, parent)
            codes = sorted(
                code
                for code in self._subset.most_specific(by_code)
                if self._subset.display(code) not in KINDS
            )
            return tuple(Place(code, by_code[code], steps) for code in codes[:_MAX_OBJECTS])
        return ()


def on_stated_side(subset: Subset, code: str, label: str) -> str | None:
    """Return `code` on the side that `label` states; `None` where `code` is of the other side."""
    side = one_side(label)
    code = subset.on_side(code, side)
    return None if side and subset.side(code) not in (None, side) else code
