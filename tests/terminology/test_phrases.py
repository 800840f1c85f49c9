"""How a word is found in a vocabulary of a few rows."""

import pytest

from terminology.entries import Entry, Kind
from terminology.misspellings import Misspellings
from terminology.phrases import PhraseFinder
from terminology.tokens import Tokens
from terminology.words import HeaderWords

EN, DE, ES, IT = (frozenset({language}) for language in ("en", "de", "es", "it"))


def site(phrase, code, languages=EN, confidence=0.97):
    return Entry(Kind.SITE, phrase, f"t:{code}", languages, code, phrase, confidence)


def other(kind, phrase, languages=EN, **slots):
    return Entry(kind, phrase, f"t:{phrase}", languages, **slots)


@pytest.fixture(scope="module")
def words():
    from terminology.concept import Laterality

    words = HeaderWords()
    for entry in (
        site("knee", "1"),
        site("shoulder", "2"),
        site("base of thumb", "3"),
        site("thorax", "4", EN | DE),
        site("abdomen", "5", EN | DE),
        site("lumbar spine", "6"),
        site("spine", "7"),
        site("thumb", "8"),
        site("lowers", "9"),
    ):
        words._index_site(entry.phrase, entry)
    words.others[("left",)] = other(Kind.LATERALITY, "left", laterality=Laterality.LEFT)
    words.others[("l",)] = other(
        Kind.LATERALITY, "l", frozenset({"und"}), laterality=Laterality.LEFT
    )
    words.others[("throat",)] = other(Kind.NOISE, "throat")
    words.others[("lower",)] = other(Kind.NOISE, "lower")
    words.longest = 3
    return words


def found(words, value, codes=frozenset("12345678")):
    items = PhraseFinder(words, codes).items(Tokens(value))
    return [item.entry.phrase if item.entry else None for item in items]


@pytest.mark.parametrize(
    ("value", "phrases", "reason"),
    [
        ("KNEE left", ["knee", "left"], "case does not count"),
        ("lumbar spine", ["lumbar spine"], "the longest phrase"),
        ("lumbar_SPINE", ["lumbar spine"], "whatever separates its words"),
        ("lumbarspine", ["lumbar spine"], "written together"),
        ("base of left thumb", ["base of thumb", "left"], "a side within"),
        ("base of l thumb", ["base of thumb", "l"], "a letter within three words"),
        ("lumbar l spine", [None, "l", "spine"], "not within two"),
        ("thoraxabdomen", ["thorax", "abdomen"], "a compound"),
        ("lknee", ["knee", "l"], "a side in front"),
        ("kneel", ["knee", "l"], "a side behind"),
        ("shoul der", ["shoulder"], "a word in two"),
        ("xyz", [None], "nothing"),
    ],
)
def test_how_phrases_are_found(words, value, phrases, reason):
    assert found(words, value) == phrases, reason


def test_words_of_concepts_that_the_release_lacks_are_not_found(words):
    assert found(words, "knee", frozenset("2")) == [None]


@pytest.mark.parametrize(
    ("token", "phrase", "reason"),
    [
        ("sholder", "shoulder", "a letter is missing"),
        ("shuolder", "shoulder", "two letters are exchanged"),
        ("throax", "thorax", "letters in the wrong order are nearer than a wrong letter"),
        ("kneee", "knee", "a letter three times"),
        ("kne", None, "under five letters"),
        ("xhorax", None, "the first letter is wrong"),
        ("lowerz", None, "as near to a word that is no part"),
        ("thromax", None, "two letters wrong in a short word"),
        ("thörax", None, "letters with accents are not compared"),
    ],
)
def test_what_is_read_as_a_misspelling(words, token, phrase, reason):
    nearest = Misspellings(words, frozenset("123456789")).nearest(token)
    assert (nearest and nearest.entry.phrase) == phrase, reason


def test_two_sites_equally_near_are_no_misspelling(words):
    near = HeaderWords()
    for entry in (site("temporal", "1"), site("temporel", "2")):
        near._index_site(entry.phrase, entry)
    assert Misspellings(near, frozenset("12")).nearest("temporul") is None
    same = HeaderWords()
    for entry in (site("temporal", "1"), site("temporel", "1")):
        same._index_site(entry.phrase, entry)
    assert Misspellings(same, frozenset("1")).nearest("temporul") is not None
