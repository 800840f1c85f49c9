import pytest
from pyroaring import BitMap

from terminology.release.terms import SearchResult, TermSearch
from terminology.release.values import DEFINITION, FSN
from tests.terminology.release.terms_table import US, Release, Row

HAND, LEFT_HAND, FOOT, ANKLE, OLD = 85562004, 85151006, 56459004, 344001, 404684003
CODES = (HAND, LEFT_HAND, FOOT, ANKLE, OLD)
ROWS = (
    Row(0, "Hand", preferred=(US,)),
    Row(0, "Hand structure (body structure)", type_id=FSN),
    Row(0, "Manus"),
    Row(0, "The part of the arm beyond the wrist", type_id=DEFINITION),
    Row(0, "Paw", active=False),
    Row(1, "Left hand", preferred=(US,)),
    Row(1, "Hand, left"),
    Row(2, "Foot", preferred=(US,)),
    Row(2, "Fuß", "de"),
    Row(2, "Entire haemorrhagic foot"),
    Row(3, "Ankle", preferred=(US,)),
    Row(3, "Knöchel", "de"),
    Row(3, "Ångström's ankle", "sv"),
    Row(4, "Hand of old", preferred=(US,)),
)


@pytest.fixture(scope="module")
def search() -> TermSearch:
    return Release(ROWS, CODES, frozenset({4})).search


def _terms(result: SearchResult) -> list[str]:
    return [hit.term for hit in result.hits]


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("hand", ["Hand", "Left hand"], "exact before longer, a concept once by its best term"),
        (
            "hand left",
            ["Hand, left"],
            "words in this order are exact: a synonym before the preferred",
        ),
        ("le ha", ["Left hand"], "beginnings in any order; the preferred term is shown"),
        ("HAND", ["Hand", "Left hand"], "case does not count"),
        ("hand-", ["Hand", "Left hand"], "nor does punctuation"),
        ("hand h ha", ["Hand", "Left hand"], "one word of the term may answer several of the text"),
        ("hand structure body", ["Hand structure (body structure)"], "the name with its tag"),
        ("manus hand", [], "all words in one term, not spread over those of a concept"),
        ("and", [], "a word is found by its beginning only"),
        ("", [], "no text"),
        (" ,-", [], "no words"),
        ("wrist", [], "text definitions are not searched"),
        ("paw", [], "inactive descriptions are not searched"),
        ("old", [], "inactive concepts are not found"),
        ("fuss", ["Fuß"], "ß is ss"),
        ("knochel", ["Knöchel"], "German ö is found as o"),
        ("knoechel", ["Knöchel"], "and as oe"),
        ("KNÖCHEL", ["Knöchel"], "and as itself"),
        ("ångström", ["Ångström's ankle"], "a letter of Swedish as it is"),
        ("angstrom", [], "and not as another letter"),
    ],
)
def test_what_a_text_finds(search: TermSearch, text: str, expected: list[str], reason: str) -> None:
    assert _terms(search.search(text, fuzzy=False)) == expected, reason


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("hand", [True, False]),
        ("Hand, left", [True]),
        ("left hand", [True]),
        ("left han", [False]),
        ("knoechel", [True]),
        (str(HAND), [True]),
    ],
)
def test_a_hit_says_whether_it_is_exact(search: TermSearch, text: str, exact: list[bool]) -> None:
    assert [hit.exact for hit in search.search(text).hits] == exact


def test_a_code_finds_its_concept_by_the_preferred_term(search: TermSearch) -> None:
    result = search.search(f" {LEFT_HAND} ")
    assert [(hit.ordinal, hit.term) for hit in result.hits] == [(1, "Left hand")]
    assert result.total == 1


def test_the_code_of_a_description_finds_that_description(search: TermSearch) -> None:
    result = search.search(str(9_000_010 + 2))
    assert [(hit.ordinal, hit.row, hit.term) for hit in result.hits] == [(0, 2, "Manus")]


def test_the_code_of_a_text_definition_finds_nothing(search: TermSearch) -> None:
    result = search.search(str(9_000_010 + 3), inactive=True, inactive_terms=True)
    assert result == SearchResult((), 0, False)


@pytest.mark.parametrize("text", ["8556200", "855620040", "123456", "9" * 40, "85562004 85151006"])
def test_no_part_of_a_code_finds_anything(search: TermSearch, text: str) -> None:
    assert search.search(text) == SearchResult((), 0, False)


def test_digits_that_are_no_code_are_words() -> None:
    search = Release([Row(0, "Dose of 1000000 units")], [HAND]).search
    assert _terms(search.search("1000000")) == ["Dose of 1000000 units"]


@pytest.mark.parametrize(
    ("text", "setting", "expected"),
    [
        ("old", {"inactive": True}, ["Hand of old"]),
        (str(OLD), {}, []),
        (str(OLD), {"inactive": True}, ["Hand of old"]),
        ("paw", {"inactive": True}, []),
        ("paw", {"inactive_terms": True}, ["Paw"]),
        ("hand", {"inactive": True}, ["Hand", "Left hand", "Hand of old"]),
        ("hand", {"within": BitMap([1, 2])}, ["Left hand"]),
        ("hand", {"within": BitMap()}, []),
        (str(HAND), {"within": BitMap([1])}, []),
        ("hand", {"languages": ["de"]}, ["Hand", "Left hand"]),
    ],
)
def test_what_is_chosen_from(
    search: TermSearch, text: str, setting: dict[str, object], expected: list[str]
) -> None:
    result = search.search(text, fuzzy=False, **setting)
    assert _terms(result) == expected
    assert result.total == len(expected)


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("hnad", ["Hand", "Left hand"], "letters exchanged"),
        ("lfet hand", ["Left hand"], "one word of two"),
        ("hans", ["Hand", "Left hand"], "another letter"),
        ("fooot", ["Foot"], "a letter too many"),
        ("gand", ["Hand", "Left hand"], "the first letter, where nothing else is near"),
        ("ankel", ["Ankle"], "the nearest: two edits would find more"),
        ("hemorrhagi", ["Entire haemorrhagic foot"], "the beginning of a long word, two edits"),
    ],
)
def test_misspelt_words_are_found_when_nothing_matches(
    search: TermSearch, text: str, expected: list[str], reason: str
) -> None:
    result = search.search(text)
    assert result.fuzzy
    assert _terms(result) == expected, reason
    assert not any(hit.exact for hit in result.hits)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hxd", "three letters"),
        ("hqqd", "two edits in a short word"),
        ("left hand liver", "a word that nothing is like"),
        ("han " * 8 + "hnad", "a text that nobody types into a box"),
    ],
)
def test_misspelt_words_that_are_not_guessed(search: TermSearch, text: str, reason: str) -> None:
    assert search.search(text) == SearchResult((), 0, False), reason


@pytest.mark.parametrize(
    ("terms", "text", "expected", "reason"),
    [
        (["Hand", "Harmony"], "hard", ["Hand"], "a word before the beginning of one"),
        (["Fractura", "Fracture"], "fractula", ["Fractura"], "one edit before two"),
        (["Sand", "Hank"], "hand", ["Hank"], "the first letter is taken to be right"),
        (["Benet", "Ångström"], "angström", ["Ångström"], "a letter of two bytes"),
    ],
)
def test_the_likeliest_words_are_meant(
    terms: list[str], text: str, expected: list[str], reason: str
) -> None:
    rows = [Row(ordinal, term, "sv") for ordinal, term in enumerate(terms)]
    search = Release(rows, CODES).search
    assert _terms(search.search(text)) == expected, reason


def test_words_that_are_there_but_not_together_may_be_misspelt() -> None:
    rows = [Row(0, "Handlebar grip"), Row(1, "Gristle"), Row(2, "Handy")]
    result = Release(rows, CODES).search.search("handl gris")
    assert (_terms(result), result.fuzzy) == (["Handlebar grip"], True)


@pytest.mark.parametrize(("term", "text"), [("L’os", "l’OS"), ("B型", "b型"), ("5 °", "5")])
def test_words_parted_by_what_is_not_ascii_are_counted_apart(term: str, text: str) -> None:
    (hit,) = Release([Row(0, term, "ja")], [HAND]).search.search(text).hits
    assert hit.exact


def test_a_word_of_any_length_is_refused_in_little_memory(search: TermSearch) -> None:
    assert search.search("h" * 1_000_000) == SearchResult((), 0, False)


def test_a_text_of_many_words_is_answered(search: TermSearch) -> None:
    text = " ".join(f"h{number}" for number in range(20_000))
    assert search.search(text) == SearchResult((), 0, False)
    assert _terms(search.search("hand " * 20_000)) == ["Hand", "Left hand"]


def test_words_are_not_misspelt_because_they_are_outside_a_set(search: TermSearch) -> None:
    assert search.search("foot", within=BitMap([0, 1])) == SearchResult((), 0, False)
    assert search.search("fooot", within=BitMap([0, 1])) == SearchResult((), 0, False)


def test_matching_has_the_concepts_that_search_finds(search: TermSearch) -> None:
    assert search.matching("hand") == BitMap([0, 1])
    assert search.matching("hnad") == BitMap([0, 1])
    assert search.matching("hnad", fuzzy=False) == BitMap()
    assert search.matching("hand", within=BitMap([1, 3])) == BitMap([1])


def test_a_total_without_a_page(search: TermSearch) -> None:
    assert search.search("hand", limit=0) == SearchResult((), 2, False)
    assert search.search("hand", offset=5) == SearchResult((), 2, False)


def test_rows_matching_has_definitions_and_what_is_inactive(search: TermSearch) -> None:
    assert search.rows_matching(["wri", "arm"]).tolist() == [3]
    assert search.rows_matching(["paw"]).tolist() == [4]
    assert search.rows_matching(["hnad"]).tolist() == []
    assert search.rows_matching([]).tolist() == []


def test_a_release_without_descriptions_has_no_hits() -> None:
    search = Release([], [HAND]).search
    assert search.search("hand") == SearchResult((), 0, False)
    assert search.search(str(HAND)) == SearchResult((), 0, False)


def test_a_term_of_more_words_than_are_counted_is_still_found() -> None:
    term = " ".join(["word"] * 300)
    search = Release([Row(0, term), Row(0, "")], [HAND]).search
    assert [hit.exact for hit in search.search(term).hits] == [True]
    assert [hit.exact for hit in search.search(term + " word").hits] == [False]
