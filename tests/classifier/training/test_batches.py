from dataclasses import replace

import numpy as np
import pytest
import torch

from classifier.data.labels import Head, Targets
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.augment import Augmentation
from classifier.training.batches import Batch, Batches, Examples, mixed
from classifier.training.cache import CachedImages

GREY = Preprocessing("A", size=16, channels=1)


def examples(count: int) -> Examples:
    """Image i is all of grey level i, and of class i % 3."""
    pixels = np.repeat(np.arange(count, dtype=np.uint8), 256).reshape(count, 16, 16)
    classes = np.arange(count)[:, None] % 3 == np.arange(3)
    known = np.ones((count, 2), bool)
    return Examples(
        CachedImages(pixels, np.arange(count)),
        Targets({Head.EXAMINED: classes, Head.VIEW: classes}, known, known),
    )


def batches(count: int, size: int, **given: object) -> Batches:
    settings = {"augmentation": Augmentation.named("default")} | given
    return Batches(examples(count), GREY, size=size, **settings)  # type: ignore[arg-type]


def rows_of(made: Batches, epoch: int) -> list[list[int]]:
    return [
        [round(255 * float(image.mean())) for image in batch.images] for batch in made.epoch(epoch)
    ]


def test_every_image_is_in_one_batch_of_nearly_equal_ones() -> None:
    made = batches(23, 8, augmentation=Augmentation())
    assert len(made) == 3
    rows = rows_of(made, 0)
    assert sorted(map(len, rows)) == [7, 8, 8]
    assert sorted(row for batch in rows for row in batch) == list(range(23))
    assert rows != rows_of(made, 1)


def test_without_augmentation_the_order_stays() -> None:
    assert rows_of(batches(5, 2, augmentation=None), 3) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("start", [0, 2, 4])
def test_batch_depends_on_seed_epoch_and_place_alone(workers: int, start: int) -> None:
    whole = list(batches(40, 8, seed=5).epoch(2))
    later = list(batches(40, 8, seed=5, workers=workers).epoch(2, start))
    assert len(later) == 5 - start
    for one, other in zip(whole[start:], later, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets["examined"], other.targets["examined"])
    assert not torch.equal(whole[0].images, next(batches(40, 8, seed=6).epoch(2)).images)


def test_processes_share_each_batch() -> None:
    whole = rows_of(batches(20, 10, augmentation=Augmentation()), 1)
    parts = [
        rows_of(batches(20, 10, augmentation=Augmentation(), rank=rank, ranks=2), 1)
        for rank in range(2)
    ]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert batch[0::2] == first
        assert batch[1::2] == second


def test_picture_is_varied_before_it_is_filtered() -> None:
    turned = Augmentation(dihedral=1.0)
    made = replace(batches(3, 3), augmentation=turned, preprocessing=Preprocessing("D", size=16))
    (batch,) = made.epoch(0)
    assert batch.images.shape == (3, 3, 16, 16)
    assert batch.images.dtype == torch.float32
    assert 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1


def two(alpha: float, seed: int) -> tuple[Batch, object]:
    (batch,) = batches(6, 6, augmentation=None).epoch(0)
    return batch, mixed(batch, alpha, np.random.default_rng(seed))


def test_mixture_holds_both_images_and_asks_parts_of_both() -> None:
    seen = set()
    for seed in range(40):
        batch, mixture = two(1.0, seed)
        if mixture is None:
            seen.add("alone")
            continue
        share = mixture.share
        assert 0.5 <= share <= 0.99
        order = np.random.default_rng(seed)
        order.beta(1.0, 1.0)
        others = torch.from_numpy(order.permutation(6))
        expected = share * batch.images + (1 - share) * batch.images[others]
        assert torch.allclose(mixture.images, expected)
        assert torch.equal(mixture.second["examined"], batch.targets["examined"][others])
        assert torch.equal(mixture.first["known"], batch.targets["known"])
        # A mixture of two views has none.
        assert not mixture.second["view"].any()
        whole = share >= 0.9
        seen.add(whole)
        assert bool(mixture.first["view"].any()) == whole
    assert seen == {True, False, "alone"}


def test_what_shows_too_little_of_its_image_has_the_targets_of_a_part() -> None:
    whole = examples(30)
    part = Targets(
        {head: np.ones_like(flags) for head, flags in whole.targets.allowed.items()},
        np.zeros_like(whole.targets.present),
        np.zeros_like(whole.targets.known),
    )
    close = Augmentation(close=0.2, close_probability=0.5)
    made = Batches(replace(whole, within=part), GREY, close, size=30, least_shown=0.9, seed=3)
    targets = next(made.epoch(0)).targets
    loose = targets["examined"].all(1)
    assert 0 < int(loose.sum()) < 30
    assert torch.equal(loose, ~targets["known"].any(1))
    assert torch.equal(loose, targets["view"].all(1))


def test_look_alikes_are_drawn_from_the_detailed_images() -> None:
    whole = examples(3)
    bright = CachedImages(np.full((3, 48, 48), 200, np.uint8), np.arange(3))
    drawn = Batches(replace(whole, detailed=bright), GREY, Augmentation(), size=3)
    plain = Batches(replace(whole, detailed=bright), GREY, None, size=3)
    assert next(drawn.epoch(0)).images.shape == (3, 1, 16, 16)
    assert torch.allclose(next(drawn.epoch(0)).images * 255, torch.tensor(200.0))
    assert rows_of(plain, 0) == [[0, 1, 2]]
    assert torch.allclose(
        next(replace(drawn, examples=drawn.examples.take([1, 2])).epoch(0)).images * 255,
        torch.tensor(200.0),
    )


def test_augmentation_grows_over_the_first_epochs() -> None:
    whole = examples(8)
    speckled = CachedImages(
        np.random.default_rng(0).integers(0, 256, (8, 16, 16)).astype(np.uint8), np.arange(8)
    )
    data = replace(whole, images=speckled)
    shift = Augmentation(shift=0.4)
    full = Batches(data, GREY, shift, size=8)
    slow = replace(full, ramp=3)
    for epoch, share in enumerate((0.25, 0.5, 0.75)):
        grown = replace(full, augmentation=shift.scaled(share))
        assert torch.equal(next(slow.epoch(epoch)).images, next(grown.epoch(epoch)).images)
    assert torch.equal(next(slow.epoch(3)).images, next(full.epoch(3)).images)
