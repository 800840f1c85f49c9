"""The embedded body structures, tested as data: concepts, edges, history, DICOM terms.

Two groups of tests compare the tables with the sources that they were drawn from. Those are not
in the repository (the licence of one forbids it); the tests skip where the folder that
BODYSITE_SHARED names is absent.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

from terminology.concept import BODY_STRUCTURE
from terminology.identifiers import sctid_problem

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "mappings"
SHARED = Path(os.environ.get("BODYSITE_SHARED", ROOT.parent / "shared"))

CONCEPTS = "body-structure-concepts.tsv"
EDGES = "body-structure-edges.tsv"
HISTORY = "body-structure-history.tsv"
TERMS = "dicom-body-part-examined.sssom.tsv"

CONFIRMED = "; agrees with SNOMED CT test subset 20250909"

# What a region of the anatomic locations stands for, where that list gives it no code of its own
# or a code of another level: a joint there is the region around the joint, "leg" the lower leg.
REGION_READ_AS = {
    "RID1905": "16982005",  # glenohumeral joint: shoulder
    "RID1968": "40983000",  # arm: upper arm
    "RID2011": "127949000",  # elbow joint: elbow region
    "RID2202": "8205005",  # wrist joint: wrist region
    "RID2640": "29836001",  # hip joint: hip
    "RID2751": "72696002",  # knee joint: knee
    "RID2869": "30021000",  # leg: lower leg
    "RID28731": "89546000",  # base of cranium: skull
    "RID29895": "76752008",  # female breast: breast
    "RID3004": "344001",  # ankle joint: ankle
    "RID397": "818983003",  # peritoneal cavity: abdominopelvic cavity and contents
    "RID6381_RID6434": "12738006",  # infratentorial brain: brain
    "RID6383_RID9080": "1101003",  # intracranial head: intracranial structure
    "RID6389_RID6434": "12738006",  # supratentorial brain: brain
    "RID6391": "12738006",  # frontal brain region: brain
    "RID6392": "12738006",  # temporal brain region: brain
    "RID6393": "12738006",  # occipital brain region: brain
    "RID6537": "12738006",  # set of basal ganglia: brain
    "RID7540": "774007",  # suprahyoid neck: head and neck
    "RID9592": "81745001",  # globe: eye
    "RID9725": "363654007",  # intraconal space of orbit: orbit
}

# Anatomic locations whose code belongs to another structure (a row shifted in that list).
SHIFTED = {"maxilla", "tongue", "diaphysis of right ulna", "leg", "left leg", "right leg"}

SUBSUMES = [
    ("85562004", "7569003", "Hand > Finger"),
    ("53120007", "85562004", "Upper limb > Hand"),
    ("53120007", "14975008", "Upper limb > Forearm"),
    ("53120007", "40983000", "Upper limb > Upper arm"),
    ("53120007", "16982005", "Upper limb > Shoulder"),
    ("53120007", "51299004", "Upper limb > Clavicle"),
    ("53120007", "120574008", "Upper limb > its Part concept"),
    ("8205005", "74670003", "Wrist region > Wrist joint"),
    ("127949000", "16953009", "Elbow region > Elbow joint"),
    ("16982005", "85537004", "Shoulder > Glenohumeral joint"),
    ("16982005", "85856004", "Shoulder > Acromioclavicular joint"),
    ("61685007", "72696002", "Lower limb > Knee"),
    ("61685007", "64234005", "Lower limb > Patella"),
    ("61685007", "56459004", "Lower limb > Foot"),
    ("61685007", "29707007", "Lower limb > Toe"),
    ("61685007", "24136001", "Lower limb > Hip joint"),
    ("61685007", "123955006", "Lower limb > Thigh, code of the founding paper"),
    ("29836001", "24136001", "Hip > Hip joint"),
    ("344001", "70258002", "Ankle > Ankle joint"),
    ("72696002", "49076000", "Knee > Knee joint"),
    ("66019005", "85562004", "Limb > Hand"),
    ("39352004", "70258002", "Joint > Ankle joint"),
    ("272673000", "85050009", "Bone > Humerus"),
    ("816094009", "39607008", "Chest > Lung"),
    ("816094009", "80891009", "Chest > Heart"),
    ("816094009", "113197003", "Chest > Rib"),
    ("816094009", "76752008", "Chest > Breast"),
    ("816094009", "51185008", "Chest > Thorax, the former code"),
    ("421060004", "122494005", "Spine > Cervical spine"),
    ("421060004", "1172006", "Spine > Dens"),
    ("421060004", "36470004", "Spine > L3 vertebra"),
    ("45048000", "122494005", "Neck > Cervical spine"),
    ("45048000", "4596009", "Neck > Larynx"),
    ("69536005", "89546000", "Head > Skull"),
    ("69536005", "91609006", "Head > Mandible"),
    ("69536005", "12738006", "Head > Brain"),
    ("69536005", "81745001", "Head > Eye"),
    ("818981001", "10200004", "Abdomen > Liver"),
    ("818981001", "64033007", "Abdomen > Kidney"),
    ("818983003", "71854001", "Abdominopelvic cavity > Colon"),
    ("122489005", "64033007", "Urinary system > Kidney"),
    ("816092008", "12921003", "Pelvis > Pelvic structure, the former code"),
    ("816092008", "89837001", "Pelvis > Bladder"),
    ("22943007", "816094009", "Trunk > Chest"),
    ("22943007", "816092008", "Trunk > Pelvis"),
    ("82680008", "29707007", "Digit > Toe"),
    # An "and/or" concept subsumes each of its parts.
    ("774007", "69536005", "Head and Neck > Head"),
    ("774007", "45048000", "Head and Neck > Neck"),
    ("307113009", "85562004", "Wrist and/or hand > Hand"),
    ("419605007", "56459004", "Ankle and/or foot > Foot"),
    ("416550000", "816094009", "Chest and Abdomen > Chest"),
    ("416550000", "818981001", "Chest and Abdomen > Abdomen"),
    ("818982008", "818981001", "Abdomen and Pelvis > Abdomen"),
    ("818982008", "816092008", "Abdomen and Pelvis > Pelvis"),
    ("1231522001", "61685007", "Pelvis and lower extremities > Lower limb"),
    ("1217257000", "122494005", "Cervico-thoracic spine > Cervical spine"),
    ("1217257000", "122495006", "Cervico-thoracic spine > Thoracic spine"),
]

NOT_SUBSUMES = [
    ("816094009", "12738006", "Chest, Brain"),
    ("816094009", "818981001", "Chest, Abdomen"),
    ("816094009", "416550000", "Chest, Chest and Abdomen"),
    ("818981001", "416550000", "Abdomen, Chest and Abdomen"),
    ("816094009", "416775004", "Chest, Chest Abdomen and Pelvis"),
    ("816094009", "4596009", "Chest, Larynx"),
    ("816094009", "40983000", "Chest, Upper arm"),
    ("818981001", "816092008", "Abdomen, Pelvis"),
    ("818981001", "39607008", "Abdomen, Lung"),
    ("89545001", "38199008", "Face, Tooth (as in SNOMED CT)"),
    ("85562004", "8205005", "Hand, Wrist region"),
    ("56459004", "344001", "Foot, Ankle"),
    ("61685007", "85562004", "Lower limb, Hand"),
    ("53120007", "29707007", "Upper limb, Toe"),
    ("85151006", "85562004", "Left hand, Hand"),
    ("85151006", "78791008", "Left hand, Right hand"),
    ("24136001", "29836001", "Hip joint, Hip"),
    # Whether these subsume their parts is not published, so they do not here.
    ("416775004", "816094009", "Chest, Abdomen and Pelvis, Chest"),
    ("417437006", "45048000", "Neck and Chest, Neck"),
    ("416152001", "45048000", "Neck, Chest and Abdomen, Neck"),
    ("416319003", "45048000", "Neck, Chest, Abdomen and Pelvis, Neck"),
]


# What a search by region has to find and what not: (ancestor, descendant, holds), then the DICOM
# term or the display of the descendant and the region.
REGION_SEARCHES = [
    ("69536005", "89545001", True, "FACE in Head"),
    ("69536005", "363654007", True, "ORBIT in Head"),
    ("69536005", "661005", True, "JAW in Head"),
    ("661005", "91609006", True, "MANDIBLE in Jaw region"),
    ("661005", "70925003", True, "MAXILLA in Jaw region"),
    ("69536005", "53620006", True, "TMJ in Head"),
    ("69536005", "13881006", True, "ZYGOMA in Head"),
    ("69536005", "59066005", True, "MASTOID in Head"),
    ("69536005", "42575006", True, "SELLA in Head"),
    ("69536005", "361078006", True, "IAC in Head"),
    ("69536005", "45289007", True, "PAROTID in Head"),
    ("69536005", "17232002", True, "MCA in Head"),
    ("774007", "69105007", True, "CAROTID in Head and Neck"),
    ("774007", "54066008", True, "PHARYNX in Head and Neck"),
    ("774007", "360955006", True, "NASOPHARYNX in Head and Neck"),
    ("774007", "54019009", True, "SUBMANDIBULAR in Head and Neck"),
    ("45048000", "69748006", True, "THYROID in Neck"),
    ("421060004", "122495006", True, "TSPINE in Spine"),
    ("816094009", "122495006", True, "TSPINE in Chest"),
    ("421060004", "122496007", True, "LSPINE in Spine"),
    ("818982008", "122496007", True, "LSPINE in Abdomen and Pelvis"),
    ("421060004", "54735007", True, "SSPINE in Spine"),
    ("816092008", "54735007", True, "SSPINE in Pelvis"),
    ("421060004", "64688005", True, "COCCYX in Spine"),
    ("816092008", "64688005", True, "COCCYX in Pelvis"),
    ("421060004", "18149002", True, "TAIL in Spine"),
    ("421060004", "1217257000", True, "CTSPINE in Spine"),
    ("816094009", "72410000", True, "MEDIASTINUM in Chest"),
    ("816094009", "32849002", True, "ESOPHAGUS in Chest"),
    ("816094009", "44567001", True, "TRACHEA in Chest"),
    ("816094009", "36765005", True, "SUBCLAVIANA in Chest"),
    ("816094009", "9454009", True, "SUBCLAVIANV in Chest"),
    ("816094009", "48345005", True, "SVC in Chest"),
    ("816094009", "7844006", True, "SCJOINT in Chest"),
    ("16982005", "7844006", True, "SCJOINT in Shoulder"),
    ("431938005", "64033007", True, "KIDNEY in Urinary tract"),
    ("818981001", "69695003", True, "STOMACH in Abdomen"),
    ("818981001", "7832008", True, "ABDOMINALAORTA in Abdomen"),
    ("818981001", "64131007", True, "INFVENACAVA in Abdomen"),
    ("818981001", "42258001", True, "SMA in Abdomen"),
    ("818981001", "485005", True, "TRANSVERSECOLON in Abdomen"),
    ("818982008", "71854001", True, "COLON in Abdomen and Pelvis"),
    ("818983003", "66754008", True, "APPENDIX in Abdominopelvic cavity"),
    ("818982008", "30315005", True, "SMALLINTESTINE in Abdomen and Pelvis"),
    ("82849001", "87953007", True, "URETER in Retroperitoneum"),
    ("431938005", "87953007", True, "URETER in Urinary tract"),
    ("22943007", "15825003", True, "AORTA in Trunk"),
    ("818982008", "58602004", True, "FLANK in Abdomen and Pelvis"),
    ("818982008", "52612000", True, "LUMBAR in Abdomen and Pelvis"),
    ("816092008", "110837003", True, "BLADDERURETHRA in Pelvis"),
    ("23043003", "15497006", True, "OVARY in Uterine adnexa"),
    ("816092008", "41216001", True, "PROSTATE in Pelvis"),
    ("816092008", "40689003", True, "TESTIS in Pelvis"),
    ("816092008", "34402009", True, "RECTUM in Pelvis"),
    ("816092008", "39723000", True, "SIJOINT in Pelvis"),
    ("816092008", "22356005", True, "ILIUM in Pelvis"),
    ("816092008", "46862004", True, "BUTTOCK in Pelvis"),
    ("16982005", "51299004", True, "CLAVICLE in Shoulder"),
    ("16982005", "79601000", True, "SCAPULA in Shoulder"),
    ("40983000", "85050009", True, "HUMERUS in Upper arm"),
    ("40983000", "17137000", True, "BRACHIALA in Upper arm"),
    ("53120007", "67937003", True, "AXILLARYA in Upper limb"),
    ("14975008", "62413002", True, "RADIUS in Forearm"),
    ("272673000", "110535000", True, "RADIUSULNA in Bone"),
    ("8205005", "30518006", True, "FORENAVICULAR in Wrist region"),
    ("20136007", "30518006", True, "FORENAVICULAR in Carpus"),
    ("85562004", "36455000", True, "METACARPUS in Hand"),
    ("85562004", "76505004", True, "THUMB in Hand"),
    ("68367000", "71341001", True, "FEMUR in Thigh"),
    ("68367000", "7657000", True, "FEMORALA in Thigh"),
    ("68367000", "83419000", True, "FEMORALV in Thigh"),
    ("68367000", "128587003", True, "SFJ in Thigh"),
    ("72696002", "64234005", True, "PATELLA in Knee"),
    ("72696002", "43899006", True, "POPLITEALA in Knee"),
    ("72696002", "32361000", True, "POPLITEALFOSSA in Knee"),
    ("30021000", "12611008", True, "TIBIA in Lower leg"),
    ("56459004", "80144004", True, "CALCANEUS in Foot"),
    ("56459004", "108371006", True, "TARSUS in Foot"),
    ("56459004", "280711000", True, "METATARSUS in Foot"),
    ("56459004", "29707007", True, "TOE in Foot"),
    ("61685007", "60734001", True, "GSV in Lower limb"),
    ("29836001", "2812003", True, "Head of Femur in Hip"),
    ("68367000", "2812003", True, "Head of Femur in Thigh"),
    ("29836001", "37783008", True, "Acetabulum in Hip"),
    ("816092008", "37783008", True, "Acetabulum in Pelvis"),
    ("68367000", "41111004", True, "Shaft of Femur in Thigh"),
    ("68367000", "29627003", True, "Femoral neck in Thigh"),
    ("344001", "67453005", True, "Talus in Ankle"),
    ("56459004", "67453005", True, "Talus in Foot"),
    ("51636004", "737405005", True, "Left talus in Left ankle"),
    ("72696002", "18033002", True, "Patellar ligament in Knee"),
    ("13024002", "61352006", True, "Achilles Tendon in Tendon"),
    ("280711000", "301000", True, "Metatarsal of fifth toe in Metatarsus"),
    ("272673000", "71341001", True, "Femur in Bone"),
    ("272673000", "82210006", True, "Capitate in Bone"),
    ("53120007", "38464002", True, "Median nerve in Upper limb"),
    ("61396006", "113270003", True, "Left femoral artery in Left thigh"),
    ("69536005", "80622005", True, "Abducens nerve in Head"),
    ("69536005", "56052001", True, "Facial nerve in Head"),
    ("774007", "21161002", True, "Glossopharyngeal nerve in Head and Neck"),
    ("35764002", "66720007", True, "Lateral Ventricle in Brain ventricle"),
    ("372073000", "31065004", True, "Occipital lobe in Cerebral hemisphere"),
    ("72792008", "74298007", True, "Left frontal lobe in Left cerebral hemisphere"),
    ("69536005", "118922002", True, "Medial occipital artery in Head"),
    ("1101003", "56341001", True, "Great cerebral vein in Intracranial structure"),
    ("69536005", "74344005", True, "Mandibular left third molar tooth in Head"),
    ("91539005", "8629005", True, "Superior right pulmonary vein in Right Pulmonary Vein"),
    ("59441001", "28330007", True, "Subcarinal lymph node in Lymph node"),
    ("59441001", "8928004", True, "Inguinal lymph node in Lymph node"),
    ("113197003", "24201007", True, "Set of ribs in Rib"),
    ("54019009", "48065005", True, "Left submandibular gland in Submandibular gland"),
    ("77568009", "31764008", True, "Trapezius muscle in Back"),
    ("80768000", "734143007", True, "Left thumb in Left upper limb"),
    ("62175007", "737406006", True, "Right talus in Right lower limb"),
    ("45048000", "59066005", False, "MASTOID not in Neck"),
    ("69536005", "69748006", False, "THYROID not in Head"),
    ("69536005", "4596009", False, "LARYNX not in Head"),
    ("69536005", "122494005", False, "CSPINE not in Head"),
    ("421060004", "2748008", False, "SPINALCORD not in Spine"),
    ("816094009", "51299004", False, "CLAVICLE not in Chest"),
    ("816094009", "10200004", False, "LIVER not in Chest"),
    ("816092008", "64033007", False, "KIDNEY not in Pelvis"),
    ("816092008", "71854001", False, "COLON not in Pelvis"),
    ("818981001", "89837001", False, "BLADDER not in Abdomen"),
    ("816092008", "78961009", False, "SPLEEN not in Pelvis"),
    ("61685007", "40689003", False, "TESTIS not in Lower limb"),
    ("72696002", "71341001", False, "FEMUR not in Knee"),
    ("816092008", "71341001", False, "FEMUR not in Pelvis"),
    ("816092008", "24136001", False, "HIP not in Pelvis"),
    ("85562004", "74670003", False, "WRIST not in Hand"),
    ("56459004", "70258002", False, "ANKLE not in Foot"),
    ("72696002", "12611008", False, "TIBIA not in Knee"),
    ("8205005", "62413002", False, "RADIUS not in Wrist region"),
    ("127949000", "85050009", False, "HUMERUS not in Elbow region"),
    ("72696002", "68367000", False, "THIGH not in Knee"),
    ("816094009", "7832008", False, "ABDOMINALAORTA not in Chest"),
    ("816094009", "15825003", False, "AORTA not in Chest"),
    ("818981001", "122496007", False, "LSPINE not in Abdomen"),
    ("818981001", "122495006", False, "TSPINE not in Abdomen"),
    ("61685007", "42694008", False, "LEGS not in Lower limb"),
    ("72696002", "116010006", False, "STIFLE not in Knee"),
    ("56459004", "419176008", False, "FOREFOOT not in Foot"),
    ("40983000", "38464002", False, "Median nerve not in Upper arm"),
    ("40983000", "58696008", False, "Ulnar nerve not in Upper arm"),
    ("89545001", "118922002", False, "Medial occipital artery not in Face"),
    ("1101003", "1231004", False, "Meninges not in Intracranial structure"),
    ("816094009", "31764008", False, "Trapezius muscle not in Chest"),
    ("69536005", "43279006", False, "Great auricular nerve not in Head"),
    ("45048000", "36566009", False, "Retromandibular vein not in Neck"),
    ("62175007", "734143007", False, "Left thumb not in Right lower limb"),
    ("774007", "88882009", False, "Vagus nerve not in Head and Neck"),
    ("127949000", "69472000", False, "Head of ulna not in Elbow region"),
    ("8205005", "50184001", False, "Head of radius not in Wrist region"),
    ("30021000", "67453005", False, "Talus not in Lower leg"),
]


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    lines = (MAPPINGS / name).read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if not line.startswith("#")]
    return tuple(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def concepts() -> dict[str, dict[str, str]]:
    return {row["code"]: row for row in rows(CONCEPTS)}


@cache
def graph() -> nx.DiGraph:
    return nx.DiGraph((row["child"], row["parent"]) for row in rows(EDGES))


@cache
def ancestors(code: str) -> frozenset[str]:
    return frozenset(nx.descendants(graph(), code))


def names(code: str) -> set[str]:
    concept = concepts()[code]
    return {concept["display"].lower(), *concept["synonyms"].lower().split("|")} - {""}


def normalised(name: str) -> tuple[str, ...]:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return tuple(word for word in words if word not in {"of", "the"})


@pytest.mark.parametrize("name", [CONCEPTS, EDGES, HISTORY, TERMS])
def test_table_is_clean_text(name):
    text = (MAPPINGS / name).read_bytes().decode("utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    assert '"' not in "".join(line for line in text.splitlines() if not line.startswith("#"))
    for row in rows(name):
        assert None not in row
        assert all(cell is not None and cell == cell.strip() for cell in row.values()), row


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (CONCEPTS, ("code",)),
        (EDGES, ("child", "parent")),
        (HISTORY, ("former", "successor")),
        (TERMS, ("subject_label", "predicate_id", "object_id")),
    ],
)
def test_rows_are_sorted_and_unique(name, key):
    keys = [tuple(row[slot] for slot in key) for row in rows(name)]
    assert keys == sorted(set(keys))


def test_every_code_is_an_sctid():
    problems = {code: sctid_problem(code) for code in concepts()}
    assert {code: why for code, why in problems.items() if why} == {}


def test_every_concept_has_its_own_display():
    seen = defaultdict(list)
    for code, concept in concepts().items():
        assert concept["display"]
        assert concept["source"]
        seen[concept["display"].lower()].append(code)
    assert {name: codes for name, codes in seen.items() if len(codes) > 1} == {}


def test_displays_are_no_fully_specified_names():
    assert not [c for c in rows(CONCEPTS) if re.search(r"\(body structure\)", str(c))]


def test_edges_join_concepts_of_the_table():
    for row in rows(EDGES):
        assert row["child_display"] == concepts()[row["child"]]["display"], row
        assert row["parent_display"] == concepts()[row["parent"]]["display"], row
        assert row["relation"] in {"is-a", "part-of"}, row
        assert row["basis"], row


def test_nothing_subsumes_itself():
    assert nx.is_directed_acyclic_graph(graph())


def test_every_concept_reaches_the_root():
    lost = [code for code in concepts() if code != BODY_STRUCTURE]
    assert [code for code in lost if code not in graph()] == []
    assert [code for code in lost if BODY_STRUCTURE not in ancestors(code)] == []


def test_no_edge_is_redundant():
    reduced = nx.transitive_reduction(graph())
    assert set(graph().edges) - set(reduced.edges) == set()


@pytest.mark.parametrize(
    ("parent", "child"), [row[:2] for row in SUBSUMES], ids=[r[2] for r in SUBSUMES]
)
def test_subsumes(parent, child):
    assert parent in ancestors(child)


@pytest.mark.parametrize(
    ("parent", "child"), [row[:2] for row in NOT_SUBSUMES], ids=[r[2] for r in NOT_SUBSUMES]
)
def test_does_not_subsume(parent, child):
    assert parent != child
    assert child in graph()
    assert parent not in ancestors(child)


@pytest.mark.parametrize(
    ("region", "code", "holds"),
    [row[:3] for row in REGION_SEARCHES],
    ids=[row[3] for row in REGION_SEARCHES],
)
def test_search_by_region_finds_what_lies_in_it_and_nothing_else(region, code, holds):
    assert region in concepts()
    assert (region in ancestors(code)) is holds


def test_region_searches_name_the_current_code_of_their_term():
    current = {
        row["subject_label"]: row["object_id"].removeprefix("snomedct:")
        for row in rows(TERMS)
        if row["predicate_id"] == "skos:exactMatch"
    }
    named = [(row[3].split(" ")[0], row[1]) for row in REGION_SEARCHES]
    terms = [(term, code) for term, code in named if term in current]
    assert len(terms) > 90
    assert [(term, code) for term, code in terms if current[term] != code] == []


def test_invalid_code_of_the_founding_paper_stays_out():
    assert "20020131" not in concepts()


def test_sided_concept_lies_below_its_unsided_one():
    for code, concept in concepts().items():
        assert concept["laterality"] in {"", "left", "right", "bilateral"}
        if concept["unsided"]:
            assert concept["laterality"], concept
            assert concepts()[concept["unsided"]]["unsided"] == "", concept
            assert concept["unsided"] in ancestors(code), concept


def test_side_agrees_with_the_display():
    for concept in concepts().values():
        if concept["laterality"]:
            words = re.findall(r"\b(?:left|right|both)\b", concept["display"].lower())
            assert [word.replace("both", "bilateral") for word in words] == [
                concept["laterality"]
            ], concept


def test_no_concept_is_below_both_sides():
    left = {c for c, row in concepts().items() if row["laterality"] == "left"}
    right = {c for c, row in concepts().items() if row["laterality"] == "right"}
    for code in concepts():
        lineage = ancestors(code) | {code} if code != BODY_STRUCTURE else set()
        assert not (lineage & left and lineage & right), code


def test_unsided_concept_has_at_most_one_of_a_side():
    seen = set()
    for concept in concepts().values():
        if concept["unsided"]:
            pair = (concept["unsided"], concept["laterality"])
            assert pair not in seen, concept
            seen.add(pair)


@pytest.mark.parametrize(
    ("left", "region"),
    [("734143007", "85151006"), ("85151006", "80768000"), ("82169009", "32153003")],
    ids=["left thumb, left hand", "left hand, left upper limb", "left knee, left lower limb"],
)
def test_sided_part_lies_below_the_region_of_its_side(left, region):
    assert region in ancestors(left)


def test_history_points_at_final_successors():
    former = {row["former"] for row in rows(HISTORY)}
    for row in rows(HISTORY):
        assert row["successor"] not in former, row
        assert row["former_display"] == concepts()[row["former"]]["display"]
        assert row["successor_display"] == concepts()[row["successor"]]["display"]
        assert row["context"], row
        assert row["basis"], row


def test_no_former_code_has_two_successors():
    former = [row["former"] for row in rows(HISTORY)]
    assert len(former) == len(set(former))


def test_no_successor_lies_below_its_former_code():
    for row in rows(HISTORY):
        assert row["former"] not in ancestors(row["successor"]), row


@pytest.mark.parametrize(
    ("former", "successor"),
    [
        ("51185008", "816094009"),
        ("43799004", "816094009"),
        ("113345001", "818981001"),
        ("416949008", "818982008"),
        ("12921003", "816092008"),
        ("297171002", "1217257000"),
        ("297172009", "1217256009"),
        ("297173004", "1217253001"),
        ("133943005", "1017210004"),
        ("133944004", "1017211000"),
    ],
)
def test_former_code_is_found_below_its_successor(former, successor):
    history = {row["former"]: row["successor"] for row in rows(HISTORY)}
    assert history[former] == successor
    assert successor in ancestors(former)


def test_structures_of_quadrupeds_are_no_successors():
    quadruped = {"419176008", "416804009", "13190002", "113351006", "53036007"}
    assert not quadruped & {row["successor"] for row in rows(HISTORY)}


def test_a_code_that_another_term_uses_now_is_not_former():
    current = {
        row["object_id"].removeprefix("snomedct:")
        for row in rows(TERMS)
        if row["predicate_id"] == "skos:exactMatch"
    }
    assert not current & {row["former"] for row in rows(HISTORY)}


def test_terms_map_to_concepts_of_the_table():
    for row in rows(TERMS):
        assert row["object_id"].startswith("snomedct:"), row
        code = row["object_id"].removeprefix("snomedct:")
        assert row["object_label"] == concepts()[code]["display"], row
        assert row["subject_type"] == "rdfs literal", row
        assert row["mapping_justification"] == "semapv:ManualMappingCuration", row
        assert row["object_laterality"] in {"", "left", "right", "bilateral"}, row


def test_current_code_of_a_term_ranks_first():
    by_term = defaultdict(list)
    for row in rows(TERMS):
        by_term[row["subject_label"]].append(row)
    for term, found in by_term.items():
        exact = [row for row in found if row["predicate_id"] == "skos:exactMatch"]
        close = [row for row in found if row["predicate_id"] == "skos:closeMatch"]
        assert len(exact) == 1, term
        assert len(exact) + len(close) == len(found), term
        assert 0 < float(exact[0]["confidence"]) <= 1
        for row in close:
            assert float(row["confidence"]) < float(exact[0]["confidence"]), term
            assert "former code" in row["comment"], term


@pytest.mark.parametrize(
    ("term", "code", "side"),
    [
        ("CHEST", "816094009", ""),
        ("ABDOMEN", "818981001", ""),
        ("PELVIS", "816092008", ""),
        ("HAND", "85562004", ""),
        ("JAW", "661005", ""),
        ("MANDIBLE", "91609006", ""),
        ("CTSPINE", "1217257000", ""),
        ("LEG", "30021000", ""),
        ("ARM", "40983000", ""),
        ("LLUMBAR", "1017210004", "left"),
        ("RLUMBAR", "1017211000", "right"),
        ("LPULMONARYA", "50408007", "left"),
        ("RUQ", "50519007", "right"),
    ],
)
def test_current_code_and_side_of_a_term(term, code, side):
    (row,) = [
        row
        for row in rows(TERMS)
        if row["subject_label"] == term and row["predicate_id"] == "skos:exactMatch"
    ]
    assert row["object_id"] == f"snomedct:{code}"
    assert row["object_laterality"] == side


def test_side_of_a_term_agrees_with_its_object():
    for row in rows(TERMS):
        sided = concepts()[row["object_id"].removeprefix("snomedct:")]["laterality"]
        if sided:
            assert row["object_laterality"] == sided, row


def test_terms_table_declares_its_licence_and_prefixes():
    text = (MAPPINGS / TERMS).read_text(encoding="utf-8")
    block = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]
    assert "license: https://creativecommons.org/publicdomain/zero/1.0/" in block
    assert "  snomedct: http://snomed.info/id/" in block
    assert "  - slot_name: object_laterality" in block


# -- against the sources ---------------------------------------------------------------------


def source_file(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"{'/'.join(parts)} is not there; BODYSITE_SHARED names the folder that has it")
    return path


@cache
def reference(name: str) -> tuple[dict[str, str], ...]:
    with source_file("reference", name).open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


@cache
def locations() -> dict[str, dict[str, str]]:
    return {row["radlex_id"]: row for row in reference("anatomic_locations.csv")}


@cache
def uberon() -> tuple[dict[str, str], frozenset[tuple[str, str, str]]]:
    found = reference("uberon_xrefs.csv")
    labels = {row["uberon_id"]: row["label"] for row in found}
    return labels, frozenset((row["uberon_id"], row["relation"], row["object"]) for row in found)


@cache
def rf2() -> tuple[frozenset[str], nx.DiGraph]:
    folder = ("tx-ecosystem", "rf2", "Terminology")
    path = source_file(*folder, "sct2_Relationship_Snapshot_INT_20250909.txt")
    is_a = nx.DiGraph()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["active"] == "1" and row["typeId"] == "116680003":
                is_a.add_edge(row["sourceId"], row["destinationId"])
    body = nx.ancestors(is_a, BODY_STRUCTURE) | {BODY_STRUCTURE}
    return frozenset(body), is_a


def test_closure_equals_that_of_the_snomed_ct_test_subset():
    body, is_a = rf2()
    shared = sorted(body & set(concepts()))
    assert len(shared) > 80
    ours = {(c, p) for c in shared for p in ancestors(c) if p in body}
    theirs = {(c, p) for c in shared for p in nx.descendants(is_a, c) if p in concepts()}
    assert len(theirs) > 700
    assert theirs - ours == set(), "subsumption of SNOMED CT that the edges lack"
    assert ours - theirs == set(), "subsumption that SNOMED CT does not have"


def test_edges_say_where_the_test_subset_confirms_them():
    body, is_a = rf2()
    for row in rows(EDGES):
        known = row["child"] in body and row["parent"] in body
        assert row["basis"].endswith(CONFIRMED) == known, row
        if known:
            assert row["parent"] in nx.descendants(is_a, row["child"]), row


def test_bases_have_a_known_form():
    form = re.compile(r"(anatomic-locations RID|Uberon UBERON:|name: |curated: )")
    assert [row for row in rows(EDGES) if not form.match(row["basis"])] == []


def test_anatomic_locations_say_what_the_basis_says():
    checked = 0
    for row in rows(EDGES):
        basis = row["basis"].removesuffix(CONFIRMED)
        if not basis.startswith("anatomic-locations "):
            continue
        start, *steps = basis.removeprefix("anatomic-locations ").split(" ")
        assert locations()[start]["sct"] == row["child"], row
        assert locations()[start]["description"] not in SHIFTED, row
        here = start
        for relation, there in zip(steps[::2], steps[1::2], strict=True):
            assert locations()[here][relation] == there, row
            here = there
        end = locations()[here]
        by_name = normalised(end["description"]) in {normalised(n) for n in names(row["parent"])}
        assert (
            end["sct"] == row["parent"] or REGION_READ_AS.get(here) == row["parent"] or by_name
        ), row
        checked += 1
    assert checked > 500


def test_uberon_says_what_the_basis_says():
    labels, relations = uberon()
    checked = 0
    for row in rows(EDGES):
        basis = row["basis"].removesuffix(CONFIRMED)
        if not basis.startswith("Uberon "):
            continue
        start, *steps = basis.removeprefix("Uberon ").split(" ")
        here = start
        for relation, there in zip(steps[::2], steps[1::2], strict=True):
            assert (here, relation, there) in relations, row
            here = there
        assert normalised(labels[start]) in {normalised(n) for n in names(row["child"])}, row
        assert normalised(labels[here]) in {normalised(n) for n in names(row["parent"])}, row
        checked += 1
    assert checked > 50


def test_names_say_what_the_basis_says():
    for row in rows(EDGES):
        basis = row["basis"].removesuffix(CONFIRMED)
        if not basis.startswith("name: "):
            continue
        child, parent = concepts()[row["child"]], concepts()[row["parent"]]
        if found := re.fullmatch(r"name: contains '(\w+)'", basis):
            words = {word for name in names(row["child"]) for word in normalised(name)}
            assert found[1] in words, row
        elif found := re.fullmatch(r"name: (left|right) of (\d+) \|(.+)\|", basis):
            assert (child["laterality"], child["unsided"]) == (found[1], found[2]), row
            assert (row["parent"], parent["display"]) == (found[2], found[3]), row
        elif found := re.fullmatch(
            r"name: both (left|right); (\d+) \|.+\| is below (\d+) \|.+\|", basis
        ):
            assert child["laterality"] == parent["laterality"] == found[1], row
            assert (child["unsided"], parent["unsided"]) == (found[2], found[3]), row
            assert found[3] in ancestors(found[2]), row
        else:
            found = re.fullmatch(r"name: '(.+)' is .+", basis)
            assert found is not None, row
            assert found[1] == child["display"], row


def test_every_defined_term_is_mapped_to_the_codes_that_dicom_gave_it():
    published = defaultdict(set)
    for row in reference("dicom_body_part_examined.csv"):
        if row["body_part_examined"]:
            published[row["body_part_examined"]].add(row["sct"])
    mapped = defaultdict(set)
    for row in rows(TERMS):
        mapped[row["subject_label"]].add(row["object_id"].removeprefix("snomedct:"))
    assert mapped.keys() == published.keys()
    for term, codes in published.items():
        assert codes <= mapped[term], term
        # PS3.16 2020 gave THORAX the code that CHEST has left since.
        assert mapped[term] - codes <= ({"816094009"} if term == "THORAX" else set()), term


def test_context_groups_seed_labels_and_header_words_are_covered():
    wanted = {
        row["sct"]
        for row in reference("dicom_cid_body_structures.csv")
        if row["cid"] in {"4", "4009", "4030", "4031", "6170", "7602", "7603"}
    }
    wanted |= {row["sct"] for row in reference("dicom_body_part_examined.csv")}
    for row in reference("seed_labels_audit.csv"):
        if row["location"] == "Table 4":
            wanted |= {row["code_as_printed"], row["code_believed_meant"]}
    for row in reference("legacy_header_values.csv"):
        wanted |= {row["sct"], *re.findall(r"[0-9]+", row["also_acceptable"])}
    wanted = {code for code in wanted if code and sctid_problem(code) is None}
    assert wanted - concepts().keys() == set()
