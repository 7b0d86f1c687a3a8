"""Self-checks of exercises: a learner's function against values that are known, with a hint that fits the error.

A check never raises: a lesson runs from end to end with the exercises unsolved, and says so.
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from dis import get_instructions
from types import CodeType
from typing import Any

import numpy as np

from anomaly_course.lessons.arrays import Part, as_array, is_large, number, side_by_side, window
from anomaly_course.lessons.cells import ENDING

TOLERANCE = 1e-4
NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE"}
"""Operations of a function whose body is three dots."""
Case = tuple[tuple, Any]
"""Arguments, and what they should give: a number, an array, or a Span."""


@dataclass(frozen=True)
class Span:
    """Any number above ``low`` and up to ``high`` is right."""

    low: float
    high: float

    def __repr__(self) -> str:
        return f"above {number(self.low)}, up to {number(self.high)}"


def check(
    title: str, attempt: Callable, cases: Sequence[Case], hint: str, mistakes: Sequence[tuple[Callable, str]] = ()
) -> bool:
    """Print whether ``attempt(*arguments)`` gives what each of ``cases`` says, to 1e-4; return it.

    ``mistakes`` are likely wrong answers, each with the hint for whoever gave it: a function that agrees with one of
    them in all cases gets that hint, every other one ``hint``. A body of three dots counts as not begun. A lesson's own
    solution, by the end of its name, is checked too, and nothing is said when it is right.
    """
    found = []
    for arguments, _ in cases:
        try:
            found.append(attempt(*deepcopy(arguments)))  # a function that changes its arguments shall not change ours
        except Exception as error:  # a learner's function may fail in any way
            advice = f"\nHint: {_sentence(hint).rstrip()}" if callable(attempt) else ""
            return _say(title, _stopped(attempt, error) + advice)
        if found[-1] is None or found[-1] is Ellipsis:
            return _say(title, "not begun." if _is_stub(attempt) else "it gives None. Did you forget return?")
    right = [agree(mine, expected) for mine, (_, expected) in zip(found, cases, strict=True)]
    if all(right):
        if not getattr(attempt, "__name__", "").endswith(ENDING):
            _say(title, f"right, in {len(cases)} of {len(cases)} cases.")
        return True
    first = right.index(False)
    words = f"not yet, right in {sum(right)} of {len(cases)} cases. The first that differs:\n"
    words += _difference(attempt, *cases[first], found[first])
    advice = _known(found, cases, mistakes) or hint
    remark = "" if advice != hint else _remark(found, [expected for _, expected in cases])
    return _say(title, f"{words}\nHint: {_sentence(remark)}{_sentence(advice).rstrip()}")


def agree(found: Any, expected: Any) -> bool:
    """Whether the value is the expected one, to 1e-4, relative or absolute, and of the same shape."""
    array = as_array(found)
    if isinstance(expected, Span):
        return array is not None and array.shape == () and bool(expected.low < array <= expected.high)
    wanted = as_array(expected)
    if array is None or wanted is None or array.shape != wanted.shape:
        return False
    return bool(np.allclose(array, wanted, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _say(title: str, words: str) -> bool:
    print(f"{title}: {words}")
    return False


def _stopped(attempt: Callable, error: Exception) -> str:
    if not callable(attempt):
        return f"that is {attempt!r}, not a function. Write one that begins with def."
    code = _code(attempt)
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    where = f"in line {lines[-1] - code.co_firstlineno + 1} of your function " if code and lines else ""
    powers = " Python writes powers with **." if "for ^" in str(error) else ""
    return f"it stopped {where}with {type(error).__name__}: {error}.{powers}"


def _is_stub(attempt: Callable) -> bool:
    code = _code(attempt)
    return code is not None and {step.opname for step in get_instructions(code)} <= NOTHING


def _code(attempt: Callable) -> CodeType | None:
    """What Python made of the learner's own lines; None of a function that was not written in Python."""
    return getattr(inspect.unwrap(attempt), "__code__", None)


def _difference(attempt: Callable, arguments: tuple, expected: Any, found: Any) -> str:
    code = _code(attempt)
    names = code.co_varnames[: code.co_argcount] if code else ()
    names = names if len(names) == len(arguments) else ("given",) * len(arguments)
    mine, wanted = as_array(found), as_array(expected)
    differs, note = None, ""
    if mine is not None and wanted is not None and mine.shape == wanted.shape:
        differs = ~np.isclose(mine, wanted, rtol=TOLERANCE, atol=TOLERANCE)
        if is_large(mine) and mine.ndim > 1:
            index, words = window(differs)
            expected, found, differs, note = wanted[index], mine[index], differs[index], f"\n    ({words})"
    parts: list[Part] = [(name, value, None) for name, value in zip(names, arguments, strict=True)]
    return side_by_side([*parts, ("should be", expected, None), ("yours", found, differs)]) + note


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith('?') else '.'} " if words else ""


def _known(found: list, cases: Sequence[Case], mistakes: Sequence[tuple[Callable, str]]) -> str:
    """The hint of the mistake that gives the same in all cases; empty if there is none."""
    for mistake, advice in mistakes:
        if all(agree(mine, mistake(*deepcopy(given))) for mine, (given, _) in zip(found, cases, strict=True)):
            return advice
    return ""


def _remark(found: list, expected: list) -> str:
    """What the values alone tell of the error, as a sentence before the hint; empty where they tell nothing."""
    pairs = [(as_array(mine), as_array(value), mine) for mine, value in zip(found, expected, strict=True)]
    for mine, wanted, value in pairs:
        if mine is None:
            return f"your function gives a {type(value).__name__}, and a number or an array is wanted"
        if wanted is not None and mine.shape != wanted.shape:
            return f"your result is {_form(mine)} and should be {_form(wanted)}"
    if any(wanted is None for _, wanted, _ in pairs):
        return ""
    mine, wanted = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    if not np.isfinite(mine).all():
        return "NaN and infinity come from a division by 0, or from a root or logarithm below or at 0"
    if agree(mine, -wanted):
        return "only the sign is wrong"
    if agree(mine, 1 - wanted):
        if isinstance(expected[0], bool):
            return "True and False are exchanged"
        return "yours is 1 minus what it should be"
    factor = float(mine @ wanted) / max(float(wanted @ wanted), 1e-12)
    if abs(factor) > TOLERANCE and (wanted != 0).sum() > 1 and agree(mine, factor * wanted):
        return f"every value is {number(factor)} times what it should be"
    return ""


def _form(array: np.ndarray) -> str:
    return f"an array of shape {array.shape}" if array.shape else "a single number"
