"""What holds for every value: bounded time, and no matter of case, separators and order."""

import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terminology.entries import Kind
from terminology.evaluation import read_observed
from terminology.library import load_terminology
from terminology.tokens import LONGEST_VALUE

from .fuzzing import no_hang, rounds

LANGUAGES = ("de", "en", "fr", "es", "pt", "it", "nl")
SEPARATORS = (" ", "_", "-", "^", "/", ", ", " / ", "__")
# Fragments that a reader may take long over: compounds, letters of a side, contexts, unknown words
# that are nearly words, marks without letters, letters that grow when their case is folded.
FRAGMENTS = (
    *("knie", "handgelenk", "thoraxabdomenbecken", "l", "r ", "left ", "rechts ", "ap ", "lat "),
    *("history of ", "no ", "ohne ", ", ", "; ", "/", "_", "-", "+", "to ", "und ", "pain "),
    *(
        "sholder ",
        "thorxa ",
        "xqzvw ",
        "handgelnek ",
        "膝関節",
        "左",
        "胸部",
        "колено ",
        "ركبة ",
        "ברך ",
    ),
    *("ß", "İ", "ŉ", "ﬃ", "ﷺ", "Ⅷ", "①", "²", "é", "e\u0301", "\u0301", "\u0315\u0300", "\u200b"),
    *(
        "\u202e",
        "\ufeff",
        "\0",
        "\ud800",
        "\U0001f9b4",
        "Ã¼",
        "Â",
        "?",
        "'",
        "l'",
        "d’",
        "\n",
        "\t",
    ),
    *("3 ", "2e ", "t1_", "i ", "e ", "d ", "finger 2 ", "c1 ", "l5"),
)


def answer(reader, value, modality=None):
    reading = reader.read(value, modality=modality)
    sites = frozenset((site.code, site.laterality) for site in reading.sites)
    return sites, reading.laterality, reading.view and reading.view.code


@pytest.fixture(scope="module")
def reader():
    return load_terminology().text


fragments = st.sampled_from(FRAGMENTS)
long_values = st.builds(
    lambda parts, times: ("".join(parts) * times)[:10_000],
    st.lists(fragments | st.text(max_size=12), min_size=1, max_size=8),
    st.sampled_from((1, 3, 1250, 10_000)),
)


@settings(max_examples=rounds(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(long_values, st.sampled_from((None, "MG", "CT", "DX")))
def test_any_string_of_ten_thousand_characters_is_answered(reader, value, modality):
    with no_hang(repr(value[:60])):
        reading = reader.read(value, modality=modality)
    assert reading.value == value


@settings(max_examples=rounds(300), deadline=None)
@given(st.text(max_size=60), st.sampled_from((None, "MG", "CT", "DX")))
def test_any_text_is_answered(reader, value, modality):
    reading = reader.read(value, modality=modality)
    assert all(0 <= site.confidence <= 1 for site in reading.sites)
    assert bool(reading.method) == bool(reading.sites)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_one_fragment_repeated_is_answered(reader, fragment):
    value = (fragment * 10_000)[:10_000]
    with no_hang(repr(fragment)):
        assert reader.read(value).value == value


def test_a_list_of_every_word_of_the_vocabulary_is_answered(reader):
    words = itertools.cycle(entry.phrase for entry in reader.words.sites.values())
    value = " ".join(itertools.islice(words, 4000))[:10_000]
    with no_hang("the whole vocabulary"):
        assert reader.read(value).sites


def test_what_is_cut_off_a_longer_text_is_said(reader):
    value = "knee left " + "x" * LONGEST_VALUE
    notes = [part.note for part in reader.read(value).evidence if part.note]
    assert notes == ["only the first 10240 characters were read"]


# --- case, separators, order ---------------------------------------------------------------


@st.composite
def recased(draw, text):
    capitals = draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    return "".join(
        char.upper() if capital else char.lower()
        for char, capital in zip(text, capitals, strict=True)
    )


OBSERVED = sorted({row.value for row in read_observed()})


@settings(max_examples=rounds(300), deadline=None)
@given(st.data())
def test_the_answer_does_not_depend_on_case(reader, data):
    value = data.draw(st.sampled_from(OBSERVED))
    other = data.draw(recased(value))
    assert answer(reader, other) == answer(reader, value)


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, str.swapcase])
def test_no_observed_value_depends_on_a_change_of_case(reader, change):
    for value in OBSERVED:
        assert answer(reader, change(value)) == answer(reader, value), value


@pytest.mark.parametrize("separator", [" ", "_", "-", "^", "/"])
def test_the_answer_does_not_depend_on_separators(reader, separator):
    for value in OBSERVED:
        other = re.sub(r"(?<=[^\W_])[ _^/-](?=[^\W_])", separator, value)
        assert answer(reader, other) == answer(reader, value), value


SIDES = {
    "de": ("links", "rechts", "li", "re", "bds", "L", "R"),
    "en": ("left", "right", "lt", "rt", "bilateral", "L", "R"),
    "fr": ("gauche", "droit", "bilatéral", "G", "D", "R"),
    "es": ("izquierda", "derecha", "izq", "der", "I", "D"),
    "pt": ("esquerdo", "direito", "esq", "dir", "D"),
    "it": ("sinistra", "destra", "sx", "dx"),
    "nl": ("links", "rechts", "li", "re", "L", "R"),
}
VIEWS = {
    "de": ("ap", "pa", "seitlich", "axial", "schräg"),
    "en": ("ap", "pa", "lateral", "axial", "oblique"),
    "fr": ("face", "profil", "oblique"),
    "es": ("ap", "pa", "lateral", "axial", "oblicua"),
    "pt": ("ap", "pa", "perfil", "axial"),
    "it": ("ap", "pa", "laterale", "assiale", "obliqua"),
    "nl": ("ap", "pa", "lateraal", "axiaal", "dwars"),
}
PARTS = {
    "de": ("Knie", "Schulter", "Hand", "Sprunggelenk", "Thorax", "LWS", "Becken", "Ellenbogen"),
    "en": ("knee", "shoulder", "hand", "ankle", "chest", "lumbar spine", "pelvis", "elbow"),
    "fr": ("genou", "épaule", "main", "cheville", "thorax", "rachis lombaire", "bassin", "coude"),
    "es": ("rodilla", "hombro", "mano", "tobillo", "tórax", "columna lumbar", "pelvis", "codo"),
    "pt": ("joelho", "ombro", "mão", "tornozelo", "tórax", "coluna lombar", "bacia", "cotovelo"),
    "it": ("ginocchio", "spalla", "mano", "caviglia", "torace", "rachide lombare", "bacino"),
    "nl": ("knie", "schouder", "hand", "enkel", "thorax", "bekken", "elleboog", "pols"),
}


@settings(max_examples=rounds(400), deadline=None)
@given(st.data())
def test_the_answer_does_not_depend_on_the_order_of_part_side_and_view(reader, data):
    language = data.draw(st.sampled_from(LANGUAGES))
    words = [
        data.draw(st.sampled_from(PARTS[language])),
        data.draw(st.sampled_from(SIDES[language])),
        data.draw(st.sampled_from(VIEWS[language])),
    ]
    given_answer = answer(reader, " ".join(words), "DX")
    assert given_answer[0], words
    for order in itertools.permutations(words):
        separator = data.draw(st.sampled_from(SEPARATORS))
        value = data.draw(recased(separator.join(order)))
        assert answer(reader, value, "DX") == given_answer


def test_every_word_of_the_vocabulary_is_found_whatever_its_case(reader):
    for key, entry in reader.words.sites.items():
        if entry.kind is Kind.SITE and len(key) == 1 and entry.phrase.isascii():
            value = entry.phrase
            assert answer(reader, value.upper()) == answer(reader, value.lower()), value
