"""The error score of ImageCLEF 2007-2009 for IRMA codes, and the answer that makes it smallest.

Deselaers & Deserno, Medical Image Annotation in ImageCLEF 2008; Tommasi et al., Overview of the
CLEF 2009 medical image annotation track. An axis with the true code l_1…l_I and the answer
l̂_1…l̂_I costs

    Σ_i 1/b_i · 1/i · δ_i,  divided by what it is when every δ_i is 1,

where b_i is the number of codes that may stand at position i below the true l_1…l_{i-1}, and δ_i is
0 while all positions up to i agree, 0.5 once a ``*`` ("not known") was given, 1 once a position was
wrong: what follows a mistake is wrong, even if equal, and what follows a ``*`` is not known,
whatever is written there. An image costs the mean of its four axes, a run the sum of its images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import Counted, Floats, Places, ratio
from classifier.evaluation.classification import answers as most_probable
from terminology.errors import IdentifierError
from terminology.sources.irma import UNKNOWN, UNSPECIFIED, Axis, IrmaCode
from terminology.sources.irma_lists import IrmaList, embedded_lists

_NOT_KNOWN_COSTS: Final = 0.5
# Each score, and whether a * where the truth is unspecified costs nothing in it.
_SCORES: Final = {
    "irma_error": False,
    "irma_error_hedged": False,
    "irma_error_hedged_unspecified_free": True,
}


@dataclass(frozen=True, slots=True)
class Branching:
    """How many codes there are at each position, by the list of the code that is in use.

    Attributes
    ----------
    version
        Of the list.
    choices
        For an axis and a prefix, ``""`` for the first position: the characters that may follow.
    """

    version: str
    choices: Mapping[tuple[Axis, str], frozenset[str]]

    @classmethod
    def of(cls, codes: IrmaList) -> Self:
        """Return the branching of a list of codes, such as ``embedded_lists().of("2008")``."""
        found: dict[tuple[Axis, str], frozenset[str]] = {}
        for axis, prefix in [*((axis, "") for axis in Axis), *codes.entries]:
            # Nothing follows a 0: it leaves all positions after it unspecified.
            if not prefix.endswith(UNSPECIFIED):
                found[axis, prefix] = frozenset(one[-1] for one in codes.children(axis, prefix))
        return cls(codes.version, found)

    @classmethod
    def that_holds(cls, codes: Iterable[IrmaCode]) -> Self | None:
        """Return the branching of the newest embedded list that holds all `codes`, if one does."""
        lists, wanted = embedded_lists(), tuple(codes)
        for version in reversed(lists.versions):
            try:
                for code in wanted:
                    lists.of(version).check(code)
            except IdentifierError:
                continue
            return cls.of(lists.of(version))
        return None

    def along(self, axis: Axis, code: str) -> tuple[int, ...]:
        """Return b_1…b_I of the true `code`, at the full width of the axis.

        Where nothing but an unspecified 0 can stand b is 1, as in the scorer that was handed out
        with the list of 2008.

        Raises
        ------
        IdentifierError
            A character of `code` cannot stand below those before it, or is ``*``: no truth.
        """
        found: list[int] = []
        for at, character in enumerate(code):
            known = self.choices.get((axis, code[:at]), frozenset())
            if character != UNSPECIFIED and character not in known:
                raise IdentifierError(
                    f"true code, {axis} axis, position {at + 1}",
                    f"'{code}'",
                    f"a code of the IRMA list of {self.version}",
                    "Score against the list that the codes are from.",
                )
            found.append(len(known) or 1)
        return tuple(found)


def axis_error(
    truth: str, answer: str, branching: Sequence[int], *, unspecified_free: bool = False
) -> float:
    """Return the error of one axis, in [0, 1].

    Parameters
    ----------
    truth, answer
        Codes of one axis, equally long; `answer` may hold ``*``.
    branching
        b_1…b_I along `truth`.
    unspecified_free
        Count a ``*`` where the truth has 0 (unspecified) as right. The definition in print does
        not say so; the scorer that was handed out with the list of 2008 does it.
    """
    if not len(truth) == len(answer) == len(branching):
        raise ValueError(f"{truth!r}, {answer!r} and {branching} are not equally long")
    error = most = 0.0
    wrong = unknown = False
    for at, (true, said, choices) in enumerate(zip(truth, answer, branching, strict=True), 1):
        weight = 1 / (choices * at)
        most += weight
        unknown = unknown or (said == UNKNOWN and not wrong)
        wrong = wrong or (said != true and not unknown)
        free = unspecified_free and true == UNSPECIFIED and unknown
        delta = 1.0 if wrong else _NOT_KNOWN_COSTS if unknown and not free else 0.0
        error += weight * delta
    return error / most


def image_error(
    truth: IrmaCode, answer: IrmaCode, branching: Branching, *, unspecified_free: bool = False
) -> float:
    """Return the error of one image, in [0, 1]: the mean over the four axes."""
    errors = [
        axis_error(
            truth.part(axis),
            answer.part(axis),
            branching.along(axis, truth.part(axis)),
            unspecified_free=unspecified_free,
        )
        for axis in Axis
    ]
    return sum(errors) / len(errors)


def run_score(
    truths: Sequence[IrmaCode],
    answers: Sequence[IrmaCode],
    branching: Branching,
    *,
    unspecified_free: bool = False,
) -> float:
    """Return the score of a run: the sum over its images; 0 is best, their number is worst."""
    pairs = zip(truths, answers, strict=True)
    return sum(
        image_error(truth, answer, branching, unspecified_free=unspecified_free)
        for truth, answer in pairs
    )


def error_matrix(
    truths: Sequence[IrmaCode],
    answers: Sequence[IrmaCode],
    branching: Branching,
    *,
    unspecified_free: bool = False,
) -> Floats:
    """Return the error of every answer (column) for every truth (row): float64 (T, A)."""
    total = np.zeros((len(truths), len(answers)))
    for axis in Axis:
        rows, row_of = _parts(truths, axis)
        columns, column_of = _parts(answers, axis)
        table = _axis_matrix(rows, columns, axis, branching, unspecified_free)
        total += table[np.ix_(row_of, column_of)]
    return total / len(Axis)


def hedge(
    posterior: NDArray[np.floating],
    codes: Sequence[IrmaCode],
    branching: Branching,
    *,
    unspecified_free: bool = False,
) -> tuple[IrmaCode, ...]:
    """Return for each row of `posterior` the answer whose expected error is smallest.

    The axes are scored apart, so each is answered apart, from the posterior of its own codes. All
    answers are compared that may be best: every code that some class has, and each of its
    prefixes with ``*`` behind it; any other answer is wrong for all classes from the point where
    it leaves them, and ``*`` there is cheaper. Of answers that cost the same, the one that says
    least is given.

    The rule of thumb "``*`` where the best character has a posterior below one half" is not the
    smallest error: a ``*`` is paid at all positions that follow, so that a character pays only
    above 0.5 / (1 − 0.5 · V / W), with W the weight of this position and all that follow, V the
    weight of those that will be left open (where the candidates weigh the same).

    Parameters
    ----------
    posterior
        float (N, C), rows sum to 1.
    codes
        The classes, C of them.
    """
    weights = np.asarray(posterior, dtype=np.float64)
    answers: dict[Axis, list[str]] = {}
    for axis in Axis:
        parts, part_of = _parts(codes, axis)
        belief = np.zeros((len(weights), len(parts)))
        np.add.at(belief.T, part_of, weights.T)
        candidates = _candidates(parts)
        table = _axis_matrix(parts, candidates, axis, branching, unspecified_free)
        # Candidates stand from the least said to the most: at equal cost the first is taken.
        expected = np.round(belief @ table, 12)
        answers[axis] = [candidates[at] for at in expected.argmin(axis=1)]
    return tuple(IrmaCode(*(answers[axis][row] for axis in Axis)) for row in range(len(weights)))


def irma_errors(
    probabilities: NDArray[np.floating],
    truth: Places,
    codes: Sequence[IrmaCode],
    branching: Branching,
) -> Counted:
    """Return the mean error of the most probable code and of the hedges; a mean times N is a run's.

    ``irma_error_hedged`` is that of `hedge`; ``irma_error_hedged_unspecified_free`` the same where
    a ``*`` costs nothing at an unspecified position, in the hedge and in its score.

    Parameters
    ----------
    probabilities
        float (N, C), rows sum to 1.
    truth
        intp (N,), the places of the true codes in `codes`.
    """
    errors = [error_matrix(codes, codes, branching)[truth, most_probable(probabilities)]]
    for free in (False, True):
        said = hedge(probabilities, codes, branching, unspecified_free=free)
        errors.append(_errors_of(said, truth, codes, branching, free))
    return _means(errors)


def open_errors(truth: Places, codes: Sequence[IrmaCode], branching: Branching) -> Counted:
    """Return what `irma_errors` would be if ``*`` were answered on all axes."""
    nothing = [IrmaCode.parse("-".join(UNKNOWN * axis.width for axis in Axis))] * len(truth)
    return _means([_errors_of(nothing, truth, codes, branching, free) for free in _SCORES.values()])


def _errors_of(
    said: Sequence[IrmaCode],
    truth: Places,
    codes: Sequence[IrmaCode],
    branching: Branching,
    free: bool,
) -> Floats:
    """Return the error of each row, float64 (N,)."""
    place: dict[IrmaCode, int] = {}
    column = [place.setdefault(one, len(place)) for one in said]
    table = error_matrix(codes, list(place), branching, unspecified_free=free)
    return np.asarray(table[truth, np.array(column, dtype=np.intp)])


def _means(errors: Sequence[Floats]) -> Counted:
    rows = np.column_stack([*errors, np.ones(len(errors[0]))])
    return Counted(tuple(_SCORES), rows, lambda sums: ratio(sums[:, :-1], sums[:, -1:]))


def _candidates(parts: Sequence[str]) -> list[str]:
    """Return `parts` and all their prefixes filled up with ``*``, those that say least first."""
    width = len(parts[0]) if parts else 0
    prefixes = {part[:at] for part in parts for at in range(width + 1)}
    return [one.ljust(width, UNKNOWN) for one in sorted(prefixes, key=lambda one: (len(one), one))]


def _parts(codes: Sequence[IrmaCode], axis: Axis) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct codes of `axis`, and which of them each whole code has."""
    place: dict[str, int] = {}
    of = [place.setdefault(code.part(axis), len(place)) for code in codes]
    return list(place), np.array(of, dtype=np.intp)


def _axis_matrix(
    truths: Sequence[str],
    answers: Sequence[str],
    axis: Axis,
    branching: Branching,
    unspecified_free: bool,
) -> Floats:
    along = [branching.along(axis, truth) for truth in truths]
    return np.array(
        [
            [axis_error(truth, one, b, unspecified_free=unspecified_free) for one in answers]
            for truth, b in zip(truths, along, strict=True)
        ],
        dtype=np.float64,
    ).reshape(len(truths), len(answers))
