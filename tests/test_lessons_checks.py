"""The self-checks of exercises: they tell right from wrong, and never stop a lesson."""

import pytest
import torch

from anomaly_course.lessons.checks import check

CASES = [((2.0,), 4.0), ((torch.tensor([1.0, 3.0]),), torch.tensor([1.0, 9.0]))]


@pytest.mark.parametrize(
    ("attempt", "verdict", "words"),
    [
        (lambda x: x * x, True, "Square: right, in 2 of 2 cases."),
        (lambda x: 2 * x, False, "[1.0, 3.0] should give [1.0, 9.0], yours gives [2.0, 6.0]"),
        (lambda x: ..., False, "not begun. Hint: think"),
        (lambda x: None, False, "not begun"),
        (lambda x: 1 / 0, False, "stopped with ZeroDivisionError"),
        (lambda: 0, False, "stopped with TypeError"),
        (lambda x: "four", False, "should give 4.0, yours gives 'four'"),
        (lambda x: torch.zeros(3, 3), False, "a tensor of shape (3, 3)"),
        (lambda x: float("nan"), False, "yours gives nan"),
    ],
)
def test_verdict_and_words(attempt, verdict, words, capsys):
    assert check("Square", attempt, CASES, "think") is verdict
    assert words in capsys.readouterr().out
