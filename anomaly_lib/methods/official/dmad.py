"""DMAD's ``.pth`` of a category: offset network, one-class embedding and decoder; the teacher is torchvision's."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.dmad.bottleneck import Bottleneck, Decoder, QuantisedBottleneck
from anomaly_lib.methods.dmad.method import Dmad
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.dmad.params import DmadParams
from anomaly_lib.methods.dmad.quantise import VectorQuantiser
from anomaly_lib.methods.official.files import (
    part_of,
    read_checkpoint,
    refuse_existing,
    refuse_other_settings,
    write_checkpoint,
)

TEACHER_CHANNELS = (256, 512, 1024)  # levels 1 to 3 of wide_resnet50_2
CODES = "vq3.embedding.weight"
FILE_NAMES = {"offset": "offset", "bn": "bottleneck", "decoder": "decoder"}
"""The authors' name of each network, and ours."""
PRESETS = ("official_pixel", "official_image")
NOT_IN_THE_FILE = (
    *("image_size", "backbone", "layers", "feature_space", "deformation", "coordinates", "offset_width"),
    *("offset_reduction", "squeeze", "embedding_blocks", "decoder_widths", "decoder_blocks", "decoder_heads"),
    *("level_balance", "location_prior", "smoothing_sigma", "deformation_map"),
)
"""Params that decide on a map and that the authors' file takes for granted."""


class DmadNetworks(NamedTuple):
    """The three networks in evaluation mode.

    ``offset`` takes images (N, 3, H, W), normalised by ImageNet's mean and deviation, and returns ``Fields``.
    ``bottleneck`` takes the teacher's levels 1 to 3 of the warped images and returns ``Embedded``. ``decoder`` takes
    its ``features`` and returns predictions of the three levels, finest first.
    """

    offset: OffsetNetwork
    bottleneck: Bottleneck | QuantisedBottleneck
    decoder: Decoder


def load_dmad(file: str | Path) -> DmadNetworks:
    """The networks of the authors' ``.pth``, a dict of the state dicts ``offset``, ``bn`` and ``decoder``.

    Whether the embedding is quantised, and by how many codes, is read from the file. Raises InputError for anything
    else, naming the file.
    """
    content = read_checkpoint(file)
    try:
        decoder = Decoder(2 * TEACHER_CHANNELS[-1], TEACHER_CHANNELS)
        networks = DmadNetworks(OffsetNetwork(), _bottleneck(content["bn"]), decoder)
        for network, key in zip(networks, FILE_NAMES, strict=True):
            network.load_state_dict(content[key])
            network.eval()
    except (KeyError, IndexError, TypeError, AttributeError, RuntimeError):
        raise InputError(
            f"{file}: not a checkpoint of DMAD; the authors' .pth holds 'offset', 'bn' and 'decoder' of wide_resnet50_2"
        ) from None
    return networks


def import_dmad(files: list[Path], weights: str | None = None) -> Dmad:
    """A DMAD method, ready to score, from the authors' ``.pth`` of one category.

    Its params are the preset of the file's variant, except that scores do not depend on the other images scored: they
    stay on the maps' own scale until ``calibrate`` has seen normal images. ``weights`` is a local file of
    wide_resnet50_2; without it timm fetches torchvision's. Raises InputError as ``load_dmad`` does, and for weights
    that are missing.
    """
    if len(files) != 1:
        raise InputError(f"DMAD needs the one .pth of a category; got {len(files)} files")
    networks = load_dmad(files[0])
    settings: dict[str, Any] = {"preset": "official_pixel", "weights": weights, "score_normalisation": "normals"}
    if isinstance(networks.bottleneck, QuantisedBottleneck):
        settings |= {"preset": "official_image", "codes": networks.bottleneck.vq3.embedding.num_embeddings}
    method = Dmad(DmadParams.model_validate(settings))
    method.adopt(*networks)
    return method


def export_dmad(method: Dmad, folder: str | Path, category: str) -> tuple[Path]:
    """Write a fitted method's networks as ``{category}.pth``: the state dicts ``offset``, ``bn`` and ``decoder``.

    What ``calibrate`` found is not part of the authors' file. Raises InputError when the file is there already, and
    when the method's settings differ from the official ones in what the file cannot say.
    """
    file, params = Path(folder) / f"{category}.pth", method.params
    refuse_existing(file)
    preset = params.preset if params.preset in PRESETS else PRESETS[0]
    refuse_other_settings(params, DmadParams.model_validate({"preset": preset}), NOT_IN_THE_FILE)
    state = method.state_dict()
    write_checkpoint(file, {key: part_of(state, f"networks.{name}.") for key, name in FILE_NAMES.items()})
    return (file,)


def _bottleneck(state: dict[str, Tensor]) -> Bottleneck | QuantisedBottleneck:
    if CODES not in state:
        return Bottleneck(TEACHER_CHANNELS)
    quantiser = VectorQuantiser(*state[CODES].shape)
    return QuantisedBottleneck(TEACHER_CHANNELS, quantiser, authors=True)
