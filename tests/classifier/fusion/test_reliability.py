import pytest
from click.testing import CliRunner

from classifier.fusion import Agreement, FusionSettings, HeaderReliability
from classifier.fusion.reliability import read_agreement
from classifier.reliability_cli import reliability
from terminology.errors import TableError
from terminology.settings import SettingsError
from tests.classifier.fusion.conftest import ABDOMEN, CHEST, KNEE, THIGH

HEADER = "header\theader_display\tverdict\tverdict_display\tcount\n"


def test_rows_of_one_value_and_verdict_are_added(graph):
    words = {"CHEST": CHEST, "THORAX": CHEST}
    found = HeaderReliability.learn(
        [
            Agreement("CHEST", CHEST, 3),
            Agreement("THORAX", "51185008", 4),  # the former code of the chest
            Agreement("XYZZY", KNEE),
            Agreement("", KNEE, 2),
            Agreement("12738006", KNEE, 0),
        ],
        graph,
        words.get,
    )
    assert found.counts == {(CHEST, CHEST): 7, ("missing", KNEE): 2, ("unmapped", KNEE): 1}
    assert found.total == 10


def test_what_is_written_is_read_again(graph, tmp_path):
    rows = [Agreement(KNEE, THIGH, 4), Agreement("", CHEST, 2), Agreement(KNEE, KNEE, 40)]
    first, second = tmp_path / "1.tsv", tmp_path / "2.tsv"
    HeaderReliability.learn(rows, graph).write(first, graph)
    read = HeaderReliability.read(first, graph)
    assert read.counts == {(KNEE, KNEE): 40, (KNEE, THIGH): 4, ("missing", CHEST): 2}
    HeaderReliability.learn(reversed(rows), graph).write(second, graph)
    assert first.read_bytes() == second.read_bytes()
    assert f"{KNEE}\tKnee\t{THIGH}\tThigh\t4\n" in first.read_text()


@pytest.mark.parametrize(
    ("line", "slot"),
    [
        (f"99\t\t{KNEE}\t\t1", "header"),
        (f"KNEE\t\t{KNEE}\t\t1", "header"),
        (f"{KNEE}\t\tknee\t\t1", "verdict"),
        (f"{KNEE}\t\t\t\t1", "verdict"),
        (f"{KNEE}\t\t{KNEE}\t\t-1", "count"),
        (f"{KNEE}\t\t{KNEE}\t\t1.5", "count"),
        (f"{KNEE}\t\t{KNEE}\t\t" + "9" * 40, "count"),
        (f"{KNEE}\t{KNEE}\t1", "row"),
    ],
)
def test_a_bad_row_is_named(graph, tmp_path, line, slot):
    path = tmp_path / "bad.tsv"
    path.write_text(HEADER + f"{KNEE}\t\t{KNEE}\t\t1\n{line}\n")
    with pytest.raises(TableError) as raised:
        HeaderReliability.read(path, graph)
    assert [(one.line, one.slot) for one in raised.value.problems] == [(3, slot)]


def test_a_table_of_a_site_has_its_columns_in_any_order(tmp_path):
    commas = tmp_path / "a.csv"
    commas.write_text('﻿file,verdict,header,count\na,"816094009",CHEST,2\nb,,KNEE,1\n')
    tabs = tmp_path / "a.TSV"
    tabs.write_text(f"header\tverdict\nCHEST, PA\t{CHEST}\n\t{KNEE}\n")
    assert [(one.header, one.verdict, one.count) for one in read_agreement(commas)] == [
        ("CHEST", CHEST, 2)
    ]
    assert [(one.header, one.verdict, one.count) for one in read_agreement(tabs)] == [
        ("CHEST, PA", CHEST, 1),
        ("", KNEE, 1),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"header,verdict\n\xff\xfe,1\n", b"header,verdict,count\nA,1,many\n"],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(TableError):
        read_agreement(path)
    with pytest.raises(TableError):
        read_agreement(tmp_path / "none.csv")


def test_settings_are_the_table_fusion_of_the_file(tmp_path, graph):
    path = tmp_path / "settings.toml"
    path.write_text(
        "refine_from = 0.8\n[fusion]\n"
        'policy = "any"\ntau_hi = 1\n'
        'reliability = "counts.tsv"\nreview_without = ["header-conflict"]\n'
    )
    found = FusionSettings.read(path)
    assert found == FusionSettings(
        policy="any",
        tau_hi=1,
        reliability=tmp_path / "counts.tsv",
        review_without=("header-conflict",),
    )
    with pytest.raises(TableError):
        HeaderReliability.of(found, graph)
    HeaderReliability.learn([Agreement(KNEE, KNEE, 2)], graph).write(tmp_path / "counts.tsv", graph)
    assert HeaderReliability.of(found, graph).total == 2
    path.write_text("refine_from = 0.8\n")
    assert FusionSettings.read(path) == FusionSettings()
    assert HeaderReliability.of(FusionSettings(), graph).total == 0


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("tau = 0.5", "tau"),
        ("tau_hi = 1.5", "tau_hi"),
        ("tau_hi = true", "tau_hi"),
        ("tau_hi = nan", "tau_hi"),
        ('policy = "all"', "policy"),
        ("policy = [1]", "policy"),
        ("reliability = 3", "reliability"),
        ('no_body = "document"', "no_body"),
        ("smoothing = 0", "smoothing"),
    ],
)
def test_a_setting_that_is_none_is_named(tmp_path, line, key):
    path = tmp_path / "settings.toml"
    path.write_text(f"[fusion]\n{line}\n")
    with pytest.raises(SettingsError) as raised:
        FusionSettings.read(path)
    assert raised.value.where == f"{path} fusion.{key}"


@pytest.mark.parametrize("content", ["fusion = 3\n", "[fusion\n"])
def test_what_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(SettingsError):
        FusionSettings.read(path)
    with pytest.raises(SettingsError):
        FusionSettings.read(tmp_path / "none.toml")


def test_the_command_counts_words_and_codes(tmp_path, graph):
    table, out = tmp_path / "seen.csv", tmp_path / "counts.tsv"
    table.write_text(
        f"header,verdict,count\nCHEST,{CHEST},90\nThorax,{ABDOMEN},10\n{KNEE},{KNEE},5\n"
        f",{CHEST},7\nXYZZY,{KNEE},3\n"
    )
    result = CliRunner().invoke(reliability, ["learn", str(table), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert HeaderReliability.read(out, graph).counts == {
        (KNEE, KNEE): 5,
        (CHEST, CHEST): 90,
        (CHEST, ABDOMEN): 10,
        ("missing", CHEST): 7,
        ("unmapped", KNEE): 3,
    }
    shown = CliRunner().invoke(reliability, ["show", str(out)])
    assert shown.output == result.output
    assert (
        shown.output.splitlines()[0]
        == "115 images; 105 headers name a site, of which 90.5% rightly"
    )
    assert f"{CHEST} |Chest|\t100 images, 90.0% right; 10 Abdomen" in shown.output


@pytest.mark.parametrize("rows", [f"KNEE,{KNEE},0\n", "KNEE,99,1\n", "KNEE,,1\n"])
def test_the_command_refuses_a_table_that_says_nothing(tmp_path, rows):
    table, out = tmp_path / "seen.csv", tmp_path / "counts.tsv"
    table.write_text("header,verdict,count\n" + rows)
    result = CliRunner().invoke(reliability, ["learn", str(table), "--out", str(out)])
    assert result.exit_code == 2
    assert not out.exists()
