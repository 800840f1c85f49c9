"""`LabelSpace`: the heads of a model and their classes; `Targets`: what is known, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from terminology.vocabulary import LabelVocabulary


class Head(StrEnum):
    """What a model is asked. All but `VISIBLE` have one right class an image."""

    EXAMINED = "examined"
    VISIBLE = "visible"
    VIEW = "view"
    MODALITY = "modality"
    LATERALITY = "laterality"
    ROUTER = "router"
    IRMA = "irma"


@dataclass(frozen=True)
class LabelSpace:
    """The heads and their classes, in the order of the columns of every tensor.

    Attributes
    ----------
    vocabulary
        The body structures, closed under ancestors: the columns of `Head.VISIBLE`. The classes of
        `Head.EXAMINED` are among its codes.
    classes
        For each head in use but `VISIBLE`, its classes: SCTIDs of body structures (examined) or
        views (view), DICOM modalities, `Laterality` values, `RouterGroup` values, IRMA codes.
    visible
        Whether the head of visible parts is in use.
    """

    vocabulary: LabelVocabulary
    classes: Mapping[Head, tuple[str, ...]]
    visible: bool = True

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads in use, in the order of `Head`."""
        return tuple(head for head in Head if self.columns(head))

    def columns(self, head: Head) -> tuple[str, ...]:
        """Return the classes of `head`; empty when it is not in use."""
        if head is Head.VISIBLE:
            return self.vocabulary.codes if self.visible else ()
        return self.classes.get(head, ())

    def to_json(self) -> dict[str, Any]:
        """Return the label space as JSON values."""
        return {
            "vocabulary": self.vocabulary.to_json(),
            "classes": {str(head): list(names) for head, names in self.classes.items()},
            "visible": self.visible,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the label space that `to_json` wrote."""
        return cls(
            LabelVocabulary.from_json(data["vocabulary"]),
            {Head(head): tuple(names) for head, names in data["classes"].items()},
            data["visible"],
        )


@dataclass(frozen=True)
class Targets:
    """What is known of N samples.

    Attributes
    ----------
    allowed
        For every head but `VISIBLE`: bool (N, C), the classes that the label leaves possible. One
        for a plain label; all at or below a coarse one; none where nothing is known: such a
        sample is no part of that head's loss or score.
    present, known
        bool (N, V), for the columns of the vocabulary: `present` holds only where `known`. A
        parent of what is present is present (unknown where the source denies that it follows); a
        child of what is absent is absent.
    """

    allowed: Mapping[Head, NDArray[np.bool_]]
    present: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Targets:
        """Return the targets of `rows`, in their order."""
        at = np.asarray(rows, dtype=np.intp)
        return Targets(
            {head: flags[at] for head, flags in self.allowed.items()},
            self.present[at],
            self.known[at],
        )

    def truth(self, head: Head) -> NDArray[np.intp]:
        """Return the class of each sample, intp (N,); -1 where none or several are possible."""
        flags = self.allowed[head]
        return np.where(flags.sum(axis=1) == 1, flags.argmax(axis=1), -1)


@dataclass(frozen=True)
class Scores:
    """What a model says of N samples, beside what is known of them.

    Attributes
    ----------
    keys, groups, sources, paths
        Of the samples, in the order of the rows; `paths` as text.
    probabilities
        For each head: float32 (N, C) in [0, 1]. A row of `VISIBLE` is coherent (no part above
        its region); a row of any other head sums to 1.
    targets
        What is known, in the same label space.
    """

    space: LabelSpace
    keys: tuple[str, ...]
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    paths: tuple[str, ...]
    probabilities: Mapping[Head, NDArray[np.float32]]
    targets: Targets

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Scores:
        """Return the scores of `rows`, in their order."""
        at = np.asarray(rows, dtype=np.intp)

        def some(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(texts[row] for row in at)

        return Scores(
            self.space,
            some(self.keys),
            some(self.groups),
            some(self.sources),
            some(self.paths),
            {head: values[at] for head, values in self.probabilities.items()},
            self.targets.take(at),
        )

    @classmethod
    def pooled(cls, parts: Sequence[Scores]) -> Scores:
        """Return several scores in one label space as one, rows one after the other."""
        first = parts[0]
        targets = [part.targets for part in parts]
        return cls(
            first.space,
            tuple(one for part in parts for one in part.keys),
            tuple(one for part in parts for one in part.groups),
            tuple(one for part in parts for one in part.sources),
            tuple(one for part in parts for one in part.paths),
            {
                head: np.concatenate([part.probabilities[head] for part in parts])
                for head in first.probabilities
            },
            Targets(
                {
                    head: np.concatenate([one.allowed[head] for one in targets])
                    for head in first.targets.allowed
                },
                np.concatenate([one.present for one in targets]),
                np.concatenate([one.known for one in targets]),
            ),
        )


def closure(vocabulary: LabelVocabulary) -> NDArray[np.bool_]:
    """Return bool (V, V): whether the column is the row or lies above it."""
    above = np.eye(len(vocabulary), dtype=np.bool_)
    for column, ancestors in enumerate(vocabulary.ancestors):
        above[column, list(ancestors)] = True
    return above
