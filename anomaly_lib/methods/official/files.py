"""Reading a checkpoint of plain tensors, whoever wrote it."""

from pathlib import Path
from typing import Any

import torch

from anomaly_lib.errors import InputError


def read_checkpoint(file: str | Path) -> Any:
    """What a torch file holds, read without running any code in it, on the CPU.

    Raises InputError, naming the file, when it is missing, torn, or holds anything but plain tensors and containers.
    """
    file = Path(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{file}: no such checkpoint") from None
    except Exception as error:  # torch raises many kinds for foreign or torn files
        raise InputError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from None
