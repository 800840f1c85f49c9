"""SNOMED CT as a code system: concepts, names, properties, sets."""

from typing import Any

import pytest

from api.tx.provider import Concept
from api.tx.snomed import SnomedProvider
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from terminology.release.embedded import embedded_index
from tests.api.tx.small_release import CONCEPTS, VERSION, small_provider

LEFT_HAND = "85562004:272741003=7771000"


@pytest.fixture(scope="module")
def sct() -> SnomedProvider:
    return small_provider()


@pytest.fixture(scope="module")
def embedded() -> SnomedProvider:
    return SnomedProvider(embedded_index())


def found(provider: SnomedProvider, code: str) -> Concept:
    concept = provider.find(code)
    assert concept is not None, code
    return concept


def properties(provider: SnomedProvider, code: str, *, every: bool = False) -> set[tuple[str, str]]:
    wanted = frozenset({"*"}) if every else frozenset()
    values = provider.lookup_properties(found(provider, code), wanted)
    return {(one.code, str(one.value)) for one in values}


def test_the_code_system_says_which_edition_it_is(sct: SnomedProvider) -> None:
    assert (sct.url, sct.version) == ("http://snomed.info/sct", VERSION)
    assert sct.version_label == "International Edition"
    assert sct.metadata["date"] == "2025-09-09"
    assert sct.content == "complete"


def test_the_embedded_subset_answers_for_its_own_version(embedded: SnomedProvider) -> None:
    assert embedded.content == "complete"
    assert embedded.metadata["content"] == "fragment"
    assert embedded.version.startswith("https://w3id.org/bodysite/")
    assert embedded.version_label is None


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("85562004", "85562004"),
        ("51185008", "51185008"),
        ("85562004 |whatever|", "85562004"),
        ("85562004 |Hand| : 272741003 |Laterality| = 7771000 |Left|", LEFT_HAND),
        ("85562005", None),
        ("123", None),
        ("hand", None),
        ("", None),
        ("85562004:272741003=85562005", None),
        ("85562004:7771000=272741003", None),
    ],
)
def test_codes_and_expressions_are_found(sct: SnomedProvider, code: str, same: str | None) -> None:
    concept = sct.find(code)
    assert (None if concept is None else concept.code) == same


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("74670003", None),
        ("85562005", None),
        (
            "85562004:272741003=85562005",
            "Not a valid expression: Concept 85562005 not found",
        ),
        (
            "85562004:7771000=272741003",
            (
                "Not a valid expression: Concept 7771000 is not valid in this context"
                " (must be a descendent of one of 410662002,106237007)"
            ),
        ),
    ],
)
def test_why_a_code_is_unknown(sct: SnomedProvider, code: str, reason: str | None) -> None:
    assert sct.find(code) is None
    assert sct.why_unknown(code) == reason


def test_an_expression_is_shown_with_preferred_terms(sct: SnomedProvider) -> None:
    concept = found(sct, "10200004|Lever| : { 363698007 = 32849002 }")
    assert sct.display(concept) == "10200004|Liver|:{363698007|Finding site|=32849002|Esophagus|}"
    british = sct.preferred(concept, ("en-GB",))
    assert british is not None
    assert british.value.endswith("32849002|Oesophagus|}")


@pytest.mark.parametrize(
    ("code", "languages", "term"),
    [
        ("10200004", ("de",), "Leber"),
        ("10200004", ("de-AT", "en"), "Leber"),
        ("85562004", ("de", "en-GB"), "Hand"),
        ("32849002", ("en-GB",), "Oesophagus"),
        ("32849002", ("en-US",), "Esophagus"),
        ("32849002", ("en",), "Esophagus"),
        ("32849002", ("en-x-sctlang-90000000-00005080-04",), "Oesophagus"),
        ("85562004", ("fr",), None),
    ],
)
def test_the_preferred_term_follows_the_language_reference_sets(
    sct: SnomedProvider, code: str, languages: tuple[str, ...], term: str | None
) -> None:
    designation = sct.preferred(found(sct, code), languages)
    assert (None if designation is None else designation.value) == term


def test_designations_begin_with_the_preferred_term_and_leave_out_what_is_inactive(
    sct: SnomedProvider,
) -> None:
    liver = found(sct, "10200004")
    told = [(one.language, (one.use or {})["code"], one.value) for one in sct.designations(liver)]
    synonym, fsn = "900000000000013009", "900000000000003001"
    assert told == [
        ("en", synonym, "Liver"),
        ("en", fsn, "Liver (test)"),
        ("en", synonym, "Hepar"),
        ("de", synonym, "Leber"),
    ]
    assert [one.value for one in sct.inactive_designations(liver)] == ["Liver, NOS"]
    assert sct.definition(liver) == "The organ that makes bile."


def test_a_term_that_only_one_dialect_prefers_says_so(sct: SnomedProvider) -> None:
    told = {one.value: one.language for one in sct.designations(found(sct, "32849002"))}
    assert told == {"Esophagus": "en", "Esophagus (test)": "en", "Oesophagus": "en-GB"}


def test_an_inactive_concept_has_a_status_and_a_successor(sct: SnomedProvider) -> None:
    former = found(sct, "51185008")
    status = sct.status(former)
    assert (status.inactive, status.status) == (True, "inactive")
    assert ("successor", "816094009") in properties(sct, "51185008")
    assert ("predecessor", "51185008") in properties(sct, "816094009")
    assert sct.status(found(sct, "816094009")).inactive is False


def test_associations_that_replace_nothing_are_shown_when_asked_for(sct: SnomedProvider) -> None:
    possibly = ("900000000000523009", "128241005")
    assert possibly not in properties(sct, "155729003")
    assert possibly in properties(sct, "155729003", every=True)
    assert ("part", "119216005") in properties(sct, "10200004", every=True)


def test_properties_of_a_defined_concept(sct: SnomedProvider) -> None:
    assert properties(sct, "128241005") == {
        ("inactive", "False"),
        ("effectiveTime", "2020-01-31"),
        ("module", "900000000000207008"),
        ("363698007", "10200004"),
        ("116676008", "23583003"),
    }
    asked = properties(sct, "128241005", every=True)
    assert ("sufficientlyDefined", "True") in asked
    assert ("moduleId", "900000000000207008") in asked
    assert (
        "normalFormTerse",
        "64572001:{116676008=23583003,363698007=10200004}",
    ) in asked


def test_an_expansion_can_show_neighbours_but_no_normal_forms(sct: SnomedProvider) -> None:
    listed = {(one.code, one.value) for one in sct.concept_properties(found(sct, "85562004"))}
    assert {("parent", "53120007"), ("child", "7569003"), ("sided", "85151006")} <= listed
    assert "normalForm" not in {code for code, _ in listed}


def test_properties_of_an_expression_are_those_of_its_focus_and_its_own(
    sct: SnomedProvider,
) -> None:
    told = properties(sct, "40468003:{363698007=119216005}")
    assert {("363698007", "10200004"), ("363698007", "119216005")} <= told
    assert ("effectiveTime", "2020-01-31") in told


def test_sides(sct: SnomedProvider) -> None:
    assert {("laterality", "7771000"), ("unsided", "85562004")} <= properties(sct, "85151006")
    assert ("sided", "85151006") in properties(sct, "85562004")


def test_every_side_of_the_embedded_subset_is_told(embedded: SnomedProvider) -> None:
    graph = BodyStructureGraph.load()
    for code in graph.codes():
        concept = graph.lookup(code)
        told = {one for one in properties(embedded, code) if one[0] in {"laterality", "unsided"}}
        expected = set()
        if concept.laterality is not None:
            expected.add(("laterality", Laterality(concept.laterality).coding.code))
        if concept.unsided is not None:
            expected.add(("unsided", concept.unsided))
        assert told == expected, code


def test_the_embedded_subset_claims_no_dates_and_modules(embedded: SnomedProvider) -> None:
    told = {code for code, _ in properties(embedded, "85562004", every=True)}
    assert not told & {"effectiveTime", "module", "moduleId", "sufficientlyDefined"}


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("85562004", "7569003", "subsumes"),
        ("7569003", "85562004", "subsumed-by"),
        ("85562004", "85562004", "equivalent"),
        ("85562004", "10200004", "not-subsumed"),
        ("85562004", LEFT_HAND, "subsumes"),
        (LEFT_HAND, "53120007", "subsumed-by"),
        (LEFT_HAND, "85151006", "equivalent"),
        (LEFT_HAND, "85562004:272741003=24028007", "not-subsumed"),
    ],
)
def test_concepts_and_expressions_are_compared_by_meaning(
    sct: SnomedProvider, a: str, b: str, outcome: str
) -> None:
    assert sct.compare(found(sct, a), found(sct, b)) == outcome
    assert sct.subsumes(found(sct, a), found(sct, b)) is (outcome == "subsumes")


def test_everything_is_counted_and_paged_by_code(sct: SnomedProvider) -> None:
    everything = sct.all_concepts()
    codes = sorted(CONCEPTS, key=int)
    assert everything.total == len(codes)
    assert everything.unclosed
    assert [one.code for one in everything.iterate()] == codes
    assert [one.code for one in everything.iterate(3, 4)] == codes[3:7]
    assert [one.code for one in everything.iterate(3, 10_000)] == codes[3:]
    assert list(everything.iterate(10_000, 1)) == []
    assert list(everything.iterate(0, 0)) == []


def test_a_list_keeps_its_order_and_knows_expressions_by_what_they_say(
    sct: SnomedProvider,
) -> None:
    chosen = sct.select(["85562004", LEFT_HAND, "10200004", "999999", "85562004"])
    assert [one.code for one in chosen.iterate()] == ["85562004", LEFT_HAND, "10200004"]
    assert chosen.total == 3
    assert not chosen.unclosed
    assert chosen.contains(found(sct, "85562004 |Hand|: 272741003=7771000 |Left|"))
    assert not chosen.contains(found(sct, "85562004:272741003=24028007"))


def test_lists_and_sets_are_joined_in_the_order_of_the_list(sct: SnomedProvider) -> None:
    chosen = sct.select(["7569003", LEFT_HAND, "10200004", "85562004"])
    arm = sct.filter("concept", "is-a", "53120007")
    assert [one.code for one in (chosen & arm).iterate()] == ["7569003", LEFT_HAND, "85562004"]
    assert [one.code for one in (arm & chosen).iterate()] == ["7569003", LEFT_HAND, "85562004"]
    assert [one.code for one in (chosen - arm).iterate()] == ["10200004"]
    assert [one.code for one in (chosen | arm).iterate()][:4] == [
        "7569003",
        LEFT_HAND,
        "10200004",
        "85562004",
    ]
    assert [one.code for one in (arm - chosen).iterate()] == ["53120007", "85151006"]
    assert not (arm - chosen).contains(found(sct, LEFT_HAND))


def test_search_pages_what_it_finds_and_stays_within_a_set(sct: SnomedProvider) -> None:
    everything = sct.all_concepts()
    hits = sct.search("hep", everything, ())
    codes = [one.code for one in hits.iterate()]
    assert set(codes) == {"10200004", "128241005", "40468003", "155729003"}
    assert hits.total == len(codes)
    assert [one.code for one in hits.iterate(1, 2)] == codes[1:3]
    assert hits.contains(found(sct, "40468003"))
    active = hits & sct.active_concepts()
    assert active.total == 3
    assert not active.contains(found(sct, "155729003"))
    assert [one.code for one in (hits - sct.select(codes[:1])).iterate()] == codes[1:]


def test_search_finds_listed_expressions_by_their_terms(sct: SnomedProvider) -> None:
    chosen = sct.select([LEFT_HAND, "85562004", "10200004"])
    hits = sct.search("hand", chosen, ())
    assert [one.code for one in hits.iterate()] == ["85562004", LEFT_HAND]
    assert [one.code for one in hits.iterate(1, 1)] == [LEFT_HAND]
    assert hits.total == 2


def test_an_expression_against_the_concept_model_is_no_code(embedded: SnomedProvider) -> None:
    assert embedded.find("85562004:272741003=7771000") is not None
    assert embedded.find("10200004:272741003=7771000") is None
    assert embedded.why_unknown("10200004:272741003=7771000") == (
        "Not a valid expression: 10200004 |Liver| has no side"
    )
    both = embedded.why_unknown("85562004:272741003=7771000,272741003=24028007")
    assert both is not None
    assert "2 values" in both


def test_what_could_not_be_checked_is_noted(sct: SnomedProvider, embedded: SnomedProvider) -> None:
    unchecked = sct.process_note(found(sct, LEFT_HAND))
    assert unchecked is not None
    assert "not been checked" in unchecked
    assert embedded.process_note(found(embedded, LEFT_HAND)) is None
    assert sct.process_note(found(sct, "85562004")) is None


def test_an_expression_with_a_former_concept_is_inactive(sct: SnomedProvider) -> None:
    concept = found(sct, "155729003:363698007=10200004")
    assert sct.status(concept).inactive
    assert not sct.status(found(sct, LEFT_HAND)).inactive


def test_a_text_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = small_provider()
    calls = []
    search = provider.index.search.matches

    def spy(*arguments: Any, **options: Any) -> Any:
        calls.append(options)
        return search(*arguments, **options)

    monkeypatch.setattr(provider.index.search, "matches", spy)
    found = provider.search("h", provider.all_concepts(), ())
    everything = [one.code for one in found.iterate()]
    assert len(everything) == found.total > 3
    for offset in range(found.total + 2):
        for limit in (0, 1, 2, 100):
            page = [one.code for one in found.iterate(offset, limit)]
            assert page == everything[offset : offset + limit]
    assert len(calls) == 1
