"""Broken requests out of whole ones: DICOM files, FHIR bodies, searches, each from a seed.

`Mutations(seed).request(number)` is always the same request for the same two numbers.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

Json = dict[str, Any]
KINDS = (
    "ImagingStudy", "Observation", "Device", "Provenance", "BodyStructure", "Task", "Patient",
    "Practitioner", "AuditEvent",
)  # fmt: skip
SNOMED = "http://snomed.info/sct"
_ROOT = "1.2.826.0.1.3680043.10.999.7"
_PARTS = ("KNEE", "HAND", "CHEST", "ABDOMEN", "SKULL", "HAND LI", "Rö Thorax", "")
_VRS = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"OB",
    b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"TM", b"UC", b"UI", b"UL", b"UN", b"UR",
    b"US", b"UT", b"UV", b"\0\0", b"ZZ",
)  # fmt: skip
# What stands in for a value of FHIR: other types, sizes, scripts, and what parsers fall over.
_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 2**63, -(2**70), 10**400, 1e308, -0.0, 1.5, "", " ", "\0", "\ud800",
    "\u202e\u200f", "\U0001f9b4", "a\u0301" * 50, "x" * 70_000, [], {}, [[]], [None], [{}],
    {"extension": []}, {"resourceType": "Patient"}, {"reference": "#"}, "http://x/" + "y" * 3000,
    "2026-02-30", "0000-00-00", "9999-12-31T23:59:60.999999999999+14:00", "../../etc/passwd",
    "'; DROP TABLE resource; --", "%00", "85562004", "urn:oid:1.2.3", "ImagingStudy/..",
    {"coding": [{"system": SNOMED, "code": "85562005"}]}, {"coding": "x"}, "NaN", "Infinity",
)  # fmt: skip
_WORDS = (
    SNOMED + "|85562004", SNOMED + "|", "|85562004", "85562004", "|", "||", "a|b|c", "\\,", "\\",
    "Hand", "ä,ö", "", " ", "\0", "'", '"', "%", "_", "*", "(", "ge2026", "2026-13-45", "gt", "eq",
    "ap2026-11", "lt9999999", "1e400", "5.4|http://unitsofmeasure.org|mg", "le100||%", "NaN", "-",
    "ImagingStudy/1", "Patient/", "/", "http://[", "urn:dicom:uid|urn:oid:1.2", "true", "null",
    "http://snomed.info/sct?fhir_vs=ecl/<<85562004", "http://snomed.info/sct?fhir_vs=ecl/((",
    "http://snomed.info/sct?fhir_vs", "\u202e", "\U0001f9b4" * 200, "x" * 5000, "1,2,3,4,5" * 400,
    "85562004:272741003=7771000", "-1", "0", "99999999999999999999", "*:*:*", "Observation:x",
)  # fmt: skip
_NAMES = (
    "bodysite", "body-site", "modality", "identifier", "patient", "subject", "started", "status",
    "code", "value-concept", "value-quantity", "component-value-quantity", "derived-from", "date",
    "_id", "_lastUpdated", "_text", "_content", "_sort", "_count", "_total", "_summary",
    "_elements", "_include", "_revinclude", "_has:Observation:derived-from:code", "_profile",
    "_tag", "_source", "_filter", "_query", "_list", "_format", "_pretty", "_type", "_since", "_at",
    "_offset", "_page", "_after", "_before", "review", "series", "instance", "uid", "target",
    "derived-from:ImagingStudy.modality", "subject:Patient.identifier", "device.type",
    "patient.identifier", "_contained", "url", "filter", "system", "count", "offset", "",
)  # fmt: skip
_MODIFIERS = (
    "", "", "", ":below", ":above", ":in", ":not-in", ":not", ":text", ":missing", ":exact",
    ":contains", ":identifier", ":of-type", ":iterate", ":code-text", ":x", ":", ":below:not",
)  # fmt: skip


# Stands for nesting until JSON is written.
_DEEP = "deep:"


@dataclass(frozen=True, slots=True)
class Broken:
    """A request that no client should send."""

    method: str
    path: str
    label: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Mutations:
    """Makes requests.

    Parameters
    ----------
    seed
        Of everything.
    resources
        Whole resources of the service, to be broken.
    """

    def __init__(self, seed: int, resources: Sequence[Json] = ()) -> None:
        self._seed = seed
        self._files = [whole_file(number) for number in range(12)]
        self._resources = [*resources, *_OWN]

    def request(self, number: int) -> Broken:
        """Return the request of a number."""
        chance = random.Random(f"{self._seed}:{number}")
        make: Callable[[random.Random], Broken] = chance.choices(
            (self._upload, self._write, self._bundle, self._search, self._operation),
            (30, 28, 14, 20, 8),
        )[0]
        return make(chance)

    # -- images ------------------------------------------------------------------------------

    def _upload(self, chance: random.Random) -> Broken:
        content = broken_file(chance.choice(self._files), chance)
        release = chance.choice(("r4", "r4", "r5"))
        path = f"/{release}/ImagingStudy/$annotate"
        if chance.random() < 0.1:
            path += "?persist=" + quote(chance.choice(("false", "x", "")))
        form = chance.choice(("dicom", "dicom", "multipart", "zip", "parameters", "lie"))
        if form == "dicom":
            return Broken("POST", path, "dicom", {"content-type": "application/dicom"}, content)
        if form == "lie":
            media = chance.choice(("image/png", "image/jpeg", "application/zip", "text/plain", "x"))
            return Broken("POST", path, f"dicom as {media}", {"content-type": media}, content)
        if form == "zip":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(chance.choice(("a.dcm", "../a", "a/b/c", "ä")), content)
            body = flipped(packed.getvalue(), chance, chance.randrange(3))
            return Broken("POST", path, "zip", {"content-type": "application/zip"}, body)
        if form == "multipart":
            line = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            body = line + content + b"\r\n--b--\r\n"
            body = flipped(body, chance, chance.randrange(2))
            media = chance.choice(("multipart/form-data; boundary=b", "multipart/form-data"))
            return Broken("POST", path, "multipart", {"content-type": media}, body)
        data = base64.b64encode(content).decode()
        binary = {"resourceType": "Binary", "contentType": "application/dicom", "data": data}
        whole = {"resourceType": "Parameters", "parameter": [{"name": "file", "resource": binary}]}
        return self._json("POST", path, "parameters", whole, chance)

    # -- resources ---------------------------------------------------------------------------

    def _write(self, chance: random.Random) -> Broken:
        whole = chance.choice(self._resources)
        kind = whole["resourceType"]
        name = str(whole.get("id", "fuzz"))
        root = f"/{chance.choice(('r4', 'r5'))}/"
        way = chance.choice(("POST", "PUT", "PUT", "PATCH", "DELETE", "conditional", "other kind"))
        if way == "POST":
            return self._json("POST", root + kind, f"create {kind}", whole, chance)
        if way == "PUT":
            return self._json("PUT", f"{root}{kind}/{name}", f"update {kind}", whole, chance)
        if way == "other kind":
            other = chance.choice(KINDS)
            return self._json("PUT", f"{root}{other}/{name}", f"{kind} as {other}", whole, chance)
        if way == "conditional":
            path = f"{root}{kind}?{self._query(chance)}"
            return self._json("PUT", path, f"conditional update {kind}", whole, chance)
        if way == "DELETE":
            place = chance.choice((f"{kind}/{name}x", f"{kind}?{self._query(chance)}", kind))
            return Broken("DELETE", root + place, f"delete {kind}", self._headers(chance))
        steps = [
            {
                "op": chance.choice(("add", "replace", "remove", "move", "copy", "test", "x", 1)),
                "path": chance.choice(("/status", "/component/-", "", "/", "/a~2", "/0", 3, "/id")),
                "value": chance.choice(_VALUES),
                "from": chance.choice(("/code", "/", "", None)),
            }
            for _ in range(chance.randrange(1, 6))
        ]
        headers = {**self._headers(chance), "content-type": "application/json-patch+json"}
        body = encoded(steps, chance)
        return Broken("PATCH", f"{root}{kind}/{name}", f"patch {kind}", headers, body)

    def _bundle(self, chance: random.Random) -> Broken:
        entries = []
        for _ in range(chance.randrange(1, 6)):
            whole = copy.deepcopy(chance.choice(self._resources))
            kind = whole["resourceType"]
            entries.append(
                {
                    "fullUrl": chance.choice(("urn:uuid:1", "urn:uuid:2", "x", f"{kind}/1")),
                    "resource": whole,
                    "request": {
                        "method": chance.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "X")),
                        "url": chance.choice(
                            (kind, f"{kind}/fuzz", f"{kind}?{self._query(chance)}", "", "/", "$x")
                        ),
                    },
                }
            )
        kind = chance.choice(("transaction", "batch", "history", "x"))
        whole = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return self._json("POST", f"/{chance.choice(('r4', 'r5'))}", f"{kind}", whole, chance)

    # -- questions ---------------------------------------------------------------------------

    def _search(self, chance: random.Random) -> Broken:
        root = f"/{chance.choice(('r4', 'r5'))}"
        kind = chance.choice((*KINDS, "CodeSystem", "ValueSet", "SearchParameter", "X", ""))
        query = self._query(chance)
        place = chance.choice(
            ("", "", "", "", "/_search", "/_history", "/1/_history", "/1/_history/x")
        )
        if place == "/_search":
            headers = {**self._headers(chance), "content-type": "application/x-www-form-urlencoded"}
            return Broken(
                "POST", f"{root}/{kind}/_search", f"search {kind}", headers, query.encode()
            )
        path = f"{root}/{kind}{place}?{query}"
        return Broken("GET", path, f"search {kind}{place}", self._headers(chance))

    def _operation(self, chance: random.Random) -> Broken:
        name = chance.choice(
            (
                "CodeSystem/$lookup", "CodeSystem/$validate-code", "CodeSystem/$subsumes",
                "ValueSet/$expand", "ValueSet/$validate-code", "ConceptMap/$translate", "$export",
                "ImagingStudy/$export", "metadata", "$versions", "$x", "ImagingStudy/$x",
                "Observation/$lastn", "$closure",
            )
        )  # fmt: skip
        root = f"/{chance.choice(('r4', 'r5'))}/"
        if chance.random() < 0.5:
            return Broken("GET", f"{root}{name}?{self._query(chance)}", name, self._headers(chance))
        names = ("url", "system", "code", "coding", "filter", "count", "valueSet", "codeA", "x")
        keys = ("valueUri", "valueCode", "valueString", "valueInteger", "valueCoding", "resource")
        whole = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": chance.choice(names), chance.choice(keys): chance.choice(_WORDS)}
                for _ in range(chance.randrange(1, 4))
            ],
        }
        return self._json("POST", root + name, name, whole, chance)

    def _query(self, chance: random.Random) -> str:
        pairs = []
        for _ in range(chance.randrange(1, 4)):
            name = chance.choice(_NAMES) + chance.choice(_MODIFIERS)
            value = chance.choice(_WORDS)
            if chance.random() < 0.8:
                name, value = quote(name, safe=":"), quote(value, errors="replace", safe="|,:/$")
            else:
                name = quote(name)
                value = "".join(f"%{chance.randrange(256):02x}" for _ in range(6))
            pairs.append(f"{name}={value}")
        return "&".join(pairs)

    def _headers(self, chance: random.Random) -> dict[str, str]:
        found: dict[str, str] = {}
        if chance.random() < 0.3:
            name, values = chance.choice(
                (
                    ("if-match", ("W/\"1\"", "x", "\"", "W/\"99999999999999999999\"", "*")),
                    ("if-none-match", ("*", "W/\"1\"", "x")),
                    ("if-none-exist", ("identifier=x", "", "bodysite:below=1", "_id=&")),
                    ("if-modified-since", ("x", "Sat, 29 Oct 1994 19:43:31 GMT")),
                    ("prefer", ("return=x", "handling=strict", "respond-async", ";;=")),
                    ("accept", ("application/fhir+xml", "x", "*/*;q=x", "*/*; fhirVersion=9")),
                    ("content-encoding", ("gzip", "x")),
                    ("authorization", ("Bearer x", "Basic", "Bearer a.b.c")),
                    ("x-request-id", ("x" * 500, "{}")),
                )
            )  # fmt: skip
            found[name] = chance.choice(values)
        return found

    def _json(
        self, method: str, path: str, label: str, whole: Json, chance: random.Random
    ) -> Broken:
        for_ = copy.deepcopy(whole)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
            for_ = broken_json(for_, chance)
        media = chance.choice(
            ("application/fhir+json",) * 8
            + ("application/json", "text/plain", "", "application/fhir+xml")
        )
        headers = {**self._headers(chance), **({"content-type": media} if media else {})}
        return Broken(method, path, label, headers, encoded(for_, chance))


# -- files -----------------------------------------------------------------------------------


def whole_file(number: int) -> bytes:
    """Return a small DICOM image with the attributes that the header reader looks at."""
    meta = FileMetaDataset()
    implicit = number % 4 == 3
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    image = Dataset()
    image.SOPClassUID = meta.MediaStorageSOPClassUID
    image.SpecificCharacterSet = ("ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", "X")[number % 4]
    image.StudyInstanceUID = f"{_ROOT}.1.{number // 3}"
    image.SeriesInstanceUID = f"{_ROOT}.2.{number // 2}"
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"{_ROOT}.3.{number}"
    image.Modality = ("DX", "CR", "CT", "MR")[number % 4]
    image.PatientID, image.PatientName = "P-1", "Test^Fuzz"
    image.PatientAge, image.StudyDate = "045Y", "20260301"
    image.BodyPartExamined = _PARTS[number % len(_PARTS)]
    image.StudyDescription = "Röntgen Hand links"
    image.Laterality, image.ViewPosition = "L", "AP"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "85562004", "SCT", "Hand"
    image.AnatomicRegionSequence = Items([region])
    image.Rows = image.Columns = 64
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.SamplesPerPixel, image.PixelRepresentation = 1, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    pixels = np.random.default_rng(number).integers(0, 4096, (64, 64), dtype=np.uint16)
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OW"
    out = io.BytesIO()
    FileDataset("", image, preamble=b"\0" * 128, file_meta=meta).save_as(
        out, implicit_vr=implicit, little_endian=True, enforce_file_format=True
    )
    return out.getvalue()


def broken_file(content: bytes, chance: random.Random) -> bytes:
    """Return a DICOM file with a fault or several."""
    faults = (_flip, _flip, _cut, _insert, _lie_of_length, _lie_of_vr, _deep, _repeat, _swap)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        content = chance.choice(faults)(content, chance)
    return content


def flipped(content: bytes, chance: random.Random, count: int) -> bytes:
    """Return `content` with other bytes at `count` places."""
    found = bytearray(content)
    for _ in range(count if found else 0):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def _flip(content: bytes, chance: random.Random) -> bytes:
    # Most of a file are pixels, of an image that matters less than its header.
    head = min(len(content), 1200)
    part = flipped(content[:head], chance, chance.choice((1, 2, 8, 40)))
    return part + content[head:]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    new = chance.choice((b"\0" * 300, b"\xff" * 8, chance.randbytes(40), content[128:400]))
    return content[:place] + new + content[place + chance.choice((0, 8, 100)) :]


def _elements(content: bytes) -> list[int]:
    """Return where the VR of each explicit element may stand: two letters behind a tag."""
    return [
        place
        for place in range(132, min(len(content) - 8, 1400))
        if content[place : place + 2] in _VRS[:-2]
    ]


def _lie_of_length(content: bytes, chance: random.Random) -> bytes:
    places = _elements(content)
    if not places:
        return _flip(content, chance)
    place = chance.choice(places)
    found = bytearray(content)
    if content[place : place + 2] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"):
        length = chance.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE, len(content) * 2))
        found[place + 4 : place + 8] = struct.pack("<I", length)
    else:
        found[place + 2 : place + 4] = struct.pack("<H", chance.choice((0, 1, 0xFFFF, 0x7FFF, 13)))
    return bytes(found)


def _lie_of_vr(content: bytes, chance: random.Random) -> bytes:
    places = _elements(content)
    if not places:
        return _flip(content, chance)
    place = chance.choice(places)
    return content[:place] + chance.choice(_VRS) + content[place + 2 :]


def _deep(content: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((3, 50, 500, 3000))
    length = chance.choice((0xFFFFFFFF, 0xFFFFFFFF, 100))
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, length)
    opening += struct.pack("<HHI", 0xFFFE, 0xE000, length)
    return content[: chance.choice((len(content), 400))] + opening * depth


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content + content[start : start + 5000] * chance.choice((1, 2, 20))


def _swap(content: bytes, chance: random.Random) -> bytes:
    """Return a file of another transfer syntax than its bytes have."""
    other = chance.choice(
        (b"1.2.840.10008.1.2.2\0", b"1.2.840.10008.1.2\0\0\0", b"1.2.840.10008.1.2.5\0",
         b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.1.99")
    )  # fmt: skip
    place = content.find(b"1.2.840.10008.1.2", 150)
    return content if place < 0 else content[:place] + other + content[place + len(other) :]


# -- JSON ------------------------------------------------------------------------------------


def broken_json(whole: Any, chance: random.Random) -> Any:
    """Return JSON with one fault somewhere in it."""
    places: list[tuple[Any, Any]] = []
    waiting = [whole]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    if not places:
        return chance.choice(_VALUES)
    node, key = chance.choice(places)
    way = chance.randrange(7)
    if way <= 2:
        node[key] = copy.deepcopy(chance.choice(_VALUES))
    elif way == 3:
        del node[key]
    elif way == 4:
        name = chance.choice(("extension", "contained", ""))
        node[key] = f"{_DEEP}{chance.choice((70, 400, 20_000))} {name}"
    elif way == 5 and isinstance(node, dict):
        node[chance.choice(("x", "_" + str(key), "valueString", "extension", "", "id", "meta"))] = (
            copy.deepcopy(chance.choice(_VALUES))
        )
    else:
        node[key] = [node[key]] * chance.choice((2, 50))
    return whole


def _nested(found: re.Match[str]) -> str:
    """Return the JSON of what stands for it: as deep as no encoder goes."""
    depth, name = int(found[1]), found[2]
    opening, closing = (f'[{{"{name}":', "}]") if name else ("[", "]")
    return opening * depth + "1" + closing * depth


def encoded(whole: Any, chance: random.Random) -> bytes:
    """Return JSON as bytes, now and then no longer whole."""
    try:
        text = json.dumps(whole)
    except ValueError:
        # A whole number beyond what Python writes as digits.
        text = '{"resourceType":"Patient","x":' + "9" * 5000 + "}"
    text = re.sub(rf'"{_DEEP}(\d+) (\w*)"', _nested, text)
    body = text.encode("utf-8", "surrogatepass")
    way = chance.random()
    if way < 0.06:
        return body[: chance.randrange(len(body) + 1)]
    if way < 0.12:
        return flipped(body, chance, chance.choice((1, 3, 20)))
    if way < 0.14:
        return chance.choice((b"", b"null", b"[]", b"0", b'"', b"\xef\xbb\xbf" + body, body * 2))
    if way < 0.16:
        return body.replace(b'":', b'":1e999,"x":', 1)
    return body


_OWN: Sequence[Json] = (
    {
        "resourceType": "Patient",
        "id": "fuzz",
        "identifier": [{"system": "urn:example:mrn", "value": "4711"}],
        "name": [{"family": "Fuzz", "given": ["F"]}],
        "birthDate": "1964-08-12",
    },
    {"resourceType": "Practitioner", "id": "fuzz", "name": [{"text": "Dr. Fuzz"}]},
    {
        "resourceType": "BodyStructure",
        "id": "fuzz",
        "location": {"coding": [{"system": SNOMED, "code": "85562004"}]},
        "patient": {"reference": "Patient/fuzz"},
    },
)
