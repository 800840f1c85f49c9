"""Decoding in processes that may die of what they decode."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import UID, AllTransferSyntaxes

from api.pixels.processes import DecodingProcesses
from api.pixels.syntaxes import RISKY, is_risky
from classifier.errors import PredictionError
from tests.api.conftest import make_dicom, sample

SECONDS = 4.0


def prepare(content: bytes) -> object:
    """Do as `content` says; runs in another process."""
    match content:
        case b"die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"exit":
            os._exit(7)
        case b"hang":
            time.sleep(600)
        case b"memory":
            return np.ones(1 << 33, np.uint8).sum()
        case b"fault":
            raise KeyError("Mustermann")
        case b"refuse":
            return PredictionError("image", "it is torn", "a whole one", "Export it.")
    return content, os.getpid()


@pytest.fixture(scope="module")
def processes() -> Iterator[DecodingProcesses]:
    made = DecodingProcesses(prepare, count=1, seconds=SECONDS)
    yield made
    made.close()


def test_one_process_works_for_one_image_after_another(processes: DecodingProcesses) -> None:
    (first, ours), (second, again) = processes(b"a"), processes(b"b" * (1 << 22))
    assert (first, len(second)) == (b"a", 1 << 22)
    assert ours == again != os.getpid()


LOST = [
    (b"die", "broke down (SIGSEGV)"),
    (b"exit", "broke down (status 7)"),
    (b"hang", "took longer than 4 seconds"),
    (b"memory", "failed (MemoryError)"),
    (b"fault", "failed (KeyError)"),
]


@pytest.mark.parametrize(("content", "said"), LOST, ids=[one[0].decode() for one in LOST])
def test_what_a_process_is_lost_of_concerns_that_image_alone(
    processes: DecodingProcesses, content: bytes, said: str
) -> None:
    lost = processes(b"before")[1]
    with pytest.raises(PredictionError) as refused:
        processes(content)
    assert said in refused.value.what
    assert "Mustermann" not in str(refused.value)
    answer, pid = processes(b"after")
    assert answer == b"after"
    assert pid != lost


def test_a_refused_image_costs_no_process(processes: DecodingProcesses) -> None:
    pid = processes(b"before")[1]
    with pytest.raises(PredictionError, match="it is torn"):
        processes(b"refuse")
    assert processes(b"after")[1] == pid


def test_a_process_killed_from_outside_fails_the_image_it_had_and_counts() -> None:
    losses: list[int] = []
    made = DecodingProcesses(prepare, count=1, seconds=60, on_loss=lambda: losses.append(1))
    try:
        pid = made(b"a")[1]
        killing = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
        killing.start()
        with pytest.raises(PredictionError, match="SIGKILL"):
            made(b"hang")
        assert made(b"b")[0] == b"b"
        assert losses == [1]
    finally:
        made.close()


def test_what_only_gdcm_decodes_is_risky() -> None:
    for uid in AllTransferSyntaxes:
        try:
            decoder = get_decoder(UID(uid))
        except NotImplementedError:
            continue
        if decoder.available_plugins == ("gdcm",):
            assert uid in RISKY, uid


@pytest.mark.parametrize("syntax", RISKY, ids=[one.name for one in RISKY])
def test_a_risky_file_is_known_by_its_transfer_syntax(syntax: UID) -> None:
    plain = make_dicom()
    assert not is_risky(plain)
    assert is_risky(plain.replace(b"1.2.840.10008.1.2.1\0", syntax.encode()))


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "CT_small.dcm", "SC_rgb_rle.dcm"])
def test_other_files_are_decoded_where_they_are(name: str) -> None:
    assert not is_risky(sample(name))
