"""`WholeValues`: what a site decided about whole header values, found by the value's tokens.

The rows are those of scope "value" in a site's own `header-words.sssom.tsv`. Values are compared
by folded tokens: case, accents and separators do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from terminology import sssom
from terminology.concept import Laterality, View
from terminology.folding import fold, tokens_of
from terminology.mapping import SemanticMapping

# How evidence names a site's own row: local/header-words.sssom.tsv:12.
LOCAL_PREFIX: Final = "local/"


@dataclass(frozen=True, slots=True)
class WholeValue:
    """What the rows of one value say: its sites (none: the value names none), side and view.

    `sites` are codes with the side that their row states; `laterality` is the side of a value
    that names no site. A side or a view that no row states is read from the text. `rows` has the
    rows as ``file:line``.
    """

    sites: tuple[tuple[str, Laterality | None], ...]
    confidence: float
    laterality: Laterality | None
    view: View | None
    languages: frozenset[str]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WholeValues:
    """The decided values, each for one attribute or (under no keyword) for all of them."""

    by_value: Mapping[tuple[str, ...], Mapping[str | None, WholeValue]] = field(
        default_factory=dict
    )
    fields: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, rows: Iterable[SemanticMapping], file: str, views: Mapping[str, View]
    ) -> WholeValues:
        """Return the values of `rows`, which stand in `file`; `views` are known by their code."""
        together: dict[tuple[str, ...], dict[str | None, list[SemanticMapping]]] = {}
        for row in rows:
            of_value = together.setdefault(whole_key(row.subject_label or ""), {})
            of_value.setdefault(row.subject_field or None, []).append(row)
        return cls(
            {
                key: {
                    keyword: _whole_value(of_field, file, views)
                    for keyword, of_field in of_value.items()
                }
                for key, of_value in together.items()
            },
            frozenset(keyword for found in together.values() for keyword in found if keyword),
        )

    def find(self, value: str, keyword: str | None) -> WholeValue | None:
        """Return what was decided for `value` in this attribute, or else for the value anywhere."""
        if not self.by_value:
            return None
        found = self.by_value.get(whole_key(value))
        if found is None:
            return None
        return found.get(keyword) or found.get(None)


def whole_key(value: str) -> tuple[str, ...]:
    """Return what makes two values the same: their folded tokens, or their text without any."""
    folded = fold(value)
    return tokens_of(folded) or (folded.strip(),)


def _whole_value(
    rows: Collection[SemanticMapping], file: str, views: Mapping[str, View]
) -> WholeValue:
    sites = [row for row in rows if not row.no_match and not row.negated]
    sides = [row.object_laterality for row in rows if row.object_laterality is not None]
    shown = [views[row.object_view] for row in rows if row.object_view]
    return WholeValue(
        sites=tuple(
            dict.fromkeys((sssom.object_code(row), row.object_laterality) for row in sites)
        ),
        confidence=min(
            (1.0 if row.confidence is None else row.confidence for row in sites), default=1.0
        ),
        laterality=sides[0] if sides and not sites else None,
        view=shown[0] if shown else None,
        languages=frozenset(
            language for row in rows for language in (row.subject_language or "und").split("|")
        ),
        rows=tuple(f"{file}:{row.line}" for row in rows),
    )
