"""`Parameter`: what a search parameter is called, what it looks at, and in which release it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["token", "reference", "date", "string", "quantity", "uri", "composite"]
R4: Final = "R4"
R5: Final = "R5"

# FHIR R4, 3.1.1.4.5, and R5, 3.2.1.5.5: which modifiers a type of parameter takes.
_MODIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "token": ("missing", "not", "text"),
    "reference": ("missing", "identifier"),
    "date": ("missing",),
    "string": ("missing", "contains", "exact"),
    "quantity": ("missing",),
    "uri": ("missing", "below", "above"),
    "composite": (),
}
# Every resource has them.
_OF_ALL: Final[Mapping[str, tuple[str, ...]]] = {"_id": ("not",), "_lastUpdated": ()}
_CONCEPT: Final = ("in", "not-in", "below", "above")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one type of resource.

    Attributes
    ----------
    name
        What it is called in the store, and by clients unless `names` says otherwise.
    paths
        Elements of the R4 form of the resource, in the language of `api.indexing.paths`; for a
        composite, the one element that both of its parts are in.
    aliases
        What clients may call it too, in every release.
    names
        What it is called in a release, where that is another name than `name`.
    releases
        The releases that have it.
    targets
        Types that a reference may point to; the first is taken where only an id is given.
    only
        Index only references to the first target.
    system
        Code system that the element's binding implies (FHIR R4, 3.1.1.4.10).
    definition
        Id of HL7's SearchParameter by release; empty for parameters of our own.
    concept
        Its codes are of a vocabulary with a hierarchy: `:below`, `:above`, `:in` and `:not-in`.
    body_site
        Its codes are body structures, looked for through the graph whatever the modifier.
    uid
        Its values are DICOM UIDs, written ``urn:dicom:uid|urn:oid:1.2.3`` or bare.
    quiet
        Displays of its codes are not indexed, so there is no `:text`.
    parts
        Of a composite: the parameters that its two parts are searched like, with their paths below
        the element.
    union
        It has no values of its own: it is the others named here, any of them.
    documentation
        For people who search.
    """

    name: str
    type: Kind
    paths: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    names: Mapping[str, str] | None = field(default=None, hash=False)
    releases: tuple[str, ...] = (R4, R5)
    targets: tuple[str, ...] = ()
    only: bool = False
    system: str = ""
    definition: Mapping[str, str] | None = field(default=None, hash=False)
    concept: bool = False
    body_site: bool = False
    uid: bool = False
    quiet: bool = False
    parts: tuple[Parameter, ...] = ()
    union: tuple[str, ...] = ()
    documentation: str = ""

    def name_in(self, release: str) -> str:
        """Return what it is called in a FHIR release."""
        return (self.names or {}).get(release, self.name)

    @property
    def modifiers(self) -> tuple[str, ...]:
        """The modifiers that it takes, without types of resources and without ``of-type``."""
        if self.name in _OF_ALL:
            return _OF_ALL[self.name]
        found = _MODIFIERS[self.type]
        if self.type == "token":
            found = tuple(one for one in found if one != "text" or not self.quiet)
            if self.concept or self.body_site:
                found += _CONCEPT
            if self.name == "identifier":
                found += ("of-type",)
        return found
