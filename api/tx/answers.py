"""What a terminology request asks, and what it is answered: free of HTTP's machinery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request below the base of a FHIR endpoint.

    Parameters
    ----------
    path
        Segments under the base, decoded.
    body
        Bytes as they came, or the resource of an entry of a batch; `None` without one.
    headers
        By lower-case name.
    base
        The address of the endpoint as the client knows it.
    seconds
        What is left of the time of the batch that it is an entry of.
    """

    release: str
    method: str
    path: tuple[str, ...]
    query: Sequence[tuple[str, str]] = ()
    body: bytes | Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: a resource as a dictionary or as JSON text, `None` for nothing."""

    body: Json | str | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
