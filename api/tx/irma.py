"""Whole IRMA codes for FHIR: a grammar over the four axes, TTTT-DDD-AAA-BBB.

The codes of the axes are listed (`api.tx.irma_axes`), those of images are built of them:
1121-120-930-700. A whole code can be looked up, validated and compared, but not listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from api.concept_maps import PUBLISHER
from api.tx.errors import TxError
from api.tx.irma_axes import listed_code
from api.tx.issues import Issue
from api.tx.maps import as_json
from api.tx.provider import (
    DISPLAY_USE,
    Concept,
    Content,
    Designation,
    PlainProvider,
    PropertyDefinition,
    PropertyValue,
    Selection,
)
from api.tx.selections import ListSelection
from terminology.concept import Coding
from terminology.errors import IdentifierError
from terminology.sources.irma import IRMA, Axis, IrmaCode, specified
from terminology.sources.irma_lists import IrmaList, embedded_lists

Json = dict[str, Any]
IRMA_ID: Final = "irma"
LICENSE: Final = "https://creativecommons.org/publicdomain/zero/1.0/"
_UNLISTED: Final = "codes are built of four axes, TTTT-DDD-AAA-BBB; only those can be listed"


def code_system_head(version: str, *, newest: bool) -> Json:
    """Return the CodeSystem of whole codes by the list of a version."""
    return {
        "resourceType": "CodeSystem",
        "id": IRMA_ID if newest else f"{IRMA_ID}-{version}",
        "url": IRMA,
        "version": version,
        "name": "Irma",
        "title": "IRMA code TTTT-DDD-AAA-BBB",
        "status": "active",
        "experimental": False,
        "publisher": PUBLISHER,
        "description": (
            "The code of an image: technique, direction, anatomy and biological system, each a code"
            " of its own code system, joined by hyphens (Lehmann et al. 2003). Short axes are"
            " filled up with 0 (unspecified); * stands for what is not known. A code subsumes those"
            " that are more specific on some axes and equal on the others. The codes follow a"
            " grammar and are not listed."
        ),
        "copyright": LICENSE,
        "caseSensitive": False,
        "valueSet": "https://w3id.org/bodysite/ValueSet/irma",
        "hierarchyMeaning": "grouped-by",
        "compositional": True,
        "content": "not-present",
        "property": [
            {
                "code": axis.value,
                "description": f"The code of the {axis} axis.",
                "type": "Coding",
            }
            for axis in Axis
        ],
    }


class IrmaProvider(PlainProvider):
    """Whole IRMA codes by the list of one version; the `ref` of a concept is its `IrmaCode`."""

    def __init__(self, head: Json) -> None:
        self.metadata: Mapping[str, Any] = head
        self._version = str(head["version"])
        self._list: IrmaList = embedded_lists().of(self._version)

    @property
    def url(self) -> str:
        """The canonical of whole codes."""
        return IRMA

    @property
    def version(self) -> str | None:
        """The version of the list."""
        return self._version

    @property
    def content(self) -> Content:
        """Everything: the grammar knows all codes."""
        return "complete"

    @property
    def case_sensitive(self) -> bool:
        """Letters count in either case."""
        return False

    @property
    def language(self) -> str | None:
        """The language of the texts."""
        return "en"

    @property
    def properties(self) -> Sequence[PropertyDefinition]:
        """The four axes."""
        return [PropertyDefinition(axis.value, "Coding") for axis in Axis]

    @property
    def unclosed_reason(self) -> str | None:
        """Why codes are not listed."""
        return _UNLISTED

    @property
    def hierarchical(self) -> bool:
        """No tree is shown."""
        return False

    def find(self, code: str) -> Concept | None:
        """Return the concept of a whole code whose axes are in the list."""
        try:
            found = self._parsed(code)
        except IdentifierError:
            return None
        return Concept(str(found), found)

    def why_unknown(self, code: str) -> str | None:
        """Return the axis and the position at which a code goes wrong."""
        try:
            self._parsed(code)
        except IdentifierError as error:
            return str(error)
        return None

    def _parsed(self, code: str) -> IrmaCode:
        found = IrmaCode.parse(code)
        self._list.check(found)
        return found

    def display(self, concept: Concept) -> str | None:
        """Return the texts of the axes, each at its most specific."""
        return "; ".join(
            self._list.path(axis, concept.ref.part(axis)) or f"{axis} axis not known"
            for axis in Axis
        )

    def designations(self, concept: Concept) -> Sequence[Designation]:
        """Return the display."""
        return [Designation(self.display(concept) or concept.code, self.language, DISPLAY_USE)]

    def preferred(self, concept: Concept, languages: Sequence[str]) -> Designation | None:
        """Return the display where English is wanted."""
        wanted = {one.partition("-")[0] for one in languages}
        return self.designations(concept)[0] if "en" in wanted else None

    def concept_properties(self, concept: Concept) -> Sequence[PropertyValue]:
        """Return the codes of the axes, as their lists have them."""
        found = []
        for axis in Axis:
            code = listed_code(axis.system, self._version, concept.ref.part(axis))
            text = self._list.path(axis, code)
            coding = as_json(Coding(axis.system, code, text, self._version))
            found.append(PropertyValue(axis.value, "Coding", coding))
        return found

    def parents(self, concept: Concept) -> Sequence[Concept]:
        """Return the codes that are one level less specific on one axis."""
        above = (concept.ref.parent(axis) for axis in Axis)
        return [Concept(str(one), one) for one in above if one is not None]

    def children(self, concept: Concept) -> Sequence[Concept]:
        """Return the codes that are one level more specific on one axis."""
        code: IrmaCode = concept.ref
        below = [
            replace(code, **{axis.value: axis.parse(child)})
            for axis in Axis
            for child in self._list.children(axis, code.part(axis))
            if specified(child) == child
        ]
        return [Concept(str(one), one) for one in below]

    def subsumes(self, ancestor: Concept, descendant: Concept) -> bool:
        """Return whether `ancestor` is less specific on some axes and equal on all others."""
        above: IrmaCode = ancestor.ref
        below: IrmaCode = descendant.ref
        return above.subsumes(below) and not below.subsumes(above)

    def all_concepts(self) -> Selection:
        """Return nothing that can be listed."""
        return ListSelection((), unclosed=True)

    def active_concepts(self) -> Selection:
        """Return nothing that can be listed."""
        return self.all_concepts()

    def abstract_concepts(self) -> Selection:
        """Return nothing: every code may be used."""
        return ListSelection(())

    def select(self, codes: Sequence[str]) -> Selection:
        """Return the codes that are right, in the order given."""
        return ListSelection(one for one in map(self.find, codes) if one is not None)

    def filter(self, prop: str, op: str, value: str) -> Selection:
        """Raise: a filter would have to list what it leaves.

        Raises
        ------
        TxError
            Always.
        """
        text = f"IRMA codes cannot be filtered by {prop} {op} '{value}': {_UNLISTED}"
        raise TxError(Issue("error", "not-supported", None, text), status=422)

    def search(self, text: str, within: Selection, languages: Sequence[str]) -> Selection:
        """Return those of `within` whose code or text holds `text`."""
        wanted = text.casefold()
        return ListSelection(
            one
            for one in within.iterate()
            if wanted in one.code or wanted in str(self.display(one)).casefold()
        )
