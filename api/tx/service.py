"""`TerminologyService`: everything that a terminology request can see, gathered once a process.

SNOMED CT releases side by side, the vocabularies that come with Bodysite together with a site's own
tables, which can be replaced while the service runs, and a site's own resources, which are looked
at anew whenever their library says that something has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.tx.builtin import Shipped
from api.tx.catalog import Builtin, Held
from api.tx.context import Limits, Registry, StaticRegistry, TxContext, ValueSetResolver
from api.tx.core_resources import core_resources
from api.tx.implicit import implicit_value_set
from api.tx.maps import BuiltinMap
from api.tx.provider import CodeSystemProvider
from api.tx.resource_provider import ResourceProvider
from api.tx.resources_store import R4, R5, Owned, ResourceLibrary
from api.tx.snomed import SnomedProvider
from terminology.concept import SNOMED
from terminology.library import Terminology
from terminology.release.index import ReleaseIndex

Json = dict[str, Any]
FHIR_VERSIONS: Final = {R4: "4.0.1", R5: "5.0.0"}


class TerminologyService:
    """The terminology of a running service.

    Parameters
    ----------
    indexes
        SNOMED CT releases, the default first. All are addressed by their version URI.
    terminology
        The tables that come with Bodysite and a site's own, and the readers over them.
    library
        A site's own resources; without one, none can be kept.
    """

    def __init__(
        self,
        indexes: Sequence[ReleaseIndex],
        terminology: Terminology,
        library: ResourceLibrary | None = None,
    ) -> None:
        self.library = library
        self.releases = tuple(SnomedProvider(index) for index in indexes)
        for provider in self.releases:
            # Made once now: the first requests would wait for them, and all others meanwhile.
            _ = provider.index.by_code
            _ = provider.properties
        self._own: _Own | None = None
        self._lock = threading.Lock()
        self._state = _State.of(self.releases, terminology)

    def replace(self, terminology: Terminology) -> None:
        """Serve other tables from now on.

        Requests under way go on with what they have; the next one sees the new tables and all
        that follows from them: code systems, value sets, concept maps and their versions.
        """
        self._state = _State.of(self.releases, terminology)

    @property
    def builtin(self) -> tuple[Builtin, ...]:
        """What comes with Bodysite."""
        return self._state.resources

    @property
    def builtin_urls(self) -> frozenset[tuple[str, str]]:
        """Type and url of each resource that is ours; no resource of a site may have the same."""
        return self._state.urls

    def held(self) -> tuple[Held, ...]:
        """Return every resource that can be read: those of Bodysite, then a site's own."""
        if self.library is None:
            return self.builtin
        return (*self.builtin, *self.library.resources()[1])

    def find(self, kind: str, resource_id: str) -> Held | None:
        """Return a resource by type and id."""
        for one in self.builtin:
            if one.type == kind and one.id == resource_id:
                return one
        return self.library.read(kind, resource_id) if self.library is not None else None

    def systems(self, release: str) -> list[str]:
        """Return the urls of the code systems that are here, SNOMED CT first."""
        found = [one.url for one in self.releases]
        found += [one.head["url"] for one in self.builtin if one.type == "CodeSystem"]
        core = core_resources(FHIR_VERSIONS[release])
        found += [one["url"] for one in core if one["resourceType"] == "CodeSystem"]
        if self.library is not None:
            owned = self.library.resources()[1]
            found += [str(one.r5["url"]) for one in owned if one.type == "CodeSystem"]
        return list(dict.fromkeys(found))

    def registry(self, release: str) -> Registry:
        """Return what is here for a request of a FHIR release."""
        base = self._state.base[release]
        if self.library is None:
            return base
        return _Deferred(base, self)

    def registry_at_once(self, release: str) -> Registry | None:
        """Return what `registry` returns where nothing has to be waited for, else `None`.

        A site's own supplements are work for a request, and waited for too.
        """
        base = self._state.base[release]
        if self.library is None:
            return base
        held, now = self._own, self.library.unchanged()
        if held is None or now is None or held.counter != now or held.registry.supplements():
            return None
        return _Deferred(base, self, held.registry)

    def context(
        self,
        parameters: Json,
        release: str,
        *,
        accept_language: str | None = None,
        limits: Limits | None = None,
        registry: Registry | None = None,
    ) -> TxContext:
        """Return the context of one request with a Parameters resource in R5 form.

        Parameters
        ----------
        registry
            What it sees, when that is known already.
        """
        return TxContext.of(
            registry or self.registry(release),
            parameters,
            accept_language=accept_language,
            limits=limits,
        )

    def own(self) -> StaticRegistry:
        """Return a site's own resources as they are now."""
        assert self.library is not None  # noqa: S101
        counter, resources = self.library.resources()
        held = self._own
        if held is None or held.counter != counter:
            with self._lock:
                held = self._own
                if held is None or held.counter != counter:
                    held = self._own = _Own.of(counter, resources, held)
        return held.registry


@dataclass(frozen=True, slots=True)
class _State:
    """What comes with Bodysite, as of one state of the tables; exchanged as a whole."""

    resources: tuple[Builtin, ...]
    urls: frozenset[tuple[str, str]]
    base: Mapping[str, StaticRegistry]

    @classmethod
    def of(cls, releases: Sequence[SnomedProvider], terminology: Terminology) -> _State:
        """Return the state of the tables of `terminology`."""
        shipped = Shipped.of(terminology)
        value_sets = [one.head for one in shipped.resources if one.type == "ValueSet"]
        base = {
            # One provider a vocabulary, for both FHIR releases.
            release: StaticRegistry(
                providers=(*releases, *shipped.providers),
                resources=(*value_sets, *core_resources(version)),
                value_set_resolvers=(implicit_value_set,),
                defaults={SNOMED: releases[0].version},
                maps=shipped.maps,
            )
            for release, version in FHIR_VERSIONS.items()
        }
        urls = frozenset({("CodeSystem", SNOMED), *shipped.urls})
        return cls(shipped.resources, urls, base)


@dataclass(frozen=True, slots=True)
class _Own:
    """The registry of a site's own resources as of one state of the library."""

    counter: int
    registry: StaticRegistry
    providers: dict[tuple[str, int], ResourceProvider]

    @classmethod
    def of(cls, counter: int, resources: Sequence[Owned], before: _Own | None) -> _Own:
        """Return the registry; a code system that has not changed keeps its provider."""
        known = before.providers if before is not None else {}
        providers: dict[tuple[str, int], ResourceProvider] = {}
        others: list[Json] = []
        for one in resources:
            if one.type == "CodeSystem" and one.r5.get("content") != "supplement":
                key = (one.id, one.version_id)
                providers[key] = known.get(key) or ResourceProvider(one.r5)
            else:
                others.append(one.r5)
        registry = StaticRegistry(providers=tuple(providers.values()), resources=others)
        return cls(counter, registry, providers)


class _Deferred:
    """What is here, the site's own read only where the request comes to ask for it.

    SNOMED CT is never a site's own, but a site may supplement it.

    Parameters
    ----------
    own
        The site's own, when that is known already.
    """

    __slots__ = ("_base", "_found", "_service")

    def __init__(
        self,
        base: StaticRegistry,
        service: TerminologyService,
        own: StaticRegistry | None = None,
    ) -> None:
        self._base = base
        self._service = service
        self._found = own

    @property
    def _own(self) -> StaticRegistry:
        if self._found is None:
            self._found = self._service.own()
        return self._found

    def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the versions of a code system."""
        if url == SNOMED:
            return self._base.code_systems(url)
        return [*self._own.code_systems(url), *self._base.code_systems(url)]

    def supplements(self) -> Sequence[Json]:
        """Return the supplements."""
        return [*self._own.supplements(), *self._base.supplements()]

    def value_sets(self, url: str) -> Sequence[Json]:
        """Return the versions of a value set."""
        return [*self._own.value_sets(url), *self._base.value_sets(url)]

    def systems_of_value_set(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the code systems whose value set of all codes is `url`."""
        return [*self._own.systems_of_value_set(url), *self._base.systems_of_value_set(url)]

    def concept_maps(self) -> Sequence[Json]:
        """Return all concept maps but those of `builtin_maps`, the site's own first."""
        return [*self._own.concept_maps(), *self._base.concept_maps()]

    def builtin_maps(self) -> Sequence[BuiltinMap]:
        """Return the maps that come with Bodysite."""
        return self._base.builtin_maps()

    def resolvers(self) -> Sequence[ValueSetResolver]:
        """Return what makes value sets of urls."""
        return self._base.resolvers()
