"""The search compared with one that looks at every row, order included."""

import random

import numpy as np
import pytest
from pyroaring import BitMap

from terminology.release import hits, ordinals, termarrays, terms
from terminology.release.values import DEFINITION, FSN, SYNONYM
from tests.terminology.release.terms_table import DIALECTS, GB, SWEDISH, US, Release, Row

WORDS = {
    "en": [
        "hand",
        "left",
        "right",
        "handle",
        "upper",
        "limb",
        "of",
        "the",
        "structure",
        "Ångström",
        "déjà",
        "and",
        "arm",
        "5",
        "(x)",
    ],
    "sv": [
        "hand",
        "vänster",
        "höger",
        "handled",
        "övre",
        "å",
        "arm",
        "Ångström",
        "och",
        "benet",
        "élan",
    ],
    "de": ["Hand", "linke", "Fuß", "Knöchel", "Knoechel", "Arm", "obere", "über", "Rücken"],
    "ja": ["左手", "手骨折", "骨折", "左手骨折部位", "B型", "hand"],
}
TYPES = [SYNONYM] * 5 + [FSN] * 2 + [DEFINITION]
QUERY_WORDS = [
    *("h", "ha", "hand", "handle", "l", "left", "arm", "a", "o", "of", "ångström", "angstrom"),
    *("övre", "ovre", "knöchel", "knoechel", "knochel", "fuss", "fuß", "ru", "rueck", "déjà"),
    *("骨", "骨折", "左手骨折部位", "手骨", "b", "5", "x", "HAND", "(hand)", "zzz", "elan"),
]


def _release(seed: int) -> Release:
    rng = random.Random(seed)  # noqa: S311
    codes = rng.sample(range(100_000, 900_000), 120)
    inactive = frozenset(rng.sample(range(len(codes)), 25))
    rows = []
    for concept in range(len(codes)):
        for _ in range(rng.randrange(7)):
            language = rng.choice(["en", "en", "sv", "de", "ja"])
            words = [rng.choice(WORDS[language]) for _ in range(rng.choice([1, 1, 2, 2, 3, 4]))]
            rows.append(
                Row(
                    concept,
                    rng.choice([" ", " ", "-", ", "]).join(words).capitalize(),
                    language,
                    rng.choice(TYPES),
                    rng.random() < 0.85,
                    tuple(rng.sample(list(DIALECTS.values()), rng.choice([0, 0, 1, 2]))),
                )
            )
    return Release(rows, codes, inactive)


def _queries(rng: random.Random, count: int) -> list[str]:
    return [
        " ".join(rng.choice(QUERY_WORDS) for _ in range(rng.choice([1, 1, 2, 2, 3])))
        for _ in range(count)
    ]


@pytest.fixture(params=["as set", "tiny"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ways for long lists be taken by short ones."""
    if request.param == "tiny":
        monkeypatch.setattr(termarrays, "_COMMON_LEAST", 5)
        monkeypatch.setattr(termarrays, "_COMMON_SHARE", 1000)
        monkeypatch.setattr(termarrays, "_CHUNK", 7)
        monkeypatch.setattr(terms, "_FEW", 2)
        monkeypatch.setattr(terms, "_SEVERAL", 2)
        monkeypatch.setattr(ordinals, "_FEW", 2)
        monkeypatch.setattr(hits, "_FIRST_LOOK", 3)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("seed", range(3))
def test_hits_and_their_order_are_those_of_a_look_at_every_row(seed: int) -> None:
    release = _release(seed)
    rng = random.Random(seed + 100)  # noqa: S311
    some = rng.sample(range(len(release.codes)), 40)
    settings = [
        {},
        {"languages": ["en-GB"]},
        {"languages": ["sv", "en-US"]},
        {"languages": ["de", "xx"]},
        {"within": some},
        {"inactive": True},
        {"inactive_terms": True},
        {"inactive": True, "inactive_terms": True, "within": some},
    ]
    for text in _queries(rng, 50):
        for setting in settings:
            expected = release.expected(text, **setting)
            given = dict(setting)
            if "within" in given:
                given["within"] = BitMap(given["within"])
            result = release.search.search(text, limit=None, fuzzy=False, **given)
            found = [(hit.ordinal, hit.row, hit.exact) for hit in result.hits]
            assert found == expected, (text, setting)
            assert result.total == len(expected)
            given.pop("languages", None)
            assert release.search.matching(text, fuzzy=False, **given) == BitMap(
                ordinal for ordinal, _, _ in expected
            ), (text, setting)


@pytest.mark.usefixtures("sizes")
def test_pages_fit_together_whatever_their_size() -> None:
    release = _release(9)
    for text in ("h", "a", "hand", "l h", "o"):
        whole = release.search.search(text, limit=None)
        for size in (1, 3, 10):
            pages = [
                hit
                for offset in range(0, whole.total + size, size)
                for hit in release.search.search(text, limit=size, offset=offset).hits
            ]
            assert pages == list(whole.hits), (text, size)
        found = release.search.matches(text)
        assert (found.total, found.fuzzy) == (whole.total, whole.fuzzy)
        assert set(found.ordinals) == {hit.ordinal for hit in whole.hits}
        assert found.page() == whole
        assert found.page(limit=2, offset=1) == release.search.search(text, limit=2, offset=1)


@pytest.mark.usefixtures("sizes")
def test_rows_matching_has_rows_of_every_kind() -> None:
    release = _release(3)
    for text in _queries(random.Random(1), 100):  # noqa: S311
        rows = release.search.rows_matching(text.split())
        assert rows.dtype == np.uint32
        assert rows.tolist() == release.rows_having(text), text


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_texts_is_by_length_and_code_points(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    texts = [
        "".join(rng.choice("ab zöé左\U0001f9b4") for _ in range(rng.randrange(6)))
        for _ in range(300)
    ]
    numbers = termarrays.text_order(termarrays.TextColumn.of(texts)).tolist()
    keys = [(len(text), text) for text in texts]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    by_number = {number: place for place, number in enumerate(sorted(set(numbers)))}
    assert [by_number[number] for number in numbers] == [places[key] for key in keys]


def test_the_preferred_terms_are_those_of_the_reference_sets() -> None:
    rows = [
        Row(0, "Anaemia", preferred=(GB,)),
        Row(0, "Anemia", preferred=(US,)),
        Row(0, "Anemi", "sv", preferred=(SWEDISH,)),
    ]
    search = Release(rows, [271737000]).search
    found = [
        search.search("an", languages=languages).hits[0].term
        for languages in ((), ("en-GB",), ("sv",), ("sv-SE", "en-US"), ("fr", "en-GB"), ("fr",))
    ]
    assert found == ["Anemia", "Anaemia", "Anemi", "Anemi", "Anaemia", "Anemia"]
