"""How DRAEM's steps are scheduled, fed with batches, and computed."""

from collections.abc import Iterator

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR
from torch.utils.data import DataLoader

from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.draem.params import Params
from anomaly_lib.synthesis import Synthesised, SyntheticBatches


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; elsewhere it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def scheduler(params: Params, optimizer: Optimizer, steps: int) -> LRScheduler | None:
    """The schedule over optimisation steps. Milestones are whole steps: a fractional one would never be met."""
    if params.schedule == "one_cycle":
        return OneCycleLR(optimizer, params.learning_rate, total_steps=steps, pct_start=params.warm_up)
    if params.schedule == "multistep":
        return MultiStepLR(optimizer, [round(share * steps) for share in params.milestones], params.decay)
    return None


def stream(batches: SyntheticBatches, steps: range, workers: int) -> Iterator[Synthesised]:
    """The batches of these steps, prepared in place or ahead by worker processes."""
    # the loader draws a seed for its workers, which use none; a generator of its own leaves the global one alone
    own = generator(batches.seed, "draem", "loader")
    return iter(DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, generator=own))
