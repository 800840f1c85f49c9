"""Tables of reference set members → rows of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.rf2.components import Context
from terminology.rf2.kinds import Kind, reason
from terminology.rf2.latest import Mask, Members, superseded
from terminology.rf2.layouts import FIELDS, MEMBER, Column
from terminology.rf2.rows import Ids, RefsetRows, TextColumn
from terminology.rf2.tables import Table
from terminology.rf2.version import MODULE_DEPENDENCY, Dependency

_ACCEPTABILITIES: Final = (900000000000548007, 900000000000549004)
_LETTERS: Final = {kind: letter for letter, kind in FIELDS.items()}
LANGUAGE: Final = (*MEMBER, Column("acceptabilityId", Kind.COMPONENT))


@dataclass(frozen=True, slots=True)
class Components:
    """The ids of all components of a release."""

    concepts: Members
    descriptions: Members
    relationships: Members

    def unknown(self, ids: NDArray[np.int64]) -> Mask:
        """Return which ids are of no component of the release."""
        # The last but one digit says what kind of component it is.
        kind = ids // 10 % 10
        lacking = np.ones(len(ids), dtype=np.bool_)
        for digit, members in enumerate((self.concepts, self.descriptions, self.relationships)):
            of_kind = kind == digit
            if of_kind.all():
                return members.lacks(ids)
            lacking[of_kind] = members.lacks(ids[of_kind])
        return lacking


def member_rows(table: Table, components: Components, context: Context) -> RefsetRows:
    """Return the members of the reference sets of one layout, sorted by refset and component.

    Those of components or reference sets that the release lacks are left out and reported.
    """
    rows = context.current(table, table.array("id"))
    component = table.array("referencedComponentId")[rows]
    order = np.argsort(component, kind="stable")
    rows, component = rows[order], component[order]
    refset = table.array("refsetId")[rows]
    sets, which = np.unique(refset, return_inverse=True)
    lost = components.concepts.lacks(sets)[which]
    context.leave_out(
        table,
        rows[lost],
        lambda count: f"member{'s' * (count > 1)} of reference sets not in the release",
    )
    unknown = components.unknown(component) & ~lost
    context.leave_out(
        table,
        rows[unknown],
        lambda count: f"member{'s' * (count > 1)} with components not in the release",
    )
    kept = ~(lost | unknown)
    # At most some thousand reference sets: sorting small numbers is quick.
    small = np.uint16 if len(sets) < 1 << 16 else np.int64
    order = np.argsort(which[kept].astype(small), kind="stable")
    rows = rows[kept][order]
    if table.columns == LANGUAGE:
        context.refuse(
            table,
            "acceptabilityId",
            rows,
            ~np.isin(table.array("acceptabilityId")[rows], _ACCEPTABILITIES),
            "is no acceptability",
            "900000000000548007 |Preferred| or 900000000000549004 |Acceptable|",
        )
    further = table.columns[len(MEMBER) :]
    letters = "".join(_LETTERS[column.kind] for column in further)
    fields: dict[str, Ids | TextColumn] = {}
    for column in further:
        one = table.take_texts if column.kind is Kind.TEXT else table.take
        fields[column.name] = one(column.name, rows)
    return RefsetRows(
        pattern=f"{letters}Refset",
        places=table.places(context.names, rows),
        id=table.take("id", rows),
        effective_time=table.take("effectiveTime", rows),
        active=table.take("active", rows),
        module_id=table.take("moduleId", rows),
        refset_id=table.take("refsetId", rows),
        referenced_component_id=table.take("referencedComponentId", rows),
        kinds=letters,
        fields=fields,
    )


def dependencies(table: Table, context: Context) -> list[Dependency]:
    """Return the active rows of the module dependency reference set in a table.

    To be called before `member_rows`. An extension may come without the modules it depends on, so
    that those rows would be left out.
    """
    names = [column.name for column in table.columns[len(MEMBER) :]]
    if names != ["sourceEffectiveTime", "targetEffectiveTime"]:
        return []
    chosen = (table.array("refsetId") == MODULE_DEPENDENCY) & table.array("active")
    chosen &= ~superseded(table.array("id"), table.array("effectiveTime"))
    rows = np.flatnonzero(chosen).tolist()
    for name in names:
        texts = table.texts(name)
        for row in rows:
            if why := reason(Kind.TIME, texts[row]):
                file = context.names[int(table.files[row])]
                context.problems.add(
                    file, table.line(row), name, f"'{texts[row]}' {why}", Kind.TIME.value
                )
    dates = table.texts(names[0])
    modules = table.array("moduleId")
    targets = table.array("referencedComponentId")
    return [Dependency(int(modules[row]), int(targets[row]), dates[row]) for row in rows]
