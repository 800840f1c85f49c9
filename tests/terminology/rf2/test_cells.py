"""Whole columns are judged as single cells are."""

import random

import numpy as np
import pytest

from terminology.rf2.cells import PAD, Cells, TextPiece, parse
from terminology.rf2.kinds import PARTITIONS, Kind, reason

GOOD = {
    Kind.CONCEPT: ["138875005", "900000000000207008", "19999999103", "85562004"],
    Kind.DESCRIPTION: ["2884458015", "91000003111"],
    Kind.RELATIONSHIP: ["1011000003024", "18871000003025", "100022"],
    Kind.COMPONENT: ["138875005", "2884458015", "1011000003024"],
    Kind.TIME: ["20250731", "20240229", "20000229", "00010101"],
    Kind.FLAG: ["0", "1"],
    Kind.UUID: ["93c2b74b-d933-4f3e-ac5e-181eecfb5894", "93C2B74B-D933-4F3E-AC5E-181EECFB5894"],
    Kind.INTEGER: ["0", "-7", "007", "999999999999999999"],
    Kind.GROUP: ["0", "65535"],
    Kind.LANGUAGE: ["en", "de"],
    Kind.TEXT: ["", "a", "ö \"quoted\" 'text'", "−"],
    Kind.TERM: ["a", "Hand – 手"],
    Kind.VALUE: ["#5", "#-1.50", '"a"', '""', "true", "false", "#+2"],
}
BAD = {
    Kind.CONCEPT: ["138875006", "0138875005", "2884458015", "", "10000", "1388x75005"],
    Kind.DESCRIPTION: ["138875005", "1000000000000000019"],
    Kind.RELATIONSHIP: ["138875005"],
    Kind.COMPONENT: ["20020131", "-38875005"],
    Kind.TIME: ["20230229", "20251301", "20250732", "2025073", "202507311", "00000101", "19000229"],
    Kind.FLAG: ["", "2", "01", "true"],
    Kind.UUID: ["93c2b74bd9334f3eac5e181eecfb5894", "93c2b74b-d933-4f3e-ac5e-181eecfb589g", ""],
    Kind.INTEGER: ["", "-", "1.5", "1000000000000000000", "+1", "--1"],
    Kind.GROUP: ["", "65536", "-1"],
    Kind.LANGUAGE: ["", "e", "EN", "eng", "é"],
    Kind.TEXT: ["a\rb"],
    Kind.TERM: ["", "\r"],
    Kind.VALUE: ["5", "#", "#01", "#1.", "#1e3", "'a'", "True", ""],
}


def cells_of(texts: list[str]) -> Cells:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(one) + 1 for one in encoded]) - 1
    starts = ends - [len(one) for one in encoded]
    return Cells(bytes(PAD) + b"\t".join(encoded) + b"\n", starts, ends)


def values_of(kind: Kind, texts: list[str]) -> list[object]:
    """Return the parsed cells in the form that the scalar code would give them."""
    values, _ = parse(kind, cells_of(texts))
    if isinstance(values, TextPiece):
        ends = np.cumsum(values.lengths)
        return [
            bytes(values.data[end - length : end]).decode()
            for end, length in zip(ends, values.lengths, strict=True)
        ]
    if kind is Kind.UUID:
        return [bytes(value).hex() for value in values]
    if kind is Kind.LANGUAGE:
        return [chr(value >> 8) + chr(value & 255) for value in values.tolist()]
    return values.tolist()


def expected_of(kind: Kind, text: str) -> object:
    if kind in PARTITIONS or kind in {Kind.TIME, Kind.INTEGER, Kind.GROUP}:
        return int(text)
    if kind is Kind.UUID:
        return text.replace("-", "").lower()
    return text == "1" if kind is Kind.FLAG else text


@pytest.mark.parametrize("kind", Kind)
def test_good_cells_are_parsed_and_bad_ones_marked(kind):
    good, bad = GOOD[kind], BAD[kind]
    assert [reason(kind, text) for text in good] == [None] * len(good)
    assert all(reason(kind, text) for text in bad)
    _, marked = parse(kind, cells_of(good + bad))
    assert marked.tolist() == [False] * len(good) + [True] * len(bad)
    assert values_of(kind, good + bad)[: len(good)] == [expected_of(kind, one) for one in good]


def test_columns_and_cells_agree_on_mutated_text():
    chance = random.Random(7)  # noqa: S311
    pool = [text for texts in (*GOOD.values(), *BAD.values()) for text in texts]
    for _ in range(300):
        texts = [mutated(chance, chance.choice(pool)) for _ in range(chance.randint(1, 12))]
        for kind in Kind:
            _, marked = parse(kind, cells_of(texts))
            assert marked.tolist() == [reason(kind, text) is not None for text in texts], texts
            for text, value in zip(texts, values_of(kind, texts), strict=True):
                if reason(kind, text) is None:
                    assert value == expected_of(kind, text)


def mutated(chance: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(chance.randint(0, 2)):
        place = chance.randint(0, len(letters))
        letters[place : place + chance.randint(0, 1)] = chance.choice('0123456789-aF\ré#"x')
    return "".join(letters)
