"""What of a volume is in a picture: its structures as concepts, and how much of one is enough.

The names are those of TotalSegmentator's task ``total`` and of the phantoms of this package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Region:
    """A part that several structures stand for.

    Attributes
    ----------
    code
        Its SCTID.
    structures
        Regular expression of their names.
    share
        Of their shadow, so much has to be in the picture.
    area
        And it has to cover so much of the picture.
    sides
        Whether left and right count each for themselves: one of them is enough.
    """

    code: str
    structures: str
    share: float
    area: float = 0.01
    sides: bool = False


# 818981001 |Abdomen|, 816092008 |Pelvis|, 122496007 |Lumbar spine|, 122495006 |Thoracic spine|,
# 54735007 |Sacrum|, 29836001 |Hip|, 71341001 |Femur|, 68367000 |Thigh|, 113197003 |Rib|,
# 816094009 |Chest|, 89546000 |Skull|, 89545001 |Face|, 85562004 |Hand|, 7569003 |Finger|,
# 8205005 |Wrist region|, 14975008 |Forearm|, 72696002 |Knee|, 30021000 |Lower leg|
REGIONS: Final = (
    Region(
        "818981001", r"liver|spleen|stomach|kidney_\w+|colon|small_bowel|vertebrae_L\d", 0.3, 0.1
    ),
    Region("816092008", r"hip_\w+|sacrum|vertebrae_S1|urinary_bladder", 0.3, 0.06),
    Region("122496007", r"vertebrae_L\d", 0.4),
    Region("122495006", r"vertebrae_T\d+", 0.6),
    Region("54735007", r"sacrum|vertebrae_S1", 0.5),
    Region("29836001", r"hip_joint_\w+", 0.7, 0.004, sides=True),
    Region("71341001", r"(femur|hip_joint)_\w+", 0.25, sides=True),
    Region("68367000", r"femur_\w+", 0.25, 0.01, sides=True),
    Region("113197003", r"rib_\w+", 0.2),
    Region("816094009", r"lung_\w+", 0.5, 0.05),
    Region("89546000", r"skull", 0.4, 0.1),
    Region("89545001", r"facial_bones", 0.5, 0.02),
    Region("85562004", r"(phalanx|metacarpal|carpal)_\w+", 0.4),
    Region("7569003", r"phalanx_[2-5]_\d", 0.2),
    Region("8205005", r"carpal_bones", 0.6),
    Region("14975008", r"radius|ulna", 0.5, 0.02),
    Region("72696002", r"knee_\w+", 0.5),
    Region("30021000", r"tibia|fibula", 0.4, 0.02),
)
# A frame shows a structure when so much of its shadow is inside, and it covers so much of it.
_SHARE: Final = 0.5
_AREA: Final = 0.002

# What single structures are; left and right are one concept, the side is a field of its own.
STRUCTURES: Final[Mapping[str, str]] = {
    "spleen": "78961009",
    "kidney": "64033007",
    "liver": "10200004",
    "stomach": "69695003",
    "urinary_bladder": "89837001",
    "colon": "71854001",
    "vertebrae_L5": "49668003",
    "vertebrae_L4": "11994002",
    "vertebrae_L3": "36470004",
    "vertebrae_L2": "14293000",
    "vertebrae_L1": "66794005",
    "vertebrae_T12": "23215003",
    "vertebrae_T11": "12989004",
}
_SIDE: Final = re.compile(r"_(left|right)(?=_|$)")


def visible_parts(
    shadows: Mapping[str, NDArray[np.bool_]],
    frame: NDArray[np.bool_],
    *,
    structures: bool = False,
) -> tuple[str, ...]:
    """Return the SCTIDs of the parts that are in the picture, in the order of the tables.

    Parameters
    ----------
    shadows
        Of every structure, bool (H, W), on a field that holds the whole of the volume.
    frame
        bool (H, W): what of the field is in the picture.
    structures
        Name single organs and vertebrae too, beside the regions.
    """
    found = [region.code for region in REGIONS if _shows(region, shadows, frame)]
    if structures:
        joined = _unsided(shadows)
        found += [
            code
            for name, code in STRUCTURES.items()
            if name in joined and _enough(joined[name], frame, _SHARE, _AREA)
        ]
    return tuple(dict.fromkeys(found))


def _shows(
    region: Region, shadows: Mapping[str, NDArray[np.bool_]], frame: NDArray[np.bool_]
) -> bool:
    groups: dict[str, NDArray[np.bool_]] = {}
    for name, shadow in shadows.items():
        if re.fullmatch(region.structures, name):
            side = _SIDE.search(name)
            group = side[1] if side and region.sides else ""
            groups[group] = groups[group] | shadow if group in groups else shadow
    return any(_enough(shadow, frame, region.share, region.area) for shadow in groups.values())


def _enough(shadow: NDArray[np.bool_], frame: NDArray[np.bool_], share: float, area: float) -> bool:
    inside = int(np.count_nonzero(shadow & frame))
    whole, picture = int(np.count_nonzero(shadow)), int(np.count_nonzero(frame))
    return inside > 0 and inside >= share * whole and inside >= area * picture


def _unsided(shadows: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    joined: dict[str, NDArray[np.bool_]] = {}
    for name, shadow in shadows.items():
        plain = _SIDE.sub("", name)
        joined[plain] = joined[plain] | shadow if plain in joined else shadow
    return joined
