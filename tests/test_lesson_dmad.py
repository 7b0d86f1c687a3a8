"""The self-checks of DMAD's lesson accept what is right and refuse the mistakes that people make."""

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from anomaly_course.lessons import dmad as checks
from anomaly_course.lessons.dmad_figures import (
    bend_curves,
    codes_in_a_plane,
    field_views,
    pull_in_numbers,
    selection_figure,
    stage_rows,
)
from anomaly_lib.methods.dmad.losses import cosine_map, laplacian
from anomaly_lib.methods.dmad.quantise import VectorQuantiser
from anomaly_lib.methods.dmad.scoring import over_range
from anomaly_lib.methods.dmad.warp import length, sample

EXERCISES = [getattr(checks, f"exercise_{number}") for number in range(1, 7)]


def library_pull(image, field):
    return sample(image[None, None], field[None] * 2 / (image.shape[-1] - 1))[0, 0]


def pushed(image, field):
    return library_pull(image, -field)


def library_strength(field):
    return length(field[None], 1e-12).mean()


def apart(field):
    kernel = torch.full((1, 1, 3, 3), -1 / 8)
    kernel[0, 0, 1, 1] = 1
    return F.conv2d(field[:, None], kernel, padding=1).abs().mean(dim=(1, 2, 3)).sum()


def library_quantise(vectors, codes):
    quantiser = VectorQuantiser(*codes.shape)
    quantiser.embedding.weight.data.copy_(codes)
    return quantiser(vectors.T[None, :, None]).features[0, :, 0].T


def library_cosine(teacher, student):
    return cosine_map(teacher[None], student[None])[0, 0]


def by_quartiles(values, normals):
    low, middle, high = normals.quantile(torch.tensor([0.25, 0.5, 0.75]))
    return (values - middle) / (high - low)


RIGHT = [library_pull, library_strength, apart, library_quantise, library_cosine, by_quartiles]


@pytest.mark.parametrize(("exercise", "attempt"), list(zip(EXERCISES, RIGHT, strict=True)))
def test_the_librarys_own_functions_pass(exercise, attempt):
    assert exercise(attempt)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_stub_is_not_begun(exercise, capsys):
    assert not exercise(lambda *arguments: ...)
    assert "not begun" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "attempt", "message"),
    [
        (1, pushed, "not yet"),
        (2, lambda field: field.square().sum(dim=0).sqrt().mean(), "its gradient at zero: not yet"),
        (2, lambda field: field.abs().sum(dim=0).mean(), "not yet"),
        (3, lambda field: laplacian(field[None]).abs().mean(), "not yet"),  # the authors' version
        (4, lambda vectors, codes: codes[torch.cdist(vectors, codes).argmin(1)], "no gradient reaches"),
        (5, lambda teacher, student: 1 - F.cosine_similarity(teacher.flatten(), student.flatten(), dim=0), "not yet"),
        (6, lambda values, normals: over_range(values[:, None].expand(-1, 2))[:, 0], "not yet"),  # min-max of the set
    ],
)
def test_common_mistakes_are_refused_with_a_hint(number, attempt, message, capsys):
    assert not EXERCISES[number - 1](attempt)
    printed = capsys.readouterr().out
    assert message in printed
    assert "Hint: " in printed


def test_the_figures_draw():
    field, image = torch.zeros(2, 4, 4), torch.arange(16.0).view(4, 4)
    picture, pixels, mask = torch.rand(3, 32, 32), torch.rand(32, 32), torch.zeros(32, 32, dtype=torch.bool)
    vectors = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    figures = [
        pull_in_numbers(image, field, image),
        field_views(picture, torch.zeros(2, 32, 32)),
        codes_in_a_plane(vectors, vectors, torch.tensor([0, 1])),
        stage_rows(picture, mask, {"a": pixels, "b": pixels}, {"a": (0.0, 1.0), "b": (0.0, 2.0)}),
        bend_curves([0, 1], {"a": [0.0, 1.0]}, {"a": [0.9, 0.8]}),
        selection_figure([0.7, 0.8], 0.75),
    ]
    assert all(isinstance(figure, Figure) for figure in figures)
