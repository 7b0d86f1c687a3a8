"""The live page in a real browser, through ``file://``: the same as in Python, by mouse, finger and keyboard."""

import base64
import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.data.images import squeezed
from anomaly_lib.data.tensors import load_images
from anomaly_lib.export.write import calibrate, train
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.params import load_params
from anomaly_tools.live import engine
from anomaly_tools.live.build import METHODS, build
from anomaly_tools.live.models import HALF_BOUND
from anomaly_tools.site.live import copy_live_page, with_live_page
from anomaly_tools.site.verify import verify
from tests.browser import chromium, violations  # noqa: F401  a fixture
from tests.conftest import TINY_SETTINGS

ROOT = Path(engine.__file__).parents[2]
MODELS = ROOT / "reports/smoke/calibrate"
"""What the smoke profile trained; ``.ci/run`` names its clone's."""
PATIENCE = 120
PAINTED = r"; (?!0 %)[\d.]+ % of it painted"


@pytest.fixture(scope="module")
def folder(chromium, tiny_data, tmp_path_factory):  # noqa: F811  skips where there is none
    """The live page of tiny models of all three methods, and the profile that they belong to."""
    profile = tmp_path_factory.mktemp("profile")
    (profile / "data.dvc").write_text("")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings |= {
        "data": str(tiny_data),
        "categories": ["dots"],
        "methods": {name: TINY_SETTINGS[name] for name in METHODS},
    }
    (profile / "params.yaml").write_text(yaml.safe_dump(settings))
    for name in METHODS:
        model = calibrate(train(name, tiny_data / "dots", **TINY_SETTINGS[name]), tiny_data / "dots")
        save_model(profile / f"reports/calibrate/{name}-dots-0", model.method, "dots", model.thresholds)
    cache = ROOT / "build/cache"
    if cache.is_dir():  # fetched once
        shutil.copytree(cache, profile / "build/cache")
    try:
        engine.engine_script(profile / "build/cache")
    except InputError as error:
        pytest.skip(str(error))
    with contextlib.chdir(profile):
        build(load_params(), profile / "build/live")
    shutil.copytree(profile / "build/cache", cache, dirs_exist_ok=True)
    return profile


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """The live page of the smoke profile's nut, by the models that the pipeline trained."""
    if not all((MODELS / f"{name}-nut-0").is_dir() for name in METHODS):
        pytest.skip(f"{MODELS}: no models of nut; 'make repro PROFILE=smoke' trains them")
    profile = tmp_path_factory.mktemp("smoke")
    (profile / "data.dvc").write_text("")
    settings = yaml.safe_load((ROOT / "profiles/smoke/params.yaml").read_text())
    settings |= {"root": ".", "params_file": "params.yaml", "data": str(ROOT / "data/sample"), "categories": ["nut"]}
    (profile / "params.yaml").write_text(yaml.safe_dump(settings))
    (profile / "reports/smoke").mkdir(parents=True)
    (profile / "reports/smoke/calibrate").symlink_to(MODELS)
    shutil.copytree(folder / "build/cache", profile / "build/cache")
    with contextlib.chdir(profile):
        build(load_params(), profile / "live")
    return profile


@pytest.fixture
def page(folder, chromium):  # noqa: F811
    """The page, opened as by a double click, with nothing kept from before."""
    chromium.set_window_size(1280, 1000)
    opened(chromium, folder / "build/live")
    chromium.execute_script("localStorage.clear()")
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get("about:blank")


def opened(browser, live: Path, address: str = "") -> None:
    """The page of the folder, ready, as by a double click."""
    browser.set_script_timeout(PATIENCE)
    browser.get("about:blank")  # another address of the same page would not load it again
    browser.get(f"{(live / 'index.html').as_uri()}{address}")
    until(browser, "return document.readyState === 'complete' && typeof live === 'object'")
    browser.execute_async_script("live.opened.then(arguments[0])")


def until(page, condition: str):
    """Wait until a script returns something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := page.execute_script(condition):
            return found
        time.sleep(0.1)
    raise AssertionError(f"never true: {condition}; {page.find_element('id', 'status').text}")


def seen(page) -> list[str]:
    """The three decisions, once all are there and nothing is computing."""
    until(page, "return document.querySelectorAll('.verdict').length === 3 && !document.querySelector('.busy')")
    return [verdict.text.split(":")[0] for verdict in page.find_elements("css selector", ".verdict")]


def assert_sees_what_python_sees(page, trained: Path, photos):
    """Prepared photo, map, score and decision of all test photos, within the bound that the builder promises."""
    model = load_model(trained)
    images = load_images(photos.test, model.method.image_size).numpy()
    maps, scores, _ = model.method.see(images)
    ask = "live.detect(...[...arguments].slice(0, 3)).then(arguments[3], (e) => arguments[3](String(e)))"
    for index, (image, expected, score) in enumerate(zip(images, maps, scores, strict=True)):
        answer = page.execute_async_script(ask, photos.name, index, model.method.name)
        prepared, found = (np.frombuffer(base64.b64decode(answer[key]), np.float32) for key in ("image", "map"))
        assert np.array_equal(prepared.reshape(image.shape), image)
        assert np.abs(found.reshape(expected.shape) - expected).max() <= 1.01 * HALF_BOUND * np.abs(maps).max()
        assert abs(answer["score"] - score) <= 1.01 * HALF_BOUND * np.abs(scores).max()
        assert answer["anomalous"] == (score >= model.thresholds["image"])


@pytest.mark.parametrize("method", METHODS)
def test_maps_scores_and_decisions_are_pythons(page, folder, tiny_data, method):
    assert_sees_what_python_sees(page, folder / f"reports/calibrate/{method}-dots-0", load_category(tiny_data, "dots"))


@pytest.mark.parametrize("method", METHODS)
def test_the_smoke_profiles_models_are_pythons_on_every_photo_of_the_nut(trained, chromium, method):  # noqa: F811
    opened(chromium, trained / "live", "#nut")
    assert_sees_what_python_sees(chromium, MODELS / f"{method}-nut-0", load_category(ROOT / "data/sample", "nut"))


@pytest.mark.parametrize(("height", "width"), [(150, 97), (97, 150), (40, 90), (64, 64), (300, 70), (130, 128)])
def test_a_photo_of_any_size_is_prepared_as_pillow_does(page, height, width):
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    script = """
    const [flat, width, height, size] = arguments, pixels = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) pixels.data.set([...flat.slice(3 * i, 3 * i + 3), 255], 4 * i);
    return [...squeezed(pixels, size)].map((value) => Math.round(255 * value));
    """
    for size in (64, 128):
        found = page.execute_script(script, photo.ravel().tolist(), width, height, size)
        assert np.array_equal(np.reshape(found, (3, size, size)), (255 * squeezed(photo, size)).round())


def test_paint_predict_and_see_with_the_mouse(page):
    assert page.find_elements("css selector", ".verdict") == []  # nothing before the prediction
    ActionChains(page).drag_and_drop_by_offset(page.find_element("id", "part"), 60, 40).perform()
    assert re.search(PAINTED, page.find_element("id", "part").get_attribute("aria-label"))
    page.find_element("css selector", "#guesses input[value=draem]").click()
    page.find_element("css selector", "#guess button").click()
    decisions = seen(page)
    (record,) = page.execute_script("return JSON.parse(localStorage.getItem('anomaly-live'))")
    assert record["predicted"] == ["draem"]
    assert record["found"] == [
        name for name, decision in zip(METHODS, decisions, strict=True) if decision == "anomalous"
    ]
    assert "DRAEM's repair has removed" in page.find_element("css selector", "#card-draem .telling").text
    right = sum((name == "draem") == (name in record["found"]) for name in METHODS)
    assert page.find_element("id", "record").text.startswith(f"{right} of your 3 predictions")
    page.find_element("id", "clear").click()  # another picture: predict again
    assert page.find_elements("css selector", ".verdict") == []


def test_paint_with_the_keyboard(page):
    part = page.find_element("id", "part")
    part.send_keys(Keys.SPACE, *[Keys.ARROW_RIGHT] * 6, Keys.SPACE)
    painted = part.get_attribute("aria-label")
    assert re.search(PAINTED, painted)
    part.send_keys(Keys.SHIFT, Keys.ARROW_DOWN)
    part.send_keys(Keys.ENTER)
    assert part.get_attribute("aria-label") != painted
    part.send_keys("z")
    assert part.get_attribute("aria-label") == painted
    part.send_keys("z")
    assert "; 0 % of it painted" in part.get_attribute("aria-label")


def test_paint_with_a_finger(page):
    part = page.find_element("id", "part")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", part)
    box = page.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]", part)
    for kind, shift in (("touchStart", 40), ("touchMove", 90), ("touchEnd", None)):
        points = [] if shift is None else [{"x": box[0] + shift, "y": box[1] + shift}]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert re.search(PAINTED, part.get_attribute("aria-label"))


def test_the_threshold_moves_decision_and_confusion(page):
    page.find_element("id", "ask").click()  # without a prediction
    seen(page)
    slider, card = page.find_element("id", "threshold-dfr"), page.find_element("id", "card-dfr")
    before = card.find_element("css selector", ".confusion").text
    slider.send_keys(Keys.HOME)
    assert card.find_element("css selector", ".verdict").text.startswith("anomalous")
    assert "finds 4 of 4 defects and gives 4 false alarms on 4" in card.find_element("css selector", ".confusion").text
    slider.send_keys(Keys.END)
    assert card.find_element("css selector", ".verdict").text.startswith("normal")
    assert "finds 0 of 4 defects and gives 0 false alarms" in card.find_element("css selector", ".confusion").text
    card.find_element("css selector", "button").click()
    assert card.find_element("css selector", ".confusion").text == before


def test_ones_own_photo(page, tiny_data):
    page.find_element("id", "ask").click()
    page.find_element("id", "own").send_keys(str(tiny_data / "dots/test/square/000.png"))
    until(page, "return document.querySelector('#photo').value === 'own'")
    assert "000.png" in page.find_element("id", "part").get_attribute("aria-label")
    assert len(seen(page)) == 3


def test_the_teachers_view_merges_files_once_and_names_bad_ones(page, tmp_path):
    record = {"when": "2026-11-28", "category": "dots", "photo": "good/000.png", "painted": 0.02, "predicted": ["dfr"]}
    files = []
    for name, found in (("An", ["dfr"]), ("Binh", ["dfr", "dmad"])):
        content = {"format": "anomaly-live", "version": 1, "name": name, "records": [record | {"found": found}]}
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    (tmp_path / "again.json").write_text(files[0].read_text())
    (tmp_path / "bad.json").write_text('{"format": "anomaly-live", "records": [{"predicted": ["<b>"]}]}')
    files += [tmp_path / "again.json", tmp_path / "bad.json"]
    page.find_element("id", "to-teacher").click()
    page.find_element("id", "class-files").send_keys("\n".join(map(str, files)))
    until(page, "return document.querySelector('#class-view tbody')")
    assert page.find_element("id", "class-status").text == (
        "3 files, 2 names, 2 predictions. bad.json is not a file of this page and was left out."
    )
    rows = [row.text for row in page.find_elements("css selector", "#class-view tbody tr")]
    assert rows == [
        "all 2 0 / 2, 0 / 2 2 / 2, 2 / 2 0 / 2, 1 / 2 83 %",
        "dots, good/000.png 2 % 2 0 / 2, 0 / 2 2 / 2, 2 / 2 0 / 2, 1 / 2 83 %",
    ]


def test_vietnamese_and_a_narrow_phone(page):
    page.set_window_size(500, 900)
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    page.find_element("css selector", "#language option[value=vi]").click()
    assert page.execute_script("return document.documentElement.lang") == "vi"
    assert "Dự đoán" in page.find_element("id", "guess-title").text
    page.find_element("id", "ask").click()
    seen(page)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 390


def test_every_picture_has_words_and_every_control_a_name(page):
    page.find_element("id", "ask").click()
    seen(page)
    nameless = """
    const name = (node) => node.getAttribute('aria-label') || node.textContent || node.labels?.[0]?.textContent || '';
    return [...document.querySelectorAll('button, select, input, canvas, svg')]
      .filter((node) => !node.closest('[aria-hidden=true]') && !name(node).trim()).map((node) => node.outerHTML);
    """
    assert page.execute_script(nameless) == []
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def emulate(page, **features: str) -> None:
    """``prefers-color-scheme`` and the like; a medium, ``print``, as ``media``."""
    media = features.pop("media", "")
    wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": wanted})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_in_any_state(page, scheme, width):
    emulate(page, prefers_color_scheme=scheme)
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert violations(page) == []  # nothing seen yet
    page.find_element("id", "ask").click()
    seen(page)
    assert violations(page) == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.find_element("id", "to-teacher").click()
    assert violations(page) == []


def test_everything_can_be_done_with_keys_alone(page):
    def focused() -> str:
        return page.execute_script("return document.activeElement.id || document.activeElement.value")

    def tab_to(name: str) -> None:
        for _ in range(40):
            if focused() == name:
                return
            ActionChains(page).send_keys(Keys.TAB).perform()
        raise AssertionError(f"{name} is not reached with Tab")

    tab_to("part")
    ActionChains(page).send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 5, Keys.SPACE).perform()
    assert re.search(PAINTED, page.find_element("id", "part").get_attribute("aria-label"))
    tab_to("draem")
    ActionChains(page).send_keys(Keys.SPACE).perform()
    tab_to("show")
    ActionChains(page).send_keys(Keys.ENTER).perform()
    seen(page)
    assert page.execute_script("return JSON.parse(localStorage.getItem('anomaly-live'))[0].predicted") == ["draem"]
    before = page.find_element("css selector", "#card-dfr .confusion").text
    tab_to("threshold-dfr")
    ActionChains(page).send_keys(Keys.END).perform()
    assert page.find_element("css selector", "#card-dfr .confusion").text != before


def test_nothing_moves_for_those_who_ask_for_that(page):
    page.execute_script("say('busy', { title: 'DFR' }, true)")
    moving = "return getComputedStyle(document.getElementById('status')).animationName"
    assert page.execute_script(moving) == "breathe"
    emulate(page, prefers_reduced_motion="reduce")
    assert page.execute_script(moving) == "none"


WATCH_CARDS = """
window.order = [];
new MutationObserver(() => METHODS.forEach((name) => {
  if (document.querySelector(`#card-${name} .verdict`) && !window.order.includes(name)) {
    window.order.push(name);
    window.busy = (window.busy ?? []).concat(document.querySelector('#status').classList.contains('busy'));
  }
})).observe(document.body, { childList: true, subtree: true });
"""


def test_on_one_core_the_slowest_comes_last_with_a_busy_sign_until_then(page, folder):
    page.execute_cdp_cmd("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": 1})
    opened(page, folder / "build/live")
    assert page.execute_script("return [WORKERS, engine.workers.length]")[0] == 1
    page.execute_script(WATCH_CARDS)
    page.find_element("id", "ask").click()
    seen(page)
    assert page.execute_script("return window.order") == ["dmad", "draem", "dfr"]  # by what was measured here
    assert page.execute_script("return window.busy")[:2] == [True, True]
    page.execute_script("document.querySelector('#cards').replaceChildren(); window.order = []")
    page.execute_script("state.speed = { draem: 900, dmad: 1, dfr: 2 }; changed()")
    until(page, "return window.order.length === 3")
    page.execute_cdp_cmd("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": os.cpu_count()})
    assert page.execute_script("return window.order") == ["dmad", "dfr", "draem"]


def test_on_two_cores_the_slowest_has_a_worker_of_its_own(page, folder):
    page.execute_cdp_cmd("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": 2})
    opened(page, folder / "build/live", "#dots/look")
    seen(page)
    page.execute_cdp_cmd("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": os.cpu_count()})
    script = """
    const [done] = arguments, numbers = (workers) => workers.map((worker) => engine.workers.indexOf(worker));
    Promise.all(METHODS.map((name) => model('dots', name))).then((workers) => done(numbers(workers)));
    """
    assert page.execute_async_script(script) == [0, 1, 0]  # draem, dfr, dmad


def test_to_look_at_once_needs_no_prediction_and_no_question(page, folder):
    opened(page, folder / "build/live", "#dots/look")
    assert len(seen(page)) == 3
    assert not page.find_element("id", "question").is_displayed()
    words = [caption.text for caption in page.find_elements("css selector", "#glance figcaption")]
    verdicts = [verdict.text for verdict in page.find_elements("css selector", ".verdict")]
    assert [text.split(": ")[1] for text in words] == [text.split(":")[0] for text in verdicts]
    page.find_element("id", "ask").click()
    assert page.find_element("id", "question").is_displayed()


def twin_words(page) -> list[str]:
    """What the static twin says, where it is displayed."""
    twin = page.find_element("id", "twin")
    return [item.text for item in twin.find_elements("tag name", "li")] if twin.is_displayed() else []


def test_without_javascript_there_are_pictures_and_words(page, folder):
    model = load_model(folder / "reports/calibrate/dfr-dots-0")
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.get((folder / "build/live/index.html").as_uri())
    words, shown = twin_words(page), page.find_element("id", "student").is_displayed()
    text, title = page.find_element("tag name", "noscript").text, page.find_element("tag name", "h1").text
    alt = page.find_element("css selector", "#twin img").get_attribute("alt")
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert words
    assert not shown
    assert "JavaScript" in text
    assert title == "Three detectors, live"
    assert alt.startswith("dots, test photos ")
    assert any(f"{model.thresholds['image']:.3g}" in line and "DFR" in line for line in words)


def test_without_webassembly_there_are_pictures_and_words(page, folder):
    added = page.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": "delete globalThis.WebAssembly"})
    opened(page, folder / "build/live", "#dots/look")
    until(page, "return !document.querySelector('.busy') && document.querySelector('#twin:not([hidden])')")
    page.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert "cannot run in this browser: no WebAssembly" in page.find_element("id", "status").text
    assert twin_words(page)


def test_in_print_there_are_results_or_the_twin_and_no_controls(page):
    assert twin_words(page) == []
    emulate(page, media="print")
    assert twin_words(page)
    assert not [node for node in page.find_elements("css selector", "button, select, input") if node.is_displayed()]
    emulate(page)
    page.find_element("id", "ask").click()
    seen(page)
    emulate(page, media="print")
    assert twin_words(page) == []
    assert len([node for node in page.find_elements("css selector", ".verdict") if node.is_displayed()]) == 3


def test_in_a_frame_the_page_tells_its_height_and_runs(page, folder, tmp_path):
    home = tmp_path / "index.html"
    shutil.copytree(folder / "build/live", tmp_path / "build/live")
    twin = "<!-- live: dots/look -->\nwords\n<!-- /live -->"
    home.write_text(f"<!doctype html>{with_live_page(twin, tmp_path, Path('index.html'))}")
    copy_live_page(tmp_path, tmp_path)
    assert verify(tmp_path) == []
    page.get(home.as_uri())
    height = until(page, "return parseFloat(document.querySelector('iframe').style.height)")
    page.switch_to.frame(page.find_element("tag name", "iframe"))
    assert len(seen(page)) == 3
    page.switch_to.default_content()
    assert until(page, f"return parseFloat(document.querySelector('iframe').style.height) > {height}")
