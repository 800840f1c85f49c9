import pytest

from classifier.data.leftovers import Leftovers
from classifier.data.pictures import Pictures, stem_of
from classifier.data.rows import table_rows, text_lines
from classifier.errors import DataSetError


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\n", [(1, "a"), (2, "b")]),
        (b"\xef\xbb\xbfa\r\n\r\nb", [(1, "a"), (3, "b")]),
        ("a\x85\u2028b\x0c".encode(), [(1, "a\x85\u2028b\x0c")]),
        (b"", []),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path, data, expected):
    path = tmp_path / "lines.txt"
    path.write_bytes(data)
    assert list(text_lines(path)) == expected


def test_text_that_is_no_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"one\ntwo\nM\xfcller\n")
    with pytest.raises(DataSetError, match=r"latin.txt:3: byte 0xfc is no UTF-8"):
        list(text_lines(path))
    with pytest.raises(DataSetError, match=r"absent.txt"):
        list(text_lines(tmp_path / "absent.txt"))


def test_table_columns_are_found_in_any_case_and_order(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbf ID ,Caption\r\n1," a ""b"", c "\r\n\r\n2,d\r\n3\r\n')
    leftovers = Leftovers(tmp_path)
    rows = list(table_rows(path, ("caption", "id"), leftovers))
    assert rows == [
        (2, {"id": "1", "caption": 'a "b", c'}),
        (4, {"id": "2", "caption": "d"}),
    ]
    assert leftovers.rows == 3
    assert leftovers.left_out()[0].example == "table.csv:5: 1 cells"


def test_a_missing_column_names_the_ones_there_are(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("ID,Text\n1,a\n")
    with pytest.raises(DataSetError, match=r"table.csv:1: no column 'Caption' among 'id, text'"):
        list(table_rows(path, ("ID", "Caption"), Leftovers(tmp_path)))


def test_few_broken_rows_are_left_out_and_many_are_refused(tmp_path):
    leftovers = Leftovers(tmp_path)
    leftovers.rows = 20
    for line in (3, 7):
        leftovers.broken(f"t.csv:{line}", "a bad code", f"'x{line}'", "a code")
    leftovers.leave("a row without an image file", "t.csv:9")
    leftovers.check(17, "Mend it.")
    assert [(one.reason, one.count, one.example) for one in leftovers.left_out()] == [
        ("a bad code", 2, "t.csv:3: 'x3'"),
        ("a row without an image file", 1, "t.csv:9"),
    ]
    leftovers.broken("t.csv:8", "another", "'y'", "a number")
    with pytest.raises(DataSetError) as refused:
        leftovers.check(16, "Mend it.")
    assert str(refused.value) == (
        "t.csv:3: 'x3'; 3 of 20 rows are broken: also t.csv:7, t.csv:8; expected a code. Mend it."
    )


def test_no_sample_at_all_is_refused_with_the_reasons(tmp_path):
    leftovers = Leftovers(tmp_path)
    leftovers.leave("a row without an image file", "t.csv:9")
    with pytest.raises(DataSetError, match=r"without an image file \(1, such as t.csv:9\)"):
        leftovers.check(0, "Mend it.")
    with pytest.raises(DataSetError, match="there is none"):
        Leftovers(tmp_path).check(0, "Mend it.")


def test_what_is_forbidden_to_be_left_out_is_an_error(tmp_path):
    leftovers = Leftovers(tmp_path)
    leftovers.forbid("missing", "a file", "Get it.")
    leftovers.leave("missing", "a.png")
    with pytest.raises(DataSetError, match=r"a.png: missing \(1 in all\)"):
        leftovers.forbid("missing", "a file", "Get it.")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("A.PNG", "a"),
        ("1.2.840.113", "1.2.840.113"),
        ("PMC1_CRIM2013-931546.003.jpg", "pmc1_crim2013-931546.003"),
    ],
)
def test_only_the_suffix_of_an_image_is_cut_off(name, stem):
    assert stem_of(name) == stem


def test_pictures_are_found_with_another_suffix_and_the_rest_is_known(tmp_path):
    for name in ("b/x.png", "a/x.jpg", "a/y.tiff", "a/z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pictures = Pictures(tmp_path)
    assert pictures.of("x.png") == (tmp_path / "b/x.png", tmp_path / "a/x.jpg")
    assert pictures.of("x") == (tmp_path / "a/x.jpg", tmp_path / "b/x.png")
    assert pictures.of("z") == ()
    assert pictures.unused() == [tmp_path / "a/y.tiff"]
    assert Pictures(tmp_path / "absent").unused() == []


def test_folders_that_are_links_are_followed_once(tmp_path):
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "x.png").touch()
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "images").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(folder)
    assert Pictures(folder).of("x") == (folder / "images" / "x.png",)


def test_the_files_of_one_image_beside_the_first_are_counted(tmp_path):
    leftovers = Leftovers(tmp_path)
    assert leftovers.first((tmp_path / "a.png", tmp_path / "b.png")) == tmp_path / "a.png"
    assert [one.example for one in leftovers.left_out()] == ["b.png"]
