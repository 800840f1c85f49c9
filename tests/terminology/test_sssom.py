import re

import pytest

from terminology import sssom
from terminology.concept import Laterality
from terminology.errors import TableError

BLOCK = """\
#mapping_set_id: https://w3id.org/bodysite/mappings/test
#mapping_set_version: "2026-11-20"
#license: https://creativecommons.org/publicdomain/zero/1.0/
#curie_map:
#  bodysite: https://w3id.org/bodysite/
#  irma: https://w3id.org/bodysite/irma-anatomy/
#  snomedct: http://snomed.info/id/
#  UMLS: https://uts.nlm.nih.gov/uts/umls/concept/
#subject_source: https://w3id.org/bodysite/CodeSystem/irma-anatomy
#subject_source_version: "2008"
#object_source: http://snomed.info/sct
"""
COLUMNS = (
    "subject_id\tsubject_label\tpredicate_id\tpredicate_modifier\tobject_id\tobject_label\t"
    "mapping_justification\tauthor_id\tsubject_type\tmapping_source\tconfidence\tcomment\tobject_laterality\n"
)


def row(**slots):
    values = {
        "subject_id": "irma:414",
        "subject_label": "left hand",
        "predicate_id": "skos:broadMatch",
        "object_id": "snomedct:85562004",
        "object_label": "Hand",
        "mapping_justification": "semapv:ManualMappingCuration",
        "author_id": "bodysite:curators",
        "confidence": "0.9",
        "object_laterality": "left",
        **slots,
    }
    return "\t".join(values.get(column, "") for column in COLUMNS.strip().split("\t")) + "\n"


def table(tmp_path, *rows, block=BLOCK, columns=COLUMNS):
    path = tmp_path / "test.sssom.tsv"
    path.write_text(block + columns + "".join(rows))
    return path


GOOD = (
    row(),
    row(
        subject_id="irma:414",
        predicate_id="skos:exactMatch",
        object_id="snomedct:85151006",
        object_label="Left hand",
    ),
    row(
        subject_id="irma:a",
        subject_label="tissue",
        predicate_id="skos:exactMatch",
        object_id="sssom:NoTermFound",
        object_label="",
        object_laterality="",
        comment="no body part",
    ),
    row(
        subject_id="",
        subject_label="HAND",
        subject_type="rdfs literal",
        predicate_modifier="Not",
        object_id="snomedct:7569003",
        object_label="Finger",
        confidence="",
        object_laterality="",
    ),
)


def test_slots_become_fields(tmp_path):
    mapping_set = sssom.read(table(tmp_path, *GOOD))
    first, exact, none, refused = mapping_set.mappings
    assert first.object_laterality is Laterality.LEFT
    assert first.confidence == 0.9
    assert first.line == 13
    assert exact.predicate_id == "skos:exactMatch"
    assert none.no_match
    assert none.object_laterality is None
    assert refused.negated
    assert refused.confidence is None
    assert mapping_set.metadata["mapping_set_version"] == "2026-11-20"
    assert mapping_set.metadata["subject_source_version"] == "2008"


def test_what_is_written_reads_back_and_writes_the_same_bytes(tmp_path):
    path = table(tmp_path, *GOOD)
    first = sssom.read(path)
    sssom.write(first, path)
    written = path.read_bytes()
    again = sssom.read(path)
    assert set(again.mappings) == set(first.mappings)
    assert again.metadata == first.metadata
    sssom.write(again, path)
    assert path.read_bytes() == written
    subjects = [(mapping.subject_id or "", mapping.predicate_id) for mapping in again.mappings]
    assert subjects == sorted(subjects)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"object_id": "snomedct:85562005"}, "fails the SNOMED CT check digit"),
        ({"object_id": "85562004"}, r"expected snomedct:<SCTID>"),
        ({"object_id": ""}, "object_id: empty"),
        ({"predicate_id": "skos:sameAs"}, "'skos:sameAs'; expected one of"),
        ({"predicate_id": ""}, "predicate_id: empty"),
        ({"predicate_modifier": "not"}, "'not'; expected 'Not'"),
        ({"mapping_justification": "semapv:Guess"}, "a term of semapv"),
        ({"confidence": "1.5"}, "a number from 0 to 1"),
        ({"confidence": "high"}, "a number from 0 to 1"),
        ({"object_laterality": "L"}, "left, right or bilateral"),
        ({"author_id": ""}, "who or what made the row"),
        ({"author_id": "other:me"}, "a declared prefix"),
        ({"mapping_source": "a word list"}, "a declared prefix"),
        ({"subject_id": "ihc:414"}, "a declared prefix"),
        ({"subject_id": "UMLS:C12"}, "C followed by seven digits"),
        ({"subject_id": ""}, "subject_type 'rdfs literal'"),
        ({"subject_type": "rdfs literal"}, "literal with an id"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, slots, message):
    with pytest.raises(TableError) as caught:
        sssom.read(table(tmp_path, GOOD[2], row(**slots)))
    (problem, *_) = caught.value.problems
    assert problem.line == 14
    assert re.search(message, "\n".join(map(str, caught.value.problems)))


@pytest.mark.parametrize(
    ("languages", "right"),
    [
        ("de", True),
        ("de|pt-BR", True),
        ("zh-Hant", True),
        ("", True),
        ("deutsch", False),
        ("DE", False),
        ("de,fr", False),
        ("de|", False),
    ],
)
def test_languages_are_tags_of_bcp_47(tmp_path, languages, right):
    columns = COLUMNS.replace("\tobject_lat", "\tsubject_language\tobject_lat")
    literal = row(subject_id="", subject_label="HAND", subject_type="rdfs literal")
    cells = literal.rstrip("\n").split("\t")
    cells.insert(-1, languages)
    path = table(tmp_path, "\t".join(cells) + "\n", columns=columns)
    if right:
        (mapping,) = sssom.read(path).mappings
        assert mapping.subject_language == (languages or None)
    else:
        with pytest.raises(TableError, match=f"subject_language: '{re.escape(languages)}'"):
            sssom.read(path)


def test_a_pair_is_neither_repeated_nor_both_asserted_and_negated(tmp_path):
    with pytest.raises(TableError, match=r"the pair of line 13 again"):
        sssom.read(table(tmp_path, row(), row(confidence="0.5")))
    with pytest.raises(TableError, match=r"negates line 13"):
        sssom.read(table(tmp_path, row(), row(predicate_modifier="Not")))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("", "no # block"),
        (BLOCK.replace("#license", "#licence"), "license: missing"),
        ("#a: [\n", "not YAML"),
    ],
)
def test_metadata_are_checked(tmp_path, block, message):
    with pytest.raises(TableError, match=message):
        sssom.read(table(tmp_path, row(), block=block))


def test_cells_out_of_number_and_unknown_columns_are_refused(tmp_path):
    with pytest.raises(TableError, match=r"test\.sssom\.tsv:13 row: 3 cells"):
        sssom.read(table(tmp_path, "a\tb\tc\n"))
    with pytest.raises(TableError, match="colour: unknown column"):
        sssom.read(table(tmp_path, columns="subject_id\tcolour\n"))


def test_bytes_that_are_no_utf8_are_named_by_line(tmp_path):
    path = table(tmp_path, row())
    path.write_bytes(path.read_bytes() + "Knöchel".encode("latin-1"))
    with pytest.raises(TableError, match=r":14 encoding"):
        sssom.read(path)
