"""The live page: its words, its engine, its models. In a browser: ``test_browser_live.py``."""

import json
import re
from pathlib import Path

import onnx
import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
from anomaly_lib.data.tensors import load_images
from anomaly_lib.export.write import calibrate, export, train
from anomaly_tools.live import engine
from anomaly_tools.live.build import PAGE
from anomaly_tools.live.models import HALF_BOUND, agrees, at_half_precision
from tests.conftest import TINY_SETTINGS

FOLDER = Path(engine.__file__).parent


def source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_both_languages_say_everything_with_the_same_numbers():
    english, vietnamese = json.loads(source("words.json")).values()
    placed = [
        {key: set(re.findall(r"\{(\w+)\}", text)) for key, text in words.items()} for words in (english, vietnamese)
    ]
    assert placed[0] == placed[1]
    page, code = source("index.html"), source("live.js")
    used = set(re.findall(r'data-text="(\w+)"', page)) | set(re.findall(r"\b(?:text|say)\('(\w+)'", code))
    used |= {key for pair in re.findall(r"\b(?:text|say)\([^'()]+ \? '(\w+)' : '(\w+)'", code) for key in pair}
    assert used | {"normal", "anomalous"} == {key for key in english if not key.startswith("view_")}


def test_the_page_asks_nothing_of_the_network():
    for name in PAGE:
        assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|import\s*\(", source(name)), name


def test_every_element_that_the_code_names_is_there():
    page, code = source("index.html"), source("live.js")
    assert set(re.findall(r"\$\('([\w-]+)'\)", code)) <= set(re.findall(r'id="([\w-]+)"', page))
    for control in re.findall(r"<(?:select|input)[^>]*>", page):
        before = page[: page.index(control)]
        assert before.rfind("<label") > before.rfind("</label>"), f"{control} has no label"


def test_the_engine_is_the_package_with_the_digest(tmp_path, monkeypatch):
    file = tmp_path / f"onnxruntime-web-{engine.VERSION}.tgz"
    file.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"is not onnxruntime-web .* as npm published it"):
        engine.engine_script(tmp_path)

    file.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    with pytest.raises(InputError, match=r"cannot be fetched; run 'npm pack onnxruntime-web@.*' where there is npm"):
        engine.engine_script(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_kept_where_it_decides_alike(tiny_data, tmp_path):
    model = calibrate(train("dfr", tiny_data / "dots", **TINY_SETTINGS["dfr"] | {"steps": 40}), tiny_data / "dots")
    images = load_images(load_category(tiny_data, "dots").test, 64).numpy()
    maps, scores, _ = model.method.see(images)
    whole = onnx.load(export(model, tiny_data / "dots", tmp_path / "bundle") / "model.onnx")
    halved = at_half_precision(whole)
    sizes = [sum(len(weights.raw_data) for weights in one.graph.initializer) for one in (halved, whole)]
    assert 0.5 <= sizes[0] / sizes[1] < 0.6  # small tensors stay as they are
    half = halved.SerializeToString()
    assert agrees(half, images, maps, scores, model.thresholds)
    assert not agrees(half, images, maps * (1 + 3 * HALF_BOUND), scores, model.thresholds)
    assert not agrees(half, images, maps, scores[::-1], model.thresholds)  # defects come last
