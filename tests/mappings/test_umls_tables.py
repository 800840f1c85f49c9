"""The tables of CUIs as data: the curated one and the one made by rule, beside each other.

Some tests compare them with the reference tables they were drawn from, which are not in the
repository; they skip where the folder that BODYSITE_SHARED names is absent.
"""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from curation.umls import CURATED_TABLE, DERIVED_TABLE
from terminology import sssom
from terminology.concept import Coding
from terminology.crosswalk import UMLS, Crosswalk
from terminology.graph import BodyStructureGraph
from terminology.identifiers import cui_problem
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, RELATED, MappingSet, SemanticMapping
from terminology.sources.umls import is_blocked
from terminology.tables import mappings_folder

SHARED = Path(os.environ.get("BODYSITE_SHARED", Path(__file__).parents[2].parent / "shared"))


@cache
def table(name: str) -> MappingSet:
    return sssom.read(mappings_folder() / name)


@cache
def graph() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@cache
def crosswalk() -> Crosswalk:
    return Crosswalk.load()


def rows(cui: str) -> list[SemanticMapping]:
    return [
        row
        for name in (CURATED_TABLE, DERIVED_TABLE)
        for row in table(name).mappings
        if row.subject_id == f"UMLS:{cui}"
    ]


def targets(cui: str) -> list[tuple[str, str]]:
    answer = crosswalk().translate(Coding(UMLS, cui))
    return [(target.predicate, target.code) for target in answer.targets]


def reference(name: str) -> list[dict[str, str]]:
    path = SHARED / "reference" / name
    if not path.is_file():
        pytest.skip(f"reference/{name} is not there; BODYSITE_SHARED names the folder that has it")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_curated_table_decides_before_the_derived_one() -> None:
    assert [one.name for one in crosswalk().mapping_sets(UMLS)][:2] == [
        CURATED_TABLE.removesuffix(".sssom.tsv"),
        DERIVED_TABLE.removesuffix(".sssom.tsv"),
    ]


def test_no_cui_is_decided_in_both_tables() -> None:
    curated, derived = (
        {row.subject_id for row in table(name).mappings} for name in (CURATED_TABLE, DERIVED_TABLE)
    )
    assert curated & derived == set()


def test_the_derived_table_is_in_canonical_form_and_credits_uberon() -> None:
    derived = table(DERIVED_TABLE)
    path = mappings_folder() / DERIVED_TABLE
    assert sssom.dumps(derived).encode() == path.read_bytes()
    assert "Uberon" in str(derived.metadata["mapping_set_description"])
    assert derived.metadata["license"] == "https://creativecommons.org/licenses/by/3.0/"


def test_derived_rows_say_what_made_them_and_how_sure_they_are() -> None:
    for row in table(DERIVED_TABLE).mappings:
        assert row.author_id is None, row.line
        assert row.mapping_tool == "curation/umls.py", row.line
        assert row.confidence is not None, row.line
        assert 0.6 <= row.confidence <= 0.9, row.line
        assert row.comment, row.line
        assert row.subject_label, row.line
        assert cui_problem((row.subject_id or "")[5:]) is None, row.line


def test_derived_rows_only_assert_body_structures_of_the_subset() -> None:
    for row in table(DERIVED_TABLE).mappings:
        assert not row.negated, row.line
        assert not row.no_match, row.line
        assert row.predicate_id in (EXACT, BROAD), row.line
        code = sssom.object_code(row)
        assert row.object_label == graph().lookup(code).display, row.line
        assert graph().current(code) == code, row.line


def test_computed_exact_matches_are_one_a_cui() -> None:
    exact = [row.subject_id for row in table(DERIVED_TABLE).mappings if row.predicate_id == EXACT]
    assert len(exact) == len(set(exact))


def test_broader_objects_of_a_cui_do_not_hold_each_other() -> None:
    found: dict[str | None, list[str]] = {}
    for row in table(DERIVED_TABLE).mappings:
        found.setdefault(row.subject_id, []).append(sssom.object_code(row))
    for cui, codes in found.items():
        assert not any(graph().subsumes(one, other) for one in codes for other in codes), cui


def test_a_label_with_a_side_never_maps_to_the_other_side() -> None:
    for row in table(DERIVED_TABLE).mappings:
        words = set((row.subject_label or "").lower().split())
        _, side = graph().unsided(sssom.object_code(row))
        if side is not None and len(words & {"left", "right"}) == 1:
            assert side in words, row.line


# cui, a predicate and concept that have to be among its targets, why
GOLD = [
    ("C0223086", None, "nothing of it is in an open source"),
    ("C0457141", (EXACT, "277958008"), "Couinaud segment IV"),
    ("C0229728", (EXACT, "167864002"), "deep lateral cervical lymph nodes"),
    ("C0034518", (EXACT, "8079007"), "radial nerve"),
    ("C0226031", (EXACT, "3227004"), "left main coronary artery"),
    ("C0152336", (BROAD, "11000004"), "the head of the caudate nucleus lies in it"),
    ("C1709952", (EXACT, "59558009"), "the sixth rib"),
    ("C0040421", None, "decided by the curated table"),
    ("C0015815", (EXACT, "29627003"), "the neck of the femur"),
    ("C0229871", (EXACT, "2048000"), "lingual tonsil"),
    ("C0227613", (EXACT, "9846003"), "right kidney"),
    ("C1269537", (BROAD, "12738006"), "the entire brain: its structure is broader"),
]


@pytest.mark.parametrize(("cui", "expected", "why"), GOLD)
def test_gold(cui: str, expected: tuple[str, str] | None, why: str) -> None:
    if expected is None:
        assert not [row for row in table(DERIVED_TABLE).mappings if row.subject_id == f"UMLS:{cui}"]
    else:
        assert expected in targets(cui), why


@pytest.mark.parametrize(
    ("cui", "why"),
    [
        ("C0376152", "arrow"),
        ("C0228391", "hip"),
        ("C0224155", "gastric"),
        ("C0230467", "aortic arch, and stands beside the sole"),
        ("C0008114", "omentum, and ends in mentum"),
        ("C0152353", "lens, and stands among tracts of the brain"),
        ("C0226964", "papillary, and is a papilla of the tongue"),
        ("C0227662", "macular, and is of the kidney"),
        ("C0027342", "nail, of metal"),
        ("C0175213", "AML, a tumour"),
        ("C0152322", "RCC, a tumour"),
        ("C0226422", "subscapularis, and is an artery"),
        ("C0229316", "concha bullosa, and is of the ear"),
        ("C0175331", "MPR"),
        ("C1261259", "right, and is Wright stain"),
    ],
)
def test_a_cui_that_captions_misuse_is_blocked(cui: str, why: str) -> None:
    assert is_blocked(rows(cui)), why
    assert targets(cui) == [], why


@pytest.mark.parametrize(
    ("cui", "why"),
    [
        ("C0004454", "maxillary"),
        ("C0001613", "cortical"),
        ("C0022655", "cortical"),
        ("C0007776", "cortical"),
        ("C0006901", "papillary"),
        ("C0223736", "trapezius"),
        ("C0043189", "a wing of the ilium"),
    ],
)
def test_a_cui_whose_meaning_captions_miss_is_weak_and_says_so(cui: str, why: str) -> None:
    found = [row for row in rows(cui) if not row.negated and not row.no_match]
    assert found, why
    for row in found:
        assert row.confidence is not None
        assert row.confidence <= 0.5, why
        assert "ROCO" in (row.comment or ""), why


@pytest.mark.parametrize(
    ("cui", "predicate", "code", "word"),
    [
        ("C0205054", CLOSE, "10200004", "hepatic"),
        ("C0442036", BROAD, "56459004", "plantar"),
        ("C0230230", None, "", "no adjective of the set"),
        ("C1550310", CLOSE, "170887008", "submental"),
        ("C1550233", CLOSE, "64688005", "coccygeal"),
        ("C0596392", BROAD, "69536005", "craniofacial"),
        ("C0442044", RELATED, "23416004", "ulnar"),
    ],
)
def test_an_adjective_becomes_its_structure(
    cui: str, predicate: str | None, code: str, word: str
) -> None:
    if predicate is None:
        assert rows(cui) == [], word
    else:
        assert (predicate, code) in targets(cui), word


@pytest.mark.parametrize("cui", ["C0935598", "C0205097", "C0443349", "C1709311"])
def test_a_direction_is_no_site(cui: str) -> None:
    assert targets(cui) == []
    assert all(row.no_match for row in rows(cui))


def test_only_a_curator_writes_narrower_or_related_objects() -> None:
    assert not [
        row.line
        for row in table(DERIVED_TABLE).mappings
        if row.predicate_id in (CLOSE, NARROW, RELATED)
    ]


# -- against the reference tables ------------------------------------------------------------


def test_every_anatomical_cui_of_roco_is_decided_by_a_curator() -> None:
    roco = {row["cui"] for row in reference("roco_cuis.csv")}
    decided = {(row.subject_id or "")[5:] for row in table(CURATED_TABLE).mappings}
    assert len(roco) == 525
    assert roco - decided == set()


def test_no_label_is_of_the_umls() -> None:
    """A label of ours is a name that an open source gives, or one of our own concepts."""
    open_names = {
        name.strip().lower()
        for row in reference("roco_cuis.csv")
        for name in (row["name"], *row["all_names"].split("|"))
    }
    open_names |= {row["sct_meaning"].lower() for row in reference("cui_sct_candidates.csv")}
    open_names |= {row["label"].lower() for row in reference("uberon_xrefs.csv")}
    open_names |= {row["description"].lower() for row in reference("anatomic_locations.csv")}
    open_names |= {row["meaning"].lower() for row in reference("dicom_cid_body_structures.csv")}
    for code in graph().codes():
        concept = graph().lookup(code)
        open_names |= {name.lower() for name in (concept.display, *concept.synonyms)}
    bare = {name.partition(" (")[0] for name in open_names}
    labels = {
        (row.subject_label or "").lower()
        for name in (CURATED_TABLE, DERIVED_TABLE)
        for row in table(name).mappings
    }
    assert sorted(labels - open_names - bare - {""}) == []
