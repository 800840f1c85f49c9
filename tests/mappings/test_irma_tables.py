"""The tables of the IRMA code, tested as data: both lists, all four axes.

The decisions on the anatomical axis of 2008 are tested one by one in `test_crosswalk_tables`.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from pydicom.sr import _cid_dict, _concepts_dict

from terminology import sssom
from terminology.checks import check_tables
from terminology.concept import Laterality
from terminology.crosswalk import Crosswalk
from terminology.graph import BodyStructureGraph
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, RELATED, MappingSet, SemanticMapping
from terminology.sources.irma import Axis
from terminology.sources.irma_lists import embedded_lists
from terminology.tables import mappings_folder

ROOT = Path(__file__).parents[2]
NAMES = {
    Axis.TECHNICAL: "irma-technical",
    Axis.DIRECTIONAL: "irma-directional",
    Axis.ANATOMICAL: "irma-anatomy",
    Axis.BIOLOGICAL: "irma-biological",
}
TABLES = [(axis, version) for axis in Axis for version in ("2003", "2008")]
COUNTS = {
    (Axis.TECHNICAL, "2008"): 679,
    (Axis.DIRECTIONAL, "2008"): 115,
    (Axis.ANATOMICAL, "2008"): 268,
    (Axis.BIOLOGICAL, "2008"): 575,
    # 308 in the public copy, which runs two lines together and misprints the code of a third.
    (Axis.TECHNICAL, "2003"): 310,
    (Axis.DIRECTIONAL, "2003"): 84,
    (Axis.ANATOMICAL, "2003"): 142,
    (Axis.BIOLOGICAL, "2003"): 186,
}
# category of the object: the context groups of PS3.16 that name the codes, where one does.
GROUPS = {
    "view": (4010, 4012),
    "plane": (2, 6),
    "posture": (20,),
    "respiration": (3823,),
    "condition": (91,),
    "joint-position": (92,),
    "modality": (29,),
}
CATEGORIES = {
    Axis.TECHNICAL: {"modality"},
    Axis.DIRECTIONAL: set(GROUPS) - {"modality"},
    Axis.ANATOMICAL: {None},
    Axis.BIOLOGICAL: {"body-system", "organ"},
}


@cache
def table(axis: Axis, version: str) -> MappingSet:
    return sssom.read(mappings_folder() / f"{NAMES[axis]}-{version}.sssom.tsv")


@cache
def by_code(axis: Axis, version: str) -> dict[str, list[SemanticMapping]]:
    found: dict[str, list[SemanticMapping]] = defaultdict(list)
    for row in table(axis, version).mappings:
        found[sssom.subject_code(row)].append(row)
    return found


def codes_of(axis: Axis, version: str) -> set[str]:
    return {code for one, code in embedded_lists().of(version).entries if one is axis}


@cache
def group(number: int) -> dict[str, str]:
    """Code → meaning of one context group, as pydicom has it."""
    return {
        code: meaning
        for scheme, keywords in _cid_dict.cid_concepts[number].items()
        for keyword in keywords
        for code, (meaning, _) in _concepts_dict.concepts[scheme][keyword].items()
    }


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_a_list_has_its_codes(axis: Axis, version: str) -> None:
    assert len(codes_of(axis, version)) == COUNTS[axis, version]


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_every_code_of_every_list_is_decided_and_no_other(axis: Axis, version: str) -> None:
    assert set(by_code(axis, version)) == codes_of(axis, version)


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_a_table_says_its_axis_and_its_version(axis: Axis, version: str) -> None:
    metadata = table(axis, version).metadata
    name = f"{NAMES[axis]}-{version}"
    assert metadata["mapping_set_id"] == f"https://w3id.org/bodysite/mappings/{name}"
    assert metadata["subject_source"] == axis.system
    assert metadata["subject_source_version"] == version


def test_the_same_code_of_two_lists_is_not_the_same_entity() -> None:
    for axis in Axis:
        stems = {
            table(axis, version).curie_map["irma" if axis is Axis.ANATOMICAL else NAMES[axis]]
            for version in ("2003", "2008")
        }
        assert len(stems) == 2, axis


def test_the_crosswalk_knows_both_versions_of_every_axis() -> None:
    crosswalk = Crosswalk.load()
    for axis in Axis:
        assert crosswalk.versions(axis.system) == ("2003", "2008")


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_rows_are_labelled_with_the_path_of_the_list(axis: Axis, version: str) -> None:
    codes = embedded_lists().of(version)
    for row in table(axis, version).mappings:
        entry = codes.entries[axis, sssom.subject_code(row)]
        above = codes.path(axis, entry.parent) if entry.parent else None
        assert row.subject_label == " > ".join(filter(None, (above, entry.text))), row.line


def test_the_tables_pass_the_check() -> None:
    names = [f"{NAMES[axis]}-{version}.sssom.tsv" for axis, version in TABLES]
    reports = [one for one in check_tables(mappings_folder()) if one.name in names]
    assert len(reports) == len(TABLES)
    assert [problem for one in reports for problem in one.problems] == []


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_every_row_has_an_author_a_confidence_and_a_kind_of_its_axis(
    axis: Axis, version: str
) -> None:
    for row in table(axis, version).mappings:
        assert row.author_id == "bodysite:curators", row.line
        assert row.confidence is not None, row.line
        if row.no_match:
            assert len(row.comment or "") > 10, row.line
        else:
            assert row.category in CATEGORIES[axis], row.line


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_a_code_without_counterpart_has_no_other_row(axis: Axis, version: str) -> None:
    for code, rows in by_code(axis, version).items():
        assert len(rows) == 1 or not any(row.no_match for row in rows), code


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_an_unspecified_code_maps_like_the_one_above(axis: Axis, version: str) -> None:
    decided = by_code(axis, version)
    for code in decided:
        if len(code) > 1 and code.endswith("0") and axis is not Axis.BIOLOGICAL:
            pairs = [[(row.predicate_id, row.object_id) for row in decided[one]]
                     for one in (code, code[:-1])]  # fmt: skip
            assert pairs[0] == pairs[1], code


@pytest.mark.parametrize(("axis", "version"), TABLES)
def test_what_a_code_inherits_is_broader_and_the_row_says_so(axis: Axis, version: str) -> None:
    decided = by_code(axis, version)
    for row in table(axis, version).mappings:
        if row.mapping_justification == "semapv:LogicalReasoning":
            assert row.predicate_id in {BROAD, RELATED}, row.line
            above = re.match(r"As ([0-9a-z]+)", row.comment or "")
            assert above is not None, row.line
            assert sssom.subject_code(row).startswith(above[1]), row.line
            assert row.object_id in {one.object_id for one in decided[above[1]]}, row.line


@pytest.mark.parametrize("version", ["2003", "2008"])
@pytest.mark.parametrize("axis", [Axis.TECHNICAL, Axis.DIRECTIONAL])
def test_objects_are_codes_that_dicom_publishes_for_their_kind(axis: Axis, version: str) -> None:
    for row in table(axis, version).mappings:
        if not row.no_match:
            published = {
                code: meaning
                for number in GROUPS[row.category or ""]
                for code, meaning in group(number).items()
            }
            assert published.get(sssom.object_code(row)) == row.object_label, row.line


def test_organs_and_systems_have_the_names_of_the_embedded_structures() -> None:
    graph = BodyStructureGraph.load()
    outside = set()
    for version in ("2003", "2008"):
        for row in table(Axis.BIOLOGICAL, version).mappings:
            code = sssom.object_code(row)
            if row.no_match:
                continue
            if code in graph:
                assert row.object_label == graph.lookup(code).display, row.line
            else:
                outside.add((code, row.object_label))
    assert outside <= {
        ("48075008", "Integumentary system"),
        ("44909008", "Sympathetic trunk"),
        ("51345006", "Carotid Body"),
        ("91394001", "Retroperitoneal lymph node"),
    }


def test_the_list_of_2003_states_sides_within_the_abdomen_only() -> None:
    sided = set()
    for row in table(Axis.ANATOMICAL, "2003").mappings:
        words = re.findall(r"\b(left|right)\b", row.subject_label or "")
        assert row.object_laterality == (Laterality(words[-1]) if words else None), row.line
        if words:
            sided.add(sssom.subject_code(row))
    assert sided == {"711", "713", "721", "723", "731", "733"}


def test_the_anatomical_lists_agree_but_for_the_codes_that_changed() -> None:
    changed = set()
    new, old = by_code(Axis.ANATOMICAL, "2008"), by_code(Axis.ANATOMICAL, "2003")
    for code, rows in old.items():
        pairs = [
            {(row.predicate_id, row.object_id, row.object_laterality) for row in one}
            for one in (rows, new[code])
        ]
        if pairs[0] != pairs[1]:
            changed.add(code)
    assert changed == {"451", "452", "462", "463", "514", "515"}


MAPPED = [
    (Axis.ANATOMICAL, "2003", "462", EXACT, "85537004", "humero-scapular joint, no side"),
    (Axis.ANATOMICAL, "2003", "463", EXACT, "85856004", "acromio-scapula joint"),
    (Axis.ANATOMICAL, "2003", "452", BROAD, "40983000", "proximal upper arm"),
    (Axis.ANATOMICAL, "2003", "514", BROAD, "113197003", "upper ribs"),
    (Axis.TECHNICAL, "2008", "112", EXACT, "RG", "analog radiography"),
    (Axis.TECHNICAL, "2008", "1121", BROAD, "RG", "analog overview image"),
    (Axis.TECHNICAL, "2008", "111", CLOSE, "DX", "digital radiography"),
    (Axis.TECHNICAL, "2008", "111a", BROAD, "IO", "bitewing"),
    (Axis.TECHNICAL, "2008", "44", EXACT, "PT", "PET"),
    (Axis.TECHNICAL, "2008", "43", BROAD, "NM", "SPECT"),
    (Axis.TECHNICAL, "2003", "211", BROAD, "US", "a restored line"),
    (Axis.TECHNICAL, "2003", "27", BROAD, "US", "a restored line"),
    (Axis.DIRECTIONAL, "2008", "110", EXACT, "272479007", "PA"),
    (Axis.DIRECTIONAL, "2008", "127", BROAD, "40199007", "AP, supine"),
    (Axis.DIRECTIONAL, "2008", "21", EXACT, "399173006", "from right to left: left lateral"),
    (Axis.DIRECTIONAL, "2008", "22", EXACT, "399198007", "from left to right: right lateral"),
    (Axis.DIRECTIONAL, "2008", "23", EXACT, "399260004", "mediolateral"),
    (Axis.DIRECTIONAL, "2008", "31", EXACT, "399162004", "craniocaudal"),
    (Axis.DIRECTIONAL, "2008", "4b", NARROW, "399270002", "Towne is one frontooccipital view"),
    (Axis.DIRECTIONAL, "2008", "49", EXACT, "399356000", "RAO"),
    (Axis.DIRECTIONAL, "2008", "5", RELATED, "399067008", "ap and lateral at once"),
    (Axis.BIOLOGICAL, "2008", "7", EXACT, "26107004", "musculoskeletal"),
    (Axis.BIOLOGICAL, "2008", "711", BROAD, "26107004", "bone age 8 months, male"),
    (Axis.BIOLOGICAL, "2008", "443", EXACT, "34516001", "ileum"),
    (Axis.BIOLOGICAL, "2008", "443", BROAD, "86762007", "ileum, of the digestive system"),
    (Axis.BIOLOGICAL, "2008", "625", EXACT, "76752008", "breast"),
    (Axis.BIOLOGICAL, "2008", "d24", BROAD, "76752008", "a fat breast with a mass"),
    (Axis.BIOLOGICAL, "2008", "111", CLOSE, "11628009", "metencephalon is a slip"),
    (Axis.BIOLOGICAL, "2008", "6", NARROW, "90264002", "reproductive system: the male one"),
]  # fmt: skip


@pytest.mark.parametrize(("axis", "version", "code", "predicate", "concept", "why"), MAPPED)
def test_a_code_maps_to_what_its_text_says(
    axis: Axis, version: str, code: str, predicate: str, concept: str, why: str
) -> None:
    found = [(row.predicate_id, sssom.object_code(row)) for row in by_code(axis, version)[code]]
    assert (predicate, concept) in found, why


def test_dicom_itself_calls_the_lateral_views_by_the_way_of_the_rays() -> None:
    assert group(7484)["399173006"] == "Right-left lateral"
    assert group(7484)["399198007"] == "Left-right lateral"


@pytest.mark.parametrize(
    ("axis", "version", "code", "word"),
    [
        (Axis.TECHNICAL, "2003", "211", "221"),
        (Axis.TECHNICAL, "2003", "221", "211"),
        (Axis.TECHNICAL, "2003", "265", "27"),
        (Axis.TECHNICAL, "2003", "27", "265"),
        (Axis.TECHNICAL, "2003", "43", "in two"),
        (Axis.TECHNICAL, "2008", "1117", "dual energy"),
        (Axis.ANATOMICAL, "2008", "463", "2003"),
        (Axis.ANATOMICAL, "2008", "922", "ankle"),
        (Axis.BIOLOGICAL, "2008", "111", "telencephalon"),
    ],
)
def test_an_odd_line_of_a_list_says_what_is_odd(
    axis: Axis, version: str, code: str, word: str
) -> None:
    assert word in (embedded_lists().of(version).entries[axis, code].comment or "")


# What the public copy of 2003 has under these codes, and the lines that it lacks.
REPAIRED = {"221": "3.5 MHz", "265": "variable frequency Doppler mode"}
RESTORED = {"211", "27"}


def test_the_lists_are_those_of_the_public_copies_but_for_the_broken_lines() -> None:
    shared = Path(os.environ.get("BODYSITE_SHARED", ROOT.parent / "shared"))
    path = shared / "reference" / "irma_axes.csv"
    if not path.is_file():
        pytest.skip(f"no {path}; BODYSITE_SHARED names the folder that has reference/")
    with path.open(encoding="utf-8", newline="") as lines:
        given = {
            (row["code_version"], row["axis"], row["code"]): row["text"]
            for row in csv.DictReader(lines)
        }
    ours = {
        (version, axis.value, code): entry.text
        for version in embedded_lists().versions
        for (axis, code), entry in embedded_lists().of(version).entries.items()
    }
    assert {code for _, _, code in ours.keys() - given.keys()} == RESTORED
    assert given.keys() <= ours.keys()
    different = {key[2]: given[key] for key in given if given[key] != ours[key]}
    assert different == REPAIRED
