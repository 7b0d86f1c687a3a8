"""DRAEM as a method: how it is fitted, and what it says of images.

Deviates from the authors' code, each a switch in params and a row in docs/fidelity/draem.md: small widths, images and a
one-cycle schedule, so that a training takes minutes on a CPU; no rotation of normal images; bfloat16 convolutions while
training in native numerics; Muon and moved images where a profile asks for them. The preset ``official`` takes the
switches back, ``paper`` follows the paper's text.

Shapes: N images, S image side.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR
from torch.utils.data import DataLoader

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import derived_seed, generator
from anomaly_lib.methods.base import Method, parameter_count, within
from anomaly_lib.methods.draem.losses import draem_losses
from anomaly_lib.methods.draem.muon import Muon
from anomaly_lib.methods.draem.network import FIRST_LAYER, DraemNetworks, anomaly_maps, initialise
from anomaly_lib.methods.draem.params import DraemParams
from anomaly_lib.methods.training import Task, train
from anomaly_lib.params import project_root
from anomaly_lib.synthesis import Synthesised, SyntheticBatches, load_textures

PICTURED = 4


class Draem(Method[DraemParams, DraemNetworks]):
    """Reconstruct the normal, discriminate the rest."""

    name = "draem"
    paper = "Zavrtanik, Kristan, Skocaj: DRAEM, ICCV 2021, arXiv 2108.07610"

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        batches = self.batches(normals)
        with self.own_initial_weights():
            networks = self.networks()
            initialise(networks)  # before the layout changes, which would hand the draws out in another order
        self._place(networks)
        task = self._task(batches, self.identity(normals))
        return train(task, work / "training.pt" if work else None, progress)

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        """``reconstruction``: the image as the first network repairs it, unbounded."""
        reconstructions, maps = self._reconstruct_and_segment(images)
        maps = within(maps, region)
        return {"map": maps, "score": self._image_scores(maps), "reconstruction": reconstructions}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a model. Raises InputError for one of another method or of other widths than the params have."""
        params = self.params
        widths = {}
        for network, key in FIRST_LAYER.items():
            if f"{network}.{key}" not in state:
                raise InputError(f"these tensors are not of a DRAEM model: {network}.{key} is missing")
            widths[f"{network}_width"] = len(state[f"{network}.{key}"])
        wanted = {key: getattr(params, key) for key in widths}
        if widths != wanted:
            raise InputError(f"this DRAEM model has {_listed(widths)}, but the params say {_listed(wanted)}")
        self.restore(self.networks(), state)
        self._place(self.fitted)

    def architecture(self) -> list[dict]:
        """One row per block, in the order in which an image passes them."""
        rows = []

        def note(name: str) -> Callable:
            def hook(block: nn.Module, _inputs: tuple, output: Tensor) -> None:
                shape = " x ".join(map(str, output.shape[1:]))
                rows.append({"part": name, "shape": shape, "parameters": parameter_count(block)})

            return hook

        blocks = {name: m for name, m in self.fitted.named_modules() if name.count(".") == 2 and "pool" not in name}
        hooks = [block.register_forward_hook(note(name)) for name, block in blocks.items()]
        self._reconstruct_and_segment(torch.zeros(1, 3, self.params.image_size, self.params.image_size))
        for hook in hooks:
            hook.remove()
        return rows

    def networks(self) -> DraemNetworks:
        """The two networks, untrained; their weights are drawn afterwards."""
        return DraemNetworks(self.params.reconstructive_width, self.params.discriminative_width)

    def batches(self, normals: Tensor) -> SyntheticBatches:
        """The training batches; with in-place preparation they are made where the networks run."""
        params, textures = self.params, None
        if params.synthesis.texture_source == "folder":
            textures = load_textures(project_root() / params.textures, params.image_size)
        if params.workers == 0:
            normals, textures = normals.to(self.device), None if textures is None else textures.to(self.device)
        return SyntheticBatches(normals, textures, params.synthesis, params.batch, self.seed)

    def _task(self, batches: SyntheticBatches, identity: str) -> Task:
        params, networks = self.params, self.fitted
        steps = params.steps_on(len(batches.normals), params.batch)
        optimizer = self.optimizer(networks)
        prepared: Iterator[Synthesised] | None = None

        def losses(step: int) -> dict[str, Tensor]:
            nonlocal prepared
            if prepared is None:  # the first step, or the one at which an interrupted training goes on
                prepared = _stream(batches, range(step, steps), params.workers)
            batch = self._moved(next(prepared).to(self.device), step)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._in_bf16()):
                reconstruction, logits = networks(self._seen(batch.image))
            return self.losses(reconstruction.float(), self._seen(batch.normal), logits, batch.mask)

        task = Task(networks, optimizer, losses, steps, identity, self.scheduler(optimizer, steps))
        task.description = "DRAEM training"
        task.images_per_step, task.picture = params.batch, self._picture(batches)
        return task

    def losses(self, reconstruction: Tensor, target: Tensor, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Scalar losses of one step by name; ``loss`` is minimised. Shapes as in ``draem_losses``."""
        params = self.params
        return draem_losses(reconstruction, target, logits, mask, params.ssim_weight, params.ssim_range == "guessed")

    def optimizer(self, networks: nn.Module) -> Optimizer:
        rate, muon = self.params.learning_rate, self.params.optimizer == "muon"
        return Muon(networks, rate) if muon else torch.optim.Adam(networks.parameters(), lr=rate, fused=True)

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        """Steps once per step of the training; its milestones are whole steps: a fractional one would never be met."""
        params = self.params
        if params.schedule == "one_cycle":
            return OneCycleLR(optimizer, params.learning_rate, total_steps=steps, pct_start=params.warm_up)
        if params.schedule == "multistep":
            return MultiStepLR(optimizer, [round(share * steps) for share in params.milestones], params.decay)
        return None

    def _moved(self, batch: Synthesised, step: int) -> Synthesised:
        """Some of the images turned and shifted, with their masks; nearest pixels, so that grain stays as it is."""
        params, count = self.params, len(batch.image)
        if not params.moved_share:
            return batch
        draw = torch.rand(4, count, 1, generator=generator(self.seed, "draem", "moved", str(step)))
        angle, right, down = (2 * draw[:3] - 1) * (draw[3] < params.moved_share)  # (N, 1) each
        angle, shift = angle * math.radians(params.moved_degrees), 2 * params.moved_shift
        rows = [angle.cos(), -angle.sin(), right * shift, angle.sin(), angle.cos(), down * shift]
        turn = rearrange(torch.cat(rows, dim=1), "n (two three) -> n two three", two=2).to(self.device)
        pictures = torch.cat([batch.image, batch.normal, batch.mask], dim=1)
        grid = F.affine_grid(turn, [*pictures.shape], align_corners=False)
        pictures = F.grid_sample(pictures, grid, "nearest", padding_mode="border", align_corners=False)
        return replace(batch, image=pictures[:, :3], normal=pictures[:, 3:6], mask=pictures[:, 6:])

    def _picture(self, batches: SyntheticBatches) -> Callable[[], Tensor]:
        """Draws a row of input, reconstruction and map for each of a few fixed synthetic anomalies."""
        recipe = self.params.synthesis.model_copy(update={"clean_probability": 0.0})
        seed = derived_seed(self.seed, "draem", "pictures")
        examples = SyntheticBatches(batches.normals, batches.textures, recipe, PICTURED, seed)

        def picture() -> Tensor:
            images = examples[0].image.cpu()
            reconstructions, maps = self._reconstruct_and_segment(images)
            panels = torch.stack([images, reconstructions, repeat(maps, "n h w -> n c h w", c=3)])
            return rearrange(panels, "panel n c h w -> c (n h) (panel w)")

        return picture

    @torch.no_grad()
    def _reconstruct_and_segment(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """One small batch, in float32; the results in RGB on the CPU."""
        reconstructions, logits = self.fitted(self._seen(images.to(self.device)))
        if self.params.channel_order == "bgr":
            reconstructions = reconstructions.flip(1)
        return reconstructions.contiguous().cpu(), anomaly_maps(logits).cpu()

    def _seen(self, images: Tensor) -> Tensor:
        """The images in the channel order and memory layout of the networks."""
        if self.params.channel_order == "bgr":
            images = images.flip(1)
        return images.contiguous(memory_format=self._layout())

    def _in_bf16(self) -> bool:
        precision = self.params.precision
        if precision == "auto":
            return numerics.mode() == "native" and computes_bf16(self.device)
        return precision == "bf16"

    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.params.channels_last else torch.contiguous_format

    def _image_scores(self, maps: Tensor) -> Tensor:
        """(N, S, S) -> (N,). The mean filter counts zeros beyond the border, as the authors' does."""
        if self.params.image_score == "smoothed_max":
            side = self.params.score_window
            maps = F.avg_pool2d(rearrange(maps, "n h w -> n 1 h w"), side, stride=1, padding=side // 2)
        # Eq. (5)
        return maps.flatten(1).amax(dim=1)

    def _place(self, networks: DraemNetworks) -> None:
        self.model = networks.to(self.device).to(memory_format=self._layout()).eval()


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; elsewhere it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _stream(batches: SyntheticBatches, steps: range, workers: int) -> Iterator[Synthesised]:
    """The batches of these steps, prepared in place or ahead by worker processes."""
    # the loader draws a seed for its workers, which use none; a generator of its own leaves the global one alone
    own = generator(batches.seed, "draem", "loader")
    return iter(DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, generator=own))


def _listed(widths: dict[str, int]) -> str:
    return " and ".join(f"{key} {value}" for key, value in widths.items())
