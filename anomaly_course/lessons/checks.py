"""Self-checks of exercises: a learner's function against values that are known, with a hint where it differs.

A check never raises: a lesson runs from end to end with the exercises unsolved, and says so.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

TOLERANCE = 1e-4


def check(title: str, attempt: Callable, cases: Sequence[tuple[tuple, Any]], hint: str) -> bool:
    """Print whether ``attempt(*arguments)`` gives what each of ``cases``, (arguments, expected), says; return it.

    Expected values are numbers or tensors and compared to 1e-4, relative or absolute. A function that gives None or
    Ellipsis counts as not begun.
    """
    for arguments, expected in cases:
        try:
            found = attempt(*arguments)
        except Exception as error:  # a learner's function may fail in any way
            return _say(f"{title}: it stopped with {type(error).__name__}: {error}. Hint: {hint}", False)
        if found is None or found is Ellipsis:
            return _say(f"{title}: not begun. Hint: {hint}", False)
        if not _equal(found, expected):
            difference = f"{_shown(arguments)} should give {_shown(expected)}, yours gives {_shown(found)}"
            return _say(f"{title}: not yet; {difference}. Hint: {hint}", False)
    return _say(f"{title}: right, in {len(cases)} of {len(cases)} cases.", True)


def _say(line: str, verdict: bool) -> bool:
    print(line)
    return verdict


def _equal(found: Any, expected: Any) -> bool:
    try:
        found, expected = torch.as_tensor(found).double(), torch.as_tensor(expected).double()
    except (TypeError, ValueError, RuntimeError):
        return False
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def _shown(value: Any) -> str:
    """Short enough for one line."""
    if isinstance(value, tuple):
        return ", ".join(_shown(part) for part in value)
    if isinstance(value, torch.Tensor) and value.numel() > 4:
        return f"a tensor of shape {tuple(value.shape)} with mean {value.double().mean():.4g}"
    return f"{value.tolist()}" if isinstance(value, torch.Tensor) else f"{value!r}"
