"""Widgets of the synthesis: a control moves, the picture changes, quickly; and the figures of the notebook."""

import re
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from anomaly_course.widgets import synthesis_figures as figures
from anomaly_course.widgets.blend import SHAPES, blend_figure, blend_studio
from anomaly_course.widgets.operations import operation_figure, operations_studio
from anomaly_course.widgets.perlin import perlin_studio
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis import synthesize
from anomaly_lib.synthesis.operations import OPERATIONS, POINT
from tests.helpers import assert_controls_change_the_picture_and_reset_restores_it, other_value, widget_parts


@pytest.fixture(scope="module")
def normals():
    return torch.rand(3, 3, 64, 64, generator=generator(0, "normals"))


@pytest.fixture(scope="module")
def textures():
    return torch.randint(0, 256, (4, 3, 64, 64), generator=generator(0, "textures")).to(torch.uint8)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


@pytest.fixture(params=["perlin", "blend", "operations"])
def widget(request, normals, textures):
    made = {
        "perlin": perlin_studio,
        "blend": lambda: blend_studio(normals[0], textures),
        "operations": lambda: operations_studio(textures),
    }
    return made[request.param]()


def test_every_control_changes_the_picture_and_reset_brings_it_back(widget):
    assert_controls_change_the_picture_and_reset_restores_it(widget)


def test_there_is_alternative_text_and_an_answer_within_300_milliseconds(widget):
    moving, _, picture = widget_parts(widget)
    assert len(re.search(r'<img alt="([^"]+)"', picture.value)[1]) > 40
    seconds = []
    for _ in range(3):
        start = time.process_time()
        moving[0].value = other_value(moving[0])
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_the_blend_figure_says_what_was_drawn(normals, textures, shape):
    left, middle, right = blend_figure(normals[0], textures, opacity=0.35, seed=1, shape=shape).axes
    assert re.match(r"mask, \d+\.\d % of the image", left.get_title())
    opacity = 1.0 if shape == "cutout" else 0.35
    assert right.get_title() == f"opacity β = {opacity:.2f}"
    assert middle.get_title() == "plain" if shape == "cutout" else middle.get_title().count(",") == 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_only_point_operations_have_a_table(textures, operation):
    *_, table = operation_figure(textures, operation, texture=2, seed=3).axes
    assert len(table.lines) == (3 if operation in POINT else 0)
    if operation == "invert":
        assert table.lines[0].get_ydata().tolist() == list(range(255, -1, -1))


def test_the_chain_shows_eight_steps_a_sample(normals, textures):
    result = synthesize(normals, textures, generator(0, "figure"), SynthesisRecipe(clean_probability=0.0))
    figure = figures.synthesis_figure(result)
    assert len(figure.axes) == 3 * figures.STEPS
    titles = [axis.get_title() for axis in figure.axes[: figures.STEPS]]
    assert titles[5] == ",\n".join(result.operations[0])
    assert titles[3] == f"> 0.50: {result.mask[0].mean() * 100:.1f} %"
    shown = figure.axes[7].images[0].get_array()
    np.testing.assert_allclose(np.moveaxis(shown, -1, 0), result.image[0], atol=1e-6)


def test_the_operations_figure_names_all_ten_and_marks_the_papers_seven(textures):
    titles = [axis.get_title() for axis in figures.operations_figure(textures[0], seed=0).axes]
    assert [title.removesuffix(" *") for title in titles[1:11]] == list(OPERATIONS)
    assert sum(title.endswith(" *") for title in titles) == 7


def test_switches_share_their_draws(normals, textures):
    results = figures.switched(normals, textures, seed=0)
    assert list(results) == list(figures.SWITCHES)
    plain = results["authors' code"]
    for name in ("plain colour", "normals as texture", "no operations", "beta off"):
        assert torch.equal(results[name].mask, plain.mask)
    assert isinstance(figures.switches_figure(results), Figure)


def test_statistics_of_coverage_are_those_documented():
    coverage = np.array([0.0, 0.0, 0.1, 0.2, 0.7])
    statistics = figures.coverage_statistics(coverage)
    assert set(figures.DOCUMENTED_COVERAGE) == set(statistics) - {"draws"}
    assert statistics["draws"] == 5
    assert statistics["mean"] == pytest.approx(0.2)
    assert statistics["median"] == pytest.approx(0.1)
    assert statistics["empty"] == pytest.approx(0.4)
    assert len(figures.coverage_histogram(coverage).axes[0].lines) == 2
