"""Synthetic anomalies: Perlin noise by its definition, blends by theirs."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from anomaly_lib.errors import InputError
from anomaly_lib.reproducibility import generator
from anomaly_lib.synthesis import load_textures, mask_coverage, perlin_noise, synthesize
from anomaly_lib.synthesis.perlin import fade, random_cells


def noise_of(cells, size=(64, 64), seed=0):
    return perlin_noise(torch.tensor(cells), size, generator(seed, "test"))


def test_noise_is_zero_on_its_lattice():
    noise = noise_of([[4, 8]])[0]
    assert noise[::16, ::8].abs().max() < 1e-6
    assert noise.abs().max() > 0.3


def test_noise_equals_the_textbook_loop():
    size, cells = 24, (3, 2)
    angles = torch.rand((1, 4, 4), generator=generator(0, "test"))[0] * 2 * math.pi
    expected = torch.zeros(size, size)
    for y in range(size):
        for x in range(size):
            v, u = y * cells[0] / size, x * cells[1] / size
            for j in (int(v), int(v) + 1):
                for i in (int(u), int(u) + 1):
                    gradient = (angles[j, i].sin(), angles[j, i].cos())
                    weight = fade(torch.tensor(1 - abs(v - j))) * fade(torch.tensor(1 - abs(u - i)))
                    expected[y, x] += weight * (gradient[0] * (v - j) + gradient[1] * (u - i))
    torch.testing.assert_close(noise_of([cells], (size, size))[0], expected * math.sqrt(2), atol=1e-5, rtol=0)


def test_any_size_and_any_cells_work_and_a_sample_does_not_depend_on_its_batch():
    assert noise_of([[3, 5]], (33, 70)).shape == (1, 33, 70)
    both = noise_of([[4, 4], [7, 2]])
    assert not torch.equal(both[0], both[1])
    with pytest.raises(InputError, match="1 to 64 cells"):
        noise_of([[65, 1]])


def test_statistics_agree_with_the_authors_noise(golden):
    documented = golden["perlin_stats"]
    cells = torch.from_numpy(documented[:, :2].astype(np.int64))
    draw = generator(0, "golden")
    noise = torch.cat([perlin_noise(chunk, (256, 256), draw) for chunk in cells.split(60)])
    ours = (noise.std(dim=(1, 2), correction=0), (noise > 0.5).float().mean(dim=(1, 2)))
    for values, column in zip(ours, (2, 4), strict=True):
        assert ks_2samp(values.numpy(), documented[:, column]).pvalue > 0.01


def test_coverage_is_near_the_documented_one():
    coverage = mask_coverage(600, (128, 128), generator(0, "coverage"))
    assert coverage.mean().item() == pytest.approx(0.048, abs=0.008)
    assert (coverage == 0).float().mean().item() == pytest.approx(0.053, abs=0.03)


@pytest.fixture
def drawn():
    images = torch.rand(64, 3, 32, 32, generator=generator(0, "images"))
    textures = torch.rand(5, 3, 32, 32, generator=generator(0, "textures"))
    return images, synthesize(images, textures, generator(0, "draw"))


def test_outside_the_mask_nothing_changes_and_inside_it_is_the_blend(drawn):
    images, result = drawn
    inside = result.mask.bool().expand_as(images)
    beta = result.beta.view(-1, 1, 1, 1)
    blend = beta * images + (1 - beta) * result.texture
    assert torch.equal(result.image[~inside], images[~inside])
    torch.testing.assert_close(result.image[inside], blend[inside])
    assert 0 <= result.beta.min() <= result.beta.max() < 0.8


def test_about_half_the_samples_stay_clean_and_all_or_none_on_request(drawn):
    images, result = drawn
    clean = (result.mask.sum(dim=(1, 2, 3)) == 0).float().mean()
    assert 0.35 < clean < 0.75
    textures = images[:2]
    assert synthesize(images, textures, generator(0, "x"), clean_probability=1.0).mask.sum() == 0
    never = synthesize(images, textures, generator(0, "x"), clean_probability=0.0)
    assert (never.mask.sum(dim=(1, 2, 3)) > 0).float().mean() > 0.8


def test_the_same_generator_gives_the_same_batch_and_the_global_one_is_left_alone(drawn):
    images, result = drawn
    before = torch.random.get_rng_state()
    textures = torch.rand(5, 3, 32, 32, generator=generator(0, "textures"))
    again = synthesize(images, textures, generator(0, "draw"))
    assert torch.equal(again.image, result.image)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cells_are_powers_of_two_on_each_axis():
    cells = random_cells(600, generator(0, "cells"))
    assert set(cells.flatten().tolist()) == {1, 2, 4, 8, 16, 32}
    assert not torch.equal(cells[:, 0], cells[:, 1])


def test_textures_are_found_in_sub_folders_and_their_absence_is_named(tiny_data, tmp_path):
    assert load_textures(tiny_data / "dots/train", 16).shape == (10, 3, 16, 16)
    with pytest.raises(InputError, match="no texture images here"):
        load_textures(tmp_path, 16)
