"""Samples made in memory."""

from pathlib import Path
from typing import Any

from classifier.data.sample import Collection, Declaration, Sample

HAND, FINGER, THUMB, WRIST, FOREARM = "85562004", "7569003", "76505004", "8205005", "14975008"
UPPER_LIMB, LOWER_LIMB, LIMB = "53120007", "61685007", "66019005"
KNEE, HIP, HIP_JOINT, FOOT, CALCANEUS = "72696002", "29836001", "24136001", "56459004", "80144004"
CHEST, ABDOMEN, PELVIS, HEART, TRUNK = (
    "816094009",
    "818981001",
    "816092008",
    "80891009",
    "22943007",
)
SPINE, LUMBAR, HEAD, BRAIN = "421060004", "122496007", "69536005", "12738006"
CHEST_AND_ABDOMEN = "416550000"
AP, PA, FRONTAL, LATERAL, OBLIQUE = (
    "399348003",
    "272479007",
    "399033003",
    "399067008",
    "399182000",
)


def sample(number: int = 0, source: str = "a", group: str | None = None, **fields: Any) -> Sample:
    key = f"{source}/{number}"
    return Sample(
        key=key,
        path=Path(f"/data/{key}.png"),
        source=source,
        group=f"{source}:{number}" if group is None else group,
        **fields,
    )


def collection(*samples: Sample, name: str = "a", **declared: Any) -> Collection:
    return Collection(name, samples, Declaration(**declared))
