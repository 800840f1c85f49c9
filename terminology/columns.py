"""Whole columns of header values: each different value is read once.

`map_column` takes a pandas Series and gives a DataFrame; `read_once` is for columns of any other
kind. pandas is imported when it is needed, and only `map_column` needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from terminology.errors import BodySiteError

if TYPE_CHECKING:
    from terminology.annotation import HeaderStatement, TextReading
    from terminology.library import Terminology


class Answer(NamedTuple):
    """What one value says, a column each.

    `code`, `display`, `laterality` and `confidence` are of the first site, `codes` has all sites,
    joined by ``|``. `view` is the SNOMED CT code of the projection, `method` how the site was
    found. What the value does not say is `None`.
    """

    code: str | None = None
    display: str | None = None
    laterality: str | None = None
    confidence: float | None = None
    view: str | None = None
    view_display: str | None = None
    codes: str | None = None
    method: str | None = None


_NOTHING: Final = Answer()
_NUMBERS: Final = frozenset({"confidence"})


def map_column(
    series: Any, library: Terminology, field: str | None = None, modality: str | None = None
) -> Any:
    """Return the answers to a column of header values.

    Parameters
    ----------
    series
        A pandas Series of text. Values that are no text (missing ones, numbers) have no answer.
    library
        The terminology.
    field
        The DICOM keyword of the attribute that the values stood in, where it is known.
    modality
        The DICOM modality of the images, where it is one.

    Returns
    -------
    pandas.DataFrame
        The columns of `Answer`, with the index of `series`.

    Raises
    ------
    DicomError
        `field` is no DICOM keyword.
    BodySiteError
        pandas is not installed.
    """
    try:
        pandas: Any = import_module("pandas")
    except ModuleNotFoundError:
        raise BodySiteError(
            "map_column",
            "pandas is not installed",
            "pandas beside bodysite",
            "Install it: pip install pandas. 'bodysite map --in CSV' works without it.",
        ) from None
    places, values = pandas.factorize(series)
    answers = [
        answer(library, value, field, modality) if isinstance(value, str) else _NOTHING
        for value in values
    ]
    # A missing value has the place -1: the last row, which says nothing.
    answers.append(_NOTHING)
    unique = pandas.DataFrame(
        {
            name: pandas.Series(column, dtype="float64" if name in _NUMBERS else "object")
            for name, column in zip(Answer._fields, zip(*answers, strict=True), strict=True)
        }
    )
    places[places < 0] = len(answers) - 1
    return unique.take(places).set_axis(series.index)


def read_once(
    values: Iterable[str],
    library: Terminology,
    field: str | None = None,
    modality: str | None = None,
) -> Iterator[Answer]:
    """Yield the answers to `values`, in their order; a value that is repeated is read once.

    Raises
    ------
    DicomError
        `field` is no DICOM keyword.
    """
    known: dict[str, Answer] = {}
    for value in values:
        found = known.get(value)
        if found is None:
            found = known[value] = answer(library, value, field, modality)
        yield found


def answer(
    library: Terminology, value: str, field: str | None = None, modality: str | None = None
) -> Answer:
    """Return what `value` says, in columns."""
    reading: TextReading | HeaderStatement
    if field is None:
        reading = library.text.read(value, modality=modality)
    else:
        reading = library.header.read_value(field, value, modality)
    view = reading.view
    first = reading.sites[0] if reading.sites else None
    return Answer(
        code=None if first is None else first.code,
        display=None if first is None else first.display,
        laterality=_side(reading),
        confidence=None if first is None else first.confidence,
        view=None if view is None else view.code,
        view_display=None if view is None else view.display,
        codes="|".join(site.code for site in reading.sites) or None,
        method=None if reading.method is None else reading.method.value,
    )


def _side(reading: TextReading | HeaderStatement) -> str | None:
    side = reading.sites[0].laterality if reading.sites else reading.laterality
    return None if side is None else side.value
