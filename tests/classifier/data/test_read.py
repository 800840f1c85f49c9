from importlib import import_module

import pytest

from classifier.data.read import KINDS, read_collection
from classifier.data.sample import EVERYTHING
from classifier.errors import DataSetError
from terminology.vocabulary import canonical
from tests.classifier import tinysets

SETS = [
    ("roco", tinysets.roco),
    ("roco", tinysets.rocov2),
    ("imageclef", tinysets.imageclef2009),
    ("imageclef", tinysets.imageclef2007),
    ("unifesp", tinysets.unifesp),
    ("manifest", tinysets.manifest),
    ("dicom", tinysets.dicom_folder),
    ("folder", tinysets.image_folder),
]


@pytest.mark.parametrize(("kind", "make"), SETS, ids=[make.__name__ for _, make in SETS])
def test_every_kind_reads_its_real_layout(tmp_path, terminology, kind, make):
    collection = read_collection(kind, make(tmp_path), terminology)
    samples = collection.samples
    assert len(samples) == 24
    assert len({sample.key for sample in samples}) == 24
    assert all(sample.path.is_file() for sample in samples)
    graph = terminology.graph
    named = {code for one in samples for code in (*one.visible, one.examined) if code}
    assert named >= {graph.current(part.sct) for part in tinysets.PARTS[:3]}
    # Codes are of today and unsided.
    assert all(canonical(graph, code) == (code, None) for code in named)


@pytest.mark.parametrize("kind", KINDS)
def test_readers_have_options_by_keyword_only(kind):
    assert callable(import_module(KINDS[kind]).read)


@pytest.mark.parametrize(
    ("kind", "exhaustive"), [("roco", False), ("imageclef", True), ("unifesp", True)]
)
def test_each_set_declares_what_its_silence_means(tmp_path, terminology, kind, exhaustive):
    folder = dict(SETS)[kind](tmp_path)
    declared = read_collection(kind, folder, terminology).declaration
    assert declared.exhaustive_over == (frozenset({EVERYTHING}) if exhaustive else frozenset())
    other = read_collection(kind, folder, terminology, exhaustive=not exhaustive).declaration
    assert other.exhaustive_over == (frozenset() if exhaustive else frozenset({EVERYTHING}))


def test_what_cannot_be_asked_for_is_named(tmp_path, terminology):
    with pytest.raises(DataSetError, match=r"'mimic'; expected one of roco, imageclef, unifesp"):
        read_collection("mimic", tmp_path, terminology)
    with pytest.raises(DataSetError, match=r"options of 'roco': 'labelset' is no option"):
        read_collection("roco", tmp_path, terminology, labelset=2005)
    with pytest.raises(DataSetError, match="there is no such path"):
        read_collection("roco", tmp_path / "absent", terminology)
    for kind in ("roco", "imageclef", "unifesp"):
        with pytest.raises(DataSetError):
            read_collection(kind, tmp_path, terminology)
