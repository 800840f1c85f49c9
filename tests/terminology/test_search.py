import pytest

from terminology.search import matches, search, search_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hand", ["Hand", "Left hand"]),
        ("HAND", ["Hand", "Left hand"]),
        ("hand left", ["Left hand"]),
        ("th", ["Thumb", "Thoracic structure", "Chest"]),
        ("thorax", ["Chest"]),
        ("upper ext", ["Upper limb"]),
        ("and", []),
        ("   ", []),
        ("85562004", ["Hand"]),
        ("nothing", []),
    ],
)
def test_words_or_their_beginnings_find_concepts(small, text, expected):
    assert [hit.concept.display for hit in search(small, text)] == expected


def test_an_exact_synonym_comes_before_a_longer_display(small):
    hit = search(small, "arm")[0]
    assert (hit.concept.display, hit.term) == ("Upper limb", "Arm")


def test_the_order_does_not_change_with_the_limit(small):
    everything = search(small, "t", None)
    assert len(everything) > 3
    for limit in range(1, len(everything)):
        assert search(small, "t", limit) == everything[:limit]


def test_no_words_match_everything(small):
    assert all(matches(small.lookup(code), "") for code in small.codes())


@pytest.mark.parametrize(("text", "key"), [("Knöchel, (li.)", "knochel li"), ("É-a", "e a")])
def test_a_search_key_has_no_accents_case_or_punctuation(text, key):
    assert search_key(text) == key
