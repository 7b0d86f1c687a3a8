"""What every method offers, so that pipeline, notebooks and commands need no special case.

Adding a method: one folder, one line in ``anomaly_lib.registry``; see ``docs/add_a_method.md``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from anomaly_lib.params import MethodParams
from anomaly_lib.registry import METHODS, method_class

__all__ = ["METHODS", "Method", "ScoreMaps", "method_class"]


@dataclass(frozen=True)
class ScoreMaps:
    """What a method says of N images; higher means more anomalous."""

    maps: Tensor
    """Anomaly maps, (N, H, W) float32 on the CPU, at the method's image size."""
    scores: Tensor
    """Image scores, (N,) float32 on the CPU."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Further image scores by name, (N,) each, of a method whose score has parts; evaluated beside ``scores``."""


class Method(ABC):
    """One trainable detector. Images are (N, 3, S, S) float32 in [0, 1] with S = ``params.image_size``."""

    name: ClassVar[str]
    """Key in params.yaml and in file names."""
    title: ClassVar[str]
    """Name for people."""
    paper: ClassVar[str]
    """Where it was published."""

    def __init__(self, params: MethodParams, seed: int = 0):
        self.params = params
        self.seed = seed

    @abstractmethod
    def fit(self, normals: Tensor, work: Path | None = None, progress: bool = True) -> list[dict]:
        """Train on normal images only; return the history, one row a logged step.

        ``work`` is a folder for caches and for resuming after an interruption; None keeps all in memory.
        Raises InputError when the images cannot be trained on.
        """

    @abstractmethod
    def score(self, images: Tensor, progress: bool = False) -> ScoreMaps:
        """Anomaly maps and image scores. Raises InputError before ``fit`` or loading."""

    @abstractmethod
    def explain(self, images: Tensor) -> dict[str, Tensor]:
        """Named intermediate pictures for lessons, each (N, H, W) or (N, 3, H, W)."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Everything that ``fit`` made, as named tensors (safetensors can hold them)."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave. Raises InputError when it belongs to other settings."""

    @abstractmethod
    def architecture(self) -> list[dict]:
        """Rows ``{"part", ..., "parameters"}`` of the live model, trained parameters counted, for tables."""
