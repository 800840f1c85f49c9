"""A scan as one page to look at: bars, a body, tables. It needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from terminology.attributes import BODY_PART
from terminology.coverage import ELSEWHERE
from terminology.scan_report import (
    Coverage,
    Report,
    ValueRow,
    is_open,
    summary,
)

_MOST_SITES: Final = 25
_MOST_OPEN: Final = 100
_MOST_ERRORS: Final = 100
_STYLE: Final = """
:root{--ink:#16202a;--soft:#5b6b79;--line:#d8e0e7;--paper:#fff;--fill:#1f6fb2;--open:#d98324}
@media(prefers-color-scheme:dark){:root{--ink:#e8eef3;--soft:#9fb0bf;--line:#32404d;--paper:#12181e;
--fill:#5aa9e6;--open:#f0a04b}}
body{margin:2rem auto;max-width:70rem;padding:0 1rem;background:var(--paper);color:var(--ink);
font:16px/1.45 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p,.soft{color:var(--soft)}.tiles{display:flex;flex-wrap:wrap;gap:1rem;margin:1.2rem 0}
.tile{border:1px solid var(--line);border-radius:.6rem;padding:.7rem 1rem;min-width:8rem}
.tile b{display:block;font-size:1.5rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);
vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}
.bar{background:var(--line);border-radius:.3rem;height:.8rem;min-width:8rem;overflow:hidden}
.bar i{display:block;height:100%;background:var(--fill)}.bar.open i{background:var(--open)}
.body{display:flex;flex-wrap:wrap;gap:2rem;align-items:center}
svg .part{fill:var(--fill);stroke:var(--soft);stroke-width:1}
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
details{margin:.4rem 0}summary{cursor:pointer}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
# A figure seen from the front: its right is on the left of the picture.
_FIGURE: Final = {
    "head": '<ellipse cx="100" cy="34" rx="24" ry="29"/>',
    "neck": '<rect x="89" y="61" width="22" height="18" rx="5"/>',
    "chest": '<rect x="62" y="80" width="76" height="66" rx="14"/>',
    "breast": '<circle cx="82" cy="116" r="11"/><circle cx="118" cy="116" r="11"/>',
    "abdomen": '<rect x="66" y="148" width="68" height="48" rx="8"/>',
    "pelvis": '<path d="M66 198h68l6 34q-40 22-80 0z"/>',
    "spine": '<rect x="96" y="70" width="8" height="150" rx="4"/>',
    "upper limb": '<rect x="36" y="84" width="20" height="140" rx="10"/>'
    '<rect x="144" y="84" width="20" height="140" rx="10"/>',
    "lower limb": '<rect x="66" y="240" width="28" height="160" rx="13"/>'
    '<rect x="106" y="240" width="28" height="160" rx="13"/>',
}
_FAINTEST: Final = 0.06


def page(report: Report, title: str, errors: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page as HTML; every value of a header in it is escaped."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(report.headline)}</h1><p>{escape(title)}</p>",
        *_tiles(report),
        *_before_and_after(report),
        *_coverage(report.coverage),
        *_body(report),
        *_sites(report),
        *_open(report),
        *_values(report),
        *_errors(errors),
        "<h2>In words</h2><ul>",
        *(f"<li>{escape(line)}</li>" for line in summary(report)),
        "</ul><p>For research and data curation; no medical device.</p></body></html>\n",
    ]
    return "".join(parts)


def _tiles(report: Report) -> Iterator[str]:
    open_values = sum(1 for row in report.rows if is_open(row))
    yield "<div class=tiles>"
    for number, what in (
        (f"{report.images:,}", "images"),
        (_percent(report.images_answered, report.images_known), "of them with a body site"),
        (f"{len({one.code for one in report.sites}):,}", "distinct codes"),
        (f"{open_values:,}", "values to decide"),
    ):
        yield f"<div class=tile><b>{number}</b>{what}</div>"
    yield "</div>"


def _before_and_after(report: Report) -> Iterator[str]:
    found = next((one for one in report.coverage if one.field == BODY_PART), None)
    yield "<h2>Before and after</h2><table>"
    if found is not None and found.defined_images is not None:
        yield _bar_row(
            f"a term that DICOM defines in Body Part Examined ({found.defined} of"
            f" {found.values} distinct values)",
            found.defined_images,
            report.images,
        )
    yield _bar_row("a SNOMED CT body site", report.images_answered, report.images_known)
    yield "</table>"


def _coverage(coverage: Iterable[Coverage]) -> Iterator[str]:
    yield (
        "<h2>What each attribute says</h2><table><tr><th>attribute<th>images understood<th>"
        "<th class=n>values<th class=n>understood<th class=n>name no site<th class=n>codes</tr>"
    )
    for one in coverage:
        yield (
            f"<tr><td>{escape(one.field)}<td>{_bar(one.images_understood, one.images)}"
            f"<td class=n>{_percent(one.images_understood, one.images)}<td class=n>{one.values:,}"
            f"<td class=n>{one.values_understood:,}<td class=n>{one.values_siteless or ''}"
            f"<td class=n>{one.codes or ''}</tr>"
        )
    yield "</table>"


def _body(report: Report) -> Iterator[str]:
    most = max(report.regions.values(), default=0) or 1
    yield (
        "<h2>Where the images are</h2><div class=body>"
        '<svg viewBox="0 0 200 410" width=200 height=410 role=img aria-label="images by region">'
    )
    # What lies over others is drawn last.
    for name in ("upper limb", "lower limb", "chest", "abdomen", "pelvis", "spine", "neck"):
        yield _part(report, name, most)
    for name in ("head", "breast"):
        yield _part(report, name, most)
    yield "</svg><div><table>"
    for name, images in sorted(report.regions.items(), key=lambda one: -one[1]):
        if images or name != ELSEWHERE:
            yield _bar_row(name, images, report.images_answered)
    yield "</table></div></div>"


def _part(report: Report, name: str, most: int) -> str:
    images = report.regions.get(name, 0)
    shade = _FAINTEST + (1 - _FAINTEST) * images / most
    return (
        f'<g class=part fill-opacity="{shade:.2f}"><title>{name}: {images:,} images</title>'
        f"{_FIGURE[name]}</g>"
    )


def _sites(report: Report) -> Iterator[str]:
    yield "<h2>The most frequent body sites</h2><table>"
    for one in report.sites[:_MOST_SITES]:
        side = f", {one.laterality}" if one.laterality else ""
        label = f"{one.code} |{one.display}|{side}"
        yield _bar_row(label, one.images, report.images_answered)
    yield "</table>"
    if len(report.sites) > _MOST_SITES:
        yield f"<p>and {len(report.sites) - _MOST_SITES} more</p>"


def _open(report: Report) -> Iterator[str]:
    rows = sorted((row for row in report.rows if is_open(row)), key=lambda row: -row.count.images)
    if not rows:
        return
    yield (
        "<h2>Values to decide</h2><table><tr><th>value<th>attribute<th class=n>images<th>"
        "<th>what it may mean</tr>"
    )
    most = rows[0].count.images
    for row in rows[:_MOST_OPEN]:
        guesses = "<br>".join(
            f"{escape(str(one))} <span class=soft>{escape('; '.join(one.reasons))}</span>"
            for one in row.suggestions
        )
        yield (
            f"<tr><td><code>{escape(row.value)}</code><td>{escape(row.field)}"
            f"<td class=n>{row.count.images:,}<td>{_bar(row.count.images, most, 'bar open')}"
            f"<td>{guesses or '<span class=soft>no suggestion</span>'}</tr>"
        )
    yield "</table>"
    if len(rows) > _MOST_OPEN:
        yield f"<p>and {len(rows) - _MOST_OPEN} more in the CSV</p>"


def _values(report: Report) -> Iterator[str]:
    yield "<h2>All values</h2>"
    by_field: dict[str, list[ValueRow]] = {}
    for row in report.rows:
        by_field.setdefault(row.field, []).append(row)
    for keyword, rows in by_field.items():
        yield (
            f"<details><summary>{escape(keyword)}: {len(rows):,} values</summary><table>"
            "<tr><th>value<th class=n>rows<th class=n>images<th>answer<th>side<th>view"
            "<th class=n>confidence<th>found by<th>rests on</tr>"
        )
        for row in rows:
            cells = row.cells()
            site = f"{cells['code']} |{cells['display']}|" if cells["code"] else ""
            shown = (site, cells["laterality"], cells["view_display"])
            yield (
                f"<tr><td><code>{escape(row.value)}</code><td class=n>{row.count.rows:,}"
                f"<td class=n>{row.count.images:,}"
                + "".join(f"<td>{escape(str(one))}" for one in shown)
                + f"<td class=n>{cells['confidence']}<td>{cells['method']}"
                f"<td class=soft>{escape(', '.join(row.answer.rows))}</tr>"
            )
        yield "</table></details>"


def _errors(errors: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not errors:
        return
    yield f"<h2>Files that could not be read: {len(errors):,}</h2><table>"
    for name, what in errors[:_MOST_ERRORS]:
        yield f"<tr><td><code>{escape(name)}</code><td>{escape(what)}</tr>"
    yield "</table>"


def _bar_row(label: str, number: int, total: int) -> str:
    return (
        f"<tr><td>{escape(label)}<td>{_bar(number, total)}<td class=n>{number:,}"
        f"<td class=n>{_percent(number, total)}</tr>"
    )


def _bar(number: int, total: int, kind: str = "bar") -> str:
    share = 100 * number / total if total else 0
    return f'<div class="{kind}"><i style="width:{share:.1f}%"></i></div>'


def _percent(number: int, total: int) -> str:
    return f"{100 * number / total:.1f} %" if total else "–"
