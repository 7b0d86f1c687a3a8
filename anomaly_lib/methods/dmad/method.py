"""DMAD as a method: fit, score, explain.

Deviates from the authors' code, each a switch in params and a row in docs/fidelity/dmad.md. The presets
``official_image`` and ``official_pixel`` take the switches back; rows whose switch is "none" stay.

Shapes: N images, S image side; level l is (N, C_l, h_l, w_l), finest first.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.base import Method, ScoreMaps, in_batches, parameter_count, within
from anomaly_lib.methods.dmad.bottleneck import Decoder
from anomaly_lib.methods.dmad.losses import dmad_losses
from anomaly_lib.methods.dmad.network import PPDM, LevelCache, LevelSpace, Pass, Teacher, build
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.dmad.params import DmadParams
from anomaly_lib.methods.dmad.scoring import (
    PARTS,
    Calibration,
    anomaly_map,
    deformation_map,
    level_errors,
    over_range,
    pictures,
)
from anomaly_lib.methods.dmad.warp import Fields, backward, forward
from anomaly_lib.methods.maps import smoothed
from anomaly_lib.methods.training import Task, train

BETAS = (0.5, 0.999)  # of AdamW; authors' code
CALIBRATION_IMAGES = 200
START_IMAGES = 64
"""Normal images whose features give the first codes and the statistics of channels."""


class DmadModel(nn.Module):
    """What a training makes."""

    def __init__(self, networks: PPDM, calibration: Calibration):
        super().__init__()
        self.networks, self.calibration = networks, calibration


class Dmad(Method[DmadParams, DmadModel]):
    """Diversity-Measurable Anomaly Detection, the variant for images (PPDM)."""

    name = "dmad"
    paper = "Liu, Chang, Ma, Shan, Chen: Diversity-Measurable Anomaly Detection, CVPR 2023, arXiv 2303.05047"

    def __init__(self, params: DmadParams, seed: int = 0):
        super().__init__(params, seed)
        self.teacher = Teacher(params).to(self.device)

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        with self.own_initial_weights(), _repeatable_where_possible(self.device):
            self._assemble(self.networks())
            self._start_from(normals)
            with self._cache(normals, work, progress) as cache:
                task = self._task(normals, cache)
                history = train(task, work / "training.pt" if work else None, progress)
            self.calibrate(normals, progress)
        return history

    def calibrate(self, normals: Tensor, progress: bool = False) -> None:
        """Find what is normal for maps and scores, from at most 200 normal images; ``fit`` ends with it."""
        self.check(normals)
        chosen = torch.randperm(len(normals), generator=generator(self.seed, "dmad", "calibration"))
        normals = normals[chosen[:CALIBRATION_IMAGES].sort().values]
        params, calibration = self.params, self.fitted.calibration
        errors = [level_errors(done) for done in self._passes(normals, "DMAD calibration", progress)]
        levels = [torch.cat(level) for level in zip(*errors, strict=True)]
        calibration.fit_maps(levels, params.level_weights, params.level_balance, params.location_prior)
        calibration.fit_scores(_maxima(*self._maps(normals)).to(self.device))

    @property
    def scores_are_relative(self) -> bool:
        return self.params.score_normalisation == "scored_set"

    def score(self, images: Tensor, progress: bool = False, region: Tensor | None = None) -> ScoreMaps:
        """Maps and scores; both scores stand under ``parts``: ``map`` and ``map_and_deformation``."""
        maps, deformation = (within(kind, region) for kind in self._maps(images, progress))
        parts = self._scores(maps, deformation)
        return ScoreMaps(maps, parts[self.params.score], parts)

    def explain(self, images: Tensor) -> dict[str, Tensor]:
        """Pictures of every intermediate step.

        ``map``: the anomaly map. ``level1`` to ``level3``: each level's 1 - cosine, in the prototype's places. With
        deformation: ``warped``, the prototype-like image; ``restored``, that one warped back; ``forward`` and
        ``backward``, both fields as colours (hue: direction, saturation: length up to the largest possible);
        ``deformation``, the smoothed deformation map. With quantisation: ``codes``, each location's code / (K - 1).
        """
        maps, deformation = self._maps(images)
        parts = [pictures(done, self.teacher.backbone) for done in self._passes(images)]
        shown = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
        return {"map": maps} | self._completed(shown, deformation)

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        if self.scores_are_relative:
            raise InputError("scores that depend on each other (score_normalisation: scored_set) cannot be exported")
        done = self._pass(images)
        whole = self._maps_of(done)
        maps, deformation = (within(kind, region) for kind in whole)
        shown = self._completed(pictures(done, self.teacher.backbone), whole[1])
        return {"map": maps, "score": self._scores(maps, deformation)[self.params.score]} | shown

    def flows(self, images: Tensor) -> dict[str, Tensor]:
        """Displacements in pixels, (N, 2, S, S) with x first, for quiver plots and animations.

        ``forward`` and ``backward`` are coarse and fine together: a picture sampled at each place plus its displacement
        is the prototype, or the image again. The four fields stand beside them under the names of ``Fields``. Raises
        InputError for a model without deformation.
        """
        parts = [done.fields for done in self._passes(images, "DMAD flows") if done.fields]
        if not parts:
            raise InputError("this DMAD model has deformation: false, so it has no flow fields")
        fields = Fields(*(torch.cat(field) for field in zip(*parts, strict=True)))
        flows = {"forward": forward(fields), "backward": backward(fields)} | fields._asdict()
        pixels = (self.params.image_size - 1) / 2
        return {name: (field * pixels).cpu() for name, field in flows.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {"teacher": self.teacher.fingerprint()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        state = dict(state)
        try:
            fingerprint = state.pop("teacher").to(self.device)
            self._assemble(self.networks()).load_state_dict(state)
            same_teacher = torch.allclose(fingerprint, self.teacher.fingerprint(), rtol=1e-3)
        except (KeyError, RuntimeError) as error:
            self.model = None
            raise InputError(f"these tensors are not of a DMAD model with these params: {error}") from None
        if not same_teacher:
            self.model = None
            raise InputError(
                f"this DMAD model was trained with another teacher than {self.params.backbone} with these weights; "
                "set 'backbone' and 'weights' to those of its training"
            )

    def architecture(self) -> list[dict]:
        rows = self.teacher.backbone.rows(self.teacher.channels)
        for name, part in self.fitted.networks.named_children():
            for child_name, child in part.named_children():
                if size := parameter_count(child):
                    rows.append({"part": f"{name} {child_name}", "channels": _channels_out(child), "parameters": size})
        return rows

    def networks(self) -> PPDM:
        """The networks, untrained."""
        return build(self.params, self.teacher.channels)

    def losses(self, images: Tensor, done: Pass) -> dict[str, Tensor]:
        """Scalar losses of one pass over normalised images by name; ``loss`` is minimised."""
        return dmad_losses(self.params, images, done, self.fitted.networks)

    def optimizer(self, networks: nn.Module) -> Optimizer:
        params, trained = self.params, (one for one in networks.parameters() if one.requires_grad)
        return AdamW(trained, params.learning_rate, BETAS, weight_decay=params.weight_decay, fused=True)

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return CosineAnnealingLR(optimizer, T_max=steps)

    def adopt(self, offset: OffsetNetwork | None, bottleneck: nn.Module, decoder: Decoder) -> None:
        """Take networks that were trained elsewhere; maps and scores stay uncalibrated until ``calibrate``."""
        self._assemble(PPDM(offset, bottleneck, decoder, LevelSpace(self.teacher.channels)))

    def _assemble(self, networks: PPDM) -> DmadModel:
        model = DmadModel(networks, Calibration(self.teacher.shapes[0][1:]))
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        return self.model

    def _start_from(self, normals: Tensor) -> None:
        """Channel statistics and first codes, where params ask for them, from features of normal images."""
        networks, params = self.fitted.networks, self.params
        draw = generator(self.seed, "dmad", "start")
        chosen = normals[torch.randperm(len(normals), generator=draw)[:START_IMAGES]]
        levels = list(self._levels(chosen))
        if params.feature_space == "standardised":
            networks.space.fit([torch.cat(level) for level in zip(*levels, strict=True)])
        if networks.quantiser and params.code_start == "data":
            third = torch.cat([networks.space(part)[-1] for part in levels])
            networks.quantiser.start_from(rearrange(third, "n c h w -> (n h w) c"), draw)

    def _cache(self, normals: Tensor, work: Path | None, progress: bool) -> LevelCache:
        """Levels of all normal images, where some steps leave images undeformed; else an empty one."""
        needed = not self.params.deformation or self.params.undeformed_share > 0
        cached = normals if needed else normals[:0]
        cache = LevelCache(len(cached), self.teacher.shapes, self.params.memory_gigabytes, work)
        for levels in self._levels(cached, "DMAD features", progress and needed):
            cache.put(levels)
        return cache

    def _task(self, normals: Tensor, cache: LevelCache) -> Task:
        """The training on normal images (N, 3, S, S), whose levels the cache holds where steps do not deform."""
        params, networks, teacher = self.params, self.fitted.networks, self.teacher
        batch = min(params.batch, len(normals))
        steps = params.steps_on(len(normals), batch)
        optimizer = self.optimizer(networks)
        scheduler = self.scheduler(optimizer, steps)
        draws = {name: generator(self.seed, "dmad", name) for name in ("batches", "revival")}
        if networks.quantiser:
            networks.quantiser.revival = draws["revival"]

        def losses(step: int) -> dict[str, Tensor]:
            chosen = torch.randperm(len(normals), generator=draws["batches"])[:batch]
            images = teacher.backbone.normalise(normals[chosen].to(self.device))
            if params.deformation and step >= round(params.undeformed_share * steps):
                return self.losses(images, networks(images, teacher))
            levels = [level.to(self.device) for level in cache.get(chosen)]
            return self.losses(images, networks(images, lambda images: levels, deform=False))

        identity = self.identity(normals)
        task = Task(networks, optimizer, losses, steps, identity, scheduler, draws, "DMAD training", batch)
        task.picture = lambda: self._picture(normals[:1])
        return task

    def _picture(self, image: Tensor) -> Tensor:
        """(3, S, 3 S): the image, its warped form, and its map; white is a summed 1 - cosine of 1 or more."""
        (done,) = self._passes(image)
        grey = repeat(anomaly_map(done, self.fitted.calibration)[0], "h w -> 3 h w").clamp(0, 1)
        return torch.cat([image[0].to(self.device), self.teacher.backbone.denormalised(done.warped)[0], grey], dim=-1)

    @torch.no_grad()
    def _levels(self, images: Tensor, description: str = "", progress: bool = False) -> Iterator[list[Tensor]]:
        for batch in in_batches(images, description, progress):
            yield self.teacher(self.teacher.backbone.normalise(batch.to(self.device)))

    @torch.no_grad()
    def _passes(self, images: Tensor, description: str = "", progress: bool = False) -> Iterator[Pass]:
        self.check(images)
        for batch in in_batches(images, description, progress):
            yield self._pass(batch.to(self.device))

    def _pass(self, images: Tensor) -> Pass:
        return self.fitted.networks(self.teacher.backbone.normalise(images), self.teacher)

    def _maps(self, images: Tensor, progress: bool = False) -> tuple[Tensor, Tensor]:
        """Anomaly and deformation maps, smoothed, (N, S, S) each on the CPU."""
        pairs = [self._maps_of(done) for done in self._passes(images, "DMAD scores", progress)]
        maps, deformations = (torch.cat(half) for half in zip(*pairs, strict=True))
        return maps, deformations

    def _maps_of(self, done: Pass) -> tuple[Tensor, Tensor]:
        """As ``_maps``, of one pass."""
        errors = anomaly_map(done, self.fitted.calibration)
        moved = torch.zeros_like(errors)
        if done.fields:
            moved = deformation_map(done.fields, self.params.deformation_map == "both")
        sigma = self.params.smoothing_sigma
        return smoothed(errors, sigma, "repeated"), smoothed(moved, sigma, "repeated")

    def _completed(self, shown: dict[str, Tensor], deformation: Tensor) -> dict[str, Tensor]:
        """The pictures of a pass with the deformation map, and codes as shares."""
        if self.params.deformation:
            shown["deformation"] = deformation
        if self.params.codes:
            shown["codes"] = shown["codes"] / max(1, self.params.codes - 1)
        return shown

    def _scores(self, maps: Tensor, deformation: Tensor) -> dict[str, Tensor]:
        """Image scores under both names: normalised maxima, the second with the weighted deformation."""
        maxima = _maxima(maps, deformation)
        if self.scores_are_relative:
            normalised = over_range(maxima)
        else:
            normalised = self.fitted.calibration.normalised(maxima.to(self.device)).cpu()
        both = normalised[:, 0] + self.params.deformation_weight * normalised[:, 1]
        return dict(zip(PARTS, (normalised[:, 0], both), strict=True))


def _maxima(maps: Tensor, deformation: Tensor) -> Tensor:
    """(N, 2): the largest value of each image's anomaly map and deformation map."""
    return torch.stack([maps.amax(dim=(1, 2)), deformation.amax(dim=(1, 2))], dim=1)


def _channels_out(network: nn.Module) -> int | None:
    """Channels of a part's last convolution; None where there is none."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return convolutions[-1].out_channels if convolutions else None


@contextlib.contextmanager
def _repeatable_where_possible(device: torch.device) -> Iterator[None]:
    """On a GPU the gradient of sampling along a field has no deterministic form in torch: warn instead of stopping."""
    enabled = torch.are_deterministic_algorithms_enabled()
    if enabled and device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled)
