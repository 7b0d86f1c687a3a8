"""DRAEM's pairs of files: the reconstructive network, and beside it, with ``_seg`` in its name, the discriminative one.

The authors publish ``NAME.pckl`` and ``NAME_seg.pckl``; industrial users of their code have
``DRAEM_test_{lr}_{epochs}_bs{bs}_{category}_.pt`` and ``..._{category}__seg.pt``. Both hold plain state dicts of
networks that see channels in the order blue, green, red.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.draem.method import Draem
from anomaly_lib.methods.draem.network import FIRST_LAYER, DiscriminativeNetwork, DraemNetworks, ReconstructiveNetwork
from anomaly_lib.methods.draem.params import DraemParams
from anomaly_lib.methods.official.files import part_of, read_checkpoint, refuse_existing, write_checkpoint

SECOND = "_seg"
Network = TypeVar("Network", ReconstructiveNetwork, DiscriminativeNetwork)


class DraemPair(NamedTuple):
    """Both networks in evaluation mode; images and reconstructions are in [0, 1], channels blue, green, red."""

    reconstructive: ReconstructiveNetwork
    discriminative: DiscriminativeNetwork


def load_draem(reconstructive: str | Path, discriminative: str | Path | None = None) -> DraemPair:
    """The two networks of a pair of the authors' files; widths are read from the tensors.

    Without ``discriminative`` the second file is the first one's name with ``_seg`` before the suffix. Raises
    InputError, naming the file, when one is missing or is anything else.
    """
    first = Path(reconstructive)
    second = Path(discriminative) if discriminative else second_file(first)
    return DraemPair(
        _network(first, ReconstructiveNetwork, "reconstructive"),
        _network(second, DiscriminativeNetwork, "discriminative"),
    )


def import_draem(files: list[Path], weights: str | None = None) -> Draem:
    """A DRAEM method, ready to score, from the first or both files of a pair.

    Its params are the preset ``official`` with the files' widths. Raises InputError as ``load_draem`` does, and for
    ``weights``, which are for methods with a backbone.
    """
    if weights:
        raise InputError("DRAEM has no backbone; leave its weights out")
    if len(files) not in (1, 2):
        raise InputError(f"DRAEM needs the reconstructive file, or both of a pair; got {len(files)} files")
    pair = load_draem(*files)
    widths = {
        "reconstructive_width": pair.reconstructive.width,
        "discriminative_width": pair.discriminative.width,
    }
    method = Draem(DraemParams.model_validate({"preset": "official"} | widths))
    networks = DraemNetworks(**widths)
    networks.reconstructive, networks.discriminative = pair
    method.load_state_dict(networks.state_dict())
    return method


def export_draem(method: Draem, folder: str | Path, category: str) -> tuple[Path, Path]:
    """Write a fitted method as ``DRAEM_test_{lr}_{epochs}_bs{bs}_{category}_.pt`` and its ``__seg.pt``.

    A model that sees red, green, blue is rewritten for the files' order, which changes no result. A length given in
    steps is written as ``{steps}steps``. Raises InputError when a file is already there, or nothing is fitted.
    """
    params = method.params
    length = f"{params.epochs:g}" if params.epochs else f"{params.steps}steps"
    name = f"DRAEM_test_{params.learning_rate}_{length}_bs{params.batch}_{category}_"
    files = Path(folder) / f"{name}.pt", Path(folder) / f"{name}{SECOND}.pt"
    refuse_existing(*files)
    state = method.state_dict()
    if params.channel_order == "rgb":
        state = _channels_reversed(state)
    for file, network in zip(files, FIRST_LAYER, strict=True):
        write_checkpoint(file, part_of(state, f"{network}."))
    return files


def second_file(first: Path) -> Path:
    """The discriminative network's file beside the reconstructive one's."""
    return first.with_name(f"{first.stem}{SECOND}{first.suffix}")


def _network(file: Path, kind: type[Network], role: str) -> Network:
    state = read_checkpoint(file)
    try:
        network = kind(width=len(state[FIRST_LAYER[role]]))
        network.load_state_dict(state)
    except (KeyError, IndexError, TypeError, AttributeError, RuntimeError):
        raise InputError(f"{file}: not a {role} network of DRAEM; a pair is NAME.pckl and NAME_seg.pckl") from None
    return network.eval()


def _channels_reversed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function for images whose three channels come in reversed order."""
    changed = dict(state)
    inputs = "reconstructive.encoder.block1.0.weight"
    changed[inputs] = state[inputs].flip(1)
    for part in ("weight", "bias"):
        outputs = f"reconstructive.decoder.fin_out.0.{part}"
        changed[outputs] = state[outputs].flip(0)
    pairs = "discriminative.encoder_segment.block1.0.weight"
    changed[pairs] = torch.cat([half.flip(1) for half in state[pairs].split(3, dim=1)], dim=1)
    return changed
