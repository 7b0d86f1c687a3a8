"""Odd data: splits that lack something, whose reasons are named and stop nothing; names that are hostile."""

import csv
import json
import re
import shutil
from pathlib import Path

import IPython.display
import pytest
import torch
import yaml

from anomaly_lib.data import load_category
from anomaly_lib.data.regions import PLACE, save_region
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.methods.base import method_class
from anomaly_lib.methods.checkpoints import save_model
from anomaly_lib.params import Thresholds, load_params
from anomaly_lib.registry import params_class
from anomaly_lib.reporting.report import results_markdown
from anomaly_lib.reporting.results import collect
from tests.conftest import TINY_SETTINGS
from tests.fuzz import safe_tables
from tests.helpers import run_notebook


@pytest.fixture(scope="module")
def model(tiny_data, tmp_path_factory) -> Path:
    """A tiny trained DFR with thresholds."""
    normals = load_images(load_category(tiny_data, "dots").train, 64)
    detector = method_class("dfr")(params_class("dfr").model_validate(TINY_SETTINGS["dfr"]), 0)
    detector.fit(normals[:6], progress=False)
    scored = detector.score(normals[6:])
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, detector, "dots", calibrate(scored.scores, scored.maps, Thresholds()))
    return folder


def without_normals(category: Path) -> None:
    shutil.rmtree(category / "test/good")


def without_anomalies(category: Path) -> None:
    shutil.rmtree(category / "test/square")
    shutil.rmtree(category / "ground_truth")


def without_masks(category: Path) -> None:
    shutil.rmtree(category / "ground_truth")


def one_normal_image(category: Path) -> None:
    without_anomalies(category)
    for image in sorted((category / "test/good").iterdir())[1:]:
        image.unlink()


def one_anomalous_image(category: Path) -> None:
    without_normals(category)
    for image in sorted((category / "test/square").iterdir())[1:]:
        image.unlink()
        (category / f"ground_truth/square/{image.stem}_mask.png").unlink()


def doubtful_images(category: Path) -> None:
    without_masks(category)
    (category / "test_uncertain/maybe").mkdir(parents=True)
    (category / "test/square/000.png").rename(category / "test_uncertain/maybe/000.png")


NO_NORMAL, NO_ANOMALOUS = "no normal images in the test split", "no anomalous images in the test split"
CASES = {
    without_normals: {"image_auroc": NO_NORMAL, "image_false_positive_rate": NO_NORMAL},
    without_anomalies: {"image_auroc": NO_ANOMALOUS, "pixel_auroc": "no defect regions in the test split"},
    without_masks: {"pixel_auroc": "the data set has no masks", "aupro_030": "the data set has no masks"},
    doubtful_images: {"pixel_auroc": "the data set has no masks"},
    one_normal_image: {"image_auroc": NO_ANOMALOUS, "image_f1": NO_ANOMALOUS},
    one_anomalous_image: {"image_auroc": NO_NORMAL, "image_ap": NO_NORMAL},
}


def profile(root, tiny_data, folder) -> Path:
    """A params file of a profile with the tiny category alone, copied, and everything in ``folder``."""
    shutil.copytree(tiny_data / "dots", folder / "data/dots")
    settings = yaml.safe_load((root / "params.yaml").read_text())
    settings |= {"data": str(folder / "data"), "reports": str(folder), "categories": ["dots"]}
    settings |= {"methods": {"dfr": TINY_SETTINGS["dfr"]}}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    return folder / "params.yaml"


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def evaluated(request, root, tiny_data, model, tmp_path):
    """A profile whose one category lacks what the case takes away: its params, after evaluation and demo."""
    profile(root, tiny_data, tmp_path)
    request.param(tmp_path / "data/dots")
    given = {"params_file": str(tmp_path / "params.yaml"), "category": "dots", "model": str(model)}
    for name, folder in (("04_evaluate", "evaluate"), ("05_demo_gif", "gif")):
        run_notebook(root / f"notebooks/{name}.ipynb", **given, output=str(tmp_path / folder / "dfr-dots-0"))
    return request.param, load_params(tmp_path / "params.yaml"), tmp_path


def test_a_split_that_lacks_something_has_named_reasons_and_no_zero(evaluated):
    case, params, folder = evaluated
    metrics = json.loads((folder / "evaluate/dfr-dots-0/metrics.json").read_text())
    for key, reason in CASES[case].items():
        assert metrics[key] is None
        assert metrics["undefined"][key] == reason
    text = results_markdown(collect(params, folder), params, {"python": "3.11"}, folder)
    for key, reason in CASES[case].items():
        assert f"* dots, {key}: {reason}" in text
    assert "not defined" in text
    assert ("| dots | maybe | 1 | 1.000 / " in text) == (case is doubtful_images)
    assert (folder / "gif/dfr-dots-0/demo.gif").stat().st_size > 0


def test_the_demonstration_shows_the_scores_of_the_evaluation_within_a_region_of_interest(
    root, tiny_data, model, tmp_path
):
    given = {"params_file": str(profile(root, tiny_data, tmp_path)), "category": "dots", "model": str(model)}
    save_region(tmp_path / "data/dots" / PLACE, [[[0, 0], [1, 0], [1, 0.05]]])  # a corner without the defects
    run_notebook(root / "notebooks/04_evaluate.ipynb", **given, output=str(tmp_path / "evaluate/dfr-dots-0"))
    shown = run_notebook(root / "notebooks/05_demo_gif.ipynb", **given, output=str(tmp_path / "gif"))
    with (tmp_path / "evaluate/dfr-dots-0/scores.csv").open(encoding="utf-8") as file:
        measured = {row["image"]: float(row["score"]) for row in csv.DictReader(file)}
    names = [f"{sample.defect}/{sample.path.name}" for sample in shown["samples"]]
    assert shown["scored"].scores.tolist() == pytest.approx([measured[name] for name in names])
    assert (shown["scored"].maps[:, 32:] == 0).all()
    assert not torch.equal(shown["trained"].method.score(shown["images"]).scores, shown["scored"].scores)


HOSTILE = ("=cmd|' {C} calc'!A0", "<img src=x onerror=alert(1)>", "$\\frac$ {0}", "@SUM(1|2)\n![x](y)")
"""Names of defect types that a spreadsheet, a page, a figure or a table could take for something else."""


def test_hostile_names_are_text_in_csv_markdown_notebooks_and_figures(root, tiny_data, model, tmp_path, monkeypatch):
    given = {"params_file": str(profile(root, tiny_data, tmp_path)), "category": "dots", "model": str(model)}
    category, shown = tmp_path / "data/dots", []
    for split in ("test", "ground_truth"):
        for number, name in enumerate(HOSTILE):
            (category / split / name).mkdir()
            image = next((category / split / "square").glob(f"00{number}*"))
            image.rename(category / split / name / image.name.replace("00", "=x|<b>$_{"))
        (category / split / "square").rmdir()
    monkeypatch.setattr(IPython.display, "display", lambda *things: shown.extend(things))
    places = {"01_explore_data": "explore/dots", "04_evaluate": "evaluate/dfr-dots-0", "05_demo_gif": "gif/dfr-dots-0"}
    for name, place in places.items():
        run_notebook(root / f"notebooks/{name}.ipynb", **given, output=str(tmp_path / place))
    assert safe_tables(tmp_path) == ""
    params = load_params(tmp_path / "params.yaml")
    texts = [thing.data for thing in shown if isinstance(thing, IPython.display.Markdown)]
    report = results_markdown(collect(params, tmp_path), params, {"python": "3.11"}, tmp_path)
    assert "=cmd\\|" in report
    for text in (*texts, report):
        assert not re.search(r"<(img|b)\b|(?<!\\)!\[x", text), text
    tables = [text for text in texts if "=cmd" in text]
    assert len(tables) == 2, "of notebooks 01 and 04"
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().splitlines()}) == 1, table
