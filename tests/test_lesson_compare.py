"""The lesson that compares the methods, and the first one: models, scales, pairs, checks, figures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from anomaly_course.lessons import compare as lesson
from anomaly_course.lessons import compare_checks as checks
from anomaly_course.lessons import compare_figures as figures
from anomaly_course.lessons import start
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import image_auroc
from anomaly_lib.figures.detection import Extra
from anomaly_lib.methods.base import ScoreMaps
from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.params import load_params
from tests.helpers import assert_a_check_tells_right_from_wrong


def right_placements(anomalous, normals):
    return [(normals < a).mean() + (normals == a).mean() / 2 for a in anomalous]


def right_paired(first, second, labels, draws):
    return [image_auroc(first[row], labels[row]) - image_auroc(second[row], labels[row]) for row in draws]


RIGHT = {
    start.check_anomalous: lambda score, threshold: not score < threshold,
    checks.check_on_scale: lambda v, m, t: v / (t - m) - m / (t - m),
    checks.check_placements: right_placements,
    checks.check_paired: right_paired,
}
WRONG = {
    start.check_anomalous: lambda score, threshold: score > threshold,
    checks.check_on_scale: lambda v, m, t: (v - m) / t,
    checks.check_placements: lambda anomalous, normals: (anomalous[:, None] > normals).mean(axis=1),
    checks.check_paired: lambda first, second, labels, draws: [
        image_auroc(first, labels) - image_auroc(second[row], labels[row]) for row in draws
    ],
}


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_checks_accept_another_right_answer_and_refuse_a_likely_mistake(check, capsys):
    assert_a_check_tells_right_from_wrong(check, RIGHT[check], WRONG[check], capsys)


def test_the_simplest_detector_counts_spreads_from_the_mean():
    normals = torch.stack([torch.full((3, 2, 2), value) for value in (0.4, 0.6)])
    spread = 0.02**0.5  # of two values 0.2 apart
    found = start.distance_to_average(torch.full((1, 3, 2, 2), 0.8), normals)
    assert found.flatten().tolist() == pytest.approx([0.3 / spread] * 4)
    # where normals are all alike, a trifle is not an anomaly without bounds
    assert start.distance_to_average(normals[:1] + 0.02, normals[:1].expand(2, -1, -1, -1)).max() == pytest.approx(1)


def test_shown_scores_keep_every_decision():
    scores = np.array([0.0, 1.0, 2.0, np.nextafter(np.float32(3), np.float32(0)), 3.0, 5.0], dtype=np.float32)
    shown = lesson.shown_scores(scores, 1.0, 3.0)
    assert shown[[0, 1, 2, 4, 5]].tolist() == [-0.5, 0.0, 0.5, 1.0, 2.0]
    assert shown[3] < 1


def test_placements_have_the_auroc_as_their_mean():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 40).astype(float), np.arange(40) % 3 == 0
    found = lesson.placements(scores[labels], scores[~labels])
    assert found.mean() == pytest.approx(image_auroc(scores, labels), abs=1e-6)


def test_draws_keep_the_classes_and_pairs_are_differences_of_auroc():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3 == 0
    first, second = rng.normal(labels, 1), rng.normal(labels, 1).round()
    draws = lesson.stratified_draws(labels, 7, seed=0)
    assert draws.shape == (7, 30)
    assert (labels[draws].sum(axis=1) == labels.sum()).all()
    assert np.array_equal(draws, lesson.stratified_draws(labels, 7, seed=0))
    found = lesson.paired_differences(first, second, labels, draws)
    assert found == pytest.approx(right_paired(first, second, labels, draws), abs=1e-6)
    assert not lesson.paired_differences(first, first, labels, draws).any()


def test_models_of_the_pipeline_are_taken_only_when_all_are_there(monkeypatch):
    params = load_params()
    monkeypatch.setattr(lesson, "load_model", lambda folder: folder)
    monkeypatch.setattr(lesson, "find_model", lambda params, method, category, seed: f"{method}-{category}-{seed}")
    assert [one.model for one in lesson.pipeline_models(params, "nut", 0)] == ["draem-nut-0", "dfr-nut-0", "dmad-nut-0"]
    monkeypatch.undo()
    assert lesson.pipeline_models(params, "no such category", 0) == []


class Brightness:
    """A method whose map is the image's mean channel, for models that need no training."""

    title, params = "Brightness", SimpleNamespace(image_size=8)

    def images(self, samples):
        return load_images(samples, 8)

    def score(self, images):
        maps = images.mean(dim=1)
        return ScoreMaps(maps, maps.amax(dim=(1, 2)))

    def explain(self, images):
        return {"map": images.mean(dim=1), "reconstruction": images}

    def architecture(self):
        return [{"parameters": 2}, {"parameters": 3}]


def test_one_image_through_a_model(tiny_data):
    from anomaly_lib.data import load_category

    samples = load_category(tiny_data, "dots")
    one = lesson.Contestant(
        TrainedModel(Brightness(), "dots", {"image": 0.55, "pixel": 0.5, "pixel_median": 0.4}, ""), 1
    )
    assert (one.title, one.side, one.parameters) == ("Brightness", 8, 5)
    found = lesson.score_all(one, samples.test, samples.train)
    assert found.maps.shape == (8, 8, 8)
    assert [score >= 1 for score in found.scores] == [sample.is_anomalous for sample in samples.test]
    seen = lesson.look(one, samples.test[-1], found.of(7))
    assert seen.photo.shape == (64, 64, 3)
    assert seen.extra.title == "reconstruction"
    assert np.array_equal(seen.map, found.maps[7])


def test_the_figures_say_what_they_are_given():
    photo, hot = np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4))
    hot[1:3, 1:3] = 3.0
    looks = [
        lesson.View("A", photo, Extra("repair", np.zeros((4, 4, 3))), hot, 1.5),
        lesson.View("B", photo, Extra("stage", np.ones((4, 4))), np.zeros((4, 4)), 0.5),
        lesson.View("C", photo, None, np.zeros((4, 4)), 0.99999),
    ]
    figure = figures.side_by_side(looks, np.zeros((8, 8)))
    words = [axis.get_title() for axis in figure.axes[3:12:4]]
    assert [word.split(": ")[1] for word in words] == ["anomalous (NG)", "normal (OK)", "normal (OK)"]
    labels = np.array([False, True, True])
    scores = {name: np.array([0.1, 2.0, value]) for name, value in (("A", 3.0), ("B", 0.5), ("C", 0.2))}
    titles = [axis.get_title() for axis in figures.agreement_figure(scores, labels, [1]).axes]
    assert titles == ["they agree on 2 of 3", "they agree on 2 of 3", "they agree on 3 of 3"]
    single = {"A": (0.9, (0.8, 1.0)), "B": (0.5, None)}
    assert isinstance(figures.intervals_figure(single, {"A − B": np.array([0.1, 0.3])}), Figure)
