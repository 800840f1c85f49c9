import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import networkx as nx
import numpy as np
import pytest

from terminology.errors import IdentifierError, TableError, UnknownConceptError
from terminology.release.build import build_index, compile_rows
from terminology.release.embedded import embedded_index
from terminology.release.index import ReleaseIndex
from terminology.structures import BodyStructures

from .small import BODY, ROOT, release, release_rows

NAMES = {
    ROOT: "Root",
    BODY: "Body structure",
    "53120007": "Upper limb",
    "85562004": "Hand",
    "7569003": "Finger",
    "85151006": "Left hand",
    "272741003": "Laterality",
    "7771000": "Left",
    "116680003": "Is a",
    "155728006": "Old hand",
    "900000000000526001": "Replaced by",
}
IS_A = [
    (BODY, ROOT),
    ("53120007", BODY),
    ("85562004", "53120007"),
    ("7569003", "85562004"),
    ("85151006", "85562004"),
    ("272741003", ROOT),
    ("7771000", ROOT),
]


@pytest.fixture(scope="module")
def index():
    return release(
        NAMES,
        IS_A,
        attributes=[("85151006", "272741003", "7771000")],
        refsets=[("900000000000526001", "155728006", "85562004")],
        inactive={"155728006"},
    )


def codes(index, found):
    return set(index.codes(found))


def test_closures_exclude_their_start(index):
    hand = index.ordinal("85562004")
    assert codes(index, index.ancestors(hand)) == {"53120007", BODY, ROOT}
    assert codes(index, index.descendants(hand)) == {"7569003", "85151006"}
    assert codes(index, index.parents(hand)) == {"53120007"}
    assert codes(index, index.children(hand)) == {"7569003", "85151006"}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("10200004", UnknownConceptError),
        ("085562004", IdentifierError),
        (" 85562004", IdentifierError),
        ("85562004 ", IdentifierError),
        ("+85562004", IdentifierError),
        ("85_562_004", IdentifierError),
        ("٨٥٥٦٢٠٠٤", IdentifierError),
        ("85562005", IdentifierError),
        ("", IdentifierError),
        ("9" * 5000, IdentifierError),
        ("hand", IdentifierError),
    ],
)
def test_a_code_is_found_only_in_its_own_spelling(index, code, error):
    assert code not in index
    assert index.find(code) == -1
    with pytest.raises(error):
        index.ordinal(code)
    with pytest.raises(error):
        index.subsumes(code, "85562004")


def test_inactive_concepts_have_ordinals_but_no_place_in_the_hierarchy(index):
    old = index.ordinal("155728006")
    assert not index.is_active(old)
    assert old in index.all
    assert old not in index.active
    assert old not in index.rooted
    assert not index.parents(old)


def test_an_active_concept_without_a_way_to_the_root_is_not_rooted(index):
    assert index.ordinal("116680003") in index.active
    assert index.ordinal("116680003") not in index.rooted


def test_attributes_and_associations(index):
    (attribute,) = index.attributes(index.ordinal("85151006"))
    assert (index.code(attribute.type), index.code(attribute.value)) == ("272741003", "7771000")
    (association,) = index.associations(index.ordinal("155728006"))
    assert (association.refset, association.target) == ("900000000000526001", "85562004")
    (back,) = index.associated(index.ordinal("85562004"))
    assert (back.refset, back.target) == ("900000000000526001", "155728006")
    assert codes(index, index.members(index.ordinal("900000000000526001"))) == {"155728006"}
    assert not index.members(index.ordinal("85562004"))


def test_terms(index):
    hand = index.ordinal("85562004")
    assert index.display(hand) == "Hand"
    assert index.fsn(hand) == "Hand (body structure)"
    assert index.display(hand, ["de"]) == "Hand"
    assert [one.type for one in index.descriptions(hand)] == ["fsn", "synonym"]


@pytest.mark.parametrize(
    ("code_a", "code_b", "outcome"),
    [
        ("53120007", "7569003", "subsumes"),
        ("7569003", "53120007", "subsumed-by"),
        ("7569003", "7569003", "equivalent"),
        ("7569003", "85151006", "not-subsumed"),
        ("155728006", "85562004", "not-subsumed"),
    ],
)
def test_compare_has_the_four_outcomes_of_fhir(index, code_a, code_b, outcome):
    assert index.compare(code_a, code_b) == outcome


def test_many_pairs_agree_with_single_ones(index):
    every = np.arange(len(index), dtype=np.uint32)
    above, below = (part.astype(np.uint32) for part in np.meshgrid(every, every))
    found = index.subsumes_many(above, below)
    assert found.shape == above.shape
    for a, b, answer in zip(above.flat, below.flat, found.flat, strict=True):
        assert answer == index.subsumes(index.code(a), index.code(b))


def test_a_cycle_names_its_rows():
    rows = release_rows(NAMES, [*IS_A, ("53120007", "7569003")])
    with pytest.raises(TableError) as caught:
        compile_rows(rows)
    assert len(caught.value.problems) == 3
    assert all(problem.file == "small.txt" for problem in caught.value.problems)
    assert "a cycle" in str(caught.value)


def test_the_file_and_the_memory_form_say_the_same(tmp_path, index):
    build_index(
        release_rows(NAMES, IS_A, attributes=[("85151006", "272741003", "7771000")]),
        tmp_path / "small.idx",
    )
    opened = ReleaseIndex.open(tmp_path / "small.idx")
    for code in NAMES:
        ordinal = opened.ordinal(code)
        assert opened.display(ordinal) == NAMES[code]
        assert codes(opened, opened.descendants(ordinal)) == codes(
            index, index.descendants(index.ordinal(code))
        )


def test_the_embedded_index_agrees_with_its_tables():
    index, tables = embedded_index(), BodyStructures.load()
    shape = nx.DiGraph((edge.child, edge.parent) for edge in tables.edges)
    for code, concept in tables.concepts.items():
        ordinal = index.ordinal(code)
        assert codes(index, index.descendants(ordinal)) == nx.ancestors(shape, code)
        assert codes(index, index.ancestors(ordinal)) == nx.descendants(shape, code) | {ROOT}
        assert index.display(ordinal) == concept.display


def test_what_is_derived_is_made_once_by_one_thread_and_kept_with_its_index(index):
    made = []

    def slow(one):
        made.append(one)
        sleep(0.05)
        return [one.version]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: index.derived(slow), range(8)))
    assert made == [index]
    assert all(one is found[0] for one in found)
    other = release(NAMES, IS_A, version="other")
    assert other.derived(slow) == ["other"]
    assert index.derived(slow) is found[0]


def test_what_derives_may_derive_and_its_failure_is_not_kept(index):
    def inner(one):
        return len(one)

    def outer(one):
        return one.derived(inner) + 1

    assert index.derived(outer) == len(index) + 1
    calls = []

    def failing(one):
        calls.append(one)
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            index.derived(failing)
    assert len(calls) == 2


def test_an_index_goes_with_all_that_was_derived_from_it():
    one = release(NAMES, IS_A)
    one.derived(lambda index: [index])
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_ordinals_in_the_order_of_codes(index):
    assert index.ids[index.by_code].tolist() == sorted(index.ids.tolist())
