"""ValueSet/$expand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from api.tx.compose import Composition, Segment, supplements_named_by
from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.expansion import ExpansionBuilder, expansion_header
from api.tx.messages import issue
from api.tx.options import ExpandOptions, joined_with
from api.tx.parameters import Parameters
from api.tx.provider import Json
from api.tx.systems import Systems
from api.tx.value_sets import ValueSetTrail, asked_value_set, canonical_of
from api.tx.versions import split_canonical

# Elements that only includeDefinition brings into an expansion.
_DEFINITION: Final = frozenset(
    {"purpose", "compose", "description", "contact", "copyright", "publisher", "extension"}
)
# RFC 3986, 2: reserved and unreserved ones, and the mark of what is encoded already.
_URI_CHARACTERS: Final = ":/?#[]@!$&'()*+,;=-._~%"
_NEVER: Final = frozenset({"id", "meta", "text", "contained", "implicitRules", "expansion"})


def expand(parameters: Json, context: TxContext) -> Json:
    """Return the value set that a request names or holds, with its expansion.

    Parameters
    ----------
    parameters
        The Parameters resource of the call.

    Raises
    ------
    TxError
        There is no such value set, something that it rests on is not here, or it has more concepts
        than an expansion may list.
    """
    asked = Parameters.of(parameters)
    value_set = asked_value_set(asked, context)
    joined, seen = joined_with(asked, context, value_set)
    options = ExpandOptions.of(joined)
    systems = Systems(seen, supplements_named_by(value_set))
    trail = ValueSetTrail(seen)
    composition = Composition(systems, trail, active_only=options.active_only or False)
    findings = composition.findings
    findings.warn(value_set, canonical_of(value_set), value_set)
    segments = composition.segments(value_set)
    systems.require_supplements()
    segments = _restricted(segments, options, seen)
    total = sum(segment.selection.total for segment in segments)
    _refuse_too_many(value_set, total, options, seen)
    builder = ExpansionBuilder(options, seen.languages, findings, seen.deadline)
    if findings.nests and _may_nest(segments, total, options) and not findings.unclosed:
        contains = builder.tree(segments)
    else:
        contains = builder.page(segments)
    rules = (*systems.used_rules, *trail.used_versions)
    expansion = expansion_header(options, seen.languages, findings, rules)
    expansion["total"] = total
    if properties := builder.properties():
        expansion["property"] = properties
    if contains:
        expansion["contains"] = contains
    return {**_described(value_set, options), "expansion": expansion}


def _restricted(
    segments: Sequence[Segment], options: ExpandOptions, context: TxContext
) -> list[Segment]:
    """Return what remains after the parameters that leave concepts out."""
    unwanted = [split_canonical(canonical) for canonical in options.exclude_systems]
    found = []
    for segment in segments:
        context.deadline.check()
        provider = segment.provider
        if any(url == provider.url and v in {None, provider.version} for url, v in unwanted):
            continue
        if options.exclude_post_coordinated and provider.unclosed_reason:
            listed = segment.selection & provider.all_concepts()
            segment = replace(segment, selection=listed)
        if options.exclude_not_for_ui:
            selectable = segment.selection - provider.abstract_concepts()
            segment = replace(segment, selection=selectable)
        if options.filter and options.filter.strip():
            segment = segment.searched(options.filter, context.languages.tags)
        found.append(segment)
    return found


def _may_nest(segments: Sequence[Segment], total: int, options: ExpandOptions) -> bool:
    if options.exclude_nested or options.offset or not segments:
        return False
    if options.count is not None and options.count <= total:
        return False
    return any(segment.provider.hierarchical for segment in segments)


def _refuse_too_many(
    value_set: Mapping[str, Any], total: int, options: ExpandOptions, context: TxContext
) -> None:
    limit = context.limits.expansion
    shown = max(0, total - (options.offset or 0))
    if options.count is not None:
        shown = min(shown, options.count)
    if shown > limit:
        raise TxError(
            issue(
                "error",
                "too-costly",
                None,
                "VALUESET_TOO_COSTLY",
                canonical_of(value_set),
                f">{limit}",
            )
        )


def _described(value_set: Mapping[str, Any], options: ExpandOptions) -> Json:
    """Return the value set as an expansion shows it."""
    left_out = _NEVER if options.include_definition else _NEVER | _DEFINITION
    found = {key: value for key, value in value_set.items() if key not in left_out}
    found.setdefault("status", "unknown")
    if "url" in found:
        # An expression constraint has blanks and "|", which no URI may have.
        found["url"] = quote(found["url"], safe=_URI_CHARACTERS)
    return found
