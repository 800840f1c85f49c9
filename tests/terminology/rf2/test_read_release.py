"""Releases in all the forms in which they are published."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from terminology.rf2 import ReleaseError, ReleaseRows, read_release
from terminology.rf2.rows import RefsetRows, TextColumn

from .conftest import EXAMPLE, Package

HAND, LEFT_HAND, LEFT = 85562004, 85151006, 7771000
LIMB, FINGER, THUMB = 1009999999109, 1029999999104, 1039999999102
OLD_HAND = 1069999999108
MODULE = 19999999103
VERSION = f"http://snomed.info/sct/{MODULE}/version/20260101"


def cells_of(rows: object, *names: str) -> set[tuple[object, ...]]:
    """Return chosen columns of rows as a set of tuples."""
    columns = [getattr(rows, name) for name in names]
    length = len(columns[0])
    return {
        tuple(
            column[row] if isinstance(column, TextColumn) else column[row].item()
            for column in columns
        )
        for row in range(length)
    }


def same(one: ReleaseRows, other: ReleaseRows) -> bool:
    """Return whether two releases hold equal rows, wherever these were read."""
    return facts(one) == facts(other)


def facts(rows: ReleaseRows) -> list[object]:
    found: list[object] = [rows.version]
    parts = (rows.concepts, rows.descriptions, rows.relationships, rows.concrete, rows.language)
    for part in (*parts, *rows.refsets, rows.additional, rows.identifiers):
        for name in part.__slots__ if part is not None else ():
            value = getattr(part, name)
            if name == "places":
                continue
            if isinstance(value, TextColumn):
                value = [value[row] for row in range(len(value))]
            elif isinstance(value, np.ndarray):
                value = value.tolist()
            elif name == "fields":
                value = [(key, [one[row] for row in range(len(one))]) for key, one in value.items()]
            found.append((type(part).__name__, name, value))
    return found


def refset(rows: ReleaseRows, *fields: str) -> RefsetRows:
    (found,) = [one for one in rows.refsets if tuple(one.fields) == fields]
    return found


def zipped(folder: Path, path: Path, top: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, top + one.relative_to(folder).as_posix())
    return path


@pytest.fixture(scope="module")
def example() -> ReleaseRows:
    return read_release([EXAMPLE])


# What is in the rows


def test_concepts_active_and_inactive_are_sorted_by_id(example):
    concepts = example.concepts
    assert (np.diff(concepts.id) > 0).all()
    assert len(concepts.id) == 69
    found = cells_of(concepts, "id", "active", "effective_time", "module_id")
    assert (HAND, True, 20250731, MODULE) in found
    assert (OLD_HAND, False, 20250731, MODULE) in found
    assert (138875005, True, 20020131, 900000000000207008) in found


def test_descriptions_of_every_language_and_definitions_stand_together(example):
    rows = example.descriptions
    keys = list(zip(rows.concept_id.tolist(), rows.id.tolist(), strict=True))
    assert keys == sorted(keys)
    assert rows.languages == ("de", "en")
    terms = {
        (rows.term[row], rows.languages[rows.language[row]], bool(rows.active[row]))
        for row in np.flatnonzero(rows.concept_id == HAND).tolist()
    }
    assert terms == {
        ("Hand (body structure)", "en", True),
        ("Hand", "en", True),
        ("Manus", "en", True),
        ("Fist", "en", False),
        ("Hand", "de", True),
        ("What is at the end of an arm and holds things.", "en", True),
    }
    assert 'Skin of thumb, "ball" and mount' in {rows.term[row] for row in range(len(rows.id))}


def test_inferred_relationships_are_apart_from_additional_ones(example):
    rows = example.relationships
    keys = list(zip(rows.source_id, rows.group, rows.type_id, strict=True))
    assert keys == sorted(keys)
    found = cells_of(rows, "source_id", "destination_id", "group", "type_id", "active")
    assert (LEFT_HAND, LEFT, 0, 272741003, True) in found
    assert (THUMB, 123037004, 0, 116680003, False) in found
    assert example.additional is not None
    assert cells_of(example.additional, "source_id", "destination_id") == {(THUMB, HAND)}
    assert (THUMB, HAND) not in cells_of(rows, "source_id", "destination_id")


def test_concrete_values_and_alternate_identifiers(example):
    assert cells_of(example.concrete, "source_id", "value") == {(HAND, "#5"), (THUMB, "#1")}
    assert example.identifiers is not None
    assert cells_of(
        example.identifiers,
        "identifier_scheme_id",
        "alternate_identifier",
        "referenced_component_id",
    ) == {(1099999999101, "HAND-1", HAND), (1099999999101, "THUMB", THUMB)}


def test_reference_sets_come_by_their_columns(example):
    assert {(one.pattern, tuple(one.fields), one.kinds) for one in example.refsets} == {
        ("Refset", (), ""),
        ("cRefset", ("targetComponentId",), "c"),
        ("cRefset", ("valueId",), "c"),
        ("ssRefset", ("sourceEffectiveTime", "targetEffectiveTime"), "ss"),
        (
            "cissccRefset",
            (
                "domainId",
                "grouped",
                "attributeCardinality",
                "attributeInGroupCardinality",
                "ruleStrengthId",
                "contentTypeId",
            ),
            "cisscc",
        ),
        (
            "ssccRefset",
            ("rangeConstraint", "attributeRule", "ruleStrengthId", "contentTypeId"),
            "sscc",
        ),
    }
    simple = cells_of(refset(example), "refset_id", "referenced_component_id", "active")
    assert (723264001, LIMB, False) in simple
    assert (723264001, HAND, True) in simple
    assert (
        refset(example, "rangeConstraint", "attributeRule", "ruleStrengthId", "contentTypeId")
        .fields["rangeConstraint"][0]
        .startswith("<< 182353008")
    )
    for one in (*example.refsets, example.language):
        keys = list(zip(one.refset_id, one.referenced_component_id, strict=True))
        assert keys == sorted(keys)


def test_language_members_are_apart(example):
    rows = example.language
    assert set(rows.fields) == {"acceptabilityId"}
    assert len(rows.id) == 289
    assert set(np.unique(rows.refset_id).tolist()) == {
        900000000000509007,
        900000000000508004,
        1089999999103,
    }


def test_every_row_knows_its_file_and_line(example):
    row = example.concepts.id.tolist().index(OLD_HAND)
    file, _, line = example.concepts.places.of(row).rpartition(":")
    text = (EXAMPLE.parent / file).read_bytes().decode().split("\r\n")[int(line) - 1]
    assert text.startswith(f"{OLD_HAND}\t")


def test_the_report_names_what_was_read_and_what_was_left_out(example):
    report = {one.name.rpartition("/")[2].split("_XX")[0]: one for one in example.report}
    assert (report["sct2_Concept_Snapshot"].rows, report["sct2_Concept_Snapshot"].active) == (
        69,
        67,
    )
    left_out = {name: one.left_out for name, one in report.items() if one.left_out}
    assert left_out == {
        "der2_cRefset_AssociationSnapshot": "1 member with components not in the release",
        "sct2_StatedRelationship_Snapshot": "stated relationships; the inferred ones are read",
        "sct2_sRefset_OWLExpressionSnapshot": "OWL axioms; the inferred relationships are read",
        "README.md": "not an RF2 data file",
    }


def test_progress_rises_to_one():
    told: list[tuple[str, float]] = []
    read_release([EXAMPLE], progress=lambda name, done: told.append((name, done)))
    shares = [done for _, done in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert any("sct2_Concept" in name for name, _ in told)


# The forms of a package


def test_a_zip_with_a_top_folder_is_read_as_the_folder_is(example, tmp_path):
    assert same(read_release([zipped(EXAMPLE, tmp_path / "r.zip", "SnomedCT_Own_1/")]), example)


def test_files_may_lie_flat(example, tmp_path):
    for path in EXAMPLE.rglob("*.txt"):
        shutil.copy(path, tmp_path)
    assert same(read_release([tmp_path]), example)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\r\n", b"\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.removesuffix(b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\r\n", b"\n").removesuffix(b"\n"),
    ],
    ids=["LF", "BOM", "no last line end", "all of it"],
)
def test_line_ends_and_marks_make_no_difference(package, example, change):
    for path in package.folder.rglob("*.txt"):
        path.write_bytes(change(path.read_bytes()))
    assert same(read_release([package.folder]), example)


def test_files_of_an_unpublished_release_make_the_version_so(package, example):
    package.rename(lambda name: f"x{name}")
    rows = read_release([package.folder])
    assert rows.version == VERSION.replace("/sct/", "/xsct/")
    assert same(read_release([package.folder], version_uri=VERSION), example)


def test_the_release_type_may_stand_in_the_folder_only(package, example):
    package.rename(lambda name: name.replace("_Snapshot_", "_").replace("_Snapshot-en_", "_"))
    assert len(read_release([package.folder]).concepts.id) == len(example.concepts.id)
    package.folder.joinpath("Snapshot").rename(package.folder / "Current")
    with pytest.raises(ReleaseError, match="no Concept file"):
        read_release([package.folder])


def test_the_former_order_of_the_identifier_file_is_read_too(package, example):
    def reordered(lines: list[str]) -> list[str]:
        return [
            "\t".join((scheme, code, time, active, module, component))
            for code, time, active, module, scheme, component in (
                line.split("\t") for line in lines
            )
        ]

    package.edit("sct2_Identifier", reordered)
    assert same(read_release([package.folder]), example)


def test_the_former_spelling_of_a_reference_set_header_is_read_too(package, example):
    simple = "der2_Refset_Simple"
    package.edit(simple, lambda lines: [lines[0].replace("refsetId", "refSetId"), *lines[1:]])
    assert same(read_release([package.folder]), example)


def test_what_is_archived_or_hidden_is_passed_by(package, example):
    concepts = package.file("sct2_Concept")
    for name in (f"z{concepts.name}", f"._{concepts.name}"):
        concepts.with_name(name).write_bytes(b"broken")
    rows = read_release([package.folder])
    assert same(rows, example)
    (note,) = [one.left_out for one in rows.report if "/zsct2" in one.name]
    assert note == "archived (the name begins with z)"


def test_snapshot_is_read_where_full_and_delta_lie_beside_it(package, example):
    for kind in ("Full", "Delta"):
        folder = package.folder / kind
        shutil.copytree(package.folder / "Snapshot", folder)
        for path in list(folder.rglob("*.txt")):
            path.write_bytes(b"broken")
            path.rename(path.with_name(path.name.replace("Snapshot", kind)))
    rows = read_release([package.folder])
    assert same(rows, example)
    left_out = {one.content: one.left_out for one in rows.report}
    assert left_out["Full"] == "the Snapshot of the same content is read"
    assert left_out["Delta"] == "changes only; the Snapshot or Full holds them"


def test_of_a_full_release_the_latest_state_counts(package, example):
    older = f"{HAND}\t20020131\t0\t900000000000207008\t900000000000073002"
    package.edit("sct2_Concept", lambda lines: [*lines, older])
    package.edit("sct2_Description_Snapshot-en", lambda lines: [lines[0], *both(lines[1:])])
    language = "der2_cRefset_LanguageSnapshot-en"
    package.edit(language, lambda lines: [lines[0], *both(lines[1:])])
    identifiers = "sct2_Identifier"
    package.edit(identifiers, lambda lines: [lines[0], *both(lines[1:])])
    package.rename(lambda name: name.replace("Snapshot", "Full"))
    package.folder.joinpath("Snapshot").rename(package.folder / "Full")
    rows = read_release([package.folder])
    assert same(rows, example)
    notes = {one.name.rpartition("/")[2].split("_XX")[0]: one.left_out for one in rows.report}
    assert notes["sct2_Concept_Full"] == "1 older state"
    assert notes["sct2_Description_Full-en"] == "142 older states"
    assert notes["sct2_Identifier_Full"] == "2 older states"


def both(lines: list[str]) -> list[str]:
    """Return the rows, each followed by an inactive older state of it."""
    dated = [line.split("\t") for line in lines]
    found = []
    for cells in dated:
        place = next(at for at, cell in enumerate(cells) if len(cell) == 8 and cell.isdigit())
        older = [*cells[:place], "20010131", "0", *cells[place + 2 :]]
        found += ["\t".join(cells), "\t".join(older)]
    return found


def test_of_equal_times_the_later_row_counts(package):
    package.append("sct2_Concept", str(HAND), "20250731", "0", str(MODULE), "900000000000074008")
    concepts = read_release([package.folder]).concepts
    assert (HAND, False) in cells_of(concepts, "id", "active")


# An extension on top of an edition


def extension(folder: Path, *rows: tuple[str, tuple[str, ...]]) -> Path:
    """Write a package of some files; each row goes to the file with that part in its name."""
    for part, cells in rows:
        (source,) = [one for one in EXAMPLE.rglob("*.txt") if part in one.name]
        path = folder / source.relative_to(EXAMPLE)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(source.read_bytes().partition(b"\n")[0] + b"\n")
        path.write_bytes(path.read_bytes() + "\t".join(cells).encode() + b"\n")
    return folder


def test_an_extension_overrides_what_it_has_later_or_at_the_same_time(tmp_path):
    primitive = "900000000000074008"
    later = extension(
        tmp_path / "later",
        ("sct2_Concept", (str(HAND), "20260301", "0", str(MODULE), primitive)),
        ("sct2_Concept", (str(LEFT), "20010131", "0", str(MODULE), primitive)),
        ("sct2_Concept", (str(LIMB), "20260101", "0", str(MODULE), primitive)),
    )
    rows = read_release([EXAMPLE, later])
    active = dict(zip(rows.concepts.id.tolist(), rows.concepts.active.tolist(), strict=True))
    assert not active[HAND]
    assert active[LEFT]
    assert not active[LIMB]
    rows = read_release([later, EXAMPLE])
    active = dict(zip(rows.concepts.id.tolist(), rows.concepts.active.tolist(), strict=True))
    assert active[LIMB]


def test_the_edition_is_then_the_module_of_the_extension(tmp_path):
    own = "29999999105"
    uuid = "00000000-0000-4000-8000-00000000000"
    folder = extension(
        tmp_path,
        ("sct2_Concept", (own, "20260401", "1", own, "900000000000074008")),
        *(
            (
                "ModuleDependency",
                (
                    f"{uuid}{place}",
                    "20260401",
                    "1",
                    own,
                    "900000000000534007",
                    str(target),
                    "20260401",
                    "20260101",
                ),
            )
            for place, target in enumerate((MODULE, 900000000000207008))
        ),
    )
    rows = read_release([EXAMPLE, folder])
    assert rows.version == f"http://snomed.info/sct/{own}/version/20260401"
    assert int(own) in rows.concepts.id


DESCRIBED = (
    *("9999999999115", "20260401", "1", "29999999105", "29999999105", "en"),
    *("900000000000013009", "A module", "900000000000448009"),
)


def test_an_extension_alone_names_the_rows_and_the_remedy(tmp_path):
    folder = extension(
        tmp_path,
        ("sct2_Concept", ("29999999105", "20260401", "1", "29999999105", "900000000000074008")),
        ("sct2_Description_Snapshot-en", DESCRIBED),
        (
            "sct2_Relationship_",
            (
                "9999999999127",
                "20260401",
                "1",
                "29999999105",
                "29999999105",
                str(HAND),
                "0",
                "116680003",
                "900000000000011006",
                "900000000000451002",
            ),
        ),
    )
    with pytest.raises(ReleaseError) as raised:
        read_release([folder])
    assert {(one.line, one.slot) for one in raised.value.problems} == {
        (2, "caseSignificanceId"),
        (2, "destinationId"),
        (2, "typeId"),
    }
    assert "name that one first" in raised.value.remedy


# The RF2 subset of HL7's tests


def test_the_subset_has_the_known_counts(subset_folder):
    rows = read_release([subset_folder])
    assert rows.version == "http://snomed.info/sct/31000003106/version/20250909"
    concepts, descriptions = rows.concepts, rows.descriptions
    assert (len(concepts.id), int(concepts.active.sum())) == (2258, 2254)
    assert set(concepts.id[~concepts.active].tolist()) == {
        155728006,
        155729003,
        268677005,
        307530000,
    }
    defined = concepts.definition_status_id == 900000000000073002
    assert int((defined & concepts.active).sum()) == 686
    definitions = descriptions.type_id == 900000000000550004
    assert (int((~definitions).sum()), int(definitions.sum())) == (7882, 363)
    assert int((descriptions.active & ~definitions).sum()) == 6528
    assert descriptions.languages == ("en",)
    relationships = rows.relationships
    assert (len(relationships.id), int(relationships.active.sum())) == (6945, 6945)
    for code, count in ((116680003, 3264), (363698007, 993), (272741003, 52)):
        assert int((relationships.type_id == code).sum()) == count
    assert len(rows.concrete.id) == 8
    assert len(rows.language.id) == 15909
    members = rows.language.refset_id
    assert int((members == 900000000000509007).sum()) == 7947
    assert int((members == 900000000000508004).sum()) == 7962
    associations = refset(rows, "targetComponentId")
    parts = associations.refset_id == 734139008
    assert (int(parts.sum()), int((parts & associations.active).sum())) == (29, 28)
    assert {one.pattern: len(one.id) for one in rows.refsets}["cissccRefset"] == 81
    assert {one.pattern: len(one.id) for one in rows.refsets}["ssccRefset"] == 71
    assert rows.additional is None
    assert rows.identifiers is None


def test_the_subset_can_be_served_as_unpublished(subset_folder):
    uri = "http://snomed.info/xsct/31000003106/version/20250909"
    assert read_release([subset_folder], version_uri=uri).version == uri


def test_the_package_helper_changes_one_cell(package: Package):
    package.set_cell("sct2_Concept", 2, "active", "0")
    changed = package.file("sct2_Concept").read_bytes().splitlines()
    before = next(EXAMPLE.rglob("sct2_Concept*")).read_bytes().splitlines()
    assert [one for one, other in zip(changed, before, strict=True) if one != other] == [changed[1]]
