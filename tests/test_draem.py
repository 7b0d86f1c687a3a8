"""DRAEM piece by piece: equal to the authors' code where that is asked for, and to plain definitions elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.losses import focal_loss as kornia_focal_loss

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.draem import losses as draem_losses
from anomaly_lib.methods.draem.losses import focal_loss, guessed_range, ssim_loss
from anomaly_lib.methods.draem.method import Draem
from anomaly_lib.methods.draem.muon import Muon, orthogonal
from anomaly_lib.methods.draem.network import DiscriminativeNetwork, DraemNetworks, anomaly_maps, initialise
from anomaly_lib.methods.draem.params import DraemParams
from anomaly_lib.methods.official.draem import export_draem, import_draem, load_draem
from anomaly_lib.params import parse_params
from tests.conftest import TINY_SETTINGS
from tests.helpers import close_to, golden_state

SIDE = 32
CURVE = [1.4270603656768799, 1.3513813018798828, 1.1849209070205688, 1.0823801755905151]  # steps 1, 6, 11 and 16
CURVE_SETTINGS = {  # all that the curve depends on, so that another default leaves it alone
    "steps": 20,
    "learning_rate": 8e-4,
    "precision": "float32",
    "synthesis": {"texture_source": "normals", "clean_probability": 0.5, "rotation_probability": 0.0},
}


def uniform(seed, *shape):
    return torch.from_numpy(np.random.RandomState(seed).uniform(0, 1, shape)).float()


@pytest.fixture
def authors_state():
    """The small golden networks' state dicts, under the names of the authors' files."""
    return golden_state("draem_rec_small", 1), golden_state("draem_seg_small", 2)


@pytest.fixture(params=["NAME.pckl", "DRAEM_test_0.0001_700_bs8_nut_.pt"])
def authors_file(request, authors_state, tmp_path):
    """The first file of a pair, named as users of the authors' code have it."""
    file = tmp_path / request.param
    torch.save(authors_state[0], file)
    torch.save(authors_state[1], file.with_name(f"{file.stem}_seg{file.suffix}"))
    return file


# --- networks


def test_the_authors_checkpoint_gives_the_authors_numbers(golden, authors_file):
    reconstructive, discriminative = load_draem(authors_file)
    images = uniform(3, 2, 3, 64, 64)
    with torch.no_grad():
        reconstruction = reconstructive(images)
        maps = anomaly_maps(discriminative(torch.cat([reconstruction, images], dim=1)))
    close_to(reconstruction, golden["draem_small_rec"], 5e-5)
    close_to(maps, golden["draem_small_map"], 1e-4)


def test_the_imported_method_gives_the_authors_maps_and_scores(golden, authors_file):
    imported = import_draem([authors_file])
    assert (imported.params.preset, imported.params.channel_order) == ("official", "bgr")
    small = Draem(imported.params.model_copy(update={"image_size": 64}))
    small.load_state_dict(imported.state_dict())
    images = uniform(3, 2, 3, 64, 64).flip(1)  # the golden input is in the authors' order, ours is RGB
    scored, explained = small.score(images), small.explain(images)
    close_to(scored.maps, golden["draem_small_map"], 1e-4)
    close_to(scored.scores, golden["draem_small_score"], 4e-6)
    close_to(explained["reconstruction"].flip(1), golden["draem_small_rec"], 5e-5)


@pytest.mark.parametrize(
    ("widths", "parameters"),
    [((128, 64), 97_422_725), ((64, 32), 24_371_909), ((32, 16), 6_101_093), ((16, 8), 1_529_333)],
)
def test_the_networks_have_the_documented_size(widths, parameters):
    with torch.device("meta"):
        networks = DraemNetworks(*widths)
    assert sum(p.numel() for p in networks.parameters()) == parameters


def test_weights_start_as_the_authors_start_them():
    torch.manual_seed(0)
    networks = DraemNetworks(8, 8)
    initialise(networks)
    convolution, normalisation = networks.reconstructive.encoder.block5[3], networks.reconstructive.encoder.block5[4]
    assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert normalisation.weight.mean().item() == pytest.approx(1.0, abs=0.01)
    assert normalisation.weight.std().item() == pytest.approx(0.02, rel=0.4)
    assert (normalisation.bias == 0).all()


def test_maps_are_the_softmax_of_the_anomalous_class():
    logits = 5 * torch.randn(2, 2, 8, 8, generator=generator(0, "logits"))
    torch.testing.assert_close(anomaly_maps(logits), logits.softmax(dim=1)[:, 1])


# --- losses


@pytest.fixture
def logits_and_mask():
    logits = torch.from_numpy(np.random.RandomState(4).normal(0, 2, (2, 2, 48, 48))).float()
    mask = torch.from_numpy(np.random.RandomState(5).uniform(size=(2, 1, 48, 48)) > 0.8)
    return logits, mask.float()


def test_the_focal_loss_is_the_authors(golden, logits_and_mask):
    close_to(focal_loss(*logits_and_mask), golden["focal"], 1e-6)


def test_the_focal_loss_reduces_to_cross_entropy_and_to_kornias(logits_and_mask):
    logits, mask = logits_and_mask
    target = mask[:, 0].long()
    plain = focal_loss(logits, mask, gamma=0, smoothing=0)
    torch.testing.assert_close(plain, F.cross_entropy(logits, target))
    # kornia's mean also counts the class that a pixel is not of
    kornias = 2 * kornia_focal_loss(logits, target, alpha=None, gamma=2.0, reduction="mean")
    torch.testing.assert_close(focal_loss(logits, mask, smoothing=0), kornias)


def test_the_focal_loss_stays_finite_for_certain_networks():
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]]).reshape(2, 2, 1, 1).requires_grad_()
    for mask in (torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1)):
        loss = focal_loss(logits, mask)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_the_ssim_loss_is_the_authors(golden):
    images = uniform(6, 2, 3, 64, 64), uniform(7, 2, 3, 64, 64)
    close_to(ssim_loss(*images), golden["ssim_loss"], 1e-6)


def test_the_ssim_loss_is_zero_for_equal_images_and_symmetric():
    x, y = uniform(6, 1, 3, 32, 32), uniform(7, 1, 3, 32, 32)
    assert ssim_loss(x, x).item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(ssim_loss(x, y), ssim_loss(y, x))
    assert ssim_loss(x, y, dynamic_range=255.0) < ssim_loss(x, y), "a larger range forgives more"


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"), [(0, 1, 1), (-0.4, 2, 1), (-0.6, 1, 2), (0, 200, 255), (-1, 200, 256)]
)
def test_the_guessed_range_jumps_as_the_authors_does(lowest, highest, expected):
    assert guessed_range(torch.tensor([0.5, lowest, highest])) == expected


# --- params


def test_presets_fill_what_is_not_written_and_merge_the_recipe_key_by_key():
    paper = DraemParams.model_validate({"preset": "paper", "synthesis": {"opacity": [0.5, 1.0]}})
    assert (paper.synthesis.opacity, paper.synthesis.rotation_degrees) == ([0.5, 1.0], 45.0)
    assert (paper.synthesis.texture_operations, paper.epochs, paper.steps) == ("seven", 700, None)
    official = DraemParams.model_validate({"preset": "official", "epochs": 800})
    assert (official.epochs, official.decay, official.synthesis.rotation_probability) == (800, 0.2, 0.3)
    assert (official.optimizer, official.moved_share) == ("adam", 0.0)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"image_size": 100}, "multiple of 32"),
        ({"score_window": 20}, "even"),
        ({"epochs": 3}, "either steps or epochs"),
        ({"synthesis": {"opacty": [0, 1]}}, "did you mean 'opacity'"),
        ({"synthesis": 3}, "methods.draem.synthesis"),
    ],
)
def test_bad_settings_get_one_clear_line(root, section, said):
    raw = {"methods": {"draem": section}, "textures": "data/textures"}
    with pytest.raises(InputError, match=said) as caught:
        parse_params(raw)
    assert "\n" not in str(caught.value)


# --- training


@pytest.fixture
def normals():
    return 0.4 + 0.2 * torch.rand(6, 3, SIDE, SIDE, generator=generator(0, "normals"))


def tiny_method(seed=0, **changes):
    settings = TINY_SETTINGS["draem"] | {"image_size": SIDE, "synthesis": {"texture_source": "normals"}} | changes
    return Draem(DraemParams.model_validate(settings), seed)


def same_tensors(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_twenty_steps_give_the_known_losses(normals):
    """A change of the library that is meant to change nothing keeps this curve, on every x86-64 processor with AVX2."""
    history = tiny_method(**CURVE_SETTINGS).fit(normals, progress=False)
    losses = [row["loss"] for row in history]
    assert [row["step"] for row in history] == list(range(1, 21))
    assert losses[::5] == (CURVE if numerics.has_avx2() else pytest.approx(CURVE, rel=0.02))
    for row in history:
        assert row["loss"] == pytest.approx(row["mse"] + row["ssim"] + row["focal"], rel=1e-5)


def test_the_batches_do_not_depend_on_the_workers(normals):
    alone, helped = tiny_method(steps=3), tiny_method(steps=3, workers=2)
    assert alone.fit(normals, progress=False) == helped.fit(normals, progress=False)
    assert same_tensors(alone, helped)


@pytest.mark.parametrize(("changes", "tolerance"), [({"channels_last": False}, 1e-4), ({"precision": "bf16"}, 0.02)])
def test_layout_and_precision_hardly_change_a_step(normals, changes, tolerance):
    plain, other = (tiny_method(**{"steps": 2, "precision": "float32"} | c) for c in ({}, changes))
    first, second = (method.fit(normals, progress=False)[0] for method in (plain, other))
    assert second == pytest.approx(first, rel=tolerance)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon", "moved_share": 0.5}])
def test_an_interrupted_training_goes_on_to_the_same_bits(normals, tmp_path, monkeypatch, changes):
    whole = tiny_method(steps=6, **changes)
    history = whole.fit(normals, progress=False)
    monkeypatch.setattr("anomaly_lib.methods.training.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    losses, calls = Draem.losses, []

    def killed(method, *arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return losses(method, *arguments)

    monkeypatch.setattr(Draem, "losses", killed)
    with pytest.raises(KeyboardInterrupt):
        tiny_method(steps=6, **changes).fit(normals, work=tmp_path, progress=False)
    resumed = tiny_method(steps=6, **changes)
    assert resumed.fit(normals, work=tmp_path, progress=False) == history
    assert len(calls) == 7, "the three finished steps were not done again"
    assert same_tensors(whole, resumed)


def test_a_loss_that_is_not_finite_stops_with_one_line(normals, monkeypatch):
    monkeypatch.setattr(draem_losses, "ssim_loss", lambda *arguments: torch.tensor(float("nan")))
    with pytest.raises(InputError, match=r"loss nan .* at step 1; lower the learning rate") as caught:
        tiny_method(steps=3).fit(normals, progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(16, 144), (144, 16), (32, 32)])
def test_orthogonal_keeps_singular_vectors_and_evens_out_singular_values(shape):
    matrix = torch.randn(shape, generator=generator(0, "matrix")) * torch.logspace(0, -1, shape[1])
    result, (left, values, right) = orthogonal(matrix), torch.linalg.svd(matrix, full_matrices=False)
    evened = left.T @ result @ right.T  # (16, 16) or (32, 32): diagonal, where the vectors are the same
    large = values > 0.02 * values.norm()
    assert large.sum() > 8
    assert ((evened.diagonal()[large] > 0.6) & (evened.diagonal()[large] < 1.25)).all()
    assert (evened - evened.diagonal().diag()).abs().max() < 1e-3
    x = matrix.double() / matrix.double().norm()
    for _ in range(5):
        x = 3.4445 * x + (-4.7750 * x @ x.T + 2.0315 * (x @ x.T) @ (x @ x.T)) @ x
    torch.testing.assert_close(result.double(), x, atol=2e-3, rtol=0)


def test_muon_moves_kernels_by_orthogonal_steps_and_leaves_the_rest_to_adam():
    torch.manual_seed(0)
    networks = DraemNetworks(4, 4)
    before = {name: p.clone() for name, p in networks.named_parameters()}
    for p in networks.parameters():
        p.grad = torch.randn_like(p)
    gradients = {name: p.grad.clone() for name, p in networks.named_parameters()}
    Muon(networks, 0.01).step()
    for name, p in networks.named_parameters():
        step = p.detach() - before[name]
        if p.ndim == 4 and "fin_out" not in name:
            assert step.square().mean().sqrt().item() == pytest.approx(0.01 * 0.2, rel=0.25)
            assert (step * gradients[name]).sum() < 0
        else:  # Adam's first step is the rate, against the gradient's sign
            torch.testing.assert_close(step, -0.01 * gradients[name].sign(), atol=1e-6, rtol=1e-3)


def test_moved_images_take_their_masks_with_them(normals):
    batch = tiny_method().batches(normals)[0]
    batch = replace(batch, image=batch.mask.repeat(1, 3, 1, 1))
    assert tiny_method()._moved(batch, 0) is batch
    still = tiny_method(moved_share=1.0, moved_degrees=0.0, moved_shift=0.0)._moved(batch, 0)
    assert torch.equal(still.normal, batch.normal)
    moved = tiny_method(moved_share=1.0, moved_degrees=10.0, moved_shift=0.1)._moved(batch, 1)
    assert torch.equal(moved.image, moved.mask.repeat(1, 3, 1, 1))
    assert all(not torch.equal(*pair) for pair in zip(moved.normal, batch.normal, strict=True))
    assert set(moved.normal.unique().tolist()) <= set(batch.normal.unique().tolist()), "no value is interpolated"
    assert not torch.equal(moved.normal, tiny_method(moved_share=1.0)._moved(batch, 2).normal)


def test_milestones_are_whole_steps(normals):
    history = tiny_method(steps=7, schedule="multistep", learning_rate=1e-4).fit(normals, progress=False)
    rates = [row["learning_rate"] for row in history]
    np.testing.assert_allclose(rates, [1e-4] * 6 + [4e-6])  # 0.8 and 0.9 of 7 steps both round to 6


def test_an_epoch_draws_as_many_images_as_there_are(normals):
    history = tiny_method(steps=None, epochs=6, batch=4, schedule="constant").fit(normals, progress=False)
    assert history[-1]["step"] == 6 * 6 / 4
    assert {row["learning_rate"] for row in history} == {DraemParams().learning_rate}


def test_pictures_show_input_reconstruction_and_map(normals, tmp_path):
    from PIL import Image

    tiny_method(steps=6).fit(normals, work=tmp_path, progress=False)
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [file.name for file in pictures] == [f"step-{step:06d}.png" for step in range(1, 7)]
    with Image.open(pictures[-1]) as picture:
        assert picture.size == (3 * SIDE, 4 * SIDE)


def test_a_missing_texture_folder_is_named(normals):
    with pytest.raises(InputError, match="nowhere"):
        tiny_method(synthesis={}, textures="data/nowhere").fit(normals, progress=False)


# --- scores


@pytest.fixture(scope="module")
def untrained():
    """Random weights with settings of our own."""
    torch.manual_seed(0)
    method = tiny_method()
    method.load_state_dict(DraemNetworks(8, 8).state_dict())
    return method


def test_the_image_score_is_a_switch(untrained):
    images = uniform(8, 3, 3, SIDE, SIDE)
    maps = untrained.score(images).maps
    side = untrained.params.score_window
    padded = F.pad(maps, [side // 2] * 4)  # zeros beyond the border are counted
    means = padded.unfold(1, side, 1).unfold(2, side, 1).mean(dim=(-1, -2))
    torch.testing.assert_close(untrained.score(images).scores, means.amax(dim=(1, 2)))
    plain = tiny_method(image_score="max")
    plain.load_state_dict(untrained.state_dict())
    assert torch.equal(plain.score(images).scores, maps.amax(dim=(1, 2)))


def test_the_architecture_counts_every_parameter(untrained):
    rows = untrained.architecture()
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in untrained.model.parameters())
    assert rows[0] == {"part": "reconstructive.encoder.block1", "shape": "8 x 32 x 32", "parameters": 840}
    assert rows[-1]["shape"] == "2 x 32 x 32"


# --- checkpoints


def test_a_checkpoint_of_other_widths_is_refused(untrained):
    with pytest.raises(InputError, match=r"reconstructive_width 8 .* but the params say reconstructive_width 4"):
        tiny_method(reconstructive_width=4).load_state_dict(untrained.state_dict())


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_an_exported_model_comes_back_the_same(untrained, tmp_path, order):
    method = tiny_method(channel_order=order)
    method.load_state_dict(untrained.state_dict())
    first, second = export_draem(method, tmp_path, "nut")
    rate = method.params.learning_rate
    assert (first.name, second.name) == (
        f"DRAEM_test_{rate}_80steps_bs4_nut_.pt",
        f"DRAEM_test_{rate}_80steps_bs4_nut__seg.pt",
    )
    back = tiny_method(channel_order="bgr")
    back.load_state_dict(import_draem([first, second]).state_dict())
    images = uniform(8, 2, 3, SIDE, SIDE)
    for name, picture in method.explain(images).items():
        close_to(back.explain(images)[name], picture, 2e-6)
    with pytest.raises(InputError, match="already there"):
        export_draem(method, tmp_path, "nut")


@pytest.mark.parametrize(
    "content", [None, b"not a checkpoint", {"something": torch.zeros(2)}, [1, 2], "swapped", "torn"]
)
def test_other_files_are_refused_in_one_line(untrained, tmp_path, content):
    first, second = export_draem(untrained, tmp_path, "nut")
    if content is None:
        second.unlink()
    elif isinstance(content, bytes):
        second.write_bytes(content)
    elif content == "swapped":
        second.write_bytes(first.read_bytes())
    elif content == "torn":
        second.write_bytes(second.read_bytes()[:-100])
    else:
        torch.save(content, second)
    with pytest.raises(InputError) as caught:
        load_draem(first)
    assert str(second) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_widths_are_read_from_the_files(tmp_path):
    torch.save(DraemNetworks(4, 2).reconstructive.state_dict(), tmp_path / "a.pckl")
    torch.save(DiscriminativeNetwork(2).state_dict(), tmp_path / "b.pckl")
    pair = load_draem(tmp_path / "a.pckl", tmp_path / "b.pckl")
    assert (pair.reconstructive.width, pair.discriminative.width) == (4, 2)
    assert not pair.reconstructive.training
    params = import_draem([tmp_path / "a.pckl", tmp_path / "b.pckl"]).params
    assert (params.reconstructive_width, params.discriminative_width) == (4, 2)
