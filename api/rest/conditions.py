"""Conditions of conditional writes, as the PHI policy has left what they are to find.

A client knows a patient by an identifier; the store, under the policy "hash", by the pseudonym of
it. A condition with the plain identifier would find nothing, and each conditional create would
make another resource.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from api.errors import RequestError
from api.fhir import DICOM_UID
from api.phi import PSEUDONYM_SYSTEM, PhiGuard, PhiPolicy

Parameters = tuple[tuple[str, str], ...]
_COMMA: Final = re.compile(r"(?<!\\),")
_BAR: Final = re.compile(r"(?<!\\)\|")
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_UID: Final = re.compile(r"(?:urn:oid:)?[0-2](?:\.(?:0|[1-9][0-9]*)){3,}", re.ASCII)
# Their identifiers are of things and of people at work, and stand as they were sent.
_KEPT: Final = frozenset({"Device", "Practitioner"})


def as_stored(
    guard: PhiGuard | None, kind: str, parameters: Sequence[tuple[str, str]]
) -> Parameters:
    """Return search parameters with pseudonyms for the identifiers that the policy replaces.

    Raises
    ------
    RequestError
        422: under the policy "drop" no identifier is left to find anything by.
    """
    if guard is None or guard.policy is PhiPolicy.KEEP:
        return tuple(parameters)
    return tuple(
        (name, _values(guard, kind, name, value) if _is_identifier(kind, name) else value)
        for name, value in parameters
    )


def _is_identifier(kind: str, name: str) -> bool:
    base, _, modifier = name.partition(":")
    if modifier == "identifier":
        return base in {"patient", "subject"}
    return base == "identifier" and modifier in {"", "not"} and kind not in _KEPT


def _values(guard: PhiGuard, kind: str, name: str, value: str) -> str:
    of_patient = kind == "Patient" or name.endswith(":identifier")
    found = []
    for one in _COMMA.split(value):
        *head, last = (_ESCAPED.sub(r"\1", part) for part in _BAR.split(one))
        system = head[0] if head else ""
        if not last or system in {PSEUDONYM_SYSTEM, DICOM_UID} or _UID.fullmatch(last):
            found.append(one)
        elif guard.policy is PhiPolicy.DROP:
            raise RequestError(
                name.partition(":")[0],
                "under the PHI policy 'drop' no identifier is stored to find anything by",
                "another search parameter",
                "Use the id of the resource.",
                status=422,
                issue="business-rule",
            )
        else:
            made = [guard.patient(last)] if of_patient else [guard.other(system, last)]
            if not of_patient:
                # Whether it is an accession number, its type says, which a search does not have.
                made.append(guard.accession(last))
            found += [f"{PSEUDONYM_SYSTEM}|{pseudonym}" for pseudonym in made]
    return ",".join(found)
