import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from classifier.data.duplicates import group_near_duplicates, image_hash


def picture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 6)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 200), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def test_a_copy_in_another_size_and_brightness_has_nearly_the_same_hash() -> None:
    image = picture(1)
    small = np.asarray(cv2.resize(image, (80, 100), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    darker = (image * 0.8).astype(np.uint8)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255)
    others = [picture(seed) for seed in range(2, 12)]

    hashes = [image_hash(one) for one in (image, small, darker, noisy.astype(np.uint8), *others)]

    assert group_near_duplicates(hashes).tolist() == [0, 0, 0, 0, *range(4, 14)]


def test_a_hash_is_two_numbers_of_64_bits() -> None:
    found = image_hash(picture(3))

    assert (found.shape, found.dtype) == ((2,), np.uint64)
    np.testing.assert_array_equal(found, image_hash(picture(3)))


@pytest.mark.parametrize(
    ("hashes", "distance", "groups"),
    [
        ([], 6, []),
        ([[0, 0]], 0, [0]),
        ([[0, 0], [0, 0]], 0, [0, 0]),
        # 1 and 3 bits; the two hashes have to be near both.
        ([[0b1, 0], [0, 0]], 0, [0, 1]),
        ([[0b1, 0], [0, 0]], 1, [0, 0]),
        ([[0b1, 0b111], [0, 0]], 2, [0, 1]),
        ([[0b1, 0b111], [0, 0]], 3, [0, 0]),
        # A chain: the first and the third are near only through the second.
        ([[0b1111, 0], [255, 255], [0b11, 0], [0, 0]], 2, [0, 1, 0, 0]),
        ([[2**64 - 1, 2**63], [0, 0]], 63, [0, 1]),
        ([[2**64 - 1, 2**63], [0, 0]], 64, [0, 0]),
    ],
)
def test_groups_are_what_near_pairs_connect(
    hashes: list[list[int]], distance: int, groups: list[int]
) -> None:
    table = np.array(hashes, dtype=np.uint64).reshape(-1, 2)

    assert group_near_duplicates(table, distance=distance).tolist() == groups


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 255)),
    st.integers(0, 4),
)
def test_groups_are_those_of_comparing_every_pair(
    hashes: NDArray[np.uint64], distance: int
) -> None:
    count = len(hashes)
    groups = list(range(count))
    for _ in range(count):
        for one in range(count):
            for other in range(count):
                bits = [int(a) ^ int(b) for a, b in zip(hashes[one], hashes[other], strict=True)]
                if all(number.bit_count() <= distance for number in bits):
                    groups[one] = groups[other] = min(groups[one], groups[other])

    assert group_near_duplicates(hashes, distance=distance).tolist() == groups


def test_more_images_than_a_block_are_compared() -> None:
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 2**63, (700, 2)).astype(np.uint64)
    hashes[650] = hashes[3] ^ np.uint64(0b101)
    hashes[699] = hashes[650]

    groups = group_near_duplicates(hashes)

    assert groups[[3, 650, 699]].tolist() == [3, 3, 3]
    assert len(set(groups.tolist())) == 698
