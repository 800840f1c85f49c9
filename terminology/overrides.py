"""How a site's decision stands to the shipped rows: it adds, agrees, or overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from terminology import sssom
from terminology.annotation import HeaderStatement, TextReading
from terminology.mapping import SemanticMapping
from terminology.proposals import VALUE

if TYPE_CHECKING:
    from terminology.library import Terminology

ADDS: Final = "adds"
AGREES: Final = "agrees"
OVERRIDES: Final = "overrides"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the shipped rows say of a decided value, in words, and the rows it rests on."""

    state: str
    shipped: str
    rows: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return it, ready for JSON."""
        return {"state": self.state, "shipped": self.shipped, "shipped_rows": list(self.rows)}

    def __str__(self) -> str:
        rests = f" ({', '.join(self.rows)})" if self.rows else ""
        if self.state == ADDS:
            return "adds: the shipped rows have no answer"
        if self.state == AGREES:
            return f"agrees with the shipped rows{rests}"
        return f"overrides the shipped rows, which say {self.shipped}{rests}"


def compared(shipped: Terminology, rows: Sequence[SemanticMapping]) -> Standing:
    """Return how the `rows` of one decision stand to what `shipped` reads without them."""
    row = rows[0]
    reading: TextReading | HeaderStatement
    if row.subject_field and (row.subject_scope or "word") == VALUE:
        reading = shipped.header.read_value(row.subject_field, row.subject_label or "")
    else:
        reading = shipped.text.read(row.subject_label or "")
    decided = {sssom.object_code(one) for one in rows if not one.no_match and not one.negated}
    refs = tuple(dict.fromkeys(ref for one in reading.evidence for ref in one.rows))
    shown = _shown(reading)
    said = {site.code for site in reading.sites}
    same = decided == said and all(
        stated in (None, read)
        for stated, read in (
            (row.object_laterality, reading.laterality),
            (row.object_view, reading.view.code if reading.view is not None else None),
        )
    )
    if same:
        return Standing(AGREES, shown, refs)
    return Standing(ADDS if not said else OVERRIDES, shown, refs)


def _shown(reading: TextReading | HeaderStatement) -> str:
    sites = "; ".join(
        f"{site.code} |{site.display}|" + (f", {site.laterality}" if site.laterality else "")
        for site in reading.sites
    )
    view = f", {reading.view.display}" if reading.view is not None else ""
    return (sites or "no site") + view
