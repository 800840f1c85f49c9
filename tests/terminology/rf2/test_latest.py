import numpy as np
import pytest

from terminology.rf2.latest import Members, superseded


def naive(keys: list[object], times: list[int]) -> list[bool]:
    latest: dict[object, int] = {}
    for row, key in enumerate(keys):
        if key not in latest or times[row] >= times[latest[key]]:
            latest[key] = row
    return [latest[key] != row for row, key in enumerate(keys)]


@pytest.mark.parametrize("distinct", [1, 5, 40, 10**6])
def test_the_latest_row_of_a_key_counts_and_of_equal_ones_the_last(distinct):
    chance = np.random.default_rng(distinct)
    keys = chance.integers(0, distinct, 60) * 977
    times = chance.integers(20200101, 20200104, 60).astype(np.int32)
    assert superseded(keys, times).tolist() == naive(keys.tolist(), times.tolist())
    uuids = np.zeros((60, 16), dtype=np.uint8)
    uuids[:, 3:11] = keys[:, np.newaxis].view(np.uint8)
    assert superseded(uuids, times).tolist() == naive(keys.tolist(), times.tolist())


def test_uuids_that_share_the_mixed_value_are_told_apart():
    factor = 0x9E3779B97F4A7C15
    halves = np.array([[5, 0], [5 ^ factor, 1], [5, 0]], dtype=np.uint64)
    times = np.array([20250101, 20240101, 20230101], dtype=np.int32)
    assert superseded(halves.view(np.uint8), times).tolist() == [False, False, True]


def test_no_rows_have_no_older_states():
    assert superseded(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)).tolist() == []


@pytest.mark.parametrize("distinct", [3, 50_000])
def test_positions_are_found_in_columns_of_few_and_of_many_values(distinct):
    chance = np.random.default_rng(1)
    members = Members(np.unique(chance.integers(0, 2 * distinct, distinct)))
    ids = chance.integers(0, 2 * distinct, 30_000)
    ids[12_345] = 10**9
    places = {code: place for place, code in enumerate(members.ids.tolist())}
    expected = [places.get(code, -1) for code in ids.tolist()]
    assert members.positions(ids).tolist() == expected
    assert members.lacks(ids).tolist() == [place < 0 for place in expected]


def test_an_empty_set_has_no_members():
    assert Members(np.zeros(0, dtype=np.int64)).positions(np.array([5])).tolist() == [-1]
