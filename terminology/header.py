"""The header reader: what a header says as a whole, out of what each attribute says.

A statement that lies below a general one refines it; one that contradicts it is named in
`conflicts` and kept. Nothing is averaged, nothing is corrected silently, and nothing in a header
raises: a broken element is a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydicom import Dataset

from terminology.annotation import Evidence, HeaderReading, HeaderStatement, Site
from terminology.attributes import (
    FRAME_ANATOMY,
    SERIES_WORDS,
    SIDES,
    SITE_CODES,
    VIEW_CODES,
    VIEW_POSITION,
)
from terminology.concept import Laterality, View
from terminology.elements import Elements
from terminology.patient import age_years, flag_animals
from terminology.settings import HeaderSettings
from terminology.sides import common_side
from terminology.statements import StatementReader, on_side
from terminology.words import HeaderWords

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

# Structures so general that a description may say more than they do, in any modality: 66019005
# |Limb|, 53120007 |Upper limb|, 61685007 |Lower limb|, 22943007 |Trunk|, 421060004 |Spine|,
# 39352004 |Joint|, 51114001 |Artery|, 29092000 |Vein|.
_GENERAL: Final = frozenset(
    {
        "66019005",
        "53120007",
        "61685007",
        "22943007",
        "421060004",
        "39352004",
        "51114001",
        "29092000",
    }
)
# In a radiograph a series name tells the part; in CT it often names a window (LUNG, BONE).
_RADIOGRAPHS: Final = frozenset({"CR", "DX", "RG", "RF", "MG", "XA", "IO", "PX"})
# 53120007 |Upper limb|, 61685007 |Lower limb|.
_LIMBS: Final = ("53120007", "61685007")
_BOTH: Final = Laterality.BILATERAL
# Window and kernel names of CT series, of whatever region: 39607008 |Lung|, 72410000 |Mediastinum|.
_WINDOWS: Final = frozenset({"39607008", "72410000"})


class HeaderReader:
    """Reads headers; safe to share between threads.

    Parameters
    ----------
    attributes
        Reads what each attribute says.
    words
        The vocabulary, for combined regions, unpaired parts and views.
    graph
        The body structures.
    settings
        The order of trust and the thresholds.
    """

    def __init__(
        self,
        attributes: StatementReader,
        words: HeaderWords,
        graph: BodyStructureGraph,
        settings: HeaderSettings | None = None,
    ) -> None:
        self._settings = settings or HeaderSettings()
        self._attributes = attributes
        self._words = words
        self._graph = graph

    def read(self, dataset: Dataset) -> HeaderReading:
        """Return what the header of `dataset` says; pixels are not touched, nothing is changed."""
        elements = Elements(dataset)
        modality = elements.text("Modality").upper() or None
        statements = [self._accepted(one) for one in self._attributes.read(elements, modality)]
        flag_animals(elements)
        age = age_years(elements)
        return self._joined(statements, modality, age, elements.flags)

    def read_value(self, keyword: str, value: str, modality: str | None = None) -> HeaderStatement:
        """Return what `value` says as the value of one attribute, by its DICOM keyword.

        Raises
        ------
        DicomError
            `keyword` is no DICOM keyword.
        """
        return self._accepted(self._attributes.read_value(keyword, value, modality))

    def _accepted(self, statement: HeaderStatement) -> HeaderStatement:
        """Withhold the sites that the settings find not sure enough; a note says which."""
        least = self._settings.accept_from
        withheld = [s for s in statement.sites if s.confidence is not None and s.confidence < least]
        if not withheld:
            return statement
        notes = (
            Evidence(
                statement.keyword,
                note=f"{site.code} |{site.display}| withheld: confidence {site.confidence} is"
                f" below {least}",
            )
            for site in withheld
        )
        return replace(
            statement,
            sites=tuple(site for site in statement.sites if site not in withheld),
            evidence=(*statement.evidence, *notes),
        )

    def _joined(
        self,
        statements: list[HeaderStatement],
        modality: str | None,
        age: float | None,
        flags: list[str],
    ) -> HeaderReading:
        conflicts: list[str] = []
        evidence: list[Evidence] = []
        first: HeaderStatement | None = None
        sites: tuple[Site, ...] = ()
        contradicting: list[HeaderStatement] = []
        for statement in sorted(statements, key=lambda s: _names_window(s, modality)):
            if not statement.sites:
                continue
            if first is None:
                first, sites = statement, statement.sites
                evidence.extend(statement.evidence)
            elif self._refines(sites, statement, modality):
                general, refined = sites[0], statement.sites[0]
                sites = statement.sites
                note = (
                    f"{general.code} |{general.display}| of {first.keyword} refined to "
                    f"{refined.code} |{refined.display}|"
                )
                evidence.append(Evidence(statement.keyword, note=note))
                evidence.extend(statement.evidence)
                side = general.laterality
                if side is not None and refined.laterality is None:
                    sites = tuple(replace(site, laterality=side) for site in sites)
                first = statement
            elif not self._agrees(sites, statement.sites):
                conflicts.append(_contradiction(statement, first, sites))
                if not self._of_one_limb(sites, statement.sites):
                    contradicting.append(statement)
        side = self._side([s for s in statements if s not in contradicting], first, conflicts)
        view = self._view(statements, conflicts)
        if side is not None:
            sites = tuple(
                site
                if site.laterality is not None or site.code in self._words.unpaired
                else replace(site, laterality=side)
                for site in sites
            )
            if first is not None and first.keyword == FRAME_ANATOMY and side is _BOTH:
                sites = on_side(replace(first, sites=sites), side, self._words.unpaired).sites
        return HeaderReading(
            sites=sites,
            laterality=side,
            view=view,
            modality=modality,
            age_years=age,
            statements=tuple(statements),
            conflicts=tuple(dict.fromkeys(conflicts)),
            flags=tuple(flags),
            evidence=tuple(dict.fromkeys(evidence)),
        )

    def _refines(
        self, sites: tuple[Site, ...], statement: HeaderStatement, modality: str | None
    ) -> bool:
        """Return whether `statement` names one part below the one general part of `sites`."""
        if len(sites) != 1 or len(statement.sites) != 1:
            return False
        general, refined = sites[0], statement.sites[0]
        if (refined.confidence or 0) < self._settings.refine_from:
            return False
        # Only words of the series at hand refine a part that is already particular.
        if general.code not in _GENERAL and (
            modality not in _RADIOGRAPHS or statement.keyword not in SERIES_WORDS
        ):
            return False
        return self._graph.subsumes(general.code, refined.code)

    def _agrees(self, sites: Sequence[Site], others: Sequence[Site]) -> bool:
        """Return whether any two sites are the same, one within the other, or of one region."""
        for one in {site.code for site in sites}:
            for other in {site.code for site in others}:
                if (
                    one == other
                    or self._graph.subsumes(one, other)
                    or self._graph.subsumes(other, one)
                ):
                    return True
                for parts, region in self._words.regions.items():
                    if (one in parts and other == region.code) or (
                        other in parts and one == region.code
                    ):
                        return True
        return False

    def _of_one_limb(self, sites: Sequence[Site], others: Sequence[Site]) -> bool:
        """Return whether all are of the upper, or all of the lower limb: one side fits them."""
        return any(
            all(
                site.code == limb or self._graph.subsumes(limb, site.code)
                for site in (*sites, *others)
            )
            for limb in _LIMBS
        )

    def _side(
        self,
        statements: Sequence[HeaderStatement],
        first: HeaderStatement | None,
        conflicts: list[str],
    ) -> Laterality | None:
        """Return the side: of the statement that gave the site, of the tags, of the words."""
        tagged = [s for s in statements if s.keyword in SIDES]
        coded = [first] if first is not None and first.keyword in SITE_CODES else []
        order = [*coded, *tagged, *([first] if first is not None else []), *statements]
        known = [s for s in order if s.laterality is not None]
        if not known:
            return None
        chosen = known[0]
        if chosen.keyword == FRAME_ANATOMY:
            # Frames of the left and of the right are no contradiction.
            frames = [s for s in known if s.keyword == FRAME_ANATOMY]
            whole = common_side(s.laterality for s in frames)
            if whole is not chosen.laterality:
                known = [s for s in known if s not in frames]
                chosen = replace(chosen, laterality=whole)
                known.insert(0, chosen)
        for other in known[1:]:
            if other.laterality is not chosen.laterality:
                conflicts.append(
                    f"{other.keyword} says {other.laterality}, "
                    f"{chosen.keyword} says {chosen.laterality}"
                )
        return chosen.laterality

    def _view(self, statements: Sequence[HeaderStatement], conflicts: list[str]) -> View | None:
        # Several views of a study or series do not say which one this image is.
        named = [s for s in statements if s.view is not None and len(s.views) < 2]
        order = [s for s in named if s.keyword == VIEW_CODES]
        order += [s for s in named if s.keyword == VIEW_POSITION]
        order += [s for s in named if s not in order]
        if not order:
            return None
        chosen = order[0]
        for other in order[1:]:
            if other.view and chosen.view and not self._same_view(other.view, chosen.view):
                conflicts.append(
                    f"{other.keyword} says {other.view.display}, "
                    f"{chosen.keyword} says {chosen.view.display}"
                )
        return chosen.view

    def _same_view(self, one: View, other: View) -> bool:
        """Return whether the views are one, or one of them only says less: frontal beside AP."""
        broader = self._words.broader_views
        return (
            one.code == other.code
            or broader.get(one.code) == other.code
            or broader.get(other.code) == one.code
        )


def _names_window(statement: HeaderStatement, modality: str | None) -> bool:
    """Return whether words of a CT series may name its window instead of what was examined."""
    return (
        modality == "CT"
        and statement.keyword in SERIES_WORDS
        and bool(statement.sites)
        and all(site.code in _WINDOWS for site in statement.sites)
    )


def _contradiction(
    statement: HeaderStatement, first: HeaderStatement, sites: Sequence[Site]
) -> str:
    def named(found: Sequence[Site]) -> str:
        return ", ".join(f"{site.code} |{site.display}|" for site in found)

    return f"{statement.keyword} says {named(statement.sites)}, {first.keyword} says {named(sites)}"
