"""(0018,0015) Body Part Examined: what the table of its defined terms says beside the codes."""

from __future__ import annotations

from typing import Final

# Flags of `comment` in dicom-body-part-examined.sssom.tsv, joined by "; ".
PAIRED: Final = "paired"
UNPAIRED: Final = "unpaired"
VETERINARY: Final = "veterinary"
ANIMALS_ONLY: Final = "of animals only"
FORMER: Final = "former code"
_FLAGS: Final = (PAIRED, UNPAIRED, VETERINARY, ANIMALS_ONLY, FORMER)


def term_flags(comment: str | None) -> frozenset[str]:
    """Return the flags in the comment of a row of the DICOM Body Part Examined table.

    `VETERINARY` is a term that PS3.16 lists for animals alone; `ANIMALS_ONLY` one whose structure
    people do not have, such as a fetlock; `FORMER` a code that DICOM has replaced.
    """
    parts = {part.partition(",")[0].strip() for part in (comment or "").split(";")}
    return frozenset(flag for flag in _FLAGS if flag in parts)
