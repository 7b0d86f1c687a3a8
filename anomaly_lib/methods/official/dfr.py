"""DFR's ``autoencoder.pth``."""

from pathlib import Path

import torch

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.network import FeatureAutoencoder
from anomaly_lib.methods.dfr.params import DfrParams
from anomaly_lib.methods.official.files import (
    part_of,
    read_checkpoint,
    refuse_existing,
    refuse_other_settings,
    write_checkpoint,
)

PRESETS = {3456: "official_12", 5504: "official_16"}
"""By the number of feature channels: VGG19's layers up to the fourth or the fifth block."""
NOT_IN_THE_FILE = (
    *("image_size", "image_resize", "backbone", "layers", "reflect_padding", "feature_size", "resize"),
    *("feature_space", "location_prior", "smoothing_sigma"),
)
"""Params that decide on a map and that the authors' file takes for granted."""


def load_dfr(file: str | Path) -> FeatureAutoencoder:
    """The autoencoder of the authors' ``autoencoder.pth``, in evaluation mode.

    The file holds ``{"autoencoder": state_dict}``, or the state dict itself; sizes and batch normalisation are
    read from it. ``forward`` takes (N, C, h, w) raw regional features of VGG19. Raises InputError for anything else.
    """
    content = read_checkpoint(file)
    state = content.get("autoencoder", content) if isinstance(content, dict) else {}
    try:
        autoencoder = FeatureAutoencoder(
            channels=state["encoder.0.weight"].shape[1],
            latent=state["decoder.0.weight"].shape[1],
            batch_norm="encoder.1.running_mean" in state,
        )
        autoencoder.load_state_dict(state)
    except (KeyError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        raise InputError(f"{file}: not an autoencoder of DFR; the authors' file is called autoencoder.pth") from None
    return autoencoder.eval()


def import_dfr(files: list[Path], weights: str | None = None) -> Dfr:
    """A DFR method, ready to score, from the authors' one file; ``weights`` is a file of VGG19's, None takes timm's.

    Its params are the preset ``official_12`` or ``official_16``, by the channels. Raises InputError as ``load_dfr``
    does, for another number of channels, and for weights that are missing or of another network.
    """
    if len(files) != 1:
        raise InputError(f"DFR needs one file, autoencoder.pth; got {len(files)}")
    autoencoder = load_dfr(files[0])
    channels, latent = autoencoder.channels, autoencoder.latent
    if channels not in PRESETS:
        known = " or ".join(map(str, PRESETS))
        raise InputError(f"{files[0]}: an autoencoder of {channels} channels; VGG19's 12 or 16 layers have {known}")
    changes = {"weights": weights, "latent": latent, "batch_norm": autoencoder.batch_norm}
    method = Dfr(DfrParams.model_validate({"preset": PRESETS[channels]} | changes))
    grid = method.params.feature_size
    identity = {
        "space.mean": torch.zeros(channels),
        "space.matrix": torch.ones(channels),
        "location.scale": torch.ones(grid, grid),
    }
    learnt = {f"autoencoder.{name}": tensor for name, tensor in autoencoder.state_dict().items()}
    method.load_state_dict(identity | learnt)
    return method


def export_dfr(method: Dfr, folder: str | Path, category: str) -> tuple[Path]:
    """Write a fitted method's autoencoder as ``autoencoder.pth``; ``category`` is not part of the authors' name.

    Raises InputError when the file is there already, and when the method's settings differ from the official ones in
    what the file cannot say: whoever reads it would get other maps.
    """
    file = Path(folder) / "autoencoder.pth"
    refuse_existing(file)
    preset = method.params.preset if method.params.preset in PRESETS.values() else "official_12"
    refuse_other_settings(method.params, DfrParams.model_validate({"preset": preset}), NOT_IN_THE_FILE)
    write_checkpoint(file, {"autoencoder": part_of(method.state_dict(), "autoencoder.")})
    return (file,)
