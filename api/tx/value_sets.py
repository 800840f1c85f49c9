"""Finding the value set that a request or another value set names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from api.tx.context import TxContext, require_kind
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.messages import issue
from api.tx.parameters import Parameters
from api.tx.provider import Json
from api.tx.shape import require_shape
from api.tx.versions import join_canonical, split_canonical


def canonical_of(resource: Mapping[str, Any]) -> str:
    """Return ``url|version`` of a resource, the url alone where it has no version."""
    return join_canonical(str(resource.get("url", "")), resource.get("version"))


def asked_value_set(asked: Parameters, context: TxContext) -> Json:
    """Return the value set of a request: inline, or by url and valueSetVersion.

    Raises
    ------
    TxError
        There is none in the request, or it is not here.
    """
    if "valueSet" in asked:
        inline = require_kind(asked.resource("valueSet"), "valueSet", "ValueSet")
        require_shape(inline, "ValueSet", "valueSet")
        return inline
    url = asked.text("url")
    if not url:
        raise TxError(
            Issue(
                "error",
                "invalid",
                None,
                "No ValueSet specified - provide url parameter or valueSet resource",
            ),
            status=400,
        )
    found = context.value_set(url, asked.text("valueSetVersion"))
    if found is None:
        raise TxError(unresolved(join_canonical(url, asked.text("valueSetVersion"))), status=404)
    return found


def unresolved(canonical: str) -> Issue:
    """Return the issue that a value set is not here."""
    return issue("error", "not-found", "not-found", "Unable_to_resolve_value_Set_", canonical)


def import_key(canonical: str, importer: Mapping[str, Any]) -> object:
    """Return what a value set that `importer` names is known by during one request."""
    return (id(importer), canonical) if canonical.startswith("#") else canonical


class ValueSetTrail:
    """The value sets that are being worked on, each imported by the one before.

    `used_versions` are the ``default-valueset-version`` parameters that have chosen one, name and
    canonical, in order.
    """

    def __init__(self, context: TxContext) -> None:
        self._context = context
        self._canonicals: list[str] = []
        self.used_versions: dict[tuple[str, str], None] = {}

    @contextmanager
    def within(self, value_set: Mapping[str, Any]) -> Iterator[None]:
        """Work on `value_set`.

        Raises
        ------
        TxError
            It is being worked on already, or the imports are too deep to follow.
        """
        canonical = canonical_of(value_set)
        if canonical and canonical in self._canonicals:
            path = ", ".join([*self._canonicals, canonical])
            raise TxError(
                issue(
                    "error",
                    "processing",
                    "vs-invalid",
                    "VALUESET_CIRCULAR_REFERENCE",
                    canonical,
                    f"[{path}]",
                )
            )
        if len(self._canonicals) >= self._context.limits.depth:
            text = f"More than {self._context.limits.depth} value sets import one another"
            raise TxError(Issue("error", "too-costly", None, text))
        self._canonicals.append(canonical)
        try:
            yield
        finally:
            self._canonicals.pop()

    def imported(self, canonical: str, importer: Mapping[str, Any]) -> Json | None:
        """Return the value set that `importer` names, its own contained ones first."""
        if canonical.startswith("#"):
            contained = importer.get("contained") or ()
            return next((c for c in contained if c.get("id") == canonical[1:]), None)
        url, version = split_canonical(canonical)
        default = self._context.value_set_versions.get(url)
        if version is None and default:
            self.used_versions["default-valueset-version", join_canonical(url, default)] = None
        return self._context.value_set(url, version)
