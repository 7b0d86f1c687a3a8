"""Read the checkpoints that the papers' authors publish. Nothing in a file is executed."""

from pathlib import Path

import torch

from anomaly_lib.errors import InputError
from anomaly_lib.methods.dfr.network import FeatureAutoencoder


def load_dfr(file: str | Path) -> FeatureAutoencoder:
    """The autoencoder of the authors' ``autoencoder.pth``, in evaluation mode.

    The file holds ``{"autoencoder": state_dict}``, or the state dict itself; sizes and batch normalisation are
    read from it. ``forward`` takes (N, C, h, w) raw regional features of VGG19. Raises InputError for anything else.
    """
    file = Path(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{file}: no such checkpoint") from None
    except Exception as error:  # torch raises many kinds for foreign or torn files
        raise InputError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from None
    state = content.get("autoencoder", content) if isinstance(content, dict) else {}
    try:
        autoencoder = FeatureAutoencoder(
            channels=state["encoder.0.weight"].shape[1],
            latent=state["decoder.0.weight"].shape[1],
            batch_norm="encoder.1.running_mean" in state,
        )
        autoencoder.load_state_dict(state)
    except (KeyError, AttributeError, RuntimeError):
        raise InputError(f"{file}: not an autoencoder of DFR; the authors' file is called autoencoder.pth") from None
    return autoencoder.eval()
