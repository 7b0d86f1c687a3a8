"""The demos in a real Chromium, in Voila and in JupyterLab: every control by keyboard, and the picture follows.

Slow machines are no failure: an answer takes less than 300 ms in the median, or a busy sign was seen before it.
"""

import statistics
import time

import pytest

from tests.browser import (
    CONTROLS,
    PATIENCE,
    chromium,
    errors_in,
    foreign_addresses,
    jupyterlab,
    key_of,
    pictures_without_alt,
    press,
    violations,
    voila,
)

__all__ = ["chromium", "jupyterlab", "voila"]  # fixtures
PLACES = ["voila", "jupyterlab"]
SECONDS = 0.3
# Demos with the number of their controls; those that need a model have another test.
STUDIOS = {"synthesis": 9, "deformation": 6, "layers": 6, "region": 7}
WITH_A_MODEL = {"threshold": 3, "gallery": 3}


def opened(request, place: str, name: str):
    """The browser at a demo that has run without an error."""
    page, root = request.getfixturevalue("chromium"), request.getfixturevalue("root")
    server = request.getfixturevalue(place)
    if place == "jupyterlab":
        server.open_copy(page, root / "notebooks/demos" / f"{name}.ipynb")
    else:
        server.open_demo(page, name)
    return page


def found(page, css: str, at_least: int = 1):
    """Elements, as soon as there are so many."""
    from selenium.webdriver.common.by import By

    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        elements = page.find_elements(By.CSS_SELECTOR, css)
        if len(elements) >= at_least:
            return elements
        time.sleep(0.2)
    pytest.fail(f"{at_least} of '{css}' did not come; errors: {errors_in(page)}")


def assert_it_is_well(page, place: str) -> None:
    if place == "voila":  # JupyterLab's own frame is not ours
        assert violations(page) == []
    assert errors_in(page) == []
    assert pictures_without_alt(page) == 0
    assert foreign_addresses(page) == []


def assert_each_control_answers(page, css: str, count: int) -> None:
    """By keyboard; a control at its end goes the other way."""
    from selenium.webdriver.common.keys import Keys

    answers = []
    for control in found(page, css, count):
        answer = press(page, control, key_of(control), patience=20)
        if answer.picture is None:
            answer = press(page, control, Keys.ARROW_LEFT, patience=20)
        assert answer.picture is not None, control.get_attribute("outerHTML")[:300]
        answers.append(answer)
    assert len(answers) == count
    quick = statistics.median(answer.picture for answer in answers) < SECONDS
    assert quick or all(answer.busy is not None and answer.busy <= answer.picture for answer in answers), answers


def model_is_there(page, sign: str = CONTROLS) -> None:
    """Where nothing is trained the demo offers to fit a small DFR: by keyboard as well. ``sign`` comes with a model."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    found(page, f"{sign}, .anomaly-note")
    if page.find_elements(By.CSS_SELECTOR, ".anomaly-note"):
        found(page, "button.jupyter-button:not([title*='first values'])")
        offers = [b for b in page.find_elements(By.CSS_SELECTOR, "button") if "small DFR" in b.text]
        offers[0].send_keys(Keys.ENTER)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", STUDIOS)
def test_every_control_answers_to_the_keyboard(request, place, name):
    page = opened(request, place, name)
    assert_each_control_answers(page, CONTROLS, STUDIOS[name])
    assert_it_is_well(page, place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_every_control_over_a_model_answers_to_the_keyboard(request, place, name):
    page = opened(request, place, name)
    model_is_there(page)
    found(page, f"{CONTROLS}", WITH_A_MODEL[name])
    controls = CONTROLS if model_has_choices(page) else ".noUi-handle, .widget-dropdown:nth-child(2) select"
    assert_each_control_answers(page, controls, len(found(page, controls)))
    assert_it_is_well(page, place)


def model_has_choices(page) -> bool:
    """A gallery over the one small DFR has nothing to choose in its first control."""
    return page.execute_script("return document.querySelector('.widget-dropdown select').options.length > 1")


@pytest.mark.parametrize("place", PLACES)
def test_a_defect_is_painted_without_a_mouse(request, place):
    from selenium.webdriver.common.keys import Keys

    page = opened(request, place, "paint")
    model_is_there(page, ".anomaly-panel img")  # its controls are there with and without a model
    found(page, ".anomaly-panel img")
    (canvas,) = found(page, ".anomaly-brush canvas")
    before = maps_of(page)
    press(page, canvas, Keys.ARROW_RIGHT, patience=0)
    assert canvas.get_attribute("data-cursor") == "0.516 0.500"
    down = press(page, canvas, Keys.SPACE, patience=60)
    assert down.picture is not None
    assert down.busy is not None
    assert canvas.get_attribute("data-pen") == "down"
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN) * 4:
        canvas.send_keys(key)
    assert press(page, canvas, Keys.ARROW_RIGHT, patience=60).picture is not None
    canvas.send_keys(Keys.SPACE)  # lifts the brush, which changes no map
    assert (canvas.get_attribute("data-pen"), canvas.get_attribute("data-strokes")) == ("up", "1")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if not before & maps_of(page):
            break
        time.sleep(0.2)
    assert not before & maps_of(page)
    canvas.send_keys(Keys.BACKSPACE)
    assert canvas.get_attribute("data-strokes") == "0"
    assert_it_is_well(page, place)
    if place == "voila":
        assert_a_class_sees_it(page)


def assert_a_class_sees_it(page) -> None:
    """Photo and maps of one size side by side, verdicts that the back row can read, all of it on one screen."""
    pictures, verdicts, screen = page.execute_script(
        "scrollTo(0, 0); const box = (e) => e.getBoundingClientRect();"
        "const all = (css) => [...document.querySelectorAll(css)];"
        "return [all('.anomaly-brush canvas, .anomaly-panel img').map(e => [box(e).top, box(e).width, box(e).height]),"
        "all('.anomaly-verdict').map(e => [parseFloat(getComputedStyle(e).fontSize), box(e).bottom]), innerHeight]"
    )
    assert len(pictures) == 1 + len(verdicts) > 1
    assert pictures == [pytest.approx(pictures[0], abs=1)] * len(pictures)
    assert pictures[0][1] == pytest.approx(pictures[0][2], abs=1)
    assert all(size >= 28 and bottom < screen for size, bottom in verdicts)


def maps_of(page) -> set[str]:
    """What the panels show, read at once, as their images are replaced at any time."""
    return set(page.execute_script("return [...document.querySelectorAll('.anomaly-panel img')].map(e => e.src)"))


def test_the_start_page_leads_to_every_demo_and_shows_no_code(request, root):
    page = opened(request, "voila", "start")
    links = {
        link.get_attribute("href").rsplit("/", 1)[-1] for link in found(page, ".jp-RenderedMarkdown td a[href]", 7)
    }
    assert links == {file.name for file in root.glob("notebooks/demos/*.ipynb")} - {"start.ipynb"}
    assert page.execute_script("return document.querySelectorAll('.jp-InputArea-editor').length") == 0
    until = time.monotonic() + PATIENCE  # the page's text is there before its cells have run
    while time.monotonic() < until and type_size(page) < 20:
        time.sleep(0.2)
    assert type_size(page) >= 20
    assert_it_is_well(page, "voila")


def type_size(page) -> float:
    """Pixels of the type in the page's table."""
    size = page.execute_script("return getComputedStyle(document.querySelector('.jp-RenderedMarkdown td')).fontSize")
    return float(size.removesuffix("px"))
