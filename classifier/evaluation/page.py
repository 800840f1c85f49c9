"""One HTML page that stands alone: its style and its images are in it, nothing is fetched.

The parts are functions from values to HTML; every text that comes in is escaped. The page follows
the reader's light or dark scheme, prints, and can be read without the pictures: each has a text
that says what it shows, and each table a caption and header cells.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Cell = str | int | float | None | tuple[str, str]

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de;
  --page: #ffffff; --band: #f6f8fa; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9ea7b3; --line: #3d444d;
  --page: #0d1117; --band: #161b22; --link: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main, header.top, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.25rem; }
header.top { padding-top: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
.quiet { color: var(--quiet); font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; }
.scroll { overflow-x: auto; margin: .8rem 0; }
.tall { max-height: 40rem; overflow: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .35rem; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); white-space: nowrap; background: var(--page);
  position: sticky; top: 0; }
tbody th { font-weight: 500; min-width: 8.5rem; }
tbody tr:nth-child(odd) { background: var(--band); }
td.number, th.number { text-align: right; white-space: nowrap; }
td small { color: var(--quiet); }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; display: block; }
figcaption { color: var(--quiet); font-size: .9rem; margin-top: .3rem; max-width: 46rem; }
.wide img { max-width: none; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr));
  gap: 1rem; padding: 0; list-style: none; }
.gallery figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
.gallery img { width: 100%; background: #000; border: 0; }
.gallery figcaption { font-size: .88rem; overflow-wrap: anywhere; }
.gallery figcaption strong { color: var(--text); }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .8rem;
  overflow-x: auto; font-size: .85rem; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--link); }
footer { padding: 2rem 1.25rem 3rem; color: var(--quiet); font-size: .9rem; }
@media print {
  :root { --text: #000; --quiet: #333; --line: #999; --page: #fff; --band: #f3f3f3; }
  body { font-size: 10pt; } nav { display: none; } h2 { break-after: avoid; }
  main, header.top, footer { max-width: none; }
  .wide img { max-width: 100%; }
  .scroll, .tall { overflow: visible; max-height: none; }
  figure, tr { break-inside: avoid; } thead th { position: static; }
  .gallery { grid-template-columns: repeat(3, 1fr); }
}
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading; `body` is HTML."""

    title: str
    body: str

    @property
    def anchor(self) -> str:
        """What a link to the section names."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def document(title: str, lead: str, sections: Sequence[Section], foot: str) -> str:
    """Return the page: `lead` and the bodies are HTML, `title` and `foot` text."""
    links = "".join(
        f'<li><a href="#{escape(one.anchor)}">{escape(one.title)}</a></li>' for one in sections
    )
    parts = "".join(
        f'<section aria-labelledby="{escape(one.anchor)}">'
        f'<h2 id="{escape(one.anchor)}">{escape(one.title)}</h2>\n{one.body}</section>\n'
        for one in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<header class="top"><h1>{escape(title)}</h1>\n{lead}\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{parts}</main>\n<footer>{escape(foot)}</footer>\n</body>\n</html>\n"
    )


def paragraph(text: str, *, quiet: bool = False) -> str:
    """Return a paragraph of plain text."""
    return f"<p{' class=quiet' if quiet else ''}>{escape(text)}</p>\n"


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{escape(text)}</h3>\n"


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    numbers: Sequence[int] = (),
    tall: bool = False,
) -> str:
    """Return a table whose first column names the rows.

    Parameters
    ----------
    rows
        A cell is text, a number, `None` for "not there", or a pair: a value and what stands small
        behind it, such as its interval.
    numbers
        The columns that are aligned to the right.
    tall
        Whether the table scrolls within the page when it is long.
    """
    right = frozenset(numbers)
    head = "".join(
        f'<th scope="col"{_right(at in right)}>{escape(name)}</th>'
        for at, name in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{_cell(cell)}</th>'
            if at == 0
            else f"<td{_right(at in right)}>{_cell(cell)}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll{" tall" if tall else ""}" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def picture(data: bytes, alt: str, caption: str = "", *, wide: bool = False) -> str:
    """Return a PNG that is part of the page, with `alt` in its place for who cannot see it.

    One that is `wide` keeps its size and is scrolled.
    """
    shown = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = _image(data, alt, "png")
    if wide:
        image = (
            '<div class="scroll wide" tabindex="0" role="region" '
            f'aria-label="{escape(alt, quote=True)}">{image}</div>'
        )
    return f"<figure>{image}{shown}</figure>\n"


def gallery(items: Iterable[tuple[bytes, str, str]]) -> str:
    """Return pictures side by side: (JPEG, alternative text, caption as HTML) each."""
    shown = "".join(
        f"<li><figure>{_image(data, alt, 'jpeg')}<figcaption>{caption}</figcaption></figure></li>\n"
        for data, alt, caption in items
    )
    return f'<ul class="gallery">\n{shown}</ul>\n'


def folded(summary: str, body: str) -> str:
    """Return HTML that is shown when the reader opens it."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}</details>\n"


def verbatim(text: str) -> str:
    """Return text as it stands, such as a configuration."""
    return f"<pre>{escape(text)}</pre>\n"


def shown(value: float | None, digits: int = 3) -> str:
    """Return a number as the page has it; a dash for what is undefined."""
    if value is None or value != value:
        return "–"
    return f"{value:,.{digits}f}" if isinstance(value, float) else f"{value:,}"


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return f"{escape(cell[0])} <small>{escape(cell[1])}</small>"
    if isinstance(cell, str):
        return escape(cell)
    return escape(shown(cell))


def _right(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _image(data: bytes, alt: str, kind: str) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    return (
        f'<img src="data:image/{kind};base64,{encoded}" alt="{escape(alt, quote=True)}" '
        'loading="lazy">'
    )
