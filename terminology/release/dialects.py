"""BCP-47 tags and the language reference sets that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# ECL 2.2 Appendix C, Dialect Aliases; the Swiss and Austrian ones by their national releases. "es"
# is 448879004 |Spanish language reference set|, which the International Edition itself holds.
DIALECTS: Final[Mapping[str, str]] = {
    "da-dk": "554461000005103",
    "de": "722130004",
    "de-at": "21000234103",
    "de-ch": "2041000195100",
    "en-au": "32570271000036106",
    "en-ca": "19491000087109",
    "en-gb": "900000000000508004",
    "en-ie": "21000220103",
    "en-int-gmdn": "608771002",
    "en-nhs-clinical": "999001261000000100",
    "en-nhs-dmd": "999000671000001103",
    "en-nhs-pharmacy": "999000691000001104",
    "en-nz": "271000210107",
    "en-nz-pat": "281000210109",
    "en-uk-drug": "999000681000001101",
    "en-uk-ext": "999001251000000103",
    "en-us": "900000000000509007",
    "es": "448879004",
    "es-ar": "450828004",
    "es-uy": "5641000179103",
    "et-ee": "71000181105",
    "fr": "722131000",
    "fr-be": "21000172104",
    "fr-ca": "20581000087109",
    "fr-ch": "2021000195106",
    "it-ch": "2031000195108",
    "ja": "722129009",
    "nb-no": "61000202103",
    "nl-be": "31000172101",
    "nl-nl": "31000146106",
    "nn-no": "91000202106",
    "sv-se": "46011000052107",
    "zh": "722128001",
}
