"""Fit a predictor to normal clips."""

from dataclasses import asdict, dataclass

import torch
from einops import rearrange
from torch import Tensor

from anomaly_course.pdm.clip import Clip
from anomaly_course.pdm.losses import prediction_losses
from anomaly_course.pdm.network import HISTORY, FramePredictor
from anomaly_lib.base.reproducibility import derived_seed, generator
from anomaly_lib.methods.dmad.quantise import health
from anomaly_lib.methods.training import Task, train

FIRST_WINDOWS = 64


@dataclass(frozen=True)
class Settings:
    """How a predictor is built and trained."""

    steps: int = 600
    """Optimisation steps (authors: 60 epochs)."""
    batch: int = 8
    """Windows a step (authors: 8)."""
    codes: int | None = 64
    """Codes of the memory; None for a network without (authors: 200, or 420 on Avenue)."""
    pixels: tuple[float, float] | None = (2.0, 3.0)
    """Largest coarse and fine displacement in pixels of the frame; None for a network without flow (authors: 2 and 3,
    of 256 pixels). Not shrunk with the frame, since our shapes move as many pixels a frame as theirs."""
    learning_rate: float = 3e-3
    """Largest rate of AdamW (authors: 2e-4, for 60 epochs)."""
    background_rate: float = 20.0
    """How many times faster the background template learns (authors: 50, then 20)."""
    revive_after: int = 30
    """Steps without use after which a code moves to a feature of the batch (authors: never)."""


PLAIN = {"codes": None, "pixels": None}
"""Changes to the settings that leave memory and flow out."""


def windows(frames: Tensor) -> tuple[Tensor, Tensor]:
    """(T, S, S) frames in [0, 1] -> histories (T - 4, 4, S, S) and next frames (T - 4, 1, S, S) in [-1, 1]."""
    every = rearrange((2 * frames - 1).unfold(0, HISTORY + 1, 1), "n h w t -> n t h w")
    return every[:, :HISTORY], every[:, HISTORY:]


def fit(
    clips: list[Clip], settings: Settings, seed: int = 0, progress: bool = True
) -> tuple[FramePredictor, list[dict]]:
    """A predictor trained on ``clips``, normal ones of one length, and its history; the last step is kept."""
    every = [windows(clip.frames) for clip in clips]
    histories, targets = (torch.cat(half) for half in zip(*every, strict=True))
    predictor = _built(histories, settings, seed)
    draw, revived = generator(seed, "pdm", "batches"), generator(seed, "pdm", "revive")

    def losses(step: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(targets), (settings.batch,), generator=draw)
        prediction = predictor(histories[chosen])
        found = prediction_losses(prediction, targets[chosen], predictor.background)
        if predictor.memory:
            predictor.memory.revive(prediction.embedding.detach(), revived)
            found |= health(prediction.codes, settings.codes)
        return found

    optimizer = _optimizer(predictor, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    identity = f"{asdict(settings)}-{seed}-{targets.double().sum().item():.9e}"
    generators = {"batches": draw, "revive": revived}
    task = Task(predictor, optimizer, losses, settings.steps, identity, scheduler, generators, "PDM training")
    return predictor, train(task, progress=progress)


def _built(histories: Tensor, settings: Settings, seed: int) -> FramePredictor:
    """Freshly initialised, its codes set to features of random windows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "pdm", "init"))
        predictor = FramePredictor(histories.shape[-1], settings.codes, settings.pixels, settings.revive_after)
    if predictor.memory:
        draw = generator(seed, "pdm", "codes")
        chosen = torch.randperm(len(histories), generator=draw)[:FIRST_WINDOWS]
        predictor.memory.start_from(_vectors(predictor, histories[chosen]), draw)
    return predictor


@torch.no_grad()
def _vectors(predictor: FramePredictor, histories: Tensor) -> Tensor:
    """(N, 4, S, S) -> (M, C) features as the memory sees them."""
    return rearrange(predictor.embed(predictor.levels(histories)[-1]), "n c h w -> (n h w) c")


def _optimizer(predictor: FramePredictor, settings: Settings) -> torch.optim.Optimizer:
    """AdamW; the background template learns faster and does not decay."""
    others = [parameter for name, parameter in predictor.named_parameters() if name != "background"]
    rate = settings.learning_rate
    template = {"params": [predictor.background], "lr": rate * settings.background_rate, "weight_decay": 0.0}
    return torch.optim.AdamW([{"params": others}, template], lr=rate, fused=True)
