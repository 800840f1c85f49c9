"""Broken releases are refused, each bad row with file, line and column."""

import zipfile

import pytest

from terminology.rf2 import ReleaseError, read_release

from .conftest import EXAMPLE, Package
from .test_read_release import zipped

CONCEPT, DESCRIPTION = "sct2_Concept", "sct2_Description_Snapshot-en"
RELATIONSHIP, CONCRETE = "sct2_Relationship_", "sct2_RelationshipConcreteValues"
LANGUAGE, SIMPLE = "LanguageSnapshot-en", "der2_Refset_Simple"
DOMAIN, MODULES = "MRCMAttributeDomain", "ModuleDependency"
# Valid, but of a concept that the example does not have.
ABSENT = "9009999999108"


def refused(package: Package) -> ReleaseError:
    with pytest.raises(ReleaseError) as raised:
        read_release([package.folder])
    return raised.value


@pytest.mark.parametrize(
    ("file", "column", "value", "what"),
    [
        (CONCEPT, "id", "85562005", "'85562005' fails the SNOMED CT check digit"),
        (CONCEPT, "id", "2884458015", "'2884458015' has partition 01"),
        (CONCEPT, "id", "", "'' is empty"),
        (CONCEPT, "moduleId", "9000000000002070080", "has 19 digits, not 6 to 18"),
        (CONCEPT, "effectiveTime", "20250229", "'20250229' is no day of the calendar"),
        (CONCEPT, "effectiveTime", "2025-02-28", "is not eight digits"),
        (CONCEPT, "active", "yes", "'yes' is neither 0 nor 1"),
        (CONCEPT, "definitionStatusId", "138875005", "'138875005' is no definition status"),
        (DESCRIPTION, "id", "138875005", "'138875005' has partition 00"),
        (DESCRIPTION, "conceptId", ABSENT, f"'{ABSENT}' is not in the release"),
        (DESCRIPTION, "typeId", ABSENT, f"'{ABSENT}' is not in the release"),
        (DESCRIPTION, "languageCode", "EN", "'EN' is no language code"),
        (DESCRIPTION, "term", "", "'' is empty"),
        (DESCRIPTION, "term", "a\rb", "has a carriage return"),
        (RELATIONSHIP, "id", "138875005", "'138875005' has partition 00"),
        (RELATIONSHIP, "sourceId", ABSENT, f"'{ABSENT}' is not in the release"),
        (RELATIONSHIP, "destinationId", ABSENT, f"'{ABSENT}' is not in the release"),
        (RELATIONSHIP, "typeId", ABSENT, f"'{ABSENT}' is not in the release"),
        (RELATIONSHIP, "relationshipGroup", "-1", "'-1' is no relationship group"),
        (CONCRETE, "value", "5", "'5' is no concrete value"),
        (LANGUAGE, "id", "no-uuid", "'no-uuid' is no UUID"),
        (LANGUAGE, "acceptabilityId", "138875005", "'138875005' is no acceptability"),
        (SIMPLE, "referencedComponentId", "85562005", "fails the SNOMED CT check digit"),
        (DOMAIN, "grouped", "one", "'one' is no integer"),
        (MODULES, "sourceEffectiveTime", "2026", "'2026' is not eight digits"),
    ],
)
def test_a_bad_cell_is_named(package, file, column, value, what):
    package.set_cell(file, 2, column, value)
    error = refused(package)
    (problem,) = [one for one in error.problems if one.slot == column]
    assert problem.file == f"release/{package.file(file).relative_to(package.folder)}"
    assert problem.line == 2
    assert what in problem.what
    assert f"{problem.file}:2 {column}: " in str(error)


def test_a_row_with_another_number_of_columns_is_named(package):
    package.edit(SIMPLE, lambda lines: [lines[0], lines[1] + "\tx", "", *lines[2:]])
    problems = refused(package).problems
    assert [(one.line, one.what, one.expected) for one in problems] == [
        (2, "the row has 7 columns", "6 columns"),
        (3, "the row has one column", "6 columns"),
    ]


def test_lines_are_counted_right_after_a_bad_row(package):
    package.edit(CONCEPT, lambda lines: [lines[0], "x", *lines[1:]])
    package.set_cell(CONCEPT, 9, "active", "2")
    assert [(one.line, one.slot) for one in refused(package).problems] == [
        (2, "row"),
        (9, "active"),
    ]


def test_lines_are_counted_right_beyond_one_block(package, monkeypatch):
    monkeypatch.setattr("terminology.rf2.tables._BLOCK", 100)
    package.set_cell(CONCEPT, 60, "active", "2")
    assert [(one.line, one.slot) for one in refused(package).problems] == [(60, "active")]


def test_bytes_that_are_not_utf_8_are_named(package):
    path = package.file(DESCRIPTION)
    lines = path.read_bytes().split(b"\r\n")
    lines[4] = lines[4].replace(b"o", b"\xe9", 1)
    path.write_bytes(b"\r\n".join(lines))
    (problem,) = refused(package).problems
    assert (problem.line, problem.slot) == (5, "term")
    assert problem.what == "the bytes e9 are not UTF-8"


@pytest.mark.parametrize(
    ("file", "header"),
    [
        (CONCEPT, "id\teffectiveTime\tactive\tmoduleId\tstatusId"),
        (CONCEPT, "effectiveTime\tid\tactive\tmoduleId\tdefinitionStatusId"),
        (CONCEPT, "id,effectiveTime,active,moduleId,definitionStatusId"),
        (SIMPLE, "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tvalueId"),
        (LANGUAGE, "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId"),
        (LANGUAGE, "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tid"),
        (LANGUAGE, "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\t"),
    ],
)
def test_a_header_that_is_not_the_standard_one_is_refused(package, file, header):
    package.edit(file, lambda lines: [header, *lines[1:]])
    (problem,) = refused(package).problems
    assert (problem.line, problem.slot) == (1, "header")


def test_an_empty_file_is_refused_and_one_with_a_header_only_is_not(package):
    package.file(SIMPLE).write_bytes(b"")
    assert refused(package).problems[0].what == "the file is empty"
    package.file(SIMPLE).write_bytes(package.file("AssociationSnapshot").read_bytes())
    assert refused(package).problems[0].slot == "header"


def test_bad_cells_of_all_files_are_told_at_once_up_to_a_limit(package):
    for file in (CONCEPT, SIMPLE):
        package.set_cell(file, 3, "active", "x")
    assert len(refused(package).problems) == 2

    def all_broken(lines: list[str]) -> list[str]:
        return [lines[0], *(line.replace("\t1\t", "\tx\t", 1) for line in lines[1:])]

    package.edit(LANGUAGE, all_broken)
    error = refused(package)
    assert len(error.problems) == 100
    # The others are not read any more.
    assert error.total == 1 + 283
    assert "... and 279 more." in str(error)


def test_rows_that_only_others_broke_are_not_blamed(package):
    package.set_cell(CONCEPT, 2, "active", "x")
    package.edit(CONCEPT, lambda lines: lines[:30])
    assert {one.slot for one in refused(package).problems} == {"active"}


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (CONCEPT, "no Concept file was found"),
        ("sct2_Description", "no Description file was found"),
        (RELATIONSHIP, "no Relationship file was found"),
    ],
)
def test_a_release_that_lacks_a_file_of_components_is_refused(package, file, what):
    for path in list(package.folder.rglob(f"{file}*")):
        path.unlink()
    assert what in str(refused(package))


def test_a_release_without_module_dependencies_needs_the_version_uri(package):
    package.file(MODULES).unlink()
    assert "--version-uri" in refused(package).remedy
    uri = "http://snomed.info/sct/19999999103/version/20260101"
    assert read_release([package.folder], version_uri=uri).version == uri


def test_what_is_no_package_is_refused(tmp_path):
    for path, what in (
        (tmp_path / "none", "cannot be read"),
        (tmp_path, "no Concept file"),
        (EXAMPLE / "README.md", "is neither a folder nor a zip"),
    ):
        with pytest.raises(ReleaseError, match=what):
            read_release([path])
    with pytest.raises(ReleaseError, match="no release was named"):
        read_release([])


def test_a_damaged_zip_is_refused(tmp_path):
    path = zipped(EXAMPLE, tmp_path / "r.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = next(one for one in archive.infolist() if "sct2_Description" in one.filename)
    for place in range(member.header_offset + 300, member.header_offset + 340):
        data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(ReleaseError, match="cannot be read"):
        read_release([path])
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReleaseError, match="is neither a folder nor a zip"):
        read_release([path])


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zipped(EXAMPLE, tmp_path / "r.zip")
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        data[place + 8] |= 1
        place = data.find(b"PK\x01\x02", place + 4)
    path.write_bytes(data)
    with pytest.raises(ReleaseError, match="encrypted"):
        read_release([path])


def test_a_member_of_what_is_not_there_is_left_out_not_refused(package):
    package.set_cell(SIMPLE, 2, "referencedComponentId", ABSENT)
    package.set_cell(SIMPLE, 3, "refsetId", ABSENT)
    rows = read_release([package.folder])
    (note,) = [one.left_out for one in rows.report if "SimpleSnapshot" in one.name]
    assert note == (
        "1 member of reference sets not in the release; 1 member with components not in the release"
    )
    (simple,) = [one for one in rows.refsets if one.pattern == "Refset"]
    assert len(simple.id) == 2


@pytest.mark.parametrize(
    ("column", "value", "note"),
    [
        (
            "characteristicTypeId",
            "900000000000010007",
            "1 of a characteristic type other than inferred or additional",
        ),
        ("modifierId", "900000000000450001", "1 with a modifier other than"),
    ],
)
def test_relationships_that_define_otherwise_are_left_out(package, column, value, note):
    before = len(read_release([package.folder]).relationships.id)
    package.set_cell(RELATIONSHIP, 2, column, value)
    rows = read_release([package.folder])
    assert len(rows.relationships.id) == before - 1
    (told,) = [one.left_out for one in rows.report if RELATIONSHIP in one.name]
    assert told.startswith(note)
