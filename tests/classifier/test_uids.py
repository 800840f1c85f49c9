"""UIDs that a prediction names, of headers that break the standard."""

from __future__ import annotations

import pytest

pytest.importorskip("onnxruntime")

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from classifier.predictor import _uids


def test_a_uid_that_cannot_be_read_is_none() -> None:
    header = Dataset()
    header.StudyInstanceUID = "1.2.3"
    tag = Tag("SeriesInstanceUID")
    header[tag] = RawDataElement(tag, "U\x0f", 4, b"1.23", 0, False, True)
    with pytest.raises(NotImplementedError):
        header.get("SeriesInstanceUID")
    assert _uids(header) == ("1.2.3", None, None)
    assert _uids(None) == (None, None, None)
