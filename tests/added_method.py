"""What test_add_a_method.py checks in its copy of the repository, where the method of the document has been added."""

import json

import pytest
import torch

import anomaly_lib
from anomaly_course.widgets.gallery import gallery
from anomaly_course.widgets.runs import live_run
from anomaly_course.widgets.trained import found_models
from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data import load_category, split_normals
from anomaly_lib.data.tensors import load_images
from anomaly_lib.evaluation import evaluate
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.figures.results import overview_figure
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.params import load_params
from anomaly_lib.registry import is_baseline, method_class, params_class, shown_name
from anomaly_lib.reporting.report import results_markdown
from anomaly_lib.reporting.results import table
from anomaly_tools.depends import dependencies
from tests.conftest import ROOT, TINY_SETTINGS
from tests.helpers import widget_parts

NAME, TITLE = "pixel_mean", "Pixel Mean"
VARIANT = "draem_l1"


@pytest.fixture(scope="module")
def profile(tiny_data, tmp_path_factory):
    """The root profile of the copy, on the tiny data, with the method's tiny settings."""
    assert str(ROOT) in anomaly_lib.__file__, "this is to run in the copy"
    reports = str(tmp_path_factory.mktemp("reports"))
    params = load_params()
    methods = params.methods | {NAME: params_class(NAME).model_validate(TINY_SETTINGS[NAME])}
    return params.model_copy(
        update={"data": str(tiny_data), "categories": ["dots"], "reports": reports, "methods": methods}
    )


@pytest.fixture(scope="module")
def trained(profile, tmp_path_factory):
    """Trained, calibrated and saved as the notebooks do it."""
    method = method_class(NAME)(profile.methods[NAME], 0)
    fit, held_out = split_normals(load_category(profile.data, "dots").train, 0.3, 0)
    method.fit(load_images(fit, 64), progress=False)
    normal = method.score(load_images(held_out, 64))
    folder = tmp_path_factory.getbasetemp() / profile.reports / f"calibrate/{NAME}-dots-0"
    save_model(folder, method, "dots", calibrate(normal.scores, normal.maps, profile.thresholds))
    return folder


def test_the_added_method_has_params_that_are_checked(tmp_path):
    assert shown_name(NAME) == method_class(NAME)(params_class(NAME)()).title == TITLE
    names = list(load_params().methods)
    assert not any(map(is_baseline, names[: names.index(NAME)])), "it is the first of the profile's baselines"
    assert all(map(is_baseline, names[names.index(NAME) :])), "baselines are shown last"
    wrong = (ROOT / "params.yaml").read_text().replace("pixel_mean:\n", "pixel_mean:\n    stepz: 3\n")
    (tmp_path / "params.yaml").write_text(wrong)
    with pytest.raises(InputError, match=r"unknown key 'methods.pixel_mean.stepz': did you mean 'steps'"):
        load_params(tmp_path / "params.yaml")


def test_the_added_method_is_followed_by_the_pipeline(profile):
    found = dependencies(ROOT, profile)
    assert found[f"03_train-{NAME}"]["settings"]["methods"][NAME]["steps"] == 80
    assert f"anomaly_lib/methods/{NAME}/method.py" in found[f"03_train-{NAME}"]["code"]
    assert f"anomaly_lib/methods/{NAME}/method.py" not in found["03_train-dfr"]["code"]


def test_the_added_variant_is_followed_with_its_base(profile):
    found = dependencies(ROOT, profile)[f"03_train-{VARIANT}"]
    assert {"anomaly_lib/methods/draem_l1.py", "anomaly_lib/methods/draem/method.py"} <= found["code"].keys()
    assert (
        found["settings"]["methods"][VARIANT]["reconstructive_width"] == profile.methods["draem"].reconstructive_width
    )


def test_the_added_variant_differs_from_its_base_in_the_loss_alone(tiny_data):
    normals = load_images(load_category(tiny_data, "dots").train, 64)
    rows = {}
    for name in ("draem", VARIANT):
        method = method_class(name)(params_class(name)(**TINY_SETTINGS["draem"] | {"steps": 1}), 0)
        (rows[name],) = method.fit(normals, progress=False)
    assert rows[VARIANT]["mse"] == rows["draem"]["mse"], "the same initial weights and batch"
    assert rows[VARIANT]["loss"] == pytest.approx(sum(rows[VARIANT][part] for part in ("absolute", "ssim", "focal")))
    assert rows[VARIANT]["loss"] != rows["draem"]["loss"]


def test_the_added_method_is_measured_and_reported(profile, trained):
    samples = load_category(profile.data, "dots").test
    labels = torch.tensor([sample.is_anomalous for sample in samples])
    model = load_model(trained)
    scored = model.method.score(load_images(samples, 64))
    metrics = evaluate(scored.scores, labels, scored.maps, image_threshold=model.thresholds["image"])
    assert metrics["image_auroc"] == 1.0
    rows = [{"method": name, "category": "dots", "seed": 0, **metrics} for name in (*profile.methods, "a", "b")]
    assert len(rows) > 6
    shown = table(rows, "image_auroc").splitlines()[2:]
    assert [line.split(" | ")[0] for line in shown] == [f"| {shown_name(name)}" for name in profile.methods]
    assert f"| {TITLE} | – | 1.000 | 1.000 |" in shown  # the side of the images is in no row here
    report = results_markdown(rows[:-2], profile, {"python": "3"}, trained)
    assert f"* {TITLE}: params hash `" in report
    lines = overview_figure(rows).axes[0].get_lines()
    assert [line.get_label() for line in lines] == [shown_name(row["method"]) for row in rows]
    assert len({line.get_marker() for line in lines}) == len(rows)
    heights = [line.get_ydata()[0] for line in lines]
    assert heights == sorted(set(heights))
    assert max(heights) < 1


def test_the_added_method_decides_about_photos(profile, trained, tmp_path, capsys):
    photo = f"{profile.data}/dots/test/square/000.png"
    assert main(["detect", photo, "--model", str(trained), "--output", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"][0]["decision"] == "anomalous"
    assert (tmp_path / "000.png").is_file()


def test_the_added_method_is_in_the_lists_of_the_widgets(profile, trained):
    assert found_models(profile, "dots", 0) == {NAME: trained}
    run = live_run(profile, load_model(trained))
    chooser = widget_parts(gallery([run]))[0][0]
    assert any(str(option).startswith(f"{TITLE} · dots") for option in chooser.options)
