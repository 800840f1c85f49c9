"""ConceptMap/$translate: which maps a request means, and what they say, alone or joined.

`api.tx.translation` reads the request and writes the answer; `api.tx.maps` says what a map has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from api.errors import RequestError
from api.tx.context import TxContext
from api.tx.implicit import implicit_concept_map, implicit_concept_maps, snomed_provider
from api.tx.implicit_maps import ImplicitMap, ImplicitMapping
from api.tx.maps import (
    NOT_RELATED,
    Attribute,
    Found,
    Match,
    ResourceMap,
    Translator,
    as_coding,
    joined,
)
from api.tx.parameters import Parameters, parameter, parameters, value_of
from api.tx.table_maps import AskedTable
from api.tx.translation import (
    OPERATION,
    TranslationAsked,
    asked_of,
    match_part,
    missing,
    wrong,
)
from api.tx.validate import validate_value_set_code
from api.tx.versions import join_canonical, matches, split_canonical, version_key
from terminology.concept import SNOMED, Coding
from terminology.errors import UnknownSystemError
from terminology.identifiers import check_sctid

Json = dict[str, Any]
# Reference sets between a structure, its entire and its parts: no translation of a concept unless
# their map is named.
_ANATOMY: Final = frozenset({"734138000", "734139008"})
_MAX_OTHER_MAPS: Final = 10
# Codes that a message names.
_SHOWN: Final = 5


class ImplicitTranslator:
    """A map that a reference set of a SNOMED CT release implies."""

    def __init__(self, implicit: ImplicitMap) -> None:
        self._map = implicit
        self.url: str | None = implicit.url
        self.version: str | None = implicit.version
        self.refset = implicit.refset

    def leads(self, source: str, target: str | None) -> bool:
        """Return whether the map leads from `source` to `target` (`None`: any)."""
        return source == self._map.source_system and target in (None, self._map.target_system)

    def forward(self, coding: Coding, target: str | None) -> Found:
        """Return what the active rows say of a code, in the order of the release."""
        if not self.leads(coding.system, target):
            return Found(reason=f"the ConceptMap does not map from '{coding.system}'")
        rows = self._map.forward(coding.code)
        matched = [self._match(row, row.target) for row in rows if row.target is not None]
        if matched:
            return Found(tuple(matched))
        said = [row.comment or "no target" for row in rows]
        nothing = f"'{coding.code}' is not in {self._map.title}"
        return Found(reason="; ".join(said) or nothing)

    def reverse(self, coding: Coding, source: str | None) -> Found:
        """Return what the active rows map to a code."""
        rows = self._map.reverse(coding.code)
        matched = []
        for row in rows:
            concept = {"system": self._map.source_system or "", "code": row.source}
            if self._map.source_system == SNOMED:
                concept["version"] = self._map.version
            matched.append(self._match(row, row.target).reversed_to(concept))
        if matched and source in (None, self._map.source_system):
            return Found(tuple(matched))
        return Found(reason=f"nothing in {self._map.title} maps to '{coding.code}'")

    def _match(self, row: ImplicitMapping, target: str | None) -> Match:
        concept: Json = {"system": self._map.target_system, "code": target, "display": row.display}
        if self._map.target_system == SNOMED:
            concept["version"] = self._map.version
        depends = () if row.comment is None else (_advice(row.comment),)
        return Match(
            {key: value for key, value in concept.items() if value},
            row.relationship.r5,
            row.relationship.r4,
            join_canonical(self._map.url, self._map.version),
            depends_on=depends,
        )


def _advice(comment: str) -> Attribute:
    return Attribute("http://snomed.info/id/609331003", {"valueString": comment})


def translate(request: Json, context: TxContext) -> Json:
    """Return the answer to $translate, a Parameters resource in R5 form.

    Raises
    ------
    RequestError
        No code was given, or the map that was named is not here.
    UnknownSystemError
        Nothing here knows the code system of the code.
    """
    given = Parameters.of(request)
    asked = asked_of(given)
    named = _named(given, context, asked)
    negative: Json | None = None
    unknown: UnknownSystemError | None = None
    for coding in asked.codings:
        if coding.system == SNOMED and coding.code.isascii() and coding.code.isalnum():
            check_sctid(coding.code, where=f"{OPERATION} code")
        try:
            answer = _answer(coding, asked, named, context)
        except UnknownSystemError as error:
            # Any coding of a CodeableConcept may be the one that is mapped.
            unknown = unknown or error
            continue
        if value_of(answer["parameter"][0]) is True:
            return answer
        negative = negative or answer
    if negative is not None:
        return negative
    raise unknown or missing("coding", "codeableConcept")


def _answer(
    coding: Coding,
    asked: TranslationAsked,
    named: Sequence[Translator] | None,
    context: TxContext,
) -> Json:
    maps = list(_all_maps(context, asked) if named is None else named)
    if named is None:
        _check_known(coding, maps, context)
    found = _direct(coding, asked, maps, context, named is not None)
    message = None
    if not any(match.concept for match in found.matches) and named is None and asked.other:
        scopes = _Scopes(asked, context)
        starts = [one for one in maps if scopes.takes(one, coding)]
        joined_ = Found(_chained(coding, asked.other, starts, maps))
        chained = scopes.kept(None, joined_).matches
        if chained:
            found = Found(chained)
            message = (
                f"No map leads from '{coding.system}' to '{asked.other}'; these answers join two"
                " maps through SNOMED CT, and their relationship is what follows from both."
            )
    result = any(match.relationship != NOT_RELATED for match in found.matches)
    if not result:
        message = found.reason or f"'{coding.code}' is mapped only as not related"
    return parameters(
        parameter("result", "boolean", result),
        parameter("message", "string", message) if message else None,
        *(match_part(match) for match in found.matches),
    )


def _direct(
    coding: Coding,
    asked: TranslationAsked,
    maps: Sequence[Translator],
    context: TxContext,
    named: bool,
) -> Found:
    matched: list[Match] = []
    reasons: list[str] = []
    scopes = _Scopes(asked, context)
    for one in maps:
        if not scopes.takes(one, coding):
            reasons.append(scopes.why_not([coding.code], scopes.of_code))
            continue
        found = _of_map(one, coding, asked, context, named)
        if found is None:
            continue
        found = scopes.kept(one, found)
        matched += found.matches
        if found.reason is not None and found.reason not in reasons:
            reasons.append(found.reason)
    reasons = list(dict.fromkeys(reasons))
    if matched:
        if not asked.reverse and len({match.origin for match in matched}) > 1:
            matched.sort(key=lambda match: match.rank)
        return Found(tuple(matched), "; ".join(reasons) or None)
    system = f"nothing is mapped {'from' if asked.reverse else 'to'} '{asked.other}'"
    nothing = system if asked.other else f"no map has '{coding.code}' of '{coding.system}'"
    return Found(reason="; ".join(reasons) or nothing)


def _of_map(
    one: Translator, coding: Coding, asked: TranslationAsked, context: TxContext, named: bool
) -> Found | None:
    """Return what one map says; `None` where it does not concern the code."""
    if asked.reverse:
        if named or asked.other is None or one.leads(asked.other, coding.system):
            found = one.reverse(coding, asked.other)
            return found if found.matches or named else Found(reason=found.reason)
        return None
    if one.leads(coding.system, asked.other):
        return _forward(one, coding, asked.other, context)
    if asked.other is not None:
        if one.leads(asked.other, coding.system):
            return one.reverse(coding, asked.other)
    elif isinstance(one, AskedTable) and coding.system in one.targets:
        # Tables only lead to SNOMED CT and DICOM, so that a code of those means the way back.
        return one.reverse(coding, None)
    if named:
        return Found(reason=f"the ConceptMap does not map from '{coding.system}'")
    return None


def _forward(one: Translator, coding: Coding, target: str | None, context: TxContext) -> Found:
    found = one.forward(coding, target)
    seen = {one.url}
    while not found.matches and isinstance(one, ResourceMap) and len(seen) <= _MAX_OTHER_MAPS:
        other = one.other_map(coding, target)
        following = _resource_maps(other, context) if other else []
        if not following or following[0].url in seen:
            break
        one = following[0]
        seen.add(one.url)
        found = one.forward(coding, target)
    return found


def _chained(
    coding: Coding, target: str, starts: Sequence[Translator], maps: Sequence[Translator]
) -> tuple[Match, ...]:
    """Return what one of `starts` and one of `maps` that meet in SNOMED CT say.

    The best for each concept.
    """
    best: dict[tuple[str, str], Match] = {}
    onward = [one for one in maps if one.leads(SNOMED, target) or one.leads(target, SNOMED)]
    for one in starts:
        if not one.leads(coding.system, SNOMED) or coding.system == SNOMED:
            continue
        for first in one.forward(coding, SNOMED).matches:
            if first.relationship == NOT_RELATED:
                continue
            middle = as_coding({**first.concept, "version": None})
            for two in onward:
                leads = two.leads(SNOMED, target)
                step = two.forward(middle, target) if leads else two.reverse(middle, target)
                for second in step.matches:
                    match = joined(first, second)
                    if match is None:
                        continue
                    key = (match.concept["system"], match.concept["code"])
                    if key not in best or match.rank < best[key].rank:
                        best[key] = match
    return tuple(sorted(best.values(), key=lambda one: (one.rank, one.concept["code"])))


# -- which maps ------------------------------------------------------------------------------------


def _named(
    given: Parameters, context: TxContext, asked: TranslationAsked
) -> list[Translator] | None:
    """Return the map that the request names or brings along; `None` when it names none."""
    if "conceptMap" in given:
        inline = given.resource("conceptMap")
        if inline is None or inline.get("resourceType") != "ConceptMap":
            raise wrong("conceptMap", "is no ConceptMap", "a ConceptMap resource")
        return [ResourceMap(inline, asked.dependencies, holds=partial(_in_value_set, context))]
    canonical = given.text("url")
    if canonical is None:
        if "conceptMapVersion" in given:
            raise wrong("conceptMapVersion", "came without a url", "url as well")
        return None
    url, version = split_canonical(canonical)
    version = given.text("conceptMapVersion") or version
    builtin = [one for one in _builtin(context, asked, alone=True) if one.url == url]
    if builtin and version in (None, builtin[0].version):
        return list(builtin)
    found = _resource_maps(join_canonical(url, version), context, asked.dependencies)
    if found and not builtin:
        return list(found)
    implicit = implicit_concept_map(url, version, context)
    if implicit is not None:
        return [ImplicitTranslator(implicit)]
    known = [str(one.url) for one in context.registry.builtin_maps()]
    raise RequestError(
        f"{OPERATION} url",
        f"'{canonical}' is no ConceptMap here",
        " or ".join((*known, "one that a search for ConceptMap finds")),
        "Leave 'url' out to use every map of the source system.",
        status=404,
        issue="not-found",
    )


def _all_maps(context: TxContext, asked: TranslationAsked) -> Iterator[Translator]:
    """Yield every map of the server and the request."""
    tables = {one.url: one for one in _builtin(context, asked, alone=False)}
    by_url: dict[str | None, list[ResourceMap]] = defaultdict(list)
    for made in _held(context, asked.dependencies):
        if made.url not in tables:
            by_url[made.url].append(made)
    anonymous = by_url.pop(None, [])
    newest = (one for maps in by_url.values() for one in _newest(maps))
    yield from newest
    yield from anonymous
    yield from tables.values()
    yield from _implicit(context, asked)


class _Scopes:
    """The value sets that the code and its translations have to be in, where any are named.

    A map that is for the very value set needs no look at it. Backwards, the code is a target.
    """

    def __init__(self, asked: TranslationAsked, context: TxContext) -> None:
        self._context = context
        sides = ("target", "source") if asked.reverse else ("source", "target")
        scopes = {"source": asked.source_scope, "target": asked.target_scope}
        self._code_side, self._match_side = sides
        self.of_code, self._of_matches = (scopes[side] for side in sides)
        self._known: dict[tuple[str, str, str], bool] = {}

    def takes(self, one: Translator, coding: Coding) -> bool:
        """Return whether a map may be asked about a code."""
        if self.of_code is None or self.of_code == _scope(one, self._code_side):
            return True
        return self._holds(self.of_code, coding.system, coding.code)

    def kept(self, one: Translator | None, found: Found) -> Found:
        """Return what is in the value set that translations have to be in."""
        wanted = self._of_matches
        if not found.matches or wanted is None or wanted == _scope(one, self._match_side):
            return found
        inside = [
            match
            for match in found.matches
            if not match.concept
            or self._holds(wanted, match.concept.get("system", ""), match.concept.get("code", ""))
        ]
        if inside:
            return Found(tuple(inside), found.reason)
        codes = [str(match.concept.get("code", "")) for match in found.matches]
        return Found(reason=self.why_not(codes, wanted))

    def why_not(self, codes: Sequence[str], value_set: str | None) -> str:
        """Return why nothing of `codes` counts."""
        if value_set is None or self._context.value_set(value_set) is None:
            return f"the value set '{value_set}' is not here, nor a map that is made for it"
        shown = ", ".join(f"'{code}'" for code in codes[:_SHOWN])
        return f"{shown}: not in the value set '{value_set}'"

    def _holds(self, value_set: str, system: str, code: str) -> bool:
        key = (value_set, system, code)
        if key not in self._known:
            self._known[key] = _in_value_set(self._context, value_set, system, code)
        return self._known[key]


def _scope(one: Translator | None, side: str) -> str | None:
    """Return the value set that a map says it is for."""
    return one.scope(side) if isinstance(one, ResourceMap) else None


def _implicit(context: TxContext, asked: TranslationAsked) -> Iterator[ImplicitTranslator]:
    """Yield the implicit maps of the release, where the request says which system it wants."""
    if asked.other is None or not any(one.system == SNOMED for one in asked.codings):
        return
    provider = snomed_provider(context, None)
    if provider is None:
        return
    for implicit in implicit_concept_maps(provider):
        if implicit.refset not in _ANATOMY:
            yield ImplicitTranslator(implicit)


def _builtin(context: TxContext, asked: TranslationAsked, *, alone: bool) -> list[Translator]:
    """Return the maps that come with Bodysite, as the request sees them."""
    return [one.asked(asked.dependencies, alone=alone) for one in context.registry.builtin_maps()]


def _resource_maps(
    canonical: str, context: TxContext, dependencies: Json | None = None
) -> list[ResourceMap]:
    """Return the maps of a canonical, in the newest version that fits."""
    url, version = split_canonical(canonical)
    found = [one for one in _held(context, dependencies) if one.url == url]
    if version is not None:
        exact = [one for one in found if one.version == version]
        found = exact or [one for one in found if matches(version, one.version)]
    return _newest(found)


def _held(context: TxContext, dependencies: Json | None) -> Iterator[ResourceMap]:
    """Yield the maps of the request, then those of the server, which last."""
    holds = partial(_in_value_set, context)
    for resource in context.own.concept_maps:
        yield ResourceMap(resource, dependencies, holds=holds)
    for resource in context.registry.concept_maps():
        yield ResourceMap(resource, dependencies, lasting=True, holds=holds)


def _in_value_set(context: TxContext, value_set: str, system: str, code: str) -> bool:
    """Return whether a code is in a value set; one that is not here holds nothing."""
    url, version = split_canonical(value_set)
    if context.value_set(url, version) is None:
        return False
    request = parameters(
        parameter("url", "uri", url),
        parameter("valueSetVersion", "string", version) if version else None,
        parameter("system", "uri", system),
        parameter("code", "code", code),
    )
    return Parameters.of(validate_value_set_code(request, context)).flag("result")


def _newest(maps: Sequence[ResourceMap]) -> list[ResourceMap]:
    """Return the maps of the newest version; a request may bring several that share one."""
    latest = max((version_key(one.version) for one in maps), default=())
    return [one for one in maps if version_key(one.version) == latest]


def _check_known(coding: Coding, maps: Sequence[Translator], context: TxContext) -> None:
    """Refuse a code system that neither a map nor a code system here has."""
    known = any(
        one.leads(coding.system, None)
        or one.leads(coding.system, SNOMED)
        or (isinstance(one, AskedTable) and coding.system in one.targets)
        for one in maps
    )
    if known or coding.system == SNOMED or context.code_system(coding.system) is not None:
        return
    if any(one.reverse(coding, None).matches for one in maps):
        return
    raise UnknownSystemError(
        f"{OPERATION} system",
        f"'{coding.system}' is not mapped from",
        f"a code system that a ConceptMap here maps from ({len(maps)} maps)",
        "Search for ConceptMap, or send one as tx-resource.",
    )
