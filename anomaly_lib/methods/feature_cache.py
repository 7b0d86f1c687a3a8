"""All feature vectors of the fit images, computed once: in memory, or in a file when they are large."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

BYTES = 4  # float32


class FeatureCache:
    """Room for (M, C) float32 vectors. Use as a context manager: a file is removed at the end.

    Above ``memory_gigabytes`` the vectors go to ``folder/features.f32``, when there is a folder.
    """

    def __init__(self, locations: int, channels: int, memory_gigabytes: float, folder: Path | None):
        self.file: Path | None = None
        shape = (locations, channels)
        if folder is None or locations * channels * BYTES <= memory_gigabytes * 1e9:
            self.vectors = torch.empty(shape)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "features.f32"
        self.vectors = torch.from_numpy(np.memmap(self.file, np.float32, "w+", shape=shape))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, C) vectors of random locations, with replacement."""
        return self.vectors[torch.randint(len(self.vectors), (count,), generator=generator)]

    def __enter__(self) -> "FeatureCache":
        return self

    def __exit__(self, *exception) -> None:
        del self.vectors
        if self.file:
            self.file.unlink(missing_ok=True)
