"""Whether the narrative of a resource is what FHIR allows: a piece of XHTML that only shows text.

FHIR's page on narrative, invariants txt-1 and txt-2: well-formed XHTML in one `div`, elements of
formatting, links and images only, and something to read. Nothing in it may act.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

_XHTML: Final = "http://www.w3.org/1999/xhtml"
_ELEMENTS: Final = frozenset(
    {
        "a", "abbr", "acronym", "address", "area", "b", "bdo", "big", "blockquote", "br",
        "caption", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt",
        "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li",
        "map", "ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup",
        "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "ul", "var",
    }
)  # fmt: skip
_SHOWN_WITHOUT_TEXT: Final = frozenset({"img"})
_ADDRESSES: Final = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "urn", "cid"})
_PICTURE: Final = re.compile(r"data:image/(png|jpeg|gif|webp)[;,]", re.IGNORECASE)
# What browsers take out of an address before they look for the scheme.
_IGNORED: Final = re.compile(r"[\x00-\x20]")
_ACTIVE_STYLE: Final = re.compile(r"url\s*\(|expression\s*\(|@import|\\", re.IGNORECASE)


def problem_of(div: str) -> str | None:
    """Return what is wrong with a `div`, `None` when nothing is."""
    reader = _Reader()
    try:
        reader.read(div)
    except ExpatError as error:
        return f"not well-formed XHTML: {error}"
    return reader.problem


class _Reader:
    """Reads a `div` and keeps the first thing that is wrong with it."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._empty = True
        self._inside = False

    def read(self, div: str) -> None:
        """Read it; `ExpatError` where it is not well-formed."""
        parser = ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._declaration
        parser.ProcessingInstructionHandler = self._instruction
        parser.Parse(div, True)
        if self._empty:
            self._note("nothing in it can be read (txt-2)")

    def _note(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        namespace, _, element = name.rpartition(" ")
        if namespace != _XHTML:
            self._note(f"the element '{element}' is not in the namespace {_XHTML}")
        elif not self._inside and element != "div":
            self._note(f"it is a '{element}' and no div")
        elif element not in _ELEMENTS:
            self._note(f"the element '{element}' is not allowed (txt-1)")
        self._inside = True
        self._empty = self._empty and element not in _SHOWN_WITHOUT_TEXT
        for attribute, value in attributes.items():
            self._attribute(element, attribute.rpartition(" ")[2].lower(), value)

    def _attribute(self, element: str, name: str, value: str) -> None:
        if name.startswith("on"):
            self._note(f"the attribute '{name}' of '{element}' is not allowed (txt-1)")
        if name == "style" and _ACTIVE_STYLE.search(value):
            self._note(f"the style of '{element}' refers to something outside")
        if name in _ADDRESSES:
            address = _IGNORED.sub("", value)
            scheme = _SCHEME.match(address)
            picture = element == "img" and _PICTURE.match(address)
            if scheme and scheme[1].lower() not in _SCHEMES and not picture:
                self._note(f"the {name} of '{element}' has the scheme '{scheme[1]}'")

    def _text(self, text: str) -> None:
        self._empty = self._empty and not text.strip()

    def _declaration(self, *_: object) -> None:
        # Entities of its own can grow without end, or name files.
        self._note("it has a document type")
        raise ExpatError("a document type is not allowed")

    def _instruction(self, *_: object) -> None:
        self._note("it has a processing instruction")
