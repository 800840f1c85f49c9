import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, config
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from terminology.concept import Laterality
from terminology.errors import DicomError
from terminology.header import HeaderReader
from terminology.instance import instance_of
from terminology.library import load_terminology
from terminology.settings import TRUST, HeaderSettings
from terminology.statements import StatementReader
from terminology.text import TextReader

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
KNEE, CHEST, ANKLE, HAND = "72696002", "816094009", "70258002", "85562004"


@pytest.fixture(scope="module")
def reader() -> HeaderReader:
    return load_terminology().header


def header(**values) -> Dataset:
    dataset = Dataset()
    with config.disable_value_validation():
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return dataset


def coded(value, designator="SCT", meaning="", **inner) -> Dataset:
    return header(CodeValue=value, CodingSchemeDesignator=designator, CodeMeaning=meaning, **inner)


def raw(dataset: Dataset, keyword: str, vr: str | None, value: bytes | None) -> Dataset:
    tag = Tag(keyword)
    length = 0 if value is None else len(value)
    dataset._dict[tag] = RawDataElement(tag, vr, length, value, 0, False, True)
    return dataset


def codes(reading):
    return [site.code for site in reading.sites]


@pytest.mark.parametrize(
    ("item", "code", "side", "reason"),
    [
        (coded("72696002"), KNEE, None, "SNOMED CT"),
        (coded("T-D9200", "SRT"), KNEE, None, "SNOMED RT"),
        (coded("T-D9200", "SNM3"), KNEE, None, "SNOMED 3, as old headers have it"),
        (coded("T-D9200", "99SDM"), KNEE, None, "the private designator of the same codes"),
        (coded("51185008"), CHEST, None, "a former code gives its successor"),
        (coded("85151006"), HAND, LEFT, "a sided concept gives the unsided one and the side"),
        (coded("XYZ", "99ACME", "Right knee"), KNEE, RIGHT, "an unknown code: its meaning"),
        (coded("72696002", ""), KNEE, None, "no designator"),
        (coded("72696002", "SRT"), KNEE, None, "an SCT code with the designator of SNOMED RT"),
        (coded("T-D9200", "SCT"), KNEE, None, "a SNOMED RT code with the designator of SCT"),
        (coded("72696002", "SNOMED-CT"), KNEE, None, "a designator that DICOM does not define"),
        (coded("85562005", meaning="Hand"), HAND, None, "a wrong check digit: its meaning"),
    ],
)
def test_coded_regions(reader, item, code, side, reason):
    reading = reader.read(header(Modality="CR", AnatomicRegionSequence=[item]))
    assert (codes(reading), reading.laterality) == ([code], side), reason


@pytest.mark.parametrize(
    ("modifier", "side"),
    [
        (coded("7771000"), LEFT),
        (coded("24028007"), RIGHT),
        (coded("51440002"), BOTH),
        (coded("G-A101", "SRT"), LEFT),
        (coded("G-A100", "SRT"), RIGHT),
        (coded("G-A102", "SRT"), BOTH),
    ],
)
def test_the_modifier_of_a_region_is_its_side(reader, modifier, side):
    item = coded(KNEE, AnatomicRegionModifierSequence=[modifier])
    reading = reader.read(header(AnatomicRegionSequence=[item]))
    assert reading.sites[0].laterality == side
    assert reading.laterality == side


def test_modifiers_of_both_sides_are_bilateral(reader):
    sides = [coded("7771000"), coded("24028007")]
    item = coded(KNEE, AnatomicRegionModifierSequence=sides)
    assert reader.read(header(AnatomicRegionSequence=[item])).laterality == BOTH


def test_codes_are_trusted_more_than_words_and_the_words_are_kept(reader):
    reading = reader.read(
        header(
            AnatomicRegionSequence=[coded(KNEE)],
            BodyPartExamined="CHEST",
            StudyDescription="XR KNEE",
        )
    )
    assert codes(reading) == [KNEE]
    assert [s.keyword for s in reading.statements] == [
        "AnatomicRegionSequence",
        "BodyPartExamined",
        "StudyDescription",
    ]
    assert reading.conflicts == (
        "BodyPartExamined says 816094009 |Chest|, AnatomicRegionSequence says 72696002 |Knee|",
    )


def test_statements_come_in_the_order_of_trust(reader):
    reading = reader.read(
        header(
            StudyDescription="knee",
            ProtocolName="knee",
            SeriesDescription="knee",
            BodyPartExamined="KNEE",
        )
    )
    order = [TRUST.index(statement.keyword) for statement in reading.statements]
    assert order == sorted(order)
    assert len(order) == 4


def test_frame_anatomy_of_a_multi_frame_image_is_read_with_its_side(reader):
    frame = header(AnatomicRegionSequence=[coded(KNEE)], FrameLaterality="R")
    shared = header(FrameAnatomySequence=[frame])
    reading = reader.read(header(Modality="MR", SharedFunctionalGroupsSequence=[shared]))
    assert codes(reading) == [KNEE]
    assert reading.sites[0].laterality == RIGHT
    assert reading.statements[0].tag == "(0020,9071)"
    assert {one.source for one in reading.evidence} == {"FrameAnatomySequence"}


@pytest.mark.parametrize(
    ("values", "code", "reason"),
    [
        (
            {"Modality": "MR", "BodyPartExamined": "EXTREMITY", "SeriesDescription": "ankle"},
            ANKLE,
            "a limb is general in every modality",
        ),
        (
            {"Modality": "CR", "BodyPartExamined": "CHEST", "SeriesDescription": "ribs left"},
            "113197003",
            "a radiograph of a part of the chest",
        ),
        (
            {"Modality": "CT", "BodyPartExamined": "CHEST", "SeriesDescription": "LUNG 1.0"},
            CHEST,
            "in CT, lung is a window",
        ),
        (
            {"Modality": "CR", "BodyPartExamined": "KNEE", "SeriesDescription": "lower limb"},
            KNEE,
            "a broader word takes nothing away",
        ),
    ],
)
def test_a_particular_word_refines_a_general_part(reader, values, code, reason):
    reading = reader.read(header(**values))
    assert codes(reading) == [code], reason
    assert reading.conflicts == ()


def test_a_refinement_says_what_it_refined(reader):
    reading = reader.read(header(BodyPartExamined="EXTREMITY", SeriesDescription="ankle"))
    notes = [evidence.note for evidence in reading.evidence if evidence.note]
    assert notes == ["66019005 |Limb| of BodyPartExamined refined to 70258002 |Ankle joint|"]


def test_a_region_of_several_parts_agrees_with_its_parts(reader):
    reading = reader.read(
        header(Modality="CT", BodyPartExamined="CHEST", StudyDescription="CT Chest Abdomen Pelvis")
    )
    assert codes(reading) == [CHEST]
    assert reading.conflicts == ()


@pytest.mark.parametrize("value", ["OTHER", "XXX", "PARTIALBODY", "ANNOON", "AP", "", "   "])
def test_a_body_part_that_is_none_gives_no_site(reader, value):
    reading = reader.read(header(BodyPartExamined=value))
    assert reading.sites == ()
    assert reading.conflicts == ()


@pytest.mark.parametrize(
    ("values", "side", "conflicts"),
    [
        ({"BodyPartExamined": "KNEE", "Laterality": "L"}, LEFT, 0),
        ({"BodyPartExamined": "KNEE", "ImageLaterality": "B"}, BOTH, 0),
        ({"BodyPartExamined": "KNEE", "Laterality": "U"}, None, 0),
        ({"BodyPartExamined": "KNEE", "Laterality": "L", "StudyDescription": "Knie re"}, LEFT, 1),
        ({"BodyPartExamined": "KNEE", "ImageLaterality": "R", "Laterality": "L"}, RIGHT, 1),
    ],
)
def test_sides_of_the_header(reader, values, side, conflicts):
    reading = reader.read(header(**values))
    assert reading.laterality == side
    assert reading.sites[0].laterality == side
    assert len(reading.conflicts) == conflicts


def test_a_part_without_sides_gets_none(reader):
    reading = reader.read(header(BodyPartExamined="CHEST", Laterality="L"))
    assert reading.sites[0].laterality is None
    assert reading.laterality == LEFT


@pytest.mark.parametrize(
    ("values", "code", "dicom"),
    [
        ({"Modality": "DX", "ViewPosition": "PA"}, "272479007", "PA"),
        ({"Modality": "DX", "ViewPosition": "LL"}, "399173006", "LL"),
        ({"Modality": "MG", "ViewPosition": "MLO"}, "399368009", "MLO"),
        ({"Modality": "MG", "ViewCodeSequence": [coded("R-10242", "SRT")]}, "399162004", "CC"),
        ({"Modality": "MG", "ViewCodeSequence": [coded("399162004")]}, "399162004", "CC"),
        ({"Modality": "CR", "SeriesDescription": "Knie a.p."}, "399348003", "AP"),
    ],
)
def test_views_of_the_header(reader, values, code, dicom):
    view = reader.read(header(**values)).view
    assert view is not None
    assert (view.code, view.dicom) == (code, dicom)


def test_a_plane_in_ct_is_no_view(reader):
    assert reader.read(header(Modality="CT", ViewPosition="AP")).view is None


def test_views_that_contradict_are_named(reader):
    reading = reader.read(
        header(Modality="CR", ViewPosition="AP", SeriesDescription="Knee lateral")
    )
    assert reading.view is not None
    assert reading.view.dicom == "AP"
    assert reading.conflicts == (
        "SeriesDescription says lateral, ViewPosition says antero-posterior",
    )


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ("AP", "Knee frontal"),
        ("PA", "Knee frontal"),
        ("LL", "Chest lateral"),
        ("RL", "Chest lateral"),
        ("ML", "Knee lateral"),
        ("LM", "Knee lateral"),
        ("MLO", "Foot oblique"),
    ],
)
def test_a_view_that_says_less_contradicts_nothing(reader, position, words):
    reading = reader.read(header(Modality="CR", ViewPosition=position, SeriesDescription=words))
    assert reading.view is not None
    assert reading.view.dicom == position
    named = [statement.view for statement in reading.statements if statement.view is not None]
    assert len({view.code for view in named}) == 2
    assert reading.conflicts == ()


def test_a_view_that_says_more_contradicts_nothing(reader):
    reading = reader.read(
        header(Modality="CR", ViewCodeSequence=[coded("399033003")], ViewPosition="AP")
    )
    assert reading.view is not None
    assert reading.view.display == "frontal"
    assert reading.conflicts == ()


@pytest.mark.parametrize(
    ("values", "years", "flagged"),
    [
        ({"PatientAge": "012Y"}, 12.0, False),
        ({"PatientAge": "006M"}, 0.5, False),
        ({"PatientAge": "002W"}, 0.038, False),
        ({"PatientAge": "42"}, 42.0, True),
        ({"PatientAge": "old"}, None, True),
        ({"PatientBirthDate": "20000101", "StudyDate": "20100101"}, 10.001, False),
        ({"PatientBirthDate": "20100101", "StudyDate": "20000101"}, None, False),
        ({"PatientBirthDate": "20001399", "StudyDate": "20100101"}, None, False),
        ({}, None, False),
    ],
)
def test_ages(reader, values, years, flagged):
    reading = reader.read(header(**values))
    assert reading.age_years == years
    assert bool(reading.flags) == flagged


@pytest.mark.parametrize(
    ("charset", "value", "flags", "reason"),
    [
        (b"ISO_IR 100", "Hüfte".encode("latin-1"), 0, "as the standard has it"),
        (b"ISO_IR 192", "Hüfte".encode(), 0, "UTF-8"),
        (b"ISO_IR 144", "колено".encode("iso8859_5"), 0, "Cyrillic"),
        (b"ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$B\x49\x28\x1b(B", 0, "Japanese with escapes"),
        (b"ISO-IR 100", "Hüfte".encode("latin-1"), 1, "a misspelt term"),
        (b"KLINGON", "Hüfte".encode(), 1, "an unknown term: UTF-8 is tried"),
        (None, "Hüfte".encode("latin-1"), 1, "no character set, yet letters beyond ASCII"),
        (b"ISO_IR 192", "Hüfte".encode("latin-1"), 1, "bytes that are not of the set"),
    ],
)
def test_character_sets(reader, charset, value, flags, reason):
    dataset = raw(Dataset(), "StudyDescription", "LO", value)
    if charset is not None:
        raw(dataset, "SpecificCharacterSet", "CS", charset)
    reading = reader.read(dataset)
    assert len(reading.sites) == 1, reason
    assert len(reading.flags) == flags, reading.flags


@pytest.mark.parametrize(
    ("charset", "shown"), [(b"ISO-IR 100", "'ISO-IR 100'"), (b"MUSTERMANN ERIKA", "its value")]
)
def test_a_flag_shows_a_character_set_only_where_it_looks_like_one(reader, charset, shown):
    dataset = raw(Dataset(), "StudyDescription", "LO", b"KNEE")
    (flag,) = reader.read(raw(dataset, "SpecificCharacterSet", "CS", charset)).flags
    assert f"SpecificCharacterSet: {shown} is no defined term" in flag


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "reason"),
    [
        ("BodyPartExamined", "UN", b"KNEE", "the VR is unknown"),
        ("BodyPartExamined", None, b"KNEE\0", "no VR, padded with a null"),
        ("BodyPartExamined", "SQ", b"KNEE", "a wrong VR"),
    ],
)
def test_wrong_representations_are_read_all_the_same(reader, keyword, vr, value, reason):
    assert codes(reader.read(raw(Dataset(), keyword, vr, value))) == [KNEE], reason


def test_several_values_are_read_together(reader):
    reading = reader.read(header(BodyPartExamined=["KNEE", "LEFT"]))
    assert codes(reading) == [KNEE]
    assert reading.laterality == LEFT


@pytest.mark.parametrize(
    "dataset",
    [
        raw(Dataset(), "AnatomicRegionSequence", "SQ", b"\xfe\xff\x00\xe0\xff\xff"),
        raw(Dataset(), "AnatomicRegionSequence", "LO", b"KNEE"),
        # Converting any sequence makes pydicom look at PixelRepresentation.
        raw(
            raw(Dataset(), "PixelRepresentation", "US", b"\0\0\0"),
            *("AnatomicRegionSequence", "SQ", b""),
        ),
        raw(Dataset(), "PatientAge", "AS", b"\xff\xfe"),
        raw(Dataset(), "Modality", "CS", None),
        raw(Dataset(), "SpecificCharacterSet", "CS", b"\xff\xff\\\\"),
        header(AnatomicRegionSequence=[]),
        header(BodyPartExamined=None, Laterality="LEFT", ViewPosition="???"),
        Dataset(),
    ],
)
def test_broken_headers_do_not_raise_and_change_nothing(reader, dataset):
    before = list(dataset.keys())
    assert reader.read(dataset).sites == ()
    assert list(dataset.keys()) == before


def test_animals_are_flagged(reader):
    reading = reader.read(header(BodyPartExamined="CHEST", PatientSpeciesDescription="Canine"))
    assert codes(reading) == [CHEST]
    assert any("animal" in flag for flag in reading.flags)
    assert not reader.read(header(PatientSpeciesDescription="Homo sapiens")).flags


def test_no_identifying_value_is_in_flags_or_conflicts(reader):
    dataset = header(
        PatientName="SECRET^NAME",
        PatientID="SECRET1",
        PatientAge="SECRET2",
        BodyPartExamined="CHEST",
        StudyDescription="knee SECRET3",
    )
    reading = reader.read(dataset)
    assert "SECRET" not in " ".join((*reading.flags, *reading.conflicts))


def test_every_test_file_of_pydicom_is_read(reader):
    # No warning either: the suite runs with warnings as errors.
    answered = 0
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            except (OSError, ValueError, NotImplementedError):
                continue
        reading = reader.read(dataset)
        answered += bool(reading.sites)
        if path.name.startswith("chr"):
            assert not any("cannot be read" in flag for flag in reading.flags)
    assert answered >= 8


def test_a_single_value_is_read_as_its_attribute(reader):
    assert reader.read_value("BodyPartExamined", "CHEST").sites[0].code == CHEST
    assert reader.read_value("StudyDescription", "Knie re").laterality == RIGHT
    view = reader.read_value("ViewPosition", "PA").view
    assert view is not None
    assert view.code == "272479007"
    with pytest.raises(DicomError, match="'Bodypart' is no DICOM keyword"):
        reader.read_value("Bodypart", "CHEST")


UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SOPInstanceUID": "1.2.3.4.5"}


def test_an_instance_has_its_identifiers_and_facts():
    found = instance_of(
        header(
            **UIDS,
            Modality="dx",
            StudyDate="20260102",
            StudyTime="030405.12",
            TimezoneOffsetFromUTC="+0100",
            SeriesNumber="7",
            InstanceNumber="3",
        )
    )
    assert (found.study_uid, found.series_uid, found.sop_instance_uid) == tuple(UIDS.values())
    assert (found.modality, found.series_number, found.instance_number) == ("DX", 7, 3)
    assert found.started == "2026-01-02T03:04:05+01:00"


@pytest.mark.parametrize(
    ("values", "started"),
    [
        ({"StudyDate": "20260102"}, "2026-01-02"),
        ({"StudyDate": "20260102", "StudyTime": "0304"}, "2026-01-02"),
        ({"StudyDate": "20261302"}, None),
        ({"StudyDate": ""}, None),
    ],
)
def test_a_start_has_the_precision_of_the_header(values, started):
    assert instance_of(header(**UIDS, **values)).started == started


@pytest.mark.parametrize("keyword", list(UIDS))
@pytest.mark.parametrize("value", [None, "", "abc", "1." * 40])
def test_a_missing_or_bad_uid_is_named_with_what_to_do(keyword, value):
    dataset = header(**UIDS)
    with config.disable_value_validation():
        setattr(dataset, keyword, value)
    with pytest.raises(DicomError, match=keyword) as caught:
        instance_of(dataset)
    assert caught.value.remedy


def test_frames_of_both_sides_are_bilateral_and_no_conflict(reader):
    groups = [
        header(
            FrameAnatomySequence=[
                header(AnatomicRegionSequence=[coded(KNEE)], FrameLaterality=side)
            ]
        )
        for side in "LR"
    ]
    reading = reader.read(header(Modality="MR", PerFrameFunctionalGroupsSequence=groups))
    assert [(site.code, site.laterality) for site in reading.sites] == [(KNEE, BOTH)]
    assert reading.laterality == BOTH
    assert reading.conflicts == ()


@pytest.mark.parametrize(
    ("values", "site", "view", "reason"),
    [
        ({"ViewPosition": "MLO"}, "76752008", "MLO", "a view that only breasts have"),
        ({"ViewPosition": "CC"}, "76752008", "CC", "the view of a mammogram"),
        ({"SeriesDescription": "L CC"}, "76752008", "CC", "the same in words"),
        ({"ViewCodeSequence": [coded("R-10242", "SRT")]}, "76752008", "CC", "a code of the view"),
        ({"ViewCodeSequence": [coded("R-10226", "SRT")]}, "76752008", "MLO", "another"),
        ({"ViewPosition": "AP"}, None, "AP", "no view of the breast"),
        ({"SeriesDescription": "FLAT FIELD"}, None, None, "no view at all"),
    ],
)
def test_a_mammogram_with_a_view_of_the_breast_is_of_the_breast(reader, values, site, view, reason):
    reading = reader.read(header(Modality="MG", **values))
    assert codes(reading) == ([] if site is None else [site]), reason
    assert (reading.view.dicom if reading.view else None) == view, reason


def test_the_side_of_another_part_is_not_the_side_of_the_answer(reader):
    reading = reader.read(
        header(Modality="DX", BodyPartExamined="CHEST", SeriesDescription="KNEE AP LT")
    )
    assert (codes(reading), reading.laterality) == ([CHEST], None)
    assert len(reading.conflicts) == 1


def test_a_neighbouring_part_of_the_same_limb_gives_its_side(reader):
    reading = reader.read(
        header(Modality="DX", BodyPartExamined="LEG", SeriesDescription="ANKLE LAT L")
    )
    assert (codes(reading), reading.laterality) == (["30021000"], LEFT)
    assert len(reading.conflicts) == 1


@pytest.mark.parametrize(
    ("modality", "series", "study", "site", "reason"),
    [
        ("CT", "LUNG 1.0", "CT Abd/Pelvis", "818982008", "the name of a kernel"),
        ("CT", "Mediastinum 5mm", "CT Abdomen", "818981001", "the name of a window"),
        ("CT", "LUNG 1.0", None, "39607008", "nothing else is said"),
        ("US", "Lung", "US abdomen", "39607008", "ultrasound has no such window"),
    ],
)
def test_the_window_of_a_ct_series_gives_way_to_the_study(
    reader, modality, series, study, site, reason
):
    values = {"StudyDescription": study} if study else {}
    reading = reader.read(header(Modality=modality, SeriesDescription=series, **values))
    assert codes(reading)[:1] == [site], reason


@pytest.mark.parametrize(
    ("charset", "value", "site", "side"),
    [
        ("ISO_IR 144", "Рентген левого коленного сустава".encode("iso8859-5"), KNEE, LEFT),
        ("ISO_IR 126", "Γόνατο αριστερό".encode("iso8859-7"), KNEE, LEFT),
        ("ISO_IR 192", "左手関節 正面".encode(), "74670003", LEFT),
        ("\\ISO 2022 IR 149", b"\x1b$)C" + "흉부".encode("euc_kr"), CHEST, None),
        ("ISO_IR 127", "صدر".encode("iso8859-6"), None, None),
    ],
)
def test_words_of_other_scripts(reader, charset, value, site, side):
    dataset = raw(
        header(Modality="DX", SpecificCharacterSet=charset), "StudyDescription", "LO", value
    )
    reading = reader.read(dataset)
    assert (codes(reading), reading.laterality) == ([] if site is None else [site], side)


# --- settings -----------------------------------------------------------------------------------


def set_up(**changed):
    library, settings = load_terminology(), HeaderSettings(**changed)
    words, graph = library.text.words, library.graph
    text = TextReader(words, graph, settings)
    attributes = StatementReader(text, library.crosswalk, graph, settings=settings)
    return HeaderReader(attributes, words, graph, settings)


def test_the_order_of_trust_is_a_setting():
    dataset = header(Modality="DX", BodyPartExamined="HAND", StudyDescription="Knie li")
    assert set_up().read(dataset).sites[0].code == "85562004"
    trusted = set_up(trust=("StudyDescription", "BodyPartExamined")).read(dataset)
    assert trusted.sites[0].code == "72696002"
    assert trusted.conflicts == (
        "BodyPartExamined says 85562004 |Hand|, StudyDescription says 72696002 |Knee|",
    )


def test_an_attribute_without_trust_is_not_asked():
    dataset = header(Modality="DX", BodyPartExamined="HAND", StudyDescription="Knie li")
    reading = set_up(trust=("StudyDescription",)).read(dataset)
    assert [site.code for site in reading.sites] == ["72696002"]
    assert reading.conflicts == ()


def test_what_refines_a_part_must_be_sure_enough():
    dataset = header(Modality="DX", BodyPartExamined="HAND", SeriesDescription="finger")
    assert set_up().read(dataset).sites[0].code == "7569003"
    assert set_up(refine_from=0.99).read(dataset).sites[0].code == "85562004"


def test_a_statement_that_is_not_sure_enough_is_withheld_and_says_so():
    dataset = header(Modality="DX", StudyDescription="shouldder")
    reading = set_up(accept_from=0.7).read(dataset)
    assert reading.sites == ()
    notes = [part.note or "" for part in reading.statements[0].evidence]
    assert any("withheld" in note for note in notes)


def test_a_withheld_code_meaning_is_no_conflict():
    dataset = header(Modality="DX", BodyPartExamined="HAND", StudyDescription="shouldder")
    assert set_up().read(dataset).conflicts
    assert set_up(accept_from=0.7).read(dataset).conflicts == ()


def test_several_views_of_a_series_are_not_the_view_of_its_image(reader):
    dataset = header(Modality="DX", SeriesDescription="Knie li ap/seitl")
    assert reader.read(dataset).view is None
    dataset = header(Modality="DX", SeriesDescription="Knie li ap/seitl", ViewPosition="LL")
    reading = reader.read(dataset)
    assert reading.view is not None
    assert reading.view.dicom == "LL"
    assert reading.conflicts == ()
