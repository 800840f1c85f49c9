"""What a value set holds: its includes, imports and excludes as ordered sets of concepts.

FHIR R5 ValueSet.compose: everything inside one include is intersected, includes are joined, and
what an exclude holds is taken away. The sets are the providers' own, so that nothing is listed
before the page to show is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from api.tx.context import Deadline
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.languages import LanguagePreference, closeness, is_display
from api.tx.messages import issue
from api.tx.property_names import standards_status
from api.tx.provider import CodeSystemProvider, Concept, Designation, Selection
from api.tx.resource_provider import designation_of
from api.tx.selections import ListSelection
from api.tx.supplements import SupplementedProvider
from api.tx.systems import Systems
from api.tx.text_filter import rank
from api.tx.value_sets import ValueSetTrail, canonical_of, import_key
from api.tx.versions import join_canonical, split_canonical, version_key

SUPPLEMENT_URL: Final = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
_Kind = tuple[str | None, bool]
_FRAGMENT_REASON: Final = "This extension is based on a fragment of the code system {}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a value set: concepts of one version of one code system.

    Parameters
    ----------
    references
        The elements of `include.concept` by code, with what the value set says of each.
    language
        Language of the value set, which the displays in `references` are in.
    """

    provider: CodeSystemProvider
    selection: Selection
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    language: str | None = None

    def designations(self, concept: Concept) -> list[Designation]:
        """Return the names that code system and value set give a concept."""
        found = list(self.provider.designations(concept))
        reference = self.references.get(concept.code, {})
        display = reference.get("display")
        if display and all(d.value != display for d in found if is_display(d)):
            found.append(Designation(display.strip(), self.language))
        return found + [designation_of(d) for d in reference.get("designation") or ()]

    def own_name(self, concept: Concept, languages: LanguagePreference) -> Designation | None:
        """Return the display that the value set itself gives a concept for the wanted languages.

        FHIR, ValueSet.compose.include.concept.display: the text to use in this value set.
        """
        display = self.references.get(concept.code, {}).get("display")
        if not display:
            return None
        wanted, language = languages.tags[:1], self.language or self.provider.language
        if wanted and not (language and closeness(wanted[0], language)):
            return None
        named = (d for d in self.designations(concept) if d.value == display.strip())
        return next(filter(is_display, named), Designation(display.strip(), self.language))

    def searched(self, text: str, languages: Sequence[str]) -> Segment:
        """Return the part of which a name fits `text`, best first."""
        found = self.provider.search(text, self.selection, languages)
        renamed = []
        for code, reference in self.references.items():
            names = [reference.get("display") or ""]
            names += [d.get("value", "") for d in reference.get("designation") or ()]
            if rank(text, "", names) is not None:
                renamed.append(code)
        if renamed:
            found = found | (self.provider.select(renamed) & self.selection)
        return replace(self, selection=found)


@dataclass(slots=True)
class Findings:
    """What has to be told about an expansion beside its concepts.

    Parameters
    ----------
    parameters
        Name and canonical of each ``used-…`` and ``warning-…`` parameter, each once, in order.
    unclosed
        Whether codes belong to the value set that cannot be listed.
    reasons
        Why it is unclosed, as far as there is a text for it.
    nests
        Whether the concepts may be shown as a tree.
    versioned
        Whether a code system comes in several versions, so that each concept needs to say its own.
    """

    parameters: dict[tuple[str, str], None] = field(default_factory=dict)
    unclosed: bool = False
    reasons: dict[str, None] = field(default_factory=dict)
    nests: bool = True
    versioned: bool = False

    def use(self, name: str, canonical: str) -> None:
        """Note one parameter."""
        self.parameters[name, canonical] = None

    def warn(self, resource: Mapping[str, Any], canonical: str, source: Mapping[str, Any]) -> None:
        """Note that `source` rests on a resource that is deprecated, experimental or so."""
        kind = warning_of(resource, source)
        if kind is not None:
            self.use(f"warning-{kind}", canonical)


def warning_of(resource: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    """Return why `source` should not rest on `resource`, `None` when there is no reason."""
    standards = standards_status(resource)
    for status in ("deprecated", "withdrawn"):
        if standards == status:
            return None if standards_status(source) == status else status
    if resource.get("status") == "retired":
        return None if source.get("status") == "retired" else "retired"
    if resource.get("experimental"):
        return None if source.get("experimental") else "experimental"
    if "draft" in {resource.get("status"), standards}:
        return None if "draft" in {source.get("status"), standards_status(source)} else "draft"
    return None


class Composition:
    """The contents of value sets within one operation.

    Parameters
    ----------
    active_only
        Whether inactive concepts are left out everywhere.
    """

    def __init__(
        self, systems: Systems, trail: ValueSetTrail, *, active_only: bool = False
    ) -> None:
        self.systems = systems
        self.findings = Findings()
        self._trail = trail
        self._active_only = active_only
        self._deadline = systems.context.deadline
        self._known: dict[object, tuple[Mapping[str, Any], list[Segment]]] = {}

    def segments(self, value_set: Mapping[str, Any]) -> list[Segment]:
        """Return the parts of a value set in order; no concept is in two of them.

        Raises
        ------
        TxError
            A code system or an imported value set is not here, a filter is not understood, or
            value sets import one another in a circle.
        """
        compose = value_set.get("compose") or {}
        if compose.get("lockedDate"):
            text = (
                f"Cannot process ValueSet {value_set.get('url')} due to the presence of a"
                " lockedDate on the compose"
            )
            raise TxError(Issue("error", "business-rule", "vs-invalid", text))
        includes = distinct(compose.get("include") or ())
        excludes = distinct(compose.get("exclude") or ())
        with self._trail.within(value_set):
            self._note_versions(include for _, include in (*includes, *excludes))
            excluded = _Parts()
            for number, exclude in excludes:
                for part in self._included(exclude, value_set, f"exclude[{number}]"):
                    excluded.add(part)
            parts = [
                part
                for number, include in newest_first(includes)
                for part in self._included(include, value_set, f"include[{number}]")
            ]
            if "expansion" in value_set and not includes:
                parts += self._stored(value_set)
            found = self._apart(parts, excluded)
        if compose.get("inactive") is False or self._active_only:
            found = [
                replace(s, selection=s.selection & s.provider.active_concepts()) for s in found
            ]
        return found

    def _included(
        self, include: Mapping[str, Any], value_set: Mapping[str, Any], place: str
    ) -> list[Segment]:
        """Return the parts of one include or exclude."""
        self._deadline.check()
        require_usable(include, place)
        imports = [self._imported(c, value_set) for c in include.get("valueSet") or ()]
        if imports or include.get("concept") or len(include.get("filter") or ()) > 1:
            self.findings.nests = False
        if include.get("system"):
            parts = [self._selected(include, value_set, place)]
        elif imports:
            parts = imports.pop(0)
        else:
            return []
        for imported in imports:
            parts = [self._common(part, imported) for part in parts]
        return parts

    def _selected(
        self, include: Mapping[str, Any], value_set: Mapping[str, Any], place: str
    ) -> Segment:
        """Return what one include takes out of its code system, imports left aside."""
        provider = self.systems.require(include["system"], include.get("version"))
        canonical = join_canonical(provider.url, provider.version)
        self.findings.warn(provider.metadata, canonical, value_set)
        self.findings.use("used-codesystem", canonical)
        if isinstance(provider, SupplementedProvider):
            for supplement in provider.supplements:
                self.findings.use("used-supplement", supplement)
        if provider.content == "fragment":
            self.findings.use("used-fragment", canonical)
            self.findings.reasons[_FRAGMENT_REASON.format(provider.url)] = None
        references = {c["code"]: c for c in include.get("concept") or () if c.get("code")}
        if references:
            selection = provider.select(list(references))
            if include.get("filter"):
                selection = selection & self._filtered(provider, include, place)
            return Segment(provider, selection, references, value_set.get("language"))
        if include.get("filter"):
            selection = self._filtered(provider, include, place)
            self.findings.unclosed |= selection.unclosed
            return Segment(provider, selection)
        if provider.unclosed_reason:
            self.findings.unclosed = True
            self.findings.reasons[provider.unclosed_reason] = None
        return Segment(provider, provider.all_concepts())

    def _filtered(
        self, provider: CodeSystemProvider, include: Mapping[str, Any], place: str
    ) -> Selection:
        return filtered(provider, include["filter"], place, self._deadline)

    def _imported(self, canonical: str, value_set: Mapping[str, Any]) -> list[Segment]:
        """Return the parts of an imported value set, which is worked out once."""
        key = import_key(canonical, value_set)
        if key not in self._known:
            imported = self._trail.imported(canonical, value_set)
            if imported is None:
                url, version = split_canonical(canonical)
                name = "VS_EXP_IMPORT_UNK_PINNED" if version else "VS_EXP_IMPORT_UNK"
                raise TxError(issue("error", "not-found", "not-found", name, url, version or ""))
            self._known[key] = imported, self.segments(imported)
        found, segments = self._known[key]
        if not canonical.startswith("#"):
            self.findings.use("used-valueset", canonical_of(found))
            self.findings.warn(found, canonical_of(found), value_set)
        return list(segments)

    def _stored(self, value_set: Mapping[str, Any]) -> Iterator[Segment]:
        """Return what an expansion that came with the value set lists."""
        by_system: dict[tuple[str, str | None], list[str]] = {}
        for entry in listed_in(value_set["expansion"]):
            key = (entry["system"], entry.get("version"))
            by_system.setdefault(key, []).append(entry["code"])
        self.findings.nests = False
        for (system, version), codes in by_system.items():
            provider = self.systems.require(system, version)
            self.findings.use("used-codesystem", join_canonical(provider.url, provider.version))
            yield Segment(provider, provider.select(codes))

    def _apart(self, parts: Iterable[Segment], excluded: _Parts) -> list[Segment]:
        """Return what is left of the parts when none holds what is excluded or in an earlier one.

        Of the parts with nothing to list, one a code system remains, for its expressions.
        """
        found: list[Segment] = []
        unlisted: dict[CodeSystemProvider, list[Selection]] = {}
        held = _Parts()
        # What is imported twice comes as the same segments.
        for part in {id(one): one for one in parts}.values():
            left = self._remaining(part, excluded, held)
            if left.selection.total:
                found.append(left)
                held.add(left)
            elif left.selection.unclosed:
                unlisted.setdefault(part.provider, []).append(left.selection)
        for provider, selections in unlisted.items():
            found.append(Segment(provider, _evenly(selections, lambda one, other: one | other)))
        return found

    def _remaining(self, part: Segment, excluded: _Parts, held: _Parts) -> Segment:
        """Return what of a part is neither excluded nor in an earlier part."""
        self._deadline.check()
        selection = part.selection
        for other in excluded.of_version(part.provider) or excluded.of_others(part.provider):
            selection = selection - other
        before = selection.total
        for other in held.of_version(part.provider):
            selection = selection - other
        if selection.total != before:
            self.findings.nests = False
        return replace(part, selection=selection)

    def _common(self, part: Segment, others: Sequence[Segment]) -> Segment:
        """Return what of `part` is in any of `others`."""
        if any(other is part for other in others):
            return part
        same = []
        for other in others:
            self._deadline.check()
            if other.provider.url == part.provider.url:
                same.append(part.selection & _translated(other, part.provider))
        kept = _evenly(same, lambda one, other: one | other) if same else ListSelection(())
        return replace(part, selection=kept)

    def _note_versions(self, includes: Iterable[Mapping[str, Any]]) -> None:
        seen: dict[str, set[str | None]] = {}
        for include in includes:
            if include.get("system"):
                seen.setdefault(include["system"], set()).add(include.get("version"))
        if any(len(versions) > 1 for versions in seen.values()):
            self.findings.versioned = True


class _Parts:
    """Parts of a value set joined by code system and version.

    Few joined selections stand for many parts: those made of as many parts as another one are
    joined with it, so that each part is joined again only as often as the number doubles.
    """

    def __init__(self) -> None:
        self._joined: dict[str, dict[_Kind, list[tuple[int, Selection]]]] = {}
        self._others: dict[tuple[str, str | None], list[Selection]] = {}

    def add(self, part: Segment) -> None:
        """Join a part with those before it."""
        url, version = part.provider.url, part.provider.version
        # Joining a list and a set would list the set.
        key = (version, bool(part.references))
        joined = self._joined.setdefault(url, {}).setdefault(key, [])
        count, selection = 1, part.selection
        while joined and joined[-1][0] <= count:
            more, earlier = joined.pop()
            count, selection = count + more, earlier | selection
        joined.append((count, selection))

    def of_version(self, provider: CodeSystemProvider) -> list[Selection]:
        """Return the selections of this version of this code system."""
        return [
            selection
            for (version, _), joined in self._joined.get(provider.url, {}).items()
            if version == provider.version
            for _, selection in joined
        ]

    def of_others(self, provider: CodeSystemProvider) -> list[Selection]:
        """Return those of other versions, as selections of `provider`; complete by then."""
        key = (provider.url, provider.version)
        if key not in self._others:
            self._others[key] = [
                provider.select([concept.code for concept in selection.iterate()])
                for (version, _), joined in self._joined.get(provider.url, {}).items()
                if version != provider.version
                for _, selection in joined
            ]
        return self._others[key]


def filtered(
    provider: CodeSystemProvider,
    filters: Sequence[Mapping[str, Any]],
    place: str,
    deadline: Deadline,
) -> Selection:
    """Return the concepts that meet all of `include.filter`.

    Raises
    ------
    TxError
        A filter has no value, or the code system does not understand it.
    """
    found: dict[tuple[str, str, str], Selection] = {}
    for number, entry in enumerate(filters):
        prop, op, value = entry.get("property", ""), entry.get("op", ""), entry.get("value")
        if not value:
            raise TxError(
                issue(
                    "error",
                    "invalid",
                    "vs-invalid",
                    "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE",
                    provider.url,
                    prop,
                    op,
                    at=f"ValueSet.compose.{place}.filter[{number}]",
                ),
                status=400,
            )
        deadline.check()
        if (prop, op, value) not in found:
            found[prop, op, value] = provider.filter(prop, op, str(value))
    if not found:
        return provider.all_concepts()
    return _evenly(list(found.values()), lambda one, other: one & other)


def require_usable(include: Mapping[str, Any], place: str) -> None:
    """Refuse an include or exclude that has nothing to choose from.

    Raises
    ------
    TxError
        It has a list or filters and no system (vsd-2, vsd-3), or neither a system nor value sets
        (vsd-1).
    """
    if include.get("system"):
        return
    chooses = include.get("concept") or include.get("filter")
    if chooses or not include.get("valueSet"):
        where = f"ValueSet.compose.{place}"
        text = f"{where} has no system" + (" for its concepts or filters" if chooses else "")
        raise TxError(Issue("error", "invalid", "vs-invalid", text, None, (where,)), status=400)


def listed_in(expansion: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of an expansion that have a code, those inside others too."""
    pending = list(reversed(expansion.get("contains") or ()))
    while pending:
        entry = pending.pop()
        if entry.get("system") and entry.get("code"):
            yield entry
        pending += reversed(entry.get("contains") or ())


def supplements_named_by(value_set: Mapping[str, Any]) -> list[str]:
    """Return the supplements that a value set requires."""
    return [
        str(value)
        for extension in value_set.get("extension") or ()
        if extension.get("url") == SUPPLEMENT_URL
        for key, value in extension.items()
        if key.startswith("value")
    ]


def _evenly(
    selections: Sequence[Selection], join: Callable[[Selection, Selection], Selection]
) -> Selection:
    """Return the selections joined in order, by halves: what is made of thousands is not deep."""
    joined = list(selections)
    while len(joined) > 1:
        pairs = zip(joined[::2], joined[1::2], strict=False)
        joined = [join(one, other) for one, other in pairs] + joined[len(joined) // 2 * 2 :]
    return joined[0]


def _translated(other: Segment, into: CodeSystemProvider) -> Selection:
    """Return the selection of `other` as one of the provider `into`, which is of its url."""
    if other.provider is into or other.provider.version == into.version:
        return other.selection
    return into.select([c.code for c in other.selection.iterate()])


def distinct(
    includes: Sequence[Mapping[str, Any]],
) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the includes with their numbers; of equal ones the first, as more add nothing."""
    if len(includes) < 2:
        return list(enumerate(includes))
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for number, include in enumerate(includes):
        found.setdefault(json.dumps(include, sort_keys=True, default=str), (number, include))
    return list(found.values())


def newest_first(
    includes: Sequence[tuple[int, Mapping[str, Any]]],
) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the numbered includes, those of one code system newest version first."""
    found = list(includes)
    places: dict[str | None, list[int]] = {}
    for place, (_, include) in enumerate(includes):
        if include.get("version"):
            places.setdefault(include.get("system"), []).append(place)
    for taken in places.values():
        ordered = sorted(
            taken, key=lambda place: version_key(includes[place][1]["version"]), reverse=True
        )
        for place, other in zip(taken, ordered, strict=True):
            found[place] = includes[other]
    return found
