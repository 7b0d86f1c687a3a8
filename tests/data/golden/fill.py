"""Deterministic weights for the golden vectors: the same seed gives the same state dict everywhere."""

import numpy as np
import torch


def fill(keys_and_shapes, seed):
    """State dict for [[key, shape], ...], drawn in that order from numpy's RandomState(seed)."""
    rng, out = np.random.RandomState(seed), {}
    for key, shape in keys_and_shapes:
        shape = tuple(shape)
        if key.endswith("num_batches_tracked"):
            out[key] = torch.tensor(1)
            continue
        if key.endswith("running_var"):
            a = rng.uniform(0.5, 1.5, shape)
        elif key.endswith("running_mean"):
            a = rng.normal(0, 0.1, shape)
        elif len(shape) == 1 and key.endswith("weight"):
            a = rng.uniform(0.8, 1.2, shape)
        elif len(shape) == 1:
            a = rng.normal(0, 0.05, shape)
        elif len(shape) == 0:
            a = rng.normal(0, 1, shape)
        else:
            a = rng.normal(0, (2 / int(np.prod(shape[1:]))) ** 0.5, shape)
        out[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return out
