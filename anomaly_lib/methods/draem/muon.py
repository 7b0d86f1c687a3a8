"""Muon: momentum whose singular values are all made about 1, so that no direction of a layer learns slowly.

Jordan et al., *Muon*, 2024 (kellerjordan.github.io/posts/muon). The scale, which lets Muon and Adam share a learning
rate, is from Liu et al., *Muon is scalable for LLM training*, arXiv 2502.16982.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
RMS = 0.2  # of an update divided by the learning rate, about Adam's
LAST_CHANNELS = 3  # convolutions with no more output channels are the networks' last ones, which Adam trains


class Muon(torch.optim.Adam):
    """Muon for convolution kernels, fused Adam for all else; the first beta is the momentum of both."""

    def __init__(self, module: nn.Module, learning_rate: float):
        kernels = [p for p in module.parameters() if p.ndim == 4 and len(p) > LAST_CHANNELS]
        others = [p for p in module.parameters() if p.ndim != 4 or len(p) <= LAST_CHANNELS]
        super().__init__([{"params": kernels}, {"params": others}], learning_rate, fused=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        group = self.param_groups[0]
        beta = group["betas"][0]
        for p in group["params"]:
            if not self.state[p]:
                self.state[p] = {"step": torch.zeros(()), "exp_avg": torch.zeros_like(p)}  # Adam reads a step
            momentum = self.state[p]["exp_avg"].lerp_(p.grad, 1 - beta)
            update = orthogonal(p.grad.lerp(momentum, beta).flatten(1))  # Nesterov's momentum, (out, in x 3 x 3)
            p.add_(update.reshape(p.shape), alpha=-group["lr"] * RMS * math.sqrt(max(update.shape)))
            p.grad = None  # so that Adam leaves it alone
        return super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """(O, I) -> (O, I): singular vectors stay, singular values become 0.7 to 1.2, unless they are tiny.

    The Newton-Schulz iteration X <- (a + b X X' + c (X X')^2) X, run on the smaller X X' at half the cost.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    a, b, c = COEFFICIENTS
    gram = matrix @ matrix.T
    squared_norm = gram.diagonal().sum().item() + 1e-14
    gram, product = gram / squared_norm, torch.eye(len(gram), device=gram.device)
    for _ in range(ITERATIONS):
        factor = torch.addmm(b * gram, gram, gram, alpha=c)
        factor.diagonal().add_(a)
        product, gram = factor @ product, factor @ gram @ factor
    return product @ matrix / math.sqrt(squared_norm)
