"""Damaged input: how much of it, how it is made, and how long an answer may take."""

import contextlib
import os
import signal

import pytest

SECONDS = 2.0


def rounds(usual):
    """Return how many pieces of damaged input a test tries; BODYSITE_FUZZ=10000 for a long run."""
    return int(os.environ.get("BODYSITE_FUZZ", usual))


@contextlib.contextmanager
def no_hang(what):
    """Fail when the block takes longer than 2 seconds of the processor: it hangs, or as good as."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_):
        pytest.fail(f"no answer after {SECONDS:g} seconds: {what!r}")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def damaged(text, chance, pieces):
    """Return a text with some characters lost, doubled, replaced by one of `pieces`, or recased."""
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(text) + 1)
        to = min(len(text), at + chance.choice((0, 1, 1, 2, 5, 20)))
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:at] + chance.choice(pieces) + text[at:]
        elif kind == 2:
            text = text[:at] + chance.choice(pieces) + text[to:]
        elif kind == 3:
            text = text[:to] + text[at:to] * chance.choice((1, 3)) + text[to:]
        else:
            text = text[:at] + text[at:to].swapcase() + text[to:]
    return text
