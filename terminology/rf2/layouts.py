"""The columns of each RF2 file, by name and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from terminology.rf2.kinds import Kind
from terminology.rf2.names import Content, FileName


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file."""

    name: str
    kind: Kind


_COMMON: Final = (
    Column("effectiveTime", Kind.TIME),
    Column("active", Kind.FLAG),
    Column("moduleId", Kind.CONCEPT),
)
_CONCEPT: Final = (
    Column("id", Kind.CONCEPT),
    *_COMMON,
    Column("definitionStatusId", Kind.CONCEPT),
)
_DESCRIPTION: Final = (
    Column("id", Kind.DESCRIPTION),
    *_COMMON,
    Column("conceptId", Kind.CONCEPT),
    Column("languageCode", Kind.LANGUAGE),
    Column("typeId", Kind.CONCEPT),
    Column("term", Kind.TERM),
    Column("caseSignificanceId", Kind.CONCEPT),
)
_DEFINING: Final = (
    Column("relationshipGroup", Kind.GROUP),
    Column("typeId", Kind.CONCEPT),
    Column("characteristicTypeId", Kind.CONCEPT),
    Column("modifierId", Kind.CONCEPT),
)
_RELATIONSHIP: Final = (
    Column("id", Kind.RELATIONSHIP),
    *_COMMON,
    Column("sourceId", Kind.CONCEPT),
    Column("destinationId", Kind.CONCEPT),
    *_DEFINING,
)
_CONCRETE: Final = (
    Column("id", Kind.RELATIONSHIP),
    *_COMMON,
    Column("sourceId", Kind.CONCEPT),
    Column("value", Kind.VALUE),
    *_DEFINING,
)
_SCHEME: Final = Column("identifierSchemeId", Kind.CONCEPT)
_ALTERNATE: Final = Column("alternateIdentifier", Kind.TERM)
_REFERENCED: Final = Column("referencedComponentId", Kind.COMPONENT)
MEMBER: Final = (
    Column("id", Kind.UUID),
    *_COMMON,
    Column("refsetId", Kind.CONCEPT),
    _REFERENCED,
)
FIELDS: Final = {"c": Kind.COMPONENT, "i": Kind.INTEGER, "s": Kind.TEXT}
# Reference sets published before 2012 spell it so.
_ALIASES: Final = {"refSetId": "refsetId"}

# The first of several is the present form; the identifier file had another order once.
LAYOUTS: Final = {
    Content.CONCEPT: (_CONCEPT,),
    Content.DESCRIPTION: (_DESCRIPTION,),
    Content.TEXT_DEFINITION: (_DESCRIPTION,),
    Content.RELATIONSHIP: (_RELATIONSHIP,),
    Content.CONCRETE: (_CONCRETE,),
    Content.IDENTIFIER: (
        (_ALTERNATE, *_COMMON, _SCHEME, _REFERENCED),
        (_SCHEME, _ALTERNATE, *_COMMON, _REFERENCED),
    ),
}


def columns_of(name: FileName, header: list[str]) -> tuple[Column, ...] | None:
    """Return the columns that a header announces, or `None` when it is not as the standard has it.

    A reference set has the six columns of a member and one for each letter of its pattern, under
    any names that differ.
    """
    header = [_ALIASES.get(one, one) for one in header]
    if name.content is Content.REFSET:
        further = header[len(MEMBER) :]
        layout = (
            *MEMBER,
            *(
                Column(field, FIELDS[letter])
                for field, letter in zip(further, name.pattern, strict=False)
            ),
        )
        named = all(one.isascii() and one.isidentifier() for one in further)
        fits = named and len(set(header)) == len(header) == len(MEMBER) + len(name.pattern)
        return layout if fits and header == [column.name for column in layout] else None
    for columns in LAYOUTS[name.content]:
        if header == [column.name for column in columns]:
            return columns
    return None


def expected_header(name: FileName) -> str:
    """Return the header that a file must have, in words."""
    if name.content is Content.REFSET:
        columns = " ".join(column.name for column in MEMBER)
        count = len(name.pattern)
        return columns if not count else f"{columns} and {count} further names ({name.pattern})"
    return " ".join(column.name for column in LAYOUTS[name.content][0])
