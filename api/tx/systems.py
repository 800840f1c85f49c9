"""Which code system answers: the version rules of a request, and the supplements it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.messages import issue
from api.tx.provider import CodeSystemProvider
from api.tx.supplements import (
    SupplementedProvider,
    canonical_of,
    is_called,
    is_language_pack,
    supplements_system,
)
from api.tx.versions import VersionRule, matches, version_key

_USABLE: Final = frozenset({"complete", "fragment"})
_PARAMETER_OF: Final = {
    "default": "system-version",
    "check": "check-system-version",
    "override": "force-system-version",
}


class Systems:
    """The code systems of one operation.

    Parameters
    ----------
    required
        Canonicals of supplements that must be found, beside those of the context.
    """

    def __init__(self, context: TxContext, required: Iterable[str] = ()) -> None:
        self.context = context
        self.required: tuple[str, ...] = tuple(dict.fromkeys((*context.supplements, *required)))
        self.used_rules: dict[tuple[str, str], None] = {}
        self._met: set[str] = set()
        self._found: dict[tuple[str, str | None], CodeSystemProvider | None] = {}

    def version_for(self, url: str, version: str | None) -> str | None:
        """Return the version to use where `version` was stated; the rules may override it.

        Raises
        ------
        TxError
            Two rules of the same kind name different versions.
        """
        forced = self._ruled(url, "override", "SYSTEM_VERSION_MULTIPLE_OVERRIDE")
        if forced is not None:
            return forced
        if version:
            return version
        default = self._ruled(url, "default", "SYSTEM_VERSION_MULTIPLE_DEFAULT")
        if default is not None:
            return default
        checked = next((r for r in self._rules(url, "check")), None)
        if checked is not None:
            self._note(checked)
            return checked.version
        return None

    def find(
        self, url: str, version: str | None = None, *, ruled: bool = True
    ) -> CodeSystemProvider | None:
        """Return the code system with its supplements, `None` when it is not here.

        Parameters
        ----------
        ruled
            Whether the version rules of the request apply to `version`.
        """
        wanted = self.version_for(url, version) if ruled else version
        key = (url, wanted or None)
        if key not in self._found:
            provider = self.context.code_system(url, wanted or None)
            usable = provider is not None and provider.content in _USABLE
            self._found[key] = self._supplemented(provider) if provider and usable else None
        return self._found[key]

    def require(self, url: str, version: str | None = None) -> CodeSystemProvider:
        """Return the code system for an expansion.

        Raises
        ------
        TxError
            It is not here, or its version is not the one that `check-system-version` asks for.
        """
        wanted = self.version_for(url, version)
        provider = self.find(url, wanted, ruled=False)
        if provider is None:
            raise TxError(self.unknown(url, wanted, expanding=True))
        wrong = self.check(provider)
        if wrong is not None:
            raise TxError(wrong, status=400)
        return provider

    def unknown(
        self, url: str, version: str | None, *, expanding: bool = False, at: str | None = None
    ) -> Issue:
        """Return the issue that a code system, or the version of one, is not here."""
        ending = "_EXP" if expanding else ""
        if not version:
            return issue(
                "error", "not-found", "not-found", f"UNKNOWN_CODESYSTEM{ending}", url, at=at
            )
        known = self.versions(url)
        name = f"UNKNOWN_CODESYSTEM_VERSION{ending}" + ("" if known else "_NONE")
        listed = listing(known, "and")
        return issue("error", "not-found", "not-found", name, url, version, listed, at=at)

    def check(self, provider: CodeSystemProvider) -> Issue | None:
        """Return the issue that `check-system-version` forbids this version, if it does."""
        for rule in self._rules(provider.url, "check"):
            if not matches(rule.version, provider.version):
                return issue(
                    "error",
                    "exception",
                    "version-error",
                    "VALUESET_VERSION_CHECK",
                    provider.url,
                    provider.version,
                    rule.version,
                )
        return None

    def versions(self, url: str) -> list[str]:
        """Return the versions that are here, in order."""
        found = {p.version for p in self.context.code_systems(url) if p.version}
        return sorted(found, key=version_key)

    def supplement(self, url: str) -> str | None:
        """Return the canonical of the supplement that has this url, `None` when none has."""
        found = (s for s in self.context.all_supplements() if s.get("url") == url)
        return next((canonical_of(s) for s in found), None)

    def require_supplements(self) -> None:
        """Raise when a supplement that was asked for has supplemented nothing.

        Raises
        ------
        TxError
            Naming all of them.
        """
        missing = [canonical for canonical in self.required if canonical not in self._met]
        if missing:
            ending = "one" if len(missing) == 1 else "other"
            raise TxError(
                issue(
                    "error",
                    "not-found",
                    "not-found",
                    f"VALUESET_SUPPLEMENT_MISSING_{ending}",
                    str(len(missing)),
                    ",".join(missing),
                )
            )

    def _supplemented(self, provider: CodeSystemProvider) -> CodeSystemProvider:
        wanted = []
        for supplement in self.context.all_supplements():
            if not supplements_system(supplement, provider.url, provider.version):
                continue
            asked = [name for name in self.required if is_called(supplement, name)]
            self._met.update(asked)
            if asked or is_language_pack(supplement):
                wanted.append(supplement)
        return SupplementedProvider(provider, wanted) if wanted else provider

    def _rules(self, url: str, mode: str) -> list[VersionRule]:
        return [rule for rule in self.context.rules if rule.url == url and rule.mode == mode]

    def _ruled(self, url: str, mode: str, message: str) -> str | None:
        rules = self._rules(url, mode)
        if not rules:
            return None
        first = rules[0]
        for other in rules[1:]:
            if other.version != first.version:
                raise TxError(
                    issue(
                        "error",
                        "exception",
                        "version-error",
                        message,
                        url,
                        first.version,
                        other.version,
                    ),
                    status=400,
                )
        self._note(first)
        return first.version

    def _note(self, rule: VersionRule) -> None:
        self.used_rules[_PARAMETER_OF[rule.mode], rule.canonical] = None


def listing(items: Sequence[str], last: str) -> str:
    """Return ``a, b and c``, with `last` between the last two; of two always ``a or b``."""
    if len(items) < 3:
        return " or ".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
