"""Perlin noise by its definition, and its rotation."""

import math

import numpy as np
import pytest
import torch
from kornia.geometry.transform import rotate as kornia_rotate
from scipy.stats import ks_2samp

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.synthesis import perlin_noise
from anomaly_lib.synthesis.perlin import fade, random_cells
from anomaly_lib.synthesis.rotation import rotate


def noise_of(cells, size=(64, 64), seed=0):
    return perlin_noise(torch.tensor(cells), size, generator(seed, "test"))


def test_noise_is_zero_on_its_lattice():
    noise = noise_of([[4, 8]])[0]
    assert noise[::16, ::8].abs().max() < 1e-6
    assert noise.abs().max() > 0.3


def test_noise_equals_the_textbook_loop():
    size, cells = 24, (3, 2)
    angles = torch.rand((4, 3), generator=generator(0, "test")) * 2 * math.pi
    expected = torch.zeros(size, size)
    for y in range(size):
        for x in range(size):
            v, u = y * cells[0] / size, x * cells[1] / size
            for j in (int(v), int(v) + 1):
                for i in (int(u), int(u) + 1):
                    gradient = (angles[j, i].sin(), angles[j, i].cos())  # of unit length
                    weight = fade(torch.tensor(1 - abs(v - j))) * fade(torch.tensor(1 - abs(u - i)))
                    expected[y, x] += weight * (gradient[0] * (v - j) + gradient[1] * (u - i))
    torch.testing.assert_close(noise_of([cells], (size, size))[0], expected * math.sqrt(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("cells", "size"), [((3, 5), (33, 70)), ((1, 70), (33, 70)), ((40, 1), (40, 64)), ((64, 64), (64, 64))]
)
def test_any_size_and_any_cells_up_to_it_work(cells, size):
    noise = noise_of([cells], size)
    assert noise.shape == (1, *size)
    assert noise.isfinite().all()
    assert noise.abs().max() < 1.5


def test_a_cell_for_each_pixel_puts_every_pixel_on_the_lattice():
    assert noise_of([[64, 64]]).abs().max() < 1e-6


def test_a_lattice_smaller_than_a_pixel_is_refused_and_the_axis_named():
    with pytest.raises(InputError, match="65 cells on an image 64 pixels high"):
        noise_of([[65, 1]])
    with pytest.raises(InputError, match="0 cells on an image 64 pixels wide"):
        noise_of([[1, 0]])


def test_samples_of_a_batch_differ_and_no_samples_are_allowed():
    both = noise_of([[4, 4], [4, 4]])
    assert not torch.equal(both[0], both[1])
    assert perlin_noise(torch.empty(0, 2, dtype=torch.long), (8, 8), generator(0, "test")).shape == (0, 8, 8)


def test_statistics_agree_with_the_authors_noise(golden):
    documented = golden["perlin_stats"]
    cells = torch.from_numpy(documented[:, :2].astype(np.int64))
    draw = generator(0, "golden")
    noise = torch.cat([perlin_noise(chunk, (256, 256), draw) for chunk in cells.split(60)])
    ours = (noise.std(dim=(1, 2), correction=0), (noise > 0.5).float().mean(dim=(1, 2)))
    for values, column in zip(ours, (2, 4), strict=True):
        assert ks_2samp(values.numpy(), documented[:, column]).pvalue > 0.01
    assert noise.abs().max() == pytest.approx(documented[:, 3].max(), abs=0.1)


def test_cells_are_powers_of_two_on_each_axis():
    cells = random_cells(600, generator(0, "cells"))
    assert set(cells.flatten().tolist()) == {1, 2, 4, 8, 16, 32}
    assert not torch.equal(cells[:, 0], cells[:, 1])


@pytest.mark.parametrize("size", [(40, 40), (33, 70)])
def test_rotation_is_kornias(size):
    images = torch.rand(5, 3, *size, generator=generator(0, "images"))
    angles = torch.tensor([0.0, 90.0, -30.0, 45.5, 179.0])
    torch.testing.assert_close(rotate(images, angles), kornia_rotate(images, angles), atol=1e-4, rtol=0)


def test_a_quarter_turn_is_exact_and_no_images_are_allowed():
    image = torch.rand(1, 1, 16, 16, generator=generator(0, "image"))
    torch.testing.assert_close(rotate(image, torch.tensor([90.0])), image.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    assert rotate(image[:0], torch.empty(0)).shape == (0, 1, 16, 16)
