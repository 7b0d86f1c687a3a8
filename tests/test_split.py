"""The split of normal images: disjoint, complete, seeded, and independent of where the folder lies."""

from pathlib import Path

import numpy as np
import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import Sample, split_normals


def normals(count: int, folder: str = "data/nut/train/good") -> list[Sample]:
    return [Sample(Path(folder) / f"{index:03d}.png", "train", "good", None) for index in range(count)]


def names(samples) -> list[str]:
    return [sample.path.name for sample in samples]


@pytest.mark.parametrize("count", [2, 3, 5, 10, 61, 200])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_sides_are_disjoint_complete_and_in_name_order(count, share, seed):
    samples = normals(count)
    fit, held_out = split_normals(samples, share, seed)
    assert fit
    assert held_out
    assert sorted(names(fit + held_out)) == names(samples)
    assert names(fit) == sorted(names(fit))
    assert names(held_out) == sorted(names(held_out))


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(10, 0.2, 2), (761, 0.2, 152), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)]
)
def test_the_share_is_rounded_and_leaves_one_on_either_side(count, share, expected):
    fit, held_out = split_normals(normals(count), share, seed=0)
    assert (len(held_out), len(fit)) == (expected, count - expected)


@pytest.mark.parametrize("seed", range(5))
def test_it_survives_a_move_and_another_order(seed):
    here, there = normals(50), normals(50, "/mnt/elsewhere/zz/train/good")
    there.reverse()
    for one, other in zip(split_normals(here, 0.2, seed), split_normals(there, 0.2, seed), strict=True):
        assert names(one) == names(other)


def test_the_file_name_orders_not_the_folder():
    samples = [Sample(Path("data") / path, "train", "good", None) for path in ("b/0.png", "a/1.png", "c/2.png")]
    fit, _ = split_normals(samples, 0.1, seed=0)
    assert names(fit) == sorted(names(fit))
    assert len({tuple(names(split_normals(order, 0.1, seed=0)[1])) for order in (samples, samples[::-1])}) == 1


def test_the_input_is_left_alone():
    samples = normals(5)[::-1]
    before = list(samples)
    split_normals(samples, 0.2, seed=0)
    assert samples == before


def test_the_draw_for_a_seed_is_pinned():
    _, held_out = split_normals(normals(10), 0.3, seed=0)
    assert names(held_out) == ["002.png", "004.png", "006.png"]


def test_seeds_differ():
    assert len({tuple(names(split_normals(normals(50), 0.2, seed)[1])) for seed in range(10)}) == 10


def test_every_image_can_be_held_out():
    drawn = {name for seed in range(60) for name in names(split_normals(normals(10), 0.2, seed)[1])}
    assert len(drawn) == 10


def test_a_generator_works_like_its_seed_and_moves_on():
    rng = np.random.default_rng(3)
    first, second = (split_normals(normals(50), 0.2, rng)[1] for _ in range(2))
    assert first == split_normals(normals(50), 0.2, 3)[1]
    assert first != second


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_are_refused(count):
    with pytest.raises(InputError, match="normal training image; ") as excinfo:
        split_normals(normals(count), 0.2, seed=0)
    assert "\n" not in str(excinfo.value)
    assert ("000.png" in str(excinfo.value)) == (count == 1)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_an_error(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_normals(normals(5), share, seed=0)
