"""FMA identifiers: which structure of the subset each is, or lies in.

The FMA itself is not read: an identifier is what DICOM (PS3.16 Annex L), Uberon or the locations of
RadLex pair with it. Pairs of the locations that Uberon contradicts are left out; those that Uberon
does not know are less sure, the more so where the identifier of their unsided twin does not stand
beside theirs in the FMA's own numbering.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final

from curation import radlex as radlex_locations
from curation import uberon as uberon_classes
from curation.radlex import Location, RadLex
from curation.subset import CHAINING, COMPOSITE, Claim, Subset, one_side
from curation.uberon import WRONG_FMA, Pair, Place, Uberon, on_stated_side
from terminology.mapping import BROAD, CLOSE, EXACT, SemanticMapping

DICOM_SOURCE: Final = "dicom:part16"

# The limbs: the locations call arm and leg what the FMA calls upper and lower limb.
_LIMBS: Final = {
    "7183": ("upper extremity", "Upper limb"),
    "7184": ("lower extremity", "Lower limb"),
}
# Eyeball: the subset has it as a concept of its own beside the eye.
_REFUSED: Final = {"12513": "Eye"}
_BY_DICOM, _BY_BOTH, _BY_TWIN, _BY_LOCATION = 0.95, 0.9, 0.85, 0.7
_SECOND = 0.7
# Identifiers of a structure and its left and right ones follow each other in the FMA.
_TWIN_DISTANCE: Final = 4
_MAX_OBJECTS: Final = 3

BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/mappings/fma
mapping_set_version: "{date}"
mapping_set_title: Foundational Model of Anatomy to SNOMED CT body structures
mapping_set_description: >-
  FMA identifiers that DICOM PS3.16 Annex L, Uberon (CC BY 3.0, https://uberon.org) or the
  anatomic locations of RadLex pair with a name, to the SNOMED CT concept of that name; others to
  the nearest part or kind that has one (broadMatch, the object is broader). Pairs of the
  locations whose identifier Uberon gives to another structure are left out.
license: https://creativecommons.org/licenses/by/3.0/
mapping_date: "{date}"
curie_map:
  bodysite: https://w3id.org/bodysite/
  dicom: http://dicom.nema.org/medical/dicom/current/output/chtml/
  fma: http://purl.org/sig/ont/fma/fma
  snomed: http://snomed.info/
  snomedct: http://snomed.info/id/
  urn: "urn:"
subject_source: urn:oid:2.16.840.1.113883.6.119
subject_source_version: "2026-04"
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: https://w3id.org/bodysite/object_laterality
    type_hint: http://www.w3.org/2001/XMLSchema#string
"""


class Fma:
    """The identifiers over the subset.

    Parameters
    ----------
    pairs
        DICOM's, of the reference tables.
    radlex, uberon
        What locations and classes are.
    """

    def __init__(
        self, pairs: Iterable[Pair], radlex: RadLex, uberon: Uberon, subset: Subset
    ) -> None:
        self._pairs = tuple(pair for pair in pairs if pair.fma)
        self._radlex = radlex
        self._uberon = uberon
        self._subset = subset
        self._classes: dict[str, list[str]] = defaultdict(list)
        for one in uberon.classes.values():
            for fma in one.fma:
                self._classes[fma].append(one.identifier)
        of_dicom = {pair.fma for pair in self._pairs}
        self._labels = {
            one.fma: one.description
            for one in radlex.locations.values()
            if one.fma and one.fma not in WRONG_FMA | of_dicom
        }
        self._labels.update({fma: label for fma, (label, _) in _LIMBS.items()})

    def rows(self) -> Iterator[SemanticMapping]:
        """Yield the rows of every identifier, what is exact before what is broader."""
        for fma, claims in self._exact.items():
            yield from self._exact_rows(fma, claims)
        located = self._located_in
        for fma, (one, claim) in located.items():
            yield self._subset.row(f"fma:{fma}", one.description, claim)
        for fma in self._classes:
            if fma not in self._exact and fma not in located:
                yield from self._placed_rows(fma)

    @cached_property
    def _exact(self) -> dict[str, dict[str, tuple[str, Claim]]]:
        """What identifiers are: by concept, the name and the claim of the first that says so."""
        found: dict[str, dict[str, tuple[str, Claim]]] = defaultdict(dict)
        for fma, label, claim in self._said():
            if claim.code != self._refused(fma):
                found[fma].setdefault(claim.code, (label, claim))
        for fma, (_, display) in _LIMBS.items():
            code = self._subset.called(display)
            source = radlex_locations.SOURCE
            found[fma] = {code: (display, Claim(code, EXACT, _BY_BOTH, CHAINING, source))}
        return found

    def _said(self) -> Iterator[tuple[str, str, Claim]]:
        """Yield what DICOM, then Uberon, then the locations say: identifier, name, claim."""
        annex = "PS3.16 Annex L pairs term, SNOMED CT code and FMA"
        for pair in self._pairs:
            claim = Claim(pair.sct, EXACT, _BY_DICOM, COMPOSITE, DICOM_SOURCE, comment=annex)
            yield pair.fma, pair.meaning, claim
        for fma, classes in self._classes.items():
            for identifier in classes:
                exact = self._uberon.exact.get(identifier)
                if exact is not None:
                    label = self._uberon.classes[identifier].label
                    yield fma, label, replace(exact, justification=CHAINING, comment=identifier)
        for one in self._usable_locations:
            exact = self._radlex.exact.get(one.identifier)
            if exact is not None:
                claim = replace(
                    exact,
                    predicate=EXACT,
                    confidence=self._sure(one),
                    justification=CHAINING,
                    comment=one.identifier,
                )
                yield one.fma, one.description, claim

    def _exact_rows(
        self, fma: str, claims: dict[str, tuple[str, Claim]]
    ) -> Iterator[SemanticMapping]:
        ranked = sorted(claims.values(), key=lambda each: -each[1].confidence)
        label = self._labels.get(fma, ranked[0][0])
        for place, (_, claim) in enumerate(ranked):
            if self._subset.too_wide(claim.code):
                continue
            if place:
                sure = min(claim.confidence, _SECOND)
                claim = replace(claim, predicate=CLOSE, confidence=sure)
            yield self._subset.row(f"fma:{fma}", label, claim)

    @cached_property
    def _located_in(self) -> dict[str, tuple[Location, Claim]]:
        """In what the locations lie whose identifier is right and that are no structure."""
        found: dict[str, tuple[Location, Claim]] = {}
        for one in self._usable_locations:
            broader = self._radlex.broader.get(one.identifier)
            exact = one.identifier in self._radlex.exact or one.fma in self._exact
            if broader is None or exact or self._sure(one) == _BY_LOCATION:
                continue
            claim = Claim(
                broader.code,
                BROAD,
                _BY_LOCATION,
                CHAINING,
                radlex_locations.SOURCE,
                one.side,
                one.identifier,
            )
            found.setdefault(one.fma, (one, claim))
        return found

    def _placed_rows(self, fma: str) -> Iterator[SemanticMapping]:
        """Yield in what the classes with an identifier lie."""
        by_code: dict[str, tuple[str, Place]] = {}
        for identifier in self._classes[fma]:
            for place in self._uberon.places.get(identifier, ()):
                by_code.setdefault(place.code, (identifier, place))
        for code in sorted(by_code)[:_MAX_OBJECTS]:
            identifier, place = by_code[code]
            label = self._uberon.classes[identifier].label
            object_code = on_stated_side(self._subset, code, label)
            if object_code is None:
                continue
            claim = Claim(
                object_code,
                BROAD,
                place.confidence,
                CHAINING,
                uberon_classes.SOURCE,
                one_side(label),
                identifier,
            )
            yield self._subset.row(f"fma:{fma}", self._labels.get(fma, label), claim)

    @cached_property
    def _usable_locations(self) -> tuple[Location, ...]:
        """The locations that alone have their identifier, and a right one."""
        locations = self._radlex.locations.values()
        counts = Counter(one.fma for one in locations)
        return tuple(
            one
            for one in locations
            if one.fma and one.fma not in WRONG_FMA and counts[one.fma] == 1
        )

    def _sure(self, one: Location) -> float:
        """Return how sure the identifier of a location is."""
        if one.fma in self._classes:
            return _BY_BOTH
        twin = self._radlex.locations.get(one.unsided)
        if twin is None or twin.fma not in self._classes or twin.fma in WRONG_FMA:
            return _BY_LOCATION
        near = abs(int(twin.fma) - int(one.fma)) <= _TWIN_DISTANCE
        return _BY_TWIN if near else _BY_LOCATION

    def _refused(self, fma: str) -> str | None:
        return self._subset.called(_REFUSED[fma]) if fma in _REFUSED else None
