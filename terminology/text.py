"""Text to site: what one header string says of body part, side and view.

A site's own decision about the value comes first. Otherwise the phrases that `terminology.phrases`
found are put together: what was not examined (history of, without) is left out, an ambiguous word
gives way to a clear one, of a region and its part the part remains, and several parts that have
one concept become that concept. Sides and projections are the business of `terminology.sides`.
What is no body part gets no site.

Letter case, accents and the kind of separator do not change the answer, nor does the order of
words that are independent of each other. Three things do depend on what stands between words: a
comma, a colon, a full stop, a bracket or a line end closes a history; a comma tells which side is
of which part where there are several; and the apostrophe of "l'épaule" tells an article from a
letter for "left". And a value whose letters were damaged (Ã¼ for ü) is repaired only while its
case is that in which it was damaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence, Method, Site, TextReading
from terminology.clauses import examined
from terminology.concept import Laterality
from terminology.errors import RowProblem, TableError
from terminology.items import Item
from terminology.mending import Mender
from terminology.parts import PartReader, implied_modality
from terminology.phrases import PhraseFinder
from terminology.settings import HeaderSettings
from terminology.sides import (
    Mention,
    Projection,
    Side,
    SideReader,
    common_side,
)
from terminology.tokens import LONGEST_VALUE, Tokens
from terminology.wholes import WholeValue
from terminology.words import HeaderWords

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

CACHE_SIZE: Final = 16384
# 816094009 |Chest|.
CHEST: Final = "816094009"
# Only what the size of a header value is remembered, so that the cache stays small.
_LONGEST_REMEMBERED: Final = 256
# An unknown word of fewer letters than this says nothing about the words beside it.
_SHORTEST_UNKNOWN: Final = 3
# Two unknown words of so many letters are more likely a name than two misspellings.
_SHORTEST_NAME: Final = 4


class TextReader:
    """Reads strings of any of the vocabulary's languages; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary, with a site's own words and decisions.
    graph
        The body structures; words whose concept it does not hold are left out.
    settings
        The thresholds.
    like
        Another reader over the same graph. What it has worked out of a vocabulary that differs
        from this one in decided values only is used again.

    Raises
    ------
    TableError
        A site decided for a concept that `graph` does not hold.
    """

    def __init__(
        self,
        words: HeaderWords,
        graph: BodyStructureGraph,
        settings: HeaderSettings | None = None,
        like: TextReader | None = None,
    ) -> None:
        self.settings = settings or HeaderSettings()
        self.words = words
        self.graph = graph
        _check_decisions(words, graph)
        if like is not None and (like.graph is not graph or like.words.sites is not words.sites):
            like = None
        self._finder: PhraseFinder = like._finder if like else PhraseFinder(words, graph)
        self._mender: Mender = like._mender if like else Mender(words, graph, self._finder)
        self._parts: PartReader = like._parts if like else PartReader(words, graph, self._mender)
        self._sides: SideReader = like._sides if like else SideReader(words)
        self._fields = words.wholes.fields
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._read)

    def read(
        self, value: str, *, modality: str | None = None, field: str | None = None
    ) -> TextReading:
        """Return what `value` says; `sites` is empty when no body part is named.

        `modality` is the DICOM modality of the image where it is known: in CT or MR, a plane or
        AP is no projection. `field` is the DICOM keyword of the attribute that the value stood
        in; a site's own decisions may hold there only. Of a text longer than DICOM's long texts,
        10,240 characters are read, and a note in the evidence says so.
        """
        if field is not None and field not in self._fields:
            field = None
        if len(value) <= _LONGEST_REMEMBERED:
            return self._cached(value, modality, field)
        return self._read(value, modality, field)

    def decided(
        self, value: str, field: str | None = None, *, modality: str | None = None
    ) -> TextReading | None:
        """Return what a site's own rows say of the whole `value`; `None` when no row is about it.

        A decision that the value names no site is a reading without sites.
        """
        if self.words.wholes.find(value, field) is None:
            return None
        return self.read(value, modality=modality, field=field)

    def _read(
        self, value: str, modality: str | None = None, keyword: str | None = None
    ) -> TextReading:
        tokens = Tokens(value[:LONGEST_VALUE])
        items = self._finder.items(tokens)
        if (decision := self.words.wholes.find(value, keyword)) is not None:
            return self._as_decided(value, tokens, items, modality, decision)
        items = self._parts.understood(items)
        if modality != "MG" and len(value) <= LONGEST_VALUE:
            exact = self._parts.exact(items)
            if exact is not None:
                return self._as_exact(value, tokens, exact)
        if self.settings.misspellings:
            items = self._mender.phrases(tokens, items)
        items = examined(tokens, items)
        modality = modality or implied_modality(items)
        mentions, items, misspelt = self._parts.named(
            tokens, items, modality, misspellings=self.settings.misspellings
        )
        modality = modality or implied_modality(items)
        views = self._sides.views(items, modality, mentions)
        sides = self._sides.sides(items, mentions, views)
        sides = self._sides.examined(sides, items, mentions)
        projection, sides = self._sides.projection(views, sides, mentions)
        mentions = self._parts.joined(tokens, items, mentions)
        parted = tokens.parted if len(sides) > 1 and len(mentions) > 1 else frozenset()
        sites = self._sides.placed(mentions, sides, parted)
        evidence = _evidence(tokens, mentions, sides, projection)
        if self.settings.accept_from > 0:
            sites, evidence = self._accepted(sites, evidence)
        if len(value) > LONGEST_VALUE:
            note = f"only the first {LONGEST_VALUE} characters were read"
            evidence = (*evidence, Evidence("text", note=note))
        used, ignored = _used(tokens, mentions, sides, views)
        return TextReading(
            value=value,
            sites=sites,
            laterality=_overall_side(sites, sides),
            view=projection.view,
            ignored=ignored,
            evidence=evidence,
            used=used,
            method=(Method.MISSPELLING if misspelt else Method.TOKENS) if sites else None,
            views=projection.views,
        )

    def _as_exact(self, value: str, tokens: Tokens, mention: Mention) -> TextReading:
        """Return what a value says that is one phrase of a part."""
        written = tuple(tokens.written)
        site = Site(mention.code, mention.display, mention.laterality, mention.confidence)
        sites: tuple[Site, ...] = (site,)
        evidence: tuple[Evidence, ...] = (Evidence("text", written, mention.rows, mention.note),)
        if self.settings.accept_from > 0:
            sites, evidence = self._accepted(sites, evidence)
        return TextReading(
            value=value,
            sites=sites,
            laterality=mention.laterality,
            evidence=evidence,
            used=written,
            method=(Method.TOKENS if mention.note else Method.EXACT) if sites else None,
        )

    def _as_decided(
        self,
        value: str,
        tokens: Tokens,
        items: list[Item],
        modality: str | None,
        decision: WholeValue,
    ) -> TextReading:
        """Return what a site decided; a side or a view that it does not state is read as usual."""
        last = max(len(tokens.folded) - 1, 0)
        mentions = [
            self._decided_mention(code, side, last, decision) for code, side in decision.sites
        ]
        mentions = self._parts.combined(mentions)
        items = self._parts.settled(items, mentions)
        views = self._sides.views(items, modality or implied_modality(items), mentions)
        sides = self._sides.sides(items, mentions, views)
        projection, sides = self._sides.projection(views, sides, mentions)
        sites = self._sides.placed(mentions, sides, frozenset())
        return TextReading(
            value=value,
            sites=sites,
            laterality=decision.laterality or _overall_side(sites, sides),
            view=decision.view or projection.view,
            evidence=(Evidence("text", tuple(tokens.written), decision.rows),),
            used=tuple(tokens.written),
            method=Method.DECISION,
            views=(decision.view,) if decision.view else projection.views,
        )

    def _decided_mention(
        self, code: str, side: Laterality | None, last: int, decision: WholeValue
    ) -> Mention:
        unsided, display, own = self._parts.concept(code)
        return Mention(
            code=unsided,
            display=display,
            confidence=decision.confidence,
            first=0,
            last=last,
            rows=decision.rows,
            languages=decision.languages,
            laterality=side or own,
        )

    # --- from phrases to parts -----------------------------------------------------------

    def _accepted(
        self, sites: tuple[Site, ...], evidence: tuple[Evidence, ...]
    ) -> tuple[tuple[Site, ...], tuple[Evidence, ...]]:
        """Withhold the sites that the settings find not sure enough."""
        least = self.settings.accept_from
        kept = tuple(site for site in sites if (site.confidence or 0) >= least)
        notes = [
            Evidence(
                "text",
                note=f"{site.code} |{site.display}| withheld: confidence {site.confidence} is"
                f" below {least}",
            )
            for site in sites
            if site not in kept
        ]
        return kept, (*evidence, *notes)


def _check_decisions(words: HeaderWords, graph: BodyStructureGraph) -> None:
    problems = []
    for decisions in words.wholes.by_value.values():
        for decision in decisions.values():
            for code, _ in decision.sites:
                if code not in graph:
                    file, _, line = decision.rows[0].rpartition(":")
                    what = f"'{code}' is not in the release"
                    expected = f"a body structure of {graph.version}"
                    problems.append(RowProblem(file, int(line), "object_id", what, expected))
    if problems:
        raise TableError(problems)


def _overall_side(sites: Sequence[Site], sides: Sequence[Side]) -> Laterality | None:
    """Return the side of the parts that have one, none where the parts differ in it."""
    if not sites:
        return common_side(side.laterality for side in sides)
    found = {site.laterality for site in sites if site.laterality is not None}
    return found.pop() if len(found) == 1 else None


def _places(part: Item | Mention) -> range:
    return range(part.first, part.last + 1)


def _used(
    tokens: Tokens, mentions: Sequence[Mention], sides: Sequence[Side], views: Sequence[Item]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that the answer rests on, and the others."""
    meaning = {place for mention in mentions for place in _places(mention)}
    meaning.update(place for side in sides for place in _places(side.item))
    meaning.update(place for view in views for place in _places(view))
    written = tokens.written
    if len(meaning) == len(written):
        return tuple(written), ()
    return (
        tuple(word for place, word in enumerate(written) if place in meaning),
        tuple(word for place, word in enumerate(written) if place not in meaning),
    )


def _evidence(
    tokens: Tokens,
    mentions: Sequence[Mention],
    sides: Sequence[Side],
    projection: Projection,
) -> tuple[Evidence, ...]:
    written = tokens.written

    def words(part: Item | Mention) -> tuple[str, ...]:
        return tuple(written[part.first : part.last + 1])

    found = [Evidence("text", words(m), m.rows, m.note) for m in mentions]
    for side in sides:
        if side.item.entry is not None:
            found.append(Evidence("text", words(side.item), (side.item.entry.ref,)))
    if projection.item is not None and projection.item.entry is not None:
        found.append(Evidence("text", words(projection.item), (projection.item.entry.ref,)))
    if projection.note is not None:
        found.append(Evidence("text", note=projection.note))
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)
