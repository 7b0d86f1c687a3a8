"""The autoencoder of 1x1 convolutions: one small perceptron, shared by all locations.

Shapes: N images, C feature channels, d latent channels, h x w locations.
The module names equal those of the authors' checkpoints, so ``autoencoder.pth`` loads as it is.
"""

import itertools

from torch import Tensor, nn


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
        return self.decoder(self.encoder(features))


def _perceptron(widths: list[int], batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths[:-1]):
        layers.append(nn.Conv2d(width_in, width_out, 1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width_out))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Conv2d(widths[-2], widths[-1], 1))


def reconstruction_error(features: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error averaged over channels: (N, C, h, w) twice -> (N, h, w).

    Eq. (5) of the paper takes the L2 norm, the authors' code the mean of squares: the same ranking of locations.
    """
    return (features - reconstruction).square().mean(dim=1)
