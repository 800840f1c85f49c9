"""Release packages: the folder or zip, the files in it, and which of them are read."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from terminology.rf2.errors import ReleaseError
from terminology.rf2.names import Content, Extent, FileName, extent_of_folder, parse_name
from terminology.rf2.rows import FileReport

_REMEDY: Final = "Give the folder or the zip of an RF2 release as it was published."
_OWL: Final = "owlexpression", "owlaxiom", "owlontology"


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file to be read: `member` is its place in the folder or zip `package`."""

    package: Path
    member: str
    size: int
    name: FileName

    @property
    def shown(self) -> str:
        """Return the file as messages and the report name it."""
        return f"{self.package.absolute().name}/{self.member}"

    def parts(self, size: int) -> Generator[bytes]:
        """Yield the bytes of the file, `size` at a time.

        Raises
        ------
        ReleaseError
            It cannot be read: permissions, a damaged or encrypted zip.
        """
        try:
            with self._open() as stream:
                while part := stream.read(size):
                    yield part
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise _unreadable(self.shown, error) from error
        except (NotImplementedError, RuntimeError) as error:
            # zipfile says so of encrypted members and of methods it does not know.
            raise _unreadable(self.shown, error) from error

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.package.is_dir():
            with (self.package / self.member).open("rb") as stream:
                yield stream
        else:
            with zipfile.ZipFile(self.package) as archive, archive.open(self.member) as stream:
                yield stream


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to read, in reading order, and the report of those that are not."""

    files: tuple[ReleaseFile, ...]
    left_out: tuple[FileReport, ...]


def select(paths: Sequence[Path]) -> Selection:
    """Return which files of the packages are read: the Snapshot, else the Full, never the Delta.

    Raises
    ------
    ReleaseError
        A path is neither folder nor zip, or the packages lack a file that every release has.
    """
    if not paths:
        raise ReleaseError("PATH", "no release was named", "a folder or zip", _REMEDY)
    files: list[ReleaseFile] = []
    reports: list[FileReport] = []
    for path in paths:
        chosen, left_out = _select_one(path)
        files += chosen
        reports += left_out
    contents = {file.name.content for file in files}
    for content in (Content.CONCEPT, Content.DESCRIPTION, Content.RELATIONSHIP):
        if content not in contents:
            name = content.value
            raise ReleaseError(
                ", ".join(map(str, paths)),
                f"no {name} file was found",
                f"sct2_{name}_Snapshot*.txt or sct2_{name}_Full*.txt",
                f"A Delta alone is not enough. {_REMEDY}",
            )
    return Selection(tuple(files), tuple(reports))


def _select_one(path: Path) -> tuple[list[ReleaseFile], list[FileReport]]:
    others: list[str] = []
    found: list[tuple[ReleaseFile, Extent | None]] = []
    for member, size in _members(path):
        place = PurePosixPath(member)
        name = parse_name(place.name)
        if name is None:
            others.append(member)
        else:
            extent = name.extent or extent_of_folder(place.parts[:-1])
            found.append((ReleaseFile(path, member, size, name), extent))
    snapshots = {
        file.name.stem
        for file, extent in found
        if extent is Extent.SNAPSHOT and not file.name.archived
    }
    chosen: list[ReleaseFile] = []
    groups: dict[tuple[str, str], list[str]] = {}
    for file, extent in found:
        refused = _refusal(file, extent, snapshots)
        if refused is None:
            chosen.append(file)
        else:
            groups.setdefault(refused, []).append(file.shown)
    if others:
        shown = [f"{path.absolute().name}/{other}" for other in others]
        groups["documents", "not an RF2 data file"] = shown
    return chosen, [
        FileReport(_few(names), content, 0, 0, reason)
        for (content, reason), names in groups.items()
    ]


def _refusal(
    file: ReleaseFile, extent: Extent | None, snapshots: set[str]
) -> tuple[str, str] | None:
    """Return content and reason of a file that is not read."""
    name = file.name
    if name.archived:
        return name.shown, "archived (the name begins with z)"
    if extent is None:
        return name.shown, "neither name nor folder says Snapshot, Full or Delta"
    if extent is Extent.DELTA:
        return "Delta", "changes only; the Snapshot or Full holds them"
    if extent is Extent.FULL and name.stem in snapshots:
        return "Full", "the Snapshot of the same content is read"
    if name.content is Content.STATED:
        return name.shown, "stated relationships; the inferred ones are read"
    if name.pattern == "s" and name.summary.lower().endswith(_OWL):
        return name.shown, "OWL axioms; the inferred relationships are read"
    return None


def _few(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _members(path: Path) -> list[tuple[str, int]]:
    """Return name and size of the files of a package, sorted by name."""
    try:
        if path.is_dir():
            members = [
                (one.relative_to(path).as_posix(), one.stat().st_size)
                for one in path.rglob("*")
                if one.is_file()
            ]
        else:
            with zipfile.ZipFile(path) as archive:
                members = [
                    (one.filename, one.file_size) for one in archive.infolist() if not one.is_dir()
                ]
    except zipfile.BadZipFile as error:
        raise ReleaseError(
            str(path), "is neither a folder nor a zip", "an RF2 release", _REMEDY
        ) from error
    except OSError as error:
        raise _unreadable(str(path), error) from error
    # What macOS and version control leave beside the files of a release.
    return sorted(
        member
        for member in members
        if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member[0]).parts)
    )


def _unreadable(where: str, error: Exception) -> ReleaseError:
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ReleaseError(where, f"cannot be read ({detail})", "a readable file", _REMEDY)
