"""The three losses: how well the anomaly is painted out (MSE and SSIM), how well it is found (focal).

Shapes: N images, S side.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
SMOOTHING = 1e-5


def draem_losses(
    reconstruction: Tensor, target: Tensor, logits: Tensor, mask: Tensor, ssim_weight: float, guess_range: bool
) -> dict[str, Tensor]:
    """The scalar losses of one step by name; ``loss`` is the one to minimise.

    ``reconstruction`` and the normal ``target`` (N, 3, S, S), ``logits`` (N, 2, S, S), ``mask`` (N, 1, S, S) of 0 and
    1. ``ssim_weight`` is the paper's lambda; ``guess_range`` takes SSIM's dynamic range from ``guessed_range``.
    """
    mse = F.mse_loss(reconstruction, target)
    ssim = ssim_loss(reconstruction, target, guessed_range(reconstruction) if guess_range else 1.0)
    focal = focal_loss(logits, mask)
    # Eq. (2) and (3)
    return {"loss": mse + ssim_weight * ssim + focal, "mse": mse, "ssim": ssim, "focal": focal}


def focal_loss(logits: Tensor, mask: Tensor, gamma: float = 2.0, smoothing: float = SMOOTHING) -> Tensor:
    """Mean over pixels of -(1 - p)^gamma log p, p the probability of the pixel's true class.

    ``logits`` (N, 2, S, S), ``mask`` (N, 1, S, S) of 0 and 1. Both classes weigh the same; with gamma 0 it is the cross
    entropy. The authors' code lifts p to p + 2 ``smoothing`` (1 - p), which kornia's focal loss cannot do and which
    changes confident mistakes by a percent or more. Source: Lin et al. 2017, eq. (4).
    """
    target = mask.long()  # (N, 1, S, S)
    p = logits.float().softmax(dim=1).gather(1, target)
    p = p + 2 * smoothing * (1 - p)
    # Lin et al., eq. (4)
    return -((1 - p) ** gamma * p.log()).mean()


def ssim_loss(reconstruction: Tensor, target: Tensor, dynamic_range: float = 1.0) -> Tensor:
    """1 - SSIM of (N, 3, S, S) images, averaged; 0 for equal images.

    Gaussian window of 11 pixels with sigma 1.5; images in [0, ``dynamic_range``]. The border is padded with zeros as
    in the authors' code, which kornia's own SSIM cannot do (it reflects). Source: Wang et al. 2004, eq. (13).
    """
    x, y = reconstruction.float(), target.float()
    window = get_gaussian_kernel1d(WINDOW, SIGMA, device=x.device)
    moments = torch.stack([x, y, x * x, y * y, x * y])
    means = filter2d_separable(rearrange(moments, "m n c h w -> (m n) c h w"), window, window, "constant")
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = rearrange(means, "(m n) c h w -> m n c h w", m=5)
    variance_x, variance_y = mean_xx - mean_x * mean_x, mean_yy - mean_y * mean_y
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = (0.01 * dynamic_range) ** 2, (0.03 * dynamic_range) ** 2
    # Wang et al., eq. (13)
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2))
    # Eq. (1)
    return 1 - similarity.mean()


def guessed_range(reconstruction: Tensor) -> float:
    """Dynamic range as the authors' code guesses it from the unbounded reconstruction: 1, 2, 255 or 256.

    It jumps to 2 when the smallest value is below -0.5, and to that of 8-bit images when the largest exceeds 128.
    """
    lowest, highest = torch.aminmax(reconstruction.detach())
    return (255.0 if highest > 128 else 1.0) - (-1.0 if lowest < -0.5 else 0.0)
