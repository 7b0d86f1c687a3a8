"""How long things take: written beside the pipeline's outputs, never into them, since no run repeats a time."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomaly_lib import numerics
from anomaly_lib.files import replacing


@contextmanager
def stopwatch(file: Path, **facts: Any) -> Iterator[None]:
    """Write the block's wall-clock seconds, the machine and ``facts`` to ``file`` as JSON, if the block ends well."""
    started = time.perf_counter()
    yield
    record = {"seconds": time.perf_counter() - started, **machine(), **facts}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Device that torch uses, its name, and how many cores there are."""
    from anomaly_lib.reproducibility import default_device

    device = default_device()
    return {"device": device.type, "name": _device_name(device), "cores": os.cpu_count()}


def _device_name(device) -> str:
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return numerics.processor()
