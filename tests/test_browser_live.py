"""The live page in a real browser, through ``file://``: the same as in Python, by mouse, finger and keyboard."""

import base64
import contextlib
import json
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
from tests.browser import chromium  # noqa: F401  a fixture
from tests.conftest import TINY_SETTINGS

ROOT = Path(engine.__file__).parents[2]
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


@pytest.fixture
def page(folder, chromium):  # noqa: F811
    """The page, opened as by a double click, with nothing kept from before."""
    chromium.set_script_timeout(PATIENCE)
    chromium.set_window_size(1280, 1000)
    chromium.get((folder / "build/live/index.html").as_uri())
    until(chromium, "return document.readyState === 'complete' && typeof live === 'object'")
    chromium.execute_script("localStorage.clear()")
    chromium.execute_async_script("live.opened.then(arguments[0])")
    yield chromium
    chromium.get("about:blank")


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


@pytest.mark.parametrize("method", METHODS)
def test_maps_scores_and_decisions_are_pythons(page, folder, tiny_data, method):
    model = load_model(folder / f"reports/calibrate/{method}-dots-0")
    images = load_images(load_category(tiny_data, "dots").test, 64).numpy()
    maps, scores, _ = model.method.see(images)
    ask = "live.detect('dots', arguments[0], arguments[1]).then(arguments[2], (e) => arguments[2](String(e)))"
    for index, (image, expected, score) in enumerate(zip(images, maps, scores, strict=True)):
        answer = page.execute_async_script(ask, index, method)
        prepared, found = (np.frombuffer(base64.b64decode(answer[key]), np.float32) for key in ("image", "map"))
        assert np.array_equal(prepared.reshape(image.shape), image)
        assert np.abs(found.reshape(64, 64) - expected).max() <= HALF_BOUND * np.abs(maps).max()
        assert answer["score"] == pytest.approx(float(score), rel=10 * HALF_BOUND)
        assert answer["anomalous"] == (score >= model.thresholds["image"])


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
    return [...document.querySelectorAll('button, select, input, canvas, svg')].filter((node) => !name(node).trim())
      .map((node) => node.outerHTML);
    """
    assert page.execute_script(nameless) == []
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
