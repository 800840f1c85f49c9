"""`Report`: what the header values of an inventory mean, what is open, and how much is covered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from terminology.annotation import Method, Site
from terminology.attributes import (
    BODY_PART,
    MODALITY,
    SIDES,
    VIEW_CODES,
    VIEW_POSITION,
)
from terminology.concept import Coding, Laterality
from terminology.coverage import ELSEWHERE, REGIONS, region_of
from terminology.crosswalk import DICOM_BODY_PART
from terminology.decision_files import DECISION_COLUMNS, SITELESS
from terminology.folding import fold, tokens_of
from terminology.scan import (
    ATTRIBUTES,
    Combination,
    Count,
    Inventory,
    names_sites,
)
from terminology.scan_answers import ScanAnswer, answer_of, header_of, siteless_words
from terminology.suggestions import MOST, Companion, Suggestion, Suggestions

if TYPE_CHECKING:
    from terminology.library import Terminology

# Other attributes are asked about so many values of one attribute; the most frequent come first.
_COMPANIONS: Final = 5
# Looking for suggestions takes milliseconds a value, and nobody decides more at a sitting.
SUGGESTED: Final = 2000
COLUMNS: Final = (
    "field",
    "value",
    "rows",
    "images",
    "share",
    "modality",
    "code",
    "display",
    "other_sites",
    "laterality",
    "view",
    "view_display",
    "confidence",
    "method",
    "evidence",
    *(name for n in range(1, MOST + 1) for name in (f"suggestion_{n}", f"suggestion_{n}_reason")),
    *DECISION_COLUMNS,
)


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value of one attribute: how often, what it says, what it may mean."""

    field: str
    value: str
    count: Count
    share: float
    answer: ScanAnswer
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def decided_none(self) -> bool:
        """Whether the site decided that the value names no body site."""
        return self.answer.method is Method.DECISION and not self.answer.sites

    @property
    def understood(self) -> bool:
        """Whether the value says what its attribute is for."""
        if self.field in SIDES:
            return self.answer.laterality is not None
        if self.field in {VIEW_POSITION, VIEW_CODES}:
            return self.answer.view is not None
        if self.field == MODALITY:
            return self.answer.modality
        return bool(self.answer.sites) or self.decided_none

    def cells(self) -> dict[str, object]:
        """Return the row as the CSV and the JSON have it."""
        first = self.answer.sites[0] if self.answer.sites else None
        others = "; ".join(f"{site.code} |{site.display}|" for site in self.answer.sites[1:])
        view = self.answer.view
        found: dict[str, object] = {
            "field": self.field,
            "value": self.value,
            "rows": self.count.rows,
            "images": self.count.images,
            "share": round(self.share, 4),
            "modality": "|".join(sorted(filter(None, self.count.modalities))),
            "code": first.code if first is not None else "",
            "display": first.display if first is not None else "",
            "other_sites": others,
            "laterality": self.answer.laterality or "",
            "view": view.code if view is not None else "",
            "view_display": view.display if view is not None else "",
            "confidence": "" if first is None or first.confidence is None else first.confidence,
            "method": self.answer.method or (SITELESS if self.answer.siteless else ""),
            "evidence": "|".join(self.answer.rows),
        }
        for place in range(1, MOST + 1):
            one = self.suggestions[place - 1] if place <= len(self.suggestions) else None
            found[f"suggestion_{place}"] = "" if one is None else str(one)
            found[f"suggestion_{place}_reason"] = "" if one is None else "; ".join(one.reasons)
        return {**found, **dict.fromkeys(DECISION_COLUMNS, "")}

    def as_dict(self) -> dict[str, object]:
        """Return the row, ready for JSON; what is not known is `None`."""
        cells = {key: value for key, value in self.cells().items() if "suggestion" not in key}
        found = {key: None if value == "" else value for key, value in cells.items()}
        for column in DECISION_COLUMNS:
            del found[column]
        suggestions = [
            {
                "code": one.code,
                "display": one.display,
                "score": one.score,
                "reasons": list(one.reasons),
            }
            for one in self.suggestions
        ]
        return {**found, "evidence": list(self.answer.rows), "suggestions": suggestions}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one attribute is understood: of its values, its rows and its images.

    Of the others, those are `siteless` of which every word is known and none names a site.
    `codes` counts the distinct sites with their sides. For BodyPartExamined, `defined` are the
    distinct values that DICOM defines, and `defined_images` the images that have one.
    """

    field: str
    values: int = 0
    values_understood: int = 0
    rows: int = 0
    rows_understood: int = 0
    images: int = 0
    images_understood: int = 0
    values_siteless: int = 0
    images_siteless: int = 0
    codes: int = 0
    defined: int | None = None
    defined_images: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it, ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SiteCount:
    """A site as the headers as a whole have it, and on how many images."""

    code: str
    display: str
    laterality: Laterality | None
    images: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a scan found.

    Of `images`, it is known for `images_known` which values stood together; `images_answered` of
    these have a site when all their attributes are asked. `regions` goes from `REGIONS` and
    "elsewhere" to images. The `SUGGESTED` most frequent open values have suggestions; of the
    others, `unsuggested` many, none were looked for.
    """

    rows: tuple[ValueRow, ...]
    coverage: tuple[Coverage, ...]
    sites: tuple[SiteCount, ...]
    regions: Mapping[str, int]
    files: int
    images: int
    images_answered: int
    images_known: int
    values_left_out: int = 0
    combinations_left_out: int = 0
    hidden: int = 0
    unsuggested: int = 0

    @property
    def headline(self) -> str:
        """The whole report in one line: so many distinct values, so many codes."""
        values = sum(one.values for one in self.coverage if names_sites(one.field))
        return f"{values} distinct values → {len({site.code for site in self.sites})} codes"


def report_of(
    inventory: Inventory,
    library: Terminology,
    *,
    min_count: int = 1,
    watch: Callable[[int], None] = lambda _: None,
) -> Report:
    """Return what the values of `inventory` mean to `library`.

    Values on fewer than `min_count` images count for the coverage, but are not listed.
    `watch` is told of each value and each combination of values that was read.
    """
    answers: dict[tuple[str, str], ScanAnswer] = {}
    none = siteless_words(library)
    for pair, count in inventory.values.items():
        found = answer_of(library, *pair, count.modality)
        if not found.sites and names_sites(pair[0]):
            words = tokens_of(fold(pair[1]))
            siteless = bool(words) and all(one in none or one.isdigit() for one in words)
            found = replace(found, siteless=siteless)
        answers[pair] = found
        watch(1)
    fields = _fields(inventory)
    images_of = Counter[str]()
    for (keyword, _), count in inventory.values.items():
        images_of[keyword] += count.images
    order = {keyword: place for place, keyword in enumerate(fields)}
    listed = sorted(
        (pair for pair, count in inventory.values.items() if count.images >= min_count),
        key=lambda pair: (order[pair[0]], -inventory.values[pair].images, pair[1]),
    )
    rows = [
        ValueRow(
            pair[0],
            pair[1],
            inventory.values[pair],
            inventory.values[pair].images / (images_of[pair[0]] or 1),
            answers[pair],
        )
        for pair in listed
    ]
    rows = list(_suggested(rows, inventory, library, answers))
    sites, answered, known = _whole_headers(inventory, library, watch)
    return Report(
        rows=tuple(rows),
        coverage=tuple(_coverage(keyword, inventory, answers, library) for keyword in fields),
        sites=sites,
        regions=_regions(sites, library),
        files=inventory.rows,
        images=inventory.images,
        images_answered=answered,
        images_known=known,
        values_left_out=inventory.values_left_out,
        combinations_left_out=inventory.combinations_left_out,
        hidden=len(inventory.values) - len(listed),
        unsuggested=max(sum(map(is_open, rows)) - SUGGESTED, 0),
    )


def _fields(inventory: Inventory) -> list[str]:
    found = dict.fromkeys(keyword for keyword, _ in inventory.values)
    ranked = {keyword: place for place, keyword in enumerate((BODY_PART, *ATTRIBUTES))}
    return sorted(found, key=lambda keyword: (ranked.get(keyword, len(ranked)), keyword))


def _coverage(
    keyword: str,
    inventory: Inventory,
    answers: dict[tuple[str, str], ScanAnswer],
    library: Terminology,
) -> Coverage:
    counts: Counter[str] = Counter()
    codes: set[tuple[str, Laterality | None]] = set()
    for pair, count in inventory.values.items():
        if pair[0] != keyword:
            continue
        found = answers[pair]
        understood = ValueRow(keyword, pair[1], count, 0, found).understood
        for name, number in (("values", 1), ("rows", count.rows), ("images", count.images)):
            counts[name] += number
            counts[f"{name}_understood"] += number if understood else 0
        if found.siteless and not understood:
            counts["values_siteless"] += 1
            counts["images_siteless"] += count.images
        codes.update((site.code, site.laterality) for site in found.sites)
        if keyword == BODY_PART and _is_defined(library, pair[1]):
            counts["defined"] += 1
            counts["defined_images"] += count.images
    extra = ("defined", "defined_images")
    facts = {name: number for name, number in counts.items() if name not in extra}
    if keyword == BODY_PART:
        facts |= {name: counts[name] for name in extra}
    return Coverage(keyword, codes=len(codes), **facts)


def _is_defined(library: Terminology, value: str) -> bool:
    """Return whether PS3.16 Annex L defines the value, letter for letter."""
    if value != value.upper() or DICOM_BODY_PART not in library.crosswalk.systems:
        return False
    return bool(library.crosswalk.translate(Coding(DICOM_BODY_PART, value)).targets)


def _whole_headers(
    inventory: Inventory, library: Terminology, watch: Callable[[int], None]
) -> tuple[tuple[SiteCount, ...], int, int]:
    """Return the sites of whole headers, the images with one, and those that were asked about."""
    found: Counter[tuple[str, str, Laterality | None]] = Counter()
    answered = known = 0
    for combination, count in inventory.combinations.items():
        known += count.images
        watch(1)
        reading = library.header.read(header_of(combination))
        sites = reading.sites or _of_columns(library, combination)
        if sites:
            answered += count.images
            first = sites[0]
            side = first.laterality or (reading.laterality if reading.sites else None)
            found[first.code, first.display, side] += count.images
    sites_found = tuple(SiteCount(*key, images) for key, images in found.most_common())
    return sites_found, answered, known


def _regions(sites: Iterable[SiteCount], library: Terminology) -> dict[str, int]:
    found = dict.fromkeys((*REGIONS, ELSEWHERE), 0)
    for site in sites:
        found[region_of(site.code, library.graph)] += site.images
    return found


def _of_columns(library: Terminology, combination: Combination) -> tuple[Site, ...]:
    """Return the sites of the first column of a CSV, no DICOM attribute, that names one."""
    for keyword, value in combination:
        if tag_for_keyword(keyword) is None:
            found = answer_of(library, keyword, value).sites
            if found:
                return found
    return ()


def _suggested(
    rows: Sequence[ValueRow],
    inventory: Inventory,
    library: Terminology,
    answers: dict[tuple[str, str], ScanAnswer],
) -> Iterator[ValueRow]:
    decisions = library.local.decisions
    suggestions = Suggestions(
        library.text.words, library.graph, decisions.mappings if decisions is not None else ()
    )
    open_rows = sorted(filter(is_open, rows), key=lambda row: -row.count.images)
    wanted = {(row.field, row.value) for row in open_rows[:SUGGESTED]}
    companions = _companions(wanted, inventory, answers)
    for row in rows:
        if (row.field, row.value) not in wanted:
            yield row
            continue
        found = suggestions.of(row.value, companions.get((row.field, row.value), ()))
        yield ValueRow(row.field, row.value, row.count, row.share, row.answer, tuple(found))


def is_open(row: ValueRow) -> bool:
    """Return whether somebody should say what the value means."""
    return names_sites(row.field) and not row.understood and not row.answer.siteless


def _companions(
    wanted: set[tuple[str, str]],
    inventory: Inventory,
    answers: dict[tuple[str, str], ScanAnswer],
) -> dict[tuple[str, str], list[Companion]]:
    """Return for each wanted value the sites that other attributes name on its images."""
    images: Counter[tuple[str, str]] = Counter()
    sites: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    named: dict[tuple[str, str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for combination, count in inventory.combinations.items():
        mine = [pair for pair in combination if pair in wanted]
        if not mine:
            continue
        said: dict[tuple[str, str], tuple[str, str]] = {}
        for pair in combination:
            other = answers.get(pair)
            if other is not None and other.sites:
                site = other.sites[0]
                said.setdefault((site.code, site.display), pair)
        for pair in mine:
            images[pair] += count.images
            for site_key, source in said.items():
                sites[pair][site_key] += count.images
                named[(*pair, site_key[0])][source] += count.images
    told: dict[tuple[str, str], list[Companion]] = {}
    for pair, counted in sites.items():
        told[pair] = []
        for (code, display), number in counted.most_common(_COMPANIONS):
            namer, times = named[(*pair, code)].most_common(1)[0]
            share, named_share = number / images[pair], times / images[pair]
            told[pair].append(Companion(code, display, share, namer, named_share))
    return told


def summary(report: Report) -> list[str]:
    """Return the report in a few lines of text."""
    lines = [f"{report.files} rows, {report.images} images: {report.headline}"]
    for one in report.coverage:
        share = 100 * one.images_understood / one.images if one.images else 0.0
        codes = f" → {one.codes} codes" if one.codes else ""
        lines.append(
            f"{one.field}: {one.values} distinct values{codes}; understood:"
            f" {one.values_understood} values, {one.images_understood} of {one.images} images"
            f" ({share:.1f} %)"
            + (f"; {one.values_siteless} name no site" if one.values_siteless else "")
        )
        if one.defined is not None and one.defined_images is not None:
            before = 100 * one.defined_images / one.images if one.images else 0.0
            lines.append(
                f"  DICOM defines {one.defined} of these values, on {one.defined_images} images"
                f" ({before:.1f} %)"
            )
    if report.images_known:
        share = 100 * report.images_answered / report.images_known
        lines.append(
            f"all attributes together: {report.images_answered} of {report.images_known} images"
            f" have a body site ({share:.1f} %)"
        )
    if report.hidden:
        lines.append(f"values below --min-count, counted but not listed: {report.hidden}")
    if report.unsuggested:
        lines.append(
            f"open values beyond the {SUGGESTED} most frequent, listed without suggestions:"
            f" {report.unsuggested}"
        )
    if report.values_left_out:
        lines.append(f"images of values beyond the limit, not listed: {report.values_left_out}")
    if report.combinations_left_out:
        lines.append(
            "images of which it is not known which values stand together:"
            f" {report.combinations_left_out}"
        )
    return lines
