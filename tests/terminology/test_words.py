from pathlib import Path

import pytest

from terminology.entries import Kind
from terminology.errors import TableError
from terminology.folding import fold, spell_out, tokens_of
from terminology.graph import BodyStructureGraph
from terminology.numbered import NUMBERED_TABLE
from terminology.sssom import read
from terminology.tables import mappings_folder
from terminology.words import (
    REGIONS_TABLE,
    TOKENS_TABLE,
    VIEWS_TABLE,
    WORDS_TABLE,
    HeaderWords,
    lookup_view,
)

PLAIN_TABLES = (
    TOKENS_TABLE,
    REGIONS_TABLE,
    VIEWS_TABLE,
    NUMBERED_TABLE,
    "snomed-rt.tsv",
)


@pytest.fixture(scope="module")
def words() -> HeaderWords:
    return HeaderWords.load()


@pytest.fixture(scope="module")
def graph() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@pytest.mark.parametrize(
    ("text", "folded", "reason"),
    [
        ("Hüfte", "hufte", "an umlaut loses its dots"),
        ("FUSS", "fuss", "case does not count"),
        ("Fuß", "fuss", "sharp s is two letters"),
        ("Crâne", "crane", "an accent goes"),
        ("ＣＨＥＳＴ", "chest", "full-width letters are the same letters"),
        ("hånd", "hand", "a ring goes"),
        ("bøjning", "bojning", "a stroke goes"),
        ("płuca", "pluca", "a Polish stroke goes"),
        ("ШЕЙНЫЕ", "шеиные", "the breve of Cyrillic goes on both sides alike"),
        ("がん", "がん", "a Japanese voicing mark is part of the letter"),
        ("발목", "발목", "Hangul stays composed"),
    ],
)
def test_folding_takes_case_and_accents_away(text, folded, reason):
    assert fold(text) == folded, reason


@pytest.mark.parametrize(
    ("text", "spelt"), [("Hüfte", "huefte"), ("Schädel", "schaedel"), ("Höft", "hoeft")]
)
def test_umlauts_are_also_known_spelt_out(text, spelt):
    assert spell_out(text) == spelt


def test_tokens_are_runs_of_letters_and_runs_of_digits():
    assert tokens_of("hand_li 3-views l5/s1") == (
        *("hand", "li", "3", "views"),
        *("l", "5", "s", "1"),
    )


def test_every_concept_of_the_words_is_a_body_structure_of_the_graph(graph):
    rows = read(mappings_folder() / WORDS_TABLE).mappings
    unknown = {row.object_id for row in rows if not row.no_match and row.object_id[9:] not in graph}
    assert not unknown


def test_every_word_names_its_language():
    rows = read(mappings_folder() / WORDS_TABLE).mappings
    assert all(row.subject_language for row in rows)


def test_the_languages_of_the_design_are_all_covered():
    rows = read(mappings_folder() / WORDS_TABLE).mappings
    count = dict.fromkeys(("de", "en", "fr", "es", "pt", "it", "nl"), 0)
    for row in rows:
        for language in (row.subject_language or "").split("|"):
            if language in count:
                count[language] += 1
    assert min(count.values()) > 200, count


def test_combined_regions_join_parts_of_the_graph(words, graph):
    assert words.regions
    for parts, region in words.regions.items():
        assert region.code in graph
        assert all(part in graph for part in parts)
        assert len(parts) > 1


def test_structures_without_sides_are_in_the_graph(words, graph):
    assert words.unpaired
    assert all(code in graph for code in words.unpaired)


@pytest.mark.parametrize("name", PLAIN_TABLES)
def test_plain_tables_are_sorted_and_hold_no_row_twice(name):
    lines = (mappings_folder() / name).read_text(encoding="utf-8").splitlines()[1:]
    keys = [line.split("\t") for line in lines]
    assert keys == sorted(keys)
    assert len(set(lines)) == len(lines)


def test_rows_are_named_by_their_true_line(words):
    entry = words.sites[("osg",)]
    file, _, line = entry.ref.partition(":")
    text = (mappings_folder() / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert text.split("\t")[0] == "OSG"


@pytest.mark.parametrize(
    ("value", "code", "dicom"),
    [
        ("AP", "399348003", "AP"),
        ("p.a.", "272479007", "PA"),
        ("CC", "399162004", "CC"),
        ("MLO", "399368009", "MLO"),
        ("seitl.", "399067008", None),
        ("Waters", "260473000", None),
    ],
)
def test_views_have_a_code_and_a_view_position(words, value, code, dicom):
    entry = lookup_view(words, value)
    assert entry is not None
    assert entry.view is not None
    assert (entry.view.code, entry.view.dicom) == (code, dicom)


def test_the_broader_view_is_a_view_of_the_table_and_the_same_in_all_rows_of_a_code(words):
    broader: dict[str, set[str]] = {}
    header, *rows = (mappings_folder() / VIEWS_TABLE).read_text(encoding="utf-8").splitlines()
    for line in rows:
        row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
        broader.setdefault(row["code"], set()).add(row["broader"])
    assert all(len(found) == 1 for found in broader.values())
    assert set(words.broader_views.values()) <= set(broader)
    assert words.broader_views["399348003"] == "399033003", "AP is a frontal view"
    assert words.broader_views["399173006"] == "399067008", "left lateral is a lateral view"
    assert "399162004" not in words.broader_views, "cranio-caudal has none"


def test_a_bad_broader_view_is_named_with_its_line(tmp_path: Path):
    for path in mappings_folder().glob("*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / VIEWS_TABLE
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("\t399033003\t\t", "\tfrontal\t\t", 1), encoding="utf-8")
    with pytest.raises(TableError, match=r"views.tsv:\d+ broader: 'frontal'"):
        HeaderWords.load(tmp_path)


def test_a_word_that_is_no_view_has_none(words):
    assert lookup_view(words, "knee") is None


@pytest.mark.parametrize("word", ["other", "xxx", "partialbody", "c arm", "head coil"])
def test_words_that_were_refused_are_rows(words, word):
    assert words.sites[tokens_of(word)].kind is Kind.NO_SITE


def test_a_missing_table_is_named(tmp_path: Path):
    with pytest.raises(TableError, match=TOKENS_TABLE):
        HeaderWords.load(tmp_path)


def test_a_bad_kind_is_named_with_its_line(tmp_path: Path):
    for path in mappings_folder().glob("*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / TOKENS_TABLE
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[3] = "side" + lines[3][lines[3].index("\t") :]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"header-tokens.tsv:4 kind: 'side'"):
        HeaderWords.load(tmp_path)


# --- rows of a kind of their own --------------------------------------------------------------


def spoilt(tmp_path: Path, table: str, *lines: str) -> HeaderWords:
    """Return the vocabulary of the shipped tables with these lines in one of them."""
    for path in mappings_folder().glob("*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / table
    path.write_text(path.read_text(encoding="utf-8") + "\n".join(lines) + "\n", encoding="utf-8")
    return HeaderWords.load(tmp_path)


def test_a_word_of_several_languages_has_a_meaning_in_each(tmp_path: Path):
    words = spoilt(tmp_path, TOKENS_TABLE, "laterality\tzaq\tleft\tit\tt", "negation\tzaq\t\tes\tt")
    entry = words.others[("zaq",)]
    assert entry.kind is Kind.LATERALITY
    assert [other.kind for other in entry.homonyms] == [Kind.NEGATION]


def test_a_view_of_some_parts_is_an_option_of_its_phrase(tmp_path: Path):
    row = "zaq\t272479007\tpostero-anterior\tPA\t399033003\t\tof:85562004+7569003\ten\tt"
    words = spoilt(tmp_path, VIEWS_TABLE, row)
    entry = words.others[("zaq",)]
    assert entry.view is None
    assert [option.parts for option in entry.options] == [{"85562004", "7569003"}]


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        (VIEWS_TABLE, "zaq\t272479007\tPA\tPA\t\t\tof:hand\ten\tt", r"when: 'of:hand'"),
        (TOKENS_TABLE, "level\tzaq\t122494005\t\tt", r"value: '122494005'; expected SCTID"),
        (TOKENS_TABLE, "laterality\tzaq\tmiddle\ten\tt", r"value: 'middle'; expected left"),
        (
            "header-numbered-parts.tsv",
            "7569003\tFinger\t\t\tsix\t83738005\tIndex finger\tt",
            r"number: 'six'; expected a number",
        ),
        (
            "header-numbered-parts.tsv",
            "7569003\tFinger\t\t\t2\t83738006\tIndex finger\tt",
            r"code: '83738006' fails",
        ),
        (
            "header-numbered-parts.tsv",
            "7569003\tFinger\t\t\t2\t83738005\tIndex finger\tt",
            r"number: '2' a second time; expected each number of a part once",
        ),
    ],
)
def test_a_bad_row_of_a_kind_is_named(tmp_path: Path, table, line, message):
    with pytest.raises(TableError, match=message):
        spoilt(tmp_path, table, line)


def test_letters_of_vertebrae_are_parts_of_the_spine(words, graph):
    assert set(words.levels) >= {"c", "t", "th", "l", "s"}
    assert all(level.entry.code in graph for level in words.levels.values())


def test_numbered_parts_lie_within_their_part(words, graph):
    for (part, number), rows in words.numbered.rows.items():
        for row in rows.values():
            assert row["code"] in graph, (part, number)
            above = graph.ancestors(row["code"])
            assert not above.isdisjoint({part, row["beside"], "85562004", "56459004"})


def test_an_elided_article_is_no_part_of_a_phrase(words):
    assert (
        words.sites[("col", "de", "uterus")].code == words.sites[("col", "de", "l", "uterus")].code
    )


def test_the_table_is_kept_as_it_was_read(words):
    assert words.table is not None
    assert words.table.name == "header-words"
