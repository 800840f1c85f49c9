import re
from html.parser import HTMLParser

import pytest

from classifier.evaluation import page
from classifier.evaluation.page import Section

_VOID = {"img", "meta", "br"}


class Checked(HTMLParser):
    """Reads a page, and notes what is not nested as it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def whole() -> str:
    rows = [["Hand <b>", 3, ("0.5", "0.4 to 0.6"), None], ['足 & "foot"', 1200, "–", 0.25]]
    body = (
        page.paragraph("a < b")
        + page.table("Counts & shares", ["Part", "n", "x", "y"], rows, numbers=(1, 2, 3))
        + page.picture(b"png", 'shows "it" <here>', "Caption <i>", wide=True)
        + page.gallery([(b"jpg", "alt", "<strong>said</strong>")])
        + page.folded("More", page.verbatim("a = '<x>'"))
    )
    return page.document("T <1>", page.paragraph("lead"), [Section("One & two", body)], "<foot>")


def test_the_page_is_nested_as_it_should_be(whole: str):
    assert Checked(whole).wrong == []
    assert whole.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_every_text_is_escaped(whole: str):
    for text in ("Hand <b>", "T <1>", "<foot>", "Caption <i>", "'<x>'", "a < b"):
        assert text not in whole
    assert "Hand &lt;b&gt;" in whole
    assert "足 &amp; &quot;foot&quot;" in whole


def test_nothing_is_fetched(whole: str):
    assert not re.search(r"(https?:)?//[a-z]", whole)
    assert "<script" not in whole
    assert "<link" not in whole
    assert "url(" not in whole
    assert all(image["src"].startswith("data:image/") for image in Checked(whole).all("img"))


def test_pictures_have_texts_and_tables_have_headers(whole: str):
    checked = Checked(whole)
    assert [image["alt"] for image in checked.all("img")] == ['shows "it" <here>', "alt"]
    scopes = [cell["scope"] for cell in checked.all("th")]
    assert scopes.count("col") == 4
    assert scopes.count("row") == 2
    assert len(checked.all("caption")) == 1


def test_links_lead_to_sections(whole: str):
    checked = Checked(whole)
    targets = {element.get("id") for _, element in checked.elements}
    links = [link["href"] for link in checked.all("a")]
    assert links == ["#one-two"]
    assert {link.removeprefix("#") for link in links} <= targets


def test_the_page_follows_the_scheme_of_the_reader_and_prints(whole: str):
    assert "prefers-color-scheme: dark" in whole
    assert "@media print" in whole


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0.12345, "0.123"), (12345, "12,345"), (1.0, "1.000")],
)
def test_numbers_as_the_page_has_them(value: float | None, text: str):
    assert page.shown(value) == text
