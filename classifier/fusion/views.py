"""How the header's view and the image's view stand to each other, and which one is told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from terminology.concept import View
from terminology.tables import mappings_folder, read_rows
from terminology.words import VIEW_COLUMNS, VIEWS_TABLE


def fused_view(header: View | None, image: View | None, *, sure: bool) -> tuple[View | None, bool]:
    """Return the view of an instance, and whether header and image contradict each other.

    A view that only says less of the other does not contradict it: of |frontal| and
    |antero-posterior|, the second is told. A contradiction is one only where the image is `sure`;
    the image's view is then told.
    """
    if header is None or image is None:
        return header or image, False
    if header.code == image.code or image.code in broader_views(header.code):
        return header, False
    if header.code in broader_views(image.code):
        return image, False
    return (image, True) if sure else (header, False)


def broader_views(code: str) -> tuple[str, ...]:
    """Return the views that say less of the view `code`, the nearest first."""
    chain: list[str] = []
    while (broader := _broader().get(code)) and broader not in chain:
        chain.append(broader)
        code = broader
    return tuple(chain)


@lru_cache(maxsize=1)
def _broader() -> Mapping[str, str]:
    rows = read_rows(mappings_folder() / VIEWS_TABLE, VIEW_COLUMNS)
    return {row["code"]: row["broader"] for row in rows if row["broader"]}
