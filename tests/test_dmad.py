"""DMAD piece by piece: equal to the authors' code where that is asked for, and to the plain definition elsewhere."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from anomaly_course.lessons.quiver import quiver_figure
from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import pyramid_layers
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.methods.dmad.bottleneck import Bottleneck, Decoder, QuantisedBottleneck
from anomaly_lib.methods.dmad.losses import (
    cosine_map,
    cycle_loss,
    laplacian,
    reconstruction_loss,
    smoothness_loss,
    strength_loss,
)
from anomaly_lib.methods.dmad.method import Dmad
from anomaly_lib.methods.dmad.network import LevelCache, Teacher, mirrored_width
from anomaly_lib.methods.dmad.offset import COARSE_LIMIT, FINE_LIMIT, BlockCoordinateConvolution, OffsetNetwork
from anomaly_lib.methods.dmad.params import DmadParams
from anomaly_lib.methods.dmad.quantise import VectorQuantiser, health
from anomaly_lib.methods.dmad.scoring import Calibration, deformation_map, over_range
from anomaly_lib.methods.dmad.warp import Fields, combined, from_prototype, length, resized, sample, to_prototype
from anomaly_lib.methods.maps import smoothed
from anomaly_lib.methods.official.dmad import import_dmad, load_dmad
from anomaly_lib.methods.training import train
from tests.conftest import TINY_SETTINGS
from tests.helpers import assert_refused_in_one_line, close_to, golden_state

SEEDS = {"encoder": 21, "bn": 22, "offset": 23, "decoder": 24}


def authors_state(part, variant="P"):
    """Fixed weights in the authors' key names."""
    return golden_state(f"dmad_{part}_{variant}", SEEDS[part])


@pytest.fixture(scope="module")
def authors_files(tmp_path_factory):
    """The golden model as the authors save theirs, and its teacher as torchvision saves it."""
    folder = tmp_path_factory.mktemp("dmad")
    torch.save({part: authors_state(part) for part in ("offset", "bn", "decoder")}, folder / "bottle.pth")
    torch.save(authors_state("encoder"), folder / "wide_resnet50_2.pth")
    return folder / "bottle.pth", folder / "wide_resnet50_2.pth"


@pytest.fixture(scope="module")
def golden_input():
    """(1, 3, 128, 128), normalised as the teacher wants it."""
    return torch.from_numpy(np.random.RandomState(25).normal(0, 1, (1, 3, 128, 128))).float()


def test_the_authors_checkpoint_gives_the_authors_numbers(golden, authors_files, golden_input):
    networks = load_dmad(authors_files[0])
    teacher = Teacher(official(weights=str(authors_files[1]), image_size=128))
    with torch.no_grad():
        fields = networks.offset(golden_input)
        warped = to_prototype(golden_input, fields)
        targets = teacher(warped)
        embedded = networks.bottleneck(targets)
        predictions = networks.decoder(embedded.features)
        summed = Calibration((32, 32)).combine(list(map(cosine_map, targets, predictions)), 128, 128)
        back = from_prototype(summed, fields)
    for field, name in zip(fields, ("o1", "o2", "o1_", "o2_"), strict=True):
        close_to(length(field)[:, 0], golden[f"dmad_P_{name}"], 3e-5)
    close_to(warped, golden["dmad_P_img_"], 1e-4)
    close_to(embedded.features, golden["dmad_P_bnout"], 3e-5)
    assert embedded.loss == golden["dmad_P_bnloss"]
    for level in range(3):
        close_to(targets[level][:, ::16], golden[f"dmad_P_enc{level}"], 8e-5)
        close_to(predictions[level][:, ::16], golden[f"dmad_P_dec{level}"], 4e-5)
    close_to(summed, golden["dmad_P_amap"], 6e-6)
    close_to(back, golden["dmad_P_warped"], 6e-6)
    close_to(smoothed(back[:, 0], 4.0, "repeated"), golden["dmad_P_final"][:, 0], 4e-6)
    close_to(smoothed(deformation_map(fields), 4.0, "repeated"), golden["dmad_P_os2"][:, 0], 1e-5)


def test_the_authors_offset_loss_in_training(golden, golden_input):
    network = OffsetNetwork().train()
    network.load_state_dict(authors_state("offset"))
    fields = network(golden_input)
    restored = from_prototype(to_prototype(golden_input, fields), fields)
    loss = strength_loss(fields) + smoothness_loss(fields) + cycle_loss(golden_input, restored)
    close_to(loss.detach(), golden["dmad_P_offset_loss_train"], 1e-6)


def test_an_imported_model_scores_like_the_authors(golden, authors_files, golden_input, monkeypatch):
    settings = official(image_size=128, weights=str(authors_files[1]), score_normalisation="normals")
    monkeypatch.setattr(DmadParams, "model_validate", lambda values: settings)
    method = import_dmad([authors_files[0]], str(authors_files[1]))
    backbone = method.teacher.backbone
    images = golden_input * backbone.std + backbone.mean
    assert not any(module.training for module in method.model.modules())
    close_to(method.score(images).maps, golden["dmad_P_final"][:, 0], 4e-6)
    parts = method.score(images).parts
    highest, deformed = golden["dmad_P_final"].max(), golden["dmad_P_os2"].max()
    close_to(parts["map"][0], highest, 1e-6)
    close_to(parts["map_and_deformation"][0], highest + np.float32(0.05) * deformed, 1e-6)


def official(**changes):
    return DmadParams(**({"preset": "official_pixel"} | changes))


def test_the_variant_with_codes_has_the_authors_keys():
    channels = (256, 512, 1024)
    bottleneck = QuantisedBottleneck(channels, VectorQuantiser(200, 1024), authors=True).eval()
    bottleneck.load_state_dict(authors_state("bn", "I"))
    levels = [torch.rand(1, c, 32 // 2**i, 32 // 2**i) for i, c in enumerate(channels)]
    with torch.no_grad():
        embedded = bottleneck(levels)
    assert embedded.features.shape == (1, 2048, 4, 4)
    distances = torch.cdist(levels[2].flatten(2).mT[0], bottleneck.vq3.embedding.weight)
    assert torch.equal(embedded.codes.flatten(), distances.argmin(dim=1))
    chosen = bottleneck.vq3.embedding.weight[embedded.codes.flatten()].detach()
    expected = 1.25 * (levels[2].flatten(2).mT[0] - chosen).square().mean()
    torch.testing.assert_close(embedded.loss, expected)


def test_the_networks_have_the_documented_sizes():
    channels = (256, 512, 1024)
    quantised = QuantisedBottleneck(channels, VectorQuantiser(200, 1024), authors=True)
    sizes = [quantised, Bottleneck(channels), OffsetNetwork(), Decoder(2048, channels)]
    millions = [sum(p.numel() for p in network.parameters()) / 1e6 for network in sizes]
    assert millions == pytest.approx([45.0, 58.9, 0.57, 24.9], abs=0.05)


@pytest.mark.parametrize("content", [None, b"not a checkpoint", {"offset": {}, "bn": {}, "decoder": {}}, {"a": 1}, [1]])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    file = tmp_path / "bottle.pth"
    assert_refused_in_one_line(load_dmad, file, content)
    with pytest.raises(InputError, match=r"one \.pth"):
        import_dmad([file, file])


def test_block_coordinates_are_the_documented_ones():
    local, block = BlockCoordinateConvolution.coordinates(16)
    assert block.unique().tolist() == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert local.tolist() == pytest.approx([2 * (i / 15 - (i // 4) / 3) - 1 for i in range(16)])


def fields_of(value, size=32):
    return Fields(*(torch.full((1, 2, size, size), value) for _ in range(4)))


def test_zero_fields_are_the_identity():
    picture = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(to_prototype(picture, fields_of(0.0)), picture)
    torch.testing.assert_close(from_prototype(picture, fields_of(0.0)), picture)


def test_a_field_pulls_the_picture_by_its_displacement():
    picture = torch.rand(1, 1, 8, 8)
    field = torch.zeros(1, 2, 8, 8)
    field[:, 0] = 2 * 2 / 7  # two pixels to the right
    torch.testing.assert_close(sample(picture, field)[..., :6], picture[..., 2:])


def test_two_warps_are_one_along_the_combined_field():
    smooth = resized(torch.rand(1, 1, 4, 4, generator=generator(0, "picture")), 64, 64)
    first, second = (resized(torch.randn(1, 2, 3, 3, generator=generator(0, n)), 64, 64) * 0.03 for n in "ab")
    twice, once = sample(sample(smooth, first), second), sample(smooth, combined(first, second))
    torch.testing.assert_close(once[..., 4:-4, 4:-4], twice[..., 4:-4, 4:-4], atol=1e-2, rtol=0)


def test_the_gradient_at_exactly_zero_flow_is_finite():
    for epsilon in (1e-12, 0.0):  # the authors' root without epsilon has none; that of a norm is 0
        fields = Fields(*(field.requires_grad_() for field in fields_of(0.0)))
        strength_loss(fields, epsilon=epsilon).backward()
        assert (fields.forward_coarse.grad == 0).all()


def test_a_network_that_starts_at_zero_flow_gets_finite_gradients():
    network = OffsetNetwork("plain", 8, 2, identity_start=True)
    images = torch.rand(2, 3, 32, 32)
    fields = network(images)
    assert all((field == 0).all() for field in fields)
    restored = from_prototype(to_prototype(images, fields), fields)
    (strength_loss(fields, epsilon=1e-12) + smoothness_loss(fields) + cycle_loss(images, restored)).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_offsets_stay_within_their_limits_also_for_a_rectangle():
    network = OffsetNetwork("block", 8)
    fields = network(100 * torch.randn(1, 3, 32, 48))
    limits = (COARSE_LIMIT, FINE_LIMIT, COARSE_LIMIT, FINE_LIMIT)
    for field, limit in zip(fields, limits, strict=True):
        assert field.shape == (1, 2, 32, 48)
        assert field.abs().max() <= limit + 1e-7


def test_strength_counts_forward_fields_or_both():
    fields = fields_of(3.0)
    assert strength_loss(fields).item() == pytest.approx(2 * 3 * 2**0.5)
    assert strength_loss(fields, both=True).item() == pytest.approx(4 * 3 * 2**0.5)


def test_the_laplacian_of_a_plane_is_zero_inside():
    plane = torch.arange(8.0).expand(1, 2, 8, 8)
    assert laplacian(plane)[..., 1:-1, 1:-1].abs().max() < 1e-6
    point = torch.zeros(1, 2, 5, 5)
    point[0, 1, 2, 2] = 1.0
    assert laplacian(point)[0, 0, 1:4, 1:4].flatten().tolist() == [-0.125] * 4 + [1.0] + [-0.125] * 4


def test_cosine_losses_of_equal_and_opposite_levels():
    levels = [torch.rand(2, 5, 4, 4) + 0.1, torch.rand(2, 7, 2, 2) + 0.1]
    for cosine in ("image", "location"):
        assert reconstruction_loss(levels, [3 * level for level in levels], cosine).item() == pytest.approx(0, abs=1e-5)
        assert reconstruction_loss(levels, [-level for level in levels], cosine).item() == pytest.approx(4, abs=1e-5)


def test_codes_pass_the_gradient_straight_through():
    quantiser = VectorQuantiser(4, 3, commitment=0.0)
    features = torch.randn(2, 3, 5, 5, requires_grad=True)
    quantised = quantiser(features)
    weights = torch.randn(2, 3, 5, 5)
    (quantised.features * weights).sum().backward()
    torch.testing.assert_close(features.grad, weights)
    assert quantiser.embedding.weight.grad is None
    chosen = quantiser.embedding(quantised.codes).movedim(-1, 1)
    torch.testing.assert_close(quantised.features, chosen)


def test_commitment_moves_features_and_the_rest_moves_codes():
    quantiser = VectorQuantiser(4, 3, commitment=0.25)
    features = torch.randn(2, 3, 5, 5, requires_grad=True)
    quantised = quantiser(features)
    quantised.loss.backward()
    chosen = quantiser.embedding(quantised.codes).movedim(-1, 1).detach()
    torch.testing.assert_close(features.grad, 0.25 * 2 * (features.detach() - chosen) / features.numel())
    assert quantiser.embedding.weight.grad.abs().sum() > 0


def test_health_counts_codes_and_their_perplexity():
    even, one = torch.arange(8).repeat(5), torch.zeros(40, dtype=torch.long)
    assert {k: round(v.item(), 4) for k, v in health(even, 10).items()} == {"used_codes": 8, "perplexity": 8}
    assert {k: round(v.item(), 4) for k, v in health(one, 10).items()} == {"used_codes": 1, "perplexity": 1}


def test_dead_codes_are_revived_and_living_ones_left_alone():
    quantiser = VectorQuantiser(3, 2, revive_after=2)
    with torch.no_grad():
        quantiser.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [50.0, 50.0], [1.0, 1.0]]))
    features = torch.rand(1, 2, 6, 6, generator=generator(0, "features"))
    draw = generator(0, "revival")
    assert [quantiser.revive(features, draw) for _ in range(3)] == [0, 1, 0]
    vectors = features.flatten(2)[0].T
    weight = quantiser.embedding.weight
    assert weight[[0, 2]].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert (vectors == weight[1]).all(dim=1).any()


def test_codes_start_at_normal_vectors():
    vectors = torch.randn(5, 3)
    quantiser = VectorQuantiser(5, 3)
    quantiser.start_from(vectors, generator(0, "start"))
    assert sorted(quantiser.embedding.weight.tolist()) == sorted(vectors.tolist())
    few = VectorQuantiser(12, 3)
    few.start_from(vectors, generator(0, "start"))
    assert set(map(tuple, few.embedding.weight.tolist())) == set(map(tuple, vectors.tolist()))


def test_smoothing_is_scipys():
    maps = torch.rand(2, 40, 40)
    expected = np.stack([gaussian_filter(one.numpy(), 4.0) for one in maps])
    np.testing.assert_allclose(smoothed(maps, 4.0, "repeated"), expected, rtol=1e-6)
    assert torch.equal(smoothed(maps, 0.0, "repeated"), maps)


def test_scores_are_normalised_by_normals_or_by_the_scored_set():
    maxima = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0], [5.0, 50.0]])
    calibration = Calibration((8, 8))
    torch.testing.assert_close(calibration.normalised(maxima), maxima)
    calibration.fit_scores(maxima)
    torch.testing.assert_close(calibration.normalised(maxima)[:, 0], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))
    torch.testing.assert_close(over_range(maxima)[:, 1], torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert torch.equal(over_range(maxima[:1]), torch.zeros(1, 2))


def test_levels_and_places_are_divided_by_their_normal_error():
    errors = [torch.rand(6, 1, side, side) * scale + scale for side, scale in ((16, 1.0), (8, 10.0), (4, 0.1))]
    errors[0][..., 8:] *= 3
    calibration = Calibration((16, 16))
    calibration.fit_maps(errors, [1.0, 1.0, 2.0], balance=True, prior=0.0)
    combined_maps = calibration.combine(errors, 16, 16)
    expected = [0.25 / errors[0].mean(), 0.25 / errors[1].mean(), 0.5 / errors[2].mean()]
    torch.testing.assert_close(calibration.levels, torch.stack(expected))
    assert combined_maps[..., :6].mean().item() == pytest.approx(1.0, abs=0.05)
    assert combined_maps[..., 10:].mean().item() == pytest.approx(1.0, abs=0.05)


def test_widths_follow_the_teacher():
    assert [mirrored_width(channels) for channels in (24, 40, 112, 256)] == [32, 48, 112, 256]
    assert pyramid_layers("tf_efficientnet_lite0") == ["stage1", "stage2", "stage4"]
    assert pyramid_layers("resnet18") == ["reduction4", "reduction8", "reduction16"]


def tiny_params(**changes):
    return DmadParams.model_validate(TINY_SETTINGS["dmad"] | {"steps": 12} | changes)


@pytest.fixture(scope="module")
def normals():
    smooth = resized(torch.rand(6, 3, 8, 8, generator=generator(0, "normals")), 64, 64)
    return (smooth + 0.1 * torch.rand(6, 3, 64, 64, generator=generator(1, "normals"))).clamp(0, 1)


def trained(normals, **changes):
    method = Dmad(tiny_params(**changes))
    method.history = method.fit(normals, progress=False)
    return method


def same_tensors(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


GOLDEN_CURVE = {
    "reconstruction": [1.9526221752166748, 1.4266979694366455, 1.2213972806930542, 1.1913068294525146],
    "quantisation": [16.777793884277344, 17.00782585144043, 17.981822967529297, 17.064729690551758],
}


def test_the_loss_curve_of_twenty_steps_stays_what_it_was(normals):
    history = trained(normals, steps=20).history
    for name, values in GOLDEN_CURVE.items():
        bound = values if numerics.has_avx2() else pytest.approx(values, rel=0.02)
        assert [row[name] for row in history[4::5]] == bound, name


def test_an_interrupted_training_goes_on_to_the_same_bits(normals, tmp_path, monkeypatch):
    changes = {"revive_after": 2, "undeformed_share": 0.5}
    whole = trained(normals, **changes)
    monkeypatch.setattr("anomaly_lib.methods.training.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    calls = []

    def killed(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return reconstruction_loss(*arguments, **keywords)

    monkeypatch.setattr("anomaly_lib.methods.dmad.losses.reconstruction_loss", killed)
    with pytest.raises(KeyboardInterrupt):
        Dmad(tiny_params(**changes)).fit(normals, work=tmp_path, progress=False)
    assert (tmp_path / "training.pt").is_file()
    resumed = Dmad(tiny_params(**changes))
    assert resumed.fit(normals, work=tmp_path, progress=False) == whole.history
    assert len(calls) == 9 + 12 - 8
    assert same_tensors(whole, resumed)
    assert {file.name for file in tmp_path.iterdir()} == {"pictures"}


def test_cached_features_change_nothing_in_memory_in_a_file_or_recomputed(normals, tmp_path, monkeypatch):
    memory = trained(normals, deformation=False)
    on_disk = Dmad(tiny_params(deformation=False, memory_gigabytes=1e-9))
    on_disk.fit(normals, work=tmp_path, progress=False)
    assert same_tensors(memory, on_disk)
    seen = []

    def recomputed(cache, chosen):
        seen.append(chosen)
        with torch.no_grad():
            levels = memory.teacher(memory.teacher.backbone.normalise(normals))
        return [level[chosen].contiguous(memory_format=torch.channels_last) for level in levels]

    monkeypatch.setattr(LevelCache, "get", recomputed)
    assert same_tensors(memory, trained(normals, deformation=False))
    assert len(seen) == 12


def test_no_step_without_deformation_runs_the_teacher(normals, monkeypatch):
    calls, forward = [], Teacher.forward

    def counted(teacher, images):
        calls.append(len(images))
        return forward(teacher, images)

    def counting_train(task, *arguments):
        calls.clear()
        return train(task, *arguments)

    monkeypatch.setattr(Teacher, "forward", counted)
    monkeypatch.setattr("anomaly_lib.methods.dmad.method.train", counting_train)
    monkeypatch.setattr(Dmad, "calibrate", lambda *arguments: calls.append("training is over"))
    trained(normals, deformation=False)
    assert calls == ["training is over"]


def test_both_named_scores_and_which_one_is_the_image_score(normals):
    method = trained(normals)
    parts = method.score(normals).parts
    assert list(parts) == ["map", "map_and_deformation"]
    assert torch.equal(method.score(normals).scores, parts["map_and_deformation"])
    method.params = tiny_params(score="map")
    assert torch.equal(method.score(normals).scores, parts["map"])


def test_explain_shows_every_step_and_flows_agree_with_it(normals):
    method = trained(normals, undeformed_share=0.0)
    pictures, flows = method.explain(normals[:2]), method.flows(normals[:2])
    names = {"map", "level1", "level2", "level3", "warped", "restored", "forward", "backward", "deformation", "codes"}
    assert set(pictures) == names
    assert {"forward", "backward", *Fields._fields} == set(flows)
    by_flow = sample(normals[:2], flows["forward"] * 2 / 63)
    torch.testing.assert_close(by_flow[..., 6:-6, 6:-6], pictures["warped"][..., 6:-6, 6:-6], atol=0.05, rtol=0)
    figure = quiver_figure(normals[:2], pictures, flows)
    assert len(figure.axes) == 8


def test_without_deformation_there_are_no_flows_but_the_rest(normals):
    method = trained(normals, deformation=False, codes=None)
    assert set(method.explain(normals[:2])) == {"map", "level1", "level2", "level3"}
    with pytest.raises(InputError, match="deformation: false"):
        method.flows(normals[:2])
    assert method.score(normals[:2]).scores.shape == (2,)


def test_the_history_shows_every_loss_and_the_health_of_the_codes(normals):
    rows = trained(normals).history
    names = {"loss", "reconstruction", "strength", "smoothness", "cycle", "quantisation", "used_codes", "perplexity"}
    assert all(names | {"step", "learning_rate"} == set(row) for row in rows)
    assert rows[0]["strength"] == 0 < rows[-1]["strength"]  # images are left undeformed first


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "official_image", "backbone": "tf_efficientnet_lite0", "codes": 10},
        {"preset": "official_pixel", "backbone": "tf_efficientnet_lite0"},
        {"image_size": 72, "feature_space": "standardised", "cosine": "image", "strength": "both"},
        {"backbone": "resnet18", "image_size": 96, "deformation_map": "both", "codes": None},
    ],
)
def test_presets_and_switches_train_at_sizes_of_any_kind(normals, tmp_path, changes):
    if changes.get("backbone") == "resnet18":
        import timm

        torch.manual_seed(0)
        torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "resnet18.pth")
        changes = changes | {"weights": str(tmp_path / "resnet18.pth")}
    size = changes.get("image_size", 64)
    method = Dmad(DmadParams.model_validate({"image_size": size, "steps": 2, "epochs": None, "batch": 2} | changes))
    images = resized(normals, size, size)
    method.fit(images, progress=False)
    scored = method.score(images)
    assert scored.maps.shape == (6, size, size)
    assert torch.isfinite(scored.maps).all()
    assert torch.isfinite(scored.scores).all()
    save_model(tmp_path / "model", method, "dots", {})
    assert torch.equal(load_model(tmp_path / "model").method.score(images).maps, scored.maps)


def test_another_teacher_or_other_settings_are_refused(normals):
    state = trained(normals).state_dict()
    with pytest.raises(InputError, match="another teacher"):
        Dmad(tiny_params()).load_state_dict(state | {"teacher": state["teacher"] * 1.1})
    for changes in ({"codes": 11}, {"deformation": False}, {"layers": ["stage1", "stage2", "stage3"]}):
        with pytest.raises(InputError):
            Dmad(tiny_params(**changes)).load_state_dict(state)


def test_what_cannot_be_trained_on_is_refused_in_one_line(normals):
    with pytest.raises(InputError, match=r"needs images of shape \(N, 3, 64, 64\), got \(6, 3, 64, 32\)"):
        Dmad(tiny_params()).fit(normals[..., :32], progress=False)
    with pytest.raises(InputError, match="each must be half the one before"):
        Dmad(tiny_params(layers=["stage1", "stage3", "stage4"]))
    with pytest.raises(InputError, match="no layer 'reduction4'"):
        Dmad(tiny_params(backbone="vit_tiny_patch16_224"))
    with pytest.raises(InputError, match="lower the learning rate"):
        Dmad(tiny_params(learning_rate=1e30)).fit(normals, progress=False)
