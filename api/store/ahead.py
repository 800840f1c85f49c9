"""What a study's resources are built of is read, and they are built, ahead of the transaction.

A transaction keeps other writers waiting. So what takes most of the time is done before it begins;
where it then finds what was read ahead, as it mostly does, there is only writing left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from api.records import PERSON, Resource, Stored
from api.store.rows import STORED_COLUMNS, stored_of
from api.store.schema import resource as _resource
from api.store.transaction import Build, StudyUpdate, instances_of

_OWNED: Final = (
    sa.select(_resource.c.study_id, *STORED_COLUMNS)
    .where(
        _resource.c.study_id.in_(sa.bindparam("studies", expanding=True)),
        _resource.c.origin == PERSON,
        _resource.c.deleted == sa.false(),
    )
    .order_by(_resource.c.rid)
)


class BuiltAhead:
    """A `Build` that builds once only where it is asked for the same again.

    Parameters
    ----------
    build
        What builds. It must return the same for the same.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._asked: tuple[object, ...] | None = None
        self._built: Sequence[Resource] = ()

    def __call__(self, known: Sequence[str], owned: Sequence[Stored]) -> Sequence[Resource]:
        """Return the resources of a study, see `Build`."""
        asked = (tuple(known), tuple((one.type, one.id, one.version_id) for one in owned))
        if asked != self._asked:
            self._built = self._build(known, owned)
            self._asked = asked
        return self._built


def built_ahead(engine: sa.Engine, updates: Sequence[StudyUpdate]) -> list[StudyUpdate]:
    """Return `updates` whose resources are built already, of what the store has by now."""
    ids = list({one.study_id for one in updates})
    with engine.connect() as connection:
        instances = instances_of(connection, ids)
        there = any(instances.values())
        own = connection.execute(_OWNED, {"studies": ids}).all() if there else ()
    owned: dict[str, list[Stored]] = defaultdict(list)
    for one in own:
        owned[one.study_id].append(stored_of(one))
    found = []
    for update in updates:
        build = BuiltAhead(update.build)
        known = {**instances[update.study_id], **update.instances}
        build([body for _, body in sorted(known.items())], owned[update.study_id])
        found.append(replace(update, build=build))
    return found
