"""`subsumes` for two codes as text: the call that is made millions of times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from terminology.release.codes import CodeTable


def subsumption(
    table: CodeTable,
    values: memoryview,
    starts: memoryview,
    ordinal: Callable[[str], int],
) -> Callable[[str, str], bool]:
    """Return the function that says whether its first code is strictly above its second.

    A function with everything it needs in its closure takes two thirds of the time of a method.

    Parameters
    ----------
    table
        The codes.
    values, starts
        The ancestors by ordinal, ``isa.ancestors.*``.
    ordinal
        Raises what is to be raised for a code that is not in the table.
    """
    codes, halves, divisor = table.codes, table.halves, table.divisor

    def further(code: str, number: int, at: int) -> int:
        """Return where a code stands that has been displaced; raise when it is nowhere."""
        place = table.probe(number, at)
        if place < 0:
            ordinal(code)
        return place

    def subsumes(ancestor: str, descendant: str) -> bool:
        try:
            upper, lower = int(ancestor), int(descendant)
        except ValueError:
            ordinal(ancestor)
            ordinal(descendant)
            raise
        at, to = upper % divisor * 2, lower % divisor * 2
        if codes[at] != upper:
            at = further(ancestor, upper, at)
        if codes[to] != lower:
            to = further(descendant, lower, to)
        # int() takes blanks, signs, underscores, leading zeros and the digits of other scripts.
        if not (
            ancestor.isascii()
            and ancestor.isdecimal()
            and ancestor >= "1"
            and descendant.isascii()
            and descendant.isdecimal()
            and descendant >= "1"
        ):
            ordinal(ancestor)
            ordinal(descendant)
        at += at
        end = halves[at + 3]
        if not end:
            return False
        above, below = halves[at + 2], halves[to + to + 2]
        if above < below < end:
            return True
        stop = starts[below + 1]
        place = bisect_left(values, above, starts[below], stop)
        return bool(place < stop and values[place] == above)

    return subsumes
