"""Near-duplicates: images that look the same, whoever their sources say they are of.

One film may be in two collections, or in one of them cut, scaled or stored twice. A split that
goes by patient alone would put one copy into training and the other into the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Measured on 5,123 public pictures: 8 bits join hundreds that only show one part in one pose, 4
# bits miss a dozen copies with another border; the largest group at 6 has 11 images.
DISTANCE: Final = 6
# Rows compared at once: with N images, N x 8 x _BLOCK bytes.
_BLOCK: Final = 256


def image_hash(image: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the two 64-bit hashes of an image, uint64 (2,): of its frequencies and its gradients.

    Parameters
    ----------
    image
        uint8 (H, W), grey.
    """
    picture = Image.fromarray(image)
    hashes = (imagehash.phash(picture), imagehash.dhash(picture))
    return np.array([_as_number(one.hash) for one in hashes], dtype=np.uint64)


def group_near_duplicates(
    hashes: Sequence[NDArray[np.uint64]] | NDArray[np.uint64], *, distance: int = DISTANCE
) -> NDArray[np.intp]:
    """Return the group of each image, intp (N,): the number of the first image that belongs to it.

    Two images are near-duplicates when no hash of one differs from that of the other in more than
    `distance` of its 64 bits. A group holds what is connected by such pairs.

    Parameters
    ----------
    hashes
        uint64 (N, K), as `image_hash` gives them.
    """
    table = np.asarray(hashes, dtype=np.uint64)
    if not len(table):
        return np.zeros(0, dtype=np.intp)
    # Equal hashes are near without a comparison: blank images would make millions of pairs.
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    count = len(unique)
    group = np.arange(count, dtype=np.int32)
    for start in range(0, count, _BLOCK):
        block = unique[start : start + _BLOCK]
        # Only later ones: each pair is compared once.
        near = np.ones((len(block), count - start), dtype=np.bool_)
        for one in range(unique.shape[1]):
            differing = np.bitwise_count(block[:, one, None] ^ unique[None, start:, one])
            near &= differing <= distance
        rows, columns = np.nonzero(near)
        # With what was found before as edges too, nothing but one number an image is kept.
        ends = (
            np.concatenate([np.arange(count), rows + start]),
            np.concatenate([group, columns + start]),
        )
        edges = coo_array((np.ones(len(ends[0]), dtype=np.bool_), ends), shape=(count, count))
        group = _leaders(connected_components(edges, directed=False)[1])
    return _leaders(group[inverse.reshape(-1)]).astype(np.intp)


def _leaders(label: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return for each row the first row that has its label."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int32)


def _as_number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
