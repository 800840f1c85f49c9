import csv
from pathlib import Path

import pytest

from terminology.annotation import Method
from terminology.concept import Laterality
from terminology.errors import TableError
from terminology.evaluation import Expected, evaluate, read_observed
from terminology.library import load_terminology
from terminology.mapping import MappingSet, SemanticMapping
from terminology.settings import HeaderSettings
from terminology.text import TextReader
from terminology.words import HeaderWords

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
KNEE, HIP, HAND, ANKLE = "72696002", "24136001", "85562004", "70258002"
SHOULDER, CHEST, FOOT, PELVIS = "16982005", "816094009", "56459004", "816092008"
MANDIBLE, FACE = "91609006", "89545001"
VALUES = Path(__file__).parents[1] / "data" / "header-values.tsv"


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return load_terminology().text


def own_values():
    with VALUES.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def expected(row):
    codes = filter(None, (row["sct"], *row["also_acceptable"].split(";")))
    side = Laterality(row["laterality"]) if row["laterality"] else None
    return Expected(row["value"], frozenset(codes), row["modality"] or None, side, True)


def code_of(reader, value, modality=None):
    reading = reader.read(value, modality=modality)
    return reading.sites[0].code if reading.sites else None


def test_observed_header_values_are_read_rightly(reader):
    figures = evaluate(reader, read_observed())
    assert figures.total == 341
    assert figures.share(figures.right) >= 97, figures.misses
    assert figures.share(figures.wrong) <= 1, figures.misses


def test_our_own_header_values_are_read_with_their_sides(reader):
    figures = evaluate(reader, map(expected, own_values()))
    assert figures.share(figures.right) >= 97, figures.misses
    assert figures.share(figures.wrong) <= 1, figures.misses


@pytest.mark.parametrize("row", [r for r in own_values() if r["view"]], ids=lambda r: r["value"])
def test_views_are_read_with_their_view_position(reader, row):
    view = reader.read(row["value"], modality=row["modality"] or None).view
    assert view is not None
    assert view.dicom == row["view"]


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("LHAND", "85562004", "a side joined on in front"),
        ("HANDLI", "85562004", "a side joined on behind"),
        ("THORAXABD", "416550000", "a compound of two parts"),
        ("NECKCHESTABDPEL", "416319003", "a compound of four parts"),
        ("kniekleinkind", "72696002", "a part and a word without meaning"),
        ("portlspine", "122496007", "portable, then a part"),
        ("h_fte", "24136001", "an umlaut became an underscore"),
        ("cCT nativ", "69536005", "a word with a capital inside"),
        ("R MLO", "76752008", "a view that only breasts have"),
        ("mediolateral oblique R", None, "spelt out, it may be of a foot"),
        ("hj?rna", "12738006", "an umlaut became a question mark"),
        ("sch dell", "89546000", "an umlaut became a blank in a misspelt word"),
        ("HÃ¼fte", "24136001", "UTF-8 read as Latin-1"),
        ("AP PORTABLE CHE", "816094009", "cut at the end of a code string"),
        ("PORTABLE CHE", None, "not cut: shorter than a code string"),
        ("sholder", "16982005", "a letter is missing"),
        ("abdoman", "818981001", "a letter is exchanged"),
        ("angle", None, "a known word is no misspelling of ankle"),
        ("Hanke Stadler", None, "two unknown words are a name"),
        ("C/T spine", "1217257000", "a slash is no boundary"),
        ("CT SPINE", "421060004", "CT is the modality, not cervico-thoracic"),
        ("T1 spine", "421060004", "T1 is a sequence, not a vertebra"),
        ("右膝関節", "72696002", "no spaces between words"),
        ("Thorax Liver", "416550000", "an organ stands for its region"),
        ("HEAD BRAIN", "12738006", "of a region and its part, the part"),
        ("HWS Dens", "1172006", "of a region and its part, the part"),
        ("Sinus de la face", "2095001", "the longest phrase wins"),
        ("Thorax face", "816094009", "face is a view beside a chest"),
        ("FACE", "89545001", "face is a face where nothing else is named"),
        ("has been repeated", None, "an ambiguous word among other words"),
        ("skull to thigh", None, "the ends of a range are not the range"),
        ("Neck to pelvis", "416319003", "a range that has a concept"),
    ],
)
def test_how_a_word_may_be_written(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("History of chest pain, XR ankle left", "70258002", "the history ends at the comma"),
        ("History of chest pain", None, "nothing was examined"),
        ("Z.n. Thorax-OP, Knie re", "72696002", "the same in German"),
        ("Indication: chest pain. Knee", "72696002", "a colon opens what it follows"),
        ("Ankle, rule out foot fracture", "70258002", "a suspicion is no site"),
        ("no chest", None, "negated"),
        ("ohne Thorax", None, "negated in German"),
        ("CHEST NO GRID", "816094009", "the negation is of the grid"),
        ("MR ANKLE WO CONTRAST", "70258002", "without contrast is no negation of a part"),
        ("CT W/O HEAD", "69536005", "w/o is about contrast medium"),
    ],
)
def test_what_was_not_examined_is_left_out(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "side", "reason"),
    [
        ("L SPINE", None, "L is lumbar"),
        ("KNEE L", LEFT, "a letter beside a paired part"),
        ("GENOU G", LEFT, "gauche, beside a French word"),
        ("KNEE G", None, "G is no side in English"),
        ("RX mano dx", RIGHT, "destra, beside an Italian word"),
        ("DX KNEE", None, "DX is a modality in English"),
        ("LAT CHEST", None, "lat is lateral"),
        ("R/L knee", BOTH, "both sides"),
        ("RODILLA DERECHA AP Y L", RIGHT, "a letter beside a word of a side is none"),
        ("Voet li 3r", LEFT, "the same: three directions"),
        ("ELBOW RADIAL HEAD VIEW R", RIGHT, "a letter at the end, behind two paired parts"),
        ("CHEST PELVIS R", None, "behind parts that have no side"),
        ("scapolare", None, "no scapula with the German re"),
        ("KNIERE", RIGHT, "a German knee with it"),
        ("ABDOMEN DECUB LT", None, "a position"),
        ("Hände bds.", BOTH, "beidseits"),
        ("T1 R", None, "a letter without a part"),
        ("R MLO", RIGHT, "a letter beside a view of the breast"),
        ("genou comparatif", BOTH, "one side beside the other"),
        ("Comparativo", None, "with an earlier examination"),
    ],
)
def test_sides(reader, value, side, reason):
    assert reader.read(value).laterality == side, reason


def test_each_part_has_the_side_beside_it(reader):
    sites = reader.read("LEFT KNEE, RIGHT ANKLE").sites
    assert [(site.code, site.laterality) for site in sites] == [
        ("72696002", LEFT),
        ("70258002", RIGHT),
    ]


@pytest.mark.parametrize(
    ("value", "modality", "view", "side", "reason"),
    [
        ("CHEST LEFT LATERAL", None, "LL", None, "of an unpaired part, the view has the side"),
        ("KNEE AXIAL", "CR", "axial", None, "a radiograph"),
        ("KNEE AXIAL", "MR", None, None, "a plane, no projection"),
        ("CT HEAD AP", None, None, None, "the text names a modality without projections"),
        ("KNEE AP/LAT", "CR", "AP", None, "the first of two views"),
        ("CHEST LT LAT DECUB", "CR", None, None, "a position, no projection"),
        ("R CC", "MG", "CC", RIGHT, "a side letter beside a mammography view"),
        ("Thorax face", None, "frontal", None, "face is the frontal view in French"),
        ("Sinuses face", None, None, None, "face is no view in English"),
        ("5 cc contrast knee", None, None, None, "a volume"),
    ],
)
def test_views_and_planes(reader, value, modality, view, side, reason):
    reading = reader.read(value, modality=modality)
    found = None if reading.view is None else (reading.view.dicom or reading.view.display)
    assert (found, reading.laterality) == (view, side), reason


def test_parts_without_a_concept_of_their_own_are_listed_in_order(reader):
    sites = reader.read("KNEE/HAND LT").sites
    assert [site.code for site in sites] == ["72696002", "85562004"]
    assert {site.laterality for site in sites} == {LEFT}


def test_confidence_falls_with_the_way_a_word_was_found(reader):
    ways = ("shoulder", "LSHOULDER", "portshoulder", "shouldder")
    found = [reader.read(value).sites[0].confidence for value in ways]
    assert found == sorted(found, reverse=True)
    assert found[0] >= 0.95
    assert found[-1] <= 0.7


def test_every_answer_names_its_words_and_rows(reader):
    reading = reader.read("XR OSG RE 2 views")
    assert reading.used == ("OSG", "RE")
    assert reading.ignored == ("XR", "2", "views")
    assert reading.method is Method.TOKENS
    assert [part.words for part in reading.evidence] == [("OSG",), ("RE",)]
    assert reading.evidence[0].rows[0].startswith("header-words.sssom.tsv:")
    assert reading.evidence[1].rows[0].startswith("header-tokens.tsv:")


def test_a_combined_region_names_the_row_that_combined_it(reader):
    rows = reader.read("Chest, Knochen, Becken, Abdomen").evidence[0].rows
    assert any(row.startswith("header-combined-regions.tsv:") for row in rows)


@pytest.mark.parametrize("value", ["", " ", "\0", "\ud800", "?" * 50, "—", "🦴", "a" * 5000])
def test_nothing_makes_the_reader_raise(reader, value):
    assert reader.read(value).sites == ()


@pytest.mark.parametrize(
    ("value", "codes", "side", "reason"),
    [
        ("knee left; hip right", {KNEE: LEFT, HIP: RIGHT}, None, "sides behind their parts"),
        ("Hüfte re, Knie li", {HIP: RIGHT, KNEE: LEFT}, None, "a comma parts them"),
        ("left knee right hip", {KNEE: LEFT, HIP: RIGHT}, None, "sides before their parts"),
        ("knee left hip right", {KNEE: LEFT, HIP: RIGHT}, None, "without a comma"),
        ("Becken und Hüfte re", {"816092008": None, HIP: RIGHT}, RIGHT, "a pelvis has no side"),
        ("Knie rechts und links", {KNEE: BOTH}, BOTH, "one part, both sides"),
        ("HAND DER", {HAND: RIGHT}, RIGHT, "Spanish at the end"),
        ("Sonographie der Schulter", {SHOULDER: None}, None, "an article in German"),
        ("radio d epaule", {SHOULDER: None}, None, "an article that lost its apostrophe"),
        ("D epaule face", {SHOULDER: RIGHT}, RIGHT, "a side at the beginning"),
        ("mão e punho", None, None, "and, no left"),
        ("mão E", {HAND: LEFT}, LEFT, "left at the end"),
        ("mama E MLO", {"76752008": LEFT}, LEFT, "left before a view"),
        ("pé E", {FOOT: LEFT}, LEFT, "left of a foot"),
        ("PÉ E TORNOZELO", None, None, "and, between two parts"),
        ("QUADRIL D E BACIA", {HIP: RIGHT, PELVIS: None}, RIGHT, "and, behind a part and its side"),
        ("joelho D e E", {KNEE: BOTH}, BOTH, "left behind the letter of the other side"),
        ("Fracture col fémoral D: bassin, genou G", {PELVIS: None, KNEE: LEFT}, LEFT, "its side"),
        ("R. Smith knee", {KNEE: None}, None, "a letter of a name"),
        ("rodilla AP y L", {KNEE: None}, None, "a lateral view in Spanish"),
        ("X enkell", {ANKLE: None}, None, "as likely a letter too many"),
        ("upper lobe of left lung", None, LEFT, "a side within a phrase"),
        ("Tobillo sin pie", {ANKLE: None}, None, "without in Spanish"),
        ("mano sin", {HAND: LEFT}, LEFT, "left in Italian"),
    ],
)
def test_which_side_is_of_which_part(reader, value, codes, side, reason):
    reading = reader.read(value)
    found = {site.code: site.laterality for site in reading.sites}
    assert codes is None or found == codes, reason
    assert reading.laterality == side, reason


@pytest.mark.parametrize(
    ("value", "codes", "reason"),
    [
        ("douleur thoracique, radio cheville", {ANKLE}, "the complaint is left out"),
        ("douleur cheville", {ANKLE}, "unless nothing else is named"),
        ("Knee pain", {KNEE}, "the same in English"),
        ("fracture of wrist, XR forearm", {"14975008"}, "an examination begins anew"),
        ("s/p fall r/o hip fx XR femur", {"71341001"}, "also without a comma"),
        ("CT Thorax, known breast cancer", {CHEST}, "behind a comma"),
        ("RM cerebral, metástasis de pulmón", {"12738006"}, "the part behind its complaint"),
        ("Rachis lombaire douleur jambe G", {"122496007"}, "not the one before it"),
        ("XR Knee R - previous left hip replacement", {KNEE}, "a history behind a dash"),
        ("MRT LWS bei Ischialgie linkes Bein", {"122496007"}, "a reason"),
        ("nach Sturz Knie li", {KNEE}, "a reason alone"),
        ("CT Thorax, Meyer Knie", {CHEST}, "a later clause that holds a name"),
        ("Cheville D sans le pied", {ANKLE}, "a negation passes over an article"),
        ("Becken, keine Hüfte", {"816092008"}, "negated"),
        ("Praxis Dr. Kopf", set(), "a name"),
        ("Dr. Braga Peito", set(), "a name of two words"),
        ("DR Chest", {CHEST}, "digital radiography"),
        ("Dr Hand - orthopaedix", set(), "a name beside another unknown word"),
        ("XR knee swelling ankle", {KNEE}, "of two, the first was examined"),
        ("CXR hip fracture", {CHEST}, "the part before its complaint"),
        ("XR foot pain ankle swelling", {"56459004"}, "two complaints"),
        ("XR elbow ?radial head", {"16953009"}, "a question"),
        ("fracture ?hip", {HIP}, "a question alone"),
        ("Dr. van der Hand", set(), "a name with articles"),
        ("Slint på is", set(), "a short word with an accent"),
        ("Fx 5th finger XR hand", {HAND}, "the complaint of a part with a number"),
        ("fratura 5 metatarso, RX tornozelo", {ANKLE}, "the same in front of a comma"),
        ("RX tornozelo fratura 5 metatarso", {ANKLE}, "the same behind the part"),
        ("RX main D fracture 5e métacarpien", {HAND}, "the same with an ordinal and a side"),
        ("Fracture col fémoral D: bassin + thorax", {PELVIS, CHEST}, "a complaint and a colon"),
        ("Fractura tobillo I: rodilla D", {KNEE}, "the same, with a letter that may be and"),
        ("Mandibule et face", {MANDIBLE, FACE}, "a part behind and"),
        ("MANDIBULA E FACE", {MANDIBLE, FACE}, "the same, with a letter for and"),
        ("joelho E face", {KNEE}, "a view behind a left knee"),
        ("thorax profil et face", {CHEST}, "two views"),
        ("Clavicle and shoulder", {"51299004", SHOULDER}, "both are listed"),
        ("XR knee and ankle injury", {KNEE, ANKLE}, "both are examined"),
        ("Abdomen^AbdPelvis", {"818982008"}, "a combined region and its part"),
        ("CHEST CT CAP", {"416775004"}, "the same, by an ambiguous word"),
        ("CLAVICLE SHOULDER", {"51299004"}, "the part of the region"),
        ("Elbow olecranon", {"371504003"}, "the part of the region of a joint"),
    ],
)
def test_only_what_was_examined_is_a_site(reader, value, codes, reason):
    reading = reader.read(value)
    assert {site.code for site in reading.sites} == codes, reason


def test_the_side_of_a_history_is_no_side(reader):
    reading = reader.read("XR Knee R - previous left hip replacement")
    assert reading.laterality is RIGHT
    assert reader.read("HWS bei Armschmerzen links").laterality is None
    assert reader.read("MRT HWS Schmerzen li").laterality is None


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("5th finger R", "12406000", "an ordinal"),
        ("Finger 2 links", "83738005", "a digit behind"),
        ("Finger 2 Ebenen", "7569003", "two views"),
        ("Finger IV 2 Ebenen", "82002001", "a number, and two views"),
        ("Finger 2-4", "7569003", "three fingers"),
        ("2. und 3. Finger", "7569003", "two fingers"),
        ("XR 2 views 5th finger", "12406000", "two views before it"),
        ("2. Zehe links", "55078004", "a digit before"),
        ("2º dedo do pé", "55078004", "a digit of the foot"),
        ("toe IV", "80349001", "a Roman numeral"),
        ("Hand li D2", "83738005", "a digit of the hand"),
        ("main D 2 vues", HAND, "right in French, and two views"),
    ],
)
def test_a_part_with_a_number_is_the_part_of_that_number(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("L4-S1", "1217253001", "lumbar and sacral"),
        ("T10 - L2", "1217256009", "thoracic and lumbar"),
        ("C3 bis C7", "122494005", "a range"),
        ("C5/6", "122494005", "the letter once"),
        ("T1 T2", None, "weightings"),
        ("Knee L 2 3", KNEE, "beside another part, two numbers are no vertebrae"),
    ],
)
def test_two_vertebrae_are_their_part_of_the_spine(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("CR?NIO", "89546000", "a question mark for a letter"),
        ("M?O", HAND, "in a short word"),
        ("\ufffdpaule D", SHOULDER, "the first letter is lost"),
        ("ï¿½paule D", SHOULDER, "the mark itself was read as Latin-1"),
        ("HÃ¶ft hö", HIP, "only one of two words is damaged"),
        ("MÃƒO", HAND, "damaged twice"),
        ("D√ºnndarm", "30315005", "damaged by a Macintosh"),
        ("Thorax?", CHEST, "a question"),
        ("k\u00adnee", KNEE, "a soft hyphen"),
        ("HOMBRO IZQUIERD", SHOULDER, "a side cut at 15 characters"),
        ("LOWER_EXTREMITIE", "61685007", "a phrase cut at 16"),
    ],
)
def test_damaged_and_cut_values_are_read(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


def test_a_cut_side_is_a_side(reader):
    assert reader.read("HOMBRO IZQUIERD").laterality is LEFT


@pytest.mark.parametrize(
    ("value", "view", "views", "reason"),
    [
        ("left lateral knee", "lateral", 1, "the side is the knee's"),
        ("wrist lt oblique", "oblique", 1, "the same"),
        ("chest lateral left", "left lateral", 1, "of a chest, the projection's"),
        ("Thorax face PA", "postero-anterior", 1, "the particular one"),
        ("KNEE AP/LAT", "antero-posterior", 2, "the first of two"),
    ],
)
def test_which_projection_is_meant(reader, value, view, views, reason):
    reading = reader.read(value, modality="DX")
    assert (reading.view and reading.view.display) == view, reason
    assert len(reading.views) == views, reason


def test_a_chest_in_mammography_is_a_breast(reader):
    assert code_of(reader, "BORST", "MG") == "76752008"
    assert code_of(reader, "BORST", "CR") == CHEST


@pytest.mark.parametrize(
    ("value", "method"),
    [
        ("knee", Method.EXACT),
        ("knee left", Method.TOKENS),
        ("shouldder", Method.MISSPELLING),
        ("XXX", None),
    ],
)
def test_how_a_site_was_found_is_said(reader, value, method):
    assert reader.read(value).method is method


# --- settings ------------------------------------------------------------------------------


def reader_with(**changed):
    library = load_terminology()
    return TextReader(library.text.words, library.graph, HeaderSettings(**changed))


def test_misspellings_may_be_switched_off():
    assert code_of(reader_with(), "shouldder") == SHOULDER
    assert code_of(reader_with(misspellings=False), "shouldder") is None
    assert code_of(reader_with(misspellings=False), "cervicl spine") == "421060004"


def test_what_is_not_sure_enough_is_withheld_with_a_note():
    reading = reader_with(accept_from=0.7).read("shouldder")
    assert reading.sites == ()
    assert "withheld" in (reading.evidence[-1].note or "")
    assert code_of(reader_with(accept_from=0.7), "shoulder") == SHOULDER


# --- a site's own decisions ----------------------------------------------------------------


def decision(label, object_id, line, **slots):
    return SemanticMapping(
        subject_id=None,
        subject_label=label,
        subject_type="rdfs literal",
        predicate_id="skos:exactMatch",
        predicate_modifier=None,
        object_id=object_id,
        object_label=None,
        object_laterality=slots.pop("side", None),
        mapping_justification="semapv:ManualMappingCuration",
        confidence=1.0,
        subject_scope=slots.pop("scope", "value"),
        line=line,
        **slots,
    )


def deciding(*rows):
    library = load_terminology()
    decisions = MappingSet("header-words", {}, tuple(rows))
    return TextReader(HeaderWords.load(None, decisions), library.graph)


@pytest.fixture(scope="module")
def own():
    return deciding(
        decision("Praxisfilm 7", f"snomedct:{KNEE}", 3),
        decision("Saal 3", "sssom:NoTermFound", 4),
        decision("Saal 3", f"snomedct:{CHEST}", 5, subject_field="SeriesDescription"),
        decision("Extr. Serie", f"snomedct:{HAND}", 6, side=LEFT),
        decision("Extr. Serie", "snomedct:56459004", 7, side=LEFT),
        decision("Knie", f"snomedct:{HIP}", 8, object_view="399348003"),
        decision("TAU", "snomedct:816094009", 9),
        decision("TAU", "snomedct:818981001", 10),
        decision("zaza", f"snomedct:{ANKLE}", 11, scope="word"),
        decision("Schulter", f"snomedct:{KNEE}", 12, scope="word"),
        decision("elbow", "sssom:NoTermFound", 13, scope="word"),
        decision("lu", "sssom:NoTermFound", 14, scope="word", side=LEFT),
    )


@pytest.mark.parametrize(
    ("value", "field", "codes", "side", "reason"),
    [
        ("PRAXISFILM_7", None, [KNEE], None, "case and separators do not count"),
        ("Praxisfilm 7 li", None, [], LEFT, "the whole value only"),
        ("Saal 3", None, [], None, "it names no site"),
        ("Saal 3", "SeriesDescription", [CHEST], None, "in one attribute it does"),
        ("Saal 3", "StudyDescription", [], None, "in another it does not"),
        ("extr serie", None, [HAND, "56459004"], LEFT, "two rows, two sites"),
        ("TAU", None, ["416550000"], None, "two rows, one combined region"),
        ("Knie", None, [HIP], None, "it overrides the vocabulary"),
        ("zaza re", None, [ANKLE], RIGHT, "a word may stand beside a side"),
        ("Schulter", None, [KNEE], None, "a word overrides that of the vocabulary"),
        ("elbow", None, [], None, "a word that is refused"),
        ("hand lu", None, [HAND], LEFT, "a word of a side"),
    ],
)
def test_a_site_decides_about_its_own_values(own, value, field, codes, side, reason):
    reading = own.read(value, field=field)
    assert [site.code for site in reading.sites] == codes, reason
    assert reading.laterality == side, reason


def test_a_decision_names_the_local_row_and_its_view(own):
    reading = own.read("KNIE", modality="CT")
    assert reading.method is Method.DECISION
    assert reading.evidence[0].rows == ("local/header-words.sssom.tsv:8",)
    assert reading.view is not None
    assert reading.view.code == "399348003"


def test_what_was_decided_can_be_asked_alone(own):
    refused = own.decided("saal 3")
    assert refused is not None
    assert (refused.sites, refused.method) == ((), Method.DECISION)
    assert own.decided("Saal 4") is None


def test_a_side_that_no_row_states_is_read_from_the_value():
    reading = deciding(decision("Serie 9 re ap", f"snomedct:{KNEE}", 3)).read("serie 9 re ap")
    assert reading.laterality is RIGHT
    assert reading.view is not None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            decision("x", "snomedct:138875005", 7),
            r"header-words.sssom.tsv:7 object_id: '138875005'",
        ),
        (
            decision("x", f"snomedct:{KNEE}", 7, object_view="72696002"),
            r":7 object_view: '72696002'",
        ),
        (decision("", f"snomedct:{KNEE}", 7), r":7 subject_label: no label"),
    ],
)
def test_a_decision_that_cannot_hold_is_named_with_its_line(row, message):
    with pytest.raises(TableError, match=message):
        deciding(row)
