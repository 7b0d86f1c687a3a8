"""Seeds, threads and provenance: the same inputs give the same bytes.

How the processor computes is decided earlier, before torch loads: ``anomaly_lib.base.numerics``. Every random draw
comes from a generator that is named after its purpose, so that one purpose drawing more or less never shifts another
(``generator(seed, "init")`` and ``generator(seed, "batches")`` are independent).
"""

import hashlib
import os
import platform
import random
import warnings
from importlib.metadata import version

import numpy as np
import torch

from anomaly_lib.base import numerics

STAMPED_PACKAGES = ("torch", "torchvision", "timm", "kornia", "torchmetrics", "numpy", "scipy", "pillow")


def generator(seed: int, *purpose: str) -> torch.Generator:
    """A torch CPU generator for one purpose, for example ``generator(0, "dfr", "nut", "batches")``."""
    return torch.Generator().manual_seed(derived_seed(seed, *purpose))


def derived_seed(seed: int, *purpose: str) -> int:
    """A 63-bit seed from a seed and a purpose, stable across machines and Python versions."""
    digest = hashlib.sha256("/".join([str(seed), *purpose]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_deterministic(threads: int, seed: int = 0) -> None:
    """Pin threads, choose deterministic algorithms, and seed the global generators.

    The global generators are seeded for third-party code only; ours draw from ``generator``. Warns when torch or NumPy
    loaded too early to compute as ``anomaly_lib.base.numerics`` has it.
    """
    if problem := numerics.late():
        warnings.warn(problem, stacklevel=2)
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA refuses deterministic products
    torch.use_deterministic_algorithms(True)
    # filling every new tensor guards against reading it before writing; nothing here does, and it took 8 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  third-party code draws from the legacy generator
    torch.manual_seed(seed)


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def provenance() -> dict[str, str]:
    """What decides the bytes of a result: versions and the mode of ``base.numerics``. No time, path or machine name."""
    stamp = {"python": platform.python_version(), "machine": platform.machine(), "numerics": numerics.mode()}
    return stamp | {name: version(name) for name in STAMPED_PACKAGES}
