"""The lessons in a real JupyterLab: all cells run without an error, and every control of a widget answers to keys.

Trainings are cut short by the lessons' own parameter ``quick``; how well their models detect is tested elsewhere.
"""

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from anomaly_course.lessons.predict import ASK
from tests.browser import CONTROLS, PATIENCE, chromium, jupyterlab
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
    assert_it_is_well(chromium, "jupyterlab")
    assert_a_prediction_is_kept(chromium)
    if LESSONS[name]:
        assert_each_control_answers(chromium, CONTROLS, LESSONS[name])
        assert_it_is_well(chromium, "jupyterlab")


def assert_a_prediction_is_kept(page) -> None:
    """The lesson's first one: an option by keyboard, the button, and words that say so."""
    (radio, *_) = page.find_elements("css selector", ".widget-radio input")
    (button, *_) = [one for one in page.find_elements("css selector", ".jupyter-button") if one.text == ASK]
    said = (
        "return [...document.querySelectorAll('.jupyter-widgets')].some(e => e.textContent.trim().startsWith('Kept: '))"
    )
    for element in (radio, button):
        page.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", element)
        element.send_keys(Keys.SPACE)
    WebDriverWait(page, PATIENCE).until(lambda page: page.execute_script(said))
