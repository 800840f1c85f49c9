"""SNOMED CT edition and version URIs, and what people call the editions.

The form is that of the SNOMED CT URI Standard: ``http://snomed.info/sct/EDITION/version/DATE``,
with ``xsct`` in place of ``sct`` for what was never published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from terminology.concept import SNOMED

UNPUBLISHED: Final = "http://snomed.info/xsct"
INTERNATIONAL: Final = "International Edition"
# Module of an edition → its name. 31000003106 is cut out of the International Edition by HL7.
EDITIONS: Final = {
    "900000000000207008": INTERNATIONAL,
    "31000003106": INTERNATIONAL,
    "449081005": "International Edition in Spanish",
    "11000221109": "Argentinian Edition",
    "32506021000036107": "Australian Edition",
    "11000234105": "Austrian Edition",
    "11000172109": "Belgian Edition",
    "5631000179106": "Uruguayan Edition",
    "20621000087109": "Canadian Edition",
    "11000279109": "Czech Edition",
    "554471000005108": "Danish Edition",
    "11000181102": "Estonian Edition",
    "11000229106": "Finnish Edition",
    "11000315107": "French Edition",
    "11000274103": "German Edition",
    "1121000189102": "Indian Edition",
    "827022005": "IPS Terminology",
    "11000220105": "Irish Edition",
    "11000267109": "Korean Edition",
    "11000146104": "Netherlands Edition",
    "21000210109": "New Zealand Edition",
    "51000202101": "Norwegian Edition",
    "900000001000122104": "Spanish Edition",
    "45991000052106": "Swedish Edition",
    "2011000195101": "Swiss Edition",
    "83821000000107": "United Kingdom Edition",
    "999000021000000109": "United Kingdom Clinical Edition",
    "731000124108": "United States Edition",
}
_URI: Final = re.compile(
    r"http://snomed\.info/x?sct/(?P<edition>[0-9]+)(?:/version/(?P<date>[0-9]{8}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Edition:
    """What a version URI says: `module` and `date` are `None` where it does not name them."""

    uri: str
    module: str | None
    date: str | None

    @classmethod
    def parse(cls, uri: str) -> Edition:
        """Return the parts of a version URI; of a URI of another form there are none."""
        match = _URI.fullmatch(uri)
        return cls(uri, match["edition"] if match else None, match["date"] if match else None)

    @property
    def label(self) -> str | None:
        """What the edition is called, `None` when this module does not know."""
        return EDITIONS.get(self.module) if self.module is not None else None

    @property
    def iso_date(self) -> str | None:
        """The date of the version as FHIR writes dates."""
        return f"{self.date[:4]}-{self.date[4:6]}-{self.date[6:]}" if self.date else None


def is_implicit(url: str, mark: str) -> bool:
    """Return whether `url` is that of an implicit SNOMED CT resource; `mark` as ``?fhir_vs``."""
    base, found, _ = url.partition(mark)
    return bool(found) and (
        base in {SNOMED, UNPUBLISHED} or base.startswith((f"{SNOMED}/", f"{UNPUBLISHED}/"))
    )
