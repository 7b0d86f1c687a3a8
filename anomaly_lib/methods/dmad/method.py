"""DMAD as a method: fit, score, explain.

Deviates from the authors' code, each a switch in params and a row in docs/fidelity/dmad.md. The presets
``official_image`` and ``official_pixel`` take all of that back.

Shapes: N images, S image side; level l is (N, C_l, h_l, w_l), finest first.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.base import Method as BaseMethod
from anomaly_lib.methods.base import ScoreMaps, within
from anomaly_lib.methods.dmad.decoder import Decoder
from anomaly_lib.methods.dmad.features import LevelCache, Teacher
from anomaly_lib.methods.dmad.network import PPDM, LevelSpace, Pass, build
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.dmad.params import Params
from anomaly_lib.methods.dmad.pictures import explained, training_picture
from anomaly_lib.methods.dmad.scoring import (
    PARTS,
    Calibration,
    anomaly_map,
    deformation_map,
    level_errors,
    over_range,
    smoothed,
    smoothed_by_product,
)
from anomaly_lib.methods.dmad.training import make_task
from anomaly_lib.methods.dmad.warp import combined
from anomaly_lib.methods.training import train

IMAGES_AT_ONCE = 8
CALIBRATION_IMAGES = 200
START_IMAGES = 64
"""Normal images whose features give the first codes and the statistics of channels."""


class Method(BaseMethod):
    """Diversity-Measurable Anomaly Detection, the variant for images (PPDM)."""

    name, title = "dmad", "DMAD"
    paper = "Liu, Chang, Ma, Shan, Chen: Diversity-Measurable Anomaly Detection, CVPR 2023, arXiv 2303.05047"

    def __init__(self, params: Params, seed: int = 0):
        super().__init__(params, seed)
        self.teacher = Teacher(params).to(self.device)

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        with self.own_initial_weights(), _repeatable_where_possible(self.device):
            self._assemble(build(self.params, self.teacher.channels))
            self._start_from(normals)
            with self._cache(normals, work, progress) as cache:
                networks, identity = self._networks, self.identity(normals)
                task = make_task(self.params, networks, self.teacher, normals, cache, identity, self.seed)
                task.picture = lambda: training_picture(*self._pass(normals[:1]), self.teacher.backbone)
                history = train(task, work / "training.pt" if work else None, progress)
            self.calibrate(normals, progress)
        return history

    def calibrate(self, normals: Tensor, progress: bool = False) -> None:
        """Find what is normal for maps and scores, from at most 200 normal images; ``fit`` ends with it."""
        self.check(normals)
        chosen = torch.randperm(len(normals), generator=generator(self.seed, "dmad", "calibration"))
        normals = normals[chosen[:CALIBRATION_IMAGES].sort().values]
        calibration = self.fitted["calibration"]
        errors = [level_errors(done) for _, _, done in self._passes(normals, "DMAD calibration", progress)]
        levels = [torch.cat(level) for level in zip(*errors, strict=True)]
        params = self.params
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
        parts = [explained(done, self.teacher.backbone) for _, _, done in self._passes(images, "DMAD", False)]
        pictures = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
        return {"map": maps} | self._completed(pictures, deformation)

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        if self.scores_are_relative:
            raise InputError("scores that depend on each other (score_normalisation: scored_set) cannot be exported")
        _, done, calibration = self._pass(images)
        whole = self._batch_maps(done, calibration, smoothed_by_product)
        maps, deformation = (within(kind, region) for kind in whole)
        pictures = self._completed(explained(done, self.teacher.backbone), whole[1])
        return {"map": maps, "score": self._scores(maps, deformation)[self.params.score]} | pictures

    def flows(self, images: Tensor) -> dict[str, Tensor]:
        """Displacements in pixels, (N, 2, S, S) with x first, for quiver plots and animations.

        ``forward`` and ``backward`` are coarse and fine together: a picture sampled at each place plus its displacement
        is the prototype, or the image again. The four fields stand beside them under the names of ``Fields``. Raises
        InputError for a model without deformation.
        """
        if not self.params.deformation:
            raise InputError("this DMAD model has deformation: false, so it has no flow fields")
        parts = [done.fields for _, _, done in self._passes(images, "DMAD flows", False)]
        fields = type(parts[0])(*(torch.cat(field) for field in zip(*parts, strict=True)))
        flows = {
            "forward": combined(fields.forward_coarse, fields.forward_fine),
            "backward": combined(fields.backward_fine, fields.backward_coarse),
        } | fields._asdict()
        pixels = (self.params.image_size - 1) / 2
        return {name: (field * pixels).cpu() for name, field in flows.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {"teacher": self.teacher.fingerprint()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        state = dict(state)
        try:
            fingerprint = state.pop("teacher").to(self.device)
            self._assemble(build(self.params, self.teacher.channels))
            self.model.load_state_dict(state)
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
        networks = self._networks
        layers = zip(self.teacher.backbone.layers, self.teacher.channels, strict=True)
        rows = [{"part": f"{self.params.backbone} {layer}", "channels": c, "parameters": 0} for layer, c in layers]
        for name, part in networks.named_children():
            for child_name, child in part.named_children():
                size = sum(p.numel() for p in child.parameters())
                if size:
                    rows.append({"part": f"{name} {child_name}", "channels": _channels_out(child), "parameters": size})
        return rows

    def adopt(self, offset: OffsetNetwork | None, bottleneck: nn.Module, decoder: Decoder) -> None:
        """Take networks that were trained elsewhere; maps and scores stay uncalibrated until ``calibrate``."""
        self._assemble(PPDM(offset, bottleneck, decoder, LevelSpace(self.teacher.channels)))

    @property
    def _networks(self) -> PPDM:
        return self.fitted["networks"]

    def _assemble(self, networks: PPDM) -> None:
        calibration = Calibration(self.teacher.shapes[0][1:])
        self.model = nn.ModuleDict({"networks": networks, "calibration": calibration})
        self.model.to(self.device, memory_format=torch.channels_last).eval()

    def _start_from(self, normals: Tensor) -> None:
        """Channel statistics and first codes, where params ask for them, from features of normal images."""
        networks, params = self._networks, self.params
        draw = generator(self.seed, "dmad", "start")
        chosen = normals[torch.randperm(len(normals), generator=draw)[:START_IMAGES]]
        levels = list(self._levels(chosen))
        if params.feature_space == "standardised":
            networks.space.fit([torch.cat(level) for level in zip(*levels, strict=True)])
        if networks.quantiser and params.code_start == "data":
            third = torch.cat([networks.space(part)[-1] for part in levels])
            networks.quantiser.start_from(third.movedim(1, -1).flatten(0, -2), draw)  # (M, C)

    def _cache(self, normals: Tensor, work: Path | None, progress: bool) -> contextlib.AbstractContextManager:
        """Levels of all normal images, where some steps leave images undeformed."""
        if self.params.deformation and not self.params.undeformed_share:
            return contextlib.nullcontext()
        cache = LevelCache(len(normals), self.teacher.shapes, self.params.memory_gigabytes, work)
        start = 0
        for levels in progress_bar(
            self._levels(normals), description="DMAD features", total=-(-len(normals) // IMAGES_AT_ONCE), show=progress
        ):
            cache.put(start, levels)
            start += len(levels[0])
        return cache

    @torch.no_grad()
    def _levels(self, images: Tensor) -> Iterator[list[Tensor]]:
        for part in images.split(IMAGES_AT_ONCE):
            yield self.teacher(self.teacher.backbone.normalise(part.to(self.device)))

    @torch.no_grad()
    def _pass(self, images: Tensor) -> tuple[Tensor, Pass, Calibration]:
        model = self.fitted
        images = images.to(self.device)
        done = model["networks"](self.teacher.backbone.normalise(images), self.teacher)
        return images, done, model["calibration"]

    def _passes(self, images: Tensor, description: str, progress: bool) -> Iterator[tuple[int, Calibration, Pass]]:
        self.check(images)
        starts = range(0, len(images), IMAGES_AT_ONCE)
        for start in progress_bar(starts, description=description, show=progress):
            _, done, calibration = self._pass(images[start : start + IMAGES_AT_ONCE])
            yield start, calibration, done

    def _maps(self, images: Tensor, progress: bool = False) -> tuple[Tensor, Tensor]:
        """Anomaly and deformation maps, smoothed, (N, S, S) each on the CPU."""
        size = self.params.image_size
        maps, deformation = torch.empty(2, len(images), size, size)
        for start, calibration, done in self._passes(images, "DMAD scores", progress):
            part = slice(start, start + len(done.warped))
            maps[part], deformation[part] = self._batch_maps(done, calibration, smoothed)
        return maps, deformation

    def _batch_maps(self, done: Pass, calibration: Calibration, smooth: Callable) -> tuple[Tensor, Tensor]:
        """As ``_maps``, of one pass; ``smooth`` is ``smoothed`` or ``smoothed_by_product``."""
        params = self.params
        maps = smooth(anomaly_map(done, calibration), params.smoothing_sigma)
        if not done.fields:
            return maps, torch.zeros_like(maps)
        return maps, smooth(deformation_map(done.fields, params.deformation_map == "both"), params.smoothing_sigma)

    def _completed(self, pictures: dict[str, Tensor], deformation: Tensor) -> dict[str, Tensor]:
        """The pictures of ``explained`` with the deformation map, and codes as shares."""
        if self.params.deformation:
            pictures["deformation"] = deformation
        if self.params.codes:
            pictures["codes"] = pictures["codes"] / max(1, self.params.codes - 1)
        return pictures

    def _scores(self, maps: Tensor, deformation: Tensor) -> dict[str, Tensor]:
        """Image scores under both names: normalised maxima, the second with the weighted deformation."""
        maxima = _maxima(maps, deformation)
        if self.scores_are_relative:
            normalised = over_range(maxima)
        else:
            normalised = self.fitted["calibration"].normalised(maxima.to(self.device)).cpu()
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
