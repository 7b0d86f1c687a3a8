"""The one training loop: progress, history, and resuming after an interruption to the same bits.

A method hands over what it trains and a function that gives the losses of one step. Everything that a step
draws at random comes from generators named in the task, so that a checkpoint can hold their state.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import progress_bar

SECONDS_BETWEEN_CHECKPOINTS = 10.0
HISTORY_ROWS = 60
PICTURES = "pictures"
PICTURES_PER_TRAINING = 6


@dataclass
class Task:
    """What one training consists of."""

    module: nn.Module
    optimizer: Optimizer
    losses: Callable[[int], dict[str, Tensor]]
    """Step number (from 0) -> named scalar losses; ``loss`` is the one that is minimised."""
    steps: int
    identity: str
    """Hash of params and data; a checkpoint of another training is not resumed."""
    scheduler: LRScheduler | None = None
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    description: str = "train"
    images_per_step: int | None = None
    """Lets the progress bar count images instead of steps."""
    picture: Callable[[], Tensor] | None = None
    """Draws (3, H, W) in [0, 1] of what the model makes of fixed examples; a few are kept beside the checkpoint."""


@dataclass
class History:
    """Rows of mean losses, and the sums of the row that is still open."""

    rows: list[dict] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    open_steps: int = 0

    @property
    def loss_names(self) -> list[str]:
        """Names of the losses, once there is a row."""
        return [name for name in self.rows[-1] if name not in ("step", "learning_rate")]

    def add(self, losses: dict[str, float]) -> None:
        self.open_steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def close_row(self, step: int, learning_rate: float) -> None:
        means = {name: total / self.open_steps for name, total in self.sums.items()}
        self.rows.append({"step": step, **means, "learning_rate": learning_rate})
        self.sums, self.open_steps = {}, 0


def train(task: Task, checkpoint: Path | None = None, progress: bool = True) -> list[dict]:
    """Run the task's remaining steps; return the history, about 60 rows of mean losses and learning rate.

    With ``checkpoint`` the state is saved every ten seconds, an interrupted training goes on from there, and
    the file is removed at the end; the task's pictures lie beside it in ``pictures/step-NNNNNN.png``. Raises
    InputError, naming the step, when a loss or gradient is not finite.
    """
    start, history = _resume(task, checkpoint)
    row_every = max(1, task.steps // HISTORY_ROWS)
    pictured = _picture_steps(task, checkpoint, start)
    saved = time.monotonic()
    task.module.train()
    unit, scale = (" images", task.images_per_step) if task.images_per_step else ("it", False)
    bar = progress_bar(
        description=task.description, total=task.steps, initial=start, show=progress, unit=unit, unit_scale=scale
    )
    with bar:
        for step in range(start, task.steps):
            learning_rate = task.optimizer.param_groups[0]["lr"]
            history.add(_optimise(task, step))
            if (step + 1) % row_every == 0 or step + 1 == task.steps:
                history.close_row(step + 1, learning_rate)
                bar.set_postfix({name: f"{history.rows[-1][name]:.3g}" for name in history.loss_names})
            bar.update()
            if checkpoint and task.picture and step + 1 in pictured:
                _save_picture(task.module, task.picture, checkpoint.parent / PICTURES / f"step-{step + 1:06d}.png")
            if checkpoint and time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                _save(task, checkpoint, step + 1, history)
                saved = time.monotonic()
    task.module.eval()
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return history.rows


def _optimise(task: Task, step: int) -> dict[str, float]:
    """One step; the losses as floats."""
    task.optimizer.zero_grad(set_to_none=True)
    losses = task.losses(step)
    losses["loss"].backward()
    gradients = [p.grad for p in task.module.parameters() if p.grad is not None]
    values = {name: loss.item() for name, loss in losses.items()}
    norm = torch.nn.utils.get_total_norm(gradients).item()
    if not all(math.isfinite(value) for value in (*values.values(), norm)):
        raise InputError(
            f"{task.description}: loss {values['loss']} with gradient norm {norm} at step {step + 1}; "
            "lower the learning rate"
        )
    task.optimizer.step()
    if task.scheduler:
        task.scheduler.step()
    return values


def _picture_steps(task: Task, checkpoint: Path | None, start: int) -> set[int]:
    """After which steps a picture is drawn; a training from the beginning removes those of an older one."""
    if checkpoint is not None and start == 0:
        shutil.rmtree(checkpoint.parent / PICTURES, ignore_errors=True)
    if checkpoint is None or task.picture is None:
        return set()
    return {round(task.steps * part / PICTURES_PER_TRAINING) for part in range(1, PICTURES_PER_TRAINING + 1)}


def _save_picture(module: nn.Module, draw: Callable[[], Tensor], file: Path) -> None:
    """Drawn in evaluation mode and without gradients, so that looking does not change the training."""
    module.eval()
    with torch.no_grad():
        picture = draw()
    module.train()
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = (rearrange(picture.clamp(0, 1), "c h w -> h w c") * 255).round().byte()
    Image.fromarray(pixels.cpu().numpy()).save(file)


def _save(task: Task, checkpoint: Path, step: int, history: History) -> None:
    state = {
        "identity": task.identity,
        "step": step,
        "history": asdict(history),
        "module": task.module.state_dict(),
        "optimizer": task.optimizer.state_dict(),
        "scheduler": task.scheduler.state_dict() if task.scheduler else {},
        "generators": {name: generator.get_state() for name, generator in task.generators.items()},
    }
    with replacing(checkpoint) as temporary:
        torch.save(state, temporary)


def _resume(task: Task, checkpoint: Path | None) -> tuple[int, History]:
    """The step to go on from; a checkpoint that is absent, damaged or of another training means step 0."""
    if checkpoint is None or not checkpoint.is_file():
        return 0, History()
    try:
        state = torch.load(checkpoint, weights_only=True)
    except Exception:  # a torn file raises many kinds; training anew is always right
        return 0, History()
    if state["identity"] != task.identity:
        return 0, History()
    task.module.load_state_dict(state["module"])
    task.optimizer.load_state_dict(state["optimizer"])
    if task.scheduler:
        task.scheduler.load_state_dict(state["scheduler"])
    for name, generator in task.generators.items():
        generator.set_state(state["generators"][name])
    return state["step"], History(**state["history"])
