"""What a release says of a concept, as small values: descriptions, attributes, associations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

IS_A: Final = "116680003"
ROOT: Final = "138875005"
FSN: Final = "900000000000003001"
SYNONYM: Final = "900000000000013009"
DEFINITION: Final = "900000000000550004"
PREFERRED: Final = "900000000000548007"
ACCEPTABLE: Final = "900000000000549004"
DEFINED: Final = "900000000000073002"
PRIMITIVE: Final = "900000000000074008"
LATERALITY: Final = "272741003"
PART_OF: Final = "123005000"
LATERALIZABLE: Final = "723264001"
US_ENGLISH: Final = "900000000000509007"
GB_ENGLISH: Final = "900000000000508004"
STRUCTURE_AND_ENTIRE: Final = "734138000"
STRUCTURE_AND_PART: Final = "734139008"
# 900000000000522004 |Historical association reference set| and those below it.
HISTORICAL_ASSOCIATION: Final = "900000000000522004"
POSSIBLY_EQUIVALENT_TO: Final = "900000000000523009"
MOVED_TO: Final = "900000000000524003"
MOVED_FROM: Final = "900000000000525002"
REPLACED_BY: Final = "900000000000526001"
SAME_AS: Final = "900000000000527005"
WAS_A: Final = "900000000000528000"
SIMILAR_TO: Final = "900000000000529008"
ALTERNATIVE: Final = "900000000000530003"
REFERS_TO: Final = "900000000000531004"
POSSIBLY_REPLACED_BY: Final = "1186921001"
PARTIALLY_EQUIVALENT_TO: Final = "1186924009"
HISTORICAL_ASSOCIATIONS: Final = (
    SAME_AS,
    REPLACED_BY,
    WAS_A,
    PARTIALLY_EQUIVALENT_TO,
    POSSIBLY_EQUIVALENT_TO,
    POSSIBLY_REPLACED_BY,
    SIMILAR_TO,
    ALTERNATIVE,
    MOVED_TO,
    MOVED_FROM,
    REFERS_TO,
)
# Those whose target means what the inactive concept meant; the targets of the others are wider,
# narrower or uncertain.
HISTORICAL: Final = frozenset({REPLACED_BY, SAME_AS})
CORE_MODULE: Final = "900000000000207008"

DescriptionType = Literal["fsn", "synonym", "definition", "other"]
TYPES: Final[Mapping[str, DescriptionType]] = {
    FSN: "fsn",
    SYNONYM: "synonym",
    DEFINITION: "definition",
}


@dataclass(frozen=True, slots=True)
class Description:
    """A term of a concept. `acceptability` has the language reference sets that accept it.

    `id` is empty for the terms of the embedded subset, which no release published.
    """

    id: str
    concept: str
    term: str
    type: DescriptionType
    type_id: str
    language: str
    active: bool
    module: str
    effective_time: int
    case_significance: str
    acceptability: Mapping[str, Literal["preferred", "acceptable"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConcreteValue:
    """A number, text or truth value of an attribute; `text` without the leading # or the quotes."""

    kind: Literal["integer", "decimal", "string", "boolean"]
    text: str

    @property
    def number(self) -> Decimal | None:
        """The value of an integer or a decimal."""
        return Decimal(self.text) if self.kind in {"integer", "decimal"} else None

    @classmethod
    def parse(cls, published: str) -> ConcreteValue:
        """Return the value that RF2 or a grammar writes as ``#10``, ``#1.5``, ``"text"``, ``true``.

        Raises
        ------
        ValueError
            It is none of these.
        """
        if published.startswith("#"):
            number = Decimal(published[1:]) if _is_number(published[1:]) else None
            if number is None:
                raise ValueError(published)
            return cls("decimal" if "." in published else "integer", published[1:])
        if len(published) >= 2 and published[0] == published[-1] == '"':
            return cls("string", published[1:-1])
        if published.lower() in {"true", "false"}:
            return cls("boolean", published.lower())
        raise ValueError(published)

    def __str__(self) -> str:
        if self.kind in {"integer", "decimal"}:
            return f"#{self.text}"
        return f'"{self.text}"' if self.kind == "string" else self.text


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a concept: ordinals, and `group` 0 for what stands in no group."""

    group: int
    type: int
    value: int | ConcreteValue


@dataclass(frozen=True, slots=True)
class Association:
    """An active row of an association reference set, by codes."""

    refset: str
    target: str


def _is_number(text: str) -> bool:
    whole, mark, fraction = text.removeprefix("-").removeprefix("+").partition(".")
    return whole.isdecimal() and whole.isascii() and (not mark or fraction.isdecimal())
