import numpy as np
import pytest

from terminology.ecl.matching import matcher
from terminology.ecl.scanning import wild_flags
from terminology.ecl.syntax import WildSearch

TERMS = [
    "Hepatitis", "hepatitis B", "Viral hepatitis", "", "é", "Sjögren", "sjogren", "a" * 300,
    "HEPA", "itis", "Hepatitis*", "xHepatitis", "Ménière hepatitis",
]  # fmt: skip


class Table:
    """Terms as a description table has them."""

    languages = ("en",)

    def __init__(self, terms):
        encoded = [term.encode() for term in terms]
        starts = np.concatenate(([0], np.cumsum([len(one) for one in encoded])))
        self.terms = starts.astype(np.int64), np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self.language = np.zeros(len(terms), dtype=np.uint8)
        self.term = terms.__getitem__


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "hep*",
        "*itis",
        "*pat*",
        "h*s",
        "sj*gren",
        "*jogren",
        "a*a",
        "*a*a*a*",
        r"*\*",
        "e",
        "*e*",
    ],
)
@pytest.mark.parametrize("rows", [range(len(TERMS)), [1, 5, 6, 12], [3]])
def test_the_bytes_give_what_the_texts_give(pattern, rows):
    term, chosen = WildSearch(pattern), np.array(rows)
    expected = [matcher((term,), "en")(TERMS[row]) for row in rows]
    assert wild_flags(term, chosen, Table(TERMS)).tolist() == expected
