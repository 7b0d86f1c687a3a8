"""The deformation and memory widgets: the functions behind them, and the controls."""

import time
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from anomaly_course.widgets.deform import deform_figure, deform_studio, hand_field, hand_losses
from anomaly_course.widgets.memory import MemoryExample, learnt_memory, memory_curves, memory_figure, memory_studio
from anomaly_lib.base.reproducibility import generator
from tests.helpers import (
    assert_controls_change_the_picture_and_reset_restores_it,
    assert_the_picture_has_words,
    widget_parts,
)

SECONDS = 0.3


@pytest.fixture(scope="module")
def image():
    rows = torch.linspace(0, 1, 48)
    return torch.stack([rows[None].expand(48, 48), rows[:, None].expand(48, 48), torch.full((48, 48), 0.5)])


@pytest.fixture(scope="module")
def example():
    """Three kinds of normal features in four images, and an image with a fourth kind in its upper left corner."""
    draw = generator(0, "test", "memory")
    kinds = torch.randn(3, 8, generator=draw) * 4
    chosen = torch.randint(3, (4, 8, 8), generator=draw)
    normals = kinds[chosen].movedim(-1, 1) + 0.1 * torch.randn(4, 8, 8, 8, generator=draw)
    features, mask = normals[0].clone(), torch.zeros(64, 64, dtype=torch.bool)
    features[:, :2, :2] = 30.0
    mask[:16, :16] = True
    return MemoryExample(normals, torch.rand(3, 64, 64, generator=draw), features, mask)


def test_no_deformation_costs_nothing_and_changes_nothing(image):
    losses, warped, restored = hand_losses(image[None], hand_field(48))
    assert losses == pytest.approx({"strength": 0, "smoothness": 0, "cycle": 0}, abs=1e-9)
    torch.testing.assert_close(warped[0], image)
    torch.testing.assert_close(restored[0], image)


def test_a_shift_costs_its_length_and_moves_columns(image):
    losses, warped, _ = hand_losses(image[None], hand_field(48, shift=4))
    assert losses["strength"] == pytest.approx(4 * 2 / 47)
    torch.testing.assert_close(warped[0, 0, :, :40], image[0, :, 4:44])


def test_jitter_is_rougher_than_a_bend_of_the_same_strength(image):
    bend, _, _ = hand_losses(image[None], hand_field(48, bend=4))
    jitter, _, _ = hand_losses(image[None], hand_field(48, jitter=2))
    assert bend["strength"] == pytest.approx(jitter["strength"], rel=0.1)
    assert jitter["smoothness"] > 10 * bend["smoothness"]
    assert jitter["cycle"] > bend["cycle"]


def test_more_codes_leave_less_of_the_normal_error(example):
    errors = [learnt_memory(example, size).normal_error for size in (1, 2, 8, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(1, rel=1e-4)  # one code at the mean leaves the variance


def test_the_defect_is_far_from_every_code(example):
    memory = learnt_memory(example, 8)
    places = example.defect_places()
    assert places.sum() == 4
    assert memory.error_map[places].min() > 5 * memory.error_map[~places].max()


def test_a_defect_smaller_than_a_quarter_of_every_place_has_the_places_it_covers_most(example):
    mask = torch.zeros_like(example.mask)
    mask[0, 0] = True
    assert replace(example, mask=mask).defect_places().nonzero().tolist() == [[0, 0]]


def test_use_is_counted_and_a_start_at_the_data_leaves_fewer_codes_dead(example):
    memory = learnt_memory(example, 64, "uniform")
    assert memory.shares.sum().item() == pytest.approx(1)
    assert memory.used == (memory.shares > 0).sum()
    assert 1 <= memory.perplexity <= memory.used
    assert memory.used < learnt_memory(example, 64, "data").used


def test_a_memory_is_the_same_every_time_and_leaves_the_global_generator_alone(example):
    state = torch.get_rng_state()
    first, second = (learnt_memory(example, 16, "uniform") for _ in range(2))
    assert torch.equal(first.quantiser.embedding.weight, second.quantiser.embedding.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_another_start_is_refused(example):
    with pytest.raises(ValueError, match="'data' or 'uniform'"):
        learnt_memory(example, 4, "zeros")


@pytest.fixture(params=["deform", "memory"])
def widget(request, image, example):
    return deform_studio(image) if request.param == "deform" else memory_studio(example)


def far_value(control):
    if hasattr(control, "options"):
        return control.options[-1]  # with one code nothing depends on where it begins
    return control.min if control.value != control.min else control.max


def test_every_control_changes_the_picture_and_reset_brings_it_back(widget):
    assert_controls_change_the_picture_and_reset_restores_it(widget, far_value)


def test_the_picture_has_alternative_text(widget):
    assert_the_picture_has_words(widget)


def test_an_answer_takes_less_than_300_ms_of_processor_time(widget):
    moving, _, _ = widget_parts(widget)
    taken = []
    for value in (moving[0].options[-1], moving[0].options[0]) if hasattr(moving[0], "options") else (5, -5):
        started = time.process_time()
        moving[0].value = value
        taken.append(time.process_time() - started)
    assert min(taken) < SECONDS


def test_the_functions_behind_the_controls_are_plain(image, example):
    assert isinstance(deform_figure(image, shift=2), Figure)
    assert "used, perplexity" in memory_figure(example, 4).axes[3].get_title()
    assert len(memory_curves(example, rounds=1).axes[1].lines) == 3
