"""The self-checks of exercises: they tell right from wrong, show where, and fit the hint to the error."""

import ast
import sys

import nbformat
import numpy as np
import pytest
import torch

from anomaly_course.lessons.cells import EXERCISE, SOLUTION, has_tag, lesson_files
from anomaly_course.lessons.checks import Span, check
from anomaly_lib.params import project_root

CASES = [((2.0,), 4.0), ((torch.tensor([1.0, 3.0]),), torch.tensor([1.0, 9.0]))]
LESSONS = {file.stem: nbformat.read(file, 4) for file in lesson_files(project_root())}


def no_return(x):
    x * x


def stub_with_a_comment(x):
    """(N,) -> (N,)"""
    # numpy is here as np
    ...


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x: ..., "Square: not begun.\n"),
        (stub_with_a_comment, "Square: not begun.\n"),
        (no_return, "Square: it gives None. Did you forget return?\n"),
        (lambda x: 1 / 0, "it stopped in line 1 of your function with ZeroDivisionError: division by zero."),
        (lambda x: x ^ 2, "Python writes powers with **."),
        (lambda: 0, "it stopped with TypeError"),
        (3, "that is 3, not a function"),
        (lambda x: 2 * x, "Hint: Think."),
        (lambda x: x**3, "Hint: That is the cube."),
        (lambda x: -x * x, "Hint: Only the sign is wrong. Think."),
        (lambda x: 3 * x * x, "Hint: Every value is 3 times what it should be. Think."),
        (lambda x: 1 - x * x, "Hint: Yours is 1 minus what it should be. Think."),
        (lambda x: "four", "Hint: Your function gives a str, and a number or an array is wanted."),
        (lambda x: [np.float64(4), 2], "Hint: Your result is an array of shape (2,) and should be a single number."),
        (lambda x: float("nan") * x, "Hint: NaN and infinity come from"),
        (lambda x: 1j, "Hint: Your function gives a complex"),
    ],
)
def test_what_it_says_of_an_answer_that_is_not_right(attempt, words, capsys):
    assert check("Square", attempt, CASES, "think", [(lambda x: x**3, "that is the cube")]) is False
    said = capsys.readouterr().out
    assert words in said
    assert "float64" not in said


def test_the_first_case_that_differs_is_shown_with_the_places_marked(capsys):
    numbers = torch.arange(6.0).view(2, 3)
    assert not check("Flip", lambda x: x, [((torch.ones(1, 1),), torch.ones(1, 1)), ((numbers,), numbers.flip(1))], "h")
    assert capsys.readouterr().out.splitlines() == [
        "Flip: not yet, right in 1 of 2 cases. The first that differs:",
        "    x           should be   yours",
        "     0  1  2     2  1  0    [0] 1 [2]",
        "     3  4  5     5  4  3    [3] 4 [5]",
        "Hint: H.",
    ]


def test_of_a_large_array_the_part_around_the_first_difference_is_shown(capsys):
    big = torch.zeros(2, 20, 20)
    wrong = big.clone()
    wrong[1, 7, 9] = 0.123456
    assert not check("Big", lambda x: wrong, [((big,), big)], "h")
    said = capsys.readouterr().out
    assert "an array (2, 20, 20)" in said
    assert "(plane 1, from row 6 and column 8 of 20 x 20)" in said
    assert said.count("[0.1235]") == 1


def test_right_answers_of_every_kind_are_right(capsys):
    for attempt in (lambda x: x * x, lambda x: x.__pow__(2), lambda x: np.asarray(x) ** 2):
        assert check("Square", attempt, CASES, "think")
    assert capsys.readouterr().out == 3 * "Square: right, in 2 of 2 cases.\n"
    assert check("Between", lambda: np.float64(2.0), [((), Span(1, 2))], "think")
    assert not check("Between", lambda: 1, [((), Span(1, 2))], "think")
    assert "above 1, up to 2" in capsys.readouterr().out


def test_a_function_that_changes_its_arguments_does_not_change_the_cases():
    given = torch.ones(3)
    assert check("Twice", lambda x: x.mul_(2), [((given,), 2 * torch.ones(3)), ((given,), 2 * torch.ones(3))], "think")
    assert given.sum() == 3


def checks_of(notebook) -> list:
    """The check of each of a lesson's exercises, with the lesson's imports and its solution."""
    scope, found = {}, []
    trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec("\n".join(map(ast.unparse, nodes)), scope)
    for cell in notebook.cells:
        if has_tag(cell, SOLUTION):
            exec(cell.source, scope)
        if has_tag(cell, EXERCISE):
            call = ast.parse(cell.source).body[-1].value
            found.append((eval(ast.unparse(call.func), scope), call.args[0].id + "_solution", scope))
    return found


CHECKS = [pytest.param(*one, id=f"{name}-{one[1]}") for name, book in LESSONS.items() for one in checks_of(book)]
SILLY = [
    "a text",
    lambda: 0,
    lambda *given: "seven",
    lambda *given: float("nan"),
    lambda *given: float("-inf"),
    lambda *given: given[0] * float("inf"),
    max,
    dict,
    lambda *given: given,
    lambda *given: [],
    lambda *given: {"a": 1},
    lambda *given: torch.zeros(7, 1, 2),
    lambda *given: given[0] * 0 - 12345.678,
    lambda *given: 1 / 0,
    lambda *given: np.float64(-3.25),
]


@pytest.mark.parametrize(("own", "solution", "scope"), CHECKS)
def test_no_silly_answer_passes_or_stops_a_lesson(own, solution, scope, capsys):
    assert own(scope[solution])
    assert capsys.readouterr().out == ""
    for attempt in SILLY:
        assert own(attempt) is False
        said = capsys.readouterr().out
        assert "right, in " not in said.replace("not yet, right in", "")
        assert "float64" not in said
        assert all(len(line) <= 120 for line in said.splitlines() if line.startswith("    "))


@pytest.mark.parametrize(("own", "solution", "scope"), CHECKS)
def test_each_likely_mistake_is_refused_with_its_own_hint(own, solution, scope, capsys, monkeypatch):
    given: list = []

    def collected(title, attempt, cases, hint, mistakes=()):
        given.extend(mistakes)
        return True

    monkeypatch.setattr(sys.modules[own.__module__], "check", collected)
    own(scope[solution])
    monkeypatch.undo()
    assert given
    for mistake, advice in given:
        capsys.readouterr()
        assert not own(mistake)
        assert f"hint: {advice}".lower() in capsys.readouterr().out.lower()


def test_the_two_ways_to_be_wrong_about_the_focal_factor_are_told_apart(capsys):
    from anomaly_course.lessons.draem import check_focal

    assert not check_focal(lambda p, gamma: -(p**gamma) * np.log(p))
    said = capsys.readouterr().out
    assert not check_focal(lambda p, gamma: -((1 - p) ** 2) * np.log(p))
    assert "which of p and 1 - p is not?" in said
    assert "Gamma is 2 whatever is asked for" in capsys.readouterr().out
