"""UNIFESP labels: the 22 of the X-ray body part data set, and strings of several of them.

The data set's `train.csv` writes one or more codes of 0 to 21, parted by blanks ("3 11"). Tools
around it write lists ("[3, 11]"), floating point numbers ("3.0") and the labels' names. One image
may carry several labels; each keeps its own site, and where labels together are one SNOMED CT
concept (abdomen and pelvis), that concept comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Final

from terminology import sssom
from terminology.annotation import Evidence
from terminology.concept import Coding
from terminology.crosswalk import UNIFESP, Crosswalk, MappedTarget, Translation
from terminology.mapping import EXACT
from terminology.sources.reading import CodeReading

if TYPE_CHECKING:
    from terminology.entries import Region
    from terminology.mapping import MappingSet

# A list of labels is short; a longer string is no list of labels.
LONGEST_STRING: Final = 512
_PARTS = re.compile(r"[0-9]+(?:\.[0-9]*)?|[^\W\d_]+|[^\s,;|/+&\[\](){}\"'_]+")
_WHOLE = re.compile(r"0*([0-9]{1,2})(?:\.0*)?", re.ASCII)


def _key(word: str) -> str:
    return word.casefold().removesuffix("s")


class UnifespLabels:
    """The labels by their codes, and the codes in strings.

    Parameters
    ----------
    names
        The name of each label by its code, a number.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        # Both "Lower Leg" and "LowerLeg".
        self._codes = {
            tuple(_key(word) for word in name.split()): code
            for code, label in names.items()
            for name in (label, label.replace(" ", ""))
        }
        self._longest = max(map(len, self._codes), default=1)

    @classmethod
    def of(cls, tables: Iterable[MappingSet]) -> UnifespLabels:
        """Return the labels that `tables` map from, under the names that they have there."""
        rows = [row for table in tables for row in table.mappings]
        names = {sssom.subject_code(row): row.subject_label or "" for row in rows}
        return cls({code: names[code] for code in sorted(names, key=lambda one: (len(one), one))})

    def codes(self, value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the codes in `value`, each once and in its order, and the parts that are none.

        A name counts in any case, in the singular or plural of the label ("clavicle").
        """
        if len(value) > LONGEST_STRING:
            return (), (f"{value[:32]}...",)
        parts = _PARTS.findall(value)
        codes: list[str] = []
        unknown: list[str] = []
        at = 0
        while at < len(parts):
            for size in range(self._longest, 0, -1):
                code = self._codes.get(tuple(map(_key, parts[at : at + size])))
                if code is not None:
                    break
            else:
                size = 1
                number = _WHOLE.fullmatch(parts[at])
                code = number[1] if number and number[1] in self.names else None
            if code is None:
                unknown.append(parts[at])
            else:
                codes.append(code)
            at += size
        return tuple(dict.fromkeys(codes)), tuple(dict.fromkeys(unknown))


def read_unifesp(
    crosswalk: Crosswalk,
    labels: UnifespLabels,
    regions: Mapping[frozenset[str], Region],
    value: str,
    version: str | None = None,
) -> CodeReading:
    """Return what a string of `labels` says; parts that are none are named in the evidence.

    `regions` says which concepts together are one concept.
    """
    codes, unknown = labels.codes(value)
    answers = [
        crosswalk.translate(Coding(UNIFESP, code, labels.names[code], version)) for code in codes
    ]
    known = tuple(labels.names)
    expected = " to ".join((*known[:1], *known[-1:]))
    refused = [f"'{part}' is no UNIFESP label ({expected})" for part in unknown]
    evidence = [
        Evidence(UNIFESP, (answer.source.code,), target.rows)
        for answer in answers
        for target in answer.targets
    ]
    evidence += [
        Evidence(UNIFESP, (part,), note=note) for part, note in zip(unknown, refused, strict=True)
    ]
    without = [answer for answer in answers if not answer.targets]
    evidence += [Evidence(UNIFESP, (answer.source.code,), note=answer.reason) for answer in without]
    combined = _combined(answers, regions)
    evidence += [
        Evidence(UNIFESP, codes, target.rows, "the labels together are one concept")
        for target in combined
    ]
    targets = (*combined, *_own(answers))
    reasons = [answer.reason for answer in without if answer.reason] + refused
    return CodeReading(
        system=UNIFESP,
        value=value,
        parts=tuple(answer.source for answer in answers),
        targets=targets,
        evidence=tuple(evidence),
        reason=None if targets else "; ".join(reasons) or "no UNIFESP label is in the string",
    )


def _own(answers: Sequence[Translation]) -> list[MappedTarget]:
    """Return the targets of the labels: the best of each first, then the others."""
    best = [answer.targets[0] for answer in answers if answer.targets]
    return best + [target for answer in answers for target in answer.targets[1:]]


def _combined(
    answers: Sequence[Translation], regions: Mapping[frozenset[str], Region]
) -> list[MappedTarget]:
    """Return the concept that the most labels are together, if there is one."""
    best = {answer.targets[0].code: answer.targets[0] for answer in answers if answer.targets}
    for size in range(min(len(best), 6), 1, -1):
        for group in combinations(best, size):
            region = regions.get(frozenset(group))
            if region is not None:
                parts = [best[code] for code in group]
                return [
                    MappedTarget(
                        code=region.code,
                        display=region.display,
                        laterality=None,
                        predicate=EXACT,
                        confidence=min((part.confidence or 0 for part in parts), default=None),
                        rows=(*(row for part in parts for row in part.rows), region.ref),
                    )
                ]
    return []
