"""The live page against Python: every test photo of every category in build/live, in headless Chromium, through file://.

    python -m anomaly_tools.live && python benchmarks/live.py

Image: the largest difference of what the model gets, in steps of 8-bit values. Map: the largest difference as a share
of the category's largest value. Decided otherwise: images, at the calibrated threshold. Latency is the median in the
browser, on one thread; that of all three together on as many workers as the page takes:
two, where there are two cores. Scores as shares of the category's largest.
"""

import argparse
import base64
import shutil
import statistics
import time
from pathlib import Path

import anomaly_lib  # noqa: F401  chooses numerics before NumPy and torch load

# isort: split
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.reproducibility import make_deterministic
from anomaly_lib.data import load_category
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.methods.checkpoints import load_model
from anomaly_lib.params import load_profile, project_root
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.reporting.tables import markdown_table
from anomaly_tools.live.build import METHODS
from harness import run

import numpy as np

ASK = "const [done, ...what] = [arguments[3], arguments[0], arguments[1], arguments[2]];"
ASK += "live.detect(...what).then(done, error => done({error: String(error)}))"

TRIO = "live.trio(arguments[0], arguments[1]).then(arguments[2], error => arguments[2](String(error)))"

HAS_SEEN = "return document.querySelectorAll('.verdict').length === 3 && !document.querySelector('.busy')"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile")
    parser.add_argument(
        "--picture", type=Path, help="write a picture of the page in use, docs/live.png, and nothing else"
    )
    options = parser.parse_args()
    params = load_profile(options.profile)
    make_deterministic(threads=1)
    page = project_root() / "build/live/index.html"
    if not page.is_file():
        raise InputError(f"{page}: not there; run 'make live'")
    browser = chromium()
    try:
        if options.picture:
            take_picture(browser, page, options.picture)
            return 0
        opened, seen = first_minute(browser, page)
        print(
            f"from the double click to a part that can be painted {opened:.1f} s, to what all three see {seen:.1f} s\n"
        )
        found = sorted(file.parent.name for file in page.parent.glob("*/photos.js"))
        rows = [compared(browser, params, category, method) for category in found for method in METHODS]
        print(markdown_table(rows))
        for category in found:
            times = [browser.execute_async_script(TRIO, category, index) for index in range(20)]
            print(f"{category}: all three in {statistics.median(times[1:]):.0f} ms (median of 19)")
    finally:
        browser.quit()
    return 0


def compared(browser, params, category: str, method: str) -> dict:
    """One row of the table."""
    model = load_model(find_model(params, method, category))
    images = model.method.images(load_category(project_root() / params.data, category).test).numpy()
    maps, scores, _ = model.method.see(images)
    answers = [browser.execute_async_script(ASK, category, index, method) for index in range(len(images))]
    seen, found = ([decoded(answer[name]) for answer in answers] for name in ("image", "map"))
    apart = max(np.abs(a - b.ravel()).max() for a, b in zip(seen, images, strict=True))
    wrong = sum(
        answer["anomalous"] != is_anomalous(score[None], model.thresholds["image"])[0]
        for answer, score in zip(answers, scores, strict=True)
    )
    difference = max(np.abs(a - b.ravel()).max() for a, b in zip(found, maps, strict=True)) / np.abs(maps).max()
    relative = max(abs(a["score"] - s) for a, s in zip(answers, scores, strict=True)) / np.abs(scores).max()
    return {
        "category": category,
        "method": model.method.title,
        "image": f"{255 * apart:.2g}",
        "map": f"{difference:.1e}",
        "score": f"{relative:.1e}",
        "decided otherwise": f"{wrong} of {len(scores)}",
        "ms a photo": f"{statistics.median(answer['milliseconds'] for answer in answers):.0f}",
    }


def first_minute(browser, page: Path) -> tuple[float, float]:
    """Seconds from opening the page, as the site's home does, until one can paint, and until all three results."""
    began = time.monotonic()
    browser.get(page.as_uri() + "#nut/look")
    browser.execute_async_script("live.opened.then(arguments[0])")
    opened = time.monotonic() - began
    wait_for_results(browser)
    return opened, time.monotonic() - began


def wait_for_results(browser) -> None:
    until = time.monotonic() + 300
    while not browser.execute_script(HAS_SEEN):
        assert time.monotonic() < until, "the page shows no results"
        time.sleep(0.1)


def take_picture(browser, page: Path, file: Path) -> None:
    """The page with a nut and a stroke painted on it, and what the three detectors see of that."""
    from selenium.webdriver.common.action_chains import ActionChains

    browser.set_window_size(1280, 1400)
    browser.get(page.as_uri() + "#nut/look")
    browser.execute_async_script("live.opened.then(arguments[0])")
    part = browser.find_element("id", "part")
    stroke = ActionChains(browser).move_to_element_with_offset(part, -90, -90).click_and_hold()
    stroke.move_by_offset(60, 45).move_by_offset(45, 60).release().perform()
    time.sleep(0.5)  # the results of the photo without paint may still be there
    wait_for_results(browser)
    browser.execute_script("document.activeElement.blur()")
    end = browser.execute_script("return document.querySelector('.bench').getBoundingClientRect().bottom + scrollY")
    clip = {"x": 0, "y": 0, "width": 1265, "height": end + 12, "scale": 0.8}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    file.write_bytes(base64.b64decode(shot["data"]))


def decoded(text: str) -> np.ndarray:
    """float32 values that the page gave as base64."""
    return np.frombuffer(base64.b64decode(text), np.float32)


def chromium():
    """Headless, for pages from file://."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_script_timeout(300)
    return browser


if __name__ == "__main__":
    run(main)
