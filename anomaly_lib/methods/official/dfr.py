"""DFR's ``autoencoder.pth``."""

from pathlib import Path

from anomaly_lib.errors import InputError
from anomaly_lib.methods.dfr.network import FeatureAutoencoder
from anomaly_lib.methods.official.files import read_checkpoint


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
    except (KeyError, AttributeError, RuntimeError):
        raise InputError(f"{file}: not an autoencoder of DFR; the authors' file is called autoencoder.pth") from None
    return autoencoder.eval()
