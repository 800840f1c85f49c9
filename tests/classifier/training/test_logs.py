import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from classifier.training.logs import Reporter, write_log


def test_bar_on_a_terminal_shows_how_much_is_done() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    with Reporter(console).bar("epoch 1/2", 4) as tell:
        tell(2, "loss 0.500")
        tell(4, "loss 0.250")
    assert "epoch 1/2" in shown.getvalue()
    assert "4/4" in shown.getvalue()
    assert "loss 0.250" in shown.getvalue()


@pytest.mark.parametrize("speaks", [True, False])
def test_without_a_terminal_there_are_lines_and_no_bars(speaks: bool) -> None:
    shown = io.StringIO()
    reporter = Reporter(Console(file=shown, force_terminal=False) if speaks else None)
    with reporter.bar("epoch 1/2", 4) as tell:
        tell(4, "loss 0.250")
    reporter.say("left out: [DX]/a.png")
    assert shown.getvalue() == ("left out: [DX]/a.png\n" if speaks else "")


def test_log_is_written_whole_each_time(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    for end in (1, 2, 2):
        write_log(path, rows[:end])
    with path.open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [
            {"epoch": "1", "loss": "0.5"},
            {"epoch": "2", "loss": "0.25"},
        ]
