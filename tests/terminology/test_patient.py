"""Whether the patient of a header is human."""

import pytest
from pydicom.dataset import Dataset

from terminology.elements import Elements
from terminology.patient import is_animal

HUMAN = [
    ("337915000", "SCT", "CID 7454, Homo sapiens"),
    ("278412004", "SCT", "the concept of HL7's medication resources, Human"),
    ("30996001", "SCT", "the successor that pydicom gives for L-85B00"),
    ("L-85B00", "SRT", "CID 7454 in SNOMED RT"),
    ("L-85003", "SRT", "what pydicom gives for 337915000"),
]
ANIMALS = [
    ("447612001", "SCT", "CID 7454, Mus musculus"),
    ("448771007", "SCT", "CID 7454, Canis lupus familiaris"),
    ("L-80A00", "SRT", "CID 7454 in SNOMED RT, feline species"),
]


def species(code, scheme, description=None):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code, scheme
    dataset = Dataset()
    dataset.PatientSpeciesCodeSequence = [item]
    if description is not None:
        dataset.PatientSpeciesDescription = description
    return Elements(dataset)


@pytest.mark.parametrize(("code", "scheme", "reason"), HUMAN)
def test_codes_of_people(code, scheme, reason):
    assert not is_animal(species(code, scheme)), reason


@pytest.mark.parametrize(("code", "scheme", "reason"), ANIMALS)
def test_codes_of_animals(code, scheme, reason):
    assert is_animal(species(code, scheme)), reason


@pytest.mark.parametrize(
    ("description", "animal"),
    [("Homo sapiens", False), ("HUMAN", False), ("", False), ("Canine", True), ("Maus", True)],
)
def test_the_description_counts_too(description, animal):
    assert is_animal(species("337915000", "SCT", description)) is animal
