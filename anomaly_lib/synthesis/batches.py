"""Training batches by number: the batch of step k is the same on any number of loader workers, and after resuming."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import generator
from anomaly_lib.params import SynthesisRecipe
from anomaly_lib.synthesis.blend import Synthesised, check, synthesize


class SyntheticBatches(Dataset):
    """Item k is the whole batch of training step k, a ``Synthesised``.

    Normal images are drawn uniformly with replacement, as the authors do; an epoch is as many draws as there are
    images. All draws come from ``generator(seed, "synthesis", str(k))``. Steps can be taken in any order:

        DataLoader(batches, batch_size=None, sampler=range(first_step, steps), num_workers=2)
    """

    def __init__(
        self,
        normals: Tensor,
        textures: Tensor | None,
        recipe: SynthesisRecipe,
        batch: int,
        seed: int,
        keep_steps: bool = False,
    ):
        """``normals`` (M, 3, H, W) in [0, 1]; ``textures`` as in ``synthesize``, for the source "normals" not needed.

        Training needs no pictures of the steps; to look at them, set ``keep_steps``. Raises InputError where
        ``synthesize`` would, before the first step.
        """
        if len(normals) == 0:
            raise InputError("no normal images to make anomalies on")
        self.normals, self.recipe, self.batch, self.seed, self.keep_steps = normals, recipe, batch, seed, keep_steps
        self.textures = normals if recipe.texture_source == "normals" else textures
        check(normals, self.textures, recipe)

    def __getitem__(self, step: int) -> Synthesised:
        draw = generator(self.seed, "synthesis", str(step))
        chosen = torch.randint(len(self.normals), (self.batch,), generator=draw)
        normals = self.normals.index_select(0, chosen.to(self.normals.device))
        return synthesize(normals, self.textures, draw, self.recipe, self.keep_steps)
