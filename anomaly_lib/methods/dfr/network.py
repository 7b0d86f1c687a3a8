"""What DFR trains: an autoencoder of 1x1 convolutions, one small perceptron that all locations share.

Shapes: N images, C feature channels, d latent channels, h x w locations, g side of the feature grid.
The autoencoder's names equal those of the authors' checkpoints, so ``autoencoder.pth`` loads as it is.
"""

import itertools

import torch
from torch import Tensor, nn

from anomaly_lib.methods.dfr.space import FeatureSpace, by_rows
from anomaly_lib.methods.maps import LocationScale


class DfrModel(nn.Module):
    """From regional features to the error of each place."""

    def __init__(self, space: FeatureSpace, autoencoder: "FeatureAutoencoder", location: LocationScale):
        super().__init__()
        self.space, self.autoencoder, self.location = space, autoencoder, location

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, g, g) features -> (N, g, g) mean squared errors, at least 0, in units of what is normal at a place."""
        return self.location(reconstruction_error(*self.reconstructed(features)))

    @torch.no_grad()
    def reconstructed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The features in the space of the autoencoder, and their reconstruction, (N, C, g, g) each."""
        target = self.space(features)
        return target, self.autoencoder(target)


class FeatureAutoencoder(nn.Module):
    """C -> (C+2d)/2 -> 2d -> d -> 2d -> (C+2d)/2 -> C, each a 1x1 convolution.

    Batch normalisation (a switch) and ReLU follow each hidden convolution, nothing the latent and the output.
    Source: the authors' code; the paper's text leaves the widths open.
    """

    def __init__(self, channels: int, latent: int, batch_norm: bool = True):
        super().__init__()
        self.channels, self.latent, self.batch_norm = channels, latent, batch_norm
        widths = [channels, (channels + 2 * latent) // 2, 2 * latent, latent]
        self.encoder = _perceptron(widths, batch_norm)
        self.decoder = _perceptron(widths[::-1], batch_norm)

    def forward(self, features: Tensor) -> Tensor:
        """Reconstruction of (N, C, h, w) features, of the same shape."""
        return by_rows(lambda rows: self.decoder(self.encoder(rows)), features)


def _perceptron(widths: list[int], batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths[:-1]):
        layers.append(nn.Conv2d(width_in, width_out, 1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width_out))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Conv2d(widths[-2], widths[-1], 1))


def reconstruction_error(features: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error averaged over channels: (N, C, h, w) twice -> (N, h, w), at least 0.

    The paper takes the L2 norm, the authors' code the mean of squares: the same ranking of locations.
    """
    # Eq. (5), squared and divided by C
    return (features - reconstruction).square().mean(dim=1)
