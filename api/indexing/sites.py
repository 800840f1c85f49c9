"""Body sites of a resource, where they take more than reading an element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from api import codes
from api.indexing.parameter import Parameter
from api.indexing.paths import elements
from api.indexing.systems import is_snomed
from api.indexing.values import Index, codes_of, displays_of, index_of
from api.records import Text, Token
from terminology.concept import SNOMED, Laterality
from terminology.errors import BodySiteError
from terminology.graph import BodyStructureGraph

Extract = Callable[[Parameter, Mapping[str, Any], BodyStructureGraph], Iterator[Index]]
_SIDES: Final = {one.coding.code: one for one in Laterality}
_VISIBLE: Final = (codes.ANNOTATION, "visible")
_REVIEW: Final = (codes.ANNOTATION, "review")


def _sites(
    parameter: Parameter, content: Mapping[str, Any], graph: BodyStructureGraph
) -> Iterator[Index]:
    """Yield every code at the paths of a site parameter, that of SNOMED CT by its one name."""
    for path in parameter.paths:
        for value in elements(content, path):
            if path == "series":
                yield from _of_series(parameter.name, value, graph)
            else:
                yield from _coded(parameter.name, value)


def _of_series(name: str, series: Any, graph: BodyStructureGraph) -> Iterator[Index]:
    """Yield the site of a series, and the sided concept that it is with `laterality`."""
    site = series.get("bodySite") if isinstance(series, Mapping) else None
    if not isinstance(site, Mapping):
        return
    yield from _coded(name, site)
    for system, side in codes_of(series.get("laterality")):
        if not is_snomed(system) or side not in _SIDES:
            continue
        for site_system, code in codes_of(site):
            if is_snomed(site_system):
                try:
                    sided = graph.sided(code, _SIDES[side])
                except BodySiteError:
                    continue
                if sided is not None:
                    yield Token(name, SNOMED, sided)


def _coded(name: str, value: Any) -> Iterator[Index]:
    known = False
    for system, code in codes_of(value):
        snomed = is_snomed(system)
        known = known or snomed
        yield Token(name, SNOMED if snomed else system, code)
    if not known:
        # The words of codes of SNOMED CT are the vocabulary's.
        yield from (Text(f"{name}:text", text) for text in dict.fromkeys(displays_of(value)))


def _visible(
    parameter: Parameter, content: Mapping[str, Any], graph: BodyStructureGraph
) -> Iterator[Index]:
    """Yield what an Observation of visible sites names: its components are the sites."""
    if _VISIBLE in codes_of(content.get("code")):
        for value in elements(content, "component.code"):
            yield from _coded(parameter.name, value)


def _review(
    parameter: Parameter, content: Mapping[str, Any], graph: BodyStructureGraph
) -> Iterator[Index]:
    """Yield why a person should look: the components that say so, and the interpretation."""
    for component in elements(content, "component"):
        if _REVIEW in codes_of(component.get("code")):
            for value in elements(component, "value[x]"):
                yield from index_of(parameter, value)
    needed = tuple(codes_of(codes.NEEDED))
    for value in elements(content, "interpretation"):
        yield from (Token(parameter.name, *one) for one in codes_of(value) if one in needed)


# (type of resource, parameter) → what extracts it.
SPECIAL: Final[Mapping[tuple[str, str], Extract]] = {
    ("ImagingStudy", "bodysite"): _sites,
    ("Observation", "body-site"): _sites,
    ("Observation", "visible-site"): _visible,
    ("Observation", "review"): _review,
    ("BodyStructure", "location"): _sites,
    ("BodyStructure", "excluded_structure"): _sites,
}
