"""UMLS concept unique identifiers as people and image sets write them.

A CUI may stand in lower case, with a prefix ("UMLS:C0817096"), or with others in one string: lists
with commas, semicolons or blanks, and the lines of ROCO, an image identifier and CUIs with tabs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence
from terminology.concept import Coding
from terminology.crosswalk import UMLS
from terminology.sources.reading import CodeReading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from terminology.crosswalk import Crosswalk, MappedTarget
    from terminology.mapping import SemanticMapping

# What a comment of a row begins with that keeps a CUI of image sets from mapping anywhere.
BLOCKED: Final = "Blocked"

_SEPARATORS: Final = re.compile(r"[\s,;|+]+")
_CUI: Final = re.compile(r"(?<![A-Za-z0-9_])C[0-9]{7}(?![A-Za-z0-9_])", re.IGNORECASE)
_MARKS: Final = "[](){}.:='\""
_PREFIXES: Final = frozenset({"", "cui", "umls", "umls_cui"})
# razorx89/roco-dataset: a line of cuis.txt begins with the identifier of the image.
_IMAGE: Final = re.compile(r"ROCO_\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CuiList:
    """The CUIs of a string, each once, in its order; `others` are words that are none."""

    cuis: tuple[str, ...]
    others: tuple[str, ...] = ()


def cuis_of(value: str) -> CuiList:
    """Return the CUIs of `value`, upper-case and without prefix."""
    cuis: dict[str, None] = {}
    others: list[str] = []
    for word in (word.strip(_MARKS) for word in _SEPARATORS.split(value)):
        # In a word of its own, after a prefix, or at the end of an IRI.
        found = _CUI.findall(word)
        cuis.update(dict.fromkeys(code.upper() for code in found))
        if not found and word.lower() not in _PREFIXES and not _IMAGE.fullmatch(word):
            others.append(word)
    return CuiList(tuple(cuis), tuple(others))


def read_umls(crosswalk: Crosswalk, value: str, version: str | None = None) -> CodeReading:
    """Return what the CUIs of `value` say: the targets of all of them, best first of each rank.

    A CUI that maps nowhere has its reason in the evidence; `reason` gives them where no CUI maps.
    """
    found = cuis_of(value)
    parts: list[Coding] = []
    ranked: list[tuple[int, int, MappedTarget]] = []
    evidence: list[Evidence] = []
    reasons: list[str] = []
    for place, cui in enumerate(found.cuis):
        answer = crosswalk.translate(Coding(UMLS, cui, version=version))
        parts.append(answer.source)
        ranked.extend((rank, place, target) for rank, target in enumerate(answer.targets))
        evidence.extend(Evidence(UMLS, (cui,), target.rows) for target in answer.targets)
        if not answer.targets:
            reason = answer.reason or f"'{cui}' has no counterpart"
            evidence.append(Evidence(UMLS, (cui,), note=reason))
            reasons.append(reason)
    for word in found.others:
        reason = f"'{word}' is no CUI: C and seven digits"
        evidence.append(Evidence(UMLS, (word,), note=reason))
        reasons.append(reason)
    # The first target of every CUI comes before the second of any.
    ranked.sort(key=lambda one: one[:2])
    targets: dict[tuple[str, str | None], MappedTarget] = {}
    for _, _, target in ranked:
        targets.setdefault((target.code, target.laterality), target)
    if not found.cuis and not found.others:
        reasons.append(f"'{value}' holds no CUI")
    return CodeReading.of(
        UMLS,
        value,
        targets.values(),
        parts=tuple(parts),
        evidence=tuple(evidence),
        reason="; ".join(reasons) or None,
    )


def is_blocked(rows: Sequence[SemanticMapping]) -> bool:
    """Return whether the rows of one CUI keep it from mapping, whatever other sources say.

    They do when none asserts anything, and one refuses a pair or says that it blocks. A row that
    only says "no counterpart known" does not.
    """
    return (
        bool(rows)
        and all(row.negated or row.no_match for row in rows)
        and any(row.negated or (row.comment or "").startswith(BLOCKED) for row in rows)
    )
