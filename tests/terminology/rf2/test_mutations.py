"""Mutated releases are refused or read rightly: no other error, no broken row accepted."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from terminology.rf2 import ReleaseError, ReleaseRows, read_release
from tests.terminology.fuzzing import no_hang, rounds

from . import oracle
from .conftest import EXAMPLE

VERSION = "http://snomed.info/sct/19999999103/version/20260101"
ROUNDS, PARTS = rounds(300), 3
ODD = [b"\t", b"\n", b"\r", b"\r\n", b'"', b"\x00", b"\xff", b"\xc3", "é".encode(), b"0", b"1"]

Lines = list[list[bytes]]


def any_byte(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def odd_bytes(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + chance.choice(ODD) + data[place + chance.randint(0, 1) :]


def lost_bytes(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + data[place + chance.randint(1, 12) :]


def cut_short(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def changed_digit(chance: random.Random, data: bytes) -> bytes:
    places = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return data
    place = chance.choice(places)
    return data[:place] + str(chance.randrange(10)).encode() + data[place + 1 :]


def by_rows(change: Callable[[random.Random, Lines], None]) -> Callable[..., bytes]:
    def changed(chance: random.Random, data: bytes) -> bytes:
        header, *rows = [line.split(b"\t") for line in data.removesuffix(b"\r\n").split(b"\r\n")]
        if rows:
            change(chance, rows)
        return b"".join(b"\t".join(row) + b"\r\n" for row in [header, *rows])

    return changed


def cell_of_elsewhere(chance: random.Random, rows: Lines) -> None:
    row, other = chance.choice(rows), chance.choice(rows)
    row[chance.randrange(len(row))] = chance.choice(other)


def cell_of_same_column(chance: random.Random, rows: Lines) -> None:
    row, other = chance.choice(rows), chance.choice(rows)
    place = chance.randrange(min(len(row), len(other)))
    row[place] = other[place]


def doubled_row(chance: random.Random, rows: Lines) -> None:
    double = list(chance.choice(rows))
    rows.insert(chance.randint(0, len(rows)), double)
    cell_of_same_column(chance, [double, chance.choice(rows)])


def lost_row(chance: random.Random, rows: Lines) -> None:
    del rows[chance.randrange(len(rows))]


def emptied_cell(chance: random.Random, rows: Lines) -> None:
    row = chance.choice(rows)
    row[chance.randrange(len(row))] = b""


CHANGES = [
    any_byte,
    odd_bytes,
    lost_bytes,
    cut_short,
    changed_digit,
    *map(
        by_rows,
        (cell_of_elsewhere, cell_of_same_column, doubled_row, lost_row, emptied_cell),
    ),
]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutated") / "release"
    shutil.copytree(EXAMPLE, folder)
    return folder


@pytest.mark.parametrize("part", range(PARTS))
def test_a_mutated_release_is_refused_or_read_rightly(release, part):
    assert run(release, range(part, ROUNDS, PARTS)) == {"refused", "read"}


def run(release: Path, seeds: range) -> set[str]:
    """Mutate a file for each seed; return which outcomes there were."""
    files = sorted(release.rglob("*.txt"))
    headers = {path.name: path.read_bytes().split(b"\r\n")[0].decode() for path in files}
    outcomes = set()
    for seed in seeds:
        chance = random.Random(seed)  # noqa: S311
        path = chance.choice(files)
        data = path.read_bytes()
        changed = data
        for _ in range(chance.choice((1, 1, 2))):
            changed = chance.choice(CHANGES)(chance, changed) if changed else changed
        path.write_bytes(changed)
        try:
            outcomes.add(check(release, headers, path, changed, seed))
        finally:
            path.write_bytes(data)
    return outcomes


def check(release: Path, headers: dict[str, str], path: Path, changed: bytes, seed: int) -> str:
    line = changed.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].removesuffix(b"\r")
    same_header = line == headers[path.name].encode()
    with no_hang(f"seed {seed}, {path.name}"):
        found = outcome(release)
    if isinstance(found, ReleaseError):
        assert found.problems, seed
        assert all((release.parent / one.file).is_file() for one in found.problems)
        assert all(one.line >= 1 for one in found.problems)
        assert 0 < len(found.problems) <= found.total
        if same_header:
            assert oracle.read(release, headers).broken, f"seed {seed}: {found}"
        return "refused"
    if same_header or "OWL" in path.name or "Stated" in path.name:
        expected = oracle.read(release, headers)
        assert not expected.broken, f"seed {seed}: a broken row of {path.name} was accepted"
        assert_same(found, expected, seed)
    return "read"


def outcome(release: Path) -> ReleaseRows | ReleaseError:
    try:
        return read_release([release], version_uri=VERSION)
    except ReleaseError as error:
        return error


# Attribute of the rows, or attribute:column where the names differ.
COMPARED = {
    "concepts": """id effective_time:effectiveTime active module_id:moduleId
        definition_status_id:definitionStatusId""",
    "descriptions": """id effective_time:effectiveTime active module_id:moduleId
        concept_id:conceptId type_id:typeId term case_significance_id:caseSignificanceId""",
    "concrete": """id effective_time:effectiveTime active source_id:sourceId value
        group:relationshipGroup type_id:typeId""",
    "Refset Language": """id effective_time:effectiveTime active module_id:moduleId
        refset_id:refsetId referenced_component_id:referencedComponentId""",
    "identifiers": """alternate_identifier:alternateIdentifier active
        identifier_scheme_id:identifierSchemeId referenced_component_id:referencedComponentId""",
}


def assert_same(rows: ReleaseRows, expected: oracle.Release, seed: int) -> None:
    for got, (group, names) in zip(
        (rows.concepts, rows.descriptions, rows.concrete, rows.language, rows.identifiers),
        COMPARED.items(),
        strict=True,
    ):
        pairs = [name.partition(":")[::2] for name in names.split()]
        wanted = [
            tuple(plain(row[there or here]) for here, there in pairs)
            for row in expected.rows.get(group, [])
            if group != "concrete" or row["characteristicTypeId"] == "900000000000011006"
        ]
        assert Counter(tuples(got, [here for here, _ in pairs])) == Counter(wanted), (seed, group)
    wanted = [
        tuple(plain(row[name]) for name in ("id", "sourceId", "destinationId", "typeId"))
        for row in expected.rows["relationships"]
    ]
    names = ["id", "source_id", "destination_id", "type_id"]
    found = tuples(rows.relationships, names) + tuples(rows.additional, names)
    assert Counter(found) == Counter(wanted), seed
    members = [
        plain(row["id"])
        for group, found in expected.rows.items()
        if group.startswith("Refset") and group != "Refset Language"
        for row in found
    ]
    ids = [one[0] for refset in rows.refsets for one in tuples(refset, ["id"])]
    assert Counter(ids) == Counter(members), seed


def tuples(rows: object, names: list[str]) -> list[tuple[object, ...]]:
    if rows is None:
        return []
    columns = [getattr(rows, name) for name in names]
    return [tuple(plain(column[row]) for column in columns) for row in range(len(columns[0]))]


def plain(value: object) -> str:
    """Return a cell as both readers would write it."""
    if getattr(value, "shape", ()) == (16,):
        return str(UUID(bytes=value.tobytes()))
    text = str(value)
    if text in {"True", "False"}:
        return str(int(text == "True"))
    return str(int(text)) if text.isdecimal() and text.isascii() else text.lower()
