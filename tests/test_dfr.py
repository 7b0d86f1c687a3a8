"""DFR piece by piece: equal to the authors' code where that is asked for, and to the plain definition elsewhere."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import FeatureCache
from anomaly_lib.methods.dfr.features import pooling_matrix
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.network import FeatureAutoencoder, reconstruction_error
from anomaly_lib.methods.dfr.params import DfrParams
from anomaly_lib.methods.dfr.space import fit_space, latent_size, statistics
from anomaly_lib.methods.maps import location_scale, smoothed
from anomaly_lib.methods.official import load_dfr
from tests.conftest import TINY_SETTINGS
from tests.helpers import assert_refused_in_one_line, close_to, golden_state


@pytest.fixture
def authors_file(tmp_path):
    """The small golden autoencoder, saved as the authors save theirs."""
    file = tmp_path / "autoencoder.pth"
    torch.save({"autoencoder": golden_state("dfr_small", 11)}, file)
    return file


def test_the_authors_checkpoint_gives_the_authors_numbers(golden, authors_file):
    features = torch.from_numpy(np.random.RandomState(12).normal(0, 1, (2, 48, 9, 9))).float()
    with torch.no_grad():
        reconstruction = load_dfr(authors_file)(features)
    energy = reconstruction_error(features, reconstruction)
    close_to(reconstruction, golden["dfr_small_rec"], 3e-6)
    close_to(energy, golden["dfr_small_energy"], 3e-6)


@pytest.mark.parametrize(("latent", "millions"), [(197, 15.0), (669, 24.8)])
def test_the_autoencoder_has_the_documented_size(latent, millions):
    autoencoder = FeatureAutoencoder(3456, latent)
    assert sum(p.numel() for p in autoencoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_sizes_and_normalisation_are_read_from_a_checkpoint(tmp_path, batch_norm):
    saved = FeatureAutoencoder(20, 3, batch_norm).eval()
    torch.save(saved.state_dict(), tmp_path / "autoencoder.pth")
    loaded = load_dfr(tmp_path / "autoencoder.pth")
    features = torch.randn(1, 20, 4, 4)
    assert torch.equal(loaded(features), saved(features))


@pytest.mark.parametrize("content", [None, b"not a checkpoint", {"something": torch.zeros(2)}, [1, 2]])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    assert_refused_in_one_line(load_dfr, tmp_path / "autoencoder.pth", content)


@pytest.mark.parametrize("resize", ["bilinear", "nearest"])
@pytest.mark.parametrize("map_size", [128, 64, 48, 16])
def test_one_matrix_an_axis_equals_resizing_and_averaging(map_size, resize):
    maps = torch.randn(2, 3, map_size, map_size)
    align = {"align_corners": True} if resize == "bilinear" else {}
    expected = F.avg_pool2d(F.interpolate(maps, 128, mode=resize, **align), 4)
    matrix = pooling_matrix(map_size, 128, 32, resize)
    close_to(matrix @ maps @ matrix.T, expected, 3e-6)


@pytest.fixture
def locations():
    """Correlated vectors, whose channels differ in scale by a factor of a thousand."""
    mixing = torch.randn(6, 6, generator=generator(0, "mixing")) * torch.logspace(0, 3, 6)
    return torch.randn(4000, 6, generator=generator(0, "vectors")) @ mixing + 5


def covariance_in(kind, locations):
    transformed = fit_space(kind, statistics(locations))(locations.T[None, :, None])[0, :, 0]
    return torch.cov(transformed.double())


def test_whitened_features_have_unit_covariance(locations):
    torch.testing.assert_close(covariance_in("whitened", locations), torch.eye(6).double(), atol=0.02, rtol=0)


def test_standardised_features_have_unit_variances_but_stay_correlated(locations):
    covariance = covariance_in("standardised", locations)
    torch.testing.assert_close(covariance.diagonal(), torch.ones(6).double(), atol=0.02, rtol=0)
    assert (covariance - torch.eye(6)).abs().max() > 0.1


def test_the_raw_space_is_the_identity(locations):
    maps = locations.T[None, :, None]
    assert torch.equal(fit_space("raw", statistics(locations))(maps), maps)


def test_features_of_an_image_have_the_same_bits_alone_and_among_many(locations):
    space, autoencoder = fit_space("whitened", statistics(locations)), FeatureAutoencoder(6, 2).eval()
    features = torch.randn(20, 6, 16, 16, generator=generator(0, "features"))
    with torch.no_grad():
        for function in (space, autoencoder):
            together = function(features)
            assert together.shape == features.shape
            assert all(torch.equal(function(features[i : i + 1]), together[i : i + 1]) for i in (0, 7, 19))


def test_the_latent_size_is_the_number_of_components_for_the_share():
    axes = torch.eye(4).repeat(50, 1) * torch.tensor([8.0, 2.0, 1.0, 0.5])
    both = torch.cat([axes, -axes])  # variances in the ratio 64 : 4 : 1 : 0.25
    assert [latent_size("raw", statistics(both), share) for share in (0.9, 0.95, 0.99, 0.999)] == [1, 2, 3, 4]
    assert latent_size("standardised", statistics(both), 0.9) == 4


def test_the_scale_of_a_place_is_its_mean_error_drawn_to_the_overall_mean():
    errors = torch.ones(30, 16, 16)
    errors[:, :, 8:] = 3.0
    free, drawn = location_scale(errors, 0.0), location_scale(errors, 30.0)
    assert free[8, 0].item() == pytest.approx(1.0, abs=1e-3)
    assert free[8, 15].item() == pytest.approx(3.0, abs=1e-3)
    assert drawn[8, 15].item() == pytest.approx((3.0 + 2.0) / 2, abs=1e-3)


def test_smoothing_keeps_the_mean_and_sigma_0_keeps_everything():
    maps = torch.zeros(1, 64, 64)
    maps[0, 32, 32] = 1.0
    blurred = smoothed(maps, 4.0, "mirrored")
    assert blurred.sum().item() == pytest.approx(1.0, abs=1e-4)
    assert blurred[0, 32, 32].item() == pytest.approx(1 / (2 * np.pi * 16), rel=0.02)
    assert torch.equal(smoothed(maps, 0.0, "mirrored"), maps)


def tiny_method(**changes):
    return Dfr(DfrParams.model_validate(TINY_SETTINGS["dfr"] | changes))


def same_tensors(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.fixture
def normals():
    return torch.rand(6, 3, 64, 64, generator=generator(0, "normals"))


def test_an_interrupted_training_goes_on_to_the_same_bits(normals, tmp_path, monkeypatch):
    whole = tiny_method()
    history = whole.fit(normals, progress=False)
    monkeypatch.setattr("anomaly_lib.methods.training.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    draw, calls = FeatureCache.draw, []

    def killed_draw(cache, *arguments):
        calls.append(1)
        if len(calls) == 50:
            raise KeyboardInterrupt
        return draw(cache, *arguments)

    monkeypatch.setattr(FeatureCache, "draw", killed_draw)
    with pytest.raises(KeyboardInterrupt):
        tiny_method().fit(normals, work=tmp_path, progress=False)
    assert (tmp_path / "training.pt").is_file()
    resumed = tiny_method()
    assert resumed.fit(normals, work=tmp_path, progress=False) == history
    assert len(calls) < 2 * 80, "the steps before the interruption were not done again"
    assert same_tensors(whole, resumed)


def test_features_on_disk_train_to_the_same_bits(normals, tmp_path):
    in_memory, on_disk = tiny_method(), tiny_method(memory_gigabytes=1e-9)
    in_memory.fit(normals, progress=False)
    on_disk.fit(normals, work=tmp_path, progress=False)
    assert same_tensors(in_memory, on_disk)


def test_the_official_preset_runs_on_vgg19_and_loads_into_the_authors_shape(
    normals, vgg19_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "anomaly_lib.methods.dfr.method.STATISTICS_LOCATIONS", 1024
    )  # in 3456 channels 40,960 take 90 s
    changes = {"preset": "official_12", "weights": str(vgg19_weights), "image_size": 64, "feature_size": 16}
    method = Dfr(DfrParams.model_validate(changes | {"epochs": None, "steps": 2, "batch": 64, "latent": 7}))
    method.fit(normals[:2], progress=False)
    assert sum(method.features.channels) == 3456
    maps = method.score(normals[:1]).maps
    names = {key.removeprefix("autoencoder."): t for key, t in method.state_dict().items() if "autoencoder." in key}
    torch.save({"autoencoder": names}, tmp_path / "autoencoder.pth")
    features = method.features(normals[:1])
    with torch.no_grad():
        energy = reconstruction_error(features, load_dfr(tmp_path / "autoencoder.pth")(features))
    close_to(maps, F.interpolate(energy[None], 64, mode="bilinear")[0], 1e-6)


def test_features_in_a_file_are_the_features_in_memory(tmp_path):
    vectors = torch.randn(100, 8)
    draws = []
    for limit in (1.0, 1e-9):
        with FeatureCache(100, 8, limit, tmp_path) as cache:
            assert (cache.file is None) == (limit == 1.0)
            cache.vectors[:] = vectors
            draws.append(cache.draw(20, generator(0, "draw")))
    assert torch.equal(*draws)
    assert list(tmp_path.iterdir()) == []
