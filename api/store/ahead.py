"""What a study's resources are built of is read, and they are built, ahead of the transaction.

A transaction keeps other writers waiting. So what takes most of the time is done before it begins;
where it then finds what was read ahead, as it mostly does, there is only writing left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from api.records import PERSON, Resource, Stored
from api.store.rows import STORED_COLUMNS, stored_of
from api.store.schema import instance as _instance
from api.store.schema import resource as _resource
from api.store.transaction import Build, StudyUpdate

_STUDIES: Final[sa.BindParameter[Any]] = sa.bindparam("studies", expanding=True)
_INSTANCES: Final = sa.select(
    _instance.c.study_id, _instance.c.sop_instance_uid, _instance.c.body
).where(_instance.c.study_id.in_(_STUDIES))
_OWNED: Final = (
    sa.select(_resource.c.study_id, *STORED_COLUMNS)
    .where(
        _resource.c.study_id.in_(_STUDIES),
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
    asked = {"studies": list({one.study_id for one in updates})}
    with engine.connect() as connection:
        rows = connection.execute(_INSTANCES, asked).all()
        own = connection.execute(_OWNED, asked).all() if rows else ()
    instances: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        instances[row.study_id][row.sop_instance_uid] = row.body
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
