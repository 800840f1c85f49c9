import pytest

from terminology.rf2.names import Content, Extent, parse_name


@pytest.mark.parametrize(
    ("name", "content", "pattern", "summary", "extent"),
    [
        ("sct2_Concept_Snapshot_INT_20250909.txt", Content.CONCEPT, "", "", Extent.SNAPSHOT),
        (
            "sct2_Description_Full-en_INT_20250909.txt",
            Content.DESCRIPTION,
            "",
            "",
            Extent.FULL,
        ),
        (
            "sct2_Description_SpanishExtensionSnapshot-es_INT_20250430.txt",
            Content.DESCRIPTION,
            "",
            "SpanishExtension",
            Extent.SNAPSHOT,
        ),
        ("sct2_TextDefinition_Delta-en_INT_20250909.txt", Content.TEXT_DEFINITION, "", "", None),
        (
            "der2_cRefset_LanguageSnapshot-fr_CH1000195_20250607.txt",
            Content.REFSET,
            "c",
            "Language",
            Extent.SNAPSHOT,
        ),
        (
            "der2_cissccRefset_MRCMAttributeDomainSnapshot_INT_20250909.txt",
            Content.REFSET,
            "cisscc",
            "MRCMAttributeDomain",
            Extent.SNAPSHOT,
        ),
        ("der2_Refset_SimpleFull_INT_20250909.txt", Content.REFSET, "", "Simple", Extent.FULL),
        (
            "sct2_RelationshipConcreteValues_Snapshot_INT_20250909.txt",
            Content.CONCRETE,
            "",
            "",
            Extent.SNAPSHOT,
        ),
        ("sct2_Concept_INT_20250909.txt", Content.CONCEPT, "", "INT", None),
    ],
)
def test_a_name_says_what_a_file_holds(name, content, pattern, summary, extent):
    found = parse_name(name)
    assert (found.content, found.pattern, found.summary) == (content, pattern, summary)
    assert found.extent is (Extent.DELTA if "Delta" in name else extent)
    assert not found.unpublished
    assert parse_name(f"x{name}").unpublished
    assert parse_name(f"z{name}").archived


def test_snapshot_and_full_of_one_content_have_one_stem():
    snapshot = parse_name("xsct2_Description_Snapshot-en_BE1000172_20210315.txt")
    full = parse_name("sct2_Description_Full-en_BE1000172_20210915.txt")
    other = parse_name("sct2_Description_Full-fr_BE1000172_20210915.txt")
    assert snapshot.stem == full.stem != other.stem


@pytest.mark.parametrize(
    "name",
    [
        "Readme_en_20250909.txt",
        "doc_Guide_Current-en-US_INT_20250909.pdf",
        "sct1_Concepts_Core_INT_20120131.txt",
        "sct2_Concept_Snapshot_INT_20250909.txt.bak",
        "sct2_Unheard_Snapshot_INT_20250909.txt",
        "der2_xRefset_SimpleSnapshot_INT_20250909.txt",
    ],
)
def test_other_files_have_no_such_name(name):
    assert parse_name(name) is None
