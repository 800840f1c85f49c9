import numpy as np
import pytest

from terminology.errors import IndexFileError
from terminology.release import arrays as arrays_module
from terminology.release.arrays import ArrayFile, write_arrays

ARRAYS = {
    "numbers": np.arange(10, dtype=np.int64),
    "table": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "nothing": np.zeros(0, dtype=np.uint32),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.idx"
    write_arrays(path, {"version": "one"}, iter(ARRAYS.items()))
    return path


def test_what_is_written_is_read(path):
    file = ArrayFile(path)
    assert file.facts == {"version": "one"}
    assert list(file) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert file[name].dtype == array.dtype
        np.testing.assert_array_equal(file[name], array)
    file.verify()


def test_arrays_cannot_be_changed(path):
    with pytest.raises(ValueError, match="read-only"):
        ArrayFile(path)["numbers"][0] = 1


@pytest.mark.parametrize("keep", [0, 10, 63, 64, 200, -1])
def test_a_file_that_was_cut_short_is_refused(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(IndexFileError, match=r"no index file|cut short|cannot be read"):
        ArrayFile(path)


def test_another_format_is_refused_by_its_number(path):
    content = bytearray(path.read_bytes())
    content[8:12] = (arrays_module.FORMAT + 1).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(IndexFileError, match=f"format {arrays_module.FORMAT + 1}; expected"):
        ArrayFile(path)


def test_a_damaged_directory_is_refused(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexFileError, match="directory of the index is damaged"):
        ArrayFile(path)


def test_verify_names_the_damaged_array(path):
    content = bytearray(path.read_bytes())
    content[64] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexFileError, match="numbers: the checksum is wrong"):
        ArrayFile(path).verify()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(IndexFileError, match=r"none\.idx: .* terminology build"):
        ArrayFile(tmp_path / "none.idx")


def test_a_build_that_fails_leaves_the_old_file_and_no_other(path):
    def failing():
        yield "numbers", np.arange(1000)
        raise KeyboardInterrupt

    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_arrays(path, {}, failing())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_open_file_outlives_its_replacement(path):
    old = ArrayFile(path)
    write_arrays(path, {"version": "two"}, iter([("numbers", np.zeros(3))]))
    np.testing.assert_array_equal(old["numbers"], ARRAYS["numbers"])
    assert ArrayFile(path).facts == {"version": "two"}
