"""The DFR lesson: exercise checks, the detector of exchangeable parts, logical defects, figures."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from anomaly_course.lessons import dfr as lesson
from anomaly_course.lessons import dfr_checks as checks
from anomaly_course.lessons import dfr_figures as figures
from anomaly_course.widgets.receptive import field_size
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.network import FeatureAutoencoder, reconstruction_error
from anomaly_lib.methods.dfr.params import DfrParams
from tests.helpers import assert_a_check_tells_right_from_wrong


def needed(vectors, share):
    values = torch.linalg.eigvalsh(torch.cov(vectors.T)).flip(0)
    return int((values.cumsum(0) / values.sum() < share).sum()) + 1


def aligned(maps, size, grid):
    return F.avg_pool2d(F.interpolate(maps[None], size, mode="bilinear", align_corners=True), size // grid)[0]


def shrunk(errors, prior):
    return errors.mean() + (errors.mean(dim=0) - errors.mean()) * len(errors) / (len(errors) + prior)


RIGHT = {
    checks.check_field: field_size,
    checks.check_aligned: aligned,
    checks.check_needed: needed,
    checks.check_pointwise: lambda f, w, b: F.conv2d(f, w[:, :, None, None], b),
    checks.check_distance: lambda f, r: (f - r).norm(dim=0),
    checks.check_scale: shrunk,
}
WRONG = {
    checks.check_field: lambda steps: 1 + sum(kernel - 1 for kernel, _ in steps),  # forgets the strides
    checks.check_aligned: lambda maps, size, grid: F.adaptive_avg_pool2d(
        F.interpolate(maps[None], size, mode="bilinear", align_corners=False), grid
    )[0],
    checks.check_needed: lambda vectors, share: needed(torch.cat([vectors, -vectors]), share),  # does not centre
    checks.check_pointwise: lambda f, w, b: torch.einsum("dc,chw->dhw", w, f),  # forgets the bias
    checks.check_distance: lambda f, r: (f - r).abs().sum(dim=0),
    checks.check_scale: lambda errors, prior: errors.mean(dim=0),
}


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_checks_accept_another_right_answer_and_refuse_a_likely_mistake(check, capsys):
    assert "Hint: " in assert_a_check_tells_right_from_wrong(check, RIGHT[check], WRONG[check], capsys)


def test_the_numbers_that_the_lesson_computes_by_hand():
    assert field_size([(3, 2), (3, 1)]) == 7
    assert aligned(torch.tensor([[[0.0, 12.0], [0.0, 12.0]]]), 4, 2)[0, 0].tolist() == pytest.approx([2, 10])
    assert [round(lesson.misplaced(side, 256), 1) for side in (16, 32, 64, 128, 256)] == [15, 7.7, 3.9, 2.0, 1.0]
    # encode two channels by their mean, decode by copying
    autoencoder = FeatureAutoencoder(2, 1, batch_norm=False)
    features = torch.tensor([[3.0, 4.0], [3.0, 2.0]])[None, :, None]  # places (3, 3) and (4, 2)
    rebuilt = features.mean(dim=1, keepdim=True).expand_as(features)
    assert reconstruction_error(features, rebuilt)[0, 0].tolist() == [0, 1]
    assert autoencoder(features).shape == features.shape


def test_colours_are_the_means_of_squares():
    images = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    assert lesson.colours(images, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_the_mean_as_reconstruction_leaves_the_distance_to_it():
    normals = torch.tensor([[1.0, 3.0], [0.0, 0.0]])[:, :, None, None]  # means 0.5 and 1.5
    detector = lesson.Detector(lesson.mean_vector(normals), lesson.plain(4))
    assert detector.errors(normals).flatten().tolist() == [(0.25 + 2.25) / 2] * 2
    assert detector.maps(normals).shape == (2, 4, 4)
    assert detector.scores(normals).tolist() == [1.25] * 2
    halved = replace(detector, finish=lesson.scaled(torch.full((1, 1), 2.0), 4))
    assert halved.scores(normals).tolist() == [0.625] * 2


@pytest.fixture(scope="module")
def trained():
    """A model after two steps, and the images that it saw."""
    settings = {"image_size": 32, "feature_size": 8, "layers": ["stage0", "stage1"], "smoothing_sigma": 1.0}
    method = Dfr(DfrParams(**settings, steps=2, batch=32, feature_space="standardised"), 0)
    images = torch.rand(4, 3, 32, 32, generator=generator(0, "images"))
    method.fit(images, progress=False)
    return method, images


def test_the_learned_parts_together_are_the_method(trained):
    method, images = trained
    finish = lesson.scaled(method.fitted.location.scale, 32, sigma=1.0)
    detector = lesson.Detector(lesson.learned(method), finish)
    described = method.fitted.space(method.features(images))
    scored = method.score(images)
    assert torch.equal(detector.maps(described), scored.maps)
    assert torch.equal(detector.scores(described), scored.scores)


def test_shares_of_the_error_are_those_of_the_layers():
    features = torch.zeros(1, 3, 1, 2)
    features[:, 0], features[:, 2] = 1, 3  # squares 1, 0 and 9
    shares = lesson.error_shares(features, torch.zeros(()), {"first": 2, "second": 1})
    assert shares == pytest.approx({"first": 0.1, "second": 0.9})


def test_channels_of_a_normal_set_have_no_mean_and_unit_deviation():
    backbone = Backbone("tf_efficientnet_lite0", ["stage0", "stage1"])
    normals = torch.rand(3, 3, 32, 32, generator=generator(0, "images"))
    shown = [lesson.channel_pictures(backbone, image, normals, count=2) for image in normals]
    for layer, side in (("stage0", 16), ("stage1", 8)):
        values = torch.stack([one[layer] for one in shown])
        assert values.shape == (3, 2, side, side)
        torch.testing.assert_close(values.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)
    spread = lesson.channel_deviations(torch.stack([torch.zeros(2, 2), torch.ones(2, 2)])[None], {"a": 1, "b": 1})
    assert {name: values.tolist() for name, values in spread.items()} == {"a": [0.0], "b": [0.0]}


def test_a_logical_defect_is_made_of_normal_pixels_only():
    image = torch.arange(100.0).view(1, 1, 10, 10).expand(1, 3, 10, 10)
    empty = lesson.only_background(image, share=0.2)
    assert empty.shape == image.shape
    assert empty[0, 0, :, 0].tolist() == [0, 10, 10, 0, 0, 10, 10, 0, 0, 10]
    assert lesson.turned_around(image)[0, 0, 0, 0] == 99


def test_a_map_points_at_its_defect_or_next_to_it():
    masks = torch.zeros(3, 9, 9, dtype=torch.bool)
    masks[:2, 4, 4] = True
    maps = torch.zeros(3, 9, 9)
    maps[0, 4, 6], maps[1, 4, 7], maps[2, 0, 0] = 1, 1, 1
    assert lesson.points_at_the_defect(maps, masks, margin=2).tolist() == [True, False, False]


def test_the_figures_state_what_they_are_given(trained):
    image, mask, errors = torch.rand(3, 16, 16), torch.zeros(16, 16, dtype=torch.bool), torch.rand(4, 4)
    columns = figures.layer_maps_figure(image, mask, {"a": torch.zeros(2, 8, 8), "b": torch.zeros(2, 4, 4)})
    assert [axis.get_title() for axis in columns.axes[:3]] == ["input", "a, 8×8", "b, 4×4"]
    assert figures.aligned_figure({"small": errors}).axes[0].get_title() == "small\n4×4"
    spread = figures.spread_figure({"a": torch.ones(3)}, {"raw": {"a": 1.0}, "standardised": {"a": 1.0}})
    assert len(spread.axes[0].lines[0].get_xdata()) == 3
    two = torch.tensor([[3.0, 3.0], [4.0, 2.0]])
    plane = figures.plane_figure(two, two.mean(1, keepdim=True).expand(-1, 2), torch.tensor([1.0, 1.0]), "plane")
    assert plane.axes[0].lines[2].get_xydata().tolist() == [[4, 2], [3, 3]]  # the second vector and its reconstruction
    assert figures.scales_figure({"a": torch.tensor([[1.0, 3.0]])}).axes[0].get_title() == "a: 0.50 to 1.50"
    areas = figures.areas_figure([0.01, 0.02], [1.0, 2.0], ["x", "y"], 1.5).axes[0]
    assert areas.lines[0].get_xydata().tolist() == [[1.0, 1.0]]
    assert len(figures.cases_figure(image[None], torch.rand(1, 16, 16), ["case"]).axes) == 3
