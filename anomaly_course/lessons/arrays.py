"""Small arrays as text, beside each other, with the places that differ in brackets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGEST, ROWS, COLUMNS, WIDTH = 100, 4, 6, 100
"""Elements of an array that is shown as a whole; rows and columns of a part of a larger one; characters of a line."""

Part = tuple[str, Any, np.ndarray | None]
"""Title, value, and which of its places are marked."""


def as_array(value: Any) -> np.ndarray | None:
    """The value as float64; None where it is nothing that has one: words, ragged lists, complex numbers."""
    try:
        if isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value):
            value = torch.stack([torch.as_tensor(part) for part in value])
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        return array.astype(float) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError, RuntimeError):
        return None


def side_by_side(parts: Sequence[Part]) -> str:
    """The parts from left to right, each below its title, in as many rows as they need."""
    rows: list[list[list[str]]] = [[]]
    used = 0
    for title, value, marked in parts:
        lines = [title, *_lines(value, marked)]
        width = max(map(len, lines))
        if used and used + width > WIDTH:
            rows.append([])
            used = 0
        rows[-1].append([line.ljust(width) for line in lines])
        used += width + 3
    return "\n".join(line for row in rows for line in _joined(row))


def _joined(blocks: list[list[str]]) -> list[str]:
    height = max(map(len, blocks))
    full = [block + [" " * len(block[0])] * (height - len(block)) for block in blocks]
    return ["    " + "   ".join(line).rstrip() for line in zip(*full, strict=True)]


def _lines(value: Any, marked: np.ndarray | None) -> list[str]:
    array = as_array(value)
    if array is None or (isinstance(value, list) and any(isinstance(part, tuple) for part in value)):
        return [_clipped(repr(value))]
    if isinstance(value, bool | np.bool_):
        return [_cell(str(bool(value)), marked is not None)]
    return [f"an array {array.shape}"] if is_large(array) else _planes(array, marked)


def is_large(array: np.ndarray) -> bool:
    """Whether it is too large to be shown as a whole."""
    return array.size > LARGEST or array.ndim > 3


def _planes(array: np.ndarray, marked: np.ndarray | None) -> list[str]:
    """An array of at most three axes; its planes stand beside each other, or below where that is too wide."""
    if not array.size:
        return ["empty"]
    marks = np.zeros(array.shape, bool) if marked is None else marked
    planes = array.reshape((-1, *(1, 1, *array.shape)[-2:]))
    cells = np.vectorize(_cell, otypes=[object])(planes, marks.reshape(planes.shape))
    width = max(map(len, cells.flat))
    fit = max(1, WIDTH // width)  # cells of a line
    texts = [
        ["".join(cell.rjust(width) for cell in row[at : at + fit]) for row in plane for at in range(0, len(row), fit)]
        for plane in cells
    ]
    if len(texts) * len(texts[0][0]) <= WIDTH // 2:
        return [" | ".join(rows) for rows in zip(*texts, strict=True)]
    return [line for number, plane in enumerate(texts) for line in (["-" * len(plane[0])] if number else []) + plane]


def window(marked: np.ndarray) -> tuple[tuple, str]:
    """Index of the part of a large array around its first marked place, and words for where it is."""
    *plane, row, column = np.unravel_index(int(marked.argmax()), marked.shape)
    top, left = max(0, int(row) - 1), max(0, int(column) - 1)
    index = (*map(int, plane), slice(top, top + ROWS), slice(left, left + COLUMNS))
    words = f"from row {top} and column {left} of {marked.shape[-2]} x {marked.shape[-1]}"
    return index, f"plane {', '.join(map(str, index[:-2]))}, {words}" if plane else words


def _cell(value: float | str, marked: bool) -> str:
    text = value if isinstance(value, str) else number(value)
    return f"[{text}]" if marked else f" {text} "


def number(value: float) -> str:
    """Four significant digits, without the type's name."""
    if not math.isfinite(value):
        return str(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def _clipped(text: str, longest: int = 46) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]} …"
