import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "data" / "rf2-example"


class Package:
    """A copy of the example release whose files can be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, part: str) -> Path:
        """Return the one file whose name has `part`."""
        (found,) = [one for one in self.folder.rglob("*.txt") if part in one.name]
        return found

    def edit(self, part: str, change: Callable[[list[str]], list[str]]) -> None:
        """Replace the lines of a file, header included, without their ends."""
        path = self.file(part)
        lines = path.read_bytes().decode().split("\r\n")[:-1]
        path.write_bytes("".join(f"{line}\r\n" for line in change(lines)).encode())

    def set_cell(self, part: str, line: int, column: str, value: str) -> None:
        """Replace a cell; lines count from 1, the header is the first."""

        def change(lines: list[str]) -> list[str]:
            cells = lines[line - 1].split("\t")
            cells[lines[0].split("\t").index(column)] = value
            return [*lines[: line - 1], "\t".join(cells), *lines[line:]]

        self.edit(part, change)

    def append(self, part: str, *cells: str) -> None:
        self.edit(part, lambda lines: [*lines, "\t".join(cells)])

    def rename(self, change: Callable[[str], str]) -> None:
        for path in list(self.folder.rglob("*.txt")):
            path.rename(path.with_name(change(path.name)))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    folder = tmp_path / "release"
    shutil.copytree(EXAMPLE, folder)
    return Package(folder)
