"""What a table of `HeaderReliability` says, by value of the header, for a person to read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from classifier.fusion.nearness import Nearness
from classifier.fusion.reliability import MISSING, UNMAPPED, HeaderReliability
from terminology.graph import BodyStructureGraph


@dataclass(frozen=True, slots=True)
class ValueAgreement:
    """How one value of the header agreed with what images show.

    Attributes
    ----------
    value, display
        A code, `MISSING` or `UNMAPPED`, and its name.
    named
        Whether the value names a site.
    images, right
        How many images had it, and of how many it was true: the image shows that site, a part of
        it, or the region that it is a part of.
    others
        What else images with it show: code, name and number, the most frequent first.
    """

    value: str
    display: str
    named: bool
    images: int
    right: int
    others: tuple[tuple[str, str, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "header": self.value,
            "display": self.display,
            "images": self.images,
            "right": self.right if self.named else None,
            "others": [
                {"code": code, "display": display, "count": count}
                for code, display, count in self.others
            ],
        }

    def __str__(self) -> str:
        name = f"{self.value} |{self.display}|" if self.named else self.value
        share = f", {self.right / self.images:.1%} right" if self.named else ""
        others = ", ".join(f"{count} {display}" for _, display, count in self.others)
        return f"{name}\t{self.images} images{share}" + (f"; {others}" if others else "")


def agreement_rows(found: HeaderReliability, graph: BodyStructureGraph) -> list[ValueAgreement]:
    """Return the values of a table, the most frequent first."""
    near = Nearness.of(graph)
    by_value: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (value, verdict), count in found.counts.items():
        by_value[value][verdict] = count
    rows = []
    for value, verdicts in by_value.items():
        named = value not in (MISSING, UNMAPPED)
        true = {
            verdict
            for verdict in verdicts
            if named and (near.covers(value, verdict) or near.covers(verdict, value))
        }
        others = [
            (verdict, graph.lookup(verdict).display, count)
            for verdict, count in verdicts.items()
            if verdict not in true
        ]
        rows.append(
            ValueAgreement(
                value,
                graph.lookup(value).display if named else value,
                named,
                sum(verdicts.values()),
                sum(verdicts[verdict] for verdict in true),
                tuple(sorted(others, key=lambda one: (-one[2], one[0]))),
            )
        )
    return sorted(rows, key=lambda row: (-row.images, row.value))
