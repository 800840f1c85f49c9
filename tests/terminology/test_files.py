import stat

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
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


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
