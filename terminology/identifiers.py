"""Codes of the systems that Bodysite joins: parse, check, say why not. All of them are text.

The rules are those of the systems themselves: the SCTID check digit and partition are in the
SNOMED CT Release File Specification (section 5), the IRMA code in Lehmann et al. 2003.
"""

from __future__ import annotations

import re

from terminology.errors import IdentifierError

# Verhoeff's dihedral group D5: multiplication and the permutation powers.
_MULTIPLY = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_PERMUTE = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)

_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_IRMA = re.compile(r"[0-9a-z]+", re.ASCII)
_CUI = re.compile(r"C[0-9]{7}", re.ASCII)


def verhoeff_ok(digits: str) -> bool:
    """Return whether the last of `digits` is their Verhoeff check digit."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _MULTIPLY[check][_PERMUTE[place % 8][ord(digit) - 48]]
    return check == 0


def sctid_problem(code: str) -> str | None:
    """Return why `code` is no SNOMED CT concept identifier, or `None` when it is one.

    Checked are the characters, the length (6 to 18), the leading digit, the partition (00 for
    the International Edition, 10 for an extension; both name concepts) and the check digit.
    """
    if not _DIGITS.fullmatch(code):
        return "has characters other than the digits 0 to 9"
    if not 6 <= len(code) <= 18:
        return f"has {len(code)} digits, not 6 to 18"
    if code[0] == "0":
        return "begins with 0"
    if not verhoeff_ok(code):
        return "fails the SNOMED CT check digit"
    if code[-3:-1] not in {"00", "10"}:
        return f"has partition {code[-3:-1]}, which names no concept"
    return None


def check_sctid(code: str, where: str = "code") -> str:
    """Return `code`, or raise `IdentifierError` saying what is wrong with it."""
    reason = sctid_problem(code)
    if reason is not None:
        raise IdentifierError(
            where,
            f"'{code}' {reason}",
            "a SNOMED CT concept identifier such as 85562004",
            "Check for a lost or doubled digit; codes are text, never numbers.",
        )
    return code


def cui_problem(code: str) -> str | None:
    """Return why `code` is no UMLS concept unique identifier, or `None` when it is one."""
    return None if _CUI.fullmatch(code) else "is not C followed by seven digits"


def irma_problem(code: str, width: int) -> str | None:
    """Return why `code` is no code of an IRMA axis of `width` characters, or `None`.

    Whether a list holds it is the business of `terminology.sources.irma_lists`.
    """
    if _IRMA.fullmatch(code) and len(code) <= width:
        return None
    return f"is not one to {width} characters 0-9 a-z"
