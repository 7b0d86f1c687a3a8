"""DFR as a method: fit, score, explain.

Deviates from the authors' code, each a switch in params and a row in docs/fidelity/dfr.md: batches of random
locations instead of whole images; reconstruction in a whitened space; a one-cycle schedule; a smoothed map. The
preset ``official_12`` takes all of that back, except that features are read before the next convolution's padding
(the authors' maps are up to 2 pixels too wide and so misregistered).

Shapes: N images, C channels, S image side, g grid side, M locations of a batch.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.base import Method as BaseMethod
from anomaly_lib.methods.base import ScoreMaps, within
from anomaly_lib.methods.dfr.features import RegionalFeatures
from anomaly_lib.methods.dfr.network import FeatureAutoencoder, reconstruction_error
from anomaly_lib.methods.dfr.params import Params
from anomaly_lib.methods.dfr.space import FeatureSpace, fit_space, latent_size, statistics
from anomaly_lib.methods.feature_cache import FeatureCache
from anomaly_lib.methods.location import LocationScale, location_scale
from anomaly_lib.methods.training import Task, train

IMAGES_AT_ONCE = 8
LOCATION_IMAGES = 150  # beyond so many, the mean error of a place hardly moves
STATISTICS_LOCATIONS = 10 * 64 * 64  # as many as in the authors' ten images, but drawn from all


class Method(BaseMethod):
    """Deep Feature Reconstruction."""

    name, title = "dfr", "DFR"
    paper = "Yang, Shi, Qi: DFR, Neurocomputing 424 (2021), arXiv 2012.07122"

    def __init__(self, params: Params, seed: int = 0):
        super().__init__(params, seed)
        backbone = Backbone(params.backbone, params.layers, params.weights, params.reflect_padding)
        self.features = RegionalFeatures(backbone, params.image_size, params.feature_size, params.resize)
        self.features.to(self.device)

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        channels, grid = sum(self.features.channels), self.params.feature_size**2
        with FeatureCache(len(normals) * grid, channels, self.params.memory_gigabytes, work) as cache:
            for start, features in self._batches(normals, "DFR features", progress):
                rows = rearrange(features, "n c h w -> (n h w) c").cpu()
                cache.vectors[start * grid : start * grid + len(rows)] = rows
            self._build(cache.draw(STATISTICS_LOCATIONS, generator(self.seed, "dfr", "statistics")))
            task = self._task(cache, self.identity(normals))
            history = train(task, work / "training.pt" if work else None, progress)
            if self.params.location_prior is not None:
                self._fit_location_scale(cache, self.params.location_prior)
        return history

    def score(self, images: Tensor, progress: bool = False, region: Tensor | None = None) -> ScoreMaps:
        self.check(images)
        size, sigma = self.params.image_size, self.params.smoothing_sigma
        maps = torch.empty(len(images), size, size)
        for start, features in self._batches(images, "DFR scores", progress):
            errors = upsampled(self._scaled_errors(features), size)
            maps[start : start + len(errors)] = smoothed(errors, sigma).cpu()
        maps = within(maps, region)
        return ScoreMaps(maps, maps.amax(dim=(1, 2)))

    def explain(self, images: Tensor) -> dict[str, Tensor]:
        """``map``: the anomaly map; each layer's name: that layer's mean squared error, unsmoothed."""
        pairs = [self._reconstructed(features) for _, features in self._batches(images, "DFR features", False)]
        target, reconstruction = (torch.cat(half) for half in zip(*pairs, strict=True))
        return {"map": self.score(images).maps} | self._layer_errors(target, reconstruction)

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        size, pair = self.params.image_size, self._reconstructed(self.features(images))
        errors = upsampled(self.fitted["location"](reconstruction_error(*pair)), size)
        maps = within(smoothed(errors, self.params.smoothing_sigma), region)
        return {"map": maps, "score": maps.amax(dim=(1, 2))} | self._layer_errors(*pair)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        try:
            latent = len(state["autoencoder.decoder.0.weight"][0])
            channels = sum(self.features.channels)
            mean, matrix = state["space.mean"].float(), state["space.matrix"].float()
            axes = 2 if self.params.feature_space == "whitened" else 1
            if mean.shape != (channels,) or matrix.shape != (channels,) * axes:
                raise InputError(f"these tensors are not of a DFR model with {channels} channels")
            space = FeatureSpace(mean, matrix)
            self._assemble(space, latent)
            self.model.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"these tensors are not of a DFR model with these params: {error}") from None

    def architecture(self) -> list[dict]:
        layers = zip(self.features.backbone.layers, self.features.channels, strict=True)
        rows = [
            {"part": f"{self.features.backbone.name} {layer}", "channels": c, "parameters": 0} for layer, c in layers
        ]
        for name, part in self.fitted["autoencoder"].named_children():
            for layer in part:
                if isinstance(layer, nn.Conv2d):
                    size = sum(p.numel() for p in layer.parameters())
                    rows.append(
                        {
                            "part": f"{name}: 1x1 convolution",
                            "channels": layer.out_channels,
                            "parameters": size,
                        }
                    )
        return rows

    def _task(self, cache: FeatureCache, identity: str) -> Task:
        params, autoencoder = self.params, self.fitted["autoencoder"]
        steps = params.steps_on(len(cache.vectors), params.batch)
        optimizer = torch.optim.Adam(autoencoder.parameters(), lr=params.learning_rate, fused=True)
        scheduler = None
        if params.schedule == "one_cycle":
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, params.learning_rate, total_steps=steps)
        draw = generator(self.seed, "dfr", "batches")

        def losses(step: int) -> dict[str, Tensor]:
            vectors = cache.draw(params.batch, draw).to(self.device)
            # one "image" of 1 x M locations: batch statistics over locations, as in training on images
            target = self.fitted["space"](rearrange(vectors, "m c -> 1 c 1 m"))
            return {"loss": F.mse_loss(autoencoder(target), target)}

        return Task(autoencoder, optimizer, losses, steps, identity, scheduler, {"batches": draw}, "DFR training")

    def _build(self, locations: Tensor) -> None:
        """Feature space, latent size and freshly initialised autoencoder from (M, C) normal vectors."""
        params = self.params
        normal = statistics(locations)
        space = fit_space(params.feature_space, normal)
        latent = params.latent or latent_size(params.feature_space, normal, params.latent_variance)
        with self.own_initial_weights():
            self._assemble(space, latent)

    def _assemble(self, space: FeatureSpace, latent: int) -> None:
        autoencoder = FeatureAutoencoder(sum(self.features.channels), latent, self.params.batch_norm)
        location = LocationScale(self.params.feature_size)
        parts = {"space": space, "autoencoder": autoencoder, "location": location}
        self.model = nn.ModuleDict(parts).to(self.device).eval()

    def _fit_location_scale(self, cache: FeatureCache, prior: float) -> None:
        grid = self.params.feature_size
        images = rearrange(cache.vectors, "(n h w) c -> n c h w", h=grid, w=grid)
        images = images[:: -(-len(images) // LOCATION_IMAGES)]
        chunks = [images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE)]
        errors = [reconstruction_error(*self._reconstructed(chunk.to(self.device))) for chunk in chunks]
        self.fitted["location"].scale.copy_(location_scale(torch.cat(errors), prior))

    def _scaled_errors(self, features: Tensor) -> Tensor:
        """Mean squared error of each place, in units of what is normal there, (N, g, g)."""
        return self.fitted["location"](reconstruction_error(*self._reconstructed(features)))

    def _layer_errors(self, target: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
        """Each layer's mean squared error, (N, S, S) on the CPU."""
        targets, reconstructions = self.features.split(target), self.features.split(reconstruction)
        errors = {layer: reconstruction_error(targets[layer], reconstructions[layer]) for layer in targets}
        return {layer: upsampled(error, self.params.image_size).cpu() for layer, error in errors.items()}

    @torch.no_grad()
    def _reconstructed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The features in the space of the autoencoder, and their reconstruction, (N, C, g, g) each."""
        model = self.fitted
        target = model["space"](features)
        return target, model["autoencoder"](target)

    def _batches(self, images: Tensor, description: str, progress: bool):
        """Yield (index of the first image, its batch's features)."""
        starts = range(0, len(images), IMAGES_AT_ONCE)
        for start in progress_bar(starts, description=description, show=progress):
            yield start, self.features(images[start : start + IMAGES_AT_ONCE].to(self.device))


def upsampled(errors: Tensor, size: int) -> Tensor:
    """(N, g, g) -> (N, S, S), bilinear; a grid value stands for the centre of its square."""
    maps = F.interpolate(rearrange(errors, "n h w -> n 1 h w"), size, mode="bilinear", align_corners=False)
    return rearrange(maps, "n 1 h w -> n h w")


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """(N, S, S) maps after a gaussian of ``sigma`` pixels, cut at four sigma; 0 leaves them as they are."""
    if sigma == 0:
        return maps
    width = 2 * round(4 * sigma) + 1
    blurred = gaussian_blur2d(rearrange(maps, "n h w -> n 1 h w"), (width, width), (sigma, sigma))
    return rearrange(blurred, "n 1 h w -> n h w")
