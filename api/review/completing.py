"""A person's Observation of an examined site → what is stored: one site, said the same everywhere.

The machine says a site twice, in `bodySite` with its sided concept and in `valueCodeableConcept`,
and the side once more in a component. A person changes one of them; what was left as it stood
follows. What the machine said of how sure it is goes with the site that it said it of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from api import codes
from api.errors import RequestError
from api.fhir import concept
from api.findings import Key
from api.profiles.names import JUDGED_ANSWER
from api.review.statement import Statement, key_of, site_of
from api.review.verdicts import NEGATIVE, POSITIVE, judged_extension
from terminology.concept import SNOMED, Laterality
from terminology.graph import BodyStructureGraph

if TYPE_CHECKING:
    from api.security.actor import Actor

Json = dict[str, Any]
_UNSURE: Final = (codes.CERTAINTY,)
_UNSURE_VIEW: Final = (codes.VIEW_CONFIDENCE,)


def completed(
    content: Mapping[str, Any],
    was: Mapping[str, Any] | None,
    who: Actor,
    graph: BodyStructureGraph,
    answers: Iterable[Key],
    *,
    by_machine: bool,
) -> Json:
    """Return an Observation of an examined site as it is stored.

    Parameters
    ----------
    was
        Its former version, `None` for a new one.
    answers
        What the machine says of the series.
    by_machine
        Whether the former version is the machine's.

    Raises
    ------
    RequestError
        422: it names two sites, or two sides.
    """
    found = dict(content)
    said = Statement.of(content)
    before = Statement.of(was) if was is not None else None
    extensions = [one for one in found.pop("extension", ()) if one.get("url") != JUDGED_ANSWER]
    extensions += _judged(was, before, graph, answers, by_machine=by_machine)
    if extensions:
        found["extension"] = extensions
    status = found.get("status")
    if status not in POSITIVE | NEGATIVE:
        return found
    if not found.get("performer"):
        found["performer"] = [performer(who)]
    asked = [one for one in found.pop("interpretation", ()) if one != codes.NEEDED]
    if asked:
        found["interpretation"] = asked
    if status in POSITIVE:
        key = _site(said, before, graph)
        old = _key(before, graph) if before is not None else None
        found = _saying(found, key, graph)
        if old is not None and key != old:
            # Nothing of it is the machine's any more.
            found.pop("device", None)
            found = _without(found, _UNSURE)
        if before is not None and said.views != before.views:
            found = _without(found, _UNSURE_VIEW)
    return found


def performer(who: Actor) -> Json:
    """Return a reference to who is asking."""
    return dict(who.reference) or {"display": who.name}


def _judged(
    was: Mapping[str, Any] | None,
    before: Statement | None,
    graph: BodyStructureGraph,
    answers: Iterable[Key],
    *,
    by_machine: bool,
) -> list[Any]:
    if was is None or before is None:
        return []
    if not by_machine:
        return [one for one in was.get("extension", ()) if one.get("url") == JUDGED_ANSWER]
    judged = _key(before, graph)
    if judged is None:
        return []
    return [judged_extension(judged, set(answers) - {judged}, graph)]


def _key(said: Statement, graph: BodyStructureGraph) -> Key | None:
    """Return site and side of an Observation that says them the same everywhere."""
    key = key_of(said.site or said.value, graph)
    return None if key is None else (key[0], key[1] or said.side)


def _site(said: Statement, before: Statement | None, graph: BodyStructureGraph) -> Key:
    """Return site and side that a person means: what was changed counts."""
    value, site = key_of(said.value, graph), key_of(said.site, graph)
    changed_value = before is None or said.value != before.value
    changed_site = before is None or said.site != before.site
    if value and site and changed_value and changed_site and value[0] != site[0]:
        raise _contradiction("bodySite", "bodySite and valueCodeableConcept name two sites")
    chosen = site if site and (changed_site or not changed_value) else value
    if chosen is None:
        # The element that was changed was taken away.
        chosen = site or value
    assert chosen is not None  # noqa: S101 (checked ahead)
    code, side = chosen
    changed = changed_site or changed_value
    if before is None or said.side != before.side:
        if changed and side is not None and said.side is not None and side != said.side:
            raise _contradiction("component", "site and component name two sides")
        return code, (side if changed and side is not None else said.side)
    return code, side or said.side


def _saying(content: Json, key: Key, graph: BodyStructureGraph) -> Json:
    """Return an Observation that says a site and its side wherever it says one."""
    site = site_of(key, graph)
    coding = {"system": SNOMED, "code": site.code, "display": site.display}
    codings = [coding]
    sided = graph.sided(site.code, key[1]) if key[1] is not None else None
    if sided is not None:
        display = graph.lookup(sided).display
        codings.append({"system": SNOMED, "code": sided, "display": display})
    found = dict(content)
    text = f"{site.display} ({key[1]})" if key[1] else site.display
    found["bodySite"] = _concept(content.get("bodySite", {}), codings, text)
    found["valueCodeableConcept"] = _concept(content.get("valueCodeableConcept", {}), [coding])
    return _with_side(found, key[1])


def _concept(was: Mapping[str, Any], codings: list[Json], text: str | None = None) -> Json:
    """Return a concept with SNOMED CT `codings`, and the codes of other systems that it had."""
    mine = {one["code"] for one in codings}
    theirs = [one for one in was.get("coding", ()) if one.get("system") == SNOMED]
    if {one.get("code") for one in theirs} == mine:
        return dict(was)
    others = [one for one in was.get("coding", ()) if one.get("system") != SNOMED]
    return {"coding": [*codings, *others], **({"text": text} if text else {})}


def _with_side(content: Json, side: Laterality | None) -> Json:
    if Statement.of(content).side == side:
        return content
    return with_components(content, codes.LATERALITY, [concept(side.coding)] if side else [])


def with_components(
    content: Mapping[str, Any], name: Mapping[str, Any], values: Iterable[Json]
) -> Json:
    """Return an Observation whose components of a name have these values, and no others."""
    found = _without(content, (name,))
    made = [{"code": dict(name), "valueCodeableConcept": value} for value in values]
    return {**found, "component": [*found.get("component", ()), *made]} if made else found


def _without(content: Mapping[str, Any], names: Iterable[Mapping[str, Any]]) -> Json:
    """Return an Observation without the components of these names."""
    left_out = {(one["system"], one["code"]) for name in names for one in name["coding"]}
    kept = [
        one
        for one in content.get("component", ())
        if not any(
            (name.get("system"), name.get("code")) in left_out
            for name in one.get("code", {}).get("coding", ())
        )
    ]
    found = {key: value for key, value in content.items() if key != "component"}
    return {**found, "component": kept} if kept else found


def _contradiction(element: str, what: str) -> RequestError:
    return RequestError(
        f"Observation.{element}",
        what,
        "one site, with one side",
        "Correct one of them.",
        status=422,
        issue="business-rule",
    )
