"""What a caller asks of an expansion or a validation, and what the value set itself asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.parameters import Parameters, value_of

EXPANSION_PARAMETER_URLS: Final = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
        "http://hl7.org/fhir/tools/StructureDefinition/valueset-expansion-parameter",
    }
)
# Parameters that gather: those of the value set add to those of the request.
_GATHERING: Final = frozenset(
    {
        "system-version",
        "check-system-version",
        "force-system-version",
        "default-valueset-version",
        "designation",
        "property",
        "useSupplement",
    }
)


@dataclass(frozen=True, slots=True)
class ExpandOptions:
    """The parameters of $expand; `None` stands for one that nobody sent."""

    filter: str | None
    offset: int | None
    count: int | None
    active_only: bool | None
    exclude_nested: bool | None
    exclude_not_for_ui: bool | None
    exclude_post_coordinated: bool | None
    include_definition: bool | None
    include_designations: bool | None
    designations: tuple[str, ...]
    properties: tuple[str, ...]
    exclude_systems: tuple[str, ...]

    @classmethod
    def of(cls, asked: Parameters) -> ExpandOptions:
        """Return the options that a request, joined with its value set, has."""
        return cls(
            filter=asked.text("filter"),
            offset=_whole(asked, "offset"),
            count=_whole(asked, "count"),
            active_only=_flag(asked, "activeOnly"),
            exclude_nested=_flag(asked, "excludeNested"),
            exclude_not_for_ui=_flag(asked, "excludeNotForUI"),
            exclude_post_coordinated=_flag(asked, "excludePostCoordinated"),
            include_definition=_flag(asked, "includeDefinition"),
            include_designations=_flag(asked, "includeDesignations"),
            designations=asked.texts("designation"),
            properties=tuple(dict.fromkeys(asked.texts("property"))),
            exclude_systems=asked.texts("exclude-system"),
        )


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """The parameters of $validate-code beside the code and the value set."""

    infer_system: bool
    abstract_allowed: bool
    active_only: bool
    lenient_display: bool
    membership_only: bool

    @classmethod
    def of(cls, asked: Parameters) -> ValidateOptions:
        """Return the options that a request, joined with its value set, has."""
        return cls(
            infer_system=asked.flag("inferSystem"),
            abstract_allowed=asked.flag("abstract", True),
            active_only=asked.flag("activeOnly"),
            lenient_display=asked.flag("lenient-display-validation"),
            membership_only=asked.flag("valueset-membership-only"),
        )

    def without_inference(self) -> ValidateOptions:
        """Return the same options for codings, which state their system or have none."""
        return replace(self, infer_system=False)


def joined_with(
    asked: Parameters, context: TxContext, value_set: Mapping[str, Any]
) -> tuple[Parameters, TxContext]:
    """Return the request with what the value set's own expansion parameters add to it.

    What the request says goes before what the value set says; the language of the value set is the
    last that counts.
    """
    compose = value_set.get("compose") or {}
    entries = list(asked.entries)
    for extension in compose.get("extension") or ():
        if extension.get("url") not in EXPANSION_PARAMETER_URLS:
            continue
        inner = {part.get("url"): value_of(part) for part in extension.get("extension") or ()}
        name, value = inner.get("name"), inner.get("value")
        if name and value is not None and (name in _GATHERING or name not in asked):
            entries.append({"name": name, "valueString": value})
    entries += [{"name": "property", "valueCode": p} for p in compose.get("property") or ()]
    joined = Parameters(entries)
    seen = context.wishing(joined)
    if not seen.languages and value_set.get("language"):
        entries.append({"name": "displayLanguage", "valueCode": value_set["language"]})
        joined = Parameters(entries)
        seen = context.wishing(joined)
    return joined, seen


def _flag(asked: Parameters, name: str) -> bool | None:
    return asked.flag(name) if name in asked else None


def _whole(asked: Parameters, name: str) -> int | None:
    """Return a count; a negative one counts as absent, as in HL7's tools."""
    text = asked.text(name)
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError:
        raise TxError(
            Issue("error", "invalid", "invalid-data", f"The {name} '{text}' is no whole number"),
            status=400,
        ) from None
    return None if value < 0 else value
