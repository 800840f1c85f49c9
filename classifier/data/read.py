"""The readers of data sets by name: `read_collection` gives the samples of any of `KINDS`."""

from __future__ import annotations

import inspect
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from classifier.data.sample import Collection
    from terminology.library import Terminology

# What each kind is read by. Every module has read(path, terminology, **options) -> Collection.
KINDS: Final[Mapping[str, str]] = {
    "roco": "classifier.data.roco",
    "imageclef": "classifier.data.imageclef",
    "unifesp": "classifier.data.unifesp",
    "manifest": "classifier.data.manifest",
    "dicom": "classifier.data.dicom_folder",
    "folder": "classifier.data.image_folder",
}


def read_collection(kind: str, path: Path, terminology: Terminology, **options: Any) -> Collection:
    """Return the samples of the data set of `kind` at `path`, its labels as concepts.

    `options` are those of the reader of the kind: the keyword parameters of its `read`.

    Raises
    ------
    DataSetError
        There is no such kind, option or path; or the data set is malformed, which names the
        file and the lines.
    """
    reader = _reader(kind)
    known = [
        name
        for name, parameter in inspect.signature(reader).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    if unknown := sorted(options.keys() - known):
        raise DataSetError(
            f"options of '{kind}'",
            f"'{unknown[0]}' is no option",
            f"one of {', '.join(known)}" if known else "no options",
            "Correct the name or leave it out.",
        )
    if not path.exists():
        raise DataSetError(str(path), "there is no such path", "a data set", "Check the path.")
    return reader(path, terminology, **options)


def check_named_once(collections: Iterable[Collection]) -> None:
    """Refuse collections that share a sample: it would be counted, and taught, twice.

    Raises
    ------
    DataSetError
        Naming the first sample that is there twice.
    """
    keys = Counter(sample.key for one in collections for sample in one.samples)
    twice = [key for key, number in keys.items() if number > 1]
    if twice:
        raise DataSetError(
            "data sets",
            f"'{twice[0]}' is there twice, and {len(twice) - 1} others",
            "sets that share no image",
            "Name each set once.",
        )


def _reader(kind: str) -> Callable[..., Collection]:
    module = KINDS.get(kind)
    if module is None:
        raise DataSetError(
            "kind of data set", f"'{kind}'", f"one of {', '.join(KINDS)}", "Correct the kind."
        )
    read: Callable[..., Collection] = import_module(module).read
    return read
