"""DFR as a method: how it is fitted, and what it says of images.

Deviates from the authors' code, each a switch in params and a row in docs/fidelity/dfr.md: batches of random
locations instead of whole images; reconstruction in a whitened space; a one-cycle schedule; a smoothed map. The
presets ``official_12`` and ``official_16`` take the switches back; rows whose switch is "none" stay: batches are random
locations, and features are read before the next convolution's padding (the authors' maps are misregistered).

Shapes: N images, C channels, S image side, g grid side, M locations of a batch.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.methods.backbones import Backbone, FeatureCache
from anomaly_lib.methods.base import Method, in_batches, parameter_count, within
from anomaly_lib.methods.dfr.features import RegionalFeatures
from anomaly_lib.methods.dfr.network import DfrModel, FeatureAutoencoder, reconstruction_error
from anomaly_lib.methods.dfr.params import DfrParams
from anomaly_lib.methods.dfr.space import FeatureSpace, fit_space, latent_size, statistics
from anomaly_lib.methods.maps import LocationScale, location_scale, smoothed, upsampled
from anomaly_lib.methods.training import Task, train

LOCATION_IMAGES = 150  # beyond so many, the mean error of a place hardly moves
STATISTICS_LOCATIONS = 10 * 64 * 64  # as many as in the authors' ten images, but drawn from all


class Dfr(Method[DfrParams, DfrModel]):
    """Deep Feature Reconstruction."""

    name = "dfr"
    paper = "Yang, Shi, Qi: DFR, Neurocomputing 424 (2021), arXiv 2012.07122"

    def __init__(self, params: DfrParams, seed: int = 0):
        super().__init__(params, seed)
        backbone = Backbone(params.backbone, params.layers, params.weights, params.reflect_padding)
        self.features = RegionalFeatures(backbone, params.image_size, params.feature_size, params.resize)
        self.features.to(self.device)

    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        self.check(normals)
        channels, grid = sum(self.features.channels), self.params.feature_size**2
        with FeatureCache(len(normals) * grid, channels, self.params.memory_gigabytes, work) as cache:
            for batch in in_batches(normals, "DFR features", progress):
                cache.append(rearrange(self.features(batch.to(self.device)), "n c h w -> (n h w) c"))
            self._build(cache.draw(STATISTICS_LOCATIONS, generator(self.seed, "dfr", "statistics")))
            task = self._task(cache, self.identity(normals))
            history = train(task, work / "training.pt" if work else None, progress)
            if self.params.location_prior is not None:
                self._fit_location_scale(cache, self.params.location_prior)
        return history

    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        """Beside map and score each layer's mean squared error, unsmoothed, by the layer's name."""
        target, reconstruction = self.fitted.reconstructed(self.features(images))
        errors = self.fitted.location(reconstruction_error(target, reconstruction))
        maps = within(smoothed(upsampled(errors, self.image_size), self.params.smoothing_sigma, "mirrored"), region)
        targets, reconstructions = self.features.split(target), self.features.split(reconstruction)
        layers = {layer: reconstruction_error(targets[layer], reconstructions[layer]) for layer in targets}
        shown = {layer: upsampled(error, self.image_size) for layer, error in layers.items()}
        return {"map": maps, "score": maps.amax(dim=(1, 2))} | shown

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        try:
            channels = sum(self.features.channels)
            mean, matrix = state["space.mean"].float(), state["space.matrix"].float()
            axes = 2 if self.params.feature_space == "whitened" else 1
            if mean.shape != (channels,) or matrix.shape != (channels,) * axes:
                raise InputError(f"these tensors are not of a DFR model with {channels} channels")
            latent = len(state["autoencoder.decoder.0.weight"][0])
            self._assemble(FeatureSpace(mean, matrix), latent).load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"these tensors are not of a DFR model with these params: {error}") from None

    def architecture(self) -> list[dict]:
        rows = self.features.backbone.rows(self.features.channels)
        for name, layer in self.fitted.autoencoder.named_modules():
            if isinstance(layer, nn.Conv2d):
                part = f"{name.partition('.')[0]}: 1x1 convolution"
                rows.append({"part": part, "channels": layer.out_channels, "parameters": parameter_count(layer)})
        return rows

    def networks(self, channels: int, latent: int) -> FeatureAutoencoder:
        """The autoencoder, untrained."""
        return FeatureAutoencoder(channels, latent, self.params.batch_norm)

    def losses(self, reconstruction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Scalar losses of one step by name, of (n, C, 1, M/n) descriptions in feature space; ``loss`` is minimised."""
        return {"loss": F.mse_loss(reconstruction, target)}

    def optimizer(self, networks: nn.Module) -> Optimizer:
        return torch.optim.Adam(networks.parameters(), lr=self.params.learning_rate, fused=True)

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler | None:
        one_cycle = self.params.schedule == "one_cycle"
        return OneCycleLR(optimizer, self.params.learning_rate, total_steps=steps) if one_cycle else None

    def _task(self, cache: FeatureCache, identity: str) -> Task:
        model, batch = self.fitted, self.params.batch
        steps = self.params.steps_on(len(cache.vectors), batch)
        optimizer = self.optimizer(model.autoencoder)
        scheduler, draw = self.scheduler(optimizer, steps), generator(self.seed, "dfr", "batches")

        def losses(step: int) -> dict[str, Tensor]:
            # M locations as n images of 1 x M/n, 16 where that divides M, as ``by_rows`` does
            drawn = rearrange(cache.draw(batch, draw).to(self.device), "(n m) c -> n c 1 m", n=math.gcd(batch, 16))
            target = model.space(drawn)
            return self.losses(model.autoencoder(target), target)

        return Task(model.autoencoder, optimizer, losses, steps, identity, scheduler, {"batches": draw}, "DFR training")

    def _build(self, locations: Tensor) -> None:
        """Feature space, latent size and freshly initialised autoencoder from (M, C) normal vectors."""
        params = self.params
        normal = statistics(locations)
        space = fit_space(params.feature_space, normal)
        latent = params.latent or latent_size(params.feature_space, normal, params.latent_variance)
        with self.own_initial_weights():
            self._assemble(space, latent)

    def _assemble(self, space: FeatureSpace, latent: int) -> DfrModel:
        autoencoder = self.networks(sum(self.features.channels), latent)
        model = DfrModel(space, autoencoder, LocationScale(self.params.feature_size))
        self.model = model.to(self.device).eval()
        return self.model

    def _fit_location_scale(self, cache: FeatureCache, prior: float) -> None:
        grid = self.params.feature_size
        images = rearrange(cache.vectors, "(n h w) c -> n c h w", h=grid, w=grid)
        chosen = images[:: -(-len(images) // LOCATION_IMAGES)]
        pairs = (self.fitted.reconstructed(batch.to(self.device)) for batch in in_batches(chosen))
        errors = torch.cat([reconstruction_error(*pair) for pair in pairs])
        self.fitted.location.scale.copy_(location_scale(errors, prior))
