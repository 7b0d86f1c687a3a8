"""From a miniature archive of each layout to results: ingest, validate, and the pipeline's notebooks in turn."""

import json
import shutil

import pytest
import yaml

from anomaly_lib.cli import main
from anomaly_lib.params import load_params
from anomaly_lib.reporting.report import results_markdown
from anomaly_lib.reporting.results import collect
from anomaly_tools.validate import validate
from tests import layouts
from tests.conftest import TINY_SETTINGS
from tests.helpers import run_notebook

CATEGORIES = {
    "mvtec": "bottle",
    "mvtec_ad_2": "can",
    "mvtec_loco": "pushpins",
    "visa": "candle",
    "btad": "03",
    "elpv": "polycrystalline",
}
NO_MASKS = {"elpv"}
RUNS = (("03_train", "train"), ("03b_calibrate", "calibrate"), ("04_evaluate", "evaluate"), ("05_demo_gif", "gif"))


@pytest.fixture
def reports(root, tmp_path):
    """A folder inside the project, where notebooks write; its name is the test's own."""
    folder = f"build/test/{tmp_path.parent.name}-{tmp_path.name}"
    yield folder
    for place in (root / folder, root / "build/work" / folder):
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("layout", CATEGORIES)
def test_from_an_archive_to_results(layout, root, reports, tmp_path):
    layouts.LAYOUTS[layout](tmp_path / layout)
    packed = layouts.archive(tmp_path / layout, tmp_path / f"{layout}.tar.gz")
    assert main(["data", "ingest", layout, str(packed), "--output", str(tmp_path / "data")]) == 0
    assert validate(tmp_path / "data") == []
    category = CATEGORIES[layout]
    settings = yaml.safe_load((root / "profiles/smoke/params.yaml").read_text())
    settings |= {"data": str(tmp_path / "data"), "reports": reports, "categories": [category]}
    settings |= {"methods": {"dfr": TINY_SETTINGS["dfr"]}, "seeds": [0], "root": str(root)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    before = None
    for notebook, folder in RUNS:
        output = f"{reports}/{folder}/dfr-{category}-0"
        run_notebook(
            root / f"notebooks/{notebook}.ipynb",
            params_file=str(tmp_path / "params.yaml"),
            method="dfr",
            category=category,
            model=before,
            output=output,
        )
        before = output if notebook != "04_evaluate" else before
    params = load_params(tmp_path / "params.yaml")
    metrics = json.loads((root / reports / f"evaluate/dfr-{category}-0/metrics.json").read_text())
    if layout != "elpv":  # its miniature is noise with random labels
        assert metrics["image_auroc"] == 1.0, "a bright square on noise"
    assert (metrics["aupro_030"] is None) == (layout in NO_MASKS)
    text = results_markdown(collect(params, root / reports), params, {"python": "3.11"}, root / reports)
    assert "runs: 1 of 1" in text
    assert ("## Images that the experts were not sure of" in text) == (layout == "elpv")
