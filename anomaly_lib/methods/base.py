"""What every method offers, so that pipeline, notebooks and commands need no special case.

Adding a method: one folder, one line in ``anomaly_lib.registry``; see ``docs/add_a_method.md``.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.params import MethodParams, Resize
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import default_device, derived_seed
from anomaly_lib.data.folder import Sample
from anomaly_lib.data.tensors import load_images
from anomaly_lib.params import params_hash
from anomaly_lib.registry import METHODS, base_of, method_class, shown_name

__all__ = ["METHODS", "Method", "ScoreMaps", "in_batches", "method_class", "within"]

AT_ONCE = 8
"""Images that a network sees together when it scores; the number bounds memory and changes no result."""
ParamsOf = TypeVar("ParamsOf", bound=MethodParams)
ModelOf = TypeVar("ModelOf", bound=nn.Module)


@dataclass(frozen=True)
class ScoreMaps:
    """What a method says of N images; higher means more anomalous."""

    maps: Tensor
    """Anomaly maps, (N, H, W) float32 on the CPU, at the method's image size."""
    scores: Tensor
    """Image scores, (N,) float32 on the CPU."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Further image scores by name, (N,) each, of a method whose score has parts; evaluated beside ``scores``."""

    @classmethod
    def joined(cls, batches: Sequence["ScoreMaps"]) -> "ScoreMaps":
        """The images of all batches, one batch after another."""
        parts = {name: torch.cat([batch.parts[name] for batch in batches]) for name in batches[0].parts}
        return cls(torch.cat([batch.maps for batch in batches]), torch.cat([batch.scores for batch in batches]), parts)


class Method(ABC, Generic[ParamsOf, ModelOf]):
    """One trainable detector, generic in the class of its params and of the module that holds what it learnt.

    Images are (N, 3, S, S) float32 in [0, 1] with S = ``params.image_size``. A variant overrides ``outputs``, or of a
    method that is trained in steps ``networks``, ``losses``, ``optimizer``, ``scheduler`` (docs/add_a_method.md).
    """

    name: ClassVar[str]
    """Key in the registry, in params.yaml and in file names."""
    paper: ClassVar[str]
    """Where it was published."""

    def __init__(self, params: ParamsOf, seed: int = 0):
        self.params = params
        self.seed = seed
        self.device = default_device()
        self.model: ModelOf | None = None  # once fitted or loaded

    @property
    def title(self) -> str:
        """Name for people, from the registry."""
        return shown_name(self.name)

    @abstractmethod
    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        """Train on normal images only; return the history, one row per logged step; empty without steps.

        ``work`` is a folder for caches and for resuming after an interruption; None keeps all in memory.
        Raises InputError when the images cannot be trained on.
        """

    @property
    def scores_are_relative(self) -> bool:
        """Whether an image's score depends on the images that are scored with it; then a single photo has none."""
        return False

    @abstractmethod
    def outputs(self, images: Tensor, region: Tensor | None = None) -> dict[str, Tensor]:
        """All that is said of one batch, by torch operations alone, so that it can be exported.

        ``map`` (N, S, S), ``score`` (N,), pictures of ``explain``. Raises InputError for settings that cannot do so.
        """

    def score(self, images: Tensor, progress: bool = False, region: Tensor | None = None) -> ScoreMaps:
        """Anomaly maps and image scores. Raises InputError before ``fit`` or loading.

        Outside of ``region``, (S, S) or (N, S, S) bool, maps are 0, the least anomalous, and so do not count in scores.
        """
        found = self._joined_outputs(images, ("map", "score"), progress, region)
        return ScoreMaps(found["map"], found["score"])

    def explain(self, images: Tensor) -> dict[str, Tensor]:
        """Named intermediate pictures for lessons, each (N, H, W) or (N, 3, H, W); ``map`` is that of ``score``."""
        found = self._joined_outputs(images)
        del found["score"]
        return found

    def see(
        self, images: np.ndarray, region: np.ndarray | None = None, explain: bool = False
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """``score`` and, if asked for, ``explain`` with arrays: maps, scores, pictures; see ``detector.Detector``."""
        inside = None if region is None else torch.from_numpy(region)
        scored = self.score(torch.from_numpy(images), region=inside)
        pictures = self.explain(torch.from_numpy(images)) if explain else {}
        return scored.maps.numpy(), scored.scores.numpy(), {name: p.cpu().numpy() for name, p in pictures.items()}

    def exportable(self, region: Tensor | None = None) -> nn.Module:
        """``outputs`` as a module that owns all networks; ``region`` (S, S) bool becomes a part of it."""
        return _Exportable(self, region)

    def calibrate(self, normals: Tensor, progress: bool = False) -> None:
        """Find what is normal for scores, where a method does; ``fit`` ends with it, imported models need it."""
        self.check(normals)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that ``fit`` made, as named tensors (safetensors can hold them). Raises InputError before."""
        return self.fitted.state_dict()

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave. Raises InputError when it belongs to other settings."""

    @abstractmethod
    def architecture(self) -> list[dict]:
        """Rows ``{"part", ..., "parameters"}`` of the live model, trained parameters counted, for tables."""

    @property
    def image_size(self) -> int:
        """S."""
        return self.params.image_size

    @property
    def image_resize(self) -> Resize:
        """How photos reach that size."""
        return self.params.image_resize

    def images(self, samples: Sequence[Sample | Path | str], progress: bool = False) -> Tensor:
        """Photos as this method sees them, (N, 3, S, S). Raises InputError for a file that cannot be read."""
        return load_images(samples, self.image_size, progress, self.image_resize)

    @property
    def fitted(self) -> ModelOf:
        """What ``fit`` or ``load_state_dict`` made. Raises InputError before."""
        if self.model is None:
            raise InputError(f"this {self.title} model is not trained; call fit, or load a trained model")
        return self.model

    def check(self, images: Tensor) -> None:
        """Raise InputError unless these are images of the model's size, at least one."""
        size = self.params.image_size
        if images.ndim != 4 or images.shape[1:] != (3, size, size) or not len(images):
            raise InputError(f"{self.title} needs images of shape (N, 3, {size}, {size}), got {tuple(images.shape)}")

    def identity(self, normals: Tensor) -> str:
        """Tells one training from another by params, seed and fit images, for resuming."""
        return f"{params_hash(self.params)}-{self.seed}-{tuple(normals.shape)}-{normals.double().sum().item():.9e}"

    def restore(self, model: ModelOf, state: dict[str, Tensor]) -> None:
        """Fill ``model`` with a state and make it the fitted one. Raises InputError when names or shapes differ."""
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise InputError(f"these tensors are not of a {self.title} model with these params: {text}") from None
        self.model = model.to(self.device).eval()

    @torch.no_grad()
    def _joined_outputs(
        self, images: Tensor, names: tuple[str, ...] = (), progress: bool = False, region: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``outputs`` of a few images at a time, joined on the CPU; those of ``names``, or all."""
        self.check(images)
        size, found = self.image_size, []
        regions = itertools.repeat(None) if region is None else in_batches(region.expand(len(images), size, size))
        for batch, inside in zip(in_batches(images, f"{self.title} scores", progress), regions, strict=False):
            outputs = self.outputs(batch.to(self.device), inside)
            found.append({name: outputs[name].cpu() for name in names or outputs})
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    @contextmanager
    def own_initial_weights(self) -> Iterator[None]:
        """Inside, torch draws this method's, or its base's, initial weights of this seed; after, as if nothing was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, base_of(self.name), "init"))
            yield


def in_batches(items: Any, description: str = "", progress: bool = False) -> Iterator[Any]:
    """Slices of ``AT_ONCE`` items of a tensor or sequence, one after another, the last one shorter; with a bar."""
    for start in progress_bar(range(0, len(items), AT_ONCE), description=description, show=progress):
        yield items[start : start + AT_ONCE]


def within(maps: Tensor, region: Tensor | None) -> Tensor:
    """Maps (N, S, S), 0 outside of the region (S, S) or (N, S, S) bool; as they are without one."""
    return maps if region is None else maps.masked_fill(~region.to(maps.device), 0.0)


def parameter_count(module: nn.Module) -> int:
    """How many numbers a module's parameters hold."""
    return sum(parameter.numel() for parameter in module.parameters())


class _Exportable(nn.Module):
    """(N, 3, S, S) in [0, 1] -> the method's ``outputs``."""

    region: Tensor | None

    def __init__(self, method: Method[Any, Any], region: Tensor | None):
        super().__init__()
        self.method = method
        self.networks = nn.ModuleList(part for part in vars(method).values() if isinstance(part, nn.Module))
        self.register_buffer("region", region)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.method.outputs(images, self.region)
