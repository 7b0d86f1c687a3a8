"""The ten texture operations against Pillow and kornia, and their chains."""

import itertools
import math

import numpy as np
import pytest
import torch
from kornia.color import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageEnhance, ImageOps

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.draws import draw
from anomaly_lib.synthesis.operations import (
    OPERATIONS,
    POINT,
    SEVEN,
    seen_texture,
    table_of,
    to_levels,
    whole_texture,
)

MIDDLE = [0.5, 0.5, 0.5, 0.5]


@pytest.fixture(scope="module")
def levels():
    """A texture (3, 40, 52) uint8 with smooth colour and some noise, in 30 to 220."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 52), indexing="ij")
    smooth = torch.stack([x, y, (x + y) / 2])
    noise = torch.rand(3, 40, 52, generator=generator(0, "texture"))
    return (30 + 190 * (0.8 * smooth + 0.2 * noise)).to(torch.uint8)


def picture(levels):
    return Image.fromarray(levels.movedim(0, -1).numpy())


def changed(levels, name, numbers):
    """Levels after one operation, as int."""
    return to_levels(whole_texture(levels, [(name, numbers)])).int()


def of_pillow(image):
    return torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0).int()


def test_equalize_is_pillows(levels):
    assert torch.equal(changed(levels, "equalize", MIDDLE), of_pillow(ImageOps.equalize(picture(levels))))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.999])
def test_autocontrast_is_pillows_with_a_cutoff_of_up_to_20_percent(levels, share):
    expected = of_pillow(ImageOps.autocontrast(picture(levels), cutoff=20 * share))
    # Pillow's own arithmetic falls one level short where a quotient is whole
    assert (changed(levels, "autocontrast", [share, 0, 0, 0]) - expected).abs().max() <= 1


def test_posterize_invert_and_solarize_are_pillows(levels):
    for bits in range(1, 9):
        ours = changed(levels, "posterize", [(bits - 0.5) / 8, 0, 0, 0])
        assert torch.equal(ours, of_pillow(ImageOps.posterize(picture(levels), bits)))
    assert torch.equal(changed(levels, "invert", MIDDLE), of_pillow(ImageOps.invert(picture(levels))))
    threshold = 32 + 0.25 * (128 - 32)
    expected = of_pillow(ImageOps.solarize(picture(levels), threshold=int(threshold)))
    assert torch.equal(changed(levels, "solarize", [0.1, 0.25, 0, 0]), expected)
    assert torch.equal(changed(levels, "solarize", [0.9, 0.25, 0, 0]), levels.int())


@pytest.mark.parametrize("factor", [0.0, 0.7, 1.0, 1.9])
def test_sharpness_is_pillows(levels, factor):
    expected = of_pillow(ImageEnhance.Sharpness(picture(levels)).enhance(factor))
    # Pillow rounds the smoothed picture before it mixes
    assert (changed(levels, "sharpness", [factor / 2, 0, 0, 0]) - expected).abs().max() <= 2


@pytest.mark.parametrize("numbers", [(0.5, 0.5), (0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.9, 1.0)])
def test_hue_and_saturation_are_kornias_way_through_hsv(levels, numbers):
    hue, saturation, value = rgb_to_hsv(levels[None] / 255).unbind(1)
    hue = (hue + 2 * math.pi * (numbers[0] * 100 - 50) / 255) % (2 * math.pi)
    saturation = (saturation + (numbers[1] * 100 - 50) / 255).clamp(0, 1)
    expected = hsv_to_rgb(torch.stack([hue, saturation, value], dim=1))[0]
    ours = whole_texture(levels, [("hue and saturation", [*numbers, 0, 0])])
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=0)


def test_grey_stays_grey_while_only_its_hue_turns():
    grey = torch.full((3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(changed(grey, "hue and saturation", [0.9, 0.5, 0, 0]), grey.int())


def test_gamma_has_a_power_for_each_channel_and_brightness_one_for_all(levels):
    assert torch.equal(changed(levels, "gamma", [1 / 3, 1 / 3, 1 / 3, 0]), levels.int())  # 0.5 + 1.5 / 3 = 1
    ours, share = changed(levels, "gamma", [0.0, 0.5, 1.0, 0]), levels / 255
    expected = torch.stack([share[0] ** 0.5, share[1] ** 1.25, share[2] ** 2])
    assert (ours / 255 - expected).abs().max() < 0.51 / 255
    assert torch.equal(changed(levels, "brightness", MIDDLE), levels.int())
    brighter = changed(levels, "brightness", [1.0, 1.0, 0, 0])
    assert (brighter - (levels * 1.2 + 30).clamp(max=255)).abs().max() <= 0.51


def test_rotation_turns_by_up_to_45_degrees_and_leaves_black_corners(levels):
    torch.testing.assert_close(whole_texture(levels, [("rotation", MIDDLE)]), levels / 255, atol=1e-4, rtol=0)
    turned = whole_texture(levels, [("rotation", [1.0, 0, 0, 0])])
    assert turned[:, 0, 0].max() == 0
    assert turned[:, 20, 26].min() > 0


@pytest.mark.parametrize("name", OPERATIONS)
def test_values_stay_in_range_whatever_is_drawn_and_one_colour_is_no_trouble(levels, name):
    for texture in (levels, torch.full_like(levels, 0), torch.full_like(levels, 255), torch.full_like(levels, 90)):
        for numbers in itertools.product((0.0, 0.999), repeat=2):
            after = whole_texture(texture, [(name, [*numbers, *numbers])])
            assert after.isfinite().all()
            assert 0 <= after.min() <= after.max() <= 1


def test_point_operations_in_a_row_are_one_after_the_other(levels):
    for first, second in itertools.permutations(POINT, 2):
        a, b = [0.2, 0.7, 0.4, 0.1], [0.3, 0.1, 0.9, 0.6]
        step_by_step = changed(changed(levels, first, a).to(torch.uint8), second, b)
        assert torch.equal(to_levels(whole_texture(levels, [(first, a), (second, b)])).int(), step_by_step)


def test_looking_at_some_pixels_gives_what_the_whole_texture_has_there(levels):
    where = torch.randperm(40 * 52, generator=generator(0, "where"))[:200].sort().values
    for drawn in draw(150, SynthesisRecipe(), generator(0, "chains")).samples():
        chain = drawn.chain
        whole = whole_texture(levels, chain).flatten(1)[:, where]
        torch.testing.assert_close(seen_texture(levels, chain, where), whole, atol=1e-5, rtol=0)
    assert torch.equal(seen_texture(levels, [], where), (levels / 255).flatten(1)[:, where])


def test_a_table_is_the_same_for_every_texture_unless_the_operation_counts_levels(levels):
    for name in set(POINT) - {"autocontrast", "equalize"}:
        table = table_of([(name, MIDDLE)], None)
        assert torch.equal(table, table.round())
        assert torch.equal(table.gather(1, levels.flatten(1).long()), changed(levels, name, MIDDLE).flatten(1).float())


def test_three_distinct_operations_are_drawn_each_as_often_as_the_others():
    chosen = draw(3000, SynthesisRecipe(), generator(0, "draws")).operations
    assert all(len(set(row)) == 3 for row in chosen.tolist())
    counts = torch.bincount(chosen.flatten(), minlength=10)
    assert (counts - 900).abs().max() < 120  # five standard deviations
    first = torch.bincount(chosen[:, 0], minlength=10)
    assert (first - 300).abs().max() < 90


def test_the_papers_seven_are_drawn_on_request():
    chosen = draw(500, SynthesisRecipe(texture_operations="seven"), generator(0, "draws")).operations
    assert {OPERATIONS[index] for index in chosen.flatten().tolist()} == set(SEVEN)
