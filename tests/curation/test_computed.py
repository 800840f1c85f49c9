"""Tables that a program makes keep their date while nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.computed import ComputedTable, bring_up, plain_table, sssom_table
from curation.radlex import BLOCK
from curation.subset import Claim, Subset
from terminology import sssom
from terminology.mapping import EXACT
from terminology.tables import mappings_folder


@pytest.fixture(scope="module")
def made() -> ComputedTable:
    claim = Claim("85562004", EXACT, 0.9, "semapv:LexicalMatching", "bodysite:anatomic-locations")
    row = Subset(mappings_folder()).row("radlex:RID2", "hand", claim)
    return sssom_table("radlex.sssom.tsv", BLOCK, [row])


def test_a_new_table_has_the_day_on_which_it_is_made(made: ComputedTable, tmp_path: Path) -> None:
    (tmp_path / "radlex.sssom.tsv").write_text(made.text("", "2031-02-03"), encoding="utf-8")
    metadata = sssom.read(tmp_path / "radlex.sssom.tsv").metadata
    assert metadata["mapping_date"] == metadata["mapping_set_version"] == "2031-02-03"


@pytest.mark.parametrize(
    ("change", "date"),
    [
        (("", ""), "2031-02-03"),
        (("0.9", "0.8"), "2040-01-01"),
        (("hand\t", "hant\t"), "2040-01-01"),
        (("#license: ", "#license:  "), "2040-01-01"),
    ],
)
def test_a_table_is_dated_anew_only_when_it_changes(
    made: ComputedTable, change: tuple[str, str], date: str
) -> None:
    present = made.text("", "2031-02-03").replace(*change)
    assert made.text(present, "2040-01-01") == made.text("", date)


def test_a_plain_table_is_sorted_and_has_no_date() -> None:
    table = plain_table("one.tsv", ("code", "display"), [("2", "b"), ("10", "a")])
    assert table.text("", "2040-01-01") == "code\tdisplay\n10\ta\n2\tb\n"


def test_only_what_differs_is_written_and_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [plain_table(name, ("code",), [("1",)]) for name in ("same.tsv", "other.tsv")]
    (tmp_path / "same.tsv").write_text("code\n1\n", encoding="utf-8")
    bring_up(tables, tmp_path, "2040-01-01", write=False)
    assert not (tmp_path / "other.tsv").exists()
    bring_up(tables, tmp_path, "2040-01-01", write=True)
    assert (tmp_path / "other.tsv").read_text(encoding="utf-8") == "code\n1\n"
    states = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert states == ["as it is", "differs; --write writes it", "as it is", "written"]
