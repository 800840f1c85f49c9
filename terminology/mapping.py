"""Mapping rows with their SSSOM slots under their SSSOM names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from terminology.concept import Laterality

NO_TERM_FOUND: Final = "sssom:NoTermFound"

# SSSOM: the predicate is read from subject to object, so with broadMatch the OBJECT is broader.
EXACT: Final = "skos:exactMatch"
CLOSE: Final = "skos:closeMatch"
BROAD: Final = "skos:broadMatch"
NARROW: Final = "skos:narrowMatch"
RELATED: Final = "skos:relatedMatch"
PREDICATES: Final = (EXACT, CLOSE, BROAD, NARROW, RELATED)


@dataclass(frozen=True, slots=True)
class SemanticMapping:
    """One row of an SSSOM table.

    A literal mapping (`subject_type` "rdfs literal") has its string in `subject_label` and no
    `subject_id`. `object_id` is ``sssom:NoTermFound`` where the subject was looked at and has no
    counterpart, and `predicate_modifier` is "Not" where a tempting pair is refused.
    `object_category` names what kind of thing the object is where a table has several kinds (the
    directional axis of IRMA gives a view, a plane and a posture), as a CURIE such as
    ``bodysite:view``; empty means body structure.
    Extension slots are ours, declared in each table that uses them: `object_laterality`, the
    side that the subject states, whether or not the object is a sided concept; `object_view`, the
    SNOMED CT code of the projection that it states; `subject_language`, the BCP 47 tags of a
    literal subject; `subject_field`, the DICOM keyword that the subject stood in, when the row
    holds there only; `subject_scope`, "value" when a literal is a whole header value and "word"
    (or nothing) when it may stand inside one.
    """

    subject_id: str | None
    subject_label: str | None
    subject_type: str | None
    predicate_id: str
    predicate_modifier: str | None
    object_id: str
    object_label: str | None
    object_laterality: Laterality | None
    mapping_justification: str
    author_id: str | None = None
    mapping_tool: str | None = None
    mapping_date: str | None = None
    confidence: float | None = None
    mapping_source: str | None = None
    comment: str | None = None
    subject_language: str | None = None
    object_category: str | None = None
    object_view: str | None = None
    subject_field: str | None = None
    subject_scope: str | None = None
    line: int = field(default=0, compare=False)

    @property
    def category(self) -> str | None:
        """What kind of thing the object is, without its prefix; `None` for a body structure."""
        return None if self.object_category is None else self.object_category.partition(":")[2]

    @property
    def negated(self) -> bool:
        """Whether the row says that the pair does NOT hold."""
        return self.predicate_modifier == "Not"

    @property
    def no_match(self) -> bool:
        """Whether the row says that the subject has no counterpart."""
        return self.object_id == NO_TERM_FOUND


@dataclass(frozen=True, slots=True)
class MappingSet:
    """A table: its metadata and its rows, in file order.

    `block` is the metadata as the curator wrote it, line by line without the ``#``.
    """

    name: str
    metadata: Mapping[str, object]
    mappings: tuple[SemanticMapping, ...]
    block: tuple[str, ...] = ()

    @property
    def curie_map(self) -> Mapping[str, str]:
        """Prefix → IRI stem, as the metadata block declares them."""
        declared = self.metadata.get("curie_map")
        return dict(declared) if isinstance(declared, dict) else {}
