"""How long things take: written beside the pipeline's outputs, never into them, since no run repeats a time."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomaly_lib.base import numerics
from anomaly_lib.base.files import replacing

if TYPE_CHECKING:
    import torch

    from anomaly_lib.methods.base import Method

WARM_UPS = 3


@contextmanager
def stopwatch(file: Path, **facts: Any) -> Iterator[None]:
    """Write the block's wall-clock seconds, the machine and ``facts`` to ``file`` as JSON, if the block ends well."""
    started = time.perf_counter()
    yield
    record = {"seconds": time.perf_counter() - started, **machine(), **facts}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def latency(detector: Method, image: torch.Tensor, repeats: int) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds, of scoring one image (1, 3, S, S)."""
    for _ in range(WARM_UPS):
        detector.score(image)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        detector.score(image)  # its results are on the CPU, so that a GPU has finished too
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds), 1000 * statistics.quantiles(seconds, n=20)[-1]


def machine() -> dict[str, Any]:
    """Device that torch uses, its name, and how many cores there are."""
    from anomaly_lib.base.reproducibility import default_device

    device = default_device()
    return {"device": device.type, "name": _device_name(device), "cores": os.cpu_count()}


def _device_name(device) -> str:
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return numerics.processor()
