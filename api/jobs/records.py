"""A job and the parts that it has made, as the queue holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

NDJSON: Final = "application/fhir+ndjson"
# Names of parts that hold no resources to be handed out as they stand.
DELETED: Final = "deleted"
ERROR: Final = "error"
JOURNAL: Final = "journal"


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to the job."""
        return self not in {State.QUEUED, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Job:
    """A job; times are microseconds since 1970.

    `request` is what was asked for, `progress` what the work needs to go on where it stopped, and
    `result` how it ended.
    """

    id: str
    kind: str
    owner: str
    state: State
    request: Mapping[str, Any]
    progress: Mapping[str, Any]
    result: Mapping[str, Any]
    created: int
    updated: int
    lease_until: int = 0
    cancel: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether its owner wants to hear no more of it."""
        return self.cancel or self.state is State.CANCELLED


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a job made: `count` lines of NDJSON, gzip-compressed.

    `name` is the type of the resources in it, or one of `DELETED`, `ERROR`, `JOURNAL`.
    """

    number: int
    name: str
    count: int
    body: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        """What the part is, in the one column that says it (RFC 9110, 8.3.1: parameters)."""
        return f"{NDJSON};name={self.name};count={self.count}"

    @property
    def file_name(self) -> str:
        """The last segment of the address of the part."""
        return f"{self.name}-{self.number}.ndjson"

    @classmethod
    def described(cls, number: int, media_type: str, body: bytes = b"") -> Part:
        """Return the part that a row of the table describes."""
        facts = dict(one.split("=", 1) for one in media_type.split(";")[1:])
        return cls(number, facts["name"], int(facts["count"]), body)
