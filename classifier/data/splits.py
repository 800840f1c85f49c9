"""Splits: which samples train, choose and test a model.

No patient is in two parts of a split, and no image is in one of which a near-duplicate is in
another. Patients are dealt so that every label has its share in each part: iterative
stratification (Sechidis, Tsoumakas and Vlahavas, 2011) over patients instead of images.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.sample import Sample
from classifier.errors import DataSetError
from terminology.files import written_whole

VALIDATION: Final = 0.1
_COLUMNS: Final = ("key", "group")
_REASON: Final = "reason"


class Duplicates(StrEnum):
    """What is done about near-duplicates of different patients.

    ``LEAVE_OUT`` keeps patients apart from each other and leaves the copy in training (or
    validation) out where the test (or validation) has the other. ``JOIN`` makes one patient of
    both; where a "patient" is a block of many, joined blocks may become one that cannot be split.
    """

    LEAVE_OUT = "leave-out"
    JOIN = "join"


@dataclass(frozen=True)
class Split:
    """The rows that train, choose and test a model, ascending; a row may be in none.

    `name` tells splits of one data set apart: ``fold-1``, or the source that is held out.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    name: str = ""

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def holdout(
    samples: Sequence[Sample],
    targets: Targets,
    seed: int,
    *,
    validation: float = VALIDATION,
    test: float = 0.2,
    near: NDArray[np.intp] | None = None,
    duplicates: Duplicates = Duplicates.LEAVE_OUT,
) -> Split:
    """Return one split by patient; `validation` and `test` are fractions of the samples.

    Parameters
    ----------
    targets
        Of `samples`, in their order: what is stratified, beside the source.
    near
        The near-duplicate group of each sample, intp (N,), from `group_near_duplicates`.

    Raises
    ------
    DataSetError
        The fractions are none, or there are too few patients for a part that is asked for.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataSetError(
            "split",
            f"validation {validation} and test {test}",
            "fractions from 0 whose sum is below 1",
            "Correct the fractions.",
        )
    dealer = _Dealer(samples, targets, near, duplicates)
    fractions = [1 - validation - test, validation, test]
    dealt = dealer.deal(np.arange(len(samples)), fractions, np.random.default_rng([seed, 0]))
    train, chosen, tested = (np.flatnonzero(dealt == part) for part in range(3))
    return dealer.split(train, chosen, tested)


def folds(
    samples: Sequence[Sample],
    targets: Targets,
    k: int,
    seed: int,
    *,
    validation: float = VALIDATION,
    near: NDArray[np.intp] | None = None,
    duplicates: Duplicates = Duplicates.LEAVE_OUT,
) -> list[Split]:
    """Return `k` splits; every sample is in the test of exactly one.

    `validation` is the fraction of the other samples that chooses; 0 for none. The rest is as in
    `holdout`.

    Raises
    ------
    DataSetError
        There are fewer patients than folds, or too few for a validation part.
    """
    if k < 2:
        raise DataSetError("folds", f"'{k}'", "2 or more", "Ask for more folds, or a holdout.")
    dealer = _Dealer(samples, targets, near, duplicates)
    fold = dealer.deal(np.arange(len(samples)), [1 / k] * k, np.random.default_rng([seed, 0]))
    return [
        dealer.split_off(
            np.flatnonzero(fold == one),
            validation,
            np.random.default_rng([seed, 1 + one]),
            f"fold-{one + 1}",
        )
        for one in range(k)
    ]


def leave_one_source_out(
    samples: Sequence[Sample],
    targets: Targets,
    seed: int,
    *,
    validation: float = VALIDATION,
    least: int = 1,
    near: NDArray[np.intp] | None = None,
    duplicates: Duplicates = Duplicates.LEAVE_OUT,
) -> list[Split]:
    """Return a split for every source, which is its test; sorted by name.

    Sources that share a patient are one, named ``a+b``. One with fewer than `least` samples is
    never held out. The rest is as in `folds`.

    Raises
    ------
    DataSetError
        All samples are of one source, or too few patients are left for a validation part.
    """
    dealer = _Dealer(samples, targets, near, duplicates)
    names = _joined([[f"source {one.source}", f"group {one.group}"] for one in samples])
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        members[name].append(row)
    held = {
        "+".join(sorted({samples[row].source for row in rows})): rows
        for rows in members.values()
        if len(rows) >= least
    }
    if len(members) < 2 or not held:
        raise DataSetError(
            "leave one source out",
            f"{len(members)} sources, {len(held)} of them with {least} samples or more",
            "two sources that share no patient, one of them large enough to be a test",
            "Add a data set, or split by patient.",
        )
    return [
        dealer.split_off(
            np.array(rows), validation, np.random.default_rng([seed, 1 + number]), name
        )
        for number, (name, rows) in enumerate(sorted(held.items()))
    ]


def own_parts(
    samples: Sequence[Sample],
    targets: Targets,
    seed: int,
    *,
    validation: float = VALIDATION,
    near: NDArray[np.intp] | None = None,
) -> Split:
    """Return the split that the sources themselves give in `Sample.part`.

    What has no part trains. Without a validation part, the fraction `validation` of the training
    samples becomes one. The test is kept whole: what shares its patient or a near-duplicate
    with it is left out elsewhere.

    Raises
    ------
    DataSetError
        No sample is in a test part, or too few patients are left for a validation part.
    """
    dealer = _Dealer(samples, targets, near, Duplicates.LEAVE_OUT)
    parts = np.array([one.part or "train" for one in samples], dtype=np.str_)
    test = np.flatnonzero(parts == "test")
    if not len(test):
        raise DataSetError(
            "split by the sources' own parts",
            "no sample is in a part 'test'",
            "a data set that says which of its images are for testing",
            "Split by patient instead.",
        )
    chosen = np.flatnonzero(parts == "validation")
    if len(chosen):
        return dealer.split(np.flatnonzero(parts == "train"), chosen, test)
    return dealer.split_off(test, validation, np.random.default_rng([seed, 1]), "")


def label_balance(
    split: Split, targets: Targets, space: LabelSpace
) -> list[tuple[str, str, list[int]]]:
    """Return head, class and the number of samples in training, validation and test of each label.

    For the visible head, those in which the part is present; for others, those that have the one
    class.
    """
    rows = [np.array(part, dtype=np.intp) for part in split.parts().values()]
    found = []
    for head in space.heads:
        for column, name in enumerate(space.columns(head)):
            if head is Head.VISIBLE:
                flags = targets.present[:, column]
            else:
                flags = targets.truth(head) == column
            found.append((str(head), name, [int(flags[part].sum()) for part in rows]))
    return found


def save(path: Path, splits: Split | Sequence[Split], samples: Sequence[Sample]) -> None:
    """Write splits of `samples` to the CSV file `path`, whole or not at all.

    A row is a sample: its key, its group, then its part in every split (``train``,
    ``validation``, ``test`` or nothing) and why it is in none, where it is in none.
    """
    listed = [splits] if isinstance(splits, Split) else list(splits)
    parts = [[""] * len(samples) for _ in listed]
    for column, split in zip(parts, listed, strict=True):
        for name, rows in split.parts().items():
            for row in rows:
                column[row] = name
    with written_whole(path) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow([*_COLUMNS, *(split.name or "part" for split in listed), _REASON])
        for row, sample in enumerate(samples):
            own = [column[row] for column in parts]
            reason = "its patient or its likeness is in another part" if "" in own else ""
            table.writerow([sample.key, sample.group, *own, reason])


def load(path: Path, samples: Sequence[Sample]) -> list[Split]:
    """Return the splits in the CSV file `path`, as rows of `samples`, in any order.

    Raises
    ------
    DataSetError
        The file is missing or malformed, its samples are not `samples`, or a patient, as
        `samples` have it now, is in two parts of a split.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = list(csv.reader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise _unusable(path, f"it cannot be read ({error})") from error
    if tuple(header[:2]) != _COLUMNS or header[-1] != _REASON or len(header) < 4:
        raise _unusable(path, f"its columns are {', '.join(header)}")
    at = {sample.key: row for row, sample in enumerate(samples)}
    if any(len(row) != len(header) for row in rows):
        raise _unusable(path, "a row has too few or too many cells")
    keys = [row[0] for row in rows]
    if len(set(keys)) != len(keys) or set(keys) != at.keys():
        different = sorted(set(keys) ^ at.keys())
        example = f", such as '{different[0]}'" if different else ""
        raise _unusable(path, f"{len(different)} samples are not in both{example}")
    splits = []
    for column, name in enumerate(header[2:-1], start=2):
        members: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            members[row[column]].append(at[row[0]])
        if unknown := members.keys() - {"", "train", "validation", "test"}:
            raise _unusable(path, f"a part is '{min(unknown)}'")
        split = Split(
            tuple(sorted(members["train"])),
            tuple(sorted(members["validation"])),
            tuple(sorted(members["test"])),
            "" if name == "part" else name,
        )
        _check_apart(path, split, samples)
        splits.append(split)
    return splits


def _check_apart(path: Path, split: Split, samples: Sequence[Sample]) -> None:
    seen: dict[str, str] = {}
    for part, rows in split.parts().items():
        for row in rows:
            if seen.setdefault(samples[row].group, part) != part:
                raise _unusable(path, f"a patient is in two parts of '{split.name or 'part'}'")


def _unusable(path: Path, what: str) -> DataSetError:
    return DataSetError(
        str(path), what, "the split of these very samples", "Split again, without the file."
    )


class _Dealer:
    """Deals the patients of one set of samples to parts."""

    def __init__(
        self,
        samples: Sequence[Sample],
        targets: Targets,
        near: NDArray[np.intp] | None,
        duplicates: Duplicates,
    ) -> None:
        if len(targets) != len(samples) or (near is not None and len(near) != len(samples)):
            raise ValueError("samples, targets and near-duplicate groups differ in number")
        self._groups = np.array([one.group for one in samples], dtype=np.str_)
        self._near = near
        if near is not None and duplicates is Duplicates.JOIN:
            pairs = zip(self._groups, near, strict=True)
            joined = _joined([[f"group {group}", f"near {one}"] for group, one in pairs])
            # A group that is joined takes the name of the first of its members.
            self._groups = self._groups[np.array(joined, dtype=np.intp)]
        self._labels = _strata(samples, targets)

    def deal(
        self, rows: NDArray[np.intp], fractions: Sequence[float], rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Return for each of `rows` the part that it is dealt to, in the shares `fractions`."""
        names, group = np.unique(self._groups[rows], return_inverse=True)
        wanted = sum(fraction > 0 for fraction in fractions)
        if len(names) < wanted:
            raise _too_few(len(names), wanted)
        counts = np.zeros((len(names), self._labels.shape[1]), dtype=np.int64)
        np.add.at(counts, group, self._labels[rows])
        sizes = np.bincount(group, minlength=len(names))
        return stratify(counts, sizes, np.array(fractions), rng)[group]

    def split_off(
        self,
        test: NDArray[np.intp],
        validation: float,
        rng: np.random.Generator,
        name: str,
    ) -> Split:
        """Return the split with this test; a part of the rest chooses."""
        others = np.setdiff1d(np.arange(len(self._groups)), test)
        others = others[~self._shares(others, test)]
        if validation == 0:
            return self.split(others, others[:0], test, name)
        dealt = self.deal(others, [1 - validation, validation], rng)
        return self.split(others[dealt == 0], others[dealt == 1], test, name)

    def split(
        self,
        train: NDArray[np.intp],
        validation: NDArray[np.intp],
        test: NDArray[np.intp],
        name: str = "",
    ) -> Split:
        """Return the split without the samples that have their like in a later part."""
        validation = validation[~self._shares(validation, test)]
        train = train[~self._shares(train, np.concatenate([validation, test]))]
        return Split(tuple(train.tolist()), tuple(validation.tolist()), tuple(test.tolist()), name)

    def _shares(self, rows: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which of `rows` have their patient or a near-duplicate among `others`."""
        shared = np.isin(self._groups[rows], self._groups[others])
        if self._near is not None:
            shared |= np.isin(self._near[rows], self._near[others])
        return shared


def stratify(
    counts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    fractions: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the part of each group, intp (G,): iterative stratification over groups.

    The rarest label that is left is dealt first, from the group that has most of it, to the part
    that lacks most of it; of several such parts to that which lacks most samples. No part with a
    share stays empty, if there are as many groups.

    Parameters
    ----------
    counts
        int (G, L): how many samples of the group have the label.
    sizes
        int (G,): how many samples the group has.
    fractions
        float (P,): the share of each part; a part without a share gets nothing.
    """
    part = np.full(len(sizes), -1, dtype=np.intp)
    lacking = fractions[:, None] * counts.sum(axis=0)
    room = fractions * sizes.sum()
    tie = rng.permutation(len(sizes))
    left = counts.sum(axis=0).astype(np.int64)

    def deal(group: int, wanted: NDArray[np.float64]) -> None:
        wish = np.where(fractions > 0, wanted, -np.inf)
        best = np.flatnonzero(wish == wish.max())
        best = best[room[best] == room[best].max()]
        chosen = int(best[rng.integers(len(best))])
        part[group] = chosen
        lacking[chosen] -= counts[group]
        room[chosen] -= sizes[group]
        left[:] -= counts[group]

    while (left > 0).any():
        label = int(np.where(left > 0, left, np.iinfo(np.int64).max).argmin())
        groups = np.flatnonzero((part < 0) & (counts[:, label] > 0))
        for group in groups[np.lexsort((tie[groups], -counts[groups, label]))]:
            deal(int(group), lacking[:, label])
    groups = np.flatnonzero(part < 0)
    for group in groups[np.lexsort((tie[groups], -sizes[groups]))]:
        deal(int(group), room)
    for empty in np.flatnonzero((fractions > 0) & (np.bincount(part, minlength=len(room)) == 0)):
        # With few groups, a small part may come out empty: the group of the fittest size goes over.
        crowded = np.bincount(part, minlength=len(room))[part] > 1
        unfit = np.where(crowded, np.abs(sizes - fractions[empty] * sizes.sum()), np.inf)
        part[int(unfit.argmin())] = empty
    return part


def _strata(samples: Sequence[Sample], targets: Targets) -> NDArray[np.int64]:
    """Return int (N, L): what is to have its share in each part: sources, classes, parts seen."""
    sources = np.array([one.source for one in samples], dtype=np.str_)
    columns = [sources[:, None] == np.unique(sources)[None, :], targets.present]
    for head, allowed in targets.allowed.items():
        truth = targets.truth(head)
        columns.append(truth[:, None] == np.arange(allowed.shape[1])[None, :])
    table = np.concatenate(columns, axis=1).astype(np.int64)
    return table[:, (table.any(axis=0)) & (~table.all(axis=0))]


def _joined(tokens: Sequence[Sequence[str]]) -> list[int]:
    """Return for each row the first row that it is connected with through tokens they share."""
    leader = list(range(len(tokens)))
    first: dict[str, int] = {}

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for row, own in enumerate(tokens):
        for token in own:
            one, other = find(first.setdefault(token, row)), find(row)
            leader[max(one, other)] = min(one, other)
    return [find(row) for row in range(len(tokens))]


def _too_few(groups: int, parts: int) -> DataSetError:
    return DataSetError(
        "split",
        f"{groups} patients for {parts} parts",
        "enough patients that every part gets one",
        "Ask for fewer parts, or join near-duplicates less freely.",
    )
