"""What open sources say of CUIs: candidate pairs, and the containers of the RadLex locations.

Values and look-ups only; the rules that judge them stand in `curation.umls_judge`, and the
classes of Uberon in `curation.umls_uberon`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from curation.reference import CANDIDATES_FILE, LOCATIONS_FILE, reference_rows
from terminology.sources.umls_names import Names, normalised

DICOM_LINEAGE: Final = "DICOM PS3.16"
RADLEX_LINEAGE: Final = "RadLex locations"
UBERON_LINEAGE: Final = "Uberon"
_LINEAGES: Final = {
    "dicom-ps3.16-cid": DICOM_LINEAGE,
    "annex-l": DICOM_LINEAGE,
    "pixelmed-2026": DICOM_LINEAGE,
    "pixelmed-older": DICOM_LINEAGE,
    "bodypartindex": RADLEX_LINEAGE,
    "uberon": UBERON_LINEAGE,
    "uberon-label": UBERON_LINEAGE,
}

_TAG: Final = re.compile(r" \([a-z ]+\)$")
_MAX_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair of CUI and SNOMED CT code that `lineages` state, and what they call the code.

    `entire` says that the code is the Entire concept of what the CUI means.
    """

    cui: str
    sct: str
    meaning: str
    entire: bool
    lineages: frozenset[str]


def read_candidates(reference: Path) -> Iterator[Candidate]:
    """Yield the candidate pairs of the folder `reference`."""
    columns = ("cui", "sct", "sct_meaning", "relation", "source")
    for row in reference_rows(reference / CANDIDATES_FILE, columns):
        yield Candidate(
            row["cui"],
            row["sct"],
            _TAG.sub("", row["sct_meaning"]),
            row["relation"] == "entire-concept",
            frozenset(_LINEAGES[source] for source in row["source"].split("; ")),
        )


class Locations:
    """The containers of the RadLex locations.

    Parameters
    ----------
    rows
        (identifier, description, code, container) of `anatomic_locations.csv`.
    """

    def __init__(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        self._by_id = {row[0]: row for row in rows}
        self._by_code: dict[str, list[str]] = defaultdict(list)
        for identifier, _, code, _ in rows:
            if code:
                self._by_code[code].append(identifier)

    @classmethod
    def read(cls, reference: Path) -> Locations:
        """Return the locations of the folder `reference`."""
        columns = ("radlex_id", "description", "sct", "contained_by")
        rows = reference_rows(reference / LOCATIONS_FILE, columns)
        return cls(
            [
                (row["radlex_id"], row["description"], row["sct"], row["contained_by"])
                for row in rows
            ]
        )

    def container(self, code: str, meaning: str, names: Names) -> tuple[str, str] | None:
        """Return the structure of the subset that contains `code`, and what says so.

        The location must have the name `meaning` and be the only one with the code. A name such
        as "abdominal part of esophagus" names its container; else it is the nearest container
        that the subset calls as it is called there.
        """
        own = self._by_code.get(code, [])
        if len(own) != 1 or normalised(self._by_id[own[0]][1]) != normalised(meaning):
            return None
        named = names.lookup(meaning.rpartition(" of ")[2]) if " of " in meaning else None
        if named is not None:
            return named, f"RadLex locations {own[0]} '{meaning}'"
        here, path = own[0], f"RadLex locations {own[0]}"
        for _ in range(_MAX_STEPS):
            here = self._by_id[here][3]
            if here not in self._by_id:
                return None
            path = f"{path} contained_by {here}"
            found = names.lookup(self._by_id[here][1])
            if found is not None:
                return found, path
        return None
