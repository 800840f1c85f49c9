"""Several processes: results in order, and a process that dies loses one file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from api.annotate_pool import annotate_in_processes
from api.annotate_work import Done, Work, annotate_units, walk
from api.annotator import Annotated, Failed
from api.errors import RequestError
from api.limits import Limits
from api.phi import PhiGuard, PhiPolicy
from terminology.errors import BodySiteError
from tests.api.conftest import make_dicom
from tests.api.hostile import HAND, HostileWork, Refused, Stillborn


def work(kind: type[Work] = HostileWork, limits: Limits | None = None) -> Work:
    return kind(PhiGuard(PhiPolicy.KEEP, b"salt"), limits or Limits())


def dicom(word: str) -> bytes:
    return make_dicom(BodyPartExamined="KNEE", ImageComments=word)


def said(found: Iterable[Done]) -> dict[str, str]:
    """Return in a word what was said of each file, in order."""
    return {
        Path(result.name).name: result.annotation.image[0].code
        if isinstance(result, Annotated)
        else result.error.what
        for one in found
        for result in one.results
    }


def test_results_are_those_of_one_process_and_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        (tmp_path / f"{number}.dcm").write_bytes(dicom("fine"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "z.dcm").write_bytes(dicom("REFUSE"))
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "bad.dcm").write_bytes(dicom("fine")[:300])
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("a.dcm", dicom("fine"))
        archive.writestr("b.txt", "text")
    # More files than are handed out at once.
    monkeypatch.setattr("api.annotate_pool._AHEAD", 2)
    alone = list(annotate_units(walk([str(tmp_path)]), work().annotator()))
    shared = list(annotate_in_processes(walk([str(tmp_path)]), work(), 2))
    assert [one.unit for one in shared] == [one.unit for one in alone]
    assert len(alone) == 13
    for here, there in zip(alone, shared, strict=True):
        for mine, theirs in zip(here.results, there.results, strict=True):
            if isinstance(mine, Failed):
                assert isinstance(theirs, Failed)
                assert (str(mine.error), mine.passed_by) == (str(theirs.error), theirs.passed_by)
                assert type(mine.error) is type(theirs.error)
            else:
                assert mine == theirs


def test_a_file_that_takes_its_process_with_it_is_one_error(tmp_path: Path) -> None:
    for name, word in {"a": "fine", "b": "HANG", "c": "fine", "d": "EXIT", "f": "fine"}.items():
        (tmp_path / f"{name}.dcm").write_bytes(dicom(word))
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        for name, word in {"x": "fine", "y": "KILL", "z": "fine"}.items():
            archive.writestr(f"{name}.dcm", dicom(word))
    limits = Limits(max_seconds_per_file=1, max_seconds_per_image=2)
    found = said(annotate_in_processes(walk([str(tmp_path)]), work(limits=limits), 2))
    expected = {
        "a.dcm": HAND.code,
        "b.dcm": "reading it took more than 3 seconds",
        "c.dcm": HAND.code,
        "d.dcm": "the process that read it ended (exit status 3)",
        "e.zip!x.dcm": HAND.code,
        "e.zip!y.dcm": "the process that read it ended (SIGKILL)",
        "e.zip!z.dcm": HAND.code,
        "f.dcm": HAND.code,
    }
    assert list(found) == list(expected)
    for name, what in expected.items():
        assert found[name].partition(";")[0] == what


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        (Refused, RequestError, "'x' is damaged"),
        (Stillborn, BodySiteError, r"while it loaded .* \(exit status 9\)"),
    ],
)
def test_a_process_that_cannot_begin_ends_the_command_with_its_reason(
    kind: type[Work], error: type[BodySiteError], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom("fine"))
    with pytest.raises(error, match=reason):
        list(annotate_in_processes(walk([str(tmp_path)]), work(kind), 1))


def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom("fine"))
    (tmp_path / "closed").mkdir()
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr("api.annotate_work._is_closed", lambda path: Path(path).name == "closed")
    found = list(annotate_units(walk([str(tmp_path)]), work().annotator()))
    (failed,) = [one for done in found for one in done.results if isinstance(one, Failed)]
    assert failed.name == str(tmp_path / "closed")
    assert "cannot be read" in failed.error.what
    assert not failed.passed_by
