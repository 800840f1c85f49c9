"""Counting the resources that carry any of many tokens, each once.

Both databases make a tree or a table of what is to be distinct, a million entries of it; marks in
memory take a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from api.store.clauses import among
from api.store.schema import token as _token

# A byte a `rid` up to so many; beyond, they are sorted.
_MARKS: Final = 100_000_000
# PostgreSQL, array_send (arrayfuncs.c): five words, then length and value of each element.
_HEAD: Final = 20
_ELEMENT: Final = np.dtype([("length", ">i4"), ("rid", ">i8")])


def distinct_resources(connection: sa.Connection, values: Sequence[int]) -> int:
    """Return how many resources carry one of the tokens with these keys."""
    chosen = among(_token.c.value_id, values)
    if len(values) == 1:
        return int(connection.scalar(sa.select(sa.func.count()).where(chosen)) or 0)
    sqlite = connection.dialect.name == "sqlite"
    listed: sa.ColumnElement[Any] = (
        sa.func.group_concat(_token.c.rid)
        if sqlite
        else sa.func.array_send(sa.func.array_agg(_token.c.rid))
    )
    statement = sa.select(listed).where(chosen).group_by(_token.c.value_id)
    read = _written_out if sqlite else _packed
    rids = [read(one) for one in connection.scalars(statement).all()]
    if not rids:
        return 0
    highest = max(int(one.max()) for one in rids)
    if highest > _MARKS:
        return int(np.unique(np.concatenate(rids)).size)
    marks = np.zeros(highest + 1, dtype=np.bool_)
    for one in rids:
        marks[one] = True
    return int(np.count_nonzero(marks))


def _written_out(listed: str) -> NDArray[np.int64]:
    return np.fromstring(listed, dtype=np.int64, sep=",")


def _packed(listed: bytes) -> NDArray[np.int64]:
    return np.frombuffer(listed, dtype=_ELEMENT, offset=_HEAD)["rid"].astype(np.int64)
