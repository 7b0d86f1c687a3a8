"""The baselines' own mathematics, against plain NumPy: Gaussians and distances, coreset, neighbours, image score."""

from itertools import combinations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.mean_image.method import MeanImage
from anomaly_lib.methods.mean_image.params import MeanImageParams
from anomaly_lib.methods.padim.method import Padim, gaussians
from anomaly_lib.methods.padim.params import PadimParams
from anomaly_lib.methods.patchcore.method import PatchcoreModel, coreset
from tests.helpers import close_to


@pytest.fixture
def draws():
    return np.random.default_rng(3)


def tensor(array):
    return torch.from_numpy(array.astype(np.float32))


def distances_between(first, second):
    return np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=2))


def test_the_mean_image_measures_the_distance_of_colours():
    method = MeanImage(MeanImageParams(image_size=32, smoothing_sigma=0.0))
    assert method.fit(torch.stack([torch.full((3, 32, 32), value) for value in (0.1, 0.5)])) == []
    image = torch.full((1, 3, 32, 32), 0.3)
    image[0, :, 4, 5] += torch.tensor([0.3, -0.4, 0.0])
    scored = method.score(image)
    expected = torch.zeros(1, 32, 32)
    expected[0, 4, 5] = 0.5
    torch.testing.assert_close(scored.maps, expected)
    assert scored.scores.item() == pytest.approx(0.5)


def test_a_baseline_takes_no_steps():
    with pytest.raises(ValidationError, match="steps"):
        MeanImageParams(steps=10)


@pytest.mark.parametrize("count", [4, 30], ids=["fewer images than channels", "many images"])
def test_padim_is_the_mahalanobis_distance_to_the_gaussian_of_each_place(count, draws):
    places, channels, shrinkage = 3, 6, 0.01
    mixing = draws.normal(size=(places, channels, channels))
    normals = np.einsum("lcd,nld->nlc", mixing, draws.normal(size=(count, places, channels))) + 5
    tested = draws.normal(5, 3, (7, places, channels))
    vectors = torch.from_numpy(normals)
    model = gaussians(vectors.sum(0), torch.einsum("nlc,nld->lcd", vectors, vectors), count, shrinkage)
    expected = np.empty((7, places))
    for place in range(places):
        covariance = np.cov(normals[:, place].T, ddof=1) + shrinkage * np.eye(channels)
        apart = tested[:, place] - normals[:, place].mean(axis=0)
        expected[:, place] = np.sqrt(np.einsum("nc,cd,nd->n", apart, np.linalg.inv(covariance), apart))
    close_to(model(tensor(tested)), expected.astype(np.float32), 1e-5)


def test_padim_keeps_channels_by_seed_and_refuses_what_it_cannot_compute():
    first, again, other = (Padim(PadimParams(image_size=64, channels=10), seed).kept for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(set(first.tolist())) == 10
    assert torch.equal(Padim(PadimParams(image_size=64, channels=None)).kept, torch.arange(24 + 40 + 112))
    with pytest.raises(InputError, match=r"channels: 177, but the layers have 176"):
        Padim(PadimParams(image_size=64, channels=177))
    with pytest.raises(InputError, match="two normal images"):
        Padim(PadimParams(image_size=64)).fit(torch.zeros(1, 3, 64, 64))


def test_the_coreset_is_the_greedy_one_and_near_the_best(draws):
    points, count = draws.normal(size=(20, 3)), 4
    chosen = coreset(tensor(points), count, torch.Generator().manual_seed(0)).tolist()
    apart = distances_between(points, points)
    expected = [chosen[0]]
    while len(expected) < count:
        expected.append(int(apart[:, expected].min(axis=1).argmax()))
    assert chosen == expected
    radius = apart[:, chosen].min(axis=1).max()
    best = min(apart[:, list(some)].min(axis=1).max() for some in combinations(range(20), count))
    assert best <= radius <= 2 * best  # what the greedy algorithm guarantees


def test_a_coreset_takes_no_vector_twice_even_among_equal_ones():
    chosen = coreset(torch.ones(6, 2), 6, torch.Generator().manual_seed(0))
    assert sorted(chosen.tolist()) == list(range(6))


def test_neighbours_and_image_scores_are_those_of_the_definition(draws):
    memory, patches, neighbours = draws.normal(size=(30, 5)), draws.normal(size=(3, 8, 5)) * 1.5, 4
    model = PatchcoreModel(tensor(memory))
    distances, nearest = (found[..., 0] for found in model.nearest(tensor(patches), 1))
    scores = model.image_scores(tensor(patches), distances, nearest, neighbours)
    for image, found in enumerate(patches):
        apart = distances_between(found, memory)
        close_to(distances[image], apart.min(axis=1).astype(np.float32), 1e-6)
        assert nearest[image].tolist() == apart.argmin(axis=1).tolist()
        worst = apart.min(axis=1).argmax()
        star = apart[worst].argmin()
        around = distances_between(memory[[star]], memory)[0].argsort()[:neighbours]
        weight = 1 - np.exp(apart[worst, star]) / np.exp(apart[worst, around]).sum()
        assert scores[image].item() == pytest.approx(weight * apart[worst, star], rel=1e-5)


def test_an_image_score_stays_finite_where_exponentials_of_distances_do_not():
    model = PatchcoreModel(torch.tensor([[0.0], [500.0]]))
    patches = torch.tensor([[[-300.0]]])
    distances, nearest = (found[..., 0] for found in model.nearest(patches, 1))
    assert model.image_scores(patches, distances, nearest, 9).item() == pytest.approx(300)
