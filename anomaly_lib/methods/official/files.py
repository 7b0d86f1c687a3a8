"""Reading a checkpoint of plain tensors, whoever wrote it, and writing one."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.params import MethodParams


def read_checkpoint(file: str | Path) -> Any:
    """What a torch file holds, read without running any code in it, on the CPU.

    Raises InputError, naming the file, when it is missing, torn, or holds anything but plain tensors and containers.
    """
    file = Path(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol, say: what matters is whether it can be read
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{file}: no such checkpoint") from None
    except Exception as error:  # torch raises many kinds for foreign or torn files
        raise InputError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from None


def refuse_existing(*files: Path) -> None:
    """Raise InputError if one of the files to write is there already."""
    for file in files:
        if file.exists():
            raise InputError(f"{file}: already there; move it away, or export to another folder")


def refuse_other_settings(params: MethodParams, official: MethodParams, keys: Iterable[str]) -> None:
    """Raise InputError if one of ``keys``, which no file says and the authors' code takes for granted, differs."""
    for key in keys:
        here, there = getattr(params, key), getattr(official, key)
        if here != there:
            what = f"this model has {key} {here}, the authors' files take {there} for granted"
            raise InputError(f"{what}; train with preset {official.preset} to export")


def part_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, named without it, on the CPU and contiguous: fit to be saved."""
    return {
        name.removeprefix(prefix): tensor.cpu().contiguous()
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def write_checkpoint(file: Path, content: dict[str, Any]) -> None:
    """Save plain tensors as a torch file, under a temporary name first; makes its folder."""
    with replacing(file) as temporary:
        torch.save(content, temporary)
