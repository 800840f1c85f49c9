"""Value sets and concept maps that a SNOMED CT url stands for, without a resource behind it.

The forms are those of FHIR's page on SNOMED CT: ``?fhir_vs``, ``=isa/CODE``, ``=refset``,
``=refset/CODE``, ``=ecl/EXPRESSION`` and ``?fhir_cm=REFSET``, after ``http://snomed.info/sct`` or
the URI of an edition or of a version of it. ``=descendant-of/CODE`` is Snowstorm's addition: the
concepts below CODE, without CODE itself.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.implicit_maps import ImplicitMap, implicit_map, map_refsets
from api.tx.snomed import SnomedProvider
from api.tx.snomed_editions import is_implicit
from api.tx.systems import Systems
from api.tx.versions import matches
from terminology.concept import SNOMED

Json = dict[str, Any]
VALUE_SETS: Final = "?fhir_vs"
CONCEPT_MAPS: Final = "?fhir_cm"


class _Definition(NamedTuple):
    """Name and title of an implicit value set, and what its one include has beside the system."""

    name: str
    title: str
    description: str
    include: Json


def implicit_value_set(url: str, version: str | None, context: TxContext) -> Json | None:
    """Return the ValueSet that `url` stands for, or `None` when it is none of the forms.

    `None` also where the url names a concept or a reference set that the release does not have.
    An expression constraint is not looked at before the value set is used.

    Parameters
    ----------
    version
        A version asked for with the value set; it then has to be one that the release has.
    """
    base, mark, form = url.partition(VALUE_SETS)
    if not mark or not (is_implicit(url, VALUE_SETS) or _is_release(context, base)):
        return None
    wanted = version or _version_of(base)
    provider = snomed_provider(context, wanted)
    if provider is None:
        systems = Systems(context)
        ruled = systems.version_for(SNOMED, None)
        if wanted is None and ruled is not None and context.code_systems(SNOMED):
            # The value set is all right; it is a rule of the request that no release meets.
            raise TxError(systems.unknown(SNOMED, ruled, expanding=True))
        return None
    definition = _definition(provider, unquote(form))
    if definition is None:
        return None
    include: Json = {"system": SNOMED}
    if wanted is not None:
        include["version"] = wanted
    return {
        "resourceType": "ValueSet",
        "url": url,
        "name": definition.name,
        "title": definition.title,
        "status": "active",
        "description": definition.description,
        "compose": {"include": [include | definition.include]},
    }


def implicit_concept_map(url: str, version: str | None, context: TxContext) -> ImplicitMap | None:
    """Return the map that ``…?fhir_cm=REFSET`` stands for, or `None` when there is no such."""
    if not is_implicit(url, CONCEPT_MAPS):
        return None
    base, _, form = url.partition(CONCEPT_MAPS)
    provider = snomed_provider(context, version or _version_of(base))
    if provider is None or not form.startswith("="):
        return None
    return implicit_map(provider, form[1:], url)


def implicit_concept_maps(provider: SnomedProvider) -> tuple[ImplicitMap, ...]:
    """Return every implicit map of a release, under the unversioned url, by reference set."""
    found = (
        implicit_map(provider, refset, f"{SNOMED}{CONCEPT_MAPS}={refset}")
        for refset in map_refsets(provider)
    )
    return tuple(one for one in found if one is not None)


def snomed_provider(context: TxContext, version: str | None) -> SnomedProvider | None:
    """Return the release that answers for `version` (whole or an edition), by the request's rules.

    `None` when the server has no such release, or SNOMED CT is a CodeSystem resource here.
    """
    wanted = Systems(context).version_for(SNOMED, version)
    for provider in context.code_systems(SNOMED):
        if isinstance(provider, SnomedProvider) and (
            wanted is None or matches(wanted, provider.version)
        ):
            return provider
    return None


def _is_release(context: TxContext, base: str) -> bool:
    """Return whether `base` is the version URI of a release, whatever its form."""
    return any(provider.version == base for provider in context.code_systems(SNOMED))


def _version_of(base: str) -> str | None:
    """Return the edition or version URI before the mark, `None` for SNOMED CT at large."""
    return None if base == SNOMED or not base.rpartition("/")[2].isdecimal() else base


def _definition(provider: SnomedProvider, form: str) -> _Definition | None:
    if form in {"", "="}:
        title = "SNOMED CT Reference Set (All of SNOMED CT)"
        return _Definition("ALLSNOMEDCT", title, "Every concept of SNOMED CT.", {})
    kind, _, value = form.removeprefix("=").partition("/")
    if not form.startswith("="):
        return None
    if kind == "refset" and not value:
        concepts = [{"code": code} for code in provider.refset_codes()]
        return _Definition(
            "SNOMEDCTReferenceSetList",
            "SNOMED CT Reference Set List",
            "The reference sets that the release has.",
            {"concept": concepts},
        )
    if kind == "ecl" and value:
        return _Definition(
            "SNOMEDCTExpressionConstraint",
            f"SNOMED CT Concepts that satisfy {value}",
            f"The concepts that satisfy the expression constraint {value}",
            {"filter": [_filter("constraint", "=", value)]},
        )
    return _of_concept(provider, kind, value)


def _of_concept(provider: SnomedProvider, kind: str, code: str) -> _Definition | None:
    found = provider.find(code)
    if found is None or found.code != code:
        return None
    display = provider.display(found) or code
    if kind == "isa":
        return _Definition(
            f"SNOMEDCTConcept{code}",
            f"SNOMED CT Concept {code} and descendants",
            f"{code} |{display}| and every concept below it.",
            {"filter": [_filter("concept", "is-a", code)]},
        )
    if kind == "descendant-of":
        return _Definition(
            f"SNOMEDCTDescendants{code}",
            f"SNOMED CT descendants of {code}",
            f"Every concept below {code} |{display}|, without the concept itself.",
            {"filter": [_filter("concept", "descendent-of", code)]},
        )
    if kind == "refset" and code in provider.refset_codes():
        return _Definition(
            f"SNOMEDCTRefSet{code}",
            f"SNOMED CT Reference Set {code}",
            f"The active members of {code} |{display}|.",
            {"filter": [_filter("concept", "in", code)]},
        )
    return None


def _filter(prop: str, op: str, value: str) -> Json:
    return {"property": prop, "op": op, "value": value}
