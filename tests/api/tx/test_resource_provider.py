"""A CodeSystem resource as a provider."""

from __future__ import annotations

import pytest

from api.tx.resource_provider import ResourceProvider
from tests.api.tx.sites import SITES_SYSTEM, VIEWS_SYSTEM

PROVIDER = ResourceProvider(SITES_SYSTEM)


def concept(code: str, provider: ResourceProvider = PROVIDER):
    found = provider.find(code)
    assert found is not None
    return found


def test_hierarchy_is_that_of_nesting() -> None:
    assert [c.code for c in PROVIDER.children(concept("trunk"))] == ["chest", "belly"]
    assert [c.code for c in PROVIDER.parents(concept("heart"))] == ["chest"]
    assert PROVIDER.subsumes(concept("trunk"), concept("heart"))
    assert not PROVIDER.subsumes(concept("heart"), concept("heart"))
    assert not PROVIDER.subsumes(concept("heart"), concept("trunk"))


def test_hierarchy_is_that_of_parent_and_child_properties_too() -> None:
    linked = ResourceProvider(
        {
            "url": "https://example.org/linked",
            "property": [
                {
                    "code": "isa",
                    "type": "code",
                    "uri": "http://hl7.org/fhir/concept-properties#parent",
                }
            ],
            "concept": [
                {"code": "a", "property": [{"code": "child", "valueCode": "b"}]},
                {"code": "b", "property": [{"code": "isa", "valueCode": "c"}]},
                {"code": "c", "property": [{"code": "isa", "valueCode": "b"}]},
            ],
        }
    )
    assert [c.code for c in linked.parents(concept("b", linked))] == ["a", "c"]
    # A circle in the data ends the walk, not the service.
    assert linked.subsumes(concept("a", linked), concept("c", linked))
    assert [c.code for c in linked.filter("concept", "is-a", "b").iterate()] == ["b", "c"]


@pytest.mark.parametrize(
    ("code", "found"), [("pa", "PA"), ("PA", "PA"), ("Lat", "LAT"), ("AP", None)]
)
def test_case_is_folded_where_the_code_system_says_so(code: str, found: str | None) -> None:
    views = ResourceProvider(VIEWS_SYSTEM)
    hit = views.find(code)
    assert (hit.code if hit else None) == found
    assert PROVIDER.find("ARM") is None


def test_status_reads_declared_and_common_properties() -> None:
    assert PROVIDER.status(concept("trunk")).abstract
    belly = PROVIDER.status(concept("belly"))
    assert (belly.inactive, belly.status) == (True, "retired")
    assert not PROVIDER.active_concepts().contains(concept("belly"))
    assert [c.code for c in PROVIDER.abstract_concepts().iterate()] == ["trunk"]


def test_the_display_is_the_first_designation() -> None:
    names = PROVIDER.designations(concept("heart"))
    assert [(d.value, d.language) for d in names] == [("Heart", "en"), ("Herz", "de")]
    preferred = PROVIDER.preferred(concept("heart"), ["fr", "de-AT"])
    assert preferred is not None
    assert preferred.value == "Herz"


def test_very_deep_nesting_is_read() -> None:
    innermost: dict = {"code": "c0"}
    for number in range(1, 3000):
        innermost = {"code": f"c{number}", "concept": [innermost]}
    deep = ResourceProvider({"url": "https://example.org/deep", "concept": [innermost]})
    assert deep.all_concepts().total == 3000
    assert deep.subsumes(concept("c2999", deep), concept("c0", deep))


def test_selections_are_joined_cut_and_paged_in_order() -> None:
    paired = PROVIDER.filter("side", "=", "paired")
    limbs = PROVIDER.filter("concept", "is-a", "limb")
    assert [c.code for c in (paired & limbs).iterate()] == ["arm", "leg"]
    assert [c.code for c in (paired - limbs).iterate()] == ["lung"]
    assert [c.code for c in (paired | limbs).iterate(1, 3)] == ["arm", "leg", "limb"]
    assert (paired | limbs).total == 4
