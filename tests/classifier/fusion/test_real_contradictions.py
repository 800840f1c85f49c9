"""Files whose header names another part than the picture shows: flagged, and not followed."""

import warnings

import pydicom
import pytest
from pydicom import Dataset

from classifier.fusion import Review, fuse
from classifier.prediction import Prediction
from terminology.annotation import Relation
from tests.classifier.fusion.conftest import CERVICAL, CHEST, HAND, NECK, SKULL, THORACIC

BRAIN = "12738006"


@pytest.fixture
def followed(graph, terminology):
    """What the header of a dataset says alone, and what it says beside a prediction."""

    def fused(dataset, prediction):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = terminology.header.read(dataset)
        return header, fuse(None, header, prediction, graph)

    return fused


def opened(folder, name):
    path = folder / "dicom" / name
    if not path.is_file():
        pytest.skip(f"no {name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True, stop_before_pixels=True)


def test_a_neck_that_is_a_thoracic_vertebra(real_images, followed, seen):
    dataset = opened(real_images, "pdd_bad_sequence.dcm")
    header, found = followed(dataset, seen(THORACIC, 0.998))
    assert header.sites[0].code == NECK
    assert [one.site.code for one in found.examined] == [THORACIC]
    assert found.relation in (Relation.NEIGHBOUR, Relation.CONFLICT)
    assert Review.CONFLICT in found.review
    assert [one.value for one in found.header if one.sites] == ["NECK"]


def test_a_thorax_that_is_an_animal(real_images, followed):
    dataset = opened(real_images, "hd_dx_image.dcm")
    header, found = followed(dataset, Prediction("net 1", reasons=("animal",)))
    assert header.sites[0].code == CHEST
    assert found.examined == ()
    assert "animal" in found.review


def test_a_header_that_the_picture_bears_out_is_followed(real_images, followed, seen):
    dataset = opened(real_images, "pdd_RG1_J2KI.dcm")
    _, found = followed(dataset, seen(CHEST, 0.97))
    assert found.examined[0].site.code == CHEST
    assert found.relation is Relation.EQUAL
    assert found.review == ()


@pytest.mark.parametrize(
    ("value", "named", "shown", "stands"),
    [
        ("NECK", NECK, THORACIC, Relation.NEIGHBOUR),
        ("CSPINE", CERVICAL, SKULL, Relation.NEIGHBOUR),
        ("SKULL", SKULL, HAND, Relation.CONFLICT),
    ],
)
@pytest.mark.parametrize("sure", [0.97, 0.999])
def test_headers_of_that_kind(followed, graph, seen, value, named, shown, stands, sure):
    dataset = Dataset()
    dataset.Modality, dataset.BodyPartExamined = "DX", value
    classes = [CHEST, HAND, CERVICAL, THORACIC, SKULL, "72696002", "816092008"]
    header, found = followed(dataset, seen(shown, sure, classes))
    assert header.sites[0].code == named
    assert [one.site.code for one in found.examined] == [shown]
    assert found.relation is stands
    assert Review.CONFLICT in found.review


def test_a_brain_that_is_a_phantom(followed):
    dataset = Dataset()
    dataset.Modality, dataset.BodyPartExamined = "CT", "BRAIN"
    header, found = followed(dataset, Prediction("net 1", reasons=("phantom",)))
    assert header.sites[0].code == BRAIN
    assert found.examined == ()
    assert found.review
