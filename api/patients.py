"""The Patient that an identifier in a header is of, where a client has stored one."""

from __future__ import annotations

from dataclasses import dataclass

from api.records import Criterion, Query
from api.store import ResourceStore


@dataclass(frozen=True, slots=True)
class Patients:
    """The Patients of a store, by their identifiers."""

    store: ResourceStore

    def __call__(self, system: str | None, value: str) -> str | None:
        """Return the logical id of the one Patient with an identifier.

        `None` where there is none, and where it would be a guess: a header says a number, and
        seldom whose number it is.

        Parameters
        ----------
        system
            `None` for an identifier of any system.
        """
        keys = self.store.find_values("Patient", "identifier", system=system, code=value)
        if not keys:
            return None
        found = self.store.search(Query("Patient", (Criterion(keys),)), 2).matches
        return found[0].id if len(found) == 1 else None
