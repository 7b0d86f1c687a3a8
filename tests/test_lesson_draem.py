"""DRAEM's lesson: hand-checkable lattice, exercise checks, exchangeable detector, figures."""

import math
import re
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from anomaly_course.lessons import draem as exercises
from anomaly_course.lessons import draem_figures as figures
from anomaly_course.lessons import ladder
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.figures.display import show
from anomaly_lib.methods.draem.method import Draem
from anomaly_lib.methods.draem.params import DraemParams
from anomaly_lib.synthesis import synthesize
from tests.helpers import assert_a_check_tells_right_from_wrong


@pytest.fixture(scope="module")
def trained():
    """A model after two steps, and the images that it saw."""
    settings = DraemParams(image_size=32, steps=2, reconstructive_width=4, discriminative_width=4, score_window=3)
    images = torch.rand(6, 3, 32, 32, generator=generator(0, "images"))
    method = Draem(settings, 0)
    method.fit(images, progress=False)
    return method, images


def noise_at(corners, down, right):
    total = 0.0
    for i in (0, 1):
        for j in (0, 1):
            t = torch.tensor([1 - abs(down - i), 1 - abs(right - j)])
            weight = (t**3 * (t * (t * 6 - 15) + 10)).prod()
            total += weight * (corners[i, j] * torch.tensor([down - i, right - j])).sum()
    return math.sqrt(2) * total


def test_gradients_have_unit_length_and_make_the_noise_everywhere():
    gradients, noise = exercises.lattice_gradients(), exercises.lattice_noise()
    assert torch.allclose(gradients.norm(dim=-1), torch.ones(3, 3))
    for row in range(8):
        for column in range(8):
            corners = exercises.cell_of(gradients, row // 4, column // 4)
            assert noise_at(corners, row % 4 / 4, column % 4 / 4) == pytest.approx(noise[row, column].item(), abs=1e-6)


def test_the_pixel_that_the_lesson_computes_by_hand():
    corners = exercises.cell_of(exercises.lattice_gradients(), 0, 0).round(decimals=2)
    offsets = torch.tensor([[[0.5, 0.5], [0.5, -0.5]], [[-0.5, 0.5], [-0.5, -0.5]]])
    products = (corners * offsets).sum(dim=-1).flatten()
    assert products.tolist() == pytest.approx([0.42, 0.485, -0.30, -0.015], abs=1e-6)
    assert (
        round(math.sqrt(2) / 4 * products.sum().item(), 2) == 0.21 == round(exercises.lattice_noise()[2, 2].item(), 2)
    )


RIGHT = {
    exercises.check_fade: lambda t: 6 * t**5 - 15 * t**4 + 10 * t**3,
    exercises.check_noise_at: noise_at,
    exercises.check_blend: lambda normal, texture, mask, beta: normal + mask * beta * (texture - normal),
    exercises.check_focal: lambda p, gamma: -((1 - p) ** gamma) * math.log(p),
    exercises.check_image_score: lambda m, side: F.avg_pool2d(m[None], side, stride=1, padding=side // 2).max(),
    exercises.check_precision_recall: lambda s, y, t: torch.stack(
        [y[s >= t].float().mean(), (s[y == 1] >= t).float().mean()]
    ),
}
WRONG = {
    exercises.check_fade: lambda t: 3 * t**2 - 2 * t**3,
    exercises.check_noise_at: lambda corners, down, right: noise_at(corners.flip(-1), down, right),
    exercises.check_blend: lambda normal, texture, mask, beta: normal + mask * (1 - beta) * (texture - normal),
    exercises.check_focal: lambda p, gamma: -(p**gamma) * math.log(p),
    exercises.check_image_score: lambda m, side: F.avg_pool2d(
        m[None], side, stride=1, padding=side // 2, count_include_pad=False
    ).max(),
    exercises.check_precision_recall: lambda s, y, t: torch.stack(
        [y[s > t].float().mean(), (s[y == 1] > t).float().mean()]
    ),
}


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_checks_accept_another_right_answer_and_refuse_a_likely_mistake(check, capsys):
    assert_a_check_tells_right_from_wrong(check, RIGHT[check], WRONG[check], capsys)


def test_dummies_give_ties_and_the_average_gives_the_distance_to_it():
    images = torch.rand(4, 3, 8, 8, generator=generator(0, "images"))
    dummy = ladder.Detector(ladder.identity, ladder.absolute_difference, ladder.plain_max)
    assert torch.equal(dummy.scores(images), torch.zeros(4))
    average = replace(dummy, reconstruct=ladder.average_image(torch.zeros(2, 3, 8, 8)))
    assert torch.equal(average.maps(images), images.mean(dim=1))


def test_the_learned_parts_together_are_the_method(trained):
    method, images = trained
    detector = ladder.Detector(
        ladder.learned_reconstruction(method), ladder.learned_comparison(method), ladder.smoothed_max(3)
    )
    scored = method.score(images)
    assert torch.equal(detector.maps(images), scored.maps)
    assert torch.equal(detector.scores(images), scored.scores)


def test_the_mean_filter_counts_zeros_beyond_the_border():
    ones = torch.ones(1, 5, 5)
    assert ladder.mean_filtered(ones, 3)[0, 0, 0] == pytest.approx(4 / 9)
    assert torch.equal(ladder.mean_filtered(ones, 1), ones)


def test_the_architecture_figure_shows_each_block_of_the_live_model(trained):
    rows = trained[0].architecture()
    figure = figures.architecture_figure(rows)
    assert sum(len(axis.patches) for axis in figure.axes) == len(rows)
    # five skips, in the discriminative network only
    assert [len(axis.lines) for axis in figure.axes] == [0, 5]
    words = [text.get_text().split("\n")[0] for axis in figure.axes for text in axis.texts]
    assert [word for word in words if not word.endswith(" ch.")][:7] == [
        "encoder 1",
        "encoder 2",
        "encoder 3",
        "encoder 4",
        "bottleneck",
        "up 1",
        "decoder 1",
    ]
    total = sum(p.numel() for p in trained[0].model.parameters())
    shown = [int(axis.get_title(loc="left").split(": ")[1].split()[0].replace(",", "")) for axis in figure.axes]
    assert sum(shown) == total


def test_the_other_figures_state_what_they_are_given(trained):
    images = trained[1]
    batch = synthesize(images, images, generator(0, "batch"))
    shares = [axis.get_xlabel() for axis in figures.batch_figure(batch).axes[12:]]
    assert shares == [f"{mask.mean() * 100:.1f} %" for mask in batch.mask]
    damages = [axis.get_title() for axis in figures.similarity_figure(images[0], generator(0, "noise")).axes]
    assert "MSE 0.0000\n1 − SSIM 0.00" in damages[0]
    maps = torch.zeros(6, 32, 32)
    maps[:, 3, 4] = 0.5
    axes = figures.score_steps_figure(images, maps, maps, None, ["x"] * 6).axes
    assert axes[6].get_xlabel() == "max 0.50"
    assert axes[6].lines[0].get_xydata().tolist() == [[4, 3]]


def test_a_shown_figure_carries_its_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("anomaly_lib.figures.display.display", shown.append)
    show(figures.fade_figure(), "a curve")
    assert re.fullmatch(
        r'<img alt="a curve" src="data:image/png;base64,[^"]+" width="\d+" style="[^"]+">', shown[0].data
    )
