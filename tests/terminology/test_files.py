import os
import stat
import sys

import pytest

from terminology.files import written_whole


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_whole(path) as stream:
        stream.write("né\r\nw")
        stream.flush()
        assert path.read_text() == "old"
    assert path.read_bytes() == "né\r\nw".encode()
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "b.txt").touch()
    modes = [stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()]
    assert modes[0] == modes[1]


def test_bytes_are_written_as_they_are(tmp_path):
    with written_whole(tmp_path / "a.bin", binary=True) as stream:
        stream.write(b"\xff\r\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\xff\r\n"


def test_after_an_error_nothing_has_changed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), written_whole(path) as stream:  # noqa: PT012
        stream.write("new")
        raise KeyError
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "no" / "a.txt"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_a_killed_writer_left_is_removed_and_what_another_one_writes_is_kept(tmp_path):
    # A name that a pattern would misread; beginnings of it belong to other files.
    path = tmp_path / "a[1].txt"
    left = [tmp_path / f".a[1].txt.building-{name}" for name in ("1", f"{os.getpid()}-abc")]
    others = [tmp_path / ".a1.txt.building-1", tmp_path / ".a[1].txt.orig"]
    link = tmp_path / ".a[1].txt.building-link"
    for one in (*left, *others):
        one.write_text("half")
    link.symlink_to(others[0])
    with written_whole(path) as first:
        first.write("first")
        with written_whole(path) as second:
            second.write("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert {one.name for one in tmp_path.iterdir()} == {one.name for one in (path, *others, link)}
