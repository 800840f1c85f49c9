"""What one request sees: the server's terminology, overlaid with what the request brought along.

The server's own content stands behind `Registry`; a request may bring resources of its own
(`tx-resource`, inline and contained ones), say which versions it wants and in which language.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from api.errors import LimitError, RequestError
from api.tx.languages import LanguagePreference
from api.tx.maps import BuiltinMap
from api.tx.parameters import Parameters
from api.tx.provider import CodeSystemProvider
from api.tx.resource_provider import ResourceProvider
from api.tx.shape import require_shape
from api.tx.versions import VersionRule, matches, split_canonical, version_key

Json = dict[str, Any]
ValueSetResolver = Callable[[str, str | None, "TxContext"], Json | None]
"""url, version → the value set that the url stands for, or `None` when it is none of ours."""


class Registry(Protocol):
    """The terminology of a server; every sequence has the default version first."""

    def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the versions of a code system."""

    def supplements(self) -> Sequence[Json]:
        """Return the CodeSystem resources whose content is ``supplement``."""

    def value_sets(self, url: str) -> Sequence[Json]:
        """Return the versions of a value set."""

    def systems_of_value_set(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the code systems whose `valueSet`, the set of all their codes, is `url`."""

    def concept_maps(self) -> Sequence[Json]:
        """Return all concept maps but those of `builtin_maps`."""

    def builtin_maps(self) -> Sequence[BuiltinMap]:
        """Return the maps that come with Bodysite."""

    def resolvers(self) -> Sequence[ValueSetResolver]:
        """Return what makes value sets of urls: implicit ones."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one operation may cost."""

    expansion: int = 10_000
    """Concepts in an expansion that was not paged."""
    depth: int = 30
    """Value sets that import one another."""
    seconds: float = 20.0
    """The time that value sets may take to be worked out."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the work on one request ends, done or not."""

    seconds: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is so far away from now."""
        return cls(seconds, time.monotonic() + seconds)

    def check(self) -> None:
        """Raise when it is over.

        Raises
        ------
        LimitError
            422: the request asks for more work than one may.
        """
        if time.monotonic() >= self.at:
            raise LimitError(
                "request",
                f"the work on it has taken {self.seconds:g} seconds",
                f"at most {self.seconds:g} seconds",
                "Ask for less: fewer or simpler includes and filters, or value sets in parts.",
                status=422,
            )


@dataclass(slots=True)
class StaticRegistry:
    """A registry over what it was given when it was made.

    Parameters
    ----------
    providers
        Code systems; of several versions of one url the newest is the default unless `defaults`
        names another.
    resources
        CodeSystem, ValueSet and ConceptMap resources in R5 form.
    maps
        The maps that come with Bodysite.
    """

    providers: Iterable[CodeSystemProvider] = ()
    resources: Iterable[Json] = ()
    value_set_resolvers: Sequence[ValueSetResolver] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    maps: Sequence[BuiltinMap] = ()
    _systems: dict[str, list[CodeSystemProvider]] = field(init=False, default_factory=dict)
    _supplements: list[Json] = field(init=False, default_factory=list)
    _value_sets: dict[str, list[Json]] = field(init=False, default_factory=dict)
    _concept_maps: list[Json] = field(init=False, default_factory=list)
    _by_value_set: dict[str, list[CodeSystemProvider]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        sorted_ = Shelf(self.resources)
        for provider in (*self.providers, *sorted_.code_systems):
            self._systems.setdefault(provider.url, []).append(provider)
        for url, versions in self._systems.items():
            versions.sort(key=lambda p: version_key(p.version), reverse=True)
            chosen = [p for p in versions if p.version == self.defaults.get(url)]
            versions[:] = chosen + [p for p in versions if p not in chosen]
            for provider in versions:
                if value_set_url := _value_set_of(provider):
                    self._by_value_set.setdefault(value_set_url, []).append(provider)
        self._supplements = sorted_.supplements
        for value_set in sorted_.value_sets:
            self._value_sets.setdefault(value_set.get("url", ""), []).append(value_set)
        for sets in self._value_sets.values():
            sets.sort(key=lambda v: version_key(v.get("version")), reverse=True)
        self._concept_maps = sorted_.concept_maps

    def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the versions of a code system, the default first."""
        return self._systems.get(url, ())

    def supplements(self) -> Sequence[Json]:
        """Return the supplements."""
        return self._supplements

    def value_sets(self, url: str) -> Sequence[Json]:
        """Return the versions of a value set, the newest first."""
        return self._value_sets.get(url, ())

    def systems_of_value_set(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the code systems whose value set of all codes is `url`."""
        return self._by_value_set.get(url, ())

    def concept_maps(self) -> Sequence[Json]:
        """Return the concept maps among the resources."""
        return self._concept_maps

    def builtin_maps(self) -> Sequence[BuiltinMap]:
        """Return the maps that come with Bodysite."""
        return self.maps

    def resolvers(self) -> Sequence[ValueSetResolver]:
        """Return what makes value sets of urls."""
        return self.value_set_resolvers


class Shelf:
    """Terminology resources sorted by kind; a CodeSystem becomes a provider."""

    __slots__ = ("code_systems", "concept_maps", "supplements", "value_sets")

    def __init__(self, resources: Iterable[Json]) -> None:
        self.code_systems: list[CodeSystemProvider] = []
        self.supplements: list[Json] = []
        self.value_sets: list[Json] = []
        self.concept_maps: list[Json] = []
        for resource in resources:
            match resource.get("resourceType"):
                case "CodeSystem" if resource.get("content") == "supplement":
                    self.supplements.append(resource)
                case "CodeSystem":
                    self.code_systems.append(ResourceProvider(resource))
                case "ValueSet":
                    self.value_sets.append(resource)
                case "ConceptMap":
                    self.concept_maps.append(resource)

    def with_code_system(self, provider: CodeSystemProvider) -> Shelf:
        """Return a shelf that holds `provider` before everything else."""
        shelf = Shelf(())
        shelf.code_systems = [provider, *self.code_systems]
        shelf.supplements = self.supplements
        shelf.value_sets = self.value_sets
        shelf.concept_maps = self.concept_maps
        return shelf


@dataclass(frozen=True, slots=True)
class TxContext:
    """The terminology and the wishes of one request.

    Make it with `TxContext.of`. Lookups see the request's own resources before the server's.

    Parameters
    ----------
    rules
        `system-version`, `check-system-version` and `force-system-version`, in order.
    value_set_versions
        `default-valueset-version`, url → version.
    languages
        `displayLanguage`, else Accept-Language.
    supplements
        Canonicals of `useSupplement`.
    """

    registry: Registry
    own: Shelf
    rules: tuple[VersionRule, ...] = ()
    value_set_versions: Mapping[str, str] = field(default_factory=dict)
    languages: LanguagePreference = field(default_factory=LanguagePreference)
    supplements: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    deadline: Deadline = field(default_factory=lambda: Deadline.after(Limits().seconds))
    accept_language: str | None = None

    @classmethod
    def of(
        cls,
        registry: Registry,
        parameters: Json,
        *,
        accept_language: str | None = None,
        limits: Limits | None = None,
    ) -> TxContext:
        """Return the context of an operation called with a Parameters resource."""
        asked = Parameters.of(parameters)
        limits = limits or Limits()
        made = cls(
            registry=registry,
            own=Shelf(_well_formed(one.get("resource")) for one in asked.all("tx-resource")),
            limits=limits,
            deadline=Deadline.after(limits.seconds),
            accept_language=accept_language,
        )
        return made.wishing(asked)

    def wishing(self, asked: Parameters) -> TxContext:
        """Return the same terminology seen with the versions, languages and supplements `asked`."""
        return replace(
            self,
            rules=tuple(
                VersionRule(mode, *_rule(name, canonical))
                for name, mode in _RULES.items()
                for canonical in asked.texts(name)
            ),
            value_set_versions=dict(map(_url_and_version, asked.texts("default-valueset-version"))),
            languages=LanguagePreference.parse(
                asked.text("displayLanguage") or self.accept_language
            ),
            supplements=asked.texts("useSupplement"),
        )

    def with_code_system(self, provider: CodeSystemProvider) -> TxContext:
        """Return the same terminology with a code system that the request brought inline."""
        return replace(self, own=self.own.with_code_system(provider))

    def code_systems(self, url: str) -> list[CodeSystemProvider]:
        """Return the versions of a code system: the request's own first, then the server's."""
        mine = [provider for provider in self.own.code_systems if provider.url == url]
        mine.sort(key=lambda p: version_key(p.version), reverse=True)
        seen = {provider.version for provider in mine}
        return mine + [p for p in self.registry.code_systems(url) if p.version not in seen]

    def code_system(self, url: str, version: str | None = None) -> CodeSystemProvider | None:
        """Return one version of a code system, the default one where `version` is `None`.

        The rules of the request are not applied; `api.tx.systems` does that.
        """
        found = self.code_systems(url)
        if version is None:
            return found[0] if found else None
        exact = [p for p in found if p.version == version]
        fitting = exact or [p for p in found if matches(version, p.version)]
        return fitting[0] if fitting else None

    def value_set(self, url: str, version: str | None = None) -> Json | None:
        """Return a value set by canonical; implicit value sets are made on the way."""
        url, inside = split_canonical(url)
        version = version or inside or self.value_set_versions.get(url)
        mine = [v for v in self.own.value_sets if v.get("url") == url]
        mine.sort(key=lambda v: version_key(v.get("version")), reverse=True)
        found = mine + list(self.registry.value_sets(url))
        for value_set in found:
            if version is None or value_set.get("version") == version:
                return value_set
        for value_set in found:
            if version is not None and matches(version, value_set.get("version")):
                return value_set
        for resolver in self.registry.resolvers():
            made = resolver(url, version, self)
            if made is not None:
                return made
        return self._value_set_of_system(url, version)

    def _value_set_of_system(self, url: str, version: str | None) -> Json | None:
        """Return all codes of the code system whose `valueSet` is `url`; their version is one."""
        mine = (one for one in self.own.code_systems if _value_set_of(one) == url)
        for provider in (*mine, *self.registry.systems_of_value_set(url)):
            if version is not None and not matches(version, provider.version):
                continue
            include: Json = {"system": provider.url}
            found: Json = {"resourceType": "ValueSet", "url": url, "status": "active"}
            if provider.version:
                found["version"] = provider.version
            if version is not None:
                include["version"] = provider.version
            for element in ("name", "title", "status", "experimental"):
                if element in provider.metadata:
                    found[element] = provider.metadata[element]
            return {**found, "compose": {"include": [include]}}
        return None

    def concept_maps(self) -> list[Json]:
        """Return the concept maps, the request's own first."""
        return [*self.own.concept_maps, *self.registry.concept_maps()]

    def all_supplements(self) -> list[Json]:
        """Return the supplements, the request's own first."""
        return [*self.own.supplements, *self.registry.supplements()]


_RULES = {
    "system-version": "default",
    "check-system-version": "check",
    "force-system-version": "override",
}


def require_kind(resource: Any, name: str, *kinds: str) -> Json:
    """Return the resource of the parameter `name` when it is one, and of one of these types.

    Raises
    ------
    RequestError
        400: it is something else.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind not in kinds:
        found = f"a {kind[:64]}" if isinstance(kind, str) else "no resource"
        raise RequestError(
            f"Parameters.parameter {name}",
            f"it is {found}",
            f"a resource: {' or '.join(kinds)}",
            "Send it as the resource of the parameter, or leave the parameter out.",
            issue="structure",
        )
    found_resource: Json = resource
    return found_resource


def _well_formed(resource: Any) -> Json:
    found = require_kind(resource, "tx-resource", "CodeSystem", "ValueSet", "ConceptMap")
    kind = found["resourceType"]
    if kind != "ConceptMap":
        require_shape(found, kind, f"tx-resource {kind}")
    return found


def _rule(name: str, canonical: str) -> tuple[str, str]:
    """Return the parts of a rule on versions, which is nothing without a version."""
    url, version = split_canonical(canonical)
    if not url or not version:
        raise RequestError(
            f"Parameters.parameter {name}",
            f"'{canonical[:200]}' names no version of a code system",
            "system|version, such as http://loinc.org|2.56",
            "Add the version, or leave the parameter out.",
            issue="value",
        )
    return url, version


def _value_set_of(provider: CodeSystemProvider) -> str:
    """Return the url of the value set of all codes, empty where the code system names none."""
    return split_canonical(str(provider.metadata.get("valueSet", "")))[0]


def _url_and_version(canonical: str) -> tuple[str, str]:
    url, version = split_canonical(canonical)
    return url, version or ""
