"""The lessons in a real JupyterLab: all cells run without an error, and every control of a widget answers to keys.

Trainings are cut short by the lessons' own parameter ``quick``; how well their models detect is tested elsewhere.
"""

import pytest

from tests.browser import CONTROLS, chromium, jupyterlab
from tests.test_browser_demos import assert_each_control_answers, assert_it_is_well

__all__ = ["chromium", "jupyterlab"]  # fixtures
# Controls in the widgets of each lesson.
LESSONS = {
    "00_start_here": 0,
    "10_draem": 12,
    "20_dfr": 6,
    "30_dmad": 6,
    "31_pdm_video": 0,
    "40_metrics": 3,
    "50_compare": 0,
}


def test_no_lesson_is_left_out(root):
    assert {file.stem for file in root.glob("notebooks/lessons/*.ipynb")} == set(LESSONS)


@pytest.mark.parametrize("name", LESSONS)
def test_it_runs_and_every_control_answers_to_the_keyboard(chromium, jupyterlab, root, name):
    jupyterlab.open_copy(chromium, root / "notebooks/lessons" / f"{name}.ipynb", quick=True)
    assert_it_is_well(chromium)
    if LESSONS[name]:
        assert_each_control_answers(chromium, CONTROLS, LESSONS[name])
        assert_it_is_well(chromium)
