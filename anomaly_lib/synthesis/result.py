"""What ``synthesize`` gives: the training pair, and every step on the way for those who look.

Shapes: N images, H x W pixels. Values of images in [0, 1].
"""

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.synthesis.draws import Draws
from anomaly_lib.synthesis.operations import NO_OPERATION, OPERATIONS


@dataclass(frozen=True)
class Steps:
    """What lies between a normal image and its anomaly; zeros for the samples that stay clean on purpose."""

    noise: Tensor
    """Noise before rotation, (N, 1, H, W); for rectangles and cutouts 1 inside and 0 outside."""
    rotated_noise: Tensor
    """Noise after rotation, (N, 1, H, W), 0 in the corners; rectangles and cutouts are not turned."""
    texture_source: Tensor
    """Textures before their operations, (N, 3, H, W)."""
    texture: Tensor
    """Textures after their operations, (N, 3, H, W)."""

    @classmethod
    def blank(cls, images: Tensor) -> "Steps":
        """Zeros for a batch like ``images``."""
        one, three = torch.zeros_like(images[:, :1]), torch.zeros_like(images)
        return cls(one, one.clone(), three, three.clone())

    def set(self, index: int, noise: Tensor, rotated: Tensor, source: Tensor, texture: Tensor) -> None:
        """Fill in the pictures of one sample: (H, W) twice and (3, H, W) twice."""
        self.noise[index], self.rotated_noise[index] = noise, rotated
        self.texture_source[index], self.texture[index] = source, texture

    def to(self, device: torch.device | str) -> "Steps":
        """The same on a device."""
        return Steps(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class Synthesised:
    """The result and everything that was drawn, so that a figure can show each step.

    ``image``, ``mask`` and ``normal`` are what training needs. The other pictures are there if the steps were kept.
    """

    image: Tensor
    """Images with anomalies, (N, 3, H, W): the input of a network."""
    mask: Tensor
    """Where, (N, 1, H, W) float32, 0 or 1; all zero for a sample that stays normal."""
    normal: Tensor
    """The images given, after their own rotation, (N, 3, H, W): what a reconstruction should be.

    It is the tensor that was given, not a copy, where no image was turned.
    """
    draws: Draws
    """All random numbers, on the CPU."""
    steps: Steps | None
    """Pictures of the steps; None where they were not kept."""

    @property
    def noise(self) -> Tensor:
        """As in ``Steps``."""
        return self._kept().noise

    @property
    def rotated_noise(self) -> Tensor:
        """As in ``Steps``."""
        return self._kept().rotated_noise

    @property
    def texture_source(self) -> Tensor:
        """As in ``Steps``."""
        return self._kept().texture_source

    @property
    def texture(self) -> Tensor:
        """As in ``Steps``."""
        return self._kept().texture

    @property
    def blend(self) -> Tensor:
        """Normal image and texture mixed everywhere, as if the mask were all 1, (N, 3, H, W)."""
        weight = rearrange(self.opacity * self.draws.anomalous, "n -> n 1 1 1").to(self.normal.device)
        return torch.lerp(self.normal, self.texture, weight)

    @property
    def operations(self) -> list[tuple[str, ...]]:
        """Names of the texture operations of each sample, in order; none for clean samples, cutouts and colours."""
        chosen = self.draws.operations.where(self.draws.anomalous[:, None], NO_OPERATION).tolist()
        return [tuple(OPERATIONS[index] for index in indices if index != NO_OPERATION) for indices in chosen]

    @property
    def opacity(self) -> Tensor:
        """Opacity of the texture inside the mask, 1 - beta, (N,) on the CPU; without meaning for clean samples."""
        return self.draws.opacity

    @property
    def cells(self) -> Tensor:
        """Perlin cells along height and width, (N, 2) on the CPU; without meaning where there is no noise."""
        return self.draws.cells

    def to(self, device: torch.device | str) -> "Synthesised":
        """The same with its pictures on a device; the draws stay on the CPU."""
        steps = None if self.steps is None else self.steps.to(device)
        return Synthesised(self.image.to(device), self.mask.to(device), self.normal.to(device), self.draws, steps)

    def _kept(self) -> Steps:
        if self.steps is None:
            raise InputError("the steps of this batch were not kept; make it with keep_steps=True")
        return self.steps
