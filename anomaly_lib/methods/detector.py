"""What ``detect`` needs of a model. Free of torch: an exported bundle offers the same as a ``Method``."""

from typing import Any, Protocol

import numpy as np

from anomaly_lib.base.params import Resize


class Detector(Protocol):
    """Scores images: a ``Method``, or the one inside a bundle."""

    name: str

    @property
    def title(self) -> str:
        """Name for people."""

    seed: int

    @property
    def image_size(self) -> int:
        """S, the side of the images that it takes."""

    @property
    def image_resize(self) -> Resize:
        """How photos reach that size."""

    @property
    def scores_are_relative(self) -> bool:
        """Whether an image's score depends on the images that are scored with it."""

    def see(
        self, images: np.ndarray, region: np.ndarray | None = None, explain: bool = False
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """(N, 3, S, S) float32 in [0, 1] -> maps (N, S, S), scores (N,), and with ``explain`` pictures by name.

        Outside of ``region``, (S, S) or (N, S, S) bool, maps are 0.
        """


class Model(Protocol):
    """A detector that decides: a ``TrainedModel`` or a ``Bundle``."""

    @property
    def method(self) -> Detector: ...
    @property
    def category(self) -> str: ...
    @property
    def thresholds(self) -> dict[str, Any]: ...
    @property
    def digest(self) -> str: ...
