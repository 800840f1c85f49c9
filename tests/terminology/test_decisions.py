"""Decisions about header values: what is accepted, how it is saved, and how it is taken back."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from terminology import sssom
from terminology.decision_files import open_rows, read_csv, read_sssom
from terminology.decisions import Decisions, by_key
from terminology.errors import BodySiteError, TableError
from terminology.journal import JOURNAL, Journal, JournalError, checksum, standing
from terminology.library import load_terminology
from terminology.local import DECISIONS_TABLE, LocalMappings
from terminology.overrides import ADDS, AGREES, OVERRIDES, compared
from terminology.proposals import (
    DecisionError,
    Proposal,
    Rules,
    author_curie,
    decision_key,
)
from terminology.sheets import SheetError

JANE = "email:jane@site.example"
JOE = "person:joe"
DAY = "2026-11-20"


@pytest.fixture(scope="module")
def library():
    return load_terminology()


@pytest.fixture(scope="module")
def rules(library):
    return Rules(library.graph, library.text.words.views)


@pytest.fixture
def decisions(tmp_path):
    return Decisions(tmp_path / "mappings")


@pytest.fixture
def decide(decisions, rules):
    """Return a function that saves one decision and gives what changed."""

    def decide(value, *codes, author=JANE, **facts):
        checked = rules.check(Proposal(value, codes, **facts), author, DAY)
        return decisions.decide([checked.rows], author, "add")

    return decide


def saying(rows):
    return {
        (
            row.subject_label,
            row.subject_field,
            row.object_id.partition(":")[2],
            row.object_laterality,
            row.object_view,
        )
        for row in rows
    }


@pytest.mark.parametrize(
    ("codes", "facts", "expected", "note"),
    [
        (("85562004",), {}, ("85562004", None, None), None),
        (("85562004 |Hand|",), {"side": "LEFT"}, ("85562004", "left", None), None),
        (("http://snomed.info/sct|85562004",), {}, ("85562004", None, None), None),
        (("85151006",), {}, ("85562004", "left", None), "is kept as 85562004 |Hand|, left"),
        (("51185008",), {}, ("816094009", None, None), "51185008 is a former code"),
        (("816094009",), {"view": "PA"}, ("816094009", None, "272479007"), None),
        (("816094009",), {"view": "399348003"}, ("816094009", None, "399348003"), None),
        ((), {}, ("NoTermFound", None, None), None),
        ((), {"side": "right"}, ("NoTermFound", "right", None), None),
    ],
)
def test_a_code_is_kept_current_and_unsided(rules, codes, facts, expected, note):
    checked = rules.check(Proposal("our word", codes, **facts), JANE, DAY)
    (row,) = checked.rows
    assert (row.object_id.partition(":")[2], row.object_laterality, row.object_view) == expected
    assert (note is None) == (not checked.notes)
    assert note is None or note in checked.notes[0]


@pytest.mark.parametrize(
    ("value", "codes", "facts", "message"),
    [
        ("x", ("85562005",), {}, "'85562005' fails the SNOMED CT check digit"),
        ("x", ("hand",), {}, "'hand' has characters other than the digits"),
        ("x", ("404684003",), {}, "'404684003' is no body structure of"),
        ("x", ("123037004",), {}, "Use --no-site"),
        ("x", ("85151006",), {"side": "right"}, "'right' with 85151006 |Left hand|"),
        ("x", ("85562004",), {"side": "up"}, "left, right or bilateral"),
        ("x", ("85562004",), {"field": "BodyPart"}, "'BodyPart' is no DICOM keyword"),
        ("x", ("85562004",), {"view": "sideways"}, "'sideways' is no known projection"),
        ("x", ("85562004",), {"scope": "line"}, "expected value or word"),
        ("x", ("85562004", "56459004"), {"scope": "word"}, "2 sites for one word"),
        (
            "x",
            ("85562004",),
            {"scope": "word", "field": "BodyPartExamined"},
            "a word, which holds in every attribute",
        ),
        ("  ", ("85562004",), {}, "it is empty"),
        ("x" * 1025, ("85562004",), {}, "it has 1025 characters"),
    ],
)
def test_what_cannot_be_decided_is_refused(rules, value, codes, facts, message):
    with pytest.raises(BodySiteError) as refused:
        rules.check(Proposal(value, codes, **facts), JANE, DAY)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("given", "curie"),
    [
        ("jane@site.example", JANE),
        ("mailto:jane@site.example", JANE),
        ("0000-0002-1825-0097", "orcid:0000-0002-1825-0097"),
        ("https://orcid.org/0000-0002-1694-233X", "orcid:0000-0002-1694-233X"),
        ("github:jane", "github:jane"),
        ("person:joe", JOE),
    ],
)
def test_an_author_is_a_curie(given, curie):
    assert author_curie(given) == curie


@pytest.mark.parametrize("given", ["jane", "0000-0002-1825-0098", "jane doe", "", "twitter:x"])
def test_an_author_who_is_nobody_is_refused(given):
    with pytest.raises(DecisionError, match=r"--author.*BODYSITE_AUTHOR"):
        author_curie(given)


def test_a_decision_is_a_canonical_row_that_the_readers_accept(decisions, decide, library):
    decide("KNIEX LI", "72696002", side="left", comment='our "own"\tword')
    decide("Ärmel", "40983000", field="StudyDescription", author=JOE)
    table = sssom.read(decisions.path)
    assert decisions.path.read_text("utf-8") == sssom.dumps(table)
    assert table.metadata["mapping_set_id"].startswith("https://")
    assert table.curie_map["email"] == "mailto:"
    assert table.curie_map["person"] == "urn:bodysite:person:"
    assert saying(table.mappings) == {
        ("KNIEX LI", None, "72696002", "left", None),
        ("Ärmel", "StudyDescription", "40983000", None, None),
    }
    assert {row.comment for row in table.mappings} == {"our own word", None}
    local = LocalMappings.read(decisions.folder)
    assert not list(local.problems(library.graph, library.text.words.views))


def test_a_decision_takes_the_place_of_one_about_the_same_value(decisions, decide):
    decide("KNIEX LI", "72696002")
    change = decide("kniex_li", "70258002")
    assert saying(change.removed) == {("KNIEX LI", None, "72696002", None, None)}
    assert saying(decisions.rows()) == {("kniex_li", None, "70258002", None, None)}
    decide("KNIEX LI", "72696002", field="BodyPartExamined")
    assert len(decisions.rows()) == 2


def test_a_decision_that_stands_is_left_as_it_is(decisions, decide):
    decide("KNIEX", "72696002")
    before = decisions.path.read_bytes(), len(decisions.log())
    assert decide("KNIEX", "72696002", author=JOE).empty
    assert (decisions.path.read_bytes(), len(decisions.log())) == before


def test_several_sites_of_one_value_are_one_decision(decisions, decide):
    decide("HAFU", "85562004", "56459004")
    assert len(by_key(decisions.rows())) == 1
    change = decide("HAFU", "85562004")
    assert (len(change.removed), len(change.added)) == (2, 1)


def test_remove_takes_all_or_nothing(decisions, decide):
    decide("KNIEX", "72696002")
    with pytest.raises(DecisionError, match="nothing is decided about 'other'"):
        decisions.remove([decision_key("knIEx", None), decision_key("other", None)], JANE)
    assert len(decisions.rows()) == 1
    decisions.remove([decision_key("knIEx", None)], JANE)
    assert decisions.rows() == ()


def test_undo_brings_back_what_an_edit_replaced(decisions, decide):
    states = []
    decide("A1", "72696002")
    states.append(saying(decisions.rows()))
    decide("A1", "70258002")
    states.append(saying(decisions.rows()))
    decisions.remove([decision_key("A1", None)], JANE)
    for state in reversed(states):
        decisions.undo(1, JOE)
        assert saying(decisions.rows()) == state
    decisions.undo(1, JOE)
    assert decisions.rows() == ()
    with pytest.raises(DecisionError, match="nothing to undo"):
        decisions.undo(1, JOE)
    assert [entry.action for entry in decisions.log()] == ["add", "add", "remove", *["undo"] * 3]


def test_undo_several_steps_and_then_decide_anew(decisions, decide):
    for value in ("A1", "A2", "A3"):
        decide(value, "72696002")
    assert len(decisions.undo(2, JOE)) == 2
    decide("A4", "70258002")
    decisions.undo(1, JOE)
    assert saying(decisions.rows()) == {("A1", None, "72696002", None, None)}
    with pytest.raises(DecisionError, match="there are only 1 edits to undo"):
        decisions.undo(5, JOE)
    assert saying(decisions.rows()) == {("A1", None, "72696002", None, None)}


def test_undo_refuses_what_was_changed_by_hand(decisions, decide):
    decide("A1", "72696002")
    text = decisions.path.read_text("utf-8").replace("72696002\tKnee", "70258002\tAnkle")
    decisions.path.write_text(text, "utf-8")
    with pytest.raises(DecisionError, match="edit 1: the row of 'A1' was changed since"):
        decisions.undo(1, JANE)
    decide("A2", "72696002")
    with pytest.raises(DecisionError, match="edit 1: the row of 'A1' was changed since"):
        decisions.undo(2, JANE)
    assert {row.subject_label for row in decisions.rows()} == {"A1", "A2"}


def test_nothing_is_made_by_taking_back(tmp_path):
    decisions = Decisions(tmp_path / "none")
    with pytest.raises(DecisionError, match="there is no such folder"):
        decisions.undo(1, JANE)
    with pytest.raises(DecisionError, match="there is no such folder"):
        decisions.remove([decision_key("A1", None)], JANE)
    with pytest.raises(DecisionError, match="there is no such folder"):
        decisions.log()
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, rules):
    (tmp_path / "file").touch()
    checked = rules.check(Proposal("A1", ("72696002",)), JANE, DAY)
    with pytest.raises(DecisionError, match="the folder cannot be written"):
        Decisions(tmp_path / "file").decide([checked.rows], JANE, "add")


def test_a_table_with_bad_rows_is_not_edited(decisions, decide):
    decide("A1", "72696002")
    bad = decisions.path.read_text("utf-8").replace("72696002", "72696003")
    decisions.path.write_text(bad, "utf-8")
    with pytest.raises(TableError, match="check digit"):
        decide("A2", "72696002")
    assert decisions.path.read_text("utf-8") == bad


def test_a_row_that_the_table_could_not_hold_is_never_written(decisions, decide, rules):
    decide("A1", "72696002")
    before = decisions.path.read_bytes()
    (row,) = rules.check(Proposal("A2", ("72696002",)), "nowhere:x", DAY).rows
    with pytest.raises(TableError, match="declared prefix"):
        decisions.decide([(row,)], "nowhere:x", "add")
    assert decisions.path.read_bytes() == before
    assert len(decisions.log()) == 1


def _one_editor(job):
    folder, name, count = job
    library = load_terminology()
    rules = Rules(library.graph, library.text.words.views)
    for number in range(count):
        checked = rules.check(Proposal(f"{name}{number}x", ("72696002",)), JANE, DAY)
        Decisions(folder).decide([checked.rows], JANE, "add")


def test_several_editors_lose_nothing(tmp_path):
    jobs = [(tmp_path, name, 8) for name in ("a", "b", "c")]
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_one_editor, jobs))
    found = Decisions(tmp_path)
    assert len(found.rows()) == 24
    assert [entry.id for entry in found.log()] == list(range(1, 25))
    assert found.log()[-1].after == checksum(found.path.read_bytes())


@pytest.mark.parametrize("place", ["journal", "table"])
def test_a_kill_leaves_the_old_or_the_new_table(decisions, decide, place):
    decide("A1", "72696002")
    old = decisions.path.read_bytes()
    # The process dies once the journal has the edit, or once the table is replaced.
    script = f"""
import os, signal
from pathlib import Path
from terminology import decisions as module
from terminology.library import load_terminology
from terminology.proposals import Proposal, Rules
library = load_terminology()
rows = Rules(library.graph, library.text.words.views).check(
    Proposal("A2", ("72696002",)), "{JANE}", "{DAY}").rows
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if "{place}" == "journal":
    module.written_whole = die
else:
    written = module.Decisions._replace
    def replace(*arguments):
        written(*arguments)
        die()
    module.Decisions._replace = replace
module.Decisions(Path({str(decisions.folder)!r})).decide([rows], "{JANE}", "add")
"""
    packages = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": packages}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert (decisions.path.read_bytes() == old) == (place == "journal")
    decide("A3", "70258002")
    labels = {row.subject_label for row in decisions.rows()}
    assert labels == ({"A1", "A3"} if place == "journal" else {"A1", "A2", "A3"})
    decisions.undo(len(labels), JOE)
    assert decisions.rows() == ()


def test_joined_journals_are_undone_edit_by_edit(decisions, decide):
    decide("A1", "72696002")
    journal = decisions.folder / JOURNAL
    (first,) = decisions.log()
    decisions.undo(1, JOE)
    decide("A2", "72696002")
    (*_, third) = decisions.log()
    # Another branch has an edit of the same number; its row came with its table.
    other = {**third.as_dict(), "author": JOE, "time": "2026-11-21T00:00:00+00:00"}
    journal.write_text(journal.read_text("utf-8") + json.dumps(other) + "\n", "utf-8")
    assert [entry.id for entry in standing(decisions.log())] == [3, 3]
    assert decisions.undo(1, JANE)[0].undone.author == JOE
    assert [entry.author for entry in standing(decisions.log())] == [JANE]
    assert decisions.log()[-1].id == 4
    assert first not in standing(decisions.log())


def test_half_a_line_in_the_journal_is_no_edit(decisions, decide):
    decide("A1", "72696002")
    with (decisions.folder / JOURNAL).open("ab") as stream:
        stream.write(b'{"id": 2, "ti')
    assert len(decisions.log()) == 1
    decide("A2", "72696002")
    assert [entry.id for entry in decisions.log()] == [1, 2]


def test_a_journal_that_is_none_is_named(decisions, decide):
    decide("A1", "72696002")
    (decisions.folder / JOURNAL).write_text('{"id": 1}\n')
    with pytest.raises(JournalError, match=r"journal\.ndjson:1: the line is no entry"):
        decide("A2", "72696002")


def test_an_entry_is_read_back_as_it_was_written(decisions, decide):
    decide("A1", "72696002", side="left", field="StudyDescription", comment="why")
    (entry,) = Journal(decisions.folder).entries()
    assert entry.added == decisions.rows()
    line = (decisions.folder / JOURNAL).read_text("utf-8")
    assert json.loads(line)["added"][0]["object_laterality"] == "left"
    assert entry.author == JANE


@pytest.mark.parametrize(
    ("value", "codes", "facts", "state"),
    [
        ("QWERTZX", ("72696002",), {}, ADDS),
        ("KNIE LI", ("72696002",), {"side": "left"}, AGREES),
        ("KNIE LI", ("72696002",), {}, AGREES),
        ("KNIE LI", ("72696002",), {"side": "right"}, OVERRIDES),
        ("KNIE LI", ("70258002",), {}, OVERRIDES),
        ("KNIE LI", (), {}, OVERRIDES),
        ("QWERTZX", (), {}, AGREES),
        ("CHEST", ("818981001",), {"field": "BodyPartExamined"}, OVERRIDES),
    ],
)
def test_a_decision_is_compared_with_the_shipped_rows(library, rules, value, codes, facts, state):
    rows = rules.check(Proposal(value, codes, **facts), JANE, DAY).rows
    found = compared(library, rows)
    assert found.state == state
    assert (state == OVERRIDES) == ("which say" in str(found))


CSV = """\
field;value;images;decision;decision_side;decision_scope;decision_comment
BodyPartExamined;KNX;7;72696002 |Knee|;left;;ours
StudyDescription;'=Foo;3;no site;;;
;hdx;1;85562004;;word;
StudyDescription;bar;2;;;;
"""


def test_a_csv_of_decisions_is_read(tmp_path, rules):
    path = tmp_path / "todo.csv"
    path.write_text("\ufeff" + CSV, "utf-8")
    found = read_csv(path, rules, JANE, DAY)
    assert found.undecided == 1
    rows = [row for rows in found.decisions for row in rows]
    assert saying(rows) == {
        ("KNX", "BodyPartExamined", "72696002", "left", None),
        ("=Foo", "StudyDescription", "NoTermFound", None, None),
        ("hdx", None, "85562004", None, None),
    }
    assert [row.subject_scope for row in rows] == ["value", "value", "word"]


def test_all_bad_rows_of_a_csv_are_named_and_nothing_is_saved(tmp_path, rules):
    path = tmp_path / "todo.csv"
    path.write_text("value,decision\nok,85562004\na,85562005\nb,hand\n")
    with pytest.raises(TableError) as refused:
        read_csv(path, rules, JANE, DAY)
    assert [(one.line, one.slot) for one in refused.value.problems] == [(3, "code"), (4, "code")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("value,code\nx,1\n", "there is no column 'decision'"),
        ("value,decision\nx,85562004,more\n", "more cells than the header has"),
        ("value,decision,decision\nx,85562004,72696002\n", "'decision' stands there 2 times"),
        ('value,decision\n"x,85562004\n', "todo.csv:2: it cannot be read as CSV"),
        ("", "there is no column 'value'"),
    ],
)
def test_a_csv_of_another_kind_is_refused(tmp_path, rules, text, message):
    path = tmp_path / "todo.csv"
    path.write_text(text)
    with pytest.raises(SheetError, match=message):
        read_csv(path, rules, JANE, DAY)


def test_a_plus_in_a_term_sets_no_codes_apart(tmp_path, rules):
    path = tmp_path / "todo.csv"
    path.write_text("value;decision\nx;72696002 |Knee + x| + 85562004 |Hand|\n")
    (rows,) = read_csv(path, rules, JANE, DAY).decisions
    assert [sssom.object_code(row) for row in rows] == ["72696002", "85562004"]


def test_cells_that_a_spreadsheet_left_out_are_empty(tmp_path, rules):
    path = tmp_path / "todo.csv"
    path.write_text("value,decision,decision_side\nx,85562004\ny\n")
    found = read_csv(path, rules, JANE, DAY)
    assert (len(found.decisions), found.undecided) == (1, 1)


@pytest.mark.parametrize(
    ("facts", "place"),
    [({"value": "H\udcfcfte"}, "VALUE"), ({"value": "x", "comment": "\udcfc"}, "--comment")],
)
def test_bytes_that_are_no_text_are_refused(rules, facts, place):
    with pytest.raises(DecisionError, match=f"{place}: it has bytes that are not UTF-8"):
        rules.check(Proposal(codes=("72696002",), **facts), JANE, DAY)


def test_two_decisions_about_one_value_are_refused(decisions, rules):
    rows = [
        rules.check(Proposal(value, (code,)), JANE, DAY).rows
        for value, code in (("KN-X", "72696002"), ("kn x", "70258002"))
    ]
    with pytest.raises(DecisionError, match="two decisions about one value"):
        decisions.decide(rows, JANE, "import")
    assert not decisions.path.exists()


def test_a_table_of_another_site_keeps_its_authors(decisions, decide, rules, tmp_path):
    decide("A1", "72696002", author="orcid:0000-0002-1825-0097")
    decide("A2", "85562004", "56459004")
    other = Decisions(tmp_path / "other")
    found = read_sssom(decisions.path, rules)
    other = Decisions(tmp_path / "other", found.prefixes)
    other.decide(found.decisions, JOE, "import")
    assert other.rows() == decisions.rows()
    assert sssom.read(other.path).curie_map["orcid"] == "https://orcid.org/"
    other.undo(1, JOE)
    assert other.rows() == ()


def test_a_table_of_codes_is_no_table_of_decisions(rules):
    from terminology.tables import mappings_folder

    with pytest.raises(DecisionError, match="Put a table of codes into the folder"):
        read_sssom(mappings_folder() / "unifesp.sssom.tsv", rules)


def test_open_rows_are_those_without_answer_and_decision(tmp_path, rules):
    report = tmp_path / "report.csv"
    report.write_text(
        "field,value,images,code,confidence\n"
        "BodyPartExamined,KNX,7,,\n"
        "BodyPartExamined,HDX,6,,\n"
        "BodyPartExamined,HAND,5,85562004,1.0\n"
        "StudyDescription,foot,4,56459004,0.5\n"
    )
    decided = rules.check(Proposal("hdx", ("85562004",)), JANE, DAY).rows
    found = open_rows(report, decided, 0.0)
    assert [row["value"] for row in found.rows] == ["KNX"]
    assert found.columns[-5:] == (
        "decision",
        "decision_side",
        "decision_view",
        "decision_scope",
        "decision_comment",
    )
    assert [row["value"] for row in open_rows(report, (), 0.6).rows] == ["KNX", "HDX", "foot"]


def test_the_table_is_where_the_readers_look(decisions):
    assert decisions.path.name == DECISIONS_TABLE
