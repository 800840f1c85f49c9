"""Input that cannot be used: an OperationOutcome that says where, what, expected, what to do."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable

import pytest

from tests.api.checks import checked, issues, of_type
from tests.api.client import Client
from tests.api.conftest import make_dicom, sample
from tests.api.test_annotate import picture, zipped

MANY_ZEROS = b"\0" * 40_000_000


def huge_element() -> bytes:
    """A header with a private element of 2 GB, of which ten bytes are there."""
    whole = make_dicom(BodyPartExamined="HAND")
    return whole + struct.pack("<HH2sHI", 0x7FDF, 0x1010, b"OB", 0, 0x7FFFFFF0) + b"0123456789"


def deflate_bomb() -> bytes:
    """A deflated dataset whose one element inflates to 400 MB."""
    element = struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 400_000_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(element)
    for _ in range(10):
        packed += packer.compress(MANY_ZEROS)
    head = make_dicom(TransferSyntaxUID="1.2.840.10008.1.2.1.99")
    # The file meta group ends so many bytes behind its first element, which says how many.
    (length,) = struct.unpack("<I", head[140:144])
    return head[: 144 + length] + packed + packer.flush()


def nested_sequences(depth: int = 3000) -> bytes:
    """A sequence in a sequence in a sequence."""
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return make_dicom() + opening * depth


def cut_before_a_value(vr: bytes) -> bytes:
    """A header that ends between an element and its short value."""
    whole = make_dicom(BodyPartExamined="HAND")
    return whole[: whole.rindex(vr + b"\x04\x00HAND") + 4]


def overlapping_zip(entries: int = 1000) -> bytes:
    """A zip whose table of contents names the same compressed bytes many times."""
    once = zipped(a=bytes(900_000))
    table, end = once.index(b"PK\x01\x02"), once.index(b"PK\x05\x06")
    named = once[table:end] * entries
    tail = struct.pack("<4xHHHHIIH", 0, 0, entries, entries, len(named), table, 0)
    return once[:table] + named + b"PK\x05\x06" + tail[4:]


def encrypted_zip() -> bytes:
    content = bytearray(zipped(**{"a.dcm": make_dicom()}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


def damaged_zip() -> bytes:
    content = bytearray(zipped(**{"a.dcm": make_dicom() * 3}))
    content[60:90] = b"\xff" * 30
    return bytes(content)


def zip_with_a_lie() -> bytes:
    """A zip that declares 10 bytes for a member of many."""
    content = bytearray(zipped(**{"a.dcm": MANY_ZEROS}))
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 10)
    return bytes(content)


DICOM = "application/dicom"
ZIP = "application/zip"
CASES: dict[str, tuple[Callable[[], bytes], str, int, str]] = {
    "empty": (lambda: b"", DICOM, 422, "0 bytes"),
    "text": (lambda: b"hello world", DICOM, 422, "not DICOM"),
    "noise": (lambda: bytes(range(1, 256)) * 20, DICOM, 422, "not DICOM"),
    "zeros": (lambda: bytes(1000), DICOM, 422, "not DICOM"),
    "preamble alone": (lambda: bytes(128) + b"DICM", DICOM, 422, "truncated"),
    "truncated before a short value": (lambda: cut_before_a_value(b"CS"), DICOM, 422, "truncated"),
    "a PDF": (lambda: b"%PDF-1.7 ...", DICOM, 422, "PDF"),
    "a picture as DICOM": (picture, DICOM, 422, "Content-Type"),
    "DICOM as a picture": (lambda: sample("CT_small.dcm"), "image/png", 422, "Content-Type"),
    "DICOM as a zip": (lambda: sample("CT_small.dcm"), ZIP, 422, "Content-Type"),
    "a damaged picture": (lambda: picture()[:40], "image/png", 422, "damaged"),
    "truncated in the header": (lambda: sample("CT_small.dcm")[:1000], DICOM, 422, "truncated"),
    "truncated in the meta": (lambda: sample("CT_small.dcm")[:200], DICOM, 422, "truncated"),
    "2 GB declared": (huge_element, DICOM, 422, "truncated"),
    "no SOP Instance UID": (lambda: make_dicom(SOPInstanceUID=None), DICOM, 422, "SOPInstanceUID"),
    "no Study UID": (lambda: make_dicom(StudyInstanceUID=""), DICOM, 422, "StudyInstanceUID"),
    "no Series UID": (lambda: make_dicom(SeriesInstanceUID=None), DICOM, 422, "SeriesInstanceUID"),
    "a DICOMDIR": (lambda: sample("DICOMDIR"), DICOM, 422, "DICOMDIR"),
    "deflate bomb": (deflate_bomb, DICOM, 422, "truncated"),
    "deep sequences": (nested_sequences, DICOM, 422, "DICOM"),
    "zip bomb": (lambda: zipped(**{"a.dcm": MANY_ZEROS}), ZIP, 422, "times its packed size"),
    "zip that lies": (zip_with_a_lie, ZIP, 422, "a.dcm"),
    "zip in a zip": (lambda: zipped(**{"b.zip": zipped(a=b"x")}), ZIP, 422, "another zip"),
    "encrypted zip": (encrypted_zip, ZIP, 422, "encrypted"),
    "damaged zip": (damaged_zip, ZIP, 422, "damaged"),
    "half a zip": (lambda: zipped(a=sample("CT_small.dcm"))[:9000], ZIP, 422, "damaged"),
    "zip with members over each other": (overlapping_zip, ZIP, 422, "damaged"),
    "empty zip": (zipped, ZIP, 422, "zip is empty"),
    "wrong media type": (lambda: sample("CT_small.dcm"), "text/plain", 415, "application/dicom"),
    "JSON garbage": (lambda: b"{", "application/fhir+json", 400, "not JSON"),
    "JSON that nests": (lambda: b"[" * 100_000, "application/json", 400, "not JSON"),
    "another resource": (lambda: b'{"resourceType":"Patient"}', "application/json", 400, "Binary"),
    "no base64": (
        lambda: b'{"resourceType":"Binary","data":"%"}',
        "application/json",
        400,
        "base64",
    ),
    "multipart without a boundary": (lambda: b"x", "multipart/form-data", 400, "boundary"),
    "multipart garbage": (lambda: b"x", "multipart/form-data; boundary=b", 400, "multipart"),
}


@pytest.mark.parametrize("case", CASES, ids=CASES.keys())
def test_bad_input_is_refused_with_a_reason(client: Client, case: str) -> None:
    make, media, status, reason = CASES[case]
    answer = client.annotate(make(), media)
    assert answer.status_code == status, answer.text
    (issue,) = issues(checked(answer.json()))
    assert issue["severity"] == "error"
    assert reason in issue["diagnostics"]
    assert "; expected " in issue["diagnostics"]
    assert client.get("/r4/ImagingStudy").json()["total"] == 0


def test_no_file_is_unpacked_under_a_name_from_outside(
    client: Client, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(zipfile.ZipFile, "extract", lambda *a, **k: opened.append(a))
    content = zipped(**{"../../../../tmp/evil.dcm": make_dicom(BodyPartExamined="FOOT")})
    assert client.annotate(content, "application/zip").status_code == 200
    assert not opened


def test_a_body_over_the_limit_is_413_and_never_read_whole(serve: Callable[..., Client]) -> None:
    client = serve(max_body_bytes=10_000)
    sent = 0

    async def endless() -> object:
        nonlocal sent
        for _ in range(100):
            sent += 1000
            yield bytes(1000)

    for body in (endless(), bytes(20_000)):
        answer = client.post(
            "/r4/ImagingStudy/$annotate",
            content=body,
            headers={"content-type": "application/dicom"},
        )
        assert answer.status_code == 413
        assert issues(checked(answer.json()))[0]["code"] == "too-costly"
    files = [("file", ("a.dcm", bytes(20_000)))]
    assert client.post("/r4/ImagingStudy/$annotate", files=files).status_code == 413


def test_more_files_than_allowed_is_413(serve: Callable[..., Client]) -> None:
    client = serve(max_files=2)
    files = [("file", (f"{number}.dcm", make_dicom())) for number in range(3)]
    assert client.post("/r4/ImagingStudy/$annotate", files=files).status_code == 413
    many = zipped(a=make_dicom(), b=make_dicom())
    assert client.annotate(many, "application/zip").status_code == 200
    two_zips = [("file", ("a.zip", many)), ("file", ("b.zip", many))]
    assert client.post("/r4/ImagingStudy/$annotate", files=two_zips).status_code == 413


def test_a_zip_that_unpacks_beyond_the_total_is_refused(serve: Callable[..., Client]) -> None:
    client = serve(max_unzipped_bytes=5000)
    content = zipped(a=make_dicom(BodyPartExamined="FOOT"), b=os.urandom(9000))
    answer = client.annotate(content, "application/zip")
    assert answer.status_code == 200
    assert "more than the limit" in issues(checked(answer.json()))[0]["diagnostics"]


def test_a_header_over_the_limit_is_refused(serve: Callable[..., Client]) -> None:
    client = serve(max_header_bytes=100_000)
    content = make_dicom(EncapsulatedDocument=bytes(200_000))
    answer = client.annotate(content)
    assert answer.status_code == 422
    assert "larger than the limit" in issues(answer.json())[0]["diagnostics"]


@pytest.mark.parametrize("query", ["?persist=maybe", "?modality=<script>", "?modality="])
def test_wrong_query_parameters_are_400(client: Client, query: str) -> None:
    answer = client.annotate(make_dicom(), query=query)
    assert answer.status_code == 400
    checked(answer.json())


def test_mutated_files_never_break_the_service(client: Client) -> None:
    whole = sample("MR_small.dcm")[:2000]
    dice = random.Random(20261120)  # noqa: S311
    statuses = set()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 12)):
            content[dice.randrange(132, len(content))] = dice.randrange(256)
        del content[dice.randrange(200, len(content)) :: dice.randint(40, 5000)]
        answer = client.annotate(bytes(content), query="?persist=false")
        statuses.add(answer.status_code)
        checked(answer.json())
    assert statuses <= {200, 422}


def test_a_zip_name_can_be_anything(client: Client) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a\nb\t\x01ü.dcm", b"x")
    answer = client.annotate(out.getvalue(), "application/zip")
    assert answer.status_code == 422
    checked(answer.json())


def test_what_is_not_dicom_is_never_parsed_as_endless_empty_elements(client: Client) -> None:
    begun = time.perf_counter()
    assert client.annotate(bytes(8_000_000)).status_code == 422
    assert time.perf_counter() - begun < 2


def test_a_request_that_takes_too_long_keeps_what_was_read(serve: Callable[..., Client]) -> None:
    client = serve(max_seconds_per_request=0.000_001)
    content = zipped(**{"a.dcm": make_dicom(), "b.dcm": make_dicom()})
    answer = client.annotate(content, ZIP)
    assert answer.status_code == 422
    (issue,) = issues(checked(answer.json()))
    assert issue["code"] == "too-costly"
    assert "BODYSITE_MAX_SECONDS_PER_REQUEST" in issue["diagnostics"]


def test_a_file_that_is_no_base64_does_not_concern_the_others(client: Client) -> None:
    good = base64.b64encode(make_dicom(BodyPartExamined="HAND")).decode()
    listed = [
        {"name": "file", "resource": {"resourceType": "Binary", "contentType": DICOM, "data": data}}
        for data in ("@@@", good, 5)
    ]
    body = json.dumps({"resourceType": "Parameters", "parameter": listed}).encode()
    answer = client.annotate(body, "application/fhir+json")
    assert answer.status_code == 200
    found = checked(answer.json())
    assert len(of_type(found, "ImagingStudy")) == 1
    said = [one["diagnostics"] for one in issues(found)]
    assert [text.partition(".data is not base64")[1] != "" for text in said] == [True, True]
    assert ["parameter[0]" in said[0], "parameter[2]" in said[1]] == [True, True]


def test_a_bigtiff_is_called_one(client: Client) -> None:
    answer = client.annotate(b"II+\0\x08\0\0\0" + bytes(200), "image/tiff")
    assert answer.status_code == 422
    (issue,) = issues(checked(answer.json()))
    assert "a BigTIFF picture" in issue["diagnostics"]


def test_base64_may_be_wrapped(client: Client) -> None:
    data = base64.encodebytes(make_dicom(BodyPartExamined="HAND")).decode()
    body = json.dumps({"resourceType": "Binary", "contentType": DICOM, "data": data}).encode()
    assert client.annotate(body, "application/fhir+json").status_code == 200


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\u0007"])
@pytest.mark.parametrize("path", ["CodeSystem/$lookup", "ValueSet/$expand"])
def test_text_that_fhir_cannot_hold_is_refused_or_replaced(
    client: Client, path: str, text: str
) -> None:
    named = '{"resourceType":"Parameters","parameter":[{"name":"%s","valueString":"%s"}]}'
    for name in ("code", "url", "system"):
        answer = client.post(
            f"/r4/{path}",
            content=(named % (name, text)).encode(),
            headers={"content-type": "application/fhir+json"},
        )
        assert answer.status_code in {400, 404}
        (issue,) = issues(checked(answer.json()))
        assert not re.search(r"[\x00-\x08\ud800-\udfff]", issue["diagnostics"])


def test_a_long_value_is_not_echoed_whole(client: Client) -> None:
    url = "http://snomed.info/sct?fhir_vs=ecl/" + "(" * 100_000
    body = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": url}]}
    answer = client.post("/r4/ValueSet/$expand", json=body)
    assert answer.status_code == 400
    assert len(answer.content) < 6000


def test_an_image_without_pixel_data_is_annotated_with_a_note(client: Client) -> None:
    answer = client.annotate(make_dicom(BodyPartExamined="HAND", Rows=10, Columns=10))
    (study,) = of_type(checked(answer.json()), "ImagingStudy")
    assert any("no pixel data" in note["text"] for note in study["note"])


@pytest.mark.parametrize(
    ("keyword", "uid"),
    [("StudyInstanceUID", "1.2.x"), ("SeriesInstanceUID", "1..2"), ("SOPInstanceUID", "2.25.")],
)
def test_a_malformed_uid_is_named_with_its_file_but_not_shown(
    client: Client, keyword: str, uid: str
) -> None:
    whole = make_dicom(**{keyword: "9" * len(uid)})
    answer = client.annotate(whole.replace(b"9" * len(uid), uid.encode()))
    assert answer.status_code == 422
    (issue,) = issues(checked(answer.json()))
    assert issue["diagnostics"].startswith("request body (00")
    assert f"{keyword}: is no UID" in issue["diagnostics"]
    assert uid not in issue["diagnostics"]


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF", b"PK\x07"])
@pytest.mark.parametrize("media", [DICOM, "multipart"])
def test_a_preamble_may_begin_like_another_format(client: Client, start: bytes, media: str) -> None:
    whole = make_dicom(BodyPartExamined="HAND")
    content = start + whole[len(start) :]
    if media == DICOM:
        answer = client.annotate(content)
    else:
        answer = client.post("/r4/ImagingStudy/$annotate", files=[("file", ("a.dcm", content))])
    assert answer.status_code == 200
    assert of_type(checked(answer.json()), "ImagingStudy")


def test_a_file_meta_group_in_implicit_vr_is_read(client: Client) -> None:
    whole = make_dicom(BodyPartExamined="HAND")
    (length,) = struct.unpack("<I", whole[140:144])
    syntax = b"1.2.840.10008.1.2.1\0"
    meta = struct.pack("<HHI", 2, 0x0010, len(syntax)) + syntax
    head = struct.pack("<HHII", 2, 0, 4, len(meta))
    answer = client.annotate(whole[:132] + head + meta + whole[144 + length :])
    assert answer.status_code == 200
    (study,) = of_type(checked(answer.json()), "ImagingStudy")
    assert study["series"][0]["bodySite"]["code"] == "85562004"
