import unicodedata

import pytest

from terminology.release.folding import filed, folding_of, sought


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Déjà-vu", ["deja", "vu"]),
        ("en", "Ångström Brønsted æther cœur", ["angstrom", "bronsted", "aether", "coeur"]),
        ("en", "10 µg/m² (½)", ["10", "μg", "m2", "1", "2"]),
        ("en", "snake_case+x", ["snake", "case", "x"]),
        ("sv", "Ångström Brønsted élan", ["ångström", "bronsted", "elan"]),
        ("sv-SE", "ÄR", ["är"]),
        ("fi", "Äyräs Ångström", ["äyräs", "ångström"]),
        ("da", "Ångstrøm Læge ö", ["ångstrøm", "læge", "o"]),
        ("nb", "ØRE å", ["øre", "å"]),
        ("es", "Niño camión", ["niño", "camion"]),
        ("fr", "Œil élevé ÇA", ["oeil", "eleve", "ca"]),
        ("de", "Fuß", ["fuss"]),
        ("cs", "Žíla", ["zila"]),
        ("pl", "Łokieć", ["lokiec"]),
        ("el", "ΧΕΙΡΌΣ χειρός", ["χειροσ", "χειροσ"]),
        ("ar", "يَدٌ", ["يد"]),
        ("hi", "हाथ की", ["हाथ", "की"]),
        ("ko", "왼손 뼈", ["왼손", "뼈"]),
        ("ja", "Ｂ型がん", ["b", "型がん"]),
        ("tr", "İĞNE", ["igne"]),
    ],
)
def test_words_of_a_text(language: str, text: str, expected: list[str]) -> None:
    for form in ("NFC", "NFD"):
        words = folding_of(language).words(unicodedata.normalize(form, text))
        assert [word[0] for word in words] == expected, form


def test_german_umlauts_have_a_second_spelling() -> None:
    assert folding_of("de").words("Äußere Hand") == [("aussere", "aeussere"), ("hand",)]


@pytest.mark.parametrize(
    ("run", "text", "found"),
    [
        ("左手骨折", "骨折", True),
        ("左手骨折", "手骨", True),
        ("左手骨折", "左", True),
        ("左手骨折", "骨手", False),
        ("左手骨折後状態", "手骨折後状", True),
        ("左手骨折後状態", "左手骨折状", False),
        ("มือซ้าย", "ซ้าย", True),
    ],
)
def test_scripts_without_spaces_are_found_from_any_character(
    run: str, text: str, found: bool
) -> None:
    folding = folding_of("ja")
    words = filed(folding.words(run))
    assert found == all(
        any(word.startswith(one[0]) for word in words) for one in sought(folding.words(text))
    )


def test_languages_with_the_same_rules_share_a_folding() -> None:
    assert folding_of("en") is folding_of("fr-CA")
    assert folding_of("nb") is folding_of("da")
    assert folding_of("sv") is not folding_of("en")
