"""Maps as `translate` asks them, and one kind of them: ConceptMap resources.

Each gives `Match`es for a code, forward or reverse, or a reason why it has none. What the match of
a reverse translation says is read from the code that was asked, so its relationship is turned
round. The maps that come with Bodysite are in `api.tx.table_maps`, `api.tx.irma_map`
and `api.tx.header_words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from api.concept_maps import LATERALITY
from api.concept_maps import RELATED_TO as R4_RELATED
from api.tx.mapgroups import elements_of, elements_of_sets, mappings_to
from api.tx.parameters import value_of
from api.tx.r4_maps import COMMENT_EXTENSION, EQUIVALENCE, EQUIVALENCE_EXTENSION
from api.tx.versions import join_canonical, matches, split_canonical
from terminology.concept import Coding

Json = dict[str, Any]
NOT_RELATED: Final = "not-related-to"
# R4's word for a code that was looked at and has no counterpart.
UNMATCHED: Final = "unmatched"
EQUIVALENT: Final = "equivalent"
_RELATED: Final = "related-to"
_NARROWER: Final = "source-is-narrower-than-target"
_BROADER: Final = "source-is-broader-than-target"
_INVERSE: Final = {_NARROWER: _BROADER, _BROADER: _NARROWER}
_R4_INVERSE: Final = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A further value beside a code: dependsOn, product, property. `value` is ``{"valueX": …}``."""

    uri: str
    value: Json


@dataclass(frozen=True, slots=True)
class Match:
    """One answer of a map.

    Parameters
    ----------
    concept
        The Coding; empty where the map says that there is no counterpart.
    relationship
        R5's word, read from the code that was asked to `concept`.
    equivalence
        R4's word for it, which may be finer.
    origin
        Canonical of the map.
    via
        The concept in the middle, where two maps were joined.
    confidence
        From 0 to 1; `None` where the map gives none.
    comments
        What the answer rests on, in words.
    """

    concept: Json
    relationship: str
    equivalence: str
    origin: str | None = None
    products: tuple[Attribute, ...] = ()
    depends_on: tuple[Attribute, ...] = ()
    via: Json | None = None
    properties: tuple[Attribute, ...] = ()
    confidence: float | None = None
    comments: tuple[str, ...] = ()

    def reversed_to(self, concept: Json) -> Match:
        """Return the match read the other way."""
        return replace(
            self,
            concept=concept,
            relationship=_INVERSE.get(self.relationship, self.relationship),
            equivalence=_R4_INVERSE.get(self.equivalence, self.equivalence),
        )

    @property
    def rank(self) -> int:
        """How well the concept stands for the code, 0 is best."""
        order = (EQUIVALENT, _NARROWER, _BROADER, _RELATED, NOT_RELATED)
        return order.index(self.relationship) if self.relationship in order else len(order)


@dataclass(frozen=True, slots=True)
class Found:
    """What a map has for a code; `reason` says why there is no counterpart."""

    matches: tuple[Match, ...] = ()
    reason: str | None = None


class Translator(Protocol):
    """A map in one direction at a time."""

    @property
    def url(self) -> str | None:
        """The canonical without a version; `None` for an inline map that has none."""

    @property
    def version(self) -> str | None:
        """The version of the map."""

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from a code system to another (`None`: any)."""

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return what a code of the source is mapped to."""

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return what is mapped to a code of the target."""


class BuiltinMap(Protocol):
    """A map that comes with Bodysite."""

    @property
    def url(self) -> str | None:
        """The canonical of its ConceptMap, without a version."""

    @property
    def version(self) -> str | None:
        """The version of its ConceptMap."""

    def asked(self, dependencies: Mapping[str, Any], *, alone: bool) -> Translator:
        """Return the map as one request sees it.

        Parameters
        ----------
        dependencies
            Further values of the request, by URI or code of the attribute.
        alone
            Whether the request names this map, so that no other one has a say.
        """


class ResourceMap:
    """A ConceptMap resource in R5 form.

    Parameters
    ----------
    dependencies
        Further values of the request, URI or code of the attribute → value; a mapping that depends
        on another value is left out, one that depends on a value not given says so.
    lasting
        Whether the resource outlives the request, so that an index of it is worth keeping.
    holds
        Value set, system, code → whether it is in there, for elements that map a value set.
    """

    def __init__(
        self,
        resource: Json,
        dependencies: Mapping[str, Any] | None = None,
        *,
        lasting: bool = False,
        holds: Callable[[str, str, str], bool] = lambda *_: False,
    ) -> None:
        self._resource = resource
        self._holds = holds
        self._lasting = lasting
        self._given = dependencies or {}
        self._attributes = {
            one.get("code"): one.get("uri") for one in resource.get("additionalAttribute", ())
        }

    @property
    def url(self) -> str | None:
        """The canonical without a version."""
        return self._resource.get("url")

    @property
    def version(self) -> str | None:
        """The version of the map."""
        return self._resource.get("version")

    @property
    def canonical(self) -> str | None:
        """Url and version."""
        return join_canonical(self.url, self.version) if self.url else None

    def scope(self, side: str) -> str | None:
        """Return the value set that the map is for, ``source`` or ``target``, without version."""
        for suffix in ("Uri", "Canonical"):
            found = self._resource.get(f"{side}Scope{suffix}")
            if found:
                return str(split_canonical(found)[0])
        return None

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether a group leads from `source` to `target` (`None`: any)."""
        return any(
            _system(group, "source") == source and target in (None, _system(group, "target"))
            for group in self._groups()
        )

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return what a code of the source is mapped to, in the order of the map."""
        matched: list[Match] = []
        reasons: list[str] = []
        for group in self._groups():
            if _system(group, "source") != coding.system:
                continue
            if target not in (None, _system(group, "target")):
                continue
            version = split_canonical(group.get("source", ""))[1]
            if coding.version and version and not matches(coding.version, version):
                reasons.append(f"version '{coding.version}' is not mapped; expected '{version}'")
                continue
            self._of_group(group, coding, matched, reasons)
        return found_of(matched, reasons, f"'{coding.code}' is not in {self._name()}")

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return the codes that are mapped to a code, in the order of the map."""
        matched: list[Match] = []
        for group in self._groups():
            if _system(group, "target") != coding.system:
                continue
            if source not in (None, _system(group, "source")):
                continue
            for element, one in mappings_to(group, coding.code, keep=self._lasting):
                if self._applies(one):
                    concept = _coding(group, "source", element)
                    matched.append(self._match(group, one).reversed_to(concept))
        return found_of(matched, [], f"nothing in {self._name()} maps to '{coding.code}'")

    def other_map(self, coding: Coding, target: str | None) -> str | None:
        """Return the canonical of the map that a group names for codes it does not have."""
        for group in self._groups():
            unmapped = group.get("unmapped", {})
            if (
                _system(group, "source") == coding.system
                and target in (None, _system(group, "target"))
                and unmapped.get("mode") == "other-map"
                and not self._elements(group, coding)
            ):
                other: str | None = unmapped.get("otherMap")
                return other
        return None

    def _groups(self) -> Sequence[Json]:
        found: Sequence[Json] = self._resource.get("group", ())
        return found

    def _name(self) -> str:
        return str(self.canonical or self._resource.get("name") or "the ConceptMap")

    def _of_group(
        self, group: Json, coding: Coding, matched: list[Match], reasons: list[str]
    ) -> None:
        elements = self._elements(group, coding)
        for element in elements:
            if element.get("noMap"):
                comment = next(
                    (
                        one.get("valueString")
                        for one in element.get("extension", ())
                        if one.get("url") == COMMENT_EXTENSION
                    ),
                    None,
                )
                said = comment or "it has no counterpart"
                reasons.append(f"{self._name()} maps '{coding.code}' to nothing: {said}")
                matched.append(no_match(self.canonical, comment))
            for one in element.get("target", ()):
                if not self._applies(one):
                    reasons.append(f"the mapping of '{coding.code}' depends on another value")
                elif one.get("code"):
                    matched.append(self._match(group, one))
                elif one.get("valueSet"):
                    reasons.append(_many(coding, one["valueSet"]))
        if not elements:
            fallback = self._unmapped(group, coding)
            if fallback is not None:
                matched.append(fallback)
            elif group.get("unmapped", {}).get("valueSet"):
                reasons.append(_many(coding, group["unmapped"]["valueSet"]))

    def _elements(self, group: Json, coding: Coding) -> Sequence[Json]:
        """Return the elements of a code, or else those of a value set that it is in."""
        found = tuple(elements_of(group, coding.code, keep=self._lasting))
        return found or tuple(
            one
            for one in elements_of_sets(group, keep=self._lasting)
            if self._holds(one["valueSet"], coding.system, coding.code)
        )

    def _unmapped(self, group: Json, coding: Coding) -> Match | None:
        unmapped = group.get("unmapped", {})
        relationship = unmapped.get("relationship", _RELATED)
        match unmapped.get("mode"):
            case "use-source-code":
                chosen: Json = {"code": coding.code, "display": coding.display}
            case "fixed" if unmapped.get("code"):
                chosen = {"code": unmapped["code"], "display": unmapped.get("display")}
            case _:
                return None
        return Match(
            _coding(group, "target", chosen),
            relationship,
            EQUIVALENCE.get(relationship, R4_RELATED),
            self.canonical,
        )

    def _match(self, group: Json, target: Json) -> Match:
        relationship = target.get("relationship", _RELATED)
        finer = next(
            (
                one.get("valueCode")
                for one in target.get("extension", ())
                if one.get("url") == EQUIVALENCE_EXTENSION
            ),
            None,
        )
        return Match(
            _coding(group, "target", target),
            relationship,
            finer or EQUIVALENCE.get(relationship, R4_RELATED),
            self.canonical,
            tuple(self._attribute(one) for one in target.get("product", ())),
            tuple(self._attribute(one) for one in target.get("dependsOn", ())),
        )

    def _attribute(self, one: Json) -> Attribute:
        code = str(one.get("attribute", ""))
        value = {key: found for key, found in one.items() if key.startswith("value")}
        value.pop("valueSet", None)
        return Attribute(self._attributes.get(code) or code, value)

    def _applies(self, target: Json) -> bool:
        """Return whether no given value contradicts what the mapping depends on."""
        for one in target.get("dependsOn", ()):
            code = one.get("attribute")
            given = self._given.get(code, self._given.get(self._attributes.get(code, ""), None))
            if given is not None and not _same(given, value_of(_without_value_set(one))):
                return False
        return True


def joined(first: Match, second: Match) -> Match | None:
    """Return the match of two maps in a row; `None` where their sides differ or one denies.

    The relationship is what follows from both: narrower than a narrower one is narrower, and of
    mixed directions nothing follows but that the two are related.
    """
    sides = {
        side.value["valueCoding"]["code"]
        for match in (first, second)
        for side in match.products
        if side.uri == LATERALITY
    }
    if len(sides) > 1 or NOT_RELATED in (first.relationship, second.relationship):
        return None
    relationship, equivalence = _RELATED, R4_RELATED
    if first.relationship == EQUIVALENT:
        relationship, equivalence = second.relationship, second.equivalence
    elif second.relationship == EQUIVALENT or (
        second.relationship == first.relationship != _RELATED
    ):
        relationship, equivalence = first.relationship, first.equivalence
    return Match(
        second.concept,
        relationship,
        equivalence,
        second.origin,
        first.products or second.products,
        (*first.depends_on, *second.depends_on),
        via=first.concept,
        properties=second.properties,
        comments=(*first.comments, *second.comments),
    )


def as_json(coding: Coding) -> Json:
    """Return a Coding as FHIR has it, without empty fields."""
    fields = {
        "system": coding.system,
        "version": coding.version,
        "code": coding.code,
        "display": coding.display,
    }
    return {key: value for key, value in fields.items() if value}


def as_coding(value: Mapping[str, Any]) -> Coding:
    """Return a Coding of JSON."""
    return Coding(
        value.get("system", ""), value.get("code", ""), value.get("display"), value.get("version")
    )


def _many(coding: Coding, value_set: str) -> str:
    return f"'{coding.code}' is mapped to the codes of '{value_set}', and to none in particular"


def no_match(origin: str | None, comment: str | None) -> Match:
    """Return what R4 says of a code that was looked at and has no counterpart."""
    comments = () if comment is None else (comment,)
    return Match({}, NOT_RELATED, UNMATCHED, origin, comments=comments)


def found_of(matched: Iterable[Match], reasons: Sequence[str], nothing: str) -> Found:
    """Return matches, with the reason why none of them is a counterpart if that is so."""
    found = tuple(matched)
    if any(match.relationship != NOT_RELATED for match in found):
        return Found(found)
    return Found(found, "; ".join(reasons) or (None if found else nothing))


def _system(group: Mapping[str, Any], side: str) -> str | None:
    found = group.get(side)
    return split_canonical(found)[0] if isinstance(found, str) else None


def _coding(group: Mapping[str, Any], side: str, one: Mapping[str, Any]) -> Json:
    system, version = split_canonical(group.get(side, ""))
    fields = {
        "system": system,
        "version": version,
        "code": one.get("code"),
        "display": one.get("display"),
    }
    return {key: value for key, value in fields.items() if value}


def _without_value_set(one: Mapping[str, Any]) -> Json:
    return {key: value for key, value in one.items() if key != "valueSet"}


def _same(given: Any, wanted: Any) -> bool:
    """Return whether a given value is the wanted one; of codings system and code count."""
    if isinstance(given, Mapping) and "coding" in given:
        return any(_same(one, wanted) for one in given["coding"])
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return all(given.get(key) == wanted.get(key) for key in ("system", "code"))
    if isinstance(wanted, Mapping):
        return bool(given == wanted.get("code"))
    if isinstance(given, Mapping):
        return bool(given.get("code") == wanted)
    return str(given) == str(wanted)
