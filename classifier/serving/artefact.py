"""`Artefact`: a model with all that its answers depend on, as one ``*.bodysite`` file.

The file is a zip whose members are stored as they are, in a fixed order and without dates: the
same content gives the same bytes. `docs/model-format.md` names the members and the keys.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.calibration import Calibration
from classifier.calibration.guards import GuardSettings
from classifier.data.labels import Head, LabelSpace
from classifier.errors import ArtefactError
from classifier.preprocess.pipeline import Preprocessing
from terminology.errors import BodySiteError
from terminology.files import written_whole

FORMAT: Final = "bodysite-artefact"
# Raised when a file of the new form would be misread by the code of before.
FORMAT_VERSION: Final = 1
SUFFIX: Final = ".bodysite"
_HEADER: Final = "model.json"
_NETWORK: Final = "model.onnx"
_CARD: Final = "card.md"
_ARRAY: Final = re.compile(r"arrays/([a-z0-9_.-]{1,80})\.npy")
# Arrays of the guards; what begins otherwise is the weight of a head.
_GUARDS: Final = "guards."
_HEAD: Final = "head."
_MIB: Final = 1 << 20
# More than any model that a CPU answers from; a file that claims more is refused unread.
_LIMITS: Final = {_HEADER: 16 * _MIB, _NETWORK: 512 * _MIB, _CARD: 4 * _MIB}
_ARRAY_LIMIT: Final = 64 * _MIB
_MOST_MEMBERS: Final = 64
# What zip begins with; a folder or a file of torch's pickles is told apart by name.
_MAGIC: Final = b"PK\x03\x04"
_RUN: Final = (".pt", ".pth")


@dataclass(frozen=True)
class Artefact:
    """A model to be served.

    Attributes
    ----------
    prior
        How often training saw each class of the examined part, by SCTID; sums to 1. Empty where
        it is not known.
    metrics, config
        What was measured of it, and what it was trained by: JSON values.
    sources
        The collections that it was trained on: JSON objects with at least `name`.
    card
        The model card, Markdown.
    onnx
        The network. Its input `images` is float32 (N, C, S, S); its outputs are the scores of
        each head under the head's name, (N, classes), `pooled` (N, F) and `maps` (N, F, h, w).
    head_weights
        For each head, float32 (classes, F): what the means of the feature maps are multiplied by.
    """

    name: str
    version: str
    space: LabelSpace
    preprocessing: Preprocessing
    calibration: Calibration
    guards: GuardSettings
    prior: Mapping[str, float]
    metrics: Mapping[str, Any]
    sources: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]
    card: str
    onnx: bytes = field(repr=False)
    head_weights: Mapping[Head, NDArray[np.float32]] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Who this model is, whatever its file is called: the SHA-256 of all its content."""
        return str(json.loads(_members(self)[_HEADER])["sha256"])


def write_artefact(path: Path, artefact: Artefact) -> None:
    """Write `artefact` to `path`, whole or not at all; the same content gives the same bytes.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    TypeError, ValueError
        `metrics`, `sources` or `config` holds what JSON does not have.
    """
    members = _members(artefact)
    with written_whole(path, binary=True) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            # The default date is 1980-01-01.
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def read_artefact(path: Path) -> Artefact:
    """Return the model in `path`, every part of it as it was written.

    Raises
    ------
    ArtefactError
        The file is missing, damaged, changed, of another program or of a newer Bodysite, or its
        parts do not fit together.
    """
    members = _read(path)
    header = _header(path, members)
    for name in sorted(set(members) - {_HEADER}):
        expected = header["members"].get(name)
        if expected is None:
            _changed(path, f"{name} is not among the members that {_HEADER} names")
        if hashlib.sha256(members[name]).hexdigest() != expected:
            _changed(path, f"the SHA-256 of {name} is not the one in {_HEADER}")
    if absent := sorted(set(header["members"]) - set(members)):
        _changed(path, f"{', '.join(absent)} is missing")
    try:
        artefact = _artefact(header, members)
    except (KeyError, TypeError, ValueError, AttributeError, LookupError, BodySiteError) as error:
        raise ArtefactError(
            str(path),
            f"describes a model that cannot be built ({error})",
            f"a model of format {FORMAT_VERSION}",
            "Export it again with this Bodysite, or use the one that wrote it.",
        ) from error
    # The digest of this header was compared with its content: nothing is to be computed again.
    artefact.__dict__["sha256"] = header["sha256"]
    return artefact


def shipped_model() -> Path | None:
    """Return the model that comes with the package, or `None` where there is none."""
    found = sorted((Path(__file__).parent / "shipped").glob(f"*{SUFFIX}"))
    return found[-1] if found else None


def _members(artefact: Artefact) -> dict[str, bytes]:
    """Return the members of the file, in its order."""
    arrays = {f"{_HEAD}{head}": values for head, values in artefact.head_weights.items()}
    arrays |= {f"{_GUARDS}{name}": one for name, one in artefact.guards.arrays().items()}
    others = {_NETWORK: artefact.onnx, _CARD: artefact.card.encode()}
    others |= {f"arrays/{name}.npy": _npy(arrays[name]) for name in sorted(arrays)}
    header: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": artefact.name,
        "version": artefact.version,
        "space": artefact.space.to_json(),
        "preprocessing": artefact.preprocessing.to_json(),
        "calibration": artefact.calibration.to_json(),
        "guards": artefact.guards.to_json(),
        "prior": dict(artefact.prior),
        "metrics": dict(artefact.metrics),
        "sources": [dict(one) for one in artefact.sources],
        "config": dict(artefact.config),
        "members": {name: hashlib.sha256(one).hexdigest() for name, one in others.items()},
    }
    header["sha256"] = _digest(header)
    text = json.dumps(header, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    return {_HEADER: text.encode(), **others}


def _digest(header: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a header without its own digest."""
    content = {name: value for name, value in header.items() if name != "sha256"}
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _npy(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(values), allow_pickle=False)
    return stream.getvalue()


def _artefact(header: Mapping[str, Any], members: Mapping[str, bytes]) -> Artefact:
    space = LabelSpace.from_json(header["space"])
    arrays = {
        match[1]: np.load(io.BytesIO(content), allow_pickle=False)
        for name, content in members.items()
        if (match := _ARRAY.fullmatch(name))
    }
    weights = {head: arrays[f"{_HEAD}{head}"] for head in space.heads}
    for head, rows in weights.items():
        if rows.ndim != 2 or len(rows) != len(space.columns(head)):
            raise ValueError(
                f"the weights of {head} are {rows.shape} for {len(space.columns(head))} classes"
            )
    of_guards = {
        name.removeprefix(_GUARDS): one for name, one in arrays.items() if name.startswith(_GUARDS)
    }
    return Artefact(
        name=header["name"],
        version=header["version"],
        space=space,
        preprocessing=Preprocessing.from_json(header["preprocessing"]),
        calibration=Calibration.from_json(header["calibration"]),
        guards=GuardSettings.from_json(header["guards"], of_guards),
        prior=header["prior"],
        metrics=header["metrics"],
        sources=tuple(header["sources"]),
        config=header["config"],
        card=members[_CARD].decode(),
        onnx=members[_NETWORK],
        head_weights=weights,
    )


def _read(path: Path) -> dict[str, bytes]:
    """Return the members of a file, none larger than a model has them."""
    if path.is_dir() or path.suffix.lower() in _RUN:
        raise ArtefactError(
            str(path),
            "it is a run, or a model as training leaves it",
            f"a model to be served, *{SUFFIX}",
            f"Make one of it: bodysite export {path} --out MODEL{SUFFIX}",
        )
    try:
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                _foreign(path, "it is no zip file")
            with zipfile.ZipFile(stream) as archive:
                return _contents(path, archive)
    except FileNotFoundError:
        raise ArtefactError(
            str(path), "there is no such file", f"a model, *{SUFFIX}", "Correct the path."
        ) from None
    except OSError as error:
        raise ArtefactError(
            str(path),
            f"cannot be read ({error.strerror or error})",
            f"a model, *{SUFFIX}",
            "Correct the path, or the rights of the file.",
        ) from error
    # What zipfile raises on bytes that were changed, or are missing at the end.
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ArtefactError(
            str(path),
            f"is damaged or incomplete ({error})",
            "a whole file as 'bodysite export' writes it",
            "Copy or download it again.",
        ) from error


def _contents(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(names) > _MOST_MEMBERS or len(set(names)) != len(names):
        _foreign(path, f"it has {len(names)} members, some of one name or too many")
    for entry in entries:
        limit = _LIMITS.get(entry.filename)
        if limit is None and _ARRAY.fullmatch(entry.filename):
            limit = _ARRAY_LIMIT
        if limit is None:
            _foreign(path, f"it has a member '{entry.filename}'")
        if entry.file_size > limit:
            _foreign(path, f"{entry.filename} claims {entry.file_size} bytes")
    if absent := [name for name in _LIMITS if name not in names]:
        _foreign(path, f"it has no {', '.join(absent)}")
    return {entry.filename: archive.read(entry) for entry in entries}


def _header(path: Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what model.json says, if it is of this format and was not changed."""
    try:
        header = json.loads(members[_HEADER], parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _changed(path, f"{_HEADER} is no JSON ({error})")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        _foreign(path, f"its {_HEADER} is of another program")
    written = header.get("format_version")
    if not isinstance(written, int) or written < 1:
        _foreign(path, f"its format is '{written}'")
    if written > FORMAT_VERSION:
        raise ArtefactError(
            str(path),
            f"is of format {written}",
            f"format {FORMAT_VERSION} at most",
            "Install a newer Bodysite: pip install --upgrade bodysite.",
        )
    if header.get("sha256") != _digest(header):
        _changed(path, f"{_HEADER} was changed: its content does not give its SHA-256")
    if not isinstance(header.get("members"), dict):
        _changed(path, f"{_HEADER} names no members")
    return header


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"'{text}' is no number of JSON")


def _foreign(path: Path, what: str) -> NoReturn:
    raise ArtefactError(
        str(path), what, f"a model as 'bodysite export' writes it, *{SUFFIX}", "Name another file."
    )


def _changed(path: Path, what: str) -> NoReturn:
    raise ArtefactError(
        str(path),
        what,
        "every part as 'bodysite export' wrote it",
        "Copy or download the file again, or export the model again.",
    )
