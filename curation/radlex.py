"""The anatomic locations of RadLex: which structure of the subset each is, or lies in.

1. A code that the list states is kept where the list's name is one of the code's in the subset;
   a former code gives way to its successor.
2. Else the name decides: rows of the list are shifted against their codes, and some carry the code
   of a neighbour.
3. A left or right location without a concept maps to that of its unsided twin, and any other to
   the nearest location that contains it and has one (broadMatch: the OBJECT is broader).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from curation.reference import LOCATIONS_FILE, reference_rows
from curation.subset import COMPOSITE, LEXICAL, LOGICAL, Claim, Subset, stated_sides
from terminology.concept import Laterality
from terminology.mapping import BROAD, EXACT, SemanticMapping

SOURCE: Final = "bodysite:anatomic-locations"

# What a location means for the parts that the list hangs on it, by what the subset shows: the
# joints stand for their regions.
_REGIONS: Final = {
    "RID1905": "Shoulder",  # glenohumeral joint
    "RID1968": "Upper arm",  # arm
    "RID2011": "Elbow region",  # elbow joint
    "RID2202": "Wrist region",  # wrist joint
    "RID2640": "Hip",  # hip joint
    "RID2751": "Knee",  # knee joint
    "RID2869": "Lower leg",  # leg
    "RID28731": "Skull",  # base of cranium
    "RID29895": "Breast",  # female breast
    "RID3004": "Ankle",  # ankle joint
    "RID397": "Abdominopelvic cavity, contents and anterior abdominal wall",  # peritoneal cavity
    "RID6383_RID9080": "Intracranial structure",  # intracranial head
    "RID6391": "Brain",  # frontal brain region
    "RID6392": "Brain",  # temporal brain region
    "RID6393": "Brain",  # occipital brain region
    "RID6537": "Brain",  # set of basal ganglia
    "RID7540": "Head and Neck",  # suprahyoid neck
    "RID9592": "Eye",  # globe
    "RID9725": "Orbital structure",  # intraconal space of orbit
}
# Arm and leg are named as the limbs are, and hang in them.
_NARROWER: Final = {"RID1968": "Upper arm", "RID2869": "Lower leg"}
# The name of the subset in another order.
_SAME: Final = {
    "RID7535": "Deep layer of deep cervical fascia",
    "RID9131_RID5824_RID9279_RID5996_RID9128": "Deciduous maxillary left first molar tooth",
    "RID9131_RID5825_RID9279_RID39121_RID9127": "Deciduous maxillary right lateral incisor tooth",
    "RID9131_RID5825_RID9279_RID5827_RID9127": "Deciduous maxillary right central incisor tooth",
}
# The twins of a location carry the modifiers "left" and "right" of RadLex behind its identifier.
_SIDE_SUFFIXES: Final = ("_RID5824", "_RID5825")
# The whole body is an answer for itself, and for nothing else.
_WHOLE_BODY: Final = "whole body"
_ENTIRE_BODY: Final = frozenset({"entire body", _WHOLE_BODY})
_MAX_STEPS: Final = 8
_CURRENT_OF_DICOM, _NAMED = 0.95, 0.85
_BY_TWIN, _BY_CONTAINER, _BY_FAR_CONTAINER, _NOWHERE = 0.8, 0.7, 0.6, 0.8

BLOCK: Final = """
sssom_version: "1.1"
mapping_set_id: https://w3id.org/bodysite/mappings/radlex
mapping_set_version: "{date}"
mapping_set_title: RadLex anatomy to SNOMED CT body structures
mapping_set_description: >-
  The 2890 anatomic locations of RadLex and their left and right twins (talkasab/BodyPartIndex,
  ISC) to SNOMED CT. A code that the list states is kept where the names agree; where a row of the
  list is shifted, the name decides. A location without a concept in the embedded subset maps to
  the nearest region that contains it (broadMatch, the object is broader).
license: https://creativecommons.org/publicdomain/zero/1.0/
mapping_date: "{date}"
curie_map:
  bodysite: https://w3id.org/bodysite/
  radlex: http://radlex.org/RID/
  snomed: http://snomed.info/
  snomedct: http://snomed.info/id/
  web: http://
subject_source: http://radlex.org
subject_source_version: "anatomic locations 388ae0a"
object_source: http://snomed.info/sct
extension_definitions:
  - slot_name: object_laterality
    property: https://w3id.org/bodysite/object_laterality
    type_hint: http://www.w3.org/2001/XMLSchema#string
"""


@dataclass(frozen=True, slots=True)
class Location:
    """A row of the list: `unsided`, `left` and `right` are its twins, by identifier."""

    identifier: str
    description: str
    sct: str
    fma: str
    container: str
    left: str
    right: str
    unsided: str

    @property
    def side(self) -> Laterality | None:
        """The side in the name; else that of the column of twins in which it stands."""
        named = stated_sides(self.description)
        if named:
            return named[0]
        if self.unsided and self.identifier == self.left:
            return Laterality.LEFT
        if self.unsided and self.identifier == self.right:
            return Laterality.RIGHT
        return None

    @property
    def base(self) -> str:
        """The identifier without a side."""
        if self.unsided:
            return self.unsided
        for suffix in _SIDE_SUFFIXES:
            if self.identifier.endswith(suffix):
                return self.identifier.removesuffix(suffix)
        return self.identifier


def read_locations(reference: Path) -> tuple[Location, ...]:
    """Return the locations of the folder `reference`, in its order."""
    columns = (
        "radlex_id",
        "description",
        "sct",
        "fma",
        "contained_by",
        "left",
        "right",
        "unsided",
    )
    rows = reference_rows(reference / LOCATIONS_FILE, columns)
    return tuple(Location(*(row[column] for column in columns)) for row in rows)


class RadLex:
    """The locations over the subset."""

    def __init__(self, locations: Sequence[Location], subset: Subset) -> None:
        self.locations: Final = {one.identifier: one for one in locations}
        self._subset = subset

    @cached_property
    def exact(self) -> dict[str, Claim]:
        """What the locations are that the subset has, by identifier."""
        claims = ((one.identifier, self._exact(one)) for one in self.locations.values())
        return {identifier: claim for identifier, claim in claims if claim is not None}

    @cached_property
    def broader(self) -> dict[str, Claim]:
        """What the others lie in, by identifier; what no region contains is not there."""
        others = (one for one in self.locations.values() if not self._answered(one))
        claims = ((one.identifier, self._twin(one) or self._container(one)) for one in others)
        return {identifier: claim for identifier, claim in claims if claim is not None}

    def rows(self) -> Iterator[SemanticMapping]:
        """Yield one row a location."""
        for identifier, one in self.locations.items():
            claim = self.exact[identifier] if self._answered(one) else self.broader.get(identifier)
            nowhere = Claim(
                "",
                EXACT,
                _NOWHERE,
                LOGICAL,
                SOURCE,
                comment="no one region contains it: the list places it in the whole body",
            )
            yield self._subset.row(f"radlex:{identifier}", one.description, claim or nowhere)

    def _answered(self, one: Location) -> bool:
        claim = self.exact.get(one.identifier)
        if claim is None:
            return False
        return not self._subset.too_wide(claim.code) or one.description == _WHOLE_BODY

    def _exact(self, one: Location) -> Claim | None:
        subset = self._subset
        stated = one.sct if one.sct in subset else ""
        if one.identifier in _NARROWER:
            code = subset.called(_NARROWER[one.identifier])
            return self._by_name(one, code, f"{self._source_has(stated)}, of the whole limb")
        if one.identifier.rpartition("_")[0] in _NARROWER:
            return None
        if one.identifier in _SAME:
            code = subset.called(_SAME[one.identifier])
            return self._by_name(one, code, "the same name in another order")
        named = subset.named(one.description)
        if stated and subset.has_name(stated, one.description):
            return self._stated(one, stated, named or subset.graph.current(stated))
        if named is None:
            return None
        if stated:
            return self._by_name(one, named, f"{self._source_has(stated)}, of another structure")
        if one.sct:
            missing = f"the source has {one.sct}, which is not in the embedded subset"
            return self._by_name(one, named, missing)
        return self._by_name(one, named, "")

    def _stated(self, one: Location, stated: str, code: str) -> Claim:
        comment = ""
        if code != stated:
            former = self._subset.graph.current(stated) == code
            comment = (
                f"the source has the former code {stated}" if former else self._source_has(stated)
            )
        sure = _CURRENT_OF_DICOM if self._subset.of_dicom(code) else _NAMED
        return Claim(code, EXACT, sure, COMPOSITE, SOURCE, one.side, comment)

    @staticmethod
    def _by_name(one: Location, code: str, comment: str) -> Claim:
        return Claim(code, EXACT, _NAMED, LEXICAL, SOURCE, one.side, comment)

    def _source_has(self, code: str) -> str:
        return f"the source has {code} |{self._subset.display(code)}|"

    def _twin(self, one: Location) -> Claim | None:
        """Return the concept of the unsided twin, for a location that has a side."""
        twin = self.exact.get(one.unsided)
        if twin is None or one.side is None:
            return None
        comment = f"{one.unsided} without its side"
        return Claim(twin.code, BROAD, _BY_TWIN, LOGICAL, SOURCE, one.side, comment)

    def _container(self, one: Location) -> Claim | None:
        """Return the nearest region that contains a location, on its side where it has one."""
        subset, here = self._subset, one.container
        for step in range(_MAX_STEPS):
            if here not in self.locations:
                return None
            container = self.locations[here]
            code = self._region(container)
            if code is not None and not self._says_nothing(code):
                code = subset.on_side(code, one.side)
                if one.side and subset.side(code) not in (None, one.side):
                    code = subset.graph.unsided(code)[0]
                return Claim(
                    code,
                    BROAD,
                    _BY_FAR_CONTAINER if step else _BY_CONTAINER,
                    LOGICAL,
                    SOURCE,
                    one.side if one.unsided else None,
                    f"contained by {here} {container.description}",
                )
            here = container.container
        return None

    def _says_nothing(self, code: str) -> bool:
        return self._subset.too_wide(code) or self._subset.display(code).lower() in _ENTIRE_BODY

    def _region(self, one: Location) -> str | None:
        """Return what a location means as a container."""
        if one.identifier in _REGIONS:
            return self._subset.called(_REGIONS[one.identifier])
        if one.base in _REGIONS and one.side:
            return self._subset.on_side(self._subset.called(_REGIONS[one.base]), one.side)
        claim = self.exact.get(one.identifier)
        return None if claim is None else claim.code
